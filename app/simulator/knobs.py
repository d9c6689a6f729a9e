"""Knobs as JSON: shown by `GET /_sim/knobs`, turned one by one by `POST /_sim/knobs`."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, get_type_hints

from app.simulator.configuration import Knobs, PoisonRange


def shown(knobs: Knobs) -> dict[str, Any]:
    """Every knob by name, in JSON's own types."""
    return asdict(knobs)


def turned(knobs: Knobs, order: Mapping[str, Any]) -> Knobs:
    """The knobs with those of an order such as `{"short_page_p": 0.5}` changed.

    Raises ValueError for an unknown name and for a value that cannot be; then none is changed.
    """
    kinds = get_type_hints(Knobs)
    unknown = set(order) - set(kinds)
    if unknown:
        raise ValueError(f"unknown knobs: {', '.join(sorted(unknown))}; there are {', '.join(kinds)}")
    return replace(knobs, **{name: _read(name, kinds[name], value) for name, value in order.items()})


def _read(name: str, kind: Any, value: Any) -> Any:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and is_whole:
        return value
    if kind == int | None and (is_whole or value is None):
        return value
    if kind is float and (is_whole or isinstance(value, float)) and math.isfinite(value):
        return float(value)
    if kind == tuple[PoisonRange, ...] and isinstance(value, list):
        return tuple(map(_poison_range, value))
    raise ValueError(f"{name} must be {_KINDS.get(kind, kind)}, not {value!r}")


def _poison_range(value: Any) -> PoisonRange:
    """Such as `{"start_date": "20210301", "end_date": "20220731", "field_name": "hashtag_name"}`."""
    if not isinstance(value, dict) or not {"start_date", "end_date"} <= set(value):
        raise ValueError("a poison range is an object with start_date, end_date and perhaps field_name")
    return PoisonRange(**value)


_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    int | None: "a whole number or null",
    tuple[PoisonRange, ...]: "a list of ranges",
}
