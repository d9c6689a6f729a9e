"""How a day's budget burns down, and when it will be used up: pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LOOKED_BACK: Final = timedelta(hours=3)
"""The pace of a forecast is that of the last three hours, or of the day as far as it is shorter."""
_SHORTEST: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What goes on at this pace: `by_midnight` in all, and the moment at which nothing is left, if that comes today."""

    per_hour: float
    by_midnight: int
    used_up_at: datetime | None


def forecast(
    spent: Sequence[tuple[datetime, int]], *, used: int, amount: int, midnight: datetime, now: datetime
) -> Forecast:
    """The rest of the day that began at `midnight` (UTC), from what was spent when.

    `used` is what the ledger counts, which may be more than the moments tell, since promises count as well.
    """
    since = max(midnight, now - LOOKED_BACK)
    span = max(now - since, _SHORTEST)
    per_hour = sum(each for at, each in spent if at >= since) / (span / timedelta(hours=1))
    end = midnight + timedelta(days=1)
    hours_left = max(0.0, (end - now) / timedelta(hours=1))
    by_midnight = min(amount, used + round(per_hour * hours_left))
    if used >= amount:
        return Forecast(per_hour=per_hour, by_midnight=amount, used_up_at=now)
    used_up_at = now + timedelta(hours=(amount - used) / per_hour) if per_hour > 0 else end
    return Forecast(
        per_hour=per_hour, by_midnight=by_midnight, used_up_at=used_up_at if used_up_at < end else None
    )
