"""One frozen type for each clause of the terms that a gateway can check.

Sources: the Research API's FAQ of 2026-09-01 (collaborators are named and reviewed), the Research
Tools Terms of Service (3.b of February 2023: only the approved topic and project; III.3.d and e: refreshing
what is stored), the application form of June 2025 (access from one day to another, only necessary data), and
the platform's documentation of 2026-09-01 (thirty days and a hundred records at most). An id ends in the
rule's version, which changes when what it decides changes.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from app import exact_json
from app.identity.callers import Caller
from app.policy.values import REFRESH_INTERVAL_DAYS
from app.provider.endpoints import ENDPOINTS
from app.provider.questions import MAX_SPAN_DAYS
from app.query import ResearchQuery, remembered

_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Who asks what, and when; `accept_url` is where the terms can be accepted."""

    caller: Caller
    query: ResearchQuery
    now: dt.datetime
    accept_url: str

    @property
    def today(self) -> dt.date:
        """The UTC day, whatever zone `now` is written in."""
        return _utc_day(self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """For whom a held page would be served, and how long ago it left the platform."""

    caller: Caller
    age_s: int
    now: dt.datetime

    @property
    def today(self) -> dt.date:
        """The UTC day, whatever zone `now` is written in."""
        return _utc_day(self.now)


class Named(Protocol):
    """A clause that can be checked: its id with version, what it says, where, and since when."""

    id: ClassVar[str]
    clause: ClassVar[str]
    source: ClassVar[str]
    dated: ClassVar[dt.date]


class Rule(Named, Protocol):
    """A clause that is checked on every call."""

    def objection(self, asked: Circumstances) -> str | None:
        """Why this clause forbids it, with what to do next; None when it does not."""
        ...


class HeldRule(Named, Protocol):
    """A clause that is checked before a held page is served, and by what deletes held data."""

    def objection(self, reuse: Reuse) -> str | None:
        """Why this clause forbids that the page is served or kept; None when it does not."""
        ...


NOT_FROZEN = "not-frozen/1"

ALWAYS_ENFORCED = frozenset({NOT_FROZEN})
"""Rules that no mode weakens: what shall go on is unfrozen, and a switch that only warns is none."""


@dataclass(frozen=True, slots=True)
class NotFrozen:
    """Nobody goes on with a credential, in a project or as a person that an administrator has stopped."""

    id: ClassVar[str] = NOT_FROZEN
    clause: ClassVar[str] = "On a compromise of security, disconnect at once."
    source: ClassVar[str] = "TikTok Developer Terms of Service, III.2.f"
    dated: ClassVar[dt.date] = dt.date(2025, 12, 26)

    def objection(self, asked: Circumstances) -> str | None:
        """What was frozen, since when and whom to ask; None when nothing was."""
        return None if asked.caller.freeze is None else asked.caller.freeze.says()


@dataclass(frozen=True, slots=True)
class ApprovalInForce:
    """The platform approved the project for a period, both days included (UTC)."""

    id: ClassVar[str] = "approval-in-force/1"
    clause: ClassVar[str] = "Access lasts for the period that was applied for and approved."
    source: ClassVar[str] = "Application form of the Research Tools, June 2025"
    dated: ClassVar[dt.date] = dt.date(2025, 6, 1)

    def objection(self, asked: Circumstances) -> str | None:
        """Why the approval does not cover today; None when it does."""
        approval, today = asked.caller.approval, asked.today
        if today < approval.from_day:
            return (
                f"approval {approval.reference} begins on {approval.from_day} (UTC). Try again on that day."
            )
        if today > approval.until_day:
            return (
                f"approval {approval.reference} ended on {approval.until_day} (UTC). "
                "Ask your project lead to record its renewal."
            )
        return None


@dataclass(frozen=True, slots=True)
class NamedCollaborator:
    """Only people named on the proposal may use its credential, while they belong to the project."""

    id: ClassVar[str] = "named-collaborator/1"
    clause: ClassVar[str] = "Collaborators are named and reviewed one by one; leavers are removed."
    source: ClassVar[str] = "Research API FAQ, 2026-09-01"
    dated: ClassVar[dt.date] = dt.date(2026, 9, 1)

    def objection(self, asked: Circumstances) -> str | None:
        """Why the caller is no member today; None when they are."""
        caller, today = asked.caller, asked.today
        if caller.member_from is not None and today < caller.member_from:
            return (
                f"your membership of project {caller.project_name} begins on {caller.member_from} (UTC). "
                "Try again on that day."
            )
        if caller.member_until is not None and today > caller.member_until:
            return (
                f"your membership of project {caller.project_name} ended on {caller.member_until} (UTC). "
                "Ask your project lead to prolong it."
            )
        return None


@dataclass(frozen=True, slots=True)
class RosterLimit:
    """A credential serves no more people than the platform allowed on it."""

    id: ClassVar[str] = "roster-limit/1"
    clause: ClassVar[str] = "Principal and at most nine collaborators on one approval."
    source: ClassVar[str] = "Research API FAQ, 2026-09-01"
    dated: ClassVar[dt.date] = dt.date(2026, 9, 1)

    def objection(self, asked: Circumstances) -> str | None:
        """Why too many people share the credential today; None when they do not."""
        roster = asked.caller.roster
        people = 0 if roster is None else roster.people_on(asked.today)
        if roster is None or people <= roster.limit:
            return None
        return (
            f"{people} people share the credential of project {asked.caller.project_name}, and {roster.limit} "
            "may. Ask an administrator to end memberships or to record the platform's permission."
        )


@dataclass(frozen=True, slots=True)
class TermsAccepted:
    """Whoever uses the tools has accepted the version in force, or the one before it during its grace period."""

    id: ClassVar[str] = "terms-accepted/2"
    clause: ClassVar[str] = "The person accepting binds themself and the institution."
    source: ClassVar[str] = "Research Tools Terms of Service, 2024-10-25, opening"
    dated: ClassVar[dt.date] = dt.date(2024, 10, 25)

    def objection(self, asked: Circumstances) -> str | None:
        """Why the terms stand in the way; None when they are accepted, in grace, or none is in force."""
        terms, today = asked.caller.terms, asked.today
        pending = terms.pending(today)
        if pending is None or terms.may_call(today):
            return None
        where = f"{asked.accept_url.rstrip('/')}/api/v1/me/terms/{pending.version}/acceptance"
        return (
            f"you have not accepted terms version {pending.version}. Read them and accept with a POST to "
            f"{where}, with your api_key as the bearer token."
        )


@dataclass(frozen=True, slots=True)
class FieldsApproved:
    """Only the fields that the proposal asked for."""

    id: ClassVar[str] = "fields-approved/1"
    clause: ClassVar[str] = "Data only as necessary for the approved research."
    source: ClassVar[str] = "Application form of the Research Tools, June 2025"
    dated: ClassVar[dt.date] = dt.date(2025, 6, 1)

    def objection(self, asked: Circumstances) -> str | None:
        """Which fields are outside the approval; None when all are inside."""
        allowed = asked.caller.approval.fields.get(asked.query.endpoint)
        if allowed is None:
            return None
        if not asked.query.fields and _takes_fields(asked.query.endpoint):
            # Where the platform gives every field to whoever names none, none named is all asked for.
            return (
                f"project {asked.caller.project_name} is approved for some fields of {asked.query.endpoint}. "
                f"Name those that you need: {', '.join(sorted(allowed))}."
            )
        # ad.id is a part of ad, so whoever may have the whole may have it.
        outside = [
            name
            for name in asked.query.fields
            if name not in allowed and name.partition(".")[0] not in allowed
        ]
        if not outside:
            return None
        return (
            f"fields {', '.join(outside)} of {asked.query.endpoint} are not approved for project "
            f"{asked.caller.project_name}. Leave them out; approved are {', '.join(sorted(allowed))}."
        )


@dataclass(frozen=True, slots=True)
class ConditionsApproved:
    """Only the conditions that the proposal asked for: each listed name, with listed values."""

    id: ClassVar[str] = "conditions-approved/1"
    clause: ClassVar[str] = "Use only for the approved topic and project."
    source: ClassVar[str] = "Research API Terms of Service, February 2023, 3.b"
    dated: ClassVar[dt.date] = dt.date(2023, 2, 1)

    def objection(self, asked: Circumstances) -> str | None:
        """Which restriction of the approval the query does not keep; None when it keeps all."""
        approved = asked.caller.approval.conditions
        if asked.query.endpoint != "video/query" or not approved:
            return None
        kept = _required_values(asked.query)
        for name, allowed in approved.items():
            if not any(values <= allowed for values in kept.get(name, ())):
                return (
                    f"project {asked.caller.project_name} is approved for {name} in "
                    f"{', '.join(sorted(allowed))} alone. Add an 'and' condition on {name} (EQ or IN) with "
                    "those values."
                )
        return None


@dataclass(frozen=True, slots=True)
class DateSpan:
    """No question covers more days than the platform, or the proposal, allows at a time."""

    id: ClassVar[str] = "date-span/1"
    clause: ClassVar[str] = "At most thirty days in one question; fewer where the proposal says so."
    source: ClassVar[str] = "developers.tiktok.com, query videos, 2026-09-01"
    dated: ClassVar[dt.date] = dt.date(2026, 9, 1)

    def objection(self, asked: Circumstances) -> str | None:
        """Why the question covers too many days; None when it does not, or has no dates."""
        dates = _dates(asked.query.question)
        if dates is None:
            return None
        approved = asked.caller.approval.max_span_days
        most = MAX_SPAN_DAYS if approved is None else min(approved, MAX_SPAN_DAYS)
        days = (dates[1] - dates[0]).days
        if days <= most:
            return None
        return (
            f"end_date is {days} days after start_date, and project {asked.caller.project_name} may ask for "
            f"{most} at a time. Split the range into several queries."
        )


@dataclass(frozen=True, slots=True)
class DatesApproved:
    """Only days that the proposal covers."""

    id: ClassVar[str] = "dates-approved/1"
    clause: ClassVar[str] = "Data only as necessary for the approved research."
    source: ClassVar[str] = "Application form of the Research Tools, June 2025"
    dated: ClassVar[dt.date] = dt.date(2025, 6, 1)

    def objection(self, asked: Circumstances) -> str | None:
        """Why the question reaches beyond the approved days; None when it does not, or has no dates."""
        approval = asked.caller.approval
        if approval.dates_from is None and approval.dates_until is None:
            return None
        dates = _dates(asked.query.question)
        if dates is None:
            return None
        first, last = approval.dates_from or dt.date.min, approval.dates_until or dt.date.max
        if first <= dates[0] and dates[1] <= last:
            return None
        bounds = [f"from {first}"] if approval.dates_from else []
        bounds += [f"until {last}"] if approval.dates_until else []
        return (
            f"project {asked.caller.project_name} is approved for videos {' '.join(bounds)} (UTC). Move "
            "start_date and end_date inside these days."
        )


@dataclass(frozen=True, slots=True)
class PageSize:
    """No page is larger than the platform's largest."""

    id: ClassVar[str] = "page-size/1"
    clause: ClassVar[str] = "At most as many records on a page as the endpoint's documentation says."
    source: ClassVar[str] = "developers.tiktok.com, query videos, 2026-09-01"
    dated: ClassVar[dt.date] = dt.date(2026, 9, 1)

    def objection(self, asked: Circumstances) -> str | None:
        """Why the page is too large; None when it is not."""
        endpoint, size = ENDPOINTS.get(asked.query.endpoint), asked.query.page.size
        paging = None if endpoint is None else endpoint.paging
        if paging is None or size is None or size <= paging.most:
            return None
        return f"{paging.size_key} is {size}. Ask for at most {paging.most} records at a time."


@dataclass(frozen=True, slots=True)
class EndpointApproved:
    """The endpoints that the proposal asked for; this rule positively allows."""

    id: ClassVar[str] = "endpoint-approved/1"
    clause: ClassVar[str] = "Use only for the approved topic and project."
    source: ClassVar[str] = "Research API Terms of Service, February 2023, 3.b"
    dated: ClassVar[dt.date] = dt.date(2023, 2, 1)

    def objection(self, asked: Circumstances) -> str | None:
        """Why the endpoint is outside the approval; None when it is inside."""
        allowed = asked.caller.approval.endpoints
        if allowed is None or asked.query.endpoint in allowed:
            return None
        return (
            f"{asked.query.endpoint} is not approved for project {asked.caller.project_name}; approved are "
            f"{', '.join(sorted(allowed)) or 'none'}. Ask your project lead if the proposal covers it."
        )


@dataclass(frozen=True, slots=True)
class RefreshInterval:
    """Held data is served only while it is younger than the interval in which it has to be refreshed."""

    id: ClassVar[str] = "refresh-interval/1"
    clause: ClassVar[str] = "Stored data is refreshed at least every so many days, or deleted."
    source: ClassVar[str] = "Research Tools Terms of Service, III.3.d of 2023 and III.3.e of 2026-01-22"
    dated: ClassVar[dt.date] = dt.date(2023, 2, 1)

    def objection(self, reuse: Reuse) -> str | None:
        """Why the page is too old; None when it is not."""
        stated = reuse.caller.policy.amounts.get(REFRESH_INTERVAL_DAYS.name, ())
        most_days = REFRESH_INTERVAL_DAYS.at(reuse.today, stated)
        if reuse.age_s < most_days * _DAY_S:
            return None
        return f"it left the platform {reuse.age_s // _DAY_S} days ago, and {most_days} are allowed. Fetch it again."


@dataclass(frozen=True, slots=True)
class NothingAfterEnd:
    """Nothing is kept or served once the project's approval has ended."""

    id: ClassVar[str] = "nothing-after-end/1"
    clause: ClassVar[str] = "Data is kept no longer than the approved research needs; after its end it goes."
    source: ClassVar[str] = "Research API Terms of Service, February 2023, 3.d"
    dated: ClassVar[dt.date] = dt.date(2023, 2, 1)

    def objection(self, reuse: Reuse) -> str | None:
        """Why nothing of the project may be served any more; None while its approval lasts."""
        ended_on = reuse.caller.approval.until_day
        if reuse.today <= ended_on:
            return None
        return f"the approval ended on {ended_on} (UTC). Ask your project lead to record its renewal."


def _utc_day(moment: dt.datetime) -> dt.date:
    # Clocks give UTC, and every rule asks; conversion takes five times as long as the comparison.
    return moment.date() if moment.tzinfo is dt.UTC else moment.astimezone(dt.UTC).date()


@remembered
def _asked(question: str) -> Mapping[str, object]:
    asked = exact_json.loads(question.encode())
    return asked if isinstance(asked, dict) else {}


def _dates(question: str) -> tuple[dt.date, dt.date] | None:
    """First and last day of a question that has them."""
    asked = _asked(question)
    first, last = asked.get("start_date"), asked.get("end_date")
    if not isinstance(first, str) or not isinstance(last, str):
        return None
    return dt.date.fromisoformat(first), dt.date.fromisoformat(last)


def _takes_fields(endpoint: str) -> bool:
    known = ENDPOINTS.get(endpoint)
    return known is not None and bool(known.fields)


def _required_values(query: ResearchQuery) -> dict[str, list[set[str]]]:
    """The values that a hit must have, by condition name: each `and` condition with EQ or IN."""
    required: dict[str, list[set[str]]] = {}
    groups = _asked(query.question).get("query")
    for condition in groups.get("and", []) if isinstance(groups, dict) else []:
        if condition["operation"] in {"EQ", "IN"}:
            required.setdefault(condition["field_name"], []).append(set(condition["field_values"]))
    return required


RULES: tuple[Rule, ...] = (
    NotFrozen(),
    ApprovalInForce(),
    NamedCollaborator(),
    RosterLimit(),
    TermsAccepted(),
    FieldsApproved(),
    ConditionsApproved(),
    DatesApproved(),
    DateSpan(),
    PageSize(),
    EndpointApproved(),
)
"""Every rule on calls, in the order of asking; the last one positively allows."""

HELD_RULES: tuple[HeldRule, ...] = (NothingAfterEnd(), RefreshInterval())
"""Every rule on held data."""

ALL_RULES: tuple[Named, ...] = (*RULES, *HELD_RULES)
"""Every rule that has a mode."""
