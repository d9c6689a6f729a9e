from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.quota.arithmetic import Dimension, Limit, Scope, ScopeKind, Window
from app.quota.forecast import Budget, Course, Load, course

TODAY = date(2026, 11, 25)
PROJECT, MEMBER = Scope(ScopeKind.PROJECT, "p"), Scope(ScopeKind.MEMBER, "m")


def budget(
    left: int,
    whole: int,
    *,
    window: Window = Window.DAY,
    dimension: Dimension = Dimension.REQUESTS,
    scope: Scope = PROJECT,
) -> Budget:
    return Budget(limit=Limit(scope, dimension, window, whole), left=left, whole=whole)


def load(calls: int, *, records: float = 0, page: int = 0) -> Load:
    each = {Dimension.REQUESTS: 1.0, Dimension.RECORDS: records}
    return Load(calls=calls, each=each, free={Dimension.REQUESTS: 1, Dimension.RECORDS: page})


@pytest.mark.parametrize(
    ("left", "calls", "days"),
    [(10, 10, 1), (10, 11, 2), (10, 110, 2), (10, 111, 3), (0, 100, 2), (0, 101, 3), (10, 0, 0)],
)
def test_todays_rest_comes_first_and_then_whole_days(left: int, calls: int, days: int) -> None:
    limit = budget(left, 100)
    found = course([limit], load(calls), today=TODAY)
    assert found == Course(days, limit.limit if days > 1 else None)


def test_several_limits_hold_day_by_day_together() -> None:
    # Each alone would need two days: nothing is left of one today, and the other gives 50 a day.
    spent, slow = budget(0, 1_000), budget(50, 50, scope=MEMBER)
    assert course([spent, slow], load(100), today=TODAY) == Course(3, spent.limit)


def test_records_hold_up_a_crawl_that_has_requests_enough() -> None:
    records = budget(1_000, 1_000, dimension=Dimension.RECORDS)
    found = course([budget(500, 500), records], load(30, records=100, page=100), today=TODAY)
    assert found == Course(3, records.limit)


def test_a_call_needs_room_for_a_full_page_though_it_brings_less() -> None:
    records = budget(130, 130, dimension=Dimension.RECORDS)
    # 20 records each: after two calls 90 are left, and a page of 100 does not fit.
    assert course([records], load(4, records=20, page=100), today=TODAY).days == 2
    assert course([records], load(5, records=20, page=100), today=TODAY).days == 3
    assert course([budget(9, 9, dimension=Dimension.RECORDS)], load(1, records=1, page=100), today=TODAY) == (
        Course(None, Limit(PROJECT, Dimension.RECORDS, Window.DAY, 9))
    )


def test_a_month_begins_anew_on_its_first_day() -> None:
    month = budget(5, 100, window=Window.MONTH)
    assert course([month], load(6), today=TODAY) == Course(7, month.limit)
    assert course([month], load(105), today=TODAY).days == 7
    # December has 31 days.
    assert course([month], load(106), today=TODAY).days == 7 + 31


def test_a_projects_lifetime_never_begins_anew() -> None:
    lifetime = budget(50, 200, window=Window.PROJECT)
    assert course([lifetime], load(50), today=TODAY) == Course(1, None)
    assert course([lifetime], load(51), today=TODAY) == Course(None, lifetime.limit)


def test_a_limit_of_nothing_is_told_as_never() -> None:
    assert course([budget(0, 0)], load(1), today=TODAY).days is None


def test_no_limit_is_no_wait_and_limits_on_other_things_do_not_count() -> None:
    other = budget(0, 0, dimension=Dimension.FOLLOWER_CALLS)
    assert (
        course([], load(10_000), today=TODAY) == course([other], load(10_000), today=TODAY) == Course(1, None)
    )


def test_a_day_that_the_platform_calls_used_up_is_lost() -> None:
    assert course([budget(100, 100)], load(100), today=TODAY, is_closed_today=True).days == 2
    assert course([], load(1), today=TODAY, is_closed_today=True).days == 2


@given(left=st.integers(0, 50), whole=st.integers(1, 50), calls=st.integers(1, 400), more=st.integers(0, 400))
def test_more_calls_never_take_fewer_days_and_every_day_is_needed(
    left: int, whole: int, calls: int, more: int
) -> None:
    left = min(left, whole)
    limits = [budget(left, whole)]
    days = course(limits, load(calls), today=TODAY).days
    longer = course(limits, load(calls + more), today=TODAY).days
    assert days is not None
    assert longer is not None
    assert longer >= days
    # What the days before the last one hold is too little, and with the last one it is enough.
    assert (left if days > 1 else 0) + max(0, days - 2) * whole < calls <= left + (days - 1) * whole


def test_a_crawl_of_many_years_is_told_as_never() -> None:
    assert course([budget(1, 1)], load(10_000), today=TODAY).days is None
    assert course([budget(1, 1)], load(3_660), today=TODAY).days == 3_660
    assert TODAY + timedelta(days=3_660) < date.max
