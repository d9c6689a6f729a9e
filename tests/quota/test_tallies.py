import hashlib
from dataclasses import replace
from datetime import date
from typing import Any

from app import exact_json
from app.provider.answers import Success
from app.provider.endpoint import Endpoint
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.provider.spans import Span
from app.query import ResearchQuery
from app.quota.tallies import Mark, Tally, mark_of, nothing, topic_of

VIDEOS, ADS, SHOPS, FOLLOWERS = (
    ENDPOINTS[name] for name in ("video/query", "adlib/ad/query", "tts/product", "user/followers")
)
BODIES: dict[str, dict[str, Any]] = {
    "video/query": {
        "query": {"and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]},
        "start_date": "20260901",
        "end_date": "20260930",
        "max_count": 100,
    },
    "adlib/ad/query": {"filters": {"ad_published_date_range": {"min": "20260901", "max": "20260930"}}},
    "tts/product": {"shop_id": 7, "page_size": 10},
    "user/followers": {"username": "alice", "max_count": 100},
}


def blind(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def asked(endpoint: Endpoint, **more: Any) -> ResearchQuery:
    fields = f"fields={min(endpoint.fields)}" if endpoint.fields else ""
    return read_request(endpoint, fields, exact_json.dumps({**BODIES[endpoint.name], **more}))


def page(
    endpoint: Endpoint,
    query: ResearchQuery,
    records: int,
    *,
    cursor: int | None = None,
    next_id: str | None = None,
    created_s: int = 1_790_000_000,
) -> Mark:
    """The mark of a page that goes on at `cursor` or `next_id`, or is the last."""
    goes_on = cursor is not None or next_id is not None
    items = [{"create_time": created_s, "id": 1} for _ in range(records)]
    success = Success(
        data={endpoint.list_key or "": items},
        records=records,
        cursor=cursor if goes_on else (query.page.cursor + (query.page.size or 0)),
        has_more=goes_on,
        search_id=next_id,
        status=200,
        message="",
        log_id="",
    )
    topic = topic_of(endpoint, query, "project:p", blind=blind)
    mark = mark_of(topic, endpoint, query, success, calls=1, next_id=next_id)
    assert mark is not None
    return mark


def after(*marks: Mark) -> Tally:
    tally = nothing(marks[0].topic)
    for number, mark in enumerate(marks, 1):
        tally = tally.after(mark, now_us=number)
    return tally


def test_a_topic_is_the_same_for_every_page_and_field_and_its_conditions_for_all_days() -> None:
    first = topic_of(VIDEOS, asked(VIDEOS), "project:p", blind=blind)
    later = topic_of(VIDEOS, asked(VIDEOS, cursor=100, max_count=20), "project:p", blind=blind)
    other_days = topic_of(VIDEOS, asked(VIDEOS, start_date="20260902"), "project:p", blind=blind)
    assert first == later
    assert first.question != other_days.question
    assert first.conditions == other_days.conditions
    assert first.span == Span(date(2026, 9, 1), date(2026, 9, 30))


def test_a_crawl_counts_pages_positions_and_records_to_the_end() -> None:
    tally = after(
        page(VIDEOS, asked(VIDEOS), 90, cursor=100, created_s=1_790_000_300),
        page(VIDEOS, asked(VIDEOS, cursor=100), 100, cursor=200, created_s=1_790_000_200),
        page(VIDEOS, asked(VIDEOS, cursor=200), 7, created_s=1_790_000_100),
    )
    assert tally.last == tally.whole
    assert tally.whole is not None
    assert tally.whole.is_whole
    assert (tally.whole.pages, tally.whole.positions, tally.whole.records) == (3, 207, 197)
    assert (tally.whole.oldest_s, tally.whole.at_us, tally.whole.size) == (1_790_000_100, 3, 100)
    assert (tally.calls, tally.answers) == (3, 3)


def test_a_crawl_under_way_says_how_far_back_it_has_come_even_over_an_empty_page() -> None:
    tally = after(
        page(VIDEOS, asked(VIDEOS), 90, cursor=100, created_s=1_790_000_300),
        page(VIDEOS, asked(VIDEOS, cursor=100), 0, cursor=200),
    )
    assert tally.whole is None
    assert tally.last is not None
    assert not tally.last.is_whole
    assert (tally.last.positions, tally.last.place, tally.last.oldest_s) == (200, 200, 1_790_000_300)


def test_a_crawl_that_begins_anew_does_not_make_the_whole_one_forgotten() -> None:
    whole = page(VIDEOS, asked(VIDEOS), 40)
    tally = after(whole, page(VIDEOS, asked(VIDEOS, max_count=20), 20, cursor=20))
    assert tally.whole is not None
    assert tally.whole.positions == 40
    assert tally.last is not None
    assert (tally.last.positions, tally.last.size) == (20, 20)


def test_a_page_out_of_turn_is_counted_as_a_call_and_changes_no_crawl() -> None:
    first = page(VIDEOS, asked(VIDEOS), 100, cursor=100)
    before = after(first)
    for stray in (asked(VIDEOS, cursor=300), asked(VIDEOS, cursor=50)):
        tally = before.after(page(VIDEOS, stray, 100, cursor=stray.page.cursor + 100), now_us=9)
        assert tally == replace(before, calls=2, answers=2)
    assert after(page(VIDEOS, asked(VIDEOS, cursor=100), 3)).last is None


def test_a_call_that_failed_is_a_call_without_an_answer() -> None:
    first = page(VIDEOS, asked(VIDEOS), 100, cursor=100)
    failed = mark_of(first.topic, VIDEOS, asked(VIDEOS, cursor=100), None, calls=1)
    assert failed is not None
    tally = after(first, failed)
    assert (tally.calls, tally.answers) == (2, 1)
    assert tally.last == after(first).last


def test_what_cost_nothing_or_has_no_topic_leaves_no_mark() -> None:
    topic = topic_of(VIDEOS, asked(VIDEOS), "project:p", blind=blind)
    assert mark_of(topic, VIDEOS, asked(VIDEOS), None, calls=0) is None
    assert mark_of(None, VIDEOS, asked(VIDEOS), None, calls=1) is None


def test_pages_follow_each_other_by_search_id_where_that_alone_says_so() -> None:
    first, second, third = "4611686018427387905", "4611686018427387906", "4611686018427387907"
    tally = after(
        page(ADS, asked(ADS), 10, next_id=first),
        page(ADS, asked(ADS, search_id=first), 10, next_id=second),
        page(ADS, asked(ADS, search_id=third), 10, next_id=first),
        page(ADS, asked(ADS, search_id=second), 4),
    )
    assert tally.whole is not None
    assert (tally.whole.pages, tally.whole.positions, tally.calls) == (3, 24, 4)


def test_pages_by_number_end_with_the_first_that_is_not_full() -> None:
    tally = after(
        page(SHOPS, asked(SHOPS), 10),
        page(SHOPS, asked(SHOPS, page_start=2), 10),
        page(SHOPS, asked(SHOPS, page_start=3), 0),
    )
    assert tally.whole is not None
    assert (tally.whole.pages, tally.whole.positions) == (3, 20)


def test_pages_by_time_follow_each_other_by_the_cursor_that_came() -> None:
    tally = after(
        page(FOLLOWERS, asked(FOLLOWERS), 96, cursor=1_780_000_000),
        page(FOLLOWERS, asked(FOLLOWERS, cursor=1_780_000_000), 12),
    )
    assert tally.whole is not None
    assert (tally.whole.pages, tally.whole.positions, tally.whole.records) == (2, 112, 108)
