"""A database that may lose what it has committed is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import BadSetting
from app.settings import Settings
from app.storage import durability
from app.storage.durability import file_system_of, objection, require_durable
from app.storage.engines import open_database
from app.storage.schema import migrate
from tests.conftest import require
from tests.servers.postgres import PrivatePostgres

pytestmark = pytest.mark.anyio

SOUND = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "synchronous_standby_names": "",
}
MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
40 22 0:40 / /mnt/share rw,relatime shared:2 master:1 - nfs4 files:/export rw,vers=4.2
41 40 8:2 / /mnt/share/disk rw,relatime - xfs /dev/sdb1 rw
42 22 0:42 / /srv/two\040words rw - cifs //files/share rw
43 22 8:3 / /late rw - ext4 /dev/sdc1 rw
44 43 0:44 / /late rw - fuse.sshfs host:/ rw
"""


@pytest.mark.parametrize(
    ("changed", "wanted", "says"),
    [
        ({}, "on", None),
        ({"synchronous_commit": "remote_apply"}, "on", None),
        ({"synchronous_standby_names": "ANY 1 (b)"}, "remote_apply", None),
        ({"fsync": "off"}, "on", "fsync"),
        ({"full_page_writes": "off"}, "on", "full_page_writes"),
        ({"synchronous_commit": "off"}, "on", "synchronous_commit"),
        ({"synchronous_commit": "local"}, "on", "synchronous_commit"),
        ({"synchronous_commit": "remote_write"}, "on", "synchronous_commit"),
        ({}, "remote_apply", "standby"),
    ],
)
def test_a_server_that_may_forget_is_objected_to(
    changed: dict[str, str], wanted: str, says: str | None
) -> None:
    found = objection({**SOUND, **changed}, wanted=wanted)
    assert (found is None) == (says is None)
    assert says is None or says in str(found)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/bursar/bursar.db", "ext4"),
        ("/mnt/share/bursar.db", "nfs4"),
        ("/mnt/share/disk/bursar.db", "xfs"),
        ("/mnt/shared/bursar.db", "ext4"),
        ("/srv/two words/bursar.db", "cifs"),
        ("/late/bursar.db", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_file_is_that_of_the_deepest_mount(path: str, kind: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == kind


async def test_sqlite_over_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path)
    database = open_database(settings.database_url)
    try:
        await require_durable(settings, database)
        mounts = tmp_path / "mountinfo"
        mounts.write_text(
            f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n40 22 0:40 / {tmp_path} rw - nfs4 files:/ rw\n"
        )
        monkeypatch.setattr(durability, "_MOUNTS", mounts)
        with pytest.raises(BadSetting, match="network"):
            await require_durable(settings, database)
    finally:
        await database.close()


@pytest.fixture
def forgetful_server() -> Iterator[PrivatePostgres]:
    require(PrivatePostgres.is_installed(), "PostgreSQL")
    with PrivatePostgres(is_durable=False) as server:
        yield server


async def test_a_real_server_without_fsync_is_refused_and_one_with_it_is_not(
    forgetful_server: PrivatePostgres, postgres_url: str, tmp_path: Path
) -> None:
    forgetful = forgetful_server.url(forgetful_server.create_database())
    for url, is_sound in ((postgres_url, True), (forgetful, False)):
        await migrate(url)
        settings = Settings(data_dir=tmp_path, database_url=url)
        database = open_database(url, synchronous_commit=settings.synchronous_commit)
        try:
            if is_sound:
                await require_durable(settings, database)
                continue
            with pytest.raises(BadSetting, match="fsync is off"):
                await require_durable(settings, database)
        finally:
            await database.close()


async def test_commits_wait_for_a_standby_where_they_are_told_to(postgres_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=postgres_url, synchronous_commit="remote_apply")
    database = open_database(postgres_url, synchronous_commit="remote_apply")
    try:
        with pytest.raises(BadSetting, match="standby"):
            await require_durable(settings, database)
    finally:
        await database.close()
