"""The body of each endpoint without its paging: what the platform accepts, in one spelling.

Each normaliser takes the parsed body after paging and `fields` were taken out, and gives the question.
Unknown keys pass through unchanged. All raise InvalidParams with a message that names the mend.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from app.provider import spelling
from app.provider.regions import REGION_CODES
from app.query import malformed

MAX_SPAN_DAYS = 30
"""`end_date` at most this long after `start_date` (developers.tiktok.com, query videos, 2026-09-01)."""

GROUPS = ("and", "or", "not")
OPERATIONS = frozenset({"EQ", "IN", "GT", "GTE", "LT", "LTE"})
VIDEO_LENGTHS = frozenset({"SHORT", "MID", "LONG", "EXTRA_LONG"})

EXACT_FIELDS = frozenset({"create_date", "username", "region_code", "video_id", "music_id"})
"""Fields that the platform compares as they are; it speaks of approximate matching for the others."""

_CONDITION_KEYS = frozenset({"field_name", "operation", "field_values"})


def _region(value: object, name: str) -> str:
    code = spelling.text_value(value, name)
    if code not in REGION_CODES:
        raise malformed(
            f"{name} holds {spelling.shown(code)}; it must be a two-letter upper-case region code such as US."
        )
    return code


def _video_length(value: object, name: str) -> str:
    length = spelling.text_value(value, name)
    if length not in VIDEO_LENGTHS:
        raise malformed(f"{name} holds {spelling.shown(length)}; it must be SHORT, MID, LONG or EXTRA_LONG.")
    return length


# developers.tiktok.com, query videos, 2026-09-01; the two counts appear in the 2026 pages only.
CONDITION_FIELDS: Mapping[str, Callable[[object, str], str]] = MappingProxyType(
    {
        "create_date": spelling.compact_day,
        "username": spelling.text_value,
        "region_code": _region,
        "video_id": spelling.digits_text,
        "hashtag_name": spelling.text_value,
        "keyword": spelling.text_value,
        "music_id": spelling.digits_text,
        "effect_id": spelling.digits_text,
        "video_length": _video_length,
        "view_count": spelling.integer_text,
        "comment_count": spelling.integer_text,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Condition:
    """One condition in canonical form; ordered, so that lists of them can be sorted."""

    field_name: str
    operation: str
    field_values: tuple[str, ...]
    """Sorted, each once."""

    def as_json(self) -> dict[str, object]:
        """The condition as the platform reads it."""
        return {
            "field_name": self.field_name,
            "field_values": list(self.field_values),
            "operation": self.operation,
        }


def video_search(body: Mapping[str, object]) -> dict[str, object]:
    """The question of a video query: groups of conditions, two dates, and whether it samples."""
    question = dict(body)
    question["query"] = _groups(body.get("query"))
    start, end = (_required_day(body, name) for name in ("start_date", "end_date"))
    question["start_date"], question["end_date"] = spelling.compact(start), spelling.compact(end)
    if start > end:
        raise malformed(
            f"start_date {question['start_date']} is after end_date {question['end_date']}; swap them."
        )
    if (end - start).days > MAX_SPAN_DAYS:
        raise malformed(
            f"end_date is {(end - start).days} days after start_date; the platform allows at most "
            f"{MAX_SPAN_DAYS}. Split the range into several queries."
        )
    # False is what absent means, so only true is a different question.
    if spelling.flag(question.pop("is_random", None), "is_random"):
        question["is_random"] = True
    return question


def _required_day(body: Mapping[str, object], name: str) -> date:
    value = body.get(name)
    if value is None or value == "":
        raise malformed(f"{name} is missing; send a UTC date written YYYYMMDD, such as 20260301.")
    return spelling.day(value, name)


def _groups(query: object) -> dict[str, object]:
    if not isinstance(query, dict):
        raise malformed(
            'query is missing or not an object; send {"and": [conditions]}, with "or" and "not" as needed.'
        )
    for name in query:
        if name not in GROUPS:
            raise malformed(f"query holds the key {spelling.shown(name)}; only and, or, not are known.")
    groups = {
        name: _conditions(query[name], name) for name in GROUPS if query.get(name) not in (None, [], {})
    }
    if not groups:
        raise malformed("query has no conditions; put at least one into and, or, not.")
    return {name: [condition.as_json() for condition in group] for name, group in groups.items()}


def _conditions(group: object, name: str) -> list[Condition]:
    if not isinstance(group, list):
        raise malformed(f"query.{name} must be a list of conditions; put the condition into square brackets.")
    read = [_condition(item, f"query.{name}[{index}]") for index, item in enumerate(group)]
    return sorted(set(read))


def _condition(item: object, where: str) -> Condition:
    if not isinstance(item, dict):
        raise malformed(f"{where} must be an object with field_name, operation and field_values.")
    for key in item:
        if key not in _CONDITION_KEYS:
            raise malformed(
                f"{where} holds the key {spelling.shown(key)}; use field_name, operation, field_values."
            )
    field = item.get("field_name")
    read_value = CONDITION_FIELDS.get(field) if isinstance(field, str) else None
    if not isinstance(field, str) or read_value is None:
        raise malformed(
            f"{where}.field_name is {spelling.shown(field)}; use one of {', '.join(CONDITION_FIELDS)}."
        )
    operation = item.get("operation")
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise malformed(
            f"{where}.operation is {spelling.shown(operation)}; use one of {', '.join(sorted(OPERATIONS))}."
        )
    values = _values(item.get("field_values"), f"{where}.field_values", read_value)
    if operation != "IN" and len(values) != 1:
        raise malformed(
            f"{where} has {len(values)} field_values; {operation} takes exactly one. Use IN for several."
        )
    distinct = tuple(sorted(set(values)))
    # One value in IN means what EQ means, but only where matching is exact is that beyond doubt: for the
    # other fields the two stay apart, since the platform may match EQ and IN differently.
    if operation == "IN" and len(distinct) == 1 and field in EXACT_FIELDS:
        operation = "EQ"
    return Condition(field_name=field, operation=operation, field_values=distinct)


def _values(values: object, where: str, read_value: Callable[[object, str], str]) -> list[str]:
    if not isinstance(values, list) or not values:
        raise malformed(f'{where} must be a list with at least one value, such as ["US"].')
    for value in values:
        if isinstance(value, (list, dict)):
            raise malformed(f"{where} holds a list inside the list; flatten it to one list of strings.")
    return [read_value(value, where) for value in values]
