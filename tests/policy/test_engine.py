"""Modes of rules, held data, and that nothing is allowed by default."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from app.identity.callers import Caller, Policy
from app.policy.engine import BY_MODE, Allowed, Mode, Refused, judge, judge_held, mode_of
from app.policy.rules import Circumstances, Reuse
from tests.policy.scene import APPROVAL, CALLER, IN_US, NOON, in_us, verdict

DAY_S = 86_400


def under(caller: Caller = CALLER, **modes: str) -> Caller:
    named = {name.replace("_", "-") + "/1": mode for name, mode in modes.items()}
    return replace(caller, policy=replace(caller.policy, modes=named))


def stating(*amounts: tuple[date, int]) -> Caller:
    return replace(CALLER, policy=Policy(amounts={"refresh_interval_days": amounts}))


def held(*, caller: Caller = CALLER, age_s: int = 0, now: datetime = NOON) -> Allowed | Refused:
    return judge_held(Reuse(caller=caller, age_s=age_s, now=now))


def test_a_call_inside_every_bound_is_allowed_by_the_last_rule() -> None:
    assert verdict() == Allowed(rule="endpoint-approved/1")
    assert verdict().decision() == {"rule": "endpoint-approved/1"}


def test_without_rules_nothing_is_allowed() -> None:
    asked = Circumstances(caller=CALLER, query=IN_US, now=NOON, accept_url="")
    assert isinstance(judge(asked, ()), Refused)
    assert isinstance(judge_held(Reuse(caller=CALLER, age_s=0, now=NOON), ()), Refused)


def test_a_warning_rule_lets_the_call_go_on_and_is_named_with_its_reason() -> None:
    answer = verdict(caller=under(fields_approved="warn"), asked=in_us(fields=("like_count",)))
    assert isinstance(answer, Allowed)
    assert answer.decision() == {"rule": "endpoint-approved/1", "warned": ["fields-approved/1"]}
    assert "like_count" in answer.warned[0].reason


def test_a_shadowed_rule_is_named_in_the_entry_alone() -> None:
    answer = verdict(caller=under(fields_approved="shadow"), asked=in_us(fields=("like_count",)))
    assert isinstance(answer, Allowed)
    assert answer.decision() == {"rule": "endpoint-approved/1", "shadow": ["fields-approved/1"]}
    assert answer.warned == ()


def test_a_rule_that_is_enforced_refuses_beside_those_that_are_not() -> None:
    caller = under(fields_approved="shadow", date_span="warn")
    asked = in_us(fields=("like_count",), end="20260501", size=101)
    answer = verdict(caller=caller, asked=asked)
    assert isinstance(answer, Refused)
    assert answer.decision() == {
        "rule": "page-size/1",
        "warned": ["date-span/1"],
        "shadow": ["fields-approved/1"],
    }


def test_what_the_last_rule_did_not_allow_is_not_said_to_be_allowed_by_it() -> None:
    caller = under(endpoint_approved="shadow")
    answer = verdict(caller=replace(caller, approval=replace(APPROVAL, endpoints=frozenset())))
    assert answer.decision() == {"rule": BY_MODE, "shadow": ["endpoint-approved/1"]}


@pytest.mark.parametrize("mode", ["", "off", "Enforce", "shadows"])
def test_a_mode_that_does_not_exist_enforces(mode: str) -> None:
    caller = under(fields_approved=mode)
    assert mode_of("fields-approved/1", caller.policy) is Mode.ENFORCE
    assert isinstance(verdict(caller=caller, asked=in_us(fields=("like_count",))), Refused)


def test_the_mode_of_an_older_version_says_nothing_of_a_newer_one() -> None:
    caller = replace(CALLER, policy=Policy(modes={"terms-accepted/1": "shadow"}))
    nothing = replace(caller, terms=replace(caller.terms, accepted=frozenset()))
    assert isinstance(verdict(caller=nothing), Refused)


@pytest.mark.parametrize(
    ("says", "caller", "age_s", "now", "rule"),
    [
        ("young", CALLER, 0, NOON, None),
        ("a second before fifteen days", CALLER, 15 * DAY_S - 1, NOON, None),
        ("fifteen days", CALLER, 15 * DAY_S, NOON, "refresh-interval/1"),
        ("thirty stated", stating((date(2026, 1, 22), 30)), 30 * DAY_S - 1, NOON, None),
        (
            "thirty stated, thirty old",
            stating((date(2026, 1, 22), 30)),
            30 * DAY_S,
            NOON,
            "refresh-interval/1",
        ),
        ("thirty from tomorrow", stating((date(2026, 6, 2), 30)), 15 * DAY_S, NOON, "refresh-interval/1"),
        (
            "seven since today",
            stating((date(2026, 1, 22), 30), (date(2026, 6, 1), 7)),
            7 * DAY_S,
            NOON,
            "refresh-interval/1",
        ),
        ("the last second of the project", CALLER, 0, datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC), None),
        ("the first after its end", CALLER, 0, datetime(2028, 3, 1, tzinfo=UTC), "nothing-after-end/1"),
    ],
)
def test_a_held_page_is_served_until_the_rule_that_ends_it(
    says: str, caller: Caller, age_s: int, now: datetime, rule: str | None
) -> None:
    answer = held(caller=caller, age_s=age_s, now=now)
    assert (answer.rule if isinstance(answer, Refused) else None) == rule, says


def test_what_the_held_rules_warn_of_is_said_of_the_call() -> None:
    caller = under(refresh_interval="warn", nothing_after_end="shadow", fields_approved="warn")
    over = held(caller=caller, age_s=99 * DAY_S, now=datetime(2030, 1, 1, tzinfo=UTC))
    call = verdict(caller=caller, asked=in_us(fields=("like_count",)))
    assert isinstance(call, Allowed)
    assert isinstance(over, Allowed)
    assert call.but(over).decision() == {
        "rule": "endpoint-approved/1",
        "warned": ["fields-approved/1", "refresh-interval/1"],
        "shadow": ["nothing-after-end/1"],
    }


def test_a_held_page_inside_every_bound_is_allowed_by_the_last_rule_on_held_data() -> None:
    assert held() == Allowed(rule="refresh-interval/1")
    ended = held(caller=under(nothing_after_end="shadow"), now=datetime(2028, 3, 1, tzinfo=UTC))
    assert ended == Allowed(rule="refresh-interval/1", shadow=("nothing-after-end/1",))


def test_of_a_page_that_no_rule_speaks_of_nothing_is_said() -> None:
    call = verdict()
    assert isinstance(call, Allowed)
    assert call.but(Allowed(rule="nothing-after-end/1")) is call


@pytest.mark.parametrize("mode", ["warn", "shadow"])
def test_what_is_only_warned_of_or_only_noted_is_said_as_well(mode: str) -> None:
    call, over = verdict(), held(caller=under(refresh_interval=mode), age_s=99 * DAY_S)
    assert isinstance(call, Allowed)
    assert isinstance(over, Allowed)
    said = {"warn": "warned", "shadow": "shadow"}[mode]
    assert call.but(over).decision() == {"rule": "endpoint-approved/1", said: ["refresh-interval/1"]}


def test_beside_other_objections_too_the_last_rule_allows_nothing_that_it_objects_to() -> None:
    caller = under(fields_approved="shadow", endpoint_approved="shadow")
    caller = replace(caller, approval=replace(APPROVAL, endpoints=frozenset()))
    answer = verdict(caller=caller, asked=in_us(fields=("like_count",)))
    assert answer.decision() == {"rule": BY_MODE, "shadow": ["fields-approved/1", "endpoint-approved/1"]}
