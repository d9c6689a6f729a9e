"""Every rule, allowed and refused: one table, with the days, hours and amounts at which it turns."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from app.identity.callers import Caller, Freeze, Policy, Roster, Terms, TermsVersion
from app.policy.engine import Refused
from app.policy.rules import ALL_RULES, RULES, Named
from app.query import Page, ResearchQuery
from tests.policy.scene import (
    CALLER,
    IN_US,
    NOON,
    TERMS,
    USER,
    condition,
    in_us,
    query,
    refusing_rule,
    verdict,
)

KIRITIMATI, NIUE = timezone(timedelta(hours=14)), timezone(timedelta(hours=-11))
ALWAYS = replace(CALLER, member_from=None, member_until=None)


def accepted(*versions: str, **terms: tuple[date, int]) -> Caller:
    """A caller who accepted some of these versions, each with its first day and its days of grace."""
    found = tuple(
        TermsVersion(since=since, version=name, grace_days=grace) for name, (since, grace) in terms.items()
    )
    return replace(ALWAYS, terms=Terms(versions=found, accepted=frozenset(versions)))


def approved(caller: Caller = ALWAYS, /, **changes: object) -> Caller:
    return replace(caller, approval=replace(caller.approval, **changes))  # type: ignore[arg-type]


def roster(*until: date | None, limit: int = 10) -> Caller:
    return replace(ALWAYS, roster=Roster(limit=limit, until=until))


FROZEN = Freeze(kind="project", name="elections", since=NOON, ask=("it@example.edu",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A call, and the one rule that refuses it; None where all agree."""

    says: str
    refused_by: str | None
    caller: Caller = ALWAYS
    asked: ResearchQuery = IN_US
    now: datetime = NOON

    def __str__(self) -> str:
        return f"{self.says}: {'allowed' if self.refused_by is None else self.refused_by}"


def at(*moment: int, zone: timezone = UTC) -> datetime:
    return datetime(*moment, tzinfo=zone)  # type: ignore[misc,arg-type]


def ads(*fields: str) -> ResearchQuery:
    return ResearchQuery(endpoint="adlib/ad/query", question="{}", fields=fields, page=Page(size=10))


ADS = approved(endpoints=None, fields={"adlib/ad/query": frozenset({"ad", "advertiser.business_name"})})
LEAP = approved(from_day=date(2024, 2, 29), until_day=date(2028, 2, 29))
SHORT = approved(from_day=date(2025, 2, 28), until_day=date(2027, 2, 28))
V1, V2, V3 = (date(2024, 1, 1), 0), (date(2026, 6, 1), 14), (date(2026, 6, 10), 30)
CASES = (
    Case(says="a call inside every bound", refused_by=None, caller=CALLER),
    # not-frozen/1
    Case(says="a frozen project", refused_by="not-frozen/1", caller=replace(CALLER, freeze=FROZEN)),
    Case(
        says="a frozen project after its end",
        refused_by="not-frozen/1",
        caller=replace(CALLER, freeze=FROZEN),
        now=at(2030, 1, 1),
    ),
    # approval-in-force/1
    Case(says="the last second before", refused_by="approval-in-force/1", now=at(2026, 1, 31, 23, 59, 59)),
    Case(says="the first second", refused_by=None, now=at(2026, 2, 1)),
    Case(says="the last second", refused_by=None, now=at(2028, 2, 29, 23, 59, 59)),
    Case(says="the first second after", refused_by="approval-in-force/1", now=at(2028, 3, 1)),
    Case(says="a leap day as the first", refused_by=None, caller=LEAP, now=at(2024, 2, 29)),
    Case(
        says="the day before it", refused_by="approval-in-force/1", caller=LEAP, now=at(2024, 2, 28, 23, 59)
    ),
    Case(says="28 February as the last", refused_by=None, caller=SHORT, now=at(2027, 2, 28, 23, 59)),
    Case(says="1 March after it", refused_by="approval-in-force/1", caller=SHORT, now=at(2027, 3, 1)),
    Case(
        says="1 March in Kiritimati is February in UTC",
        refused_by=None,
        now=at(2028, 3, 1, 13, zone=KIRITIMATI),
    ),
    Case(
        says="29 February in Niue is March in UTC",
        refused_by="approval-in-force/1",
        now=at(2028, 2, 29, 13, zone=NIUE),
    ),
    Case(
        says="31 January in Niue is February in UTC",
        refused_by=None,
        now=at(2026, 1, 31, 13, 0, 1, zone=NIUE),
    ),
    # named-collaborator/1
    Case(
        says="before joining", refused_by="named-collaborator/1", caller=CALLER, now=at(2026, 2, 28, 23, 59)
    ),
    Case(says="the day of joining", refused_by=None, caller=CALLER, now=at(2026, 3, 1)),
    Case(says="the day of leaving", refused_by=None, caller=CALLER, now=at(2027, 3, 1, 23, 59, 59)),
    Case(says="the day after leaving", refused_by="named-collaborator/1", caller=CALLER, now=at(2027, 3, 2)),
    Case(
        says="2 March in Kiritimati, before it is in UTC",
        refused_by=None,
        caller=CALLER,
        now=at(2027, 3, 2, 13, zone=KIRITIMATI),
    ),
    # roster-limit/1
    Case(says="ten people", refused_by=None, caller=roster(*[None] * 10)),
    Case(says="eleven people", refused_by="roster-limit/1", caller=roster(*[None] * 11)),
    Case(
        says="an eleventh on their last day",
        refused_by="roster-limit/1",
        caller=roster(*[None] * 10, date(2026, 6, 1)),
    ),
    Case(
        says="an eleventh who left yesterday", refused_by=None, caller=roster(*[None] * 10, date(2026, 5, 31))
    ),
    Case(says="eleven with permission", refused_by=None, caller=roster(*[None] * 11, limit=11)),
    # terms-accepted/2
    Case(says="no terms", refused_by=None, caller=accepted()),
    Case(says="terms of tomorrow", refused_by=None, caller=accepted(v=(date(2026, 6, 2), 0))),
    Case(says="terms of today", refused_by="terms-accepted/2", caller=accepted(v=(date(2026, 6, 1), 0))),
    Case(says="terms of today, accepted", refused_by=None, caller=accepted("v", v=(date(2026, 6, 1), 0))),
    Case(
        says="the terms before alone",
        refused_by="terms-accepted/2",
        caller=accepted("a", a=V1, b=(date(2026, 6, 1), 0)),
    ),
    Case(
        says="terms to come alone",
        refused_by="terms-accepted/2",
        caller=accepted("c", a=V1, c=(date(2026, 6, 2), 0)),
    ),
    Case(says="grace for who accepted before", refused_by=None, caller=accepted("a", a=V1, b=V2)),
    Case(
        says="grace on its last day",
        refused_by=None,
        caller=accepted("a", a=V1, b=V2),
        now=at(2026, 6, 14, 23, 59, 59),
    ),
    Case(
        says="grace a day later",
        refused_by="terms-accepted/2",
        caller=accepted("a", a=V1, b=V2),
        now=at(2026, 6, 15),
    ),
    Case(says="grace for a newcomer", refused_by="terms-accepted/2", caller=accepted(a=V1, b=V2)),
    Case(says="grace without terms before", refused_by="terms-accepted/2", caller=accepted(b=V2)),
    Case(
        says="two graces one upon the other",
        refused_by=None,
        caller=accepted("a", a=V1, b=V2, c=V3),
        now=at(2026, 6, 14),
    ),
    Case(
        says="the older grace is over",
        refused_by="terms-accepted/2",
        caller=accepted("a", a=V1, b=V2, c=V3),
        now=at(2026, 6, 15),
    ),
    Case(
        says="the newer grace alone",
        refused_by=None,
        caller=accepted("b", a=V1, b=V2, c=V3),
        now=at(2026, 7, 9),
    ),
    Case(
        says="and its end",
        refused_by="terms-accepted/2",
        caller=accepted("b", a=V1, b=V2, c=V3),
        now=at(2026, 7, 10),
    ),
    # fields-approved/1
    Case(says="approved fields", refused_by=None, asked=in_us(fields=("id", "username"))),
    Case(says="one field beyond", refused_by="fields-approved/1", asked=in_us(fields=("id", "like_count"))),
    Case(says="no field named, so every field", refused_by="fields-approved/1", asked=in_us(fields=())),
    Case(
        says="another endpoint's bound",
        refused_by=None,
        caller=approved(endpoints=None),
        asked=replace(USER, fields=("display_name",)),
    ),
    Case(
        says="a part of an approved whole",
        refused_by=None,
        caller=ADS,
        asked=ads("ad.id", "advertiser.business_name"),
    ),
    Case(
        says="the whole of an approved part",
        refused_by="fields-approved/1",
        caller=ADS,
        asked=ads("advertiser"),
    ),
    Case(
        says="another part", refused_by="fields-approved/1", caller=ADS, asked=ads("advertiser.business_id")
    ),
    # conditions-approved/1
    Case(says="both regions", refused_by=None, asked=query(condition("region_code", "US", "CA"))),
    Case(
        says="a region and more",
        refused_by=None,
        asked=query(condition("region_code", "US", operation="EQ"), condition("keyword", "x")),
    ),
    Case(
        says="a region beyond",
        refused_by="conditions-approved/1",
        asked=query(condition("region_code", "US", "FR")),
    ),
    Case(says="no region", refused_by="conditions-approved/1", asked=query(condition("keyword", "x"))),
    Case(
        says="a region that need not hold",
        refused_by="conditions-approved/1",
        asked=query(condition("region_code", "US"), group="or"),
    ),
    Case(
        says="a region that must not hold",
        refused_by="conditions-approved/1",
        asked=query(condition("region_code", "US"), group="not"),
    ),
    Case(
        says="a region compared",
        refused_by="conditions-approved/1",
        asked=query(condition("region_code", "US", operation="GT")),
    ),
    # dates-approved/1
    Case(
        says="the first approved day",
        refused_by=None,
        caller=approved(dates_from=date(2024, 2, 29)),
        asked=in_us(start="20240229", end="20240301"),
    ),
    Case(
        says="the day before",
        refused_by="dates-approved/1",
        caller=approved(dates_from=date(2024, 2, 29)),
        asked=in_us(start="20240228", end="20240301"),
    ),
    Case(says="the last approved day", refused_by=None, caller=approved(dates_until=date(2026, 3, 2))),
    Case(says="the day after", refused_by="dates-approved/1", caller=approved(dates_until=date(2026, 3, 1))),
    Case(
        says="days where there are none",
        refused_by=None,
        caller=approved(dates_until=date(2020, 1, 1), endpoints=None),
        asked=USER,
    ),
    # date-span/1
    Case(says="thirty days", refused_by=None, asked=in_us(start="20260301", end="20260331")),
    Case(says="thirty-one days", refused_by="date-span/1", asked=in_us(start="20260301", end="20260401")),
    Case(says="thirty days over a leap day", refused_by=None, asked=in_us(start="20240131", end="20240301")),
    Case(says="thirty-one over it", refused_by="date-span/1", asked=in_us(start="20240130", end="20240301")),
    Case(says="thirty over the year's end", refused_by=None, asked=in_us(start="20251215", end="20260114")),
    Case(
        says="seven approved, seven asked",
        refused_by=None,
        caller=approved(max_span_days=7),
        asked=in_us(end="20260308"),
    ),
    Case(
        says="seven approved, eight asked",
        refused_by="date-span/1",
        caller=approved(max_span_days=7),
        asked=in_us(end="20260309"),
    ),
    Case(
        says="more approved than the platform allows",
        refused_by="date-span/1",
        caller=approved(max_span_days=90),
        asked=in_us(end="20260401"),
    ),
    # page-size/1
    Case(says="a hundred records", refused_by=None, asked=in_us(size=100)),
    Case(says="a hundred and one", refused_by="page-size/1", asked=in_us(size=101)),
    # endpoint-approved/1
    Case(says="every endpoint", refused_by=None, caller=approved(endpoints=None)),
    Case(
        says="another endpoint",
        refused_by="endpoint-approved/1",
        caller=approved(endpoints=frozenset({"user/info"})),
    ),
    Case(says="no endpoint", refused_by="endpoint-approved/1", caller=approved(endpoints=frozenset())),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_call_is_refused_by_the_rule_that_the_table_names(case: Case) -> None:
    assert refusing_rule(caller=case.caller, asked=case.asked, now=case.now) == case.refused_by


def test_the_table_refuses_by_every_rule_on_calls() -> None:
    assert {case.refused_by for case in CASES} == {None, *(rule.id for rule in RULES)}


@pytest.mark.parametrize("case", [case for case in CASES if case.refused_by], ids=str)
def test_a_refusal_says_why_and_what_to_do_next(case: Case) -> None:
    answer = verdict(caller=case.caller, asked=case.asked, now=case.now)
    assert isinstance(answer, Refused)
    why, _, then = answer.reason.partition(". ")
    assert why
    assert re.match("(Ask|Try|Read|Name|Leave|Add|Move|Split|Pass) ", then), answer.reason


def test_the_refusal_says_where_the_terms_are_accepted() -> None:
    answer = verdict(caller=replace(CALLER, terms=replace(TERMS, accepted=frozenset())))
    assert isinstance(answer, Refused)
    assert "https://bursar.example.edu/api/v1/me/terms/2024-10/acceptance" in answer.reason


def test_whoever_goes_on_by_grace_is_told_until_when() -> None:
    terms = accepted("a", a=V1, b=V2, c=V3).terms
    assert terms.pending(date(2026, 6, 12)) == TermsVersion(since=V3[0], version="c", grace_days=30)
    # The older of the two periods ends first, and with it the calls.
    assert terms.accept_by(date(2026, 6, 12)) == date(2026, 6, 14)
    assert terms.accept_by(date(2026, 6, 15)) is None
    assert accepted("b", a=V1, b=V2).terms.accept_by(date(2026, 6, 2)) is None


def test_every_rule_names_its_version_clause_source_and_date() -> None:
    assert all(re.fullmatch(r"[a-z-]+/[1-9]\d*", rule.id) for rule in ALL_RULES)
    assert all(rule.clause and rule.source and rule.dated.year >= 2023 for rule in ALL_RULES)
    assert len({rule.id for rule in ALL_RULES}) == len(ALL_RULES)


@pytest.mark.parametrize("kind", ["person", "project", "credential"])
def test_whatever_is_frozen_is_refused_before_any_other_rule(kind: str) -> None:
    since = datetime(2026, 5, 31, 9, 30, tzinfo=UTC)
    frozen = Freeze(kind=kind, name="main", since=since, ask=("it@example.edu", "ops@example.edu"))
    answer = verdict(caller=replace(CALLER, freeze=frozen), now=datetime(2030, 1, 1, tzinfo=UTC))
    assert isinstance(answer, Refused)
    assert answer.rule == "not-frozen/1"
    assert "2026-05-31 09:30 UTC" in answer.reason
    assert "it@example.edu or ops@example.edu" in answer.reason
    assert ("your access" in answer.reason) == (kind == "person")


@pytest.mark.parametrize("mode", ["warn", "shadow"])
def test_no_mode_lets_the_frozen_go_on(mode: str) -> None:
    frozen = Freeze(kind="project", name="main", since=NOON)
    weakened = Policy(modes={"not-frozen/1": mode})
    assert refusing_rule(caller=replace(CALLER, freeze=frozen, policy=weakened)) == "not-frozen/1"


def test_without_an_administrators_address_the_frozen_are_told_to_ask_one() -> None:
    frozen = Freeze(kind="person", name="", since=NOON)
    assert "Ask an administrator;" in frozen.says()


def test_a_version_that_is_put_off_to_the_end_of_the_calendar_has_its_grace_until_then() -> None:
    put_off = TermsVersion(since=date.max, version="b", grace_days=366)
    assert put_off.accept_by == date.max
    assert put_off.is_in_grace(date.max)
    assert not TermsVersion(since=date.max, version="b").is_in_grace(date.max)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.id)
def test_a_rule_is_dated_as_its_source_says(rule: Named) -> None:
    dated, spelled = rule.dated, [rule.dated.isoformat()]
    if dated.day == 1:
        spelled += [f"{dated:%B %Y}", f" of {dated:%Y} "]
    assert not re.search(r"\d{4}", rule.source) or any(each in rule.source for each in spelled)
