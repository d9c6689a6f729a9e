"""What `/readyz` says of a process that cannot serve, or not everything."""

from pathlib import Path

import pytest

from app.administration.changes import local_operator
from app.sealing import following
from app.storage.rotating import rotate_master_key
from tests.web.conftest import House, opened_house
from tests.web.test_held_only import look_up

pytestmark = pytest.mark.anyio

READY = {"status": "ready", "problems": [], "warnings": []}


async def test_a_process_whose_master_key_opens_nothing_any_more_says_so_until_the_new_one_comes(
    house: House, tmp_path: Path
) -> None:
    path = house.installation.settings.master_key_path
    old = path.read_bytes()
    assert (await house.client.get("/readyz")).json() == READY
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


async def test_on_a_disk_that_is_almost_full_calls_are_refused_and_the_process_says_why_and_stays_in_service(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    async with opened_house(tmp_path, url, disk_warn_percent=1, disk_refuse_percent=100) as house:
        disk = house.installation.disk
        assert disk is not None
        assert "bursar_log_disk_full 0.0" in (await house.client.get("/metrics")).text
        assert (await house.client.get("/readyz")).json() == READY
        disk._refuse_percent = 0  # what the next look finds, each second
        disk.look()
        refused = await look_up(house, "grace")
        assert (refused.status_code, "almost full" in refused.text) == (503, True)
        # What needs nothing of the platform is answered, and logged.
        assert (await look_up(house, "grace", "only-if-cached")).status_code == 504

        answer = await house.client.get("/readyz")
        assert (answer.status_code, answer.json()["problems"]) == (200, [])
        (said,) = answer.json()["warnings"]
        assert said.startswith("the disk that holds the log is almost full")
        told = (await house.client.get("/metrics")).text
        for line in ("bursar_ready 1.0", "bursar_log_unwritable 0.0", "bursar_log_disk_full 1.0"):
            assert f"\n{line}\n" in told

        disk.spend()
        answer = await house.client.get("/readyz")
        assert (answer.status_code, answer.json()["warnings"]) == (503, [])
        assert "has no room" in answer.json()["problems"][0]
