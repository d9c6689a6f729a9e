"""Which limits hold for a caller, and what a refusal says."""

from datetime import UTC, datetime

from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Dimension, Exhausted, Limit, Room, Scope, ScopeKind, Standing, Want, Window
from app.quota.limits import (
    HeldTo,
    Owners,
    Raise,
    StoredLimit,
    amounts_at_door,
    amounts_upstream,
    effective_limits,
    explain,
    own_wants,
    owner_ids,
    platform_says,
    raised_by,
    wants_of,
)
from app.quota.mirror import believed

OWNERS: Owners = {"credential": "c", "project": "p", "membership": "m", "key": "k"}


def stored(kind: str, scope_id: str, amount: int, *, window: Window | None = Window.DAY) -> StoredLimit:
    return StoredLimit(
        scope_kind=kind, scope_id=scope_id, dimension=Dimension.REQUESTS, window=window, amount=amount
    )


def raised(kind: str, scope_id: str, amount: int, *, ended: bool = False) -> Raise:
    """From the tenth microsecond to the twentieth."""
    return Raise(
        id="r",
        scope_kind=kind,
        scope_id=scope_id,
        dimension=Dimension.REQUESTS,
        window=Window.DAY,
        amount=amount,
        from_us=10,
        until_us=20,
        reason="a deadline",
        granted_by="a",
        created_us=5,
        retired_us=11 if ended else None,
    )


def test_a_limit_for_each_member_holds_for_this_one() -> None:
    (found,) = effective_limits([stored("each_member", "p", 5)], **OWNERS)
    assert found == Limit(Scope(ScopeKind.MEMBER, "m"), Dimension.REQUESTS, Window.DAY, 5)


def test_a_members_own_limit_replaces_the_one_for_each_member() -> None:
    limits = [stored("member", "m", 9), stored("each_member", "p", 5)]
    assert [each.amount for each in effective_limits(limits, **OWNERS)] == [9]
    assert [each.amount for each in effective_limits(reversed(limits), **OWNERS)] == [9]


def test_limits_of_another_window_stand_beside_each_other() -> None:
    limits = [stored("member", "m", 9, window=Window.MONTH), stored("each_member", "p", 5)]
    assert sorted(each.amount for each in effective_limits(limits, **OWNERS)) == [5, 9]


def test_limits_of_others_do_not_hold() -> None:
    limits = [stored("member", "x", 1), stored("each_member", "x", 1), stored("project", "c", 1)]
    assert effective_limits(limits, **OWNERS) == ()


def test_minutes_and_calls_under_way_are_short_and_days_are_budgets() -> None:
    assert not stored("project", "p", 1).is_short
    assert stored("project", "p", 1, window=Window.MINUTE).is_short
    assert stored("project", "p", 1, window=None).is_short


def test_a_call_wants_of_every_scope() -> None:
    wants = wants_of(QuotaFamily.MAIN, requests=1, records=20, **OWNERS)
    assert {(want.scope.kind, want.dimension, want.amount) for want in wants} == {
        (kind, dimension, amount)
        for kind in ScopeKind
        for dimension, amount in ((Dimension.REQUESTS, 1), (Dimension.RECORDS, 20))
    }


def test_a_refusal_names_the_limit_its_return_and_what_is_left_elsewhere() -> None:
    project = Limit(Scope(ScopeKind.PROJECT, "p"), Dimension.REQUESTS, Window.DAY, 300)
    member = Limit(Scope(ScopeKind.MEMBER, "m"), Dimension.REQUESTS, Window.DAY, 100)
    exhausted = Exhausted(limit=member, wanted=1, left=0, others=(Room(limit=project, left=88),))
    message = explain(exhausted, datetime(2026, 11, 23, 12, tzinfo=UTC))
    assert "member-requests-day of 100 has 0 left" in message
    assert "2026-11-24 00:00 UTC" in message
    assert "project-requests-day 88" in message


def test_a_raise_counts_from_its_first_moment_to_before_its_last_unless_it_is_ended() -> None:
    assert [raised("key", "k", 1).holds_at(now_us) for now_us in (9, 10, 19, 20)] == [
        False,
        True,
        True,
        False,
    ]
    assert not raised("key", "k", 1, ended=True).holds_at(10)


def test_raises_of_one_limit_add_up_and_others_stand_beside_them() -> None:
    raises = [
        raised("key", "k", 3),
        raised("key", "k", 4),
        raised("key", "x", 5),
        raised("key", "k", 6, ended=True),
    ]
    day = (Dimension.REQUESTS, Window.DAY)
    assert raised_by(raises, now_us=15) == {("key", "k", *day): 7, ("key", "x", *day): 5}
    assert raised_by(raises, now_us=20) == {}


def test_a_raise_is_on_top_of_its_limit() -> None:
    on_top = raised_by([raised("key", "k", 3), raised("member", "m", 100)], now_us=15)
    (found,) = effective_limits([stored("key", "k", 10)], on_top, **OWNERS)
    assert found == Limit(Scope(ScopeKind.KEY, "k"), Dimension.REQUESTS, Window.DAY, 13)


def test_a_limit_for_each_member_is_raised_for_all_and_for_this_one() -> None:
    raises = [raised("each_member", "p", 3), raised("member", "m", 20), raised("member", "x", 100)]
    (found,) = effective_limits([stored("each_member", "p", 10)], raised_by(raises, now_us=15), **OWNERS)
    assert found.amount == 33


def test_the_owners_of_a_call_are_its_four_scopes() -> None:
    assert owner_ids(OWNERS) == {"c", "p", "m", "k"}


def test_every_answered_call_is_one_call_under_way_and_what_it_delivered() -> None:
    assert amounts_at_door(delivered=7) == {
        Dimension.CALLS: 1,
        Dimension.CONCURRENT: 1,
        Dimension.DELIVERED: 7,
    }


def test_what_goes_upstream_is_counted_by_family() -> None:
    assert amounts_upstream(QuotaFamily.MAIN, requests=1, records=20) == {
        Dimension.REQUESTS: 1,
        Dimension.RECORDS: 20,
    }
    assert amounts_upstream(QuotaFamily.GRAPH, requests=2, records=3) == {
        Dimension.FOLLOWER_CALLS: 2,
        Dimension.FOLLOWER_RECORDS: 3,
    }
    assert amounts_upstream(QuotaFamily.ADS, requests=4, records=5) == {
        Dimension.AD_CALLS: 4,
        Dimension.AD_RECORDS: 5,
    }


def test_budgets_on_what_bursar_counts_want_each_scope_once() -> None:
    project, member = Scope(ScopeKind.PROJECT, "p"), Scope(ScopeKind.MEMBER, "m")
    budgets = (
        Limit(project, Dimension.CALLS, Window.DAY, 9),
        Limit(project, Dimension.CALLS, Window.MONTH, 99),
        Limit(member, Dimension.DELIVERED, Window.DAY, 500),
    )
    assert own_wants(HeldTo(own_budgets=budgets), calls=1, delivered=20) == (
        Want(project, Dimension.CALLS, 1),
        Want(member, Dimension.DELIVERED, 20),
    )
    assert own_wants(HeldTo(), calls=1, delivered=20) == ()


def test_a_refusal_says_what_is_kept_for_other_projects_and_what_short_limits_have() -> None:
    credential = Limit(Scope(ScopeKind.CREDENTIAL, "c"), Dimension.REQUESTS, Window.DAY, 1000)
    minute = Limit(Scope(ScopeKind.MEMBER, "m"), Dimension.CALLS, Window.MINUTE, 60)
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    message = explain(
        Exhausted(limit=credential, wanted=1, left=0, others=(), kept=40),
        noon,
        short=[Standing(limit=minute, used=1, reserved=0, left=59, resets_at=None)],
    )
    assert (
        " 40 more are kept for other projects until they use them or the day ends. It comes back" in message
    )
    assert message.endswith(" Left in other limits: member-calls-minute 59.")
    plain = explain(Exhausted(limit=credential, wanted=1, left=0, others=()), noon)
    assert plain == (
        "Quota used up: limit credential-requests-day of 1000 has 0 left and this call needs 1. "
        "It comes back at 2026-11-24 00:00 UTC."
    )


def test_a_limit_without_a_window_does_not_come_back_by_itself() -> None:
    for_good = Limit(Scope(ScopeKind.PROJECT, "p"), Dimension.REQUESTS, None, 10)
    exhausted = Exhausted(limit=for_good, wanted=1, left=0, others=())
    assert explain(exhausted, datetime(2026, 11, 23, 12, tzinfo=UTC)).endswith(
        "It does not come back by itself."
    )


def test_what_the_platform_says_comes_with_what_was_counted_and_when_it_is_asked_again() -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    mirror = believed(None, day=noon.date(), now=noon, counted_calls=600, counted_records=40_000)
    assert platform_says(mirror, QuotaFamily.MAIN, noon) == (
        f"The platform says that the day's {QuotaFamily.MAIN} quota of this credential is used up, since 12:00 UTC; "
        "Bursar had counted 600 calls and 40000 records. Nothing was sent. It comes back at 2026-11-24 00:00 UTC at "
        "the latest; Bursar asks again at 12:15 UTC."
    )
