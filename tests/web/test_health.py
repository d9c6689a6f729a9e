"""What `/readyz` says of a process that cannot serve, or not everything."""

from pathlib import Path

import pytest

from app.administration.changes import local_operator
from app.sealing import following
from app.storage.rotating import rotate_master_key
from tests.web.conftest import House

pytestmark = pytest.mark.anyio


async def test_a_process_whose_master_key_opens_nothing_any_more_says_so_until_the_new_one_comes(
    house: House, tmp_path: Path
) -> None:
    path = house.installation.settings.master_key_path
    old = path.read_bytes()
    assert (await house.client.get("/readyz")).json() == {"status": "ready", "problems": []}
    await rotate_master_key(house.installation.settings, local_operator(0), overlap_s=60)
    assert (await house.client.get("/readyz")).status_code == 200, "it follows its file"

    # Renewed by another machine, from which the new key has not come yet; this process started with the old one.
    new = path.rename(tmp_path / "new.key")
    path.write_bytes(old)
    path.chmod(0o400)
    assert not following(path).exists()
    answer = await house.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["the master key opens nothing that is sealed in the database"]
    assert "bursar_ready 0.0" in (await house.client.get("/metrics")).text

    new.replace(path)
    assert (await house.client.get("/readyz")).status_code == 200
