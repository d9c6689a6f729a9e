"""One request, all the way: what it costs, what it says, and what the second one finds."""

import asyncio
import json
import re
from collections import Counter

import pytest

from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import VIDEO_QUERY, Installation, call, video_query
from tests.servers.load import ask_all

pytestmark = pytest.mark.anyio


def ask(
    installation: Installation,
    key: str,
    path: str = VIDEO_QUERY,
    body: bytes | None = None,
    *,
    cache_control: str = "",
) -> tuple[int, dict[str, str], dict[str, object]]:
    headers = {"Authorization": f"Bearer {key}"}
    if cache_control:
        headers["Cache-Control"] = cache_control
    status, headers, answer = call(
        installation.port, "POST", path, body=video_query() if body is None else body, headers=headers
    )
    return status, headers, json.loads(answer)


@pytest.fixture(scope="module")
def key(installation: Installation) -> str:
    return installation.key()["api_key"]


async def test_the_same_question_twice_costs_one_upstream_request(
    installation: Installation, key: str
) -> None:
    body = video_query(max_count=31, example=31)
    status, first, records = ask(installation, key, body=body)
    assert status == 200
    assert first["cache-status"] == "bursar; fwd=miss; stored"
    assert first["bursar-cost"] == "requests=1, records=100"
    # The same meaning in other words: keys, values and fields in another order, a default spelled out.
    reworded = json.loads(body)
    reworded["query"]["and"][0]["field_values"].reverse()
    reworded = {"is_random": False, "cursor": 0, "search_id": "", **dict(reversed(reworded.items()))}
    fields = "/v2/research/video/query?fields=view_count,%20region_code,create_time,username,id"
    status, again, same = ask(installation, key, fields, json.dumps(reworded).encode())
    assert status == 200
    assert again["cache-status"] == "bursar; hit; detail=exact"
    assert again["bursar-cost"] == "requests=0, records=0"
    assert int(again["age"]) >= 0
    assert same["data"] == records["data"]
    assert installation.upstream()["requests"] == 1


async def test_a_thousand_identical_calls_at_once_cost_one(installation: Installation, key: str) -> None:
    installation.control("POST", "faults", endpoint="video/query", delay_s=0.5, next=1)
    asked = [(VIDEO_QUERY, video_query(max_count=32, example=32))] * 1_000
    answers = await ask_all(installation.base_url, key, asked, in_flight=1_000)
    assert Counter(answer.status for answer in answers) == {200: 1_000}
    assert installation.upstream()["requests"] == 1
    assert len({json.dumps(json.loads(answer.body)["data"]) for answer in answers}) == 1
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    assert all(ledger.ids[answer.index] == answer.log_id for answer in answers)
    assert len({answer.log_id for answer in answers}) == 1_000


async def test_headers_say_what_is_left_and_where_the_entry_is(installation: Installation, key: str) -> None:
    _, headers, answer = ask(installation, key, body=video_query(max_count=33, example=33))
    assert '"project-requests-day";r=' in headers["ratelimit"]
    assert '"credential-records-day";q=10000000;w=86400' in headers["ratelimit-policy"]
    assert "ada" not in headers["ratelimit"]
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    index = int(headers["audit-entry"].split("index=")[1].split(";")[0])
    error = answer["error"]
    assert isinstance(error, dict)
    assert ledger.ids[index] == error["log_id"]
    outcome = ledger.entries[index]
    assert outcome["type"] == "outcome"
    assert ledger.entries[outcome["intent_ix"]]["type"] == "intent"
    assert outcome["upstream"]["log_id"]


async def test_a_colleague_shares_what_is_held_and_another_project_does_not(
    installation: Installation, key: str
) -> None:
    body = video_query(max_count=34, example=34)
    ask(installation, key, body=body)
    colleague = installation.key("ben@example.edu")["api_key"]
    stranger = installation.key("cleo@example.edu", "climate")["api_key"]
    assert ask(installation, colleague, body=body)[1]["cache-status"] == "bursar; hit; detail=slice"
    assert ask(installation, stranger, body=body)[1]["cache-status"] == "bursar; fwd=miss; stored"
    assert installation.upstream()["requests"] == 2


async def test_another_projects_search_id_is_unknown(installation: Installation, key: str) -> None:
    body = video_query(max_count=35, example=35)
    data = ask(installation, key, body=body)[2]["data"]
    assert isinstance(data, dict)
    stranger = installation.key("cleo@example.edu", "climate")["api_key"]
    onward = video_query(max_count=35, example=35, cursor=data["cursor"], search_id=data["search_id"])
    status, _, refused = ask(installation, stranger, body=onward)
    error = refused["error"]
    assert isinstance(error, dict)
    assert (status, error["code"]) == (400, "invalid_params")
    assert error["message"] == f"Search Id {data['search_id']} is invalid or expired"
    assert ask(installation, key, body=onward)[0] == 200


async def test_a_held_page_goes_on_correctly_when_the_next_one_is_not_held(
    installation: Installation, key: str
) -> None:
    body = video_query(max_count=36, example=36)
    ask(installation, key, body=body)
    data = ask(installation, key, body=body)[2]["data"]
    assert isinstance(data, dict)
    for place in (36, 72):
        onward = video_query(max_count=36, example=36, cursor=data["cursor"], search_id=data["search_id"])
        status, headers, answer = ask(installation, key, body=onward)
        following = answer["data"]
        assert isinstance(following, dict)
        how = "bursar; hit; detail=slice" if place == 36 else "bursar; fwd=miss; stored"
        assert (status, headers["cache-status"]) == (200, how)
        assert following["cursor"] == place + 36
        assert following["search_id"] == data["search_id"]
        data = following


async def test_a_random_sample_is_never_the_one_that_is_held(installation: Installation, key: str) -> None:
    body = video_query(max_count=37, example=37, is_random=True)
    ask(installation, key, body=body)
    assert ask(installation, key, body=body)[1]["cache-status"].startswith("bursar; fwd=")
    assert installation.upstream()["requests"] == 2


@pytest.mark.parametrize(
    ("fault", "max_count", "status", "cost"),
    [
        ({"status": 500}, 51, 500, "requests=1, records=0"),
        ({"status": 502, "html": True}, 52, 502, "requests=1, records=0"),
        ({"status": 504, "html": True}, 53, 504, "requests=1, records=0"),
        ({"cut_body": True}, 54, 504, "requests=1, records=100"),
    ],
)
async def test_what_fails_upstream_is_charged_told_in_json_and_not_held(
    installation: Installation, key: str, fault: dict[str, object], max_count: int, status: int, cost: str
) -> None:
    body = video_query(max_count=max_count, example=max_count)
    installation.control("POST", "faults", endpoint="video/query", next=1, **fault)
    failed, headers, answer = ask(installation, key, body=body)
    error = answer["error"]
    assert isinstance(error, dict)
    assert (failed, error["code"], headers["bursar-cost"]) == (status, "internal_error", cost)
    assert installation.upstream()["requests"] == 1
    assert ask(installation, key, body=body)[1]["cache-status"] == "bursar; fwd=miss; stored"


async def test_a_rejected_upstream_token_is_renewed_without_a_word(
    installation: Installation, key: str
) -> None:
    ask(
        installation, key, body=video_query(max_count=38, example=38)
    )  # the reset before this test took the token away
    installation.control("POST", "faults", endpoint="video/query", status=401, next=1)
    status, headers, _ = ask(installation, key, body=video_query(max_count=39, example=39))
    assert (status, headers["bursar-cost"]) == (200, "requests=1, records=100")


async def test_many_callers_with_a_rejected_token_renew_it_once(installation: Installation, key: str) -> None:
    ask(installation, key, body=video_query(max_count=40, example=40))
    installation.control("POST", "reset")  # the simulator forgets every token
    asked = [
        (VIDEO_QUERY, video_query(max_count=41, example=41, cursor=100 * number)) for number in range(40)
    ]
    await ask_all(installation.base_url, key, asked, in_flight=40)
    status, _, journal = call(installation.simulator_port, "GET", "/_sim/journal")
    assert status == 200
    tokens = [each for each in json.loads(journal)["requests"] if each["endpoint"] == "oauth/token"]
    assert len(tokens) == 1


async def test_cache_control_says_how_an_answer_is_come_by(installation: Installation, key: str) -> None:
    body = video_query(max_count=46, example=46)
    asked = [
        ("only-if-cached", 504, None),
        ("no-store", 200, "bursar; fwd=miss"),
        ("no-cache", 200, "bursar; fwd=miss; stored"),
        ("max-age=3600, only-if-cached", 200, "bursar; hit; detail=exact"),
        ("no-cache", 200, "bursar; fwd=request; stored"),
        ("no-cache, no-store", 200, "bursar; fwd=request"),
        ("max-age=soon", 200, "bursar; hit; detail=exact"),
    ]
    for cache_control, status, told in asked:
        found = ask(installation, key, body=body, cache_control=cache_control)
        assert (found[0], found[1].get("cache-status")) == (status, told), cache_control
    assert installation.upstream()["requests"] == 4


async def test_what_is_past_its_time_is_labelled_while_the_platform_fails(installation: Installation) -> None:
    key = installation.key("cleo@example.edu", "climate")["api_key"]
    body = video_query(max_count=47, example=47)
    # Past its time at once, so that nobody has to wait for that.
    installation.bursar("project", "set", "climate", "--stale", "--lifetime", "video/query=0")
    records = ask(installation, key, body=body)[2]["data"]
    installation.control("POST", "faults", endpoint="video/query", status=500, next=1)
    status, headers, stale = ask(installation, key, body=body)
    assert (status, stale["data"]) == (200, records)
    assert re.fullmatch(
        r"bursar; fwd=stale; fwd-status=500; detail=exact; ttl=-[0-9]+", headers["cache-status"]
    )
    assert headers["bursar-cost"] == "requests=1, records=0"
    assert int(headers["age"]) >= 0
    installation.bursar("limit", "set", "project:climate", "requests/day", "0")
    status, headers, stale = ask(installation, key, body=body)
    assert (status, stale["data"]) == (200, records)
    assert re.fullmatch(r"bursar; hit; detail=slice; ttl=-[0-9]+", headers["cache-status"])
    installation.bursar("project", "set", "climate", "--no-stale")
    assert ask(installation, key, body=body)[0] == 429


async def test_revoked_is_revoked_at_once(installation: Installation) -> None:
    issued = installation.key("ben@example.edu")
    assert ask(installation, issued["api_key"])[0] == 200
    installation.bursar("key", "revoke", issued["client_key"].removeprefix("bsr_live_"))
    status, _, answer = ask(installation, issued["api_key"])
    error = answer["error"]
    assert isinstance(error, dict)
    assert (status, error["code"]) == (401, "access_token_invalid")


async def test_a_rotated_key_counts_at_once_and_its_old_secret_no_more(installation: Installation) -> None:
    issued = installation.key("ben@example.edu")
    assert ask(installation, issued["api_key"])[0] == 200
    fresh = installation.bursar("key", "rotate", issued["client_key"])
    # The gateway remembers the key as it was; another process has changed it since.
    assert ask(installation, fresh["api_key"])[0] == 200
    assert ask(installation, issued["api_key"])[0] == 401
    form = "client_key={client_key}&client_secret={client_secret}&grant_type=client_credentials"
    for secrets, status in ((issued, 401), (fresh, 200)):
        body = form.format(**secrets).encode()
        assert call(installation.port, "POST", "/v2/oauth/token/", body=body)[0] == status


async def test_a_call_is_finished_and_held_after_its_client_left(
    installation: Installation, key: str
) -> None:
    installation.control("POST", "faults", endpoint="video/query", delay_s=0.5, next=1)
    body = video_query(max_count=42, example=42)
    _, writer = await asyncio.open_connection("127.0.0.1", installation.port)
    head = f"POST {VIDEO_QUERY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.sleep(1.0)
    assert ask(installation, key, body=body)[1]["cache-status"] == "bursar; hit; detail=exact"
    assert installation.upstream()["requests"] == 1


async def test_a_credential_is_verified_without_spending(installation: Installation) -> None:
    assert installation.bursar("credential", "verify") == {
        "credentials": [{"name": "main", "holds": True, "why": None}]
    }
    installation.control("POST", "faults", endpoint="oauth/token", status=500, next=1)
    refused = installation.bursar("credential", "verify", "main", check=False)
    assert refused["credentials"][0]["holds"] is False
    assert installation.upstream()["requests"] == 0


async def test_a_frozen_credential_is_not_used_to_verify_it_either(installation: Installation) -> None:
    installation.bursar("freeze", "credential", "main", "--reason", "a leak")
    (found,) = installation.bursar("credential", "verify", check=False)["credentials"]
    assert found["holds"] is False
    assert "frozen" in found["why"]
