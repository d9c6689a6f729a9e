"""What the platform counts of each client by UTC day, and the point from which it refuses (facts 4)."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.simulator.answers import ApiError
from app.simulator.clock import SimulatedClock

Family = Literal["main", "graph", "ads"]
"""The daily quotas: facts 4 has the first two; whether the ads library has one of its own is undocumented."""

_PREFIXES: dict[Family, str] = {"main": "", "graph": "follower_", "ads": "ad_"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a client may spend in one family on one day."""

    requests: int
    records: int


@dataclass(slots=True, kw_only=True)
class _Spent:
    """What went to the endpoints of one family."""

    requests: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)

    def has_reached(self, allowance: Allowance) -> bool:
        return self.requests.total() >= allowance.requests or self.records.total() >= allowance.records


@dataclass(slots=True, kw_only=True)
class _Day:
    families: dict[Family, _Spent] = field(default_factory=lambda: {family: _Spent() for family in _PREFIXES})
    refused: int = 0

    def add(self, other: "_Day") -> None:
        for family, spent in other.families.items():
            self.families[family].requests.update(spent.requests)
            self.families[family].records.update(spent.records)
        self.refused += other.refused

    def shown(self) -> dict[str, int]:
        counted: dict[str, int] = {}
        for family, prefix in _PREFIXES.items():
            counted[f"{prefix}requests"] = self.families[family].requests.total()
            counted[f"{prefix}records"] = self.families[family].records.total()
        return {**counted, "refused": self.refused}

    def by_endpoint(self) -> dict[str, dict[str, int]]:
        return {
            name: {"requests": spent.requests[name], "records": spent.records[name]}
            for name, spent in sorted((n, s) for s in self.families.values() for n in s.requests)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One counted request, kept by the day on which it came in even when it ends after midnight."""

    _spent: _Spent
    _endpoint: str

    def add_records(self, records: int) -> None:
        """Count what the call returned."""
        self._spent.records[self._endpoint] += records

    def take_back(self) -> None:
        """Let the request cost nothing after all."""
        self._spent.requests[self._endpoint] -= 1


class DailyQuota:
    """Requests and records of every client by day and family."""

    def __init__(self, allowances: Mapping[Family, Allowance], *, clock: SimulatedClock) -> None:
        self._allowances = allowances
        self._clock = clock
        self._days: dict[tuple[str, str], _Day] = defaultdict(_Day)

    def charge(self, client_key: str, endpoint: str, *, family: Family = "main") -> Charge:
        """Count one request, whatever will come of it.

        Raises ApiError 429 where the family's requests or records of the day were used up before; that call
        is counted among the requests as well, so that overspending shows as more than the limit.
        """
        counted = self._days[client_key, self._clock.day()]
        spent = counted.families[family]
        is_spent = spent.has_reached(self._allowances[family])
        spent.requests[endpoint] += 1
        if is_spent:
            counted.refused += 1
            raise daily_quota_exceeded()
        return Charge(_spent=spent, _endpoint=endpoint)

    def stats(self) -> dict[str, Any]:
        """The body of `GET /_sim/stats`: today over all clients, by endpoint, and every other day."""
        today = self._clock.day()
        days = sorted({day for _, day in self._days})
        totals = {day: self._sum([d for (_, of), d in self._days.items() if of == day]) for day in days}
        current = totals.get(today, _Day())
        clients = {key: self._days[key, day].shown() for key, day in list(self._days) if day == today}
        return {
            "day": today,
            **current.shown(),
            "endpoints": current.by_endpoint(),
            "clients": clients,
            "days": {day: total.shown() for day, total in totals.items()},
        }

    def forget(self) -> None:
        """Set every counter to zero."""
        self._days.clear()

    @staticmethod
    def _sum(days: list[_Day]) -> _Day:
        total = _Day()
        for day in days:
            total.add(day)
        return total


def daily_quota_exceeded() -> ApiError:
    """The day's quota is gone until 00:00 UTC."""
    return ApiError(
        429, "daily_quota_limit_exceeded", "The daily quota is used up; it starts anew at 00:00 UTC."
    )


def rate_limit_exceeded() -> ApiError:
    """Too many calls in a short time."""
    return ApiError(429, "rate_limit_exceeded", "The API rate limit was exceeded. Please try again later.")
