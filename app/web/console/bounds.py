"""Bounds of an approval beside its endpoints, as the form of a project shows and reads them."""

import csv
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.errors import InvalidParams
from app.web.console.forms import Form

_OF_FORM: Final = frozenset(
    {"allow_fields", "allow_conditions", "dates_from", "dates_until", "max_span_days"}
)


def bounds_written(allow: Mapping[str, Any]) -> dict[str, str]:
    """What the form is filled in with: `user/info: display_name, follower_count` a line each, days, and a number."""
    dates, most = allow.get("dates", {}), allow.get("max_span_days")
    return {
        "fields": _lines(allow.get("fields", {})),
        "conditions": _lines(allow.get("conditions", {})),
        "dates_from": dates.get("from", ""),
        "dates_until": dates.get("until", ""),
        "max_span_days": "" if most is None else str(most),
    }


def bounds_read(given: Form, now: Mapping[str, Any]) -> dict[str, Any]:
    """The bounds that the form names, and those of `now` where it does not ask. Raises InvalidParams."""
    if not given.fields.keys() & _OF_FORM:
        return {name: value for name, value in now.items() if name != "endpoints"}
    dates = {
        "from": given.day_or_none("dates_from", "The first day that may be asked for"),
        "until": given.day_or_none("dates_until", "The last day that may be asked for"),
    }
    bounds = {
        "fields": _values(given.get("allow_fields"), "Fields"),
        "conditions": _values(given.get("allow_conditions"), "Values of conditions"),
        "dates": {name: day for name, day in dates.items() if day is not None},
    }
    found: dict[str, Any] = {name: value for name, value in bounds.items() if value}
    if given.get("max_span_days").strip():
        found["max_span_days"] = given.number("max_span_days", "The number of days in one question")
    return found


def _lines(values: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(f"{name}: {', '.join(map(_quoted, some))}".rstrip() for name, some in values.items())


def _quoted(value: str) -> str:
    is_plain = value == value.strip() and not {",", '"'} & set(value)
    return value if is_plain else '"{}"'.format(value.replace('"', '""'))


def _values(text: str, what: str) -> dict[str, list[str]]:
    """Good: `region_code: US, CA`; without values, none is approved. Raises InvalidParams."""
    found: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, colon, rest = (each.strip() for each in line.partition(":"))
        if not name or not colon:
            raise InvalidParams(f"{what}: {line!r} has no colon; write region_code: US, CA.", rule="request")
        if name in found:
            raise InvalidParams(f"{what}: {name} has two lines; give it one.", rule="request")
        found[name] = [each for row in csv.reader([rest], skipinitialspace=True) for each in row if each]
    return found
