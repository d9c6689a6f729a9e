"""How many hits a question has a day, and what follows for days that nobody has asked about: pure.

A *stretch* is a time of which it is known how many positions fell into it. Days that no stretch covers are
taken to bring as much as the stretches nearest to them, and the range around that grows with the distance
and with how little was counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import median
from typing import Final

from app.provider.spans import INDEX_DELAY_S, Span
from app.quota.tallies import Tally

_DAY_S: Final = 86_400.0
_NEAR_DAYS: Final = 45.0
"""Half as far again as a window is long: what lies further away counts for little."""
_SHORTEST_DAYS: Final = 0.01
_SIGMAS: Final = 2.0
_FEW_SAY_LITTLE: Final = 16
"""Of n values that were seen, the next lies outside their range twice in n + 1 times; chosen so that it lies inside
the widened range nine times in ten for the simulator's questions."""
_INSIDE: Final = 1.35
"""How much more or less a part of a stretch may have than its share of it."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number that is not known exactly; low is at most likely, and likely at most high."""

    low: float
    likely: float
    high: float

    def __iter__(self) -> Iterator[float]:
        return iter((self.low, self.likely, self.high))

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def times(self, factor: float) -> "Amount":
        """So many times as much."""
        return Amount(self.low * factor, self.likely * factor, self.high * factor)

    def at_least(self, floor: float) -> "Amount":
        """The amount, no part of it below `floor`."""
        return Amount(max(self.low, floor), max(self.likely, floor), max(self.high, floor))

    def at_most(self, ceiling: float) -> "Amount":
        """The amount, no part of it above `ceiling`."""
        return Amount(min(self.low, ceiling), min(self.likely, ceiling), min(self.high, ceiling))


NOTHING: Final = Amount(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """That `positions` hits fell between two moments, in Unix seconds."""

    since_s: float
    until_s: float
    positions: int

    @property
    def days(self) -> float:
        """How long it is."""
        return (self.until_s - self.since_s) / _DAY_S

    @property
    def density(self) -> float:
        """Positions a day; half a hit is added, so that an empty stretch does not say never."""
        return (self.positions + 0.5) / self.days


def stretches_of(tally: Tally | None, span: Span | None) -> list[Stretch]:
    """What a tally says of how the hits of its span are spread, the longest stretch first."""
    found: list[Stretch] = []
    if tally is None or span is None:
        return found
    for crawl in (tally.whole, tally.last):
        if crawl is not None and (crawl.is_whole or crawl.oldest_s is not None):
            since_s = None if crawl.is_whole else crawl.oldest_s
            found += stretch_of(span, crawl.positions, since_s=since_s, at_s=crawl.at_us / 1_000_000)
    return sorted(found, key=lambda each: -each.days)


def stretch_of(span: Span, positions: int, *, since_s: int | None, at_s: float) -> list[Stretch]:
    """The stretch of a span from `since_s` on that was counted at `at_s`; none where that is too short."""
    first_s, last_s = span.seconds
    begin_s = first_s if since_s is None else max(first_s, since_s)
    stretch = Stretch(begin_s, min(last_s, at_s - INDEX_DELAY_S), positions)
    return [stretch] if stretch.days > _SHORTEST_DAYS else []


def by_days(span: Span, stretches: Sequence[Stretch], now_s: float) -> Amount:
    """The hits in a span, day by day from the stretches that cover a day, else from those around."""
    whole, inside, without = 0.0, 0.0, []
    since_s, until_s = span.seconds
    near = [each for each in stretches if each.since_s < until_s and each.until_s > since_s]
    for day_s in range(int(since_s), int(min(until_s, now_s)), int(_DAY_S)):
        end_s = min(day_s + _DAY_S, now_s)
        best = max(near, key=lambda each: _shared(each, day_s, end_s), default=None)
        shared_s = 0.0 if best is None else _shared(best, day_s, end_s)
        if best is not None and shared_s > 0:
            hits = best.positions * shared_s / (best.until_s - best.since_s)
            is_inside = best.since_s >= since_s and best.until_s <= until_s
            whole, inside = (whole + hits, inside) if is_inside else (whole, inside + hits)
        if end_s - day_s - shared_s > 1:
            without.append((day_s, end_s - day_s - shared_s))
    counted = Amount(whole * 0.97, whole, whole * 1.03 + 1)
    return counted + _banded(inside, _INSIDE, 0.0) + _around(without, stretches)


def by_density(seen: Sequence[float]) -> Amount:
    """The range of what was seen, wider the less often something was seen."""
    factor = 1 + _FEW_SAY_LITTLE / len(seen)
    return Amount(min(seen) / factor, median(seen), max(seen) * factor)


def _shared(stretch: Stretch, since_s: float, until_s: float) -> float:
    return max(0.0, min(stretch.until_s, until_s) - max(stretch.since_s, since_s))


def _banded(hits: float, factor: float, more: float) -> Amount:
    low, high = hits / factor, hits * factor
    return Amount(max(0.0, low - _SIGMAS * sqrt(low)), hits, high + _SIGMAS * sqrt(high) + more)


def _around(without: Sequence[tuple[float, float]], stretches: Sequence[Stretch]) -> Amount:
    """The hits of days that no stretch covers, of which each is its begin and the seconds that are open."""
    if not without:
        return NOTHING
    open_days = sum(seconds for _, seconds in without) / _DAY_S
    middle_s = sum(begin * seconds for begin, seconds in without) / sum(seconds for _, seconds in without)
    apart = [abs((each.since_s + each.until_s) / 2 - middle_s) / _DAY_S for each in stretches]
    nearest = min(apart)
    weights = [exp(-(distance - nearest) / _NEAR_DAYS) for distance in apart]
    counted = sum(weight * each.positions for weight, each in zip(weights, stretches, strict=True))
    days = sum(weight * each.days for weight, each in zip(weights, stretches, strict=True))
    hits = counted / days * open_days
    factor = 1.25 + min(nearest, 400.0) / 120
    # A short time says little of a long one: hours and weekdays differ.
    factor *= 1.4 if days < 1 else 1.2 if days < 7 else 1.0
    factor *= 1 + _SIGMAS / sqrt(counted + 1)
    return _banded(hits, factor, 3.0 * open_days / days if counted < 3 else 0.0)
