from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.quota.arithmetic import (
    Dimension,
    Exhausted,
    Floor,
    Granted,
    Limit,
    Room,
    Scope,
    ScopeKind,
    Use,
    Want,
    Window,
    counts_until,
    days_at,
    decide,
    fetch_size,
    first_day,
    kept_from,
    limit_name,
    parse_limit_key,
    ratelimit_headers,
    resets_at,
    retry_after_s,
    room,
    standing,
    thresholds_crossed,
    times_counted,
    use_at,
)

CREDENTIAL = Scope(ScopeKind.CREDENTIAL, "c")
PROJECT = Scope(ScopeKind.PROJECT, "p")
MEMBER = Scope(ScopeKind.MEMBER, "m")
KEY = Scope(ScopeKind.KEY, "k")
NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
TODAY = (date(2026, 3, 14),)


def limit(
    scope: Scope = PROJECT,
    dimension: Dimension = Dimension.REQUESTS,
    window: Window | None = Window.DAY,
    amount: int = 10,
) -> Limit:
    return Limit(scope, dimension, window, amount)


def want(amount: int = 1, scope: Scope = PROJECT, dimension: Dimension = Dimension.REQUESTS) -> Want:
    return Want(scope, dimension, amount)


def at(*when: int, microsecond: int = 0) -> datetime:
    return datetime(*when, microsecond=microsecond, tzinfo=UTC)  # type: ignore[misc,arg-type]


def refused(limits: Sequence[Limit], uses: dict[Limit, Use], wants: Sequence[Want]) -> Exhausted:
    decision = decide(limits, uses, wants, days=TODAY)
    assert isinstance(decision, Exhausted)
    return decision


def out(window: Window | None) -> Exhausted:
    return Exhausted(limit=limit(window=window), wanted=1, left=0, others=())


def test_every_limit_key_of_the_state_file_is_read() -> None:
    for dimension in Dimension:
        if dimension is not Dimension.CONCURRENT:
            for window in Window:
                assert parse_limit_key(f"{dimension}/{window}") == (dimension, window)
    assert parse_limit_key("concurrent") == (Dimension.CONCURRENT, None)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "requests, records"),
        ("requests", "requests/ and then one of minute, day, month, project"),
        ("requests/", "requests/ and then"),
        ("requests/days", "requests/ and then"),
        ("requests/day/day", "requests/ and then"),
        ("Requests/day", "requests, records"),
        (" requests/day", "requests, records"),
        ("request/day", "requests, records"),
        ("concurrent/day", "stands alone"),
        ("concurrent/", "stands alone"),
        ("/day", "requests, records"),
    ],
)
def test_any_other_limit_key_is_refused_with_what_would_be_right(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        parse_limit_key(text)


@pytest.mark.parametrize(
    ("now", "days"),
    [
        (at(2026, 3, 14, 12), ["2026-03-14"]),
        (at(2026, 3, 14, 23, 59, 54, microsecond=999_999), ["2026-03-14"]),
        (at(2026, 3, 14, 23, 59, 55), ["2026-03-14", "2026-03-15"]),
        (at(2026, 3, 15), ["2026-03-14", "2026-03-15"]),
        (at(2026, 3, 15, 0, 0, 5), ["2026-03-14", "2026-03-15"]),
        (at(2026, 3, 15, 0, 0, 5, microsecond=1), ["2026-03-15"]),
        (at(2028, 2, 29, 0, 0, 1), ["2028-02-28", "2028-02-29"]),
        (at(2028, 2, 29, 23, 59, 59), ["2028-02-29", "2028-03-01"]),
        (at(2026, 12, 31, 23, 59, 59), ["2026-12-31", "2027-01-01"]),
    ],
)
def test_a_call_within_five_seconds_of_midnight_counts_on_both_days(now: datetime, days: list[str]) -> None:
    assert [day.isoformat() for day in days_at(now)] == days


@pytest.mark.parametrize("hours", [-11, 0, 14])
def test_only_utc_matters_whatever_zone_a_moment_is_written_in(hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    now = at(2026, 12, 31, 23, 59, 58)
    assert days_at(now.astimezone(zone)) == days_at(now)
    for window in (*Window, None):
        assert resets_at(window, now.astimezone(zone)) == resets_at(window, now)
    assert first_day(Window.MONTH, now.astimezone(zone)) == date(2026, 12, 1)


@given(
    st.integers(0, 4 * 86_400 * 10**6).map(
        lambda us: datetime(2028, 2, 27, tzinfo=UTC) + timedelta(microseconds=us)
    ),
    st.integers(-10_000_000, 10_000_000),
)
def test_a_call_may_be_sent_for_as_long_as_it_counts_on_the_days_that_it_was_reserved_for(
    reserved: datetime, off_us: int
) -> None:
    days = days_at(reserved)
    until = counts_until(days)
    assert reserved < until
    sent = max(reserved, until + timedelta(microseconds=off_us))
    assert (set(days_at(sent)) <= set(days)) is (sent < until)


def test_a_moment_without_a_zone_is_never_guessed_at() -> None:
    for function in (days_at, lambda now: resets_at(Window.DAY, now), lambda now: first_day(Window.DAY, now)):
        with pytest.raises(ValueError):
            function(datetime(2026, 3, 14))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        (Window.MINUTE, NOON, at(2026, 3, 14, 12, 1)),
        (Window.DAY, NOON, at(2026, 3, 15)),
        (Window.DAY, at(2026, 3, 15), at(2026, 3, 16)),
        (Window.DAY, at(2028, 2, 28, 23), at(2028, 2, 29)),
        (Window.DAY, at(2027, 2, 28, 23), at(2027, 3, 1)),
        (Window.MONTH, at(2026, 1, 31, 23), at(2026, 2, 1)),
        (Window.MONTH, at(2028, 2, 29), at(2028, 3, 1)),
        (Window.MONTH, at(2026, 12, 1), at(2027, 1, 1)),
        (Window.PROJECT, NOON, None),
        (None, NOON, None),
    ],
)
def test_a_window_ends_where_the_calendar_says(
    window: Window | None, now: datetime, expected: datetime
) -> None:
    assert resets_at(window, now) == expected


def test_the_rows_of_a_window_begin_on_its_first_day() -> None:
    assert first_day(Window.DAY, NOON) == date(2026, 3, 14)
    assert first_day(Window.MONTH, NOON) == date(2026, 3, 1)
    assert first_day(Window.PROJECT, NOON) is None
    for window in (Window.MINUTE, None):
        with pytest.raises(ValueError):
            first_day(window, NOON)


def test_a_month_and_a_lifetime_are_sums_over_days() -> None:
    rows = {
        date(2026, 2, 28): Use(1, 10),
        date(2026, 3, 1): Use(2, 20),
        date(2026, 3, 31): Use(4, 40),
        date(2026, 4, 1): Use(8, 80),
    }
    assert use_at(Window.DAY, rows, [date(2026, 3, 1)]) == Use(2, 20)
    assert use_at(Window.DAY, rows, [date(2026, 3, 2)]) == Use(0, 0)
    assert use_at(Window.MONTH, rows, [date(2026, 3, 14)]) == Use(6, 60)
    assert use_at(Window.PROJECT, rows, [date(2026, 3, 14)]) == Use(15, 150)


def test_at_midnight_the_fuller_of_two_windows_counts() -> None:
    rows = {date(2026, 3, 31): Use(3, 0), date(2026, 4, 1): Use(0, 5)}
    days = [date(2026, 3, 31), date(2026, 4, 1)]
    assert use_at(Window.DAY, rows, days) == Use(0, 5)
    assert use_at(Window.MONTH, rows, days) == Use(0, 5)
    assert use_at(Window.PROJECT, rows, days) == Use(3, 5)


def test_a_call_at_midnight_counts_twice_in_a_month_that_holds_both_days() -> None:
    inside, across = [date(2026, 3, 14), date(2026, 3, 15)], [date(2026, 3, 31), date(2026, 4, 1)]
    assert [times_counted(Window.MONTH, days) for days in (TODAY, inside, across)] == [1, 2, 1]
    assert [times_counted(Window.PROJECT, days) for days in (TODAY, inside, across)] == [1, 2, 2]
    for window in (Window.DAY, Window.MINUTE, None):
        assert times_counted(window, inside) == 1
    monthly = limit(window=Window.MONTH, amount=5)
    assert room(monthly, Use(2, 0), days=inside) == Room(limit=monthly, left=1)
    assert isinstance(decide([monthly], {monthly: Use(4, 0)}, [want(1)], days=inside), Exhausted)
    assert isinstance(decide([monthly], {monthly: Use(3, 0)}, [want(1)], days=inside), Granted)


def test_the_last_unit_is_granted_and_the_one_after_it_is_not() -> None:
    daily = limit(amount=10)
    assert decide([daily], {daily: Use(7, 2)}, [want(1)], days=TODAY) == Granted()
    assert refused([daily], {daily: Use(7, 3)}, [want(1)]) == Exhausted(
        limit=daily, wanted=1, left=0, others=()
    )


def test_wants_for_the_same_bucket_add_up() -> None:
    daily = limit(amount=10)
    assert refused([daily], {daily: Use(0, 0)}, [want(6), want(5)]).wanted == 11


def test_of_several_limits_that_ran_out_the_one_that_comes_back_last_is_named() -> None:
    limits = [
        limit(dimension=Dimension.CONCURRENT, window=None, amount=0),
        limit(window=Window.MINUTE, amount=0),
        limit(window=Window.DAY, amount=0),
        limit(window=Window.MONTH, amount=0),
        limit(window=Window.PROJECT, amount=0),
    ]
    wants = [want(1), want(1, dimension=Dimension.CONCURRENT)]
    for count in range(1, 6):
        some = limits[:count]
        assert refused(some, dict.fromkeys(some, Use()), wants).limit == some[-1]


def test_of_limits_that_come_back_together_the_widest_scope_is_named() -> None:
    limits = [limit(scope=scope, amount=0) for scope in (KEY, CREDENTIAL, MEMBER, PROJECT)]
    wants = [want(1, scope) for scope in (KEY, CREDENTIAL, MEMBER, PROJECT)]
    assert refused(limits, dict.fromkeys(limits, Use()), wants).limit.scope == CREDENTIAL


def test_a_refusal_says_what_is_left_everywhere_else() -> None:
    ample, short, other = limit(CREDENTIAL, amount=100), limit(PROJECT, amount=3), limit(MEMBER, amount=1)
    uses = {ample: Use(20, 5), short: Use(1, 0), other: Use(0, 0)}
    wants = [want(5, scope) for scope in (CREDENTIAL, PROJECT, MEMBER)]
    decision = refused([ample, short, other], uses, wants)
    assert (decision.limit, decision.wanted, decision.left) == (short, 5, 2)
    assert set(decision.others) == {Room(limit=ample, left=75), Room(limit=other, left=1)}


def test_limits_of_other_scopes_and_dimensions_are_not_touched() -> None:
    empty = [
        limit(Scope(ScopeKind.PROJECT, "another"), amount=0),
        limit(dimension=Dimension.RECORDS, amount=0),
    ]
    assert decide(empty, {}, [want(1)], days=TODAY) == Granted()


def test_a_touched_limit_whose_use_is_unknown_is_never_taken_for_unused() -> None:
    with pytest.raises(KeyError):
        decide([limit()], {}, [want(1)], days=TODAY)


def test_a_limit_lowered_below_its_use_gives_nothing_and_takes_nothing_back() -> None:
    lowered = limit(amount=5)
    assert refused([lowered], {lowered: Use(7, 1)}, [want(1)]).left == 0
    assert decide([lowered], {lowered: Use(7, 1)}, [want(0)], days=TODAY) == Granted()
    assert standing(lowered, Use(7, 1), NOON).left == 0


def test_a_call_cannot_want_less_than_nothing() -> None:
    with pytest.raises(ValueError):
        want(-1)


scopes = st.sampled_from([CREDENTIAL, PROJECT, MEMBER, KEY])
some_limits = st.lists(
    st.builds(
        Limit,
        scopes,
        st.sampled_from([Dimension.REQUESTS, Dimension.RECORDS]),
        st.sampled_from([*Window, None]),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@given(some_limits, st.data())
def test_the_order_of_limits_and_wants_does_not_matter(limits: list[Limit], data: st.DataObject) -> None:
    uses = {each: Use(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 1))) for each in limits}
    wants = [want(data.draw(st.integers(0, 3)), each.scope, each.dimension) for each in limits]
    first = decide(limits, uses, wants, days=TODAY)
    for order in permutations(limits):
        assert decide(order, uses, wants[::-1], days=TODAY) == first
    states = {
        ratelimit_headers([standing(each, uses[each], NOON) for each in order], NOON)
        for order in permutations(limits)
    }
    assert len(states) == 1


@given(some_limits, st.integers(0, 5))
def test_a_grant_is_what_every_limit_alone_would_grant(limits: list[Limit], amount: int) -> None:
    uses = {each: Use(1, 0) for each in limits}
    wants = [want(amount, scope, each) for scope in (CREDENTIAL, PROJECT, MEMBER, KEY) for each in Dimension]
    together = isinstance(decide(limits, uses, wants, days=TODAY), Granted)
    assert together == all(amount <= max(0, each.amount - 1) for each in limits)


def test_a_full_page_is_fetched_where_every_limit_has_room_for_it() -> None:
    rooms = [Room(limit=limit(), left=left) for left in (500, 60)]
    assert fetch_size(20, []) == 100
    assert fetch_size(20, rooms[:1]) == 100
    assert fetch_size(20, rooms) == 60
    assert fetch_size(80, rooms) == 80, "asked for, so it is `decide` that refuses it"


def test_each_threshold_is_crossed_once() -> None:
    half = limit(amount=10)
    assert thresholds_crossed(half, before=Use(4, 0), after=Use(4, 1)) == (50,)
    assert thresholds_crossed(half, before=Use(5, 0), after=Use(7, 0)) == ()
    assert thresholds_crossed(half, before=Use(0, 0), after=Use(10, 0)) == (50, 80, 100)
    assert thresholds_crossed(limit(amount=3), before=Use(2, 0), after=Use(3, 0)) == (80, 100)
    assert thresholds_crossed(limit(amount=0), before=Use(0, 0), after=Use(0, 0)) == ()


def test_a_standing_says_what_was_used_what_is_promised_and_when_it_returns() -> None:
    found = standing(limit(amount=300), Use(10, 2), NOON)
    assert (found.used, found.reserved, found.left, found.resets_at) == (10, 2, 288, at(2026, 3, 15))


def test_the_headers_have_the_form_of_the_draft() -> None:
    now = at(2026, 3, 14, 12, 36, 40)
    policy, state = ratelimit_headers([standing(limit(amount=300), Use(10, 2), now)], now)
    assert policy == '"project-requests-day";q=300;w=86400'
    assert state == '"project-requests-day";r=288;t=41000'


def test_the_headers_have_one_item_a_limit_and_no_identifiers() -> None:
    now = at(2026, 2, 28, 23, 59, 59, microsecond=500_000)
    limits = [
        Limit(Scope(ScopeKind.MEMBER, "ada@example.edu"), Dimension.REQUESTS, Window.MONTH, 1000),
        Limit(Scope(ScopeKind.PROJECT, "elections"), Dimension.CALLS, Window.MINUTE, 60),
        Limit(Scope(ScopeKind.PROJECT, "elections"), Dimension.RECORDS, Window.PROJECT, 5000),
        Limit(Scope(ScopeKind.KEY, "0123456789AB"), Dimension.CONCURRENT, None, 4),
    ]
    policy, state = ratelimit_headers([standing(each, Use(1, 1), now) for each in limits], now)
    assert policy == (
        '"project-records-project";q=5000, "project-calls-minute";q=60;w=60, '
        '"member-requests-month";q=1000;w=2419200, "key-concurrent";q=4;qu="concurrent-requests"'
    )
    assert state == (
        '"project-records-project";r=4998, "project-calls-minute";r=58;t=60, '
        '"member-requests-month";r=998;t=1, "key-concurrent";r=2'
    )


def test_of_two_limits_with_one_name_the_tighter_is_shown() -> None:
    tight, loose = limit(amount=10), limit(amount=20)
    for order in ([tight, loose], [loose, tight]):
        policy, state = ratelimit_headers([standing(each, Use(4, 0), NOON) for each in order], NOON)
        assert policy == '"project-requests-day";q=10;w=86400'
        assert state == '"project-requests-day";r=6;t=43200'


def test_no_limits_make_no_headers() -> None:
    assert ratelimit_headers([], NOON) == ("", "")


def test_an_amount_beyond_what_a_header_can_hold_is_shown_as_the_most_it_can() -> None:
    policy, _ = ratelimit_headers([standing(limit(amount=10**18), Use(), NOON)], NOON)
    assert policy == '"project-requests-day";q=999999999999999;w=86400'


def test_names_are_made_of_scope_dimension_and_window() -> None:
    assert limit_name(limit()) == "project-requests-day"
    assert limit_name(limit(KEY, Dimension.CONCURRENT, None)) == "key-concurrent"
    assert (
        limit_name(limit(CREDENTIAL, Dimension.FOLLOWER_RECORDS, Window.MONTH))
        == "credential-follower_records-month"
    )


def test_nobody_is_told_to_wait_for_hours() -> None:
    assert retry_after_s(out(Window.DAY), NOON) == 300
    assert retry_after_s(out(Window.MONTH), NOON) == 300
    assert retry_after_s(out(Window.PROJECT), NOON) == 300
    assert retry_after_s(out(Window.MINUTE), NOON) == 60
    assert retry_after_s(out(Window.MINUTE), NOON, frees_in_s=0.2) == 1
    assert retry_after_s(out(Window.MINUTE), NOON, frees_in_s=12.1) == 13
    assert retry_after_s(out(Window.MINUTE), NOON, frees_in_s=90) == 60
    assert retry_after_s(out(None), NOON) == 1


@given(st.integers(-400, 400), st.integers(0, 999_999), st.sampled_from([Window.DAY, Window.MONTH]))
def test_whoever_waits_as_told_near_midnight_counts_on_the_new_day_alone(
    seconds: int, microsecond: int, window: Window
) -> None:
    now = at(2026, 4, 1) + timedelta(seconds=seconds, microseconds=microsecond)
    wait_s = retry_after_s(out(window), now)
    assert 1 <= wait_s <= 300
    if -290 < seconds < 5:
        assert days_at(now + timedelta(seconds=wait_s)) == (date(2026, 4, 1),)


def floor(project: str, amount: int, *, used: int = 0, credential: str = "c") -> Floor:
    return Floor(
        credential=credential,
        project=project,
        dimension=Dimension.REQUESTS,
        amount=amount,
        use=Use(used, 0),
    )


def test_what_is_open_of_the_floors_of_others_is_kept_from_a_project() -> None:
    day = limit(CREDENTIAL)
    floors = [floor("p", 5), floor("q", 7, used=3), floor("r", 2, used=9), floor("q", 100, credential="x")]
    assert kept_from("p", day, floors) == 4
    assert kept_from("q", day, floors) == 5
    assert kept_from("s", day, floors) == 9
    assert kept_from("p", limit(CREDENTIAL, Dimension.RECORDS), floors) == 0


@pytest.mark.parametrize("other", [limit(PROJECT), limit(CREDENTIAL, window=Window.MONTH), limit(KEY)])
def test_only_the_day_of_a_credential_knows_floors(other: Limit) -> None:
    assert kept_from("p", other, [floor("q", 7, credential=other.scope.id)]) == 0


def test_of_an_overdrawn_limit_nothing_is_kept_for_others() -> None:
    day = limit(CREDENTIAL, amount=10)
    for taken, kept in ((4, 5), (8, 2), (10, 0), (12, 0)):
        decision = decide([day], {day: Use(taken, 0)}, [want(7, CREDENTIAL)], days=TODAY, kept={day: 5})
        assert isinstance(decision, Exhausted)
        assert decision.kept == kept


def test_without_anything_kept_a_call_has_room_for_all_that_is_left() -> None:
    assert room(limit(amount=10), Use(3, 2), days=TODAY).left == 5


def test_what_is_used_up_is_said_to_have_nothing_left() -> None:
    _, state = ratelimit_headers([standing(limit(amount=10), Use(10, 0), NOON)], NOON)
    assert state == '"project-requests-day";r=0;t=43200'


@pytest.mark.parametrize(
    ("now", "day_s", "month_s"),
    [
        (at(2026, 3, 14, 23, 59, 57), 9, 300),
        (at(2026, 3, 15, 0, 0, 3), 3, 300),
        (at(2026, 3, 15, 0, 0, 6), 300, 300),
        (at(2026, 3, 31, 23, 59, 57), 9, 9),
        (at(2026, 4, 1, 0, 0, 3), 3, 3),
    ],
)
def test_at_midnight_nobody_waits_longer_than_until_calls_count_on_the_new_day_alone(
    now: datetime, day_s: int, month_s: int
) -> None:
    assert retry_after_s(out(Window.DAY), now) == day_s
    assert retry_after_s(out(Window.MONTH), now) == month_s
