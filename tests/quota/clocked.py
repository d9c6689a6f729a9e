"""Any database, with a clock that a test sets."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy.engine import Connection

from app.storage.engines import Database

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us_of(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class SetClock:
    """Wall time that a test sets, backwards too; what is monotonic only follows it forwards."""

    def __init__(self, us: int) -> None:
        self._us = us
        self._monotonic_us = us

    @property
    def us(self) -> int:
        """Microseconds since 1970 UTC."""
        return self._us

    def set(self, us: int) -> None:
        """Make it that moment."""
        self._monotonic_us += max(0, us - self._us)
        self._us = us

    def now(self) -> datetime:
        """The present, in UTC."""
        return _EPOCH + timedelta(microseconds=self._us)

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return self._monotonic_us / 1_000_000


class ClockedDatabase:
    """A real database whose `now_us` is the test's clock."""

    def __init__(self, database: Database, clock: SetClock) -> None:
        self._database = database
        self._clock = clock
        self.dialect = database.dialect

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, from one snapshot."""
        return await self._database.read(work)

    async def write(
        self, work: Callable[[Connection], T], *, committed: Callable[[T], object] | None = None
    ) -> T:
        """What `work` returns, once its changes are durable."""
        return await self._database.write(work, committed=committed)

    def now_us(self, conn: Connection) -> int:
        """The test's clock."""
        return self._clock.us

    async def close(self) -> None:
        """Give back every connection and thread."""
        await self._database.close()
