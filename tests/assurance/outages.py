"""Load that goes on while something happens to the database, and what must hold of the log afterwards."""

import asyncio
from collections.abc import Iterator

from tests.assurance.ledgers import Ledger, read_ledger
from tests.servers.bursar import Installation, call
from tests.servers.load import Told, ask_all, lookups

LIMITS = {"requests/day": 1_000_000, "records/day": 1_000_000}
GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "1000000")
WITHIN_S = 30.0
_IN_FLIGHT = 16


class Load:
    """Look-ups by several callers at once, half of them held, until it is told to end; every answer is kept."""

    def __init__(self, installation: Installation, key: str, *, first: int) -> None:
        self._is_over = asyncio.Event()
        self.answers: list[Told] = []
        self._next = first
        self._task = asyncio.ensure_future(
            ask_all(installation.base_url, key, self._questions(), in_flight=_IN_FLIGHT, into=self.answers)
        )

    def _questions(self) -> Iterator[tuple[str, bytes]]:
        while not self._is_over.is_set():
            yield from lookups(self._next, self._next + 1)
            yield from lookups(1, 2)
            self._next += 1

    async def answered(self, more: int) -> None:
        """Return when so many more were answered well; fails when they do not come."""
        wanted = more + self._good()
        async with asyncio.timeout(WITHIN_S):
            while self._good() < wanted:
                await asyncio.sleep(0.02)

    def _good(self) -> int:
        return sum(each.index >= 0 for each in self.answers)

    async def end(self) -> list[Told]:
        self._is_over.set()
        return await asyncio.wait_for(self._task, timeout=60)


async def until_status(installation: Installation, path: str, status: int) -> None:
    """Return once the path answers so; fails when it does not within a generous time."""
    async with asyncio.timeout(WITHIN_S):
        while (await asyncio.to_thread(call, installation.port, "GET", path))[0] != status:
            await asyncio.sleep(0.1)


async def settled(installation: Installation) -> Ledger:
    async with asyncio.timeout(WITHIN_S):
        while True:
            ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
            if ledger.open_reservations == 0:
                return ledger
            await asyncio.sleep(0.2)


def check(ledger: Ledger, answers: list[Told], *, upstream: int) -> None:
    """No answer without its entry, no call without an intent, no intent without its end, nothing charged for nothing."""
    for answer in answers:
        if answer.status != 503:
            assert ledger.ids[answer.index] == answer.log_id
        else:
            assert (answer.code, answer.index) == ("internal_error", -1)
            assert b"audit_unavailable: " in answer.body
            assert 5 <= (answer.retry_after_s or 0) <= 30
    assert ledger.unclosed() == []
    assert ledger.requests_used == upstream
    assert upstream <= sum(entry["type"] == "intent" for entry in ledger.entries)
    assert "crash_unknown" not in {entry.get("err") for entry in ledger.entries}
