"""Which limits hold for a caller, and what a refusal says."""

from datetime import UTC, datetime

from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Dimension, Exhausted, Limit, Room, Scope, ScopeKind, Window
from app.quota.limits import Owners, StoredLimit, effective_limits, explain, wants_of

OWNERS: Owners = {"credential": "c", "project": "p", "membership": "m", "key": "k"}


def stored(kind: str, scope_id: str, amount: int, *, window: Window | None = Window.DAY) -> StoredLimit:
    return StoredLimit(
        scope_kind=kind, scope_id=scope_id, dimension=Dimension.REQUESTS, window=window, amount=amount
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
