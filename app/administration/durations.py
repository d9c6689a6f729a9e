"""Times as people write them: whole seconds, minutes, hours or days, and days that are still included."""

import datetime as dt
import re
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_WRITTEN: Final = re.compile(r"([0-9]{1,9})\s*([smhd])?", re.ASCII)


def seconds_in(written: object) -> int:
    """The seconds. Good: `6h`, `90m`, `7d`, `0`, 3600. Bad: `1.5h`, `1 week`, -1. Raises ValueError."""
    if isinstance(written, int) and not isinstance(written, bool):
        written = str(written)
    found = _WRITTEN.fullmatch(written.strip().lower()) if isinstance(written, str) else None
    if found is None:
        raise ValueError(f"{written!r} is no time; write 90m, 6h or 7d, or a number of seconds")
    return int(found[1]) * _UNITS[found[2] or "s"]


def end_of(day: dt.date) -> dt.datetime:
    """The moment at which a day that is still included is over; of the calendar's last day, its last second."""
    if day == dt.date.max:
        return dt.datetime.max.replace(microsecond=0, tzinfo=dt.UTC)
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)


def spelled(seconds: int) -> str:
    """The seconds in the largest unit that they are a whole number of, as `seconds_in` reads it."""
    for unit, length in reversed(_UNITS.items()):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
