"""Templates, and how numbers, moments and days read in them. Whatever they are given is escaped."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

STATIC: Final[Mapping[str, str]] = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""What the pages load beside themselves, with its media type."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def page(template: str, values: Mapping[str, Any]) -> str:
    """A page as HTML. A name that the template uses and nobody gave is an error."""
    return _environment().get_template(template).render(values)


@cache
def static(name: str) -> bytes:
    """One of the files of `STATIC`."""
    return (files("app.web.console") / "static" / name).read_bytes()


@cache
def static_url(name: str) -> str:
    """Where a page finds the file; another content has another address, so browsers may keep it."""
    return f"/console/static/{name}?v={hashlib.sha256(static(name)).hexdigest()[:16]}"


def number(value: int | None) -> str:
    """A whole number with its thousands apart."""
    return "" if value is None else f"{value:,}"


def day(value: dt.date | str | None) -> str:
    """A day, such as 3 Nov 2026; takes ISO texts as well."""
    if isinstance(value, str):
        value = dt.date.fromisoformat(value)
    return "" if value is None else f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def moment(value: dt.datetime | int | str | None) -> str:
    """A moment in UTC, such as 3 Nov 2026, 14:05; takes microseconds since 1970 and ISO texts as well."""
    match value:
        case None | "":
            return ""
        case int():
            value = dt.datetime.fromtimestamp(value / 1_000_000, dt.UTC)
        case str():
            value = dt.datetime.fromisoformat(value)
        case _:
            pass
    value = value.astimezone(dt.UTC)
    return f"{day(value.date())}, {value:%H:%M}"


def share(part: int, whole: int, width: int = 1_000) -> int:
    """How many of `width` units a part of the whole takes up; never more than all of them."""
    return 0 if whole <= 0 else min(width, round(part * width / whole))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.web.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "day": day, "moment": moment}
    environment.globals |= {"static_url": static_url, "share": share}
    return environment
