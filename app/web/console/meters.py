"""Limits as meters: whose, of what, for how long, and how full."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.administration.usage import Usage
from app.administration.wording import COUNTED, scope_said
from app.quota.arithmetic import Standing, Window

_LEFT_IN: Final[Mapping[Window | None, str]] = {
    Window.DAY: "today",
    Window.MONTH: "this month",
    Window.PROJECT: "for the whole project",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One limit and where it stands."""

    scope: str
    """As the API writes it: `project:elections`."""
    what: str
    """`requests`."""
    during: str
    """`today`."""
    amount: int
    used: int
    reserved: int
    left: int
    resets_at: dt.datetime | None

    @property
    def says(self) -> str:
        """The whole of it, for whoever cannot see the bar."""
        promised = f", {self.reserved:,} promised to calls under way" if self.reserved else ""
        whole = f"{self.used:,} of {self.amount:,} {self.what} used {self.during}".rstrip()
        return f"{whole}{promised}, {self.left:,} left"


def meters(usage: Usage) -> list[Meter]:
    """Every limit of the usage."""
    return [_meter(scope, each) for scope, each in usage.limits]


def by_scope(found: Iterable[Meter], *, email: str) -> Sequence[tuple[str, list[Meter]]]:
    """Meters of one scope together, one's own first."""
    order = ("key", "member", "project", "credential")
    groups: dict[str, list[Meter]] = {}
    for each in found:
        groups.setdefault(each.scope, []).append(each)
    names = sorted(groups, key=lambda scope: (order.index(scope.partition(":")[0]), scope))
    return [(scope_said(each, email=email), groups[each]) for each in names]


def _meter(scope: str, each: Standing) -> Meter:
    limit = each.limit
    return Meter(
        scope=scope,
        what=COUNTED[limit.dimension],
        during=_LEFT_IN.get(limit.window, ""),
        amount=limit.amount,
        used=each.used,
        reserved=each.reserved,
        left=each.left,
        resets_at=each.resets_at,
    )
