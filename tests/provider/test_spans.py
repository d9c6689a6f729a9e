from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import exact_json
from app.errors import InvalidParams
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.provider.spans import Span, conditions_of, needs_windows, oldest_s, span_in, with_span

VIDEOS, ADS, USERS = (ENDPOINTS[name] for name in ("video/query", "adlib/ad/query", "user/info"))
CONDITION = {"and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]}
SEPTEMBER = Span(date(2026, 9, 1), date(2026, 9, 30))
QUESTION: dict[str, Any] = {"query": CONDITION, "start_date": "20260901", "end_date": "2026-09-30"}
AD_QUESTION: dict[str, Any] = {
    "filters": {"ad_published_date_range": {"min": "20260901", "max": "20260930"}, "country_code": "FR"}
}
DAYS = st.dates(min_value=date(2016, 1, 1), max_value=date(2036, 12, 31))


def test_days_are_read_wherever_an_endpoint_names_them() -> None:
    assert span_in(VIDEOS, QUESTION) == SEPTEMBER
    assert span_in(ADS, AD_QUESTION) == SEPTEMBER
    assert span_in(USERS, {"username": "alice", "start_date": "20260901", "end_date": "20260930"}) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"start_date": "20260901"},
        {"start_date": "20260902", "end_date": "20260901"},
        {"start_date": None},
    ],
)
def test_days_that_are_missing_or_the_wrong_way_round_are_left_to_the_query_itself(
    body: dict[str, Any],
) -> None:
    assert span_in(VIDEOS, body) is None


def test_a_day_that_is_none_is_refused_in_the_words_of_the_query() -> None:
    with pytest.raises(InvalidParams, match="start_date is '20260230'"):
        span_in(VIDEOS, {"start_date": "20260230", "end_date": "20260301"})


def test_conditions_are_equal_for_all_days_and_different_for_other_conditions() -> None:
    def conditions(body: dict[str, Any]) -> str:
        return conditions_of(VIDEOS, read_request(VIDEOS, "fields=id", exact_json.dumps(body)))

    other_days = {**QUESTION, "start_date": "20250101", "end_date": "20250102"}
    other_conditions = {**QUESTION, "query": {"not": CONDITION["and"]}}
    assert conditions(QUESTION) == conditions(other_days) != conditions(other_conditions)
    assert "start_date" not in conditions(QUESTION)


def test_other_days_are_put_into_a_copy() -> None:
    october = Span(date(2026, 10, 1), date(2026, 10, 2))
    assert span_in(ADS, with_span(ADS, AD_QUESTION, october)) == october
    assert with_span(ADS, AD_QUESTION, october)["filters"]["country_code"] == "FR"  # type: ignore[index]
    assert span_in(ADS, AD_QUESTION) == SEPTEMBER


def test_only_more_days_than_one_query_may_span_need_windows() -> None:
    assert not needs_windows(VIDEOS, Span(date(2026, 9, 1), date(2026, 10, 1)))
    assert needs_windows(VIDEOS, Span(date(2026, 9, 1), date(2026, 10, 2)))
    assert not needs_windows(ADS, Span(date(2025, 9, 1), date(2026, 10, 2)))


@given(first=DAYS, days=st.integers(1, 400), size=st.integers(1, 31))
def test_windows_follow_each_other_and_make_up_the_span(first: date, days: int, size: int) -> None:
    span = Span(first, date.fromordinal(first.toordinal() + days - 1))
    windows = list(span.windows(size))
    assert (windows[0].first, windows[-1].last) == (span.first, span.last)
    assert sum(each.days for each in windows) == span.days == days
    assert all(each.days == size for each in windows[:-1])
    for before, after in pairwise(windows):
        assert after.first.toordinal() == before.last.toordinal() + 1


def test_the_last_day_that_there_is_ends_a_span_too() -> None:
    assert [each.last for each in Span(date(9999, 12, 30), date.max).windows(1)][-1] == date.max


def test_a_span_passes_day_by_day() -> None:
    noon = datetime(2026, 9, 2, 12, tzinfo=UTC).timestamp()
    assert SEPTEMBER.days_by(noon) == 1.5
    assert SEPTEMBER.days_by(0) == 0
    assert SEPTEMBER.days_by(2e9) == SEPTEMBER.days == 30


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"id": 1_772_400_000 << 32 | 5}, 1_772_400_000),
        ({"video_id": 1_772_400_000 << 32}, 1_772_400_000),
        ({"id": 1 << 32, "create_time": 1_772_400_050}, 1_772_400_050),
        ({"username": "alice"}, None),
        ({"create_time": 10**30}, None),
        ({"create_time": -1}, None),
        ({"id": "1772400000"}, None),
    ],
)
def test_the_oldest_record_of_a_page_tells_its_time_by_any_field_that_has_one(
    record: dict[str, Any], told: int | None
) -> None:
    assert oldest_s(VIDEOS, {"videos": [{"id": 2_000_000_000 << 32}, record]}) == told


def test_a_page_tells_no_time_where_it_is_empty_or_not_newest_first() -> None:
    assert oldest_s(VIDEOS, {"videos": []}) is None
    assert oldest_s(ADS, {"ads": [{"create_time": 1_772_400_050}]}) is None
