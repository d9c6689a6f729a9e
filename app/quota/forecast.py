"""Over how many days a crawl goes, at the limits as they are now: pure arithmetic, day by day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import floor

from app.quota.arithmetic import Dimension, Limit, Window

LONGEST_DAYS = 3_660
"""Ten years: what takes longer is told as never."""

_LONGEST_REST_DAYS = 32
"""Within so many days every limit of a day or a month has begun anew; what does not move then never will."""

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One limit: what this caller could take of it today, and what once its window begins anew."""

    limit: Limit
    left: int
    whole: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A crawl of `calls` calls, each of which takes `each` on average and needs `free` at the moment it begins."""

    calls: int
    each: Mapping[Dimension, float]
    free: Mapping[Dimension, int]


@dataclass(frozen=True, slots=True)
class Course:
    """How many days a crawl goes over, today included; None: it never ends at these limits.

    `limited_by` is the limit that ends the first day's work; None where one day is enough.
    """

    days: int | None
    limited_by: Limit | None


def course(budgets: Sequence[Budget], load: Load, *, today: date, is_closed_today: bool = False) -> Course:
    """How long the crawl takes, if nobody else spends meanwhile and the limits stay as they are.

    `is_closed_today` says that the platform itself calls the day used up.
    """
    if load.calls == 0:
        return Course(0, None)
    left = {budget.limit: float(budget.left) for budget in budgets if budget.limit.dimension in load.each}
    whole = {budget.limit: float(budget.whole) for budget in budgets if budget.limit.dimension in load.each}
    calls, day, rest_days = load.calls, today, 0
    binding: Limit | None = None
    for number in range(1, LONGEST_DAYS + 1):
        is_closed = is_closed_today and number == 1
        done, tightest = (0, None) if is_closed else _fitting(left, load, calls)
        calls -= done
        if calls == 0:
            return Course(number, binding)
        binding = binding or tightest
        rest_days = 0 if done else rest_days + 1
        if rest_days > _LONGEST_REST_DAYS:
            break
        day += timedelta(days=1)
        left = {
            limit: _next_day(limit, amount - done * load.each[limit.dimension], whole[limit], day)
            for limit, amount in left.items()
        }
    return Course(None, binding)


def _fitting(left: Mapping[Limit, float], load: Load, calls: int) -> tuple[int, Limit | None]:
    """How many of the calls fit today, and the limit that allows no more."""
    most, tightest = calls, None
    for limit, amount in left.items():
        fits = _calls_in(amount, each=load.each[limit.dimension], free=load.free[limit.dimension])
        if fits < most:
            most, tightest = fits, limit
    return most, tightest


def _calls_in(amount: float, *, each: float, free: int) -> int:
    """How many calls fit, one after the other, when each needs `free` before it and takes `each`."""
    if amount + _TOLERANCE < free:
        return 0
    if each <= 0:
        return LONGEST_DAYS * 1_000_000
    return floor((amount - free) / each + _TOLERANCE) + 1


def _next_day(limit: Limit, left: float, whole: float, day: date) -> float:
    """What is left of the limit when `day` begins."""
    match limit.window:
        case Window.DAY:
            return whole
        case Window.MONTH:
            return whole if day.day == 1 else left
        case Window.PROJECT | Window.MINUTE | None:
            return left
