import datetime as dt

import pytest

from app.quota.burning import forecast

MIDNIGHT = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)


def at(hour: float) -> dt.datetime:
    return MIDNIGHT + dt.timedelta(hours=hour)


def test_at_the_pace_of_the_last_hours_it_is_told_when_the_budget_ends() -> None:
    spent = [(at(10), 100), (at(11), 100), (at(12), 100)]
    found = forecast(spent, used=300, amount=1_000, midnight=MIDNIGHT, now=at(12))
    assert found.per_hour == pytest.approx(100)
    assert found.used_up_at == at(19)
    assert found.by_midnight == 1_000


def test_what_was_spent_long_ago_says_nothing_of_the_pace() -> None:
    found = forecast([(at(1), 500)], used=500, amount=1_000, midnight=MIDNIGHT, now=at(12))
    assert (found.per_hour, found.by_midnight, found.used_up_at) == (0, 500, None)


def test_a_slow_pace_lasts_through_the_day() -> None:
    found = forecast([(at(11), 30)], used=30, amount=1_000, midnight=MIDNIGHT, now=at(12))
    assert found.used_up_at is None
    assert found.by_midnight == 30 + 120


def test_the_first_minutes_of_a_day_are_no_pace_of_a_whole_day() -> None:
    moment = at(0.01)
    found = forecast([(moment, 10)], used=10, amount=10_000, midnight=MIDNIGHT, now=moment)
    assert found.per_hour == pytest.approx(40)


def test_a_budget_that_is_used_up_is_used_up_now() -> None:
    found = forecast([(at(5), 10)], used=10, amount=10, midnight=MIDNIGHT, now=at(6))
    assert found.used_up_at == at(6)
