"""Nothing is appended to a log that is behind what was seen of it, and what was seen is kept."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.audit.entries import Draft
from app.audit.notes import Checkpoint, Kept
from app.audit.tree import Frontier, leaf_hash
from app.errors import BadSetting, Conflict, LogBroken, RollbackDetected
from app.storage.checkpoint_files import (
    NEWEST,
    anchor_in,
    anchored,
    keep_newest,
    newest_anchored,
    newest_seen,
)
from app.storage.engines import Database, open_database
from app.storage.history import continues, open_epoch, read_history
from app.storage.log import append, check_log, name_log
from app.storage.proving import receipt_of
from app.storage.tables import EntryRow, EpochRow, HeadRow, TreeNodeRow, table
from app.storage.watching import Watch
from tests.outsider import leaf_of
from tests.signing import SIGNER, boot

pytestmark = pytest.mark.anyio

ORIGIN = "example.edu/bursar/1a2b3c4d"
_head, _epoch = table(HeadRow), table(EpochRow)
_entry, _node = table(EntryRow), table(TreeNodeRow)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    await opened.write(lambda conn: name_log(conn, ORIGIN))
    yield opened
    await opened.close()


def drafts(count: int) -> list[Draft]:
    return [Draft(type="admin", fields={"op": "test"}) for _ in range(count)]


def free_of_triggers(conn: sa.Connection) -> None:
    """As the owner of the tables can make them."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("ALTER TABLE entry DISABLE TRIGGER USER")
        return
    for (name,) in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='trigger'").all():
        conn.exec_driver_sql(f"DROP TRIGGER {name}")


def kept(size: int, origin: str = ORIGIN, root: bytes = bytes(32)) -> Kept:
    return Kept.parse(SIGNER.sign(Checkpoint(origin, size, root).text, origin))


async def test_a_process_appends_to_nothing_smaller_than_it_has_seen(
    database: Database, tmp_path: Path
) -> None:
    run = boot()
    await append(database, run, drafts(5))
    assert run.seen is not None
    assert run.seen.checkpoint.size == 5
    true = run.seen
    run.seen = kept(6)
    with pytest.raises(RollbackDetected, match="new-epoch"):
        await append(database, run, drafts(1))
    watch = Watch(database=database, boot=run, data_dir=tmp_path)
    await watch.compare()
    assert "entries were lost" in (run.trouble or "")
    run.seen = true
    with pytest.raises(RollbackDetected):
        await append(database, run, drafts(1))  # until somebody has compared
    await Watch(database=database, boot=run, data_dir=tmp_path).compare()
    assert run.trouble is None
    await append(database, run, drafts(1))


async def test_a_longer_log_of_other_entries_is_found_out(
    database: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = boot()
    await append(database, boot(), drafts(9))
    run.seen = kept(7)
    watch = Watch(database=database, boot=run, data_dir=tmp_path)
    for _ in range(15):
        await watch.compare()
    assert "are others" in (run.trouble or "")
    assert "audit_rollback_detected" in "".join(capfd.readouterr())


async def test_what_other_processes_append_is_seen_and_kept(database: Database, tmp_path: Path) -> None:
    run = boot()
    watch = Watch(database=database, boot=run, data_dir=tmp_path)
    await watch.require()
    await watch.keep()
    assert newest_seen(tmp_path) is None
    await append(database, boot(), drafts(3))
    await watch.compare()
    await watch.keep()
    assert (newest_seen(tmp_path) or kept(0)).checkpoint.size == 3
    again = Watch(database=database, boot=boot(), data_dir=tmp_path)
    await again.require()
    keep_newest(tmp_path, kept(4))
    with pytest.raises(RollbackDetected, match="4 entries"):
        await again.require()


async def test_an_epoch_goes_on_over_what_is_left(database: Database, tmp_path: Path) -> None:
    run = boot()
    await append(database, run, drafts(4))
    with pytest.raises(Conflict):
        await open_epoch(database, run, [run.seen] if run.seen else [], told={})
    known = [kept(6), kept(3, "example.edu/other/00000000")]
    epoch, receipt = await open_epoch(database, run, known, told={"reason": "x"})
    assert (epoch.origin, receipt.origin, receipt.index) == (f"{ORIGIN}/2", f"{ORIGIN}/2", 4)
    history = await database.read(read_history)
    assert (history.origin, history.epochs) == (epoch.origin, (epoch,))
    keep_newest(tmp_path, kept(6))
    later = boot()
    await Watch(database=database, boot=later, data_dir=tmp_path).require()
    await append(database, later, drafts(1))
    keep_newest(tmp_path, kept(6, root=b"\1" * 32))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    keep_newest(elsewhere, kept(7))
    with pytest.raises(RollbackDetected, match="no epoch tells"):
        await Watch(database=database, boot=boot(), data_dir=elsewhere).require()


async def test_a_log_rewritten_with_the_stolen_key_is_found_by_what_others_kept(
    database: Database, tmp_path: Path
) -> None:
    run = boot()
    receipts = await append(database, run, drafts(300))
    assert run.seen is not None
    anchor_in(tmp_path, run.seen)
    receipt = await database.read(lambda conn: receipt_of(conn, receipts[5].id))
    hashes = [each.leaf_hash for each in receipts]
    forged = receipt.leaf.replace(b"test", b"tset")
    hashes[5] = leaf_hash(forged)

    def rewrite(conn: sa.Connection) -> None:
        free_of_triggers(conn)
        conn.execute(sa.update(_entry).where(_entry.c.ix == 5).values(leaf=forged, leaf_hash=hashes[5]))
        kept: list[bytes] = []
        tree = Frontier().extend(hashes, keep=lambda _level, _ix, root: kept.append(root))
        conn.execute(sa.update(_node).values(hash=kept[0]))
        note = SIGNER.sign(Checkpoint(ORIGIN, 300, tree.root()).text, ORIGIN)
        conn.execute(sa.update(_head).values(frontier=tree.to_bytes(), checkpoint=note))

    await database.write(rewrite)
    # By itself it is as sound as the true one, and it goes on.
    assert await database.read(lambda conn: check_log(conn, SIGNER)) == 300
    await Watch(database=database, boot=boot(), data_dir=tmp_path / "elsewhere").require()
    await append(database, boot(run="f" * 16), drafts(1))
    with pytest.raises(RollbackDetected, match="are others"):
        await Watch(database=database, boot=boot(), data_dir=tmp_path, anchor_dir=tmp_path).require()
    found, says = await database.read(lambda conn: continues(conn, receipt.note, SIGNER))
    assert found is None
    assert "are others" in says
    forged_now = await database.read(lambda conn: receipt_of(conn, receipts[5].id))
    assert forged_now.leaf != leaf_of(receipt.proof, SIGNER.verifier(ORIGIN).vkey)


async def test_an_epoch_that_no_entry_tells_of_excuses_nothing(database: Database) -> None:
    run = boot()
    await append(database, run, drafts(4))
    forged = {"number": 2, "origin": f"{ORIGIN}/2", "ix": 3, "agreed": 1, "known": 99, "beyond": {}}
    await database.write(lambda conn: conn.execute(sa.insert(_epoch), [forged]).rowcount)
    with pytest.raises(LogBroken, match="not what entry 3"):
        await database.read(read_history)
    await database.write(lambda conn: conn.execute(sa.delete(_epoch)).rowcount)
    await database.write(lambda conn: conn.execute(sa.update(_head).values(origin=f"{ORIGIN}/2")).rowcount)
    with pytest.raises(LogBroken, match="the last epoch"):
        await database.read(read_history)


def test_the_newest_checkpoint_never_goes_back(tmp_path: Path) -> None:
    for each in (kept(5), kept(9), kept(7), kept(2, f"{ORIGIN}/2"), kept(100)):
        keep_newest(tmp_path, each)
    assert newest_seen(tmp_path) == kept(2, f"{ORIGIN}/2")
    (tmp_path / NEWEST).write_bytes(b"torn")
    with pytest.raises(BadSetting):
        newest_seen(tmp_path)
    keep_newest(tmp_path, kept(1))
    assert newest_seen(tmp_path) == kept(1)


def test_anchors_stand_beside_each_other_whatever_happens(tmp_path: Path) -> None:
    first = anchor_in(tmp_path, kept(10))
    assert anchor_in(tmp_path, kept(10)) == first
    other = anchor_in(tmp_path, kept(10, root=b"\1" * 32))
    assert other != first
    torn = tmp_path / "0001-000000000000012.checkpoint"
    torn.write_bytes(b"half")
    whole = anchor_in(tmp_path, kept(12))
    assert whole != torn
    assert torn.read_bytes() == b"half"
    anchor_in(tmp_path, kept(3, f"{ORIGIN}/2"))
    (tmp_path / "by-hand.checkpoint").write_bytes(kept(400).note)
    assert {(each.checkpoint.origin, each.checkpoint.size) for each in newest_anchored(tmp_path)} == {
        (ORIGIN, 400),
        (f"{ORIGIN}/2", 3),
    }
    assert len(list(anchored(tmp_path))) == 5
    with pytest.raises(BadSetting):
        newest_anchored(tmp_path / "nowhere")
