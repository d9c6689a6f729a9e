"""One installation with all that the tests of this package find there."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.clients.sides import Log, Side, direct_to, through
from tests.clients.subjects import Subjects
from tests.servers.bursar import Installation, call, more_account, state

_GENEROUS = {
    "requests/day": 100_000,
    "records/day": 10_000_000,
    "follower_calls/day": 100_000,
    "follower_records/day": 10_000_000,
    "ad_calls/day": 100_000,
    "ad_records/day": 10_000_000,
}
_CALLS = ("requests/day", "follower_calls/day", "ad_calls/day")
_NOTHING, _TWO = dict.fromkeys(_CALLS, 0), dict.fromkeys(_CALLS, 2)
_OVER = {"reference": "R-2024-003", "from": "2024-01-01", "until": "2024-12-31"}
_READER = {"email": "dana@example.edu", "name": "Dana Hill", "roles": ["compliance"]}
_SIMULATOR = [
    option
    for name in ("requests", "records", "follower-calls", "follower-records")
    for option in (f"--{name}-per-day", "10000000")
]


class Place:
    """Simulator and gateway, and who may ask what there."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.direct = direct_to(installation)
        self.subjects = Subjects(installation, self.direct)
        self._sides: dict[str, Side] = {}

    @cached_property
    def log(self) -> Log:
        """Bursar's log."""
        return Log(self.installation)

    def through(self, project: str) -> Side:
        """Bursar, as a member of `project` sees it.

        `elections` and `climate` may do everything, `spent` has a quota of nothing and `hasty` none for a minute, `one` has one of a single
        call, `two-1`, `two-2` and so on have one of two, `over` has an approval that has ended, and `drained` another credential at the same platform.
        """
        if project not in self._sides:
            email = "cleo@example.edu" if project == "climate" else "ada@example.edu"
            self._sides[project] = through(self.installation, project=project, email=email)
        return self._sides[project]

    def advance(self, seconds: float) -> None:
        """Start the gateway again, with its clock so much further than now."""
        gateway, environ = self.installation.gateway, self.installation.environ
        assert gateway is not None
        gateway.stop()
        offset_s = float(environ.get("BURSAR_CLOCK_OFFSET_S", "0")) + seconds
        environ["BURSAR_CLOCK_OFFSET_S"] = str(offset_s)
        self.installation.start()

    def turn(self, **knobs: Any) -> None:
        """Let the simulator behave so until it starts anew."""
        self.installation.control("POST", "knobs", **knobs)

    def journal(self) -> list[dict[str, Any]]:
        """What the simulator was asked since its start, and how it answered."""
        body = call(self.installation.simulator_port, "GET", "/_sim/journal")[2]
        requests: list[dict[str, Any]] = json.loads(body)["requests"]
        return requests

    def start_anew(self) -> None:
        """Let the simulator be as it was at its start: no faults, no tokens, nothing deleted."""
        self.installation.control("POST", "reset")


@contextmanager
def opened(home: Path, settings: Mapping[str, str]) -> Iterator[Place]:
    """A place in processes of its own."""
    with Installation(
        home, limits=_GENEROUS, simulator=_SIMULATOR, settings=settings, more_accounts=1
    ) as installation:
        installation.apply(**_people_and_projects(installation))
        installation.start()
        yield Place(installation)


def _people_and_projects(installation: Installation) -> dict[str, Any]:
    wanted = state(installation.simulator_url, limits=_GENEROUS)
    elections, credential = wanted["projects"][0], wanted["credentials"][0]
    two = [{**elections, "name": f"two-{n}", "limits": {**_GENEROUS, **_TWO}} for n in range(1, 6)]
    return {
        "credentials": [credential, {**credential, "name": "drained", "client_key": more_account(0)}],
        "people": [*wanted["people"], _READER],
        "projects": [
            *wanted["projects"],
            {**elections, "name": "spent", "limits": {**_GENEROUS, **_NOTHING}},
            {**elections, "name": "hasty", "limits": {**_GENEROUS, "calls/minute": 0}},
            *two,
            {**elections, "name": "one", "limits": {**_GENEROUS, "requests/day": 1}},
            {**elections, "name": "over", "approval": _OVER},
            {**elections, "name": "drained", "credential": "drained"},
        ],
    }
