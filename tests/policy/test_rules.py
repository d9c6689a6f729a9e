"""Every rule, allowed and refused, on its boundary days."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from app.identity.callers import Approval, Caller, Terms
from app.ids import CredentialId, KeyId, MembershipId, PersonId, ProjectId
from app.policy.rules import RULES, Allowed, Circumstances, Refused, judge
from app.query import Page, ResearchQuery

APPROVAL = Approval(
    reference="R-1",
    from_day=date(2026, 2, 1),
    until_day=date(2028, 2, 29),
    endpoints=frozenset({"video/query"}),
    fields={"video/query": frozenset({"id", "username"})},
    conditions={"region_code": frozenset({"US", "CA"})},
)
TERMS = Terms(in_force=(("2024-10", date(2024, 10, 25)),), accepted=frozenset({"2024-10"}))
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
)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def condition(name: str, *values: str, operation: str = "IN") -> dict[str, object]:
    return {"field_name": name, "operation": operation, "field_values": list(values)}


def query(
    *conditions: dict[str, object], group: str = "and", fields: tuple[str, ...] = ("id",)
) -> ResearchQuery:
    asked = {"query": {group: list(conditions)}, "start_date": "20260301", "end_date": "20260302"}
    return ResearchQuery(
        endpoint="video/query",
        question=json.dumps(asked, sort_keys=True, separators=(",", ":")),
        fields=fields,
        page=Page(size=20),
    )


IN_US = query(condition("region_code", "US"))


def verdict(
    *, caller: Caller = CALLER, asked: ResearchQuery = IN_US, now: datetime = NOON
) -> Allowed | Refused:
    return judge(Circumstances(caller=caller, query=asked, now=now, accept_url="https://bursar.example.edu"))


def refusing_rule(
    *, caller: Caller = CALLER, asked: ResearchQuery = IN_US, now: datetime = NOON
) -> str | None:
    answer = verdict(caller=caller, asked=asked, now=now)
    return answer.rule if isinstance(answer, Refused) else None


def test_a_call_inside_every_bound_is_allowed_by_the_last_rule() -> None:
    assert verdict() == Allowed(rule="endpoint-approved/1")


@pytest.mark.parametrize(
    ("moment", "rule"),
    [
        (datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), "approval-in-force/1"),
        (datetime(2026, 2, 1, tzinfo=UTC), None),
        (datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC), None),
        (datetime(2028, 3, 1, tzinfo=UTC), "approval-in-force/1"),
    ],
)
def test_an_approval_holds_on_its_first_and_last_day(moment: datetime, rule: str | None) -> None:
    assert refusing_rule(caller=replace(CALLER, member_from=None, member_until=None), now=moment) == rule


@pytest.mark.parametrize(
    ("moment", "rule"),
    [
        (datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC), "named-collaborator/1"),
        (datetime(2026, 3, 1, tzinfo=UTC), None),
        (datetime(2027, 3, 1, 23, 59, 59, tzinfo=UTC), None),
        (datetime(2027, 3, 2, tzinfo=UTC), "named-collaborator/1"),
    ],
)
def test_a_membership_holds_on_its_first_and_last_day(moment: datetime, rule: str | None) -> None:
    assert refusing_rule(now=moment) == rule


@pytest.mark.parametrize(
    ("terms", "rule"),
    [
        (Terms(in_force=(), accepted=frozenset()), None),
        (Terms(in_force=(("9", date(2026, 6, 2)),), accepted=frozenset()), None),
        (Terms(in_force=(("9", date(2026, 6, 1)),), accepted=frozenset()), "terms-accepted/1"),
        (Terms(in_force=(("9", date(2026, 6, 1)),), accepted=frozenset({"9"})), None),
        (
            Terms(
                in_force=(("1", date(2024, 1, 1)), ("2", date(2026, 6, 1)), ("3", date(2026, 6, 2))),
                accepted=frozenset({"1", "3"}),
            ),
            "terms-accepted/1",
        ),
    ],
)
def test_the_version_in_force_is_the_one_to_accept(terms: Terms, rule: str | None) -> None:
    assert refusing_rule(caller=replace(CALLER, terms=terms)) == rule


def test_the_refusal_says_where_the_terms_are_accepted() -> None:
    answer = verdict(caller=replace(CALLER, terms=replace(TERMS, accepted=frozenset())))
    assert isinstance(answer, Refused)
    assert "https://bursar.example.edu/api/v1/me/terms/2024-10/acceptance" in answer.reason


@pytest.mark.parametrize(
    ("fields", "rule"), [(("id", "username"), None), (("id", "like_count"), "fields-approved/1")]
)
def test_only_approved_fields_are_asked_for(fields: tuple[str, ...], rule: str | None) -> None:
    assert refusing_rule(asked=query(condition("region_code", "US"), fields=fields)) == rule


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        (query(condition("region_code", "US", "CA")), None),
        (query(condition("region_code", "US", operation="EQ"), condition("keyword", "x")), None),
        (query(condition("region_code", "US", "FR")), "conditions-approved/1"),
        (query(condition("keyword", "x")), "conditions-approved/1"),
        (query(condition("region_code", "US"), group="or"), "conditions-approved/1"),
        (query(condition("region_code", "US"), group="not"), "conditions-approved/1"),
        (query(condition("region_code", "US", operation="GT")), "conditions-approved/1"),
    ],
)
def test_an_approved_condition_must_bind_every_hit(asked: ResearchQuery, rule: str | None) -> None:
    assert refusing_rule(asked=asked) == rule


@pytest.mark.parametrize(
    ("endpoints", "rule"),
    [
        (None, None),
        (frozenset({"user/info"}), "endpoint-approved/1"),
        (frozenset[str](), "endpoint-approved/1"),
    ],
)
def test_only_approved_endpoints_are_open(endpoints: frozenset[str] | None, rule: str | None) -> None:
    approval = replace(APPROVAL, endpoints=endpoints)
    assert refusing_rule(caller=replace(CALLER, approval=approval)) == rule


def test_without_rules_nothing_is_allowed() -> None:
    asked = Circumstances(caller=CALLER, query=IN_US, now=NOON, accept_url="")
    assert isinstance(judge(asked, ()), Refused)


def test_every_rule_names_its_clause_and_source() -> None:
    assert all(rule.id and rule.clause and rule.source for rule in RULES)
    assert len({rule.id for rule in RULES}) == len(RULES)
