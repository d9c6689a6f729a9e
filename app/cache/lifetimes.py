"""How long a held answer is served again: pure.

What moves is asked anew sooner: profiles, whose counts change, and windows that were still filling when they were
fetched. A project may set times of its own, by endpoint; the terms' age limit stands above all of them and is a rule.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from app import exact_json
from app.identity.callers import ReuseChoices
from app.provider.endpoint import Endpoint
from app.provider.spans import span_in
from app.query import remembered
from app.settings import Settings

EVERY_ENDPOINT = "default"
"""Stands for every endpoint that has no time of its own."""

PROFILES = frozenset({"user/info"})
"""Endpoints whose answers are counts above all."""

_YOUNG_DAYS = 3
"""New videos are found up to two days late (FAQ, 2026-09-01); a day more, as clocks and days differ."""
_S = 1_000_000
_DAY_US = 86_400 * _S
_EPOCH = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualLifetimes:
    """Seconds that hold where a project has no choice of its own; `moving_s` is for profiles and recent windows."""

    settled_s: int
    moving_s: int

    @classmethod
    def set_by(cls, settings: Settings) -> Self:
        """Those of an installation."""
        return cls(settled_s=settings.page_ttl_s, moving_s=settings.moving_page_ttl_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """How long answers to one question last. What was fetched before `settles_us` was fetched from a recent window."""

    settled_s: int
    recent_s: int
    settles_us: int

    def until_us(self, fetched_us: int) -> int:
        """The first moment at which what was fetched then is not fresh any more."""
        return fetched_us + (self.recent_s if fetched_us < self.settles_us else self.settled_s) * _S

    @property
    def is_none(self) -> bool:
        """Whether nothing is served twice."""
        return self.settled_s == self.recent_s == 0


def lifetime_of(endpoint: Endpoint, question: str, choices: ReuseChoices, usual: UsualLifetimes) -> Lifetime:
    """How long answers of `endpoint` to this question last for a project of these choices."""
    settled_s = longest_s(endpoint.name, choices, usual)
    if endpoint.dates is None:
        return Lifetime(settled_s=settled_s, recent_s=settled_s, settles_us=0)
    recent_s = choices.recent_lifetimes.get(endpoint.name)
    if recent_s is None:
        recent_s = choices.recent_lifetimes.get(EVERY_ENDPOINT, usual.moving_s)
    return Lifetime(
        settled_s=settled_s,
        recent_s=min(settled_s, recent_s),
        settles_us=_settles_us(endpoint, question),
    )


def longest_s(endpoint: str, choices: ReuseChoices, usual: UsualLifetimes) -> int:
    """Seconds that an answer of this endpoint lasts at the most, whatever the question."""
    settled_s = choices.lifetimes.get(endpoint)
    if settled_s is not None:
        return settled_s
    settled_s = choices.lifetimes.get(EVERY_ENDPOINT, usual.settled_s)
    return min(settled_s, usual.moving_s) if endpoint in PROFILES else settled_s


Lifetimes = Callable[[str], Lifetime]
"""The lifetime of each question of one caller at one endpoint."""


@remembered
def _settles_us(endpoint: Endpoint, question: str) -> int:
    """The moment from which on the platform has everything of the question's days; 0 where it names none."""
    asked = exact_json.loads(question.encode())
    span = span_in(endpoint, asked) if isinstance(asked, dict) else None
    if span is None:
        return 0
    # Counted in days, since a question may name the last one that a date can have.
    return (span.last.toordinal() - _EPOCH + _YOUNG_DAYS) * _DAY_US
