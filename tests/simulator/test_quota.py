from datetime import UTC, datetime, timedelta

import pytest

from app.simulator.configuration import Knobs
from tests.simulator.caller import Caller, message


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
