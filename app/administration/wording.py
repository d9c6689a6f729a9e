"""Limits in people's words: whose, of what, and for how long."""

from collections.abc import Mapping
from typing import Final

from app.quota.arithmetic import Dimension, Window, parse_limit_key

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


def scope_in_text(scope: str) -> str:
    """The same within a sentence: `project elections`, `ada@example.edu in elections`."""
    said = scope_said(scope)
    return said if scope.startswith("member:") else said[:1].lower() + said[1:]
