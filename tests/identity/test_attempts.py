from datetime import UTC, datetime

import pytest

from app.errors import RateLimited
from app.identity.attempts import Attempts


class Clock:
    def __init__(self) -> None:
        self.passed_s = 1_000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return self.passed_s


def wait_s(attempts: Attempts, source: str = "a", key: str = "k") -> int:
    """How long the pair has to wait; 0 where it is looked at."""
    try:
        attempts.admit(source, key)
    except RateLimited as refusal:
        return refusal.retry_after_s or 0
    return 0


def fail(attempts: Attempts, times: int, source: str = "a", key: str = "k") -> None:
    for _ in range(times):
        attempts.failed(source, key)


def test_the_tenth_failure_in_a_minute_makes_the_next_one_wait() -> None:
    attempts = Attempts(clock=Clock(), per_minute=10)
    fail(attempts, 9)
    assert wait_s(attempts) == 0
    fail(attempts, 1)
    assert wait_s(attempts) > 0


def test_each_further_failure_waits_longer_up_to_five_minutes() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock, per_minute=10)
    waits: list[int] = []
    for _ in range(60):
        attempts.failed("a", "k")
        waited = wait_s(attempts)
        clock.passed_s += waited
        assert wait_s(attempts) == 0
        waits.append(waited)
    grown = [each for each in waits if each]
    assert grown == sorted(grown)
    assert grown[:3] == [6, 11, 21]
    assert grown[-1] == 301


def test_few_failures_a_minute_never_wait() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock, per_minute=10)
    for _ in range(100):
        attempts.failed("a", "k")
        assert wait_s(attempts) == 0
        clock.passed_s += 7


def test_neither_the_source_nor_the_key_waits_for_the_other() -> None:
    attempts = Attempts(clock=Clock(), per_minute=10)
    fail(attempts, 50)
    assert wait_s(attempts, "b", "k") == 0
    assert wait_s(attempts, "a", "other") == 0


def test_a_success_and_a_long_rest_begin_anew() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock, per_minute=10)
    fail(attempts, 12)
    clock.passed_s += wait_s(attempts)
    attempts.succeeded("a", "k")
    fail(attempts, 9)
    assert wait_s(attempts) == 0
    fail(attempts, 5)
    clock.passed_s += 901
    fail(attempts, 10)
    assert wait_s(attempts) == 6


def test_it_can_be_off_and_never_remembers_without_end() -> None:
    off = Attempts(clock=Clock(), per_minute=0)
    fail(off, 1_000)
    assert wait_s(off) == 0
    attempts = Attempts(clock=Clock(), per_minute=1)
    for number in range(30_000):
        attempts.failed(f"source {number}", "")
    assert len(attempts._pairs) == 10_000
    with pytest.raises(RateLimited):
        attempts.admit("source 29999", "")


def test_a_wait_ends_to_the_moment() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock, per_minute=10)
    fail(attempts, 10)
    clock.passed_s += 4.9
    assert wait_s(attempts) == 1
    clock.passed_s += 0.1
    assert wait_s(attempts) == 0


def test_failures_are_counted_anew_when_their_minute_is_over() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock, per_minute=10)
    fail(attempts, 9)
    clock.passed_s += 60.1
    fail(attempts, 9)
    assert wait_s(attempts) == 0
    fail(attempts, 1)
    assert wait_s(attempts) == 6


def test_a_minute_ends_after_its_sixtieth_second() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock, per_minute=10)
    fail(attempts, 9)
    clock.passed_s += 60
    fail(attempts, 1)
    assert wait_s(attempts) == 6


@pytest.mark.parametrize(("rest_s", "waits_s"), [(900.0, 11), (900.1, 6)])
def test_a_quarter_of_an_hour_without_a_failure_is_a_long_rest(rest_s: float, waits_s: int) -> None:
    clock = Clock()
    attempts = Attempts(clock=clock, per_minute=10)
    fail(attempts, 10)
    clock.passed_s += rest_s
    fail(attempts, 10)
    assert wait_s(attempts) == waits_s


def test_the_pair_that_failed_longest_ago_is_forgotten_first() -> None:
    attempts = Attempts(clock=Clock(), per_minute=1)
    for number in range(10_000):
        attempts.failed(f"source {number}", "")
    attempts.failed("source 0", "")
    attempts.failed("another", "")
    assert wait_s(attempts, "source 0", "") > 0
    assert wait_s(attempts, "source 1", "") == 0
