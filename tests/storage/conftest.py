"""What tests of storage share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.storage.engines import open_database
from tests.administration.scene import Scene
from tests.storage.keeping import Store


@pytest.fixture
async def store(migrated_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    database = open_database(migrated_url)
    directory = tmp_path / "scene"
    directory.mkdir()
    opened = Store(database, Scene(directory))
    try:
        await opened.apply()
        yield opened
    finally:
        await database.close()
