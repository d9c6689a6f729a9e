"""A question as somebody wants to ask it, and the answer that says what it will cost."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from app import exact_json
from app.audit.entries import Value
from app.errors import InvalidParams
from app.identity.callers import Caller
from app.provider.endpoint import BodyForm, Endpoint
from app.provider.normalise import read_request
from app.provider.spans import WINDOW_DAYS, Span, needs_windows, span_in, with_span
from app.provider.uploads import write_upload
from app.query import ResearchQuery, malformed
from app.quota.arithmetic import limit_name
from app.quota.estimate import Basis, Confidence, Held, Price, Range, because, confidence_of
from app.quota.forecast import Course

MOST_WINDOWS: Final = 400
"""More than a year day by day, or thirty years by the month; an estimate looks at each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question as somebody wants to ask it: an endpoint, and a body in the platform's own words.

    Its days may be more than one query may span. Without `fields`, those are taken with which the question was
    asked last, or else all that the project may ask for. `window_days` cuts the days as a client would.
    """

    endpoint: str
    body: Mapping[str, object]
    fields: tuple[str, ...] = ()
    window_days: int | None = None

    @property
    def names_fields(self) -> bool:
        """Whether it says which fields are wanted."""
        return bool(self.fields) or self.body.get("fields") not in (None, "", [])


def queries_of(endpoint: Endpoint, caller: Caller, asking: Asking) -> list[ResearchQuery]:
    """The queries that a client would begin with: one, or one for each window of a long range.

    Where the body says that it goes on with a search is left out: the price is that of the whole. Raises what
    the query itself would be refused with as malformed.
    """
    fields = asking.fields
    if endpoint.fields and not asking.names_fields:
        fields = tuple(sorted(caller.approval.fields.get(endpoint.name, endpoint.fields)))
    going_on = {"cursor", "search_id", *(() if endpoint.paging is None else (endpoint.paging.cursor_key,))}
    body = {name: value for name, value in asking.body.items() if name not in going_on}
    span = span_in(endpoint, body)
    bodies: list[Mapping[str, object]] = [body]
    if span is not None and (asking.window_days is not None or needs_windows(endpoint, span)):
        days = asking.window_days or WINDOW_DAYS
        if span.days > days * MOST_WINDOWS:
            raise malformed(
                f"The range has {span.days} days, more than {MOST_WINDOWS} windows of {days}; ask in parts."
            )
        bodies = [with_span(endpoint, body, window) for window in span.windows(days)]
    query_string = "fields=" + quote(",".join(fields), safe=",") if fields else ""
    return [read_request(endpoint, query_string, _written(endpoint, each)) for each in bodies]


def _written(endpoint: Endpoint, body: Mapping[str, object]) -> bytes:
    if endpoint.sends is BodyForm.UPLOAD:
        return write_upload({name: value for name, value in body.items() if value is not None})[0]
    try:
        return exact_json.dumps(body)
    except (TypeError, ValueError) as error:
        raise InvalidParams(f"The query cannot be written as JSON: {error}.", rule="request") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPrice:
    """The price of the part of a question that one query can ask."""

    span: Span | None
    price: Price

    def shown(self) -> dict[str, Value]:
        """As the whole is shown."""
        return {
            "start_date": None if self.span is None else self.span.first.isoformat(),
            "end_date": None if self.span is None else self.span.last.isoformat(),
            "requests": _shown_range(self.price.requests),
            "records": _shown_range(self.price.records),
            "held": _shown_held([self.price.held]),
            "basis": self.price.basis.value,
            "confidence": self.price.confidence.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why the question would be refused if it were asked now."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a question needs, what is held of it, and over how many days it goes."""

    project: str
    person: str | None
    endpoint: str
    fields: tuple[str, ...]
    page_size: int | None
    windows: Sequence[WindowPrice]
    likely: Course
    high: Course
    objection: Objection | None
    notes: Sequence[str]

    @property
    def requests(self) -> Range:
        """Requests still to be spent."""
        return total(each.price.requests for each in self.windows)

    @property
    def records(self) -> Range:
        """Records still to be spent."""
        return total(each.price.records for each in self.windows)

    @property
    def basis(self) -> Basis:
        """What the least sure of the windows rests on."""
        return max((each.price.basis for each in self.windows), key=list(Basis).index)

    @property
    def confidence(self) -> Confidence:
        """How sure the whole is."""
        return confidence_of(self.basis, self.requests)

    def shown(self) -> dict[str, Value]:
        """As the API and `bursar estimate --json` give it."""
        limited_by = self.likely.limited_by or self.high.limited_by
        return {
            "project": self.project,
            "person": self.person,
            "endpoint": self.endpoint,
            "fields": list(self.fields),
            "page_size": self.page_size,
            "requests": _shown_range(self.requests),
            "records": _shown_range(self.records),
            "held": _shown_held([each.price.held for each in self.windows]),
            "days_at_todays_limits": {
                "likely": self.likely.days,
                "high": self.high.days,
                "limited_by": None if limited_by is None else limit_name(limited_by),
            },
            "basis": self.basis.value,
            "confidence": self.confidence.value,
            "because": because(self.basis, self.confidence),
            "would_be_refused_by": None
            if self.objection is None
            else {"rule": self.objection.rule, "reason": self.objection.reason},
            "notes": list(self.notes),
            "windows": [each.shown() for each in self.windows],
        }


def total(ranges: Iterable[Range]) -> Range:
    """The sum of all; lows and highs add up, since windows of one question tend to err together."""
    return sum(ranges, start=Range(0, 0, 0))


def _shown_range(amount: Range) -> dict[str, Value]:
    return {"low": amount.low, "likely": amount.likely, "high": amount.high}


def _shown_held(held: Sequence[Held]) -> dict[str, Value]:
    until_us = min((each.until_us for each in held if each.until_us is not None), default=None)
    until = None if until_us is None else dt.datetime.fromtimestamp(until_us // 1_000_000, dt.UTC)
    return {
        "requests_saved": sum(each.pages for each in held),
        "records": sum(each.records for each in held),
        "is_complete": all(each.is_complete for each in held),
        "until": None if until is None else until.isoformat().replace("+00:00", "Z"),
    }
