"""Limits by the minute, at once, on calls and on delivered records, as a client meets them."""

import asyncio
import itertools
import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import pytest

from app.administration.acts import set_limits
from app.administration.changes import local_operator
from app.administration.keys import issue_key
from app.administration.usage import usage
from app.quota.arithmetic import parse_limit_key
from app.settings import load_settings
from app.storage.administering import open_administration
from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import AS_ASKED, VIDEO_QUERY, Installation, call, video_query
from tests.servers.load import ask_all

SETTINGS = AS_ASKED
pytestmark = pytest.mark.anyio

OPERATOR = local_operator(0)
_sizes = itertools.count(1)
_QUIET_FOR_S = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])

    def left(self, limit: str) -> int:
        found = re.search(rf'"{limit}";r=(\d+)', self.headers["ratelimit"])
        assert found is not None, self.headers["ratelimit"]
        return int(found[1])


class Researcher:
    """Somebody with a key of their own, which has limits of its own."""

    def __init__(self, installation: Installation, key_id: str, key: str) -> None:
        self._installation = installation
        self._scope = f"key:{key_id}"
        self.key = key

    @classmethod
    async def of(cls, installation: Installation, **limits: int) -> Self:
        async with open_administration(load_settings(installation.environ)) as office:
            issued = await issue_key(
                office.registry, office.mint, OPERATOR, project="elections", email="ada@example.edu"
            )
        ada = cls(installation, issued.key_id, issued.api_key)
        if limits:
            await ada.limit(**limits)
        return ada

    async def limit(self, **limits: int) -> None:
        amounts = {parse_limit_key(name.replace("_per_", "/")): amount for name, amount in limits.items()}
        async with open_administration(load_settings(self._installation.environ)) as office:
            assert await set_limits(office.registry, OPERATOR, scope=self._scope, amounts=amounts)

    def ask(self, body: bytes) -> Answer:
        headers = {"Authorization": f"Bearer {self.key}"}
        status, found, answer = call(self._installation.port, "POST", VIDEO_QUERY, body=body, headers=headers)
        return Answer(status, found, json.loads(answer))

    async def ask_later(self, body: bytes) -> Answer:
        return await asyncio.to_thread(self.ask, body)

    async def used(self) -> dict[str, int]:
        async with open_administration(load_settings(self._installation.environ)) as office:
            found = await usage(office.registry, email="ada@example.edu")
        return {each.limit.dimension.value: each.used for scope, each in found.limits if scope == self._scope}


def question(size: int = 20) -> bytes:
    """One that nobody has asked before, for a page of `size` records."""
    return video_query(max_count=size, start_date=f"202610{next(_sizes) % 9 + 10}", cursor=next(_sizes))


async def test_every_answered_call_counts_and_a_refusal_says_all_there_is_to_know(
    installation: Installation,
) -> None:
    ada = await Researcher.of(installation, calls_per_minute=3, records_per_day=500)
    body = question()
    answers = [ada.ask(body) for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, 200]
    assert [each.left("key-calls-minute") for each in answers] == [2, 1, 0]
    before = installation.upstream()["requests"]
    refused = ada.ask(body)
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "key-calls-minute of 3 has 0 left" in refused.message
    assert f"comes back in {refused.headers['retry-after']} s" in refused.message
    assert "key-records-day 480" in refused.message
    assert '"key-calls-minute";q=3;w=60' in refused.headers["ratelimit-policy"]
    assert re.search(r'"key-calls-minute";r=0;t=\d+', refused.headers["ratelimit"])
    assert refused.headers["bursar-cost"] == "requests=0, records=0"
    assert installation.upstream()["requests"] == before
    entry = (await read_ledger(installation.environ["BURSAR_DATABASE_URL"])).entries[-1]
    assert entry["id"] == refused.body["error"]["log_id"]
    assert entry["decision"] == {"verdict": "refused", "rule": "quota/1", "code": "rate_limit_exceeded"}


async def test_hits_are_no_requests(installation: Installation) -> None:
    ada = await Researcher.of(installation, requests_per_minute=1)
    body = question()
    assert ada.ask(body).status == 200
    assert ada.ask(body).status == 200
    assert ada.ask(question()).code == "rate_limit_exceeded"


async def test_a_page_settles_to_the_records_that_came(installation: Installation) -> None:
    ada = await Researcher.of(installation, records_per_minute=150)
    nothing = video_query(
        query={"and": [{"operation": "EQ", "field_name": "username", "field_values": ["nobody"]}]}
    )
    answer = ada.ask(nothing)
    assert answer.body["data"]["videos"] == []
    assert answer.left("key-records-minute") == 50  # as it stood while the call was under way
    assert ada.ask(question(100)).status == 200
    assert ada.ask(question(100)).code == "rate_limit_exceeded"


async def test_delivered_records_count_on_hits_and_misses_alike(installation: Installation) -> None:
    ada = await Researcher.of(installation, delivered_per_day=50, calls_per_day=10)
    body = question()
    assert [ada.ask(body).status for _ in range(2)] == [200, 200]
    assert await ada.used() == {"delivered": 40, "calls": 2}
    refused = ada.ask(body)
    assert (refused.status, refused.code) == (429, "daily_quota_limit_exceeded")
    assert "key-delivered-day of 50 has 10 left and this call needs 20" in refused.message
    assert "key-calls-day 8" in refused.message
    assert await ada.used() == {"delivered": 40, "calls": 2}
    entry = (await read_ledger(installation.environ["BURSAR_DATABASE_URL"])).entries[-2]
    assert entry["quota"]["charged"] == {"delivered": 20, "calls": 1}


async def test_what_a_budget_refuses_is_given_back_to_the_minute(installation: Installation) -> None:
    ada = await Researcher.of(installation, requests_per_day=1, calls_per_minute=2, requests_per_minute=2)
    assert ada.ask(question()).status == 200
    codes = {ada.ask(question()).code for _ in range(10)}
    assert codes == {"daily_quota_limit_exceeded"}


async def test_a_limit_that_changes_counts_for_the_next_call(installation: Installation) -> None:
    ada = await Researcher.of(installation)
    body = question()
    assert ada.ask(body).status == 200
    await ada.limit(calls_per_minute=1)
    assert [ada.ask(body).status for _ in range(2)] == [200, 429]
    await ada.limit(calls_per_minute=2)
    assert [ada.ask(body).status for _ in range(2)] == [200, 429]


async def test_calls_at_once_are_counted_while_they_are_under_way(installation: Installation) -> None:
    ada = await Researcher.of(installation, concurrent=2)
    installation.control("POST", "faults", endpoint="video/query", delay_s=1.5, next=2)
    under_way = [asyncio.create_task(ada.ask_later(question())) for _ in range(2)]
    await asyncio.sleep(0.5)
    refused = await ada.ask_later(question())
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert refused.headers["retry-after"] == "1"
    assert "Too many calls at once: limit key-concurrent is 2" in refused.message
    assert '"key-concurrent";q=2;qu="concurrent-requests"' in refused.headers["ratelimit-policy"]
    assert [each.status for each in await asyncio.gather(*under_way)] == [200, 200]
    assert ada.ask(question()).status == 200


async def test_a_place_comes_back_when_its_client_has_gone(installation: Installation) -> None:
    ada = await Researcher.of(installation, concurrent=1)
    for _ in range(3):
        installation.control("POST", "faults", endpoint="video/query", delay_s=0.4, next=1)
        leave_in_the_middle(installation, ada.key, question())
    deadline = time.monotonic() + _QUIET_FOR_S
    held = question()
    while (answer := ada.ask(held)).status != 200:
        assert answer.code == "rate_limit_exceeded"
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert answer.left("key-concurrent") == 0
    assert ada.ask(held).status == 200


def leave_in_the_middle(installation: Installation, key: str, body: bytes) -> None:
    with socket.create_connection(("127.0.0.1", installation.port)) as connection:
        head = (
            f"POST {VIDEO_QUERY} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        time.sleep(0.1)


async def test_a_shared_fetch_counts_for_each_who_gets_its_records(installation: Installation) -> None:
    ada = await Researcher.of(installation, delivered_per_day=1_000, requests_per_minute=1)
    installation.control("POST", "faults", endpoint="video/query", delay_s=0.5, next=1)
    asked = [(VIDEO_QUERY, question())] * 5
    answers = await ask_all(installation.base_url, ada.key, asked, in_flight=5)
    assert [answer.status for answer in answers] == [200] * 5
    assert await ada.used() == {"delivered": 100}


async def test_after_a_throttle_of_the_platform_the_next_call_waits(installation: Installation) -> None:
    ada = await Researcher.of(installation)
    installation.control("POST", "faults", endpoint="video/query", status=429, next=1)
    assert ada.ask(question()).code == "rate_limit_exceeded"
    started_s = time.monotonic()
    assert ada.ask(question()).status == 200
    assert time.monotonic() - started_s > 2
    assert installation.upstream()["requests"] == 2


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("paced")
    pace = {"BURSAR_UPSTREAM_CALLS_PER_SECOND": "5", "BURSAR_UPSTREAM_LONGEST_WAIT_S": "1"}
    with Installation(home, settings={**SETTINGS, **pace}) as opened:
        opened.start()
        yield opened


async def test_calls_go_to_the_platform_in_turn_and_those_too_far_behind_are_turned_down(
    paced: Installation,
) -> None:
    ada = await Researcher.of(paced)
    asked = [(VIDEO_QUERY, question()) for _ in range(12)]
    started_s = time.monotonic()
    answers = await ask_all(paced.base_url, ada.key, asked, in_flight=12)
    took_s = time.monotonic() - started_s
    served = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status != 200]
    assert {(answer.status, answer.code) for answer in refused} == {(429, "rate_limit_exceeded")}
    # One goes at once, and one each fifth of a second after it.
    assert 5 <= len(served) <= 5 * took_s + 1
    assert paced.upstream()["requests"] == len(served)
    ledger = await read_ledger(f"sqlite+aiosqlite:///{paced.home / 'data' / 'bursar.db'}")
    assert (ledger.requests_used, ledger.requests_reserved) == (len(served), 0)
    assert ledger.unclosed() == []
