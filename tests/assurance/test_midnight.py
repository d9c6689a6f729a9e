"""Load across 00:00 UTC, with the platform's clock ahead or behind: no day is overspent, and none is lost."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.assurance.outages import settled
from tests.servers.bursar import Installation, state
from tests.servers.load import Told, ask_all, lookups

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_GENEROUS = ("--requests-per-day", "10000000", "--records-per-day", "10000000")
_DAY_S = 86_400
_SPENT = (429, "daily_quota_limit_exceeded")
_SENT = ((200, "ok"), (400, "invalid_params"))
"""What the platform answers, and counts: a profile, or that there is no such user."""
_MARGIN_S = 5.0
_IN_FLIGHT = 64
_FASTEST = 500
_LEAD_S, _TAIL_S = 7.0, 9.0
"""How long before and after midnight the load goes on."""


class Nights:
    """An installation whose clock is moved so that midnight comes when it is wanted."""

    def __init__(self, installation: Installation, *, skew_s: float) -> None:
        self._installation = installation
        self._skew_s = skew_s
        self._key = installation.key()["api_key"]
        self._questions = self._ever_other_questions()
        self._nights = 0
        self._patience_s = 4.0
        self.midnight_s = 0.0
        """When it is midnight for the gateway, on this machine's clock."""

    def begin(self, *, lead_s: float) -> None:
        """Start the gateway anew, ready that long before a midnight at the latest."""
        while self._patience_s < 120:
            if self._installation.gateway is not None:
                self._installation.gateway.stop()
            self._nights += 1
            # Two days on, so that no day is met again, and nothing that is held may be served.
            midnight_s = (time.time() // _DAY_S + 2 * self._nights) * _DAY_S
            offset_s = midnight_s - lead_s - self._patience_s - time.time()
            self._installation.environ["BURSAR_CLOCK_OFFSET_S"] = str(offset_s)
            self._installation.control("POST", "clock", shift_s=offset_s + self._skew_s)
            self._installation.start()
            self.midnight_s = midnight_s - offset_s
            if time.time() <= self.midnight_s - lead_s:
                self._patience_s = max(4.0, self._patience_s / 1.5)
                return
            # Nor will the next one start much sooner.
            self._patience_s *= 2
        raise AssertionError("the gateway never started in time")

    @property
    def days(self) -> tuple[str, str]:
        """The day that ends and the one that begins."""
        offset_s = float(self._installation.environ["BURSAR_CLOCK_OFFSET_S"])
        ends, begins = (
            time.strftime("%Y-%m-%d", time.gmtime(self.midnight_s + offset_s + off_s)) for off_s in (-1, 1)
        )
        return ends, begins

    async def rate(self) -> int:
        """Calls a second that this machine takes, 500 at most."""
        self.begin(lead_s=0)
        began_s = time.monotonic()
        calls = len(await self.ask(10 * _IN_FLIGHT))
        return min(_FASTEST, int(calls / (time.monotonic() - began_s)))

    async def until(self, off_s: float) -> None:
        """Wait until so many seconds from midnight."""
        await asyncio.sleep(max(0.0, self.midnight_s + off_s - time.time()))

    async def ask(self, calls: int) -> list[Told]:
        """That many calls, each about something else."""
        questions = itertools.islice(self._questions, calls)
        return await ask_all(self._installation.base_url, self._key, questions, in_flight=_IN_FLIGHT)

    async def ask_across(self, *, per_second: float) -> list[Told]:
        """Calls from before midnight until after it, as many as can be made within that time."""
        await self.until(-_LEAD_S)
        questions = (
            question
            for question in itertools.islice(self._questions, int(per_second * (_LEAD_S + _TAIL_S)))
            if time.time() < self.midnight_s + _TAIL_S
        )
        return await ask_all(
            self._installation.base_url, self._key, questions, in_flight=_IN_FLIGHT, per_second=per_second
        )

    async def spend_the_rest(self) -> list[Told]:
        """Calls until there is no more."""
        answers: list[Told] = []
        async with asyncio.timeout(600):
            while True:
                answers += await self.ask(_IN_FLIGHT)
                if all((each.status, each.code) == _SPENT for each in answers[-_IN_FLIGHT:]):
                    return answers

    async def check(self, answers: list[Told], *, limit: int) -> None:
        """Neither of the platform's days holds more than the limit, and the new one was there to be spent."""
        told = Counter((each.status, each.code) for each in answers)
        counted = self._installation.upstream()["days"]
        ends, begins = (counted.get(day, {"requests": 0})["requests"] for day in self.days)
        assert sum(told[each] for each in _SENT) <= ends + begins <= told.total() - told[_SPENT]
        assert ends <= limit
        assert begins <= limit
        ledger = await settled(self._installation)
        assert ledger.requests_reserved == 0
        assert ledger.used_of_day[self.days[1]] == limit
        assert ledger.used_of_day[self.days[0]] <= limit

    @staticmethod
    def _ever_other_questions() -> Iterator[tuple[str, bytes]]:
        number = 0
        while True:
            yield from lookups(number, number + 1_000)
            number += 1_000


async def load_across_midnight(nights: Nights, *, rate: float, limit: int) -> int:
    """How many calls came about from 7 s before to 9 s after; of the old day there is enough until it has ended."""
    nights.begin(lead_s=_LEAD_S)
    answers = await nights.ask_across(per_second=rate)
    across = len(answers)
    await nights.until(_MARGIN_S + 0.5)
    answers += await nights.spend_the_rest()
    await nights.check(answers, limit=limit)
    return across


async def test_a_midnight_with_the_platform_ahead_on_sqlite(tmp_path: Path) -> None:
    limits = {"requests/day": 500, "records/day": 1_000_000}
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    with Installation(tmp_path, database_url=url, simulator=_GENEROUS, limits=limits) as installation:
        await load_across_midnight(Nights(installation, skew_s=2), rate=50, limit=500)


async def test_a_midnight_with_the_platform_behind_on_postgresql(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    limits = {"requests/day": 500, "records/day": 1_000_000}
    with Installation(
        tmp_path,
        database_url=postgres_url,
        redis_url=redis_url,
        workers=2,
        simulator=_GENEROUS,
        limits=limits,
    ) as installation:
        await load_across_midnight(Nights(installation, skew_s=-2), rate=50, limit=500)


async def test_calls_that_wait_for_their_turn_across_the_last_seconds_are_not_sent_on_a_day_not_charged(
    tmp_path: Path,
) -> None:
    limits = {"requests/day": 300, "records/day": 1_000_000}
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    in_line = {"BURSAR_UPSTREAM_CALLS_PER_SECOND": "16"}
    with Installation(
        tmp_path, database_url=url, simulator=_GENEROUS, limits=limits, settings=in_line
    ) as installation:
        nights = Nights(installation, skew_s=2)
        nights.begin(lead_s=7)
        await nights.until(-_MARGIN_S - 0.7)
        # Reserved on the day that ends, and 4 s in the line: for the platform it is the next day by then.
        answers = await nights.ask(_IN_FLIGHT)
        assert _SPENT not in {(each.status, each.code) for each in answers}
        await nights.until(_MARGIN_S + 0.5)
        answers += await nights.spend_the_rest()
        await nights.check(answers, limit=300)


@pytest.mark.long
@pytest.mark.timeout(3 * 3_600)
@pytest.mark.parametrize("skew_s", [-2.0, 2.0])
async def test_a_hundred_midnights_at_five_hundred_calls_a_second_or_what_the_machine_takes(
    tmp_path: Path, postgres_url: str, redis_url: str, skew_s: float
) -> None:
    limits = {"requests/day": 10 * _FASTEST, "records/day": 100_000_000}
    with Installation(
        tmp_path,
        database_url=postgres_url,
        redis_url=redis_url,
        workers=2,
        simulator=_GENEROUS,
        limits=limits,
    ) as installation:
        nights = Nights(installation, skew_s=skew_s)
        rate = await nights.rate()
        limit = 10 * rate
        room = {**limits, "requests/day": limit}
        installation.apply(**state(installation.simulator_url, limits=room))
        for night in range(1, 101):
            across = await load_across_midnight(nights, rate=rate, limit=limit)
            print(f"midnight {night}, platform off by {skew_s} s: {across} calls, {rate} a second at most")
