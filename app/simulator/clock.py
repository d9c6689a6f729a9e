"""The simulator's idea of now: the machine's time, moved by tests."""

import time
from datetime import UTC, datetime


class SimulatedClock:
    """Wall time plus a shift in seconds, which may be negative."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Show the machine's time again, and count `elapsed_s` from now."""
        self.shift_s = 0.0
        self._began_s = time.time()

    def now_s(self) -> float:
        """Unix seconds."""
        return time.time() + self.shift_s

    def elapsed_s(self) -> float:
        """Simulated seconds since the start or the last reset; negative where the clock was set back."""
        return self.now_s() - self._began_s

    def day(self) -> str:
        """The UTC day as `YYYY-MM-DD`: quota is counted by it."""
        return datetime.fromtimestamp(self.now_s(), UTC).date().isoformat()

    def stamp(self) -> str:
        """UTC time in 14 digits, as a `log_id` starts with."""
        return time.strftime("%Y%m%d%H%M%S", time.gmtime(self.now_s()))
