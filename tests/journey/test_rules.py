"""Rules on the running gateway: modes, refusals that touch nothing, and whoever leaves is cut off."""

import json
import time
from typing import Any

import pytest

from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import VIDEO_QUERY, Installation, call, state, video_query

pytestmark = pytest.mark.anyio

OUTSIDE = "/v2/research/video/query/?fields=id,like_count"


def ask(
    installation: Installation, key: str, path: str = VIDEO_QUERY, **changes: Any
) -> tuple[int, dict[str, str], dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"}
    status, found, body = call(installation.port, "POST", path, body=video_query(**changes), headers=headers)
    answer: dict[str, Any] = json.loads(body)
    return status, found, answer


async def decision(installation: Installation, log_id: str) -> dict[str, Any]:
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    index = next(index for index, entry_id in ledger.ids.items() if entry_id == log_id)
    found: dict[str, Any] = ledger.entries[index]["decision"]
    return found


def projects(installation: Installation, **changes: Any) -> list[dict[str, Any]]:
    """The projects of the installation, the first of them changed."""
    first, *others = state(installation.simulator_url, limits={})["projects"]
    return [{**first, "limits": {}, **changes}, *({**each, "limits": {}} for each in others)]


@pytest.fixture(scope="module")
def bounded(installation: Installation) -> Any:
    """Elections, approved for three fields only, until the module's end."""
    allow = {"fields": {"video/query": ["id", "username", "region_code"]}}
    installation.apply(projects=projects(installation, allow=allow))
    yield installation
    installation.bursar("rule", "set", "fields-approved", "enforce")
    installation.apply()


async def test_a_rule_refuses_warns_or_keeps_quiet_as_its_mode_says(bounded: Installation) -> None:
    key = bounded.key()["api_key"]
    status, headers, answer = ask(bounded, key, OUTSIDE)
    assert (status, answer["error"]["code"]) == (400, "invalid_params")
    assert answer["error"]["message"].startswith("Refused by rule fields-approved/1: fields like_count")
    assert "bursar-warning" not in headers
    assert await decision(bounded, answer["error"]["log_id"]) == {
        "verdict": "refused",
        "rule": "fields-approved/1",
        "code": "invalid_params",
    }

    bounded.bursar("rule", "set", "fields-approved/1", "warn")
    warned = {"verdict": "allowed", "rule": "endpoint-approved/1", "warned": ["fields-approved/1"]}
    for _ in ("from the platform", "from what is held"):
        status, headers, answer = ask(bounded, key, OUTSIDE)
        assert status == 200
        assert headers["bursar-warning"].startswith("fields-approved/1; fields like_count")
        assert await decision(bounded, answer["error"]["log_id"]) == warned

    bounded.bursar("rule", "set", "fields-approved/1", "shadow")
    status, headers, answer = ask(bounded, key, OUTSIDE)
    assert (status, "bursar-warning" in headers) == (200, False)
    shadowed = {"verdict": "allowed", "rule": "endpoint-approved/1", "shadow": ["fields-approved/1"]}
    assert await decision(bounded, answer["error"]["log_id"]) == shadowed


async def test_a_refusal_for_another_reason_still_says_what_the_shadowed_rules_thought(
    bounded: Installation,
) -> None:
    bounded.bursar("rule", "set", "fields-approved/1", "shadow")
    key = bounded.key()["api_key"]
    status, _, answer = ask(bounded, key, OUTSIDE, search_id="7000000000000000001", cursor=100)
    assert (status, answer["error"]["message"]) == (
        400,
        "Search Id 7000000000000000001 is invalid or expired",
    )
    assert await decision(bounded, answer["error"]["log_id"]) == {
        "verdict": "refused",
        "rule": "search-id/1",
        "code": "invalid_params",
        "shadow": ["fields-approved/1"],
    }


async def test_a_hundred_refused_requests_leave_every_limit_untouched(bounded: Installation) -> None:
    bounded.bursar("rule", "set", "fields-approved", "enforce")
    key = bounded.key()["api_key"]
    assert ask(bounded, key, max_count=71, fields="id")[0] == 400
    before = bounded.bursar("usage")["limits"]
    message = ask(bounded, key, max_count=101)[2]["error"]["message"]
    assert message == "max_count is 101; it must be between 1 and 100. (rule request/1)"
    bodies: list[tuple[str, dict[str, Any]]] = [
        (OUTSIDE, {}),
        (VIDEO_QUERY, {"max_count": 101}),
        (VIDEO_QUERY, {"end_date": "20261120"}),
        (VIDEO_QUERY, {"search_id": "7000000000000000001", "cursor": 100}),
    ]
    for number in range(100):
        path, changes = bodies[number % len(bodies)]
        assert ask(bounded, key, path, **changes)[0] == 400
    assert bounded.bursar("usage")["limits"] == before
    assert any(each["limit"] for each in before)
    assert bounded.upstream()["requests"] == 0


async def test_a_quota_refusal_names_its_rule_too(bounded: Installation) -> None:
    key = bounded.key()["api_key"]
    bounded.bursar("limit", "set", f"key:{key.split('_')[2]}", "requests/day", "0")
    status, _, answer = ask(bounded, key, "/v2/research/video/query/?fields=id", max_count=72, example=72)
    assert (status, answer["error"]["message"].endswith("(rule quota/1)")) == (429, True)
    entry = await decision(bounded, answer["error"]["log_id"])
    assert (entry["rule"], entry["code"]) == ("quota/1", "daily_quota_limit_exceeded")


async def test_whoever_leaves_is_cut_off_within_seconds(installation: Installation) -> None:
    installation.apply(projects=projects(installation))
    key = installation.key("ben@example.edu")["api_key"]
    assert ask(installation, key)[0] == 200
    members = ["ada@example.edu", {"email": "ben@example.edu", "until": "2026-01-31"}]
    installation.apply(projects=projects(installation, members=members))
    started = time.monotonic()
    status, _, answer = ask(installation, key)
    assert (status, time.monotonic() - started < 5) == (400, True)
    assert answer["error"]["message"].startswith("Refused by rule named-collaborator/1: ")
    installation.apply(projects=projects(installation, members=["ada@example.edu", "ben@example.edu"]))
    assert ask(installation, key)[0] == 200
