"""The signed log in the database: each commit has its checkpoint, and nobody appends past it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.entries import Draft
from app.audit.notes import Checkpoint, Signer, open_checkpoint
from app.audit.proofs import root_of
from app.audit.tree import Frontier, leaf_hash
from app.errors import BadSetting, LogBroken, StoreUnavailable
from app.storage.engines import Database, open_database
from app.storage.log import Boot, append, check_log, name_log
from app.storage.tables import EntryRow, HeadRow, TreeNodeRow, table
from tests.signing import SIGNER, boot

pytestmark = pytest.mark.anyio

_head, _entry, _node = table(HeadRow), table(EntryRow), table(TreeNodeRow)
ORIGIN = "example.edu/bursar/1"


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    await opened.write(lambda conn: name_log(conn, ORIGIN))
    yield opened
    await opened.close()


def drafts(count: int) -> list[Draft]:
    return [Draft(type="admin", fields={"op": "test"}) for _ in range(count)]


async def execute(database: Database, statement: Any, *values: Any) -> Any:
    return await database.write(lambda conn: conn.execute(statement, *values).rowcount)


async def checkpoint(database: Database) -> Checkpoint:
    def work(conn: Connection) -> bytes:
        return bytes(conn.execute(sa.select(_head.c.checkpoint)).scalar_one())

    return open_checkpoint(await database.read(work), [SIGNER.verifier(ORIGIN)])


async def test_every_commit_signs_the_tree_as_it_then_is(database: Database) -> None:
    run = boot()
    hashes: list[bytes] = []
    for count in (1, 3, 60):
        receipts = await append(database, run, drafts(count))
        hashes += [receipt.leaf_hash for receipt in receipts]
        assert {receipt.origin for receipt in receipts} == {ORIGIN}
        assert await checkpoint(database) == Checkpoint(ORIGIN, len(hashes), Frontier().extend(hashes).root())
    assert await database.read(lambda conn: check_log(conn, SIGNER)) == 64


async def test_subtrees_are_kept_as_they_are_completed(database: Database) -> None:
    run = boot()
    for count in (250, 250, 100):
        await append(database, run, drafts(count))

    class Stored:
        def __init__(self, conn: Connection) -> None:
            self._conn = conn

        def nodes(self, level: int, start: int, end: int) -> list[bytes]:
            if level == 0:
                asked = sa.select(_entry.c.leaf_hash).where(_entry.c.ix >= start, _entry.c.ix < end)
                return [bytes(row[0]) for row in self._conn.execute(asked.order_by(_entry.c.ix))]
            asked = sa.select(_node.c.hash).where(
                _node.c.level == level, _node.c.ix >= start, _node.c.ix < end
            )
            return [bytes(row[0]) for row in self._conn.execute(asked.order_by(_node.c.ix))]

    def work(conn: Connection) -> tuple[int, bytes]:
        kept = conn.execute(sa.select(sa.func.count()).select_from(_node)).scalar_one()
        return kept, root_of(Stored(conn), 0, 600)

    assert await database.read(work) == (2, (await checkpoint(database)).root)


async def test_without_the_logs_key_nothing_is_appended(database: Database) -> None:
    with pytest.raises(BadSetting, match="key"):
        await append(database, Boot("r", "b"), drafts(1))
    assert await database.read(check_log) == 0


async def test_a_log_signed_by_another_key_is_refused(database: Database) -> None:
    await append(database, boot(), drafts(3))
    with pytest.raises(LogBroken):
        await database.read(lambda conn: check_log(conn, Signer.generate()))


async def test_a_checkpoint_of_another_tree_is_refused(database: Database) -> None:
    await append(database, boot(), drafts(3))
    other = Checkpoint(ORIGIN, 3, leaf_hash(b"another"))
    await execute(database, sa.update(_head).values(checkpoint=SIGNER.sign(other.text, ORIGIN)))
    with pytest.raises(LogBroken, match="another tree"):
        await database.read(lambda conn: check_log(conn, SIGNER))


async def test_a_log_keeps_its_name(database: Database) -> None:
    await database.write(lambda conn: name_log(conn, "other"))
    await append(database, boot(), drafts(1))
    assert (await checkpoint(database)).origin == ORIGIN


def _row(index: int, leaf: bytes, digest: bytes) -> dict[str, list[object]]:
    return {
        "ixs": [index],
        "ids": ["f" * 32],
        "types": ["admin"],
        "tss": [1],
        "leaves": [leaf],
        "hashes": [digest],
    }


_NULLS = {"text": "CAST(ARRAY[NULL] AS text[])", "bigint": "CAST(ARRAY[NULL] AS bigint[])"}
_CALL = sa.text(
    "SELECT audit_append(CAST(:ixs AS bigint[]), CAST(:ids AS text[]), CAST(:types AS text[]), "
    "CAST(:tss AS bigint[]), CAST(:leaves AS bytea[]), CAST(:hashes AS bytea[]), "
    + ", ".join(_NULLS[kind] for kind in ["text"] * 8 + ["bigint"] * 2 + ["text"] * 2)
    + ", CAST(ARRAY[] AS bigint[]), CAST(ARRAY[] AS text[]))"
)


@pytest.mark.parametrize(
    ("index", "hashed", "says"),
    [
        (3, b"{}", None),
        (4, b"{}", "does not follow"),
        (2, b"{}", "does not follow"),
        (3, b"{ }", "hash of entry"),
    ],
)
async def test_postgresql_itself_checks_what_is_appended(
    migrated_postgres_url: str, index: int, hashed: bytes, says: str | None
) -> None:
    database = open_database(migrated_postgres_url)
    try:
        await append(database, boot(), drafts(3))
        call: Callable[[Connection], object] = lambda conn: conn.execute(  # noqa: E731
            _CALL, _row(index, b"{}", leaf_hash(hashed))
        ).scalar_one()
        if says is None:
            assert await database.write(call) == 1
            return
        with pytest.raises((StoreUnavailable, sa.exc.DBAPIError)) as refused:
            await database.write(call)
        assert says in str(refused.value) + str(refused.value.__cause__)
    finally:
        await database.close()


@pytest.mark.parametrize("signed_by", ["nobody", "a thief", "the key, before", "emptied"])
async def test_nothing_is_signed_on_top_of_what_the_key_has_not_signed(
    database: Database, signed_by: str
) -> None:
    run = boot()
    receipts = await append(database, run, drafts(3))
    tree = Frontier().extend([*(each.leaf_hash for each in receipts), leaf_hash(b"{}")])
    forged = {"ix": 3, "id": "f" * 32, "type": "admin", "ts_us": 1, "leaf": b"{}"}
    text = Checkpoint(ORIGIN, 4, tree.root()).text
    note = {
        "nobody": text + b"\n\n",
        "a thief": Signer.generate().sign(text, ORIGIN),
        "the key, before": run.seen.note if run.seen else b"",
        "emptied": b"",
    }[signed_by]

    def forge(conn: Connection) -> int:
        conn.execute(sa.insert(_entry), [{**forged, "leaf_hash": leaf_hash(b"{}")}])
        return conn.execute(
            sa.update(_head).values(size=4, frontier=tree.to_bytes(), checkpoint=note)
        ).rowcount

    await database.write(forge)
    for process in (run, boot()):
        if signed_by == "emptied" and process is not run:
            continue  # as a log of before checkpoints would be; whoever has seen it signed knows better
        with pytest.raises(LogBroken):
            await append(database, process, drafts(1))
    assert await database.read(lambda conn: conn.execute(sa.select(_head.c.size)).scalar_one()) == 4


async def test_what_another_process_signed_is_taken_once_it_is_verified(database: Database) -> None:
    first, second = boot(run="a" * 16), boot(run="b" * 16)
    for process in (first, second, first, first, second):
        await append(database, process, drafts(2))
    assert await database.read(lambda conn: check_log(conn, SIGNER)) == 10
