"""A caller inside every bound, and what the rules make of a call."""

import json
from datetime import UTC, date, datetime

from app.identity.callers import Approval, Caller, Roster, Terms, TermsVersion
from app.ids import CredentialId, KeyId, MembershipId, PersonId, ProjectId
from app.policy.engine import Allowed, Refused, judge
from app.policy.rules import Circumstances
from app.query import Page, ResearchQuery

APPROVAL = Approval(
    reference="R-1",
    from_day=date(2026, 2, 1),
    until_day=date(2028, 2, 29),
    endpoints=frozenset({"video/query"}),
    fields={"video/query": frozenset({"id", "username"})},
    conditions={"region_code": frozenset({"US", "CA"})},
)
TERMS = Terms(
    versions=(TermsVersion(since=date(2024, 10, 25), version="2024-10"),), accepted=frozenset({"2024-10"})
)
CALLER = Caller(
    key=KeyId("k"),
    key_expires_us=None,
    membership=MembershipId("m"),
    member_from=date(2026, 3, 1),
    member_until=date(2027, 3, 1),
    person=PersonId("a"),
    roles=frozenset({"researcher"}),
    project=ProjectId("p"),
    project_name="elections",
    credential=CredentialId("c"),
    approval=APPROVAL,
    terms=TERMS,
    shared_by_credential=False,
    revision=1,
    roster=Roster(limit=10, until=(None,) * 9 + (date(2028, 2, 29),)),
)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def condition(name: str, *values: str, operation: str = "IN") -> dict[str, object]:
    return {"field_name": name, "operation": operation, "field_values": list(values)}


def query(
    *conditions: dict[str, object],
    group: str = "and",
    fields: tuple[str, ...] = ("id",),
    start: str = "20260301",
    end: str = "20260302",
    size: int = 20,
) -> ResearchQuery:
    asked = {"query": {group: list(conditions)}, "start_date": start, "end_date": end}
    return ResearchQuery(
        endpoint="video/query",
        question=json.dumps(asked, sort_keys=True, separators=(",", ":")),
        fields=fields,
        page=Page(size=size),
    )


def in_us(
    *, fields: tuple[str, ...] = ("id",), start: str = "20260301", end: str = "20260302", size: int = 20
) -> ResearchQuery:
    return query(condition("region_code", "US"), fields=fields, start=start, end=end, size=size)


IN_US = in_us()
USER = ResearchQuery(endpoint="user/info", question='{"username":"alice"}', fields=(), page=Page())


def verdict(
    *, caller: Caller = CALLER, asked: ResearchQuery = IN_US, now: datetime = NOON
) -> Allowed | Refused:
    return judge(Circumstances(caller=caller, query=asked, now=now, accept_url="https://bursar.example.edu"))


def refusing_rule(
    *, caller: Caller = CALLER, asked: ResearchQuery = IN_US, now: datetime = NOON
) -> str | None:
    answer = verdict(caller=caller, asked=asked, now=now)
    return answer.rule if isinstance(answer, Refused) else None
