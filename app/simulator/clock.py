"""The simulator's idea of now: the machine's time, moved by tests."""

import time
from datetime import UTC, datetime


class SimulatedClock:
    """Wall time plus a shift in seconds, which may be negative."""

    def __init__(self) -> None:
        self.shift_s = 0.0

    def now_s(self) -> float:
        """Unix seconds."""
        return time.time() + self.shift_s

    def day(self) -> str:
        """The UTC day as `YYYY-MM-DD`: quota is counted by it."""
        return datetime.fromtimestamp(self.now_s(), UTC).date().isoformat()

    def stamp(self) -> str:
        """UTC time in 14 digits, as a `log_id` starts with."""
        return time.strftime("%Y%m%d%H%M%S", time.gmtime(self.now_s()))
