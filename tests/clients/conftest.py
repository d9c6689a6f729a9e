"""Simulator and gateway for these tests, with people and projects of every kind that they need.

Modules with the same `SETTINGS` share one installation of the process that runs them.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.clients.cast import R
from tests.clients.places import Place, opened
from tests.clients.sides import Log, Side
from tests.clients.subjects import Subjects
from tests.servers.bursar import Installation


@pytest.fixture(autouse=True, scope="session")
def _r_ends_with_the_tests() -> Iterator[None]:
    yield
    R.close()


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict[str, str]], Place]]:
    """The installation with these settings, started once."""
    known: dict[str, Place] = {}
    with ExitStack() as stack:

        def place(settings: dict[str, str]) -> Place:
            name = repr(sorted(settings.items()))
            if name not in known:
                home = tmp_path_factory.mktemp("clients")
                known[name] = stack.enter_context(opened(home, settings))
            return known[name]

        yield place


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, places: Callable[[dict[str, str]], Place]) -> Place:
    return places(getattr(request.module, "SETTINGS", {}))


@pytest.fixture(scope="module")
def installation(place: Place) -> Installation:
    return place.installation


@pytest.fixture
def direct(place: Place) -> Side:
    """The simulator, as it was at its start."""
    place.start_anew()
    return place.direct


@pytest.fixture(scope="module")
def through_bursar(place: Place) -> Side:
    return place.through("elections")


@pytest.fixture(scope="module")
def subjects(place: Place) -> Subjects:
    return place.subjects


@pytest.fixture(scope="module")
def log(place: Place) -> Log:
    return place.log
