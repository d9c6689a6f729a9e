"""Search columns: written with each entry, made from entries of before, and never changed."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine import Connection

from app.audit.entries import Draft
from app.audit.facts import FACT_NAMES, facts_of, tags_of
from app.errors import StoreUnavailable
from app.storage.engines import Database, open_database
from app.storage.log import append
from app.storage.schema import _config, _run, migrate
from app.storage.tables import AboutRow, EntryRow, FactRow, table
from tests.signing import boot

pytestmark = pytest.mark.anyio

_entry, _fact, _about = table(EntryRow), table(FactRow), table(AboutRow)
ACTOR = {"kind": "key", "principal": "p1", "project": "j1", "key_id": "k1", "credential": "c1"}
DRAFTS = [
    Draft(type="intent", fields={"actor": ACTOR, "op": "user/info", "about": ["t2", "t1"]}),
    Draft(type="outcome", fields={"actor": ACTOR, "quota": {"charged": {"requests": 1, "records": 3}}}),
    Draft(type="decision", fields={"decision": {"verdict": "refused", "rule": "quota/1", "code": "quota"}}),
    Draft(type="outcome", fields={"upstream": {"log_id": "A\0B", "code": "é\ud800"}}),
]


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    yield opened
    await opened.close()


async def found(database: Database) -> list[tuple[Any, ...]]:
    """Every entry's facts and tags, once those that are stored are those of the leaf."""

    def work(conn: Connection) -> list[tuple[Any, ...]]:
        facts = {row.ix: tuple(row)[1:] for row in conn.execute(sa.select(_fact))}
        tags: dict[int, list[str]] = {}
        for tag, ix in conn.execute(sa.select(_about).order_by(_about.c.tag)).all():
            tags.setdefault(ix, []).append(tag)
        every = []
        for ix, leaf in conn.execute(sa.select(_entry.c.ix, _entry.c.leaf).order_by(_entry.c.ix)).all():
            said = json.loads(bytes(leaf))
            derived = facts_of(said)
            assert facts.pop(ix) == tuple(getattr(derived, name) for name in FACT_NAMES)
            assert tuple(tags.pop(ix, ())) == tags_of(said)
            every.append((derived, tags_of(said)))
        assert (facts, tags) == ({}, {})
        return every

    return await database.read(work)


async def test_facts_and_tags_are_written_with_the_entry(database: Database) -> None:
    await append(database, boot(), DRAFTS)
    await append(database, boot(), [])
    every = await found(database)
    assert [tags for _, tags in every] == [("t1", "t2"), (), (), ()]
    assert [facts.person for facts, _ in every] == ["p1", "p1", None, None]
    assert [facts.records for facts, _ in every] == [None, 3, None, None]
    assert (every[3][0].upstream_log_id, every[3][0].code) == (None, "é�")


async def test_the_database_refuses_to_change_them(database: Database) -> None:
    await append(database, boot(), DRAFTS)
    for statement in (
        "UPDATE entry_fact SET person = 'x'",
        "DELETE FROM entry_fact",
        "UPDATE entry_about SET tag = 'x'",
        "DELETE FROM entry_about",
    ):
        with pytest.raises((sa.exc.IntegrityError, StoreUnavailable)):
            await database.write(lambda conn, each=statement: conn.exec_driver_sql(each).rowcount)  # type: ignore[misc]
    assert len(await found(database)) == len(DRAFTS)


async def test_a_migration_makes_them_for_the_entries_that_there_are(database_url: str) -> None:
    def before(conn: Connection) -> None:
        config = _config()
        config.attributes["connection"] = conn
        command.upgrade(config, "0010")
        for ix, draft in enumerate(DRAFTS[:3]):
            leaf = json.dumps({**draft.fields, "ix": ix}).encode()
            row = {"ix": ix, "id": draft.id, "type": draft.type, "ts_us": 1, "leaf": leaf, "leaf_hash": b""}
            conn.execute(sa.insert(_entry), row)

    await _run(database_url, before, begin="BEGIN IMMEDIATE")
    await migrate(database_url)
    database = open_database(database_url)
    try:
        assert [tags for _, tags in await found(database)] == [("t1", "t2"), (), ()]
    finally:
        await database.close()
