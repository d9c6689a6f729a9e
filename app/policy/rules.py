"""One frozen type for each clause of the terms that a gateway can check.

Sources: the Research API's FAQ of 2026-09-01 (collaborators are named and reviewed), the Research
Tools Terms of Service (3.b of February 2023: only the approved topic and project), and the application
form of June 2025 (access from one day to another).
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import ClassVar, Protocol

from app.identity.callers import Caller
from app.query import ResearchQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Who asks what, and when; `accept_url` is where the terms can be accepted."""

    caller: Caller
    query: ResearchQuery
    now: dt.datetime
    accept_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A clear no: the rule that says so, and why, with what to do next."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Every rule agrees; `rule` is the one that positively allowed it."""

    rule: str


class Rule(Protocol):
    """A clause that can be checked."""

    id: ClassVar[str]
    clause: ClassVar[str]
    source: ClassVar[str]

    def objection(self, asked: Circumstances) -> str | None:
        """Why this clause forbids it, with what to do next; None when it does not."""
        ...


@dataclass(frozen=True, slots=True)
class ApprovalInForce:
    """The platform approved the project for a period, both days included (UTC)."""

    id: ClassVar[str] = "approval-in-force/1"
    clause: ClassVar[str] = "Access lasts for the approved period, at most two years."
    source: ClassVar[str] = "Application form of the Research Tools, June 2025"

    def objection(self, asked: Circumstances) -> str | None:
        """Why the approval does not cover today; None when it does."""
        approval, today = asked.caller.approval, asked.now.date()
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
    clause: ClassVar[str] = "Principal and at most nine collaborators, each reviewed; leavers are removed."
    source: ClassVar[str] = "Research API FAQ, 2026-09-01"

    def objection(self, asked: Circumstances) -> str | None:
        """Why the caller is no member today; None when they are."""
        caller, today = asked.caller, asked.now.date()
        if caller.member_from is not None and today < caller.member_from:
            return f"your membership of project {caller.project_name} begins on {caller.member_from} (UTC)."
        if caller.member_until is not None and today > caller.member_until:
            return (
                f"your membership of project {caller.project_name} ended on {caller.member_until} (UTC). "
                "Ask your project lead to prolong it."
            )
        return None


@dataclass(frozen=True, slots=True)
class TermsAccepted:
    """Whoever uses the tools has accepted the version of the terms that is in force."""

    id: ClassVar[str] = "terms-accepted/1"
    clause: ClassVar[str] = "The person accepting binds themself and the institution."
    source: ClassVar[str] = "Research Tools Terms of Service, 2024-10-25, opening"

    def objection(self, asked: Circumstances) -> str | None:
        """Why the terms stand in the way; None when they are accepted or none is in force."""
        version = asked.caller.terms.version_at(asked.now.date())
        if version is None or version in asked.caller.terms.accepted:
            return None
        where = f"{asked.accept_url.rstrip('/')}/api/v1/me/terms/{version}/acceptance"
        return (
            f"you have not accepted terms version {version}. Read them and accept with a POST to {where}, "
            "with your api_key as the bearer token."
        )


@dataclass(frozen=True, slots=True)
class FieldsApproved:
    """Only the fields that the proposal asked for."""

    id: ClassVar[str] = "fields-approved/1"
    clause: ClassVar[str] = "Data only as necessary for the approved research."
    source: ClassVar[str] = "Application form of the Research Tools, June 2025"

    def objection(self, asked: Circumstances) -> str | None:
        """Which fields are outside the approval; None when all are inside."""
        allowed = asked.caller.approval.fields.get(asked.query.endpoint)
        outside = [] if allowed is None else [name for name in asked.query.fields if name not in allowed]
        if not outside or allowed is None:
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
class EndpointApproved:
    """The endpoints that the proposal asked for; this rule positively allows."""

    id: ClassVar[str] = "endpoint-approved/1"
    clause: ClassVar[str] = "Use only for the approved topic and project."
    source: ClassVar[str] = "Research API Terms of Service, February 2023, 3.b"

    def objection(self, asked: Circumstances) -> str | None:
        """Why the endpoint is outside the approval; None when it is inside."""
        allowed = asked.caller.approval.endpoints
        if allowed is None or asked.query.endpoint in allowed:
            return None
        return (
            f"{asked.query.endpoint} is not approved for project {asked.caller.project_name}; approved are "
            f"{', '.join(sorted(allowed)) or 'none'}. Ask your project lead if the proposal covers it."
        )


def _required_values(query: ResearchQuery) -> dict[str, list[set[str]]]:
    """The values that a hit must have, by condition name: each `and` condition with EQ or IN."""
    required: dict[str, list[set[str]]] = {}
    for condition in json.loads(query.question)["query"].get("and", []):
        if condition["operation"] in {"EQ", "IN"}:
            required.setdefault(condition["field_name"], []).append(set(condition["field_values"]))
    return required


RULES: tuple[Rule, ...] = (
    ApprovalInForce(),
    NamedCollaborator(),
    TermsAccepted(),
    FieldsApproved(),
    ConditionsApproved(),
    EndpointApproved(),
)
"""Every rule, in the order of asking; the last one positively allows."""


def judge(asked: Circumstances, rules: tuple[Rule, ...] = RULES) -> Allowed | Refused:
    """Allowed by the last rule, or Refused by the first that objects; without rules, refused."""
    for rule in rules:
        reason = rule.objection(asked)
        if reason is not None:
            return Refused(rule=rule.id, reason=reason)
    if not rules:
        return Refused(rule="default/1", reason="no rule allows this call. Ask an administrator.")
    return Allowed(rule=rules[-1].id)
