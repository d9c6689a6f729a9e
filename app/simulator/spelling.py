"""Spellings on which the platform's documents and its answers disagree, as the knobs have them."""

from collections.abc import Mapping
from typing import Any

from app.simulator.configuration import Knobs

_FAVOURITES, _FAVORITES = "favourites_count", "favorites_count"


def field_names(known: frozenset[str], knobs: Knobs) -> frozenset[str]:
    """The fields that can be asked for: one of the two spellings, never both."""
    return known - {_FAVORITES} | {_FAVOURITES} if knobs.favourites_count else known


def looked_up(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Asked fields by the names that records have inside the simulator."""
    return tuple(_FAVORITES if name == _FAVOURITES else name for name in fields)


def spelt(record: dict[str, Any], knobs: Knobs) -> dict[str, Any]:
    """A video's record as it is answered."""
    names: dict[str, str] = {}
    if knobs.favourites_count:
        names[_FAVORITES] = _FAVOURITES
    if knobs.video_id_for_id:
        names["id"] = "video_id"
    return {names.get(name, name): value for name, value in record.items()} if names else record


def with_extra_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with a key that no document knows in each of its records.

    Records are the objects of its lists; `data` without such a list is the record itself, and an empty page
    has none.
    """
    lists = {key: value for key, value in data.items() if isinstance(value, list)}
    if lists and not any(lists.values()):
        return dict(data)
    records = {
        key: [{**item, **_EXTRA} for item in value]
        for key, value in lists.items()
        if value and all(isinstance(item, dict) for item in value)
    }
    return {**data, **(records or _EXTRA)}


_EXTRA = {"sim_unknown_key": {"id": 2**60 + 1, "text": "[sim] added later"}}
