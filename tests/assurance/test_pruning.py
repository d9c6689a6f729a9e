"""Pruning: the content of old entries goes by two people's word, and everything that was proven stays proven.

T50 and T39 of the catalogue.
"""

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.administration.changes import Change, Plan, Pruning
from app.administration.proposals import confirm
from app.administration.upkeep import (
    LEAST_MONTHS,
    MOST_MONTHS,
    months_before,
    propose_pruning,
    propose_retention,
    retention_months,
)
from app.audit.entries import Draft
from app.audit.filters import Filter
from app.errors import Conflict, InvalidParams, NotPermitted, StoreUnavailable
from app.ids import new_object_id
from app.storage.engines import open_database
from app.storage.log import append, check_log
from app.storage.proving import read_receipt
from app.storage.schema import migrate
from app.storage.seals import all_keys
from app.storage.searching import find_entries
from app.storage.tables import AboutRow, EntryRow, FactRow, FurtherAboutRow, HeadRow, SealedQuestionRow, table
from tests.assurance.stored_log import read_log
from tests.assurance.upkept import IT, OFFICER, ORIGIN, Kept, begun
from tests.outsider import leaf_of
from tests.signing import SIGNER, boot

pytestmark = pytest.mark.anyio

VKEY = SIGNER.verifier(ORIGIN).vkey
_entry, _head = table(EntryRow), table(HeadRow)
BESIDE = tuple(table(row) for row in (FactRow, AboutRow, FurtherAboutRow, SealedQuestionRow))


@pytest.fixture
async def kept(database_url: str, tmp_path: Path) -> AsyncIterator[Kept]:
    opened = await begun(database_url, tmp_path / "data")
    yield opened
    await opened.database.close()


async def receipt(kept: Kept, entry: str) -> str:
    def work(conn: Connection) -> str:
        found = read_receipt(conn, entry)
        assert found is not None
        return found.proof

    return await kept.database.read(work)


async def lived(kept: Kept, count: int) -> tuple[list[str], list[str]]:
    """Ids of old and of young entries: nine of ten are more than a year old."""
    questions = [{"username": f"u{number}"} for number in range(count * 9 // 10)]
    long = [{"category": "video", "file_data": "\n".join(map(str, range(3_000)))}]
    old = await kept.ask("ada", [*questions[: len(questions) // 2], *long], days_ago=600)
    old += await kept.ask("bob", questions[len(questions) // 2 :], days_ago=430)
    young = await kept.ask("ada", questions[: count // 10], days_ago=20)
    return old, young


@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=pytest.mark.long)])
async def test_nine_of_ten_entries_are_pruned_and_all_that_is_left_holds(kept: Kept, count: int) -> None:
    old, young = await lived(kept, count)
    asked = old[:: max(1, len(old) // (1_000 if count > 10_000 else 50))]
    receipts = {entry: await receipt(kept, entry) for entry in asked}
    proposal = await propose_pruning(kept.registry, OFFICER, before=None, new_id=new_object_id)
    with pytest.raises(NotPermitted, match="yourself"):
        await confirm(kept.registry, OFFICER, proposal_id=proposal.id)
    await kept.by_two(proposal)

    def look(conn: Connection) -> None:
        min_index = conn.execute(sa.select(_head.c.min_index)).scalar_one()
        assert min_index == len(old)
        for ix, leaf in conn.execute(sa.select(_entry.c.ix, _entry.c.leaf)).all():
            assert (len(leaf) == 0) == (ix < min_index)
        for beside in BESIDE:
            assert conn.execute(sa.select(sa.func.min(beside.c.ix))).scalar_one() in {None, min_index}
        left = find_entries(conn, Filter(), before=min_index, limit=5)
        assert {each.entry["pruned"] for each in left} == {True}
        assert len(find_entries(conn, Filter(person="bob"), before=None, limit=count)) == 0

    await kept.database.read(look)
    await kept.database.read(lambda conn: check_log(conn, SIGNER))
    report = (await read_log(kept.url, SIGNER.verifier(ORIGIN).public)).verified()
    assert (report.problems, report.min_index) == ([], len(old))
    for entry, before in receipts.items():
        assert leaf_of(before, VKEY), entry
    for entry in young:
        assert leaf_of(await receipt(kept, entry), VKEY)
    months = {row["month"] for row in await kept.database.read(all_keys)}
    today = dt.datetime.now(dt.UTC)
    assert months == {f"{today - dt.timedelta(days=20):%Y-%m}"}
    for entry in young:
        assert "username" in (await kept.seals.question(entry))[1]
    again = await propose_pruning(kept.registry, OFFICER, before=None, new_id=new_object_id)
    with pytest.raises(Conflict, match="no content"):
        await kept.by_two(again)


async def test_nothing_is_pruned_that_is_still_to_be_kept(kept: Kept) -> None:
    await kept.ask("ada", [{"username": "a"}], days_ago=300)
    today = dt.datetime.now(dt.UTC).date()
    for before in (today, today - dt.timedelta(days=200)):
        with pytest.raises(InvalidParams, match="retention"):
            await propose_pruning(kept.registry, IT, before=before, new_id=new_object_id)
    nothing = await propose_pruning(kept.registry, IT, before=None, new_id=new_object_id)
    with pytest.raises(Conflict):
        await confirm(kept.registry, OFFICER, proposal_id=nothing.id)


async def test_how_long_content_is_kept_is_for_two_people_within_bounds(kept: Kept) -> None:
    assert retention_months(await kept.registry.state()) == 12
    await kept.ask("ada", [{"username": "a"}], days_ago=300)
    for months in (LEAST_MONTHS - 1, MOST_MONTHS + 1):
        with pytest.raises(InvalidParams):
            await propose_retention(kept.registry, IT, months=months, new_id=new_object_id)
    proposal = await propose_retention(kept.registry, IT, months=8, new_id=new_object_id)
    with pytest.raises(NotPermitted):
        await confirm(kept.registry, IT, proposal_id=proposal.id)
    assert retention_months(await kept.registry.state()) == 12
    await confirm(kept.registry, OFFICER, proposal_id=proposal.id)
    assert retention_months(await kept.registry.state()) == 8
    await kept.by_two(await propose_pruning(kept.registry, OFFICER, before=None, new_id=new_object_id))
    await kept.database.read(lambda conn: check_log(conn, SIGNER))


async def test_no_plan_prunes_without_somebody_elses_proposal(kept: Kept) -> None:
    await kept.ask("ada", [{"username": "a"}], days_ago=600)
    long_ago = Pruning(
        before_us=int((dt.datetime.now(dt.UTC) - dt.timedelta(days=500)).timestamp()) * 1_000_000,
        proposal="0" * 20,
        proposed_by="person:dpo",
        decided_by="person:it",
    )
    change = Change(kind="proposal", object="log", object_id="x", what="confirmed")
    proposal = await propose_pruning(kept.registry, IT, before=None, new_id=new_object_id)
    for named in ("0" * 20, proposal.id):
        plan = Plan(changes=(change,), upkeep=replace(long_ago, proposal=named))
        with pytest.raises(NotPermitted):
            await kept.registry.change(IT, lambda _, plan=plan: (plan, None))  # type: ignore[misc]


async def test_the_database_itself_prunes_only_what_an_entry_says_and_nothing_young(kept: Kept) -> None:
    await kept.ask("ada", [{"username": "a"}] * 3, days_ago=600)
    await kept.ask("ada", [{"username": "a"}] * 3, days_ago=100)
    is_postgres = kept.database.dialect == "postgresql"

    async def refused(statement: str) -> None:
        with pytest.raises((sa.exc.IntegrityError, sa.exc.DBAPIError, StoreUnavailable)):
            await kept.database.write(lambda conn: conn.exec_driver_sql(statement).rowcount)

    def prune(min_index: int) -> str:
        return (
            f"SELECT audit_prune({min_index})" if is_postgres else f"UPDATE head SET min_index = {min_index}"
        )

    await refused(prune(2))
    said = {"prune": {"min_index": 5}}
    await append(kept.database, boot(), [Draft(type="prune", fields=said)])
    await refused(prune(5))
    said = {"prune": {"min_index": 2}}
    await append(kept.database, boot(), [Draft(type="prune", fields=said)])
    await refused(prune(3))
    if is_postgres:
        await kept.database.write(lambda conn: conn.exec_driver_sql(prune(2)).scalar_one())
    else:
        await kept.database.write(lambda conn: conn.exec_driver_sql(prune(2)).rowcount)
    for statement in (
        "UPDATE entry SET leaf = '' WHERE ix = 2",
        "UPDATE entry SET leaf = 'x' WHERE ix = 1",
        "UPDATE entry SET leaf = '', type = 'x' WHERE ix = 1",
        "UPDATE entry SET leaf = '', ts_us = 1 WHERE ix = 1",
        "DELETE FROM entry WHERE ix = 1",
        "DELETE FROM entry_fact WHERE ix = 2",
        "DELETE FROM entry_about WHERE ix = 2",
        prune(1),
    ):
        await refused(statement)
    assert await kept.registry.empty_pruned() == 2
    await kept.database.read(lambda conn: check_log(conn, SIGNER))


def test_months_are_counted_from_their_first_day() -> None:
    assert months_before(dt.date(2026, 11, 29), 12) == dt.date(2025, 11, 1)
    assert months_before(dt.date(2026, 1, 1), 1) == dt.date(2025, 12, 1)
    assert months_before(dt.date(2026, 3, 31), 36) == dt.date(2023, 3, 1)


ROLE = "bursar_app_of_pruning"
_TABLES = ("entry", "entry_fact", "entry_about", "entry_about_more", "sealed_question", "tree_node")


async def test_the_role_that_serves_can_change_no_table_of_the_log(postgres_url: str, tmp_path: Path) -> None:
    kept = await begun(postgres_url, tmp_path / "data")
    await kept.ask("ada", [{"category": "video", "file_data": "\n".join(map(str, range(3_000)))}])
    owner = create_async_engine(postgres_url)
    async with owner.begin() as connection:
        await connection.execute(sa.text(f"DROP ROLE IF EXISTS {ROLE}"))
        await connection.execute(sa.text(f"CREATE ROLE {ROLE} LOGIN"))
    await migrate(postgres_url, app_role=ROLE)
    serving = make_url(postgres_url).set(username=ROLE)
    engine = create_async_engine(serving)
    statements = [
        statement.format(name=name)
        for name in _TABLES
        for statement in (
            "UPDATE {name} SET ix = ix",
            "DELETE FROM {name}",
            "TRUNCATE {name}",
            "ALTER TABLE {name} DISABLE TRIGGER ALL",
            "ALTER TABLE {name} ADD COLUMN x integer",
            "ALTER TABLE {name} OWNER TO " + ROLE,
            "DROP TABLE {name}",
            "CREATE TRIGGER t BEFORE INSERT ON {name} EXECUTE FUNCTION entry_is_final()",
        )
    ]
    statements += [f"DROP TRIGGER {name}_is_final ON {name}" for name in _TABLES if name != "tree_node"]
    statements += [
        *(
            f"INSERT INTO {name} SELECT * FROM {name} LIMIT 1"
            for name in ("entry", "entry_fact", "entry_about")
        ),
        "UPDATE head SET min_index = 1",
        "DELETE FROM head",
        "INSERT INTO head SELECT * FROM head",
        "TRUNCATE head",
        "SELECT audit_prune(1)",
        "DROP FUNCTION audit_append",
        "DROP FUNCTION audit_prune",
        "CREATE OR REPLACE FUNCTION entry_is_pruned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
        "CREATE TABLE another (x integer)",
        "SET session_replication_role = replica",
    ]
    for statement in statements:
        with pytest.raises(sa.exc.DBAPIError):
            async with engine.begin() as connection:
                await connection.exec_driver_sql(statement)
    # And what it has to do, it can: append, and empty what was pruned, which is nothing.
    database = open_database(serving.render_as_string(hide_password=False))
    await append(database, boot(), [Draft(type="admin", fields={"op": "test"})])
    assert (
        await database.write(lambda conn: conn.execute(sa.select(sa.func.audit_empty(10))).scalar_one()) == 0
    )
    assert await database.read(lambda conn: check_log(conn, SIGNER)) == 2
    await database.close()
    await engine.dispose()
    await kept.database.close()
    async with owner.begin() as connection:
        await connection.execute(sa.text(f"DROP OWNED BY {ROLE}"))
        await connection.execute(sa.text(f"DROP ROLE {ROLE}"))
    await owner.dispose()
