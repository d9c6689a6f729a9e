"""What the platform says of its own budget, and what follows: it is believed, and asked again with restraint.

Bursar counts what it sends, but the platform counts by rules that it does not publish, and somebody may use
the credential elsewhere. When it says 429 for the day although Bursar sees room, nothing more is sent until
its day ends, but for single probes: the first after a quarter of an hour, each next one after twice as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

FIRST_PROBE_AFTER: Final = timedelta(minutes=15)
LONGEST_BETWEEN_PROBES: Final = timedelta(hours=2)
"""A probe costs a request at worst, so a whole day of being wrong costs about a dozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """That the platform called one family of one credential used up on `day`.

    `counted_calls` and `counted_records` are what Bursar had charged by then: less than the limits is drift.
    """

    day: date
    said_at: datetime
    counted_calls: int
    counted_records: int
    probes: int
    next_probe_at: datetime


@dataclass(frozen=True, slots=True)
class Open:
    """Nothing stands against a call."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One call may go, to see whether the platform still says so; `mirror` is what holds meanwhile."""

    mirror: Mirror


@dataclass(frozen=True, slots=True)
class Closed:
    """No call may go."""

    mirror: Mirror


def look(mirror: Mirror | None, *, days: Sequence[date], now: datetime) -> Open | Probe | Closed:
    """Whether a call that counts on `days` may go."""
    if mirror is None or mirror.day < days[0]:
        return Open()
    if now < mirror.next_probe_at:
        return Closed(mirror)
    wait = min(FIRST_PROBE_AFTER * 2 ** min(mirror.probes + 1, 10), LONGEST_BETWEEN_PROBES)
    return Probe(
        Mirror(
            day=mirror.day,
            said_at=mirror.said_at,
            counted_calls=mirror.counted_calls,
            counted_records=mirror.counted_records,
            probes=mirror.probes + 1,
            next_probe_at=now + wait,
        )
    )


def believed(
    known: Mirror | None, *, day: date, now: datetime, counted_calls: int, counted_records: int
) -> Mirror:
    """What to keep once the platform has said that `day` is used up; a probe's answer changes nothing else."""
    if known is not None and known.day == day:
        return known
    return Mirror(
        day=day,
        said_at=now,
        counted_calls=counted_calls,
        counted_records=counted_records,
        probes=0,
        next_probe_at=now + FIRST_PROBE_AFTER,
    )
