"""One installation for all journeys of a run: the simulator and the gateway, as people run them."""

from collections.abc import Iterator

import pytest

from tests.servers.bursar import Installation

LIMITS = {"requests/day": 100_000, "records/day": 10_000_000}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("installation")
    url = f"sqlite+aiosqlite:///{home / 'data' / 'bursar.db'}"
    generous = ("--requests-per-day", "100000", "--records-per-day", "10000000")
    with Installation(home, database_url=url, limits=LIMITS, simulator=generous) as opened:
        opened.start()
        yield opened


@pytest.fixture(autouse=True)
def _untouched_simulator(request: pytest.FixtureRequest) -> None:
    if "installation" not in request.fixturenames:
        return  # a journey with an installation of its own
    installation: Installation = request.getfixturevalue("installation")
    installation.control("POST", "reset")
