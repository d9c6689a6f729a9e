from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.administration.acts import apply_state
from app.administration.changes import Actor, local_operator
from app.administration.difference import Difference
from app.administration.minting import Mint
from app.administration.wanted import read_state_file
from app.sealing import MasterKey
from app.storage.engines import Database, open_database
from app.storage.registry import SqlRegistry
from tests.administration.scene import Scene
from tests.signing import boot

OPERATOR: Actor = local_operator(1000)


@dataclass
class Office:
    """An administration over a real database, and a state file to apply."""

    database: Database
    registry: SqlRegistry
    mint: Mint
    scene: Scene
    actor: Actor = OPERATOR

    async def apply(self, *, is_dry_run: bool = False, prune: bool = False) -> Difference:
        wanted = read_state_file(self.scene.path, {"TIKTOK_SECRET": "from-a-variable-9f3b"})
        return await apply_state(
            self.registry, self.mint, self.actor, wanted, is_dry_run=is_dry_run, prune=prune
        )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    directory = tmp_path / "scene"
    directory.mkdir()
    return Scene(directory)


@pytest.fixture
async def office(migrated_url: str, scene: Scene) -> AsyncIterator[Office]:
    database = open_database(migrated_url)
    registry = SqlRegistry(database=database, boot=boot("test", "0" * 16))
    mint = Mint(master=MasterKey(bytes(range(32))), pepper=b"p" * 32)
    yield Office(database, registry, mint, scene)
    await database.close()
