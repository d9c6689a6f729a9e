"""Which entries somebody looks for."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from app.audit.entries import Value
from app.errors import InvalidParams

TYPES: Final = (
    "intent",
    "outcome",
    "decision",
    "auth",
    "admin",
    "audit_read",
    "heartbeat",
    "reject_batch",
    "epoch",
    "prune",
    "key",
)
"""Every type of entry."""
VERDICTS: Final = ("allowed", "refused")
CACHED: Final = ("hit", "stale", "collapsed")
"""How an answer was come by without a call of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Entries that meet all that is set here; ids and codes as entries have them.

    Times are microseconds since 1970 UTC, `until_us` itself outside. Amounts are what was charged, both ends
    included. `rule` without a version means every version of it. `about` has for each identifier the tags that it may stand under, of which one has to be there.
    """

    type: str | None = None
    person: str | None = None
    project: str | None = None
    key_id: str | None = None
    credential: str | None = None
    op: str | None = None
    verdict: str | None = None
    rule: str | None = None
    code: str | None = None
    cache: str | None = None
    upstream_log_id: str | None = None
    least_requests: int | None = None
    most_requests: int | None = None
    least_records: int | None = None
    most_records: int | None = None
    since_us: int | None = None
    until_us: int | None = None
    about: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        """Raise InvalidParams for a type, a verdict or a way of reuse that no entry has, and for bounds that nothing lies between."""
        for name, value, known in (
            ("type", self.type, TYPES),
            ("verdict", self.verdict, VERDICTS),
            ("cache", self.cache, CACHED),
        ):
            if value is not None and value not in known:
                raise InvalidParams(f"{name} is one of {', '.join(known)}, not {value!a}.", rule="request")
        if self.since_us is not None and self.until_us is not None and self.until_us <= self.since_us:
            raise InvalidParams(
                "until has to be later than since: it is itself left out, so nothing lies between them.",
                rule="request",
            )
        for name, least, most in (
            ("requests", self.least_requests, self.most_requests),
            ("records", self.least_records, self.most_records),
        ):
            if least is not None and most is not None and most < least:
                raise InvalidParams(f"most_{name} is less than least_{name}.", rule="request")

    def said(self) -> dict[str, Value]:
        """What is looked for, as an entry says it: no name, and no identifier but by its tags."""
        found: dict[str, Value] = {
            each.name: value
            for each in fields(self)
            if each.name != "about" and (value := getattr(self, each.name)) is not None
        }
        if self.about:
            found["about"] = [list(tags) for tags in self.about]
        return found


def moment_us(text: str) -> int:
    """The start of a UTC day (2026-05-01), or a moment (2026-05-01T12:30:00Z); raises InvalidParams."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidParams(
            f"{text!a} is no day such as 2026-05-01 and no moment such as 2026-05-01T12:30:00Z.",
            rule="request",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return round((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1))
