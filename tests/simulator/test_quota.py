from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.simulator.answers import ApiError
from app.simulator.configuration import Knobs, SimulatorConfig
from tests.simulator.caller import KEY, Caller, message


def test_records_are_what_came_back(caller: Caller) -> None:
    caller.page(max_count=37)
    stats = caller.stats()
    assert (stats["requests"], stats["records"]) == (1, 37)
    assert stats["endpoints"] == {"video/query": {"requests": 1, "records": 37}}
    assert stats["days"][stats["day"]]["requests"] == 1


@pytest.mark.parametrize("status", [400, 429, 500, 502, 504])
def test_every_failure_with_a_good_token_costs_one_request(caller: Caller, status: int) -> None:
    caller.control("faults", endpoint="video/query", status=status, next=1)
    assert caller.videos().status_code == status
    assert (caller.stats()["requests"], caller.stats()["records"]) == (1, 0)


def test_failures_of_the_platform_cost_nothing_where_the_knob_says_so() -> None:
    caller = Caller(knobs=Knobs(charge_on_500=False), requests_per_day=1)
    caller.control("faults", endpoint="video/query", status=500, next=2)
    assert [caller.videos().status_code for _ in range(4)] == [500, 500, 200, 429]
    assert caller.stats()["endpoints"] == {"video/query": {"requests": 2, "records": 20}}
    journal = caller.send("GET", "/_sim/journal").json()["requests"]
    assert [entry["charged"] for entry in journal[1:]] == [False, False, True, True]


def test_a_call_that_ends_after_a_reset_counts_nothing(caller: Caller) -> None:
    charge = caller.platform.quota.charge("test-key", "video/query")
    caller.control("reset")
    charge.add_records(20)
    assert (caller.stats()["requests"], caller.stats()["records"]) == (0, 0)


def test_a_call_that_ends_after_midnight_counts_on_the_day_it_came_in(caller: Caller) -> None:
    first = caller.stats()["day"]
    charge = caller.platform.quota.charge("test-key", "video/query")
    caller.control("clock", shift_s=86_400)
    charge.add_records(20)
    stats = caller.stats()
    assert (stats["records"], stats["days"][first]["records"]) == (0, 20)


def test_an_invalid_request_costs_one_request(caller: Caller) -> None:
    message(caller.videos(max_count=0))
    assert caller.stats()["requests"] == 1


def test_tokens_401_and_unknown_paths_cost_nothing(caller: Caller) -> None:
    caller.log_in()
    caller.control("faults", endpoint="*", status=401, next=1)
    message(caller.videos(), status=401, code="access_token_invalid")
    caller.call("live/query", {})
    assert caller.stats()["requests"] == 0


def test_past_the_request_limit_all_is_refused_and_still_counted() -> None:
    caller = Caller(requests_per_day=2)
    assert [caller.videos().status_code for _ in range(2)] == [200, 200]
    message(caller.videos(), status=429, code="daily_quota_limit_exceeded")
    answer = caller.call("user/info", {"username": "sim_user_1"}, fields="display_name")
    message(answer, status=429, code="daily_quota_limit_exceeded")
    stats = caller.stats()
    assert (stats["requests"], stats["records"], stats["refused"]) == (4, 40, 2)


def test_past_the_record_limit_all_is_refused() -> None:
    caller = Caller(records_per_day=30)
    assert [caller.videos().status_code for _ in range(2)] == [200, 200]
    message(caller.videos(), status=429, code="daily_quota_limit_exceeded")
    assert caller.stats()["records"] == 40


def test_a_new_utc_day_on_the_simulators_clock_starts_anew_and_keeps_the_old_one() -> None:
    caller = Caller(requests_per_day=1)
    caller.videos()
    first = caller.stats()["day"]
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    caller.control("clock", shift_s=(midnight - now).total_seconds() + 1)
    caller.log_in()
    assert caller.videos().status_code == 200
    stats = caller.stats()
    assert stats["day"] == midnight.date().isoformat()
    assert stats["requests"] == 1
    assert stats["days"][first]["requests"] == 1


def test_the_journal_has_every_request_in_order(caller: Caller) -> None:
    caller.videos(max_count=5)
    caller.videos(max_count=0)
    journal = caller.send("GET", "/_sim/journal").json()["requests"]
    assert journal == [
        {"endpoint": "oauth/token", "status": 200, "charged": False, "records": 0},
        {"endpoint": "video/query", "status": 200, "charged": True, "records": 5},
        {"endpoint": "video/query", "status": 400, "charged": True, "records": 0},
    ]


def test_the_journal_keeps_the_last_thousand(caller: Caller) -> None:
    caller.platform.journal.extend({"endpoint": "old"} for _ in range(1_000))
    caller.videos()
    journal = caller.send("GET", "/_sim/journal").json()["requests"]
    assert len(journal) == 1_000
    assert journal[-1]["endpoint"] == "video/query"


FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "main": ("user/info", "requests", {"requests_per_day": 2}),
    "graph": ("user/followers", "follower_requests", {"follower_calls_per_day": 2}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_that_is_used_up_leaves_the_others_alone(family: str) -> None:
    endpoint, counter, limit = FAMILIES[family]
    caller = Caller(**limit)

    def ask(of: str) -> int:
        return caller.call(of, {"username": "sim_user_1"}, fields="display_name").status_code

    assert [ask(endpoint) for _ in range(3)] == [200, 200, 429]
    stats = caller.stats()
    assert (stats[counter], stats["refused"]) == (3, 1)
    others = {of for of, _, _ in FAMILIES.values()} - {endpoint}
    assert {ask(other) for other in others} == {200}


def test_followers_and_following_share_calls_and_records_of_their_own() -> None:
    caller = Caller(follower_records_per_day=150)
    name = caller.send("GET", "/_sim/accounts").json()["following_public"][0]
    body = {"username": name, "max_count": 100}
    records = 0
    for endpoint in ("user/followers", "user/following"):
        data = caller.call(endpoint, body, fields=None).json()["data"]
        records += len(data[endpoint.replace("/", "_")])
    assert 150 <= records < 201
    answer = caller.call("user/following", body, fields=None)
    message(answer, status=429, code="daily_quota_limit_exceeded")
    stats = caller.stats()
    assert (stats["follower_requests"], stats["follower_records"], stats["refused"]) == (3, records, 1)
    assert (stats["requests"], stats["records"], stats["ad_requests"], stats["ad_records"]) == (0, 0, 0, 0)
    assert stats["days"][stats["day"]]["follower_records"] == records
    assert stats["clients"][KEY]["follower_requests"] == 3
    assert stats["endpoints"]["user/following"]["requests"] == 2


def test_the_ads_library_has_counters_of_its_own() -> None:
    caller = Caller(ad_requests_per_day=1)
    quota = caller.platform.quota
    quota.charge(KEY, "adlib/ad/query", family="ads").add_records(7)
    with pytest.raises(ApiError) as refused:
        quota.charge(KEY, "adlib/ad/detail", family="ads")
    assert (refused.value.status, refused.value.code) == (429, "daily_quota_limit_exceeded")
    stats = caller.stats()
    assert (stats["ad_requests"], stats["ad_records"], stats["requests"]) == (2, 7, 0)
    assert caller.videos().status_code == 200


@pytest.mark.parametrize(
    "limit", [{"requests_per_day": -1}, {"follower_calls_per_day": -1}, {"ad_records_per_day": -1}]
)
def test_a_negative_limit_is_no_configuration(limit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="negative"):
        SimulatorConfig(**limit)
