"""Bodies and query strings as values that cannot be wrong; everything else is `invalid_params`.

The tolerated spellings are those that real clients send and the platform was seen to take.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.simulator.answers import invalid_params
from app.simulator.vocabulary import REGION_CODES

MAX_SPAN_DAYS = 30
"""`end_date` lies at most so long after `start_date` (facts 4)."""

MAX_COUNT = 100
"""The largest page (facts 4)."""

INT64_MAX = 2**63 - 1
_DAY_S = 86_400

OPERATIONS = frozenset({"EQ", "IN", "GT", "GTE", "LT", "LTE"})
NUMBER_FIELDS = frozenset({"video_id", "music_id", "effect_id", "view_count", "comment_count"})
TEXT_FIELDS = frozenset({"username", "region_code", "hashtag_name", "keyword", "video_length", "create_date"})
LENGTH_NAMES = frozenset({"SHORT", "MID", "LONG", "EXTRA_LONG"})
_GROUPS = ("and", "or", "not")
_DAY = re.compile(r"[0-9]{8}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition; `values` are as sent, checked against the field."""

    field_name: str
    operation: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoQuery:
    """What a search looks for: three groups joined by AND, and the days from `start_s` to before `end_s`."""

    all_of: tuple[Condition, ...]
    any_of: tuple[Condition, ...]
    none_of: tuple[Condition, ...]
    start_s: int
    end_s: int

    @property
    def has_keyword(self) -> bool:
        """Whether any condition is on a word of the caption."""
        return any(c.field_name == "keyword" for c in (*self.all_of, *self.any_of, *self.none_of))


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPage:
    """One page of one search; `search_id` is None for the first."""

    query: VideoQuery
    max_count: int
    cursor: int
    search_id: str | None
    is_random: bool


def fields_of(asked: str | None, known: frozenset[str]) -> tuple[str, ...]:
    """The field names of the query string, such as `id, username`. Raises ApiError when one is unknown."""
    names = tuple(dict.fromkeys(name.strip() for name in (asked or "").split(",") if name.strip()))
    if not names:
        raise invalid_params("The parameter fields is required in the query string")
    for name in names:
        if name not in known:
            raise invalid_params(f"The field {name} is invalid in fields")
    return names


def json_object(body: bytes) -> dict[str, Any]:
    """The body as an object, whatever its content type."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_params("The request body is not valid JSON") from error
    if not isinstance(parsed, dict):
        raise invalid_params("The request body must be a JSON object")
    return parsed


def video_page(
    body: Mapping[str, Any], *, end_date_is_inclusive: bool = True, default_count: int = 20
) -> VideoPage:
    """A checked video query. Raises ApiError that names the first thing wrong."""
    start, end = _day(body, "start_date"), _day(body, "end_date")
    if end < start:
        raise invalid_params("The start_date must not be after the end_date")
    if end - start > timedelta(days=MAX_SPAN_DAYS):
        raise invalid_params(f"The end_date must be at most {MAX_SPAN_DAYS} days after the start_date")
    groups = _query(body.get("query"))
    query = VideoQuery(
        all_of=groups["and"],
        any_of=groups["or"],
        none_of=groups["not"],
        start_s=int(start.timestamp()),
        # Not by the calendar, which ends with the year 9999.
        end_s=int(end.timestamp()) + (_DAY_S if end_date_is_inclusive else 0),
    )
    return VideoPage(
        query=query,
        max_count=max_count(body, default=default_count),
        cursor=cursor(body),
        search_id=_search_id(body.get("search_id")),
        is_random=_flag(body, "is_random"),
    )


def max_count(body: Mapping[str, Any], *, default: int) -> int:
    """The page size, 1 to 100."""
    return whole_between(body, "max_count", 1, MAX_COUNT, default=default)


def whole_between(body: Mapping[str, Any], name: str, least: int, most: int, *, default: int) -> int:
    """A whole number between two others, in any of its spellings; absent and null are the default."""
    value = body.get(name)
    if value is None:
        return default
    asked = _whole(value)
    if asked is None or not least <= asked <= most:
        raise invalid_params(f"The {name} must be between {least} and {most}")
    return asked


def cursor(body: Mapping[str, Any]) -> int:
    """Index of the first result; null, absent and "" are 0."""
    value = body.get("cursor")
    if value is None or value == "":
        return 0
    asked = _whole(value)
    if asked is None or not 0 <= asked <= INT64_MAX:
        raise invalid_params("Invalid count or cursor")
    return asked


def identifier(body: Mapping[str, Any], name: str) -> int | None:
    """A record's id, sent as a number or as digits; None when absent."""
    value = body.get(name)
    if value is None or value == "":
        return None
    asked = value if isinstance(value, int) and not isinstance(value, bool) else _digits(value)
    if asked is None or not 0 < asked <= INT64_MAX:
        raise invalid_params(f"The {name} is invalid")
    return asked


def handle(body: Mapping[str, Any]) -> str:
    """The username asked about."""
    value = body.get("username")
    if not isinstance(value, str) or not value.strip():
        raise invalid_params("The username is required")
    return value.strip()


def _query(query: Any) -> dict[str, tuple[Condition, ...]]:
    if not isinstance(query, dict):
        raise invalid_params("The query is required and must be an object")
    for name in query:
        if name not in _GROUPS:
            raise invalid_params(f"The query has an unknown group {name}; use and, or, not")
    groups = {name: _group(name, query.get(name)) for name in _GROUPS}
    if not any(groups.values()):
        raise invalid_params("The query must have at least one condition")
    return groups


def _group(name: str, conditions: Any) -> tuple[Condition, ...]:
    if conditions is None:
        return ()
    if not isinstance(conditions, list):
        raise invalid_params(f"The query group {name} must be a list of conditions")
    return tuple(_condition(condition) for condition in conditions)


def _condition(condition: Any) -> Condition:
    if not isinstance(condition, dict):
        raise invalid_params("A condition must be an object")
    name, operation, values = (condition.get(key) for key in ("field_name", "operation", "field_values"))
    if not isinstance(name, str) or name not in NUMBER_FIELDS | TEXT_FIELDS:
        raise invalid_params(f"The field_name {name} is invalid")
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise invalid_params(f"The operation {operation} is invalid")
    if not isinstance(values, list) or not values:
        raise invalid_params(f"The field_values of {name} must be a list with at least one value")
    if operation != "IN" and len(values) != 1:
        raise invalid_params(f"The operation {operation} on {name} takes exactly one value")
    return Condition(
        field_name=name, operation=operation, values=tuple(_value(name, value) for value in values)
    )


def _value(name: str, value: Any) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.strip():
        raise invalid_params(f"A value in field_values of {name} must be a string that is not empty")
    text = text.strip()
    if name in NUMBER_FIELDS and _digits(text) is None:
        raise invalid_params(f"The value {text} of {name} must be a whole number")
    if name == "region_code" and text not in REGION_CODES:
        raise invalid_params(f"The region_code {text} is invalid")
    if name == "video_length" and text not in LENGTH_NAMES:
        raise invalid_params(f"The video_length {text} is invalid")
    if name == "create_date":
        _parsed_day(text, name)
    return text


def _day(body: Mapping[str, Any], name: str) -> datetime:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise invalid_params(f"The {name} is required as a string YYYYMMDD")
    return _parsed_day(value, name)


def _parsed_day(text: str, name: str) -> datetime:
    # strptime alone would take fewer than eight digits.
    if _DAY.fullmatch(text):
        try:
            return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
        except ValueError:
            pass
    raise invalid_params(f"The {name} {text} is not a date of the form YYYYMMDD")


def _search_id(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise invalid_params("The search_id must be a string")


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.lower() in {"", "true", "false"}:
        return value.lower() == "true"
    raise invalid_params(f"The {name} must be a boolean")


def _whole(value: Any) -> int | None:
    """A whole number in any of its spellings: 5, 5.0, "5"."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else _digits(value)


def _digits(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None
