"""The days that a question is about: read from it, taken out of it, put into it, cut into windows."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from app import exact_json
from app.provider import spelling
from app.provider.endpoint import Endpoint
from app.query import ResearchQuery

WINDOW_DAYS = 30
"""Days in one window of a range that is too long for one query: the platform's own wrapper walks from a start
to the 29th day after it, and goes on with the next (its repository, 2024-12-04)."""


INDEX_DELAY_S = 2 * 86_400
"""New videos are found up to 48 hours late (FAQ, 2026-09-01), so what is younger was not counted in full."""

_DAY_S = 86_400
_NO_TIME_S = 2**32
"""Ids carry 32 bits of seconds, so what lies beyond is no time, whatever the platform sent."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Days in UTC, `first` and `last` included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    @property
    def seconds(self) -> tuple[float, float]:
        """Its first moment and the one after its last, in Unix seconds."""
        begin = datetime.combine(self.first, time(), UTC).timestamp()
        return begin, begin + self.days * _DAY_S

    def days_by(self, moment_s: float) -> float:
        """How much of it has passed at a moment, in days."""
        begin_s, end_s = self.seconds
        return max(0.0, min(end_s, moment_s) - begin_s) / _DAY_S

    def windows(self, days: int) -> Iterator["Span"]:
        """The span in parts of `days`, oldest first; the last part may be shorter."""
        begin = 0
        while begin < self.days:
            end = min(begin + days, self.days) - 1
            yield Span(self.first + timedelta(days=begin), self.first + timedelta(days=end))
            begin = end + 1


def span_in(endpoint: Endpoint, body: Mapping[str, object]) -> Span | None:
    """The days that a body names; None where the endpoint is not about days or the body is malformed there."""
    if endpoint.dates is None:
        return None
    ends: list[date] = []
    for path in (endpoint.dates.first, endpoint.dates.last):
        value: object = body
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None or value == "":
            return None
        ends.append(spelling.day(value, ".".join(path)))
    return Span(*ends) if ends[0] <= ends[1] else None


def with_span(endpoint: Endpoint, body: Mapping[str, object], span: Span) -> dict[str, object]:
    """The body about other days; the body itself is left as it is."""
    return _put(endpoint, copy.deepcopy(dict(body)), span)


def conditions_of(endpoint: Endpoint, query: ResearchQuery) -> str:
    """The question without its days: equal for two questions that ask the same about other days."""
    if endpoint.dates is None:
        return query.question
    return exact_json.dumps(_put(endpoint, query.asked(), None), sort_keys=True).decode()


def _put(endpoint: Endpoint, body: dict[str, object], span: Span | None) -> dict[str, object]:
    """The body, changed to be about these days, or about none."""
    if endpoint.dates is None:
        return body
    ends = (None, None) if span is None else (span.first, span.last)
    for path, day in zip((endpoint.dates.first, endpoint.dates.last), ends, strict=True):
        holder = body
        for key in path[:-1]:
            inner = holder.get(key)
            holder = inner if isinstance(inner, dict) else {}
        if day is None:
            holder.pop(path[-1], None)
        else:
            holder[path[-1]] = spelling.compact(day)
    return body


def needs_windows(endpoint: Endpoint, span: Span | None) -> bool:
    """Whether the platform refuses a question about so many days at once."""
    most = None if endpoint.dates is None else endpoint.dates.most_days_apart
    return span is not None and most is not None and span.days > most + 1


def oldest_s(endpoint: Endpoint, data: Mapping[str, object]) -> int | None:
    """When the last record of an answer was created, in Unix seconds, where answers list what is newest first.

    An id tells as much as `create_time`: its high 32 bits are a time, 22 to 92 s before it in all recorded data
    (facts, section 2.1).
    """
    items = data.get(endpoint.list_key or "")
    if (
        endpoint.dates is None
        or not endpoint.dates.is_newest_first
        or not isinstance(items, list)
        or not items
    ):
        return None
    record = items[-1]
    created_s, video_id = record.get("create_time"), record.get("id", record.get("video_id"))
    found = created_s if isinstance(created_s, int) else video_id >> 32 if isinstance(video_id, int) else -1
    return found if 0 < found < _NO_TIME_S else None
