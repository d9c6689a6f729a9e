"""Limits in people's words: whose, of what, for how long, and how full."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.administration.usage import Usage
from app.quota.arithmetic import Dimension, Standing, Window, parse_limit_key

COUNTED: Final[Mapping[Dimension, str]] = {
    Dimension.REQUESTS: "requests",
    Dimension.RECORDS: "records",
    Dimension.FOLLOWER_CALLS: "follower requests",
    Dimension.FOLLOWER_RECORDS: "follower records",
    Dimension.AD_CALLS: "ad library requests",
    Dimension.AD_RECORDS: "ad library records",
    Dimension.DELIVERED: "delivered records",
    Dimension.CALLS: "calls to Bursar",
    Dimension.CONCURRENT: "calls at the same time",
}
WINDOWS: Final[Mapping[Window | None, str]] = {
    Window.MINUTE: "a minute",
    Window.DAY: "a day",
    Window.MONTH: "a month",
    Window.PROJECT: "for the whole project",
    None: "",
}
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


def limit_said(dimension: Dimension, window: Window | None) -> str:
    """A limit's name, such as `requests a day`."""
    return f"{COUNTED[dimension]} {WINDOWS[window]}".strip()


def key_said(key: str) -> str:
    """The same of a limit as state files name it: `requests/day` is `requests a day`."""
    try:
        return limit_said(*parse_limit_key(key))
    except ValueError:
        return key  # of another release


def scope_said(scope: str, *, email: str = "") -> str:
    """Whose a limit is, for the person of that address: `Project elections`, `You in elections`."""
    kind, _, name = scope.partition(":")
    if kind == "member":
        project, _, address = name.rpartition("/")
        return f"You in {project}" if address == email else f"{address} in {project}"
    said = {
        "credential": "Everybody on credential {}",
        "project": "Project {}",
        "key": "Key {}",
        "each_member": "Each member of {}",
        "floor": "Kept free for {}",
    }
    return said.get(kind, "{}").format(name)


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
