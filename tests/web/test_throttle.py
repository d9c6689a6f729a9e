import datetime as dt

import pytest

from app.errors import RateLimited
from app.web.throttle import Throttle


class Hand:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.now_s, dt.UTC)

    def monotonic_s(self) -> float:
        return self.now_s


def waits(throttle: Throttle, *who: str) -> int:
    try:
        throttle.begin(*who)
    except RateLimited as error:
        return error.retry_after_s or 0
    return 0


def test_ten_failures_are_free_and_each_further_one_doubles_the_wait() -> None:
    clock = Hand()
    throttle = Throttle(clock)
    assert [waits(throttle, "a") for _ in range(10)] == [0] * 10
    found = []
    for _ in range(8):
        wait = waits(throttle, "a")
        found.append(wait)
        clock.now_s += wait
        assert waits(throttle, "a") == 0
    assert found == [15, 30, 60, 120, 240, 480, 900, 900]


def test_one_account_is_slowed_down_whatever_the_source_and_one_source_whatever_the_account() -> None:
    throttle = Throttle(Hand())
    for number in range(10):
        throttle.begin(f"source:{number}", "account:ada")
    assert waits(throttle, "source:new", "account:ada") > 0
    assert waits(throttle, "source:new", "account:bob") == 0
    for number in range(9):
        throttle.begin("source:new", f"account:{number}")
    assert waits(throttle, "source:new", "account:cleo") > 0


def test_what_is_turned_away_is_not_counted_and_success_forgets() -> None:
    clock = Hand()
    throttle = Throttle(clock)
    for _ in range(10):
        throttle.begin("a")
    assert {waits(throttle, "a") for _ in range(50)} == {15}
    clock.now_s += 15
    throttle.begin("a")
    throttle.succeed("a")
    assert [waits(throttle, "a") for _ in range(10)] == [0] * 10


def test_failures_are_forgotten_after_a_quarter_of_an_hour() -> None:
    clock = Hand()
    throttle = Throttle(clock)
    for _ in range(10):
        throttle.begin("a")
    clock.now_s += 901
    assert waits(throttle, "a") == 0


@pytest.mark.parametrize("name", ["", "x" * 100_000, "\ud800"])
def test_any_text_is_a_name(name: str) -> None:
    assert waits(Throttle(Hand()), name) == 0
