from datetime import date

import pytest

from app.policy.values import (
    ACCESS_PERIOD_YEARS,
    PUBLICATION_NOTICE_DAYS,
    REFRESH_INTERVAL_DAYS,
    ROSTER_PEOPLE,
    VALUES,
    years_after,
)


def test_the_default_is_the_safe_side_of_what_the_sources_say() -> None:
    # Data is refreshed sooner, a copy is sent earlier, fewer people and years are assumed.
    assert REFRESH_INTERVAL_DAYS.default == min(said.amount for said in REFRESH_INTERVAL_DAYS.sources) == 15
    assert (
        PUBLICATION_NOTICE_DAYS.default == max(said.amount for said in PUBLICATION_NOTICE_DAYS.sources) == 30
    )
    assert ACCESS_PERIOD_YEARS.default == min(said.amount for said in ACCESS_PERIOD_YEARS.sources) == 2
    assert ROSTER_PEOPLE.default == min(said.amount for said in ROSTER_PEOPLE.sources) == 10


def test_every_value_says_which_obligation_it_belongs_to_and_where_it_is_written() -> None:
    for value in VALUES.values():
        assert value.obligation.startswith("R")
        assert all(said.source and said.from_day.year >= 2023 for said in value.sources)


@pytest.mark.parametrize(
    ("day", "amount"),
    [
        (date(2026, 1, 21), 15),
        (date(2026, 1, 22), 30),
        (date(2026, 8, 31), 30),
        (date(2026, 9, 1), 7),
        (date(2030, 1, 1), 7),
    ],
)
def test_a_stated_amount_holds_from_its_day_on(day: date, amount: int) -> None:
    stated = ((date(2026, 9, 1), 7), (date(2026, 1, 22), 30))
    assert REFRESH_INTERVAL_DAYS.at(day, stated) == amount


def test_the_roster_is_not_raised_by_stating_it() -> None:
    assert ROSTER_PEOPLE.at(date(2026, 1, 1), ((date(2025, 1, 1), 99),)) == 10


@pytest.mark.parametrize(
    ("day", "years", "later"),
    [
        (date(2026, 1, 1), 2, date(2028, 1, 1)),
        (date(2024, 2, 29), 2, date(2026, 2, 28)),
        (date(2024, 2, 29), 4, date(2028, 2, 29)),
        (date(2026, 2, 28), 2, date(2028, 2, 28)),
    ],
)
def test_years_later_is_the_same_day_even_from_a_leap_day(day: date, years: int, later: date) -> None:
    assert years_after(day, years) == later
