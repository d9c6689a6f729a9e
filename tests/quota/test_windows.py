"""Which short limit a refusal names, what it says, and what a call gives back; how they are counted is a port's contract."""

from math import inf

import pytest

from app.quota.arithmetic import Dimension, Exhausted, Limit, Room, Scope, ScopeKind, Standing, Window
from app.quota.windows import NOT_HELD, Busy, Hold, Wanted, explain_busy, refusal, wanted_of

PROJECT, MEMBER = Scope(ScopeKind.PROJECT, "p"), Scope(ScopeKind.MEMBER, "m")
CALLS = Limit(PROJECT, Dimension.CALLS, Window.MINUTE, 10)
RECORDS = Limit(MEMBER, Dimension.RECORDS, Window.MINUTE, 100)
AT_ONCE = Limit(MEMBER, Dimension.CONCURRENT, None, 3)
WANTED: Wanted = {CALLS: 1, RECORDS: 40, AT_ONCE: 1}


def given_back(*, kept: dict[Dimension, int] | None) -> list[Wanted]:
    """What is left in the windows, each time that they are told of it."""
    told: list[Wanted] = []
    with Hold(WANTED, (), told.append) as hold:
        if kept is not None:
            hold.keep(kept)
    return told


def busy(limit: Limit, *, frees_in_s: float | None, others: tuple[Room, ...] = ()) -> Busy:
    exhausted = Exhausted(limit=limit, wanted=40, left=5, others=others)
    return Busy(exhausted=exhausted, frees_in_s=frees_in_s, standings=())


def test_a_call_takes_of_the_limits_on_what_it_uses() -> None:
    amounts = {Dimension.CALLS: 1, Dimension.RECORDS: 0, Dimension.DELIVERED: 5}
    assert wanted_of([CALLS, RECORDS, AT_ONCE], amounts) == {CALLS: 1}


def test_a_call_that_keeps_nothing_leaves_nothing() -> None:
    assert given_back(kept=None) == [{CALLS: 0, RECORDS: 0, AT_ONCE: 0}]


def test_a_call_leaves_what_it_came_to_and_is_under_way_no_more() -> None:
    assert given_back(kept={Dimension.CALLS: 1, Dimension.RECORDS: 7, Dimension.CONCURRENT: 1}) == [
        {CALLS: 1, RECORDS: 7, AT_ONCE: 0}
    ]


def test_where_all_is_kept_nobody_is_told() -> None:
    told: list[Wanted] = []
    with Hold({CALLS: 1}, (), told.append) as hold:
        hold.keep({Dimension.CALLS: 1})
    with NOT_HELD:
        pass
    assert told == []


def test_where_the_limits_stand_goes_with_the_call() -> None:
    standings = (Standing(limit=CALLS, used=1, reserved=0, left=9, resets_at=None),)
    assert Hold({CALLS: 1}, standings, lambda _: None).standings == standings


def test_a_call_that_fails_gives_back_and_fails() -> None:
    told: list[Wanted] = []
    with pytest.raises(KeyError), Hold({CALLS: 1}, (), told.append):
        raise KeyError
    assert told == [{CALLS: 0}]


@pytest.mark.parametrize("frees_in_s", [None, 0.0, 3.0])
def test_the_limit_that_frees_last_is_named_and_one_that_tells_no_time_last_of_all(
    frees_in_s: float | None,
) -> None:
    roomy, at_once, records = (
        Room(limit=CALLS, left=1),
        Room(limit=AT_ONCE, left=0),
        Room(limit=RECORDS, left=39),
    )
    found, frees = refusal([(roomy, inf), (at_once, frees_in_s), (records, 9.0)], WANTED)
    assert found == Exhausted(limit=RECORDS, wanted=40, left=39, others=(roomy, at_once))
    assert frees == 9.0
    found, frees = refusal([(at_once, None), (records, 0.0)], WANTED)
    assert (found.limit, frees) == (RECORDS, 0.0)


@pytest.mark.parametrize(
    ("frees_in_s", "said"), [(None, "in 60 s"), (0.0, "in 1 s"), (2.1, "in 3 s"), (59.9, "in 60 s")]
)
def test_a_refusal_by_the_minute_says_when_it_comes_back(frees_in_s: float | None, said: str) -> None:
    text = explain_busy(busy(RECORDS, frees_in_s=frees_in_s), [])
    assert text == (
        f"Too fast: limit member-records-minute of 100 has 5 left and this call needs 40. It comes back {said}."
    )


def test_a_refusal_of_calls_at_once_names_what_is_left_elsewhere() -> None:
    text = explain_busy(
        busy(AT_ONCE, frees_in_s=None, others=(Room(limit=CALLS, left=9),)),
        [Standing(limit=RECORDS, used=20, reserved=0, left=80, resets_at=None)],
    )
    assert text.startswith("Too many calls at once: limit member-concurrent is 3, and as many are under way.")
    assert text.endswith(" Left in other limits: project-calls-minute 9, member-records-minute 80.")
