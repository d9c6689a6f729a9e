"""How full the embedded database's disk is, and the reserve on it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.administration.changes import local_operator
from app.bootstrap import diagnose
from app.errors import StoreUnavailable
from app.settings import Settings, load_settings
from app.storage.administering import initialise
from app.storage.disk import RESERVE_NAME, Disk, disk_of, has_no_room, used_percent
from tests.servers.small_disk import SmallDisk

_MEGABYTE = 1024 * 1024


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    if not SmallDisk.may_be_mounted(tmp_path / "tried"):
        pytest.skip("this machine lets no test mount a small disk")
    with SmallDisk(tmp_path / "disk", megabytes=20) as disk:
        yield disk


def test_a_disk_with_room_is_fine_and_holds_a_reserve(tmp_path: Path) -> None:
    disk = Disk(tmp_path, warn_percent=100, refuse_percent=100, reserve_bytes=_MEGABYTE)
    assert disk.is_spent
    assert disk.look() == "fine"
    assert not disk.is_spent
    assert (tmp_path / RESERVE_NAME).stat().st_size == _MEGABYTE
    assert (tmp_path / RESERVE_NAME).stat().st_mode & 0o777 == 0o600


def test_it_warns_refuses_and_says_so_once(tmp_path: Path) -> None:
    assert 0 < used_percent(tmp_path) < 100
    filling = Disk(tmp_path, warn_percent=0, refuse_percent=100)
    full = Disk(tmp_path, warn_percent=0, refuse_percent=0)
    with capture_logs() as told:
        for _ in range(3):
            assert (filling.look(), full.look()) == ("filling", "full")
    assert [each["event"] for each in told] == [
        "the disk of the log is filling",
        "the disk of the log is full",
    ]


def test_the_reserve_is_spent_once_and_set_aside_again_when_there_is_room(small: SmallDisk) -> None:
    disk = Disk(small.path, warn_percent=100, refuse_percent=100, reserve_bytes=8 * _MEGABYTE)
    assert disk.look() == "fine"
    small.fill()
    assert (disk.spend(), disk.spend()) == (True, False)
    (small.path / "outcomes").write_bytes(b"x" * _MEGABYTE)
    small.fill()
    assert (disk.look(), disk.is_spent) == ("full", True)
    assert not (small.path / RESERVE_NAME).exists()
    small.clear()
    assert (disk.look(), disk.is_spent) == ("fine", False)


def test_sqlites_way_to_say_that_there_is_no_room_is_recognised(small: SmallDisk) -> None:
    database = sqlite3.connect(small.path / "x.db", isolation_level=None)
    database.execute("CREATE TABLE t (b BLOB)")
    small.fill()
    with pytest.raises(sqlite3.OperationalError) as failed:
        database.execute("INSERT INTO t VALUES (zeroblob(4000000))")
    database.close()
    wrapped = StoreUnavailable("the database does not answer")
    wrapped.__cause__ = failed.value
    assert has_no_room(failed.value)
    assert has_no_room(wrapped)
    with contextlib.closing(sqlite3.connect(":memory:")) as other, pytest.raises(sqlite3.Error) as unknown:
        other.execute("SELECT * FROM nothing")
    assert not has_no_room(unknown.value)
    assert not has_no_room(ValueError())


def test_a_database_on_a_server_has_no_disk_of_its_own() -> None:
    served = load_settings({"BURSAR_DATABASE_URL": "postgresql+asyncpg://bursar@db.example.edu/bursar"})
    assert disk_of(served) is None
    assert disk_of(load_settings({})) is not None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("warn", "refuse", "code"), [(100, 100, None), (1, 100, "disk_filling"), (1, 1, "disk_full")]
)
async def test_the_doctor_says_how_full_it_is(
    tmp_path: Path, warn: int, refuse: int, code: str | None
) -> None:
    settings = Settings(data_dir=tmp_path / "data", disk_warn_percent=warn, disk_refuse_percent=refuse)
    await initialise(settings, local_operator(0))
    report = await diagnose(settings)
    found = [each.code for each in report.findings if each.code.startswith("disk_")]
    assert found == ([] if code is None else [code])
    assert report.is_healthy == (code != "disk_full")
