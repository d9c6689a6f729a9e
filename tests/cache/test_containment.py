"""Which searches contain which, and which records of a wider one are a narrower one's."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.cache.containment import narrowed, narrowing


def question(*conditions: tuple[str, str, list[str]], days: str = "20261001-20261010", not_: Any = ()) -> str:
    made = [
        {"field_name": name, "operation": how, "field_values": values} for name, how, values in conditions
    ]
    first, last = days.split("-")
    return json.dumps(
        {"query": {"and": made, **({"not": not_} if not_ else {})}, "start_date": first, "end_date": last}
    )


def video(day: int, **more: Any) -> dict[str, Any]:
    return {
        "id": day,
        "create_time": int(datetime(2026, 10, day, 23, 59, 59, tzinfo=UTC).timestamp()),
        **more,
    }


TAG = ("hashtag_name", "EQ", ["vote"])
US, BOTH = ("region_code", "EQ", ["US"]), ("region_code", "IN", ["DE", "US"])


@pytest.mark.parametrize(
    ("wider", "narrower"),
    [
        (question(TAG), question(TAG)),
        (question(TAG), question(TAG, days="20261003-20261004")),
        (question(TAG), question(TAG, US)),
        (question(TAG, BOTH), question(TAG, US)),
        (question(BOTH), question(US, ("username", "EQ", ["a"]))),
    ],
)
def test_fewer_days_and_more_exact_conditions_are_contained(wider: str, narrower: str) -> None:
    assert narrowing(wider, narrower) is not None


@pytest.mark.parametrize(
    ("wider", "narrower"),
    [
        (question(TAG), question(TAG, days="20260930-20261004")),
        (question(TAG), question(TAG, days="20261003-20261011")),
        (question(TAG, US), question(TAG)),
        (question(TAG, US), question(TAG, BOTH)),
        (question(TAG), question(("hashtag_name", "IN", ["vote"]))),
        (question(TAG), question(TAG, ("hashtag_name", "EQ", ["news"]))),
        (question(TAG), question(TAG, ("view_count", "GT", ["5"]))),
        (question(TAG), question(TAG, ("music_id", "GT", ["5"]))),
        (
            question(TAG),
            question(TAG, not_=[{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]),
        ),
    ],
)
def test_everything_else_is_not(wider: str, narrower: str) -> None:
    assert narrowing(wider, narrower) is None


def test_records_are_chosen_by_their_utc_day_and_their_exact_values() -> None:
    by = narrowing(question(TAG), question(TAG, US, days="20261003-20261010"))
    assert by is not None
    assert by.fields == {"create_time", "region_code"}
    records = [
        video(4, region_code="US"),
        video(3, region_code="US"),
        video(3, region_code="DE"),
        video(2, region_code="US"),
    ]
    found = narrowed(records, by)
    assert found == records[:2]


def test_a_record_that_does_not_tell_leaves_all_untold() -> None:
    by = narrowing(question(TAG), question(TAG, US))
    assert by is not None
    assert narrowed([video(4, region_code="US"), video(3)], by) is None


@pytest.mark.parametrize(("days", "is_told"), [((10, 5, 4), True), ((9, 5, 4), False), ((9, 4), True)])
def test_an_earlier_last_day_is_answered_only_where_last_days_are_seen_to_count(
    days: tuple[int, ...], is_told: bool
) -> None:
    by = narrowing(question(TAG), question(TAG, days="20261001-20261005"))
    assert by is not None
    found = narrowed([video(day) for day in days], by)
    assert found == ([video(day) for day in days if day <= 5] if is_told else None)
