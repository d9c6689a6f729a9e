"""What the platform counts of each client by UTC day, and the point from which it refuses (facts 4)."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from app.simulator.answers import ApiError
from app.simulator.clock import SimulatedClock


@dataclass(slots=True, kw_only=True)
class _Day:
    requests: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    def shown(self) -> dict[str, int]:
        return {
            "requests": self.requests.total(),
            "records": self.records.total(),
            "follower_requests": 0,
            "follower_records": 0,
            "refused": self.refused,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One counted request, kept by the day on which it came in even when it ends after midnight."""

    _day: _Day
    _endpoint: str

    def add_records(self, records: int) -> None:
        """Count what the call returned."""
        self._day.records[self._endpoint] += records

    def take_back(self) -> None:
        """Let the request cost nothing after all."""
        self._day.requests[self._endpoint] -= 1


class DailyQuota:
    """Requests and records of every client by day; the main family is the only one so far."""

    def __init__(self, *, requests: int, records: int, clock: SimulatedClock) -> None:
        self._requests = requests
        self._records = records
        self._clock = clock
        self._days: dict[tuple[str, str], _Day] = defaultdict(_Day)

    def charge(self, client_key: str, endpoint: str) -> Charge:
        """Count one request, whatever will come of it.

        Raises ApiError 429 where the day's requests or records were used up before; that call is counted
        in `requests` as well, so that overspending shows as more than the limit.
        """
        counted = self._days[client_key, self._clock.day()]
        is_spent = counted.requests.total() >= self._requests or counted.records.total() >= self._records
        counted.requests[endpoint] += 1
        if is_spent:
            counted.refused += 1
            raise daily_quota_exceeded()
        return Charge(_day=counted, _endpoint=endpoint)

    def stats(self) -> dict[str, Any]:
        """The body of `GET /_sim/stats`: today over all clients, by endpoint, and every other day."""
        today = self._clock.day()
        days = sorted({day for _, day in self._days})
        totals = {day: self._sum([d for (_, of), d in self._days.items() if of == day]) for day in days}
        current = totals.get(today, _Day())
        endpoints = {
            name: {"requests": current.requests[name], "records": current.records[name]}
            for name in sorted(current.requests)
        }
        clients = {key: self._days[key, day].shown() for key, day in list(self._days) if day == today}
        return {
            "day": today,
            **current.shown(),
            "endpoints": endpoints,
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
            total.requests.update(day.requests)
            total.records.update(day.records)
            total.refused += day.refused
        return total


def daily_quota_exceeded() -> ApiError:
    """The day's quota is gone until 00:00 UTC."""
    return ApiError(
        429, "daily_quota_limit_exceeded", "The daily quota is used up; it starts anew at 00:00 UTC."
    )


def rate_limit_exceeded() -> ApiError:
    """Too many calls in a short time."""
    return ApiError(429, "rate_limit_exceeded", "The API rate limit was exceeded. Please try again later.")
