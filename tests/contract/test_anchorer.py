"""Anchoring, on each kind of database: on time, by one process, again after a failure."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.audit.entries import Draft
from app.audit.notes import Kept
from app.storage.anchoring import FILE, NOTICES, Anchorer, read_anchors
from app.storage.checkpoint_files import anchored
from app.storage.engines import Database, open_database
from app.storage.log import Boot, append, name_log
from app.storage.tables import AnchorRow, NoticeRow, table
from tests.signing import boot

pytestmark = pytest.mark.anyio

ORIGIN = "example.edu/bursar/1a2b3c4d"
_anchor, _notice = table(AnchorRow), table(NoticeRow)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    await opened.write(lambda conn: name_log(conn, ORIGIN))
    yield opened
    await opened.close()


async def grow(database: Database, run: Boot) -> Kept:
    await append(database, run, [Draft(type="admin", fields={"op": "test"})])
    assert run.seen is not None
    return run.seen


async def age(database: Database, seconds: int) -> None:
    """As if the last anchors had been left so long ago."""
    moved = sa.update(_anchor).values(
        done_us=_anchor.c.done_us - seconds * 1_000_000, tried_us=_anchor.c.tried_us - seconds * 1_000_000
    )
    await database.write(lambda conn: conn.execute(moved).rowcount)


async def test_checkpoints_are_left_on_time_and_only_while_the_log_grows(
    database: Database, tmp_path: Path
) -> None:
    run = boot()
    anchorer = Anchorer(database=database, boot=run, every_s=900, directory=tmp_path, tells=True)
    assert await anchorer.work_off() == []  # nothing has been signed yet
    first = await grow(database, run)
    assert await anchorer.work_off() == [FILE, NOTICES]
    await grow(database, run)
    assert await anchorer.work_off() == []
    await age(database, 899)
    assert await anchorer.work_off() == []
    await age(database, 2)
    second = run.seen
    assert await anchorer.work_off() == [FILE, NOTICES]
    await age(database, 2_000)
    assert await anchorer.work_off() == []
    assert list(anchored(tmp_path)) == [first, second]
    stands = {each.channel: (each.size, each.problem) for each in await database.read(read_anchors)}
    assert stands == {FILE: (2, None), NOTICES: (2, None)}
    told = await database.read(lambda conn: conn.execute(sa.select(_notice).order_by(_notice.c.id)).all())
    assert [each.kind for each in told] == ["checkpoint_of_day", "checkpoint", "checkpoint"]
    assert [each.about["note"].encode() for each in told] == [first.note, first.note, second and second.note]


async def test_a_place_that_is_away_is_tried_again_and_shown(
    database: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = boot()
    await grow(database, run)
    place = tmp_path / "mount"
    anchorer = Anchorer(database=database, boot=run, every_s=900, directory=place)
    assert await anchorer.work_off() == []
    (stands,) = await database.read(read_anchors)
    assert stands.problem is not None
    assert "No such file" in stands.problem
    assert anchorer.failures == 1
    assert await anchorer.work_off() == []
    assert anchorer.failures == 1
    place.mkdir()
    await age(database, 31)
    assert await anchorer.work_off() == [FILE]
    (stands,) = await database.read(read_anchors)
    assert (stands.size, stands.problem) == (1, None)
    assert "could not be anchored" in "".join(capfd.readouterr())


async def test_of_two_processes_one_anchors(database: Database, tmp_path: Path) -> None:
    here, there = boot(run="a" * 16), boot(run="b" * 16)
    one, two = (
        Anchorer(database=database, boot=each, every_s=900, directory=tmp_path) for each in (here, there)
    )
    there.seen = await grow(database, here)
    assert await one.work_off() == [FILE]
    assert await two.work_off() == []
    assert two.stands[FILE].size == 1


async def test_the_last_checkpoint_is_left_when_the_process_ends(database: Database, tmp_path: Path) -> None:
    run = boot()
    anchorer = Anchorer(database=database, boot=run, every_s=900, directory=tmp_path)
    anchorer.start()
    last = await grow(database, run)
    await anchorer.stop()
    assert list(anchored(tmp_path))[-1] == last


async def test_a_log_that_is_not_the_one_that_was_is_not_anchored(database: Database, tmp_path: Path) -> None:
    run = boot()
    await grow(database, run)
    run.trouble = "entries were lost"
    anchorer = Anchorer(database=database, boot=run, every_s=900, directory=tmp_path, tells=True)
    assert await anchorer.work_off() == []
    assert list(anchored(tmp_path)) == []
