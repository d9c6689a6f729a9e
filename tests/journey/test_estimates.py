"""Prices told before anything was spent, and what then was really spent: gateway and simulator together."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import median
from typing import Any

import pytest

from tests.servers.bursar import Installation, call

FIELDS = "id,username,create_time"
REGIONS = ("US", "DE", "FR", "GB", "ES", "IT", "PL", "NL", "SE")
HASHTAGS = ("election", "climate", "dance", "football", "news", "health", "music", "comedy")
MOST_PAGES = 200
LIMITS = {"requests/day": 100_000, "records/day": 10_000_000}
PROMISED = 0.9
"""Of all prices that rest on more than a default, so many hold."""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("estimates")
    simulator = ("--videos", "50000", "--requests-per-day", "100000", "--records-per-day", "10000000")
    with Installation(home, limits=LIMITS, simulator=simulator) as opened:
        opened.start()
        yield opened


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


def crawl(
    installation: Installation,
    key: str,
    body: dict[str, Any],
    *,
    path: str = f"/v2/research/video/query/?fields={FIELDS}",
    pages: int = MOST_PAGES,
) -> Spent:
    """Fetch a question to its end, or so many pages of it, and say what Bursar charged."""
    requests = records = 0
    onward: dict[str, Any] = {}
    for _ in range(pages):
        for _attempt in range(8):
            status, headers, answer = post(installation, key, path, {**body, **onward})
            cost = dict(part.split("=") for part in headers["bursar-cost"].split(", "))
            requests, records = requests + int(cost["requests"]), records + int(cost["records"])
            if status == 200:
                break
        assert status == 200, answer
        data = answer["data"]
        if not data["has_more"]:
            break
        onward = {name: data[name] for name in ("cursor", "search_id") if name in data}
    return Spent(requests, records)


def question(rng: random.Random) -> dict[str, Any]:
    """A query as researchers write them, about up to 30 days of the simulator's last ten months."""
    conditions = [
        {"field_name": "hashtag_name", "operation": "EQ", "field_values": [rng.choice(HASHTAGS)]},
        {
            "field_name": "region_code",
            "operation": "IN",
            "field_values": rng.sample(REGIONS, rng.randint(1, 3)),
        },
    ]
    asked = conditions if rng.random() < 0.5 else [rng.choice(conditions)]
    return {"query": {"and": asked}, **days(rng), "max_count": rng.choice((50, 100))}


def days(rng: random.Random) -> dict[str, str]:
    first = date(2026, 1, 1) + timedelta(days=rng.randrange(270))
    last = first + timedelta(days=rng.randrange(3, 28))
    return {"start_date": f"{first:%Y%m%d}", "end_date": f"{last:%Y%m%d}"}


@dataclass
class Trial:
    """Prices and what became of them."""

    held: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    off: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    misses: list[object] = field(default_factory=list)

    def note(self, told: dict[str, Any], spent: Spent) -> None:
        def is_within(amount: int, told_range: dict[str, int]) -> bool:
            assert told_range["low"] <= told_range["likely"] <= told_range["high"]
            return told_range["low"] <= amount <= told_range["high"]

        holds = is_within(spent.requests, told["requests"]) and is_within(spent.records, told["records"])
        self.held[told["basis"]].append(holds)
        self.off[told["basis"]].append(abs(told["requests"]["likely"] - spent.requests) / spent.requests)
        if not holds:
            self.misses.append((told["basis"], told["requests"], told["records"], spent))

    def keeps_the_promise(self, *bases: str) -> None:
        """What is promised holds, for each basis that was meant to come up and for all of them together."""
        assert set(bases) <= set(self.held), self.held.keys()
        together = [each for basis in bases for each in self.held[basis]]
        assert sum(together) >= PROMISED * len(together), self.misses


def test_a_question_that_is_wholly_held_is_said_to_cost_nothing_and_costs_nothing(
    installation: Installation, key: str
) -> None:
    rng = random.Random(11)
    for _ in range(5):
        body = question(rng)
        crawl(installation, key, body)
        told = estimate(installation, key, body)
        assert (told["basis"], told["confidence"]) == ("held", "high")
        assert told["requests"] == told["records"] == {"low": 0, "likely": 0, "high": 0}
        assert told["held"]["is_complete"]
        assert told["days_at_todays_limits"] == {"likely": 0, "high": 0, "limited_by": None}
        before = installation.upstream()["requests"]
        assert crawl(installation, key, body) == Spent(0, 0)
        assert installation.upstream()["requests"] == before


def test_what_another_project_has_fetched_tells_nothing(installation: Installation, key: str) -> None:
    body = question(random.Random(12))
    crawl(installation, key, body)
    colleague = installation.key("ben@example.edu")["api_key"]
    stranger = installation.key("cleo@example.edu", "climate")["api_key"]
    assert estimate(installation, colleague, body)["basis"] == "held"
    told = estimate(installation, stranger, body)
    assert told["held"] == {"requests_saved": 0, "records": 0, "is_complete": False, "until": None}
    assert told["basis"] not in {"held", "same question", "same conditions other dates"}


def test_prices_hold_after_a_page_or_two_and_for_other_days_and_other_pages(
    installation: Installation, key: str
) -> None:
    rng, trial = random.Random(5), Trial()
    for _ in range(24):
        body = question(rng)
        crawl(installation, key, body, pages=rng.randint(1, 2))
        told = estimate(installation, key, body)
        if told["basis"] == "held":
            continue
        assert told["held"]["requests_saved"] >= 1
        trial.note(told, crawl(installation, key, body))
        elsewhere = {**body, **days(rng)}
        trial.note(estimate(installation, key, elsewhere), crawl(installation, key, elsewhere))
        other_pages = {**body, "max_count": 150 - body["max_count"]}
        assert estimate(installation, key, other_pages)["basis"] == "held"
        assert crawl(installation, key, other_pages) == Spent(0, 0)
    trial.keeps_the_promise("same question", "same conditions other dates")
    assert median(trial.off["same question"]) <= 0.25
    assert median(trial.off["same conditions other dates"]) <= 0.5


def test_prices_hold_where_pages_come_short_and_calls_fail(installation: Installation) -> None:
    # A project of its own, so that what it knows of failures and of short pages is its own as well.
    key, rng, trial = installation.key("cleo@example.edu", "climate")["api_key"], random.Random(7), Trial()
    installation.control("POST", "knobs", short_page_p=0.7, empty_page_p=0.02, error_500_p=0.05)
    for _ in range(16):
        body = question(rng)
        crawl(installation, key, body, pages=2)
        told = estimate(installation, key, body)
        if told["basis"] != "held":
            trial.note(told, crawl(installation, key, body))
        elsewhere = {**body, **days(rng)}
        trial.note(estimate(installation, key, elsewhere), crawl(installation, key, elsewhere))
    trial.keeps_the_promise("same question", "same conditions other dates")


def test_a_new_question_is_priced_by_the_projects_other_ones_and_says_that_it_is_unsure(
    installation: Installation, key: str
) -> None:
    rng, trial = random.Random(23), Trial()
    for _ in range(12):  # what a project has asked before
        crawl(installation, key, question(rng))
    for music in range(20):
        asked = {"field_name": "music_id", "operation": "EQ", "field_values": [str(9_973 * music)]}
        body = question(rng)
        body["query"] = {"and": body["query"]["and"], "not": [asked]}
        told = estimate(installation, key, body)
        assert (told["basis"], told["confidence"]) == ("project history", "low")
        assert "first page" in told["because"]
        trial.note(told, crawl(installation, key, body))
    trial.keeps_the_promise("project history")


def test_a_long_range_is_priced_window_by_window_as_clients_walk_it(
    installation: Installation, key: str
) -> None:
    body = {
        "query": {"and": [{"field_name": "hashtag_name", "operation": "EQ", "field_values": ["books"]}]},
        "start_date": "20260301",
        "end_date": "20260619",
        "max_count": 100,
    }
    windows = [("2026-03-01", "2026-03-30"), ("2026-03-31", "2026-04-29"), ("2026-04-30", "2026-05-29")]
    windows.append(("2026-05-30", "2026-06-19"))
    crawl(installation, key, {**body, "start_date": "20260331", "end_date": "20260429"})
    told = estimate(installation, key, body)
    assert [(each["start_date"], each["end_date"]) for each in told["windows"]] == windows
    assert [each["basis"] == "held" for each in told["windows"]] == [False, True, False, False]
    assert told["basis"] == "same conditions other dates"
    spent = [
        crawl(
            installation,
            key,
            {**body, "start_date": first.replace("-", ""), "end_date": last.replace("-", "")},
        )
        for first, last in windows
    ]
    for name in ("requests", "records"):
        together = sum(getattr(each, name) for each in spent)
        assert told[name]["low"] <= together <= told[name]["high"]
        assert told[name]["likely"] == sum(each[name]["likely"] for each in told["windows"])


def test_a_list_of_followers_is_priced_by_the_profile_that_is_held(
    installation: Installation, key: str
) -> None:
    trial = Trial()
    for number in range(1, 8):
        body = {"username": f"sim_user_{number}", "max_count": 100}
        unknown = estimate(installation, key, body, endpoint="user/followers", fields=[])
        assert unknown["basis"] != "held profile"
        profile = "/v2/research/user/info/?fields=display_name,follower_count"
        post(installation, key, profile, {"username": body["username"]})
        told = estimate(installation, key, body, endpoint="user/followers", fields=[])
        assert told["basis"] == "held profile"
        trial.note(told, crawl(installation, key, body, path="/v2/research/user/followers/"))
    trial.keeps_the_promise("held profile")


def test_asking_for_a_price_is_one_entry_of_the_log_and_changes_nothing(
    installation: Installation, key: str
) -> None:
    body = question(random.Random(99))
    first, second = estimate(installation, key, body), estimate(installation, key, body)
    assert first == second
    usage = installation.bursar("usage", "--project", "elections")["limits"]
    estimate(installation, key, body)
    assert installation.bursar("usage", "--project", "elections")["limits"] == usage
    _, headers, _ = post(installation, key, "/api/v1/estimate", {"query": body, "fields": FIELDS})
    again = post(installation, key, "/api/v1/estimate", {"query": body, "fields": FIELDS})[1]

    def index(of: dict[str, str]) -> int:
        return int(of["audit-entry"].split("index=")[1].split(";")[0])

    assert index(again) == index(headers) + 1


def test_the_command_says_what_the_api_says(installation: Installation, key: str) -> None:
    body = question(random.Random(98))
    crawl(installation, key, body, pages=1)
    (installation.home / "query.json").write_text(json.dumps(body))
    asked = ("--project", "elections", "--person", "ada@example.edu", "--file", "query.json")
    told = installation.bursar("estimate", *asked, "--fields", FIELDS)
    assert told == estimate(installation, key, body)
