"""One simulator and one gateway for each module here, with a person who reads the log."""

from collections.abc import Iterator

import pytest

from tests.clients.cast import R
from tests.clients.sides import Log, Side, direct_to, through
from tests.clients.subjects import Subjects
from tests.servers.bursar import Installation, state

LIMITS = {"requests/day": 100_000, "records/day": 10_000_000}
READER = {"email": "dana@example.edu", "name": "Dana Hill", "roles": ["compliance"]}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("clients")
    generous = ("--requests-per-day", "100000", "--records-per-day", "10000000")
    with Installation(home, limits=LIMITS, simulator=generous) as opened:
        people = state(opened.simulator_url, limits=LIMITS)["people"]
        opened.apply(people=[*people, READER])
        opened.start()
        yield opened


@pytest.fixture
def direct(installation: Installation) -> Side:
    """The simulator, as it was at its start."""
    installation.control("POST", "reset")
    return direct_to(installation)


@pytest.fixture(scope="module")
def through_bursar(installation: Installation) -> Side:
    return through(installation)


@pytest.fixture(scope="module")
def log(installation: Installation) -> Log:
    return Log(installation)


@pytest.fixture(scope="module")
def subjects(installation: Installation) -> Subjects:
    return Subjects(installation, direct_to(installation))


@pytest.fixture(autouse=True, scope="session")
def _r_ends_with_the_tests() -> Iterator[None]:
    yield
    R.close()
