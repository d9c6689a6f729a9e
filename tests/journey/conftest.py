"""One installation for each module of journeys, and one for all tables of the wire: as people run them."""

from collections.abc import Iterator

import pytest

from tests.journey.failures import ALONE
from tests.journey.people import Cast, opened_wire
from tests.servers.bursar import Installation

LIMITS = {"requests/day": 100_000, "records/day": 10_000_000}


@pytest.fixture(scope="module")
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One with the module's `SETTINGS`, where it has any."""
    home = tmp_path_factory.mktemp("installation")
    url = f"sqlite+aiosqlite:///{home / 'data' / 'bursar.db'}"
    generous = ("--requests-per-day", "100000", "--records-per-day", "10000000")
    settings = getattr(request.module, "SETTINGS", {})
    with Installation(home, database_url=url, limits=LIMITS, simulator=generous, settings=settings) as opened:
        opened.start()
        yield opened


@pytest.fixture(scope="session")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """Whoever asks, and whom they ask, for the tables of the wire."""
    with opened_wire(tmp_path_factory.mktemp("wire"), more=ALONE) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _untouched_simulator(request: pytest.FixtureRequest) -> None:
    if "installation" not in request.fixturenames:
        return  # a journey with an installation of its own
    installation: Installation = request.getfixturevalue("installation")
    installation.control("POST", "reset")
