"""How long something took, counted in buckets: cheap enough for every request, and free of any metrics library."""

from bisect import bisect_left
from itertools import accumulate
from typing import Final

BOUNDS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 250.0),
)
"""Upper bounds of the buckets in seconds; the last is the longest that a platform call may take."""


class Timings:
    """Durations of one kind of step in this process."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """One step took so long."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    def cumulative(self) -> list[int]:
        """How many took at most each bound of `BOUNDS_S`, and at last how many there were."""
        return list(accumulate(self._counts))
