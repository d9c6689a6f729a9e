"""The time, handed to whoever needs it; nothing below the composition root asks the system itself."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time for dates and entries, monotonic time for durations."""

    def now(self) -> datetime:
        """The present, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's clocks; `offset_s` shifts wall time, for tests against a simulator alone."""

    def __init__(self, *, offset_s: float = 0.0) -> None:
        self._offset = timedelta(seconds=offset_s)

    def now(self) -> datetime:
        """The present, in UTC."""
        return datetime.now(UTC) + self._offset

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()
