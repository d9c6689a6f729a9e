"""Prices told before anything was spent, and what then was really spent: gateway and simulator together."""

import json
import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from tests.servers.bursar import Installation, call

FIELDS = "id,username,create_time"
REGIONS = ("US", "DE", "FR", "GB", "ES", "IT", "PL", "NL", "SE")
HASHTAGS = ("election", "climate", "dance", "football", "news", "health", "music", "comedy")
MOST_PAGES = 200


@pytest.fixture(scope="module")
def key(installation: Installation) -> str:
    return installation.key()["api_key"]


def post(
    installation: Installation, key: str, path: str, body: dict[str, Any]
) -> tuple[int, dict[str, str], Any]:
    status, headers, answer = call(
        installation.port,
        "POST",
        path,
        body=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    return status, headers, json.loads(answer)


def estimate(installation: Installation, key: str, body: dict[str, Any], **more: Any) -> Any:
    """What the gateway says a query would cost; asking spends nothing."""
    before = installation.upstream()["requests"]
    asked = {"query": body, "fields": FIELDS, **more}
    status, _, told = post(installation, key, "/api/v1/estimate", asked)
    assert status == 200, told
    assert installation.upstream()["requests"] == before
    return told


@dataclass(frozen=True, slots=True)
class Spent:
    requests: int
    records: int


def crawl(installation: Installation, key: str, body: dict[str, Any], *, pages: int = MOST_PAGES) -> Spent:
    """Fetch a query to its end, or so many pages of it, and say what Bursar charged."""
    requests = records = 0
    onward: dict[str, Any] = {}
    for _ in range(pages):
        for _attempt in range(8):
            status, headers, answer = post(
                installation, key, f"/v2/research/video/query/?fields={FIELDS}", {**body, **onward}
            )
            cost = dict(part.split("=") for part in headers["bursar-cost"].split(", "))
            requests, records = requests + int(cost["requests"]), records + int(cost["records"])
            if status == 200:
                break
        assert status == 200, answer
        data = answer["data"]
        if not data["has_more"]:
            break
        onward = {"cursor": data["cursor"], "search_id": data["search_id"]}
    return Spent(requests, records)


def question(rng: random.Random, *, size: int | None = None) -> dict[str, Any]:
    """A query as researchers write them, about up to 30 days of the simulator's last ten months."""
    conditions = [
        {
            "field_name": "region_code",
            "operation": "IN",
            "field_values": rng.sample(REGIONS, rng.randint(1, 3)),
        },
        {"field_name": "hashtag_name", "operation": "EQ", "field_values": [rng.choice(HASHTAGS)]},
    ]
    asked = conditions[: rng.randint(1, 2)] if rng.random() < 0.7 else conditions[1:]
    return {"query": {"and": asked}, **days(rng), "max_count": size or rng.choice((20, 50, 100))}


def days(rng: random.Random) -> dict[str, str]:
    first = date(2026, 1, 1) + timedelta(days=rng.randrange(270))
    last = first + timedelta(days=rng.randrange(3, 28))
    return {"start_date": f"{first:%Y%m%d}", "end_date": f"{last:%Y%m%d}"}


def holds(told: dict[str, Any], spent: Spent) -> bool:
    def within(amount: int, told_range: dict[str, int]) -> bool:
        return told_range["low"] <= amount <= told_range["high"]

    return within(spent.requests, told["requests"]) and within(spent.records, told["records"])


def test_a_question_that_is_wholly_held_is_said_to_cost_nothing_and_costs_nothing(
    installation: Installation, key: str
) -> None:
    rng = random.Random(11)
    for _ in range(5):
        body = question(rng, size=100)
        crawl(installation, key, body)
        told = estimate(installation, key, body)
        assert (told["basis"], told["confidence"]) == ("held", "high")
        assert told["requests"] == told["records"] == {"low": 0, "likely": 0, "high": 0}
        assert told["held"]["is_complete"]
        assert told["days_at_todays_limits"] == {"likely": 0, "high": 0, "limited_by": None}
        before = installation.upstream()["requests"]
        assert crawl(installation, key, body) == Spent(0, 0)
        assert installation.upstream()["requests"] == before
