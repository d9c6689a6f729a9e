"""Whether a master key is the one under which a database's data keys lie."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.administration.acts import apply_state
from app.administration.changes import local_operator
from app.administration.credentials import new_wrapped_key
from app.administration.minting import Mint
from app.administration.wanted import read_state_file
from app.errors import BadSetting
from app.sealing import MasterKey, following
from app.storage.engines import Database, open_database
from app.storage.registry import SqlRegistry
from app.storage.tables import CredentialRow, ProjectRow, table
from app.storage.wrapped_keys import objection, require_opens
from tests.administration.scene import Scene
from tests.signing import boot

pytestmark = pytest.mark.anyio

_project, _credential = table(ProjectRow), table(CredentialRow)
NOTHING_OPENS = "the master key opens nothing that is sealed in the database"


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    yield opened
    await opened.close()


@pytest.fixture
def master(tmp_path: Path) -> MasterKey:
    MasterKey.write_new(tmp_path / "master.key")
    return MasterKey.installed(tmp_path / "master.key")


async def applied(database: Database, master: MasterKey, directory: Path) -> None:
    wanted = read_state_file(Scene(directory).path, {})
    await apply_state(SqlRegistry(database=database, boot=boot()), Mint.of(master), local_operator(0), wanted)


async def said(database: Database, master: MasterKey) -> str | None:
    return await database.read(lambda conn: objection(conn, master))


async def test_any_key_is_good_for_a_database_in_which_nothing_is_sealed(
    database: Database, master: MasterKey
) -> None:
    assert await said(database, master) is None


async def test_another_key_is_told_from_the_one_in_force(
    database: Database, master: MasterKey, tmp_path: Path
) -> None:
    await applied(database, master, tmp_path)
    other = MasterKey.write_new(tmp_path / "other.key")
    assert await said(database, master) is None
    assert await said(database, other) == NOTHING_OPENS
    await require_opens(database, master, tmp_path / "master.key")
    with pytest.raises(BadSetting, match=r"other\.key opens nothing"):
        await require_opens(database, other, tmp_path / "other.key")


async def test_while_a_key_is_renewed_the_old_and_the_new_are_both_good(
    database: Database, master: MasterKey, tmp_path: Path
) -> None:
    old = MasterKey.from_file(tmp_path / "master.key")
    await applied(database, MasterKey.write_new(following(tmp_path / "master.key")), tmp_path)
    assert await said(database, master) is None, "the next key lies beside it"
    assert await said(database, old) == NOTHING_OPENS


async def test_one_data_key_that_opens_is_enough_and_retired_ones_count_for_nothing(
    database: Database, master: MasterKey, tmp_path: Path
) -> None:
    await applied(database, master, tmp_path)
    lost = sa.update(_credential).values(wrapped_key=new_wrapped_key(master, "credential", "another"))
    await database.write(lambda conn: conn.execute(lost))
    assert await said(database, master) is None
    emptied = [
        sa.update(_credential).values(wrapped_key=b""),
        sa.update(_project).values(wrapped_data_key=b""),
    ]
    await database.write(lambda conn: [conn.execute(each) for each in emptied])
    assert await said(database, MasterKey.write_new(tmp_path / "other.key")) is None
