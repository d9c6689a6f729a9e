"""Numbers in the terms that change or on which the sources disagree: dated, with a safe default.

The default holds until an administrator states what the institution's own terms say, from which day, and
where that is written. What the sources say is kept beside it, so that whoever states a value has read them.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one source says, and since when; the first of the month where the source names no day."""

    from_day: dt.date
    amount: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyValue:
    """One number of the terms; `default` is safe whichever source is right."""

    name: str
    what: str
    obligation: str
    default: int
    sources: tuple[Said, ...]
    is_stated: bool = True
    """Whether an administrator may state another amount."""
    is_weaker_when_less: bool = False
    """Whether a smaller amount asks less of people; otherwise a larger one does."""

    def at(self, day: dt.date, stated: Sequence[tuple[dt.date, int]] = ()) -> int:
        """The amount on `day`: the latest stated that has begun, or the default."""
        begun = [each for each in stated if each[0] <= day] if self.is_stated else []
        return max(begun)[1] if begun else self.default

    def is_weaker(self, amount: int, *, than: int) -> bool:
        """Whether that amount asks less than the other."""
        return amount < than if self.is_weaker_when_less else amount > than


REFRESH_INTERVAL_DAYS: Final = PolicyValue(
    name="refresh_interval_days",
    what="Held data is fetched again or deleted before it is this old.",
    obligation="R1",
    default=15,
    sources=(
        Said(
            from_day=dt.date(2023, 2, 1),
            amount=15,
            source="Research API Terms of Service, February 2023, III.3.d, as quoted in the press; "
            "repeated in write-ups of 2026",
        ),
        Said(
            from_day=dt.date(2026, 1, 22),
            amount=30,
            source="Research Tools Terms of Service, 2026-01-22, III.3.e, as quoted by two repositories",
        ),
    ),
)
PUBLICATION_NOTICE_DAYS: Final = PolicyValue(
    name="publication_notice_days",
    what="The platform is sent a copy this long before a publication.",
    obligation="R18",
    default=30,
    is_weaker_when_less=True,
    sources=(
        Said(
            from_day=dt.date(2023, 2, 1),
            amount=30,
            source="Research API Terms of Service, February 2023, 3.e; repeated in a note of July 2026",
        ),
        Said(
            from_day=dt.date(2023, 8, 1),
            amount=7,
            source="A later shortening, remembered and not confirmed by any text",
        ),
    ),
)
ACCESS_PERIOD_YEARS: Final = PolicyValue(
    name="access_period_years",
    what="The longest period that one application may ask for.",
    obligation="R21",
    default=2,
    sources=(
        Said(
            from_day=dt.date(2025, 6, 1), amount=2, source="Application form of the Research Tools, June 2025"
        ),
    ),
)
ROSTER_PEOPLE: Final = PolicyValue(
    name="roster_people",
    what="People on one credential: principal and nine collaborators.",
    obligation="R7",
    default=10,
    sources=(Said(from_day=dt.date(2026, 9, 1), amount=10, source="Research API FAQ, 2026-09-01"),),
    is_stated=False,
)

VALUES: Final[Mapping[str, PolicyValue]] = MappingProxyType(
    {
        each.name: each
        for each in (REFRESH_INTERVAL_DAYS, PUBLICATION_NOTICE_DAYS, ACCESS_PERIOD_YEARS, ROSTER_PEOPLE)
    }
)
"""Every value by name. `roster_people` is raised credential by credential, with the platform's permission."""


def years_after(day: dt.date, years: int) -> dt.date:
    """The same day `years` later; 28 February where that year has no 29th."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
