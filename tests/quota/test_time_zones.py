"""The same calls at the same moments come to the same, wherever the clocks on the wall are."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers.postgres import PrivatePostgres

FARTHEST_APART = ("Pacific/Kiritimati", "Pacific/Niue")
WITH_SUMMER_TIME = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def told_in(zone: str, url: str, *, seed: int) -> bytes:
    """Everything that the sequence is told by a process of that zone."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.quota.zone_sequence", url, str(seed)],
        env={**os.environ, "TZ": zone, "PGTZ": zone},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def told_in_utc(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('utc') / 'bursar.db'}"
    told = told_in("UTC", url, seed=7)
    # It has met limits that ran out, both days of a midnight, and leases that ended.
    for word in (
        b"Quota used up",
        b'["2028-02-28", "2028-02-29"]',
        b"crash_unknown",
        b"2028-01-01T00:00:00+00:00",
    ):
        assert word in told
    return told


def test_every_zone_comes_to_the_same_on_sqlite(told_in_utc: bytes, tmp_path: Path) -> None:
    zones = [*FARTHEST_APART, *WITH_SUMMER_TIME]
    urls = [f"sqlite+aiosqlite:///{tmp_path / str(place)}.db" for place in range(len(zones))]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda zone, url: told_in(zone, url, seed=7), zones, urls))
    assert [zone for zone, told in zip(zones, answers, strict=True) if told != told_in_utc] == []


@pytest.mark.parametrize("zone", FARTHEST_APART)
def test_every_zone_of_the_server_comes_to_the_same_on_postgresql(
    told_in_utc: bytes, postgres_server: PrivatePostgres, zone: str
) -> None:
    name = postgres_server.create_database()
    postgres_server.set_time_zone(name, zone)
    assert told_in(zone, postgres_server.url(name), seed=7) == told_in_utc
    postgres_server.drop_database(name)
