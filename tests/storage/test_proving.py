"""Receipts and proofs out of the database, checked by somebody who knows the standards alone."""

import json
import random
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from app.audit.entries import Draft, Receipt
from app.audit.notes import Checkpoint, Signer
from app.errors import InvalidParams, LogBroken, NotFound, StoreUnavailable
from app.storage.engines import Database, open_database
from app.storage.history import continues
from app.storage.log import append, name_log
from app.storage.proving import StoredHashes, newest_note, read_growth, read_receipt, receipt_of
from app.storage.tables import EntryRow, TreeNodeRow, table
from tests.outsider import has_grown, is_included, leaf_of, opened, parsed
from tests.signing import SIGNER, boot

pytestmark = pytest.mark.anyio

ORIGIN = "example.edu/bursar/1"
VKEY = SIGNER.verifier(ORIGIN).vkey
_entry, _node = table(EntryRow), table(TreeNodeRow)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened_database = open_database(migrated_url)
    await opened_database.write(lambda conn: name_log(conn, ORIGIN))
    yield opened_database
    await opened_database.close()


async def grow(database: Database, *counts: int) -> list[Receipt]:
    run = boot()
    receipts = []
    for count in counts:
        drafts = [Draft(type="admin", fields={"op": "test", "n": number}) for number in range(count)]
        receipts += await append(database, run, drafts)
    return receipts


async def drop_content(database: Database, index: int) -> None:
    """As pruning leaves an entry; by the owner of the tables, since nobody else may."""

    def work(conn: sa.Connection) -> None:
        if conn.dialect.name == "sqlite":
            for (name,) in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='trigger'").all():
                conn.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            conn.exec_driver_sql("ALTER TABLE entry DISABLE TRIGGER USER")
        conn.execute(sa.update(_entry).where(_entry.c.ix == index).values(leaf=b""))

    await database.write(work)


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 700])
async def test_a_receipt_proves_its_entry_offline(database: Database, size: int) -> None:
    receipts = await grow(database, *[250] * (size // 250), size % 250)
    chosen = random.Random(size).sample(receipts, min(12, size)) + receipts[-1:]
    for each in chosen:
        entry = each.id
        found = await database.read(lambda conn, entry=entry: receipt_of(conn, entry))  # type: ignore[misc]
        leaf = leaf_of(found.proof, VKEY)
        assert json.loads(leaf)["id"] == each.id
        assert parsed(found.proof).index == found.index == each.index
        assert opened(parsed(found.proof).note, VKEY).size == size


async def test_a_receipt_of_today_and_one_of_yesterday_are_of_one_log(database: Database) -> None:
    (first, *_) = await grow(database, 40)
    before = (await database.read(lambda conn: receipt_of(conn, first.id))).proof
    await grow(database, 300)
    after = (await database.read(lambda conn: receipt_of(conn, first.id))).proof
    assert leaf_of(before, VKEY) == leaf_of(after, VKEY)
    old, new = opened(parsed(before).note, VKEY), opened(parsed(after).note, VKEY)
    growth = await database.read(lambda conn: read_growth(conn, old=40, new=None))
    assert (growth.old_root, growth.new_root, growth.new) == (old.root, new.root, 340)
    assert has_grown(40, old.root, 340, new.root, growth.path)
    kept = parsed(before).note.encode()
    found, _ = await database.read(lambda conn: continues(conn, kept, SIGNER))
    assert found == growth


@pytest.mark.parametrize(("old", "new"), [(1, 1), (1, 300), (255, 256), (256, 300), (257, 299), (128, 256)])
async def test_growth_between_any_two_sizes_is_proven(database: Database, old: int, new: int) -> None:
    await grow(database, 300)
    growth = await database.read(lambda conn: read_growth(conn, old=old, new=new))
    assert has_grown(old, growth.old_root, new, growth.new_root, growth.path)
    assert not has_grown(old, bytes(32), new, growth.new_root, growth.path)


@pytest.mark.parametrize(("old", "new"), [(2, 1), (0, 4), (4, None)])
async def test_growth_to_a_size_that_never_was_is_refused(
    database: Database, old: int, new: int | None
) -> None:
    await grow(database, 3)
    with pytest.raises(InvalidParams):
        await database.read(lambda conn: read_growth(conn, old=old, new=new))


async def test_a_checkpoint_of_another_history_is_not_continued(database: Database) -> None:
    await grow(database, 20)
    other = SIGNER.sign(Checkpoint(ORIGIN, 10, bytes(32)).text, ORIGIN)
    longer = SIGNER.sign(Checkpoint(ORIGIN, 21, bytes(32)).text, ORIGIN)
    thief = Signer.generate()
    forged = thief.sign(Checkpoint(ORIGIN, 10, bytes(32)).text, ORIGIN)
    for note, says in (
        (other, "are others"),
        (longer, "lost"),
        (forged, "No known key"),
        (b"x", "no signed"),
    ):
        found, objection = await database.read(lambda conn, note=note: continues(conn, note, SIGNER))  # type: ignore[misc]
        assert found is None
        assert says in objection


async def test_an_entry_without_its_content_is_proven_by_its_hash(database: Database) -> None:
    receipts = await grow(database, 30)
    kept = await database.read(lambda conn: receipt_of(conn, receipts[7].id))
    await drop_content(database, 7)
    found = await database.read(lambda conn: receipt_of(conn, receipts[7].id))
    assert (found.leaf, found.entry, found.shown()["pruned"]) == (b"", {}, True)
    proof = parsed(found.proof)
    assert proof.extra == b""
    assert is_included(receipts[7].leaf_hash, proof, opened(proof.note, VKEY))
    assert leaf_of(kept.proof, VKEY)  # whoever kept the receipt has the content


async def test_no_receipt_is_made_where_there_is_nothing_to_prove(database: Database) -> None:
    assert await database.read(lambda conn: read_receipt(conn, "0" * 32)) is None
    with pytest.raises(NotFound):
        await database.read(lambda conn: receipt_of(conn, "0" * 32))
    with pytest.raises(StoreUnavailable):
        await database.read(newest_note)


async def test_a_lost_hash_makes_no_proof(database: Database) -> None:
    await grow(database, 300)
    await database.write(lambda conn: conn.execute(sa.delete(_node)).rowcount)
    with pytest.raises(LogBroken):
        await database.read(lambda conn: StoredHashes(conn).nodes(8, 0, 1))
    with pytest.raises(LogBroken):
        await database.read(lambda conn: read_growth(conn, old=256, new=300))
