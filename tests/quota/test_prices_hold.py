"""Prices against the simulator's own data, a thousand questions at a time and without a server between."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app import exact_json
from app.provider.answers import Success
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.provider.spans import span_in
from app.quota.estimate import Asked, Basis, Held, Known, Price, price
from app.quota.tallies import Tally, mark_of, nothing, topic_of
from app.simulator import parsing
from app.simulator.dataset import Dataset
from app.simulator.matching import find
from app.simulator.vocabulary import HASHTAGS, REGION_WEIGHTS

VIDEOS = ENDPOINTS["video/query"]
NOW_US = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * 1_000_000
QUESTIONS = 150
PROMISED = 0.9


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset(seed=1, videos=40_000)


@dataclass
class Crawled:
    tally: Tally
    requests: int
    records: int


def conditions(rng: random.Random) -> dict[str, Any]:
    regions = rng.sample(list(REGION_WEIGHTS), rng.randint(1, 3))
    choice: list[dict[str, Any]] = [
        {"field_name": "region_code", "operation": "IN", "field_values": regions},
        {"field_name": "hashtag_name", "operation": "EQ", "field_values": [rng.choice(HASHTAGS[:30])]},
        {"field_name": "video_length", "operation": "EQ", "field_values": [rng.choice(("SHORT", "MID"))]},
    ]
    return {"and": rng.sample(choice, rng.randint(1, 2))}


def days(rng: random.Random) -> dict[str, str]:
    first = date(2025, 10, 5) + timedelta(days=rng.randrange(350))
    last = first + timedelta(days=rng.randrange(30))
    return {"start_date": f"{first:%Y%m%d}", "end_date": f"{last:%Y%m%d}"}


def crawl(
    dataset: Dataset, body: dict[str, Any], *, share: float, rng: random.Random, pages: int | None = None
) -> Crawled:
    """Walk the hits as the platform lists them; only a share of the positions brings a record."""
    asked = parsing.video_page(body, end_date_is_inclusive=True, default_count=20)
    hits, size = find(dataset, asked.query), body["max_count"]
    query = read_request(VIDEOS, "fields=id", exact_json.dumps(body))
    topic = topic_of(VIDEOS, query, "project:p", blind=lambda text: hashlib.sha256(text.encode()).hexdigest())
    crawled = Crawled(nothing(topic), 0, 0)
    for cursor in range(0, max(1, len(hits)), size):
        shown = [{"id": dataset.ids[p]} for p in hits[cursor : cursor + size] if rng.random() < share]
        success = Success(
            data={"videos": shown},
            records=len(shown),
            cursor=cursor + size,
            has_more=cursor + size < len(hits),
            search_id="1",
            status=200,
            message="",
            log_id="",
        )
        page = replace(query, page=replace(query.page, cursor=cursor))
        mark = mark_of(topic, VIDEOS, page, success, calls=1)
        assert mark is not None
        crawled.tally = crawled.tally.after(mark, now_us=NOW_US)
        crawled.requests, crawled.records = crawled.requests + 1, crawled.records + len(shown)
        if crawled.requests == pages:
            break
    return crawled


def priced(
    body: dict[str, Any],
    *,
    held: Crawled | None = None,
    same: Tally | None = None,
    kin: Sequence[Tally] = (),
    history: Sequence[Tally] = (),
) -> Price:
    own = same or (None if held is None else held.tally)
    around = [*kin, *([] if own is None else [own])]
    known = Known(
        held=Held() if held is None else _held(held),
        same=own,
        kin=around,
        history=history or around,
        now_us=NOW_US,
    )
    size = body["max_count"]
    return price(Asked(span=span_in(VIDEOS, body), size=size, most_records=size, reach=None), known)


def _held(crawled: Crawled) -> Held:
    crawl = crawled.tally.last
    assert crawl is not None
    return Held(
        pages=crawled.requests,
        positions=crawl.positions,
        records=crawled.records,
        oldest_s=crawl.oldest_s,
        at_us=NOW_US,
    )


def keeps_the_promise(prices: list[tuple[Price, int, int]]) -> None:
    misses = [
        (found.basis, found.requests, requests, found.records, records)
        for found, requests, records in prices
        if not (
            found.requests.low <= requests <= found.requests.high
            and found.records.low <= records <= found.records.high
        )
    ]
    assert len(prices) > QUESTIONS / 4
    assert len(misses) <= (1 - PROMISED) * len(prices), misses


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_the_rest_of_a_question_costs_what_its_first_pages_said(dataset: Dataset, share: float) -> None:
    prices = []
    for seed in range(QUESTIONS):
        rng = random.Random(seed)
        body = {"query": conditions(rng), **days(rng), "max_count": rng.choice((20, 50))}
        begun = crawl(dataset, body, share=share, rng=random.Random(seed), pages=rng.randint(1, 3))
        if begun.tally.whole is not None:
            continue
        # The same draws again, so that the pages that are held are those that the whole begins with.
        whole = crawl(dataset, body, share=share, rng=random.Random(seed))
        found = priced(body, held=begun)
        assert found.basis is Basis.SAME_QUESTION
        prices.append((found, whole.requests - begun.requests, whole.records - begun.records))
    keeps_the_promise(prices)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_a_question_costs_what_it_cost_before_whatever_the_page_size(dataset: Dataset, share: float) -> None:
    prices = []
    for seed in range(QUESTIONS):
        rng = random.Random(seed)
        body = {"query": conditions(rng), **days(rng), "max_count": rng.choice((20, 100))}
        before = crawl(dataset, {**body, "max_count": rng.choice((20, 100))}, share=share, rng=rng)
        again = crawl(dataset, body, share=share, rng=rng)
        prices.append((priced(body, same=before.tally), again.requests, again.records))
    keeps_the_promise(prices)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_other_days_cost_what_some_days_said(dataset: Dataset, share: float) -> None:
    prices = []
    for seed in range(QUESTIONS):
        rng = random.Random(seed)
        body = {"query": conditions(rng), **days(rng), "max_count": rng.choice((20, 50, 100))}
        kin = [
            crawl(dataset, {**body, **days(rng)}, share=share, rng=rng, pages=rng.choice((None, 2))).tally
            for _ in range(rng.randint(1, 3))
        ]
        cost = crawl(dataset, body, share=share, rng=rng)
        found = priced(body, kin=kin)
        assert found.basis is Basis.OTHER_DATES
        prices.append((found, cost.requests, cost.records))
    keeps_the_promise(prices)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_other_questions_cost_what_the_projects_questions_cost(dataset: Dataset, share: float) -> None:
    prices = []
    for seed in range(QUESTIONS):
        rng = random.Random(seed)
        asked = [
            crawl(
                dataset, {"query": conditions(rng), **days(rng), "max_count": 100}, share=share, rng=rng
            ).tally
            for _ in range(rng.randint(4, 12))
        ]
        body = {"query": conditions(rng), **days(rng), "max_count": 100}
        cost = crawl(dataset, body, share=share, rng=rng)
        found = priced(body, history=asked)
        assert found.basis is Basis.HISTORY
        prices.append((found, cost.requests, cost.records))
    keeps_the_promise(prices)
