"""Every request has its entry, or is counted in one: the log's own sum is the number of requests sent."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import Installation, call
from tests.servers.load import Told, ask_all, lookups

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_LIMITS = {"requests/day": 1_000_000, "records/day": 1_000_000}
_GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "1000000")
_AS_SHIPPED = {"BURSAR_REJECTS_PER_SECOND": "10", "BURSAR_FAILED_SIGN_INS_PER_MINUTE": "10"}
_PLACE = re.compile(rb"audit-entry: [^\r]*index=(\d+)")
_LENGTH = re.compile(rb"content-length: (\d+)")
_OF_REQUESTS = {"decision", "outcome", "auth", "audit_read"}


async def get_all(port: int, paths: list[str], *, in_flight: int) -> list[tuple[str, int]]:
    """The entry's id and place that each answer of Bursar's own paths names, in its body and its header.

    The place is -1 where the log did not take the entry in time, so that the request was refused.
    """
    waiting, found = iter(paths), []

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in waiting:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            place, length = _PLACE.search(head), _LENGTH.search(head)
            assert length is not None
            answer = json.loads(await reader.readexactly(int(length[1])))
            if place is None:
                assert (head[9:12], answer["code"]) == (b"503", "audit_unavailable")
                found.append(("", -1))
            else:
                found.append((str(answer["entry"]), int(place[1])))
        writer.close()

    await asyncio.gather(*(work() for _ in range(in_flight)))
    return found


def accounted(entries: list[dict[str, Any]]) -> tuple[int, int]:
    """How many requests the log tells of, and how many of them are only counted."""
    alone = sum(entry["type"] in _OF_REQUESTS for entry in entries)
    together = [entry for entry in entries if entry["type"] == "reject_batch"]
    assert all(entry["total"] == sum(row["n"] for row in entry["counts"]) for entry in together)
    counted = sum(entry["total"] for entry in together)
    return alone + counted, counted


async def ask_everything(installation: Installation, key: str, *, requests: int) -> None:
    """70 % of somebody who is known, 20 % with a key that is none, 10 % for Bursar's own paths without any.

    A machine with much else to do may let the log miss its deadline. What is refused for that has no entry, or one
    that came too late to be told: no other request may lack its own.
    """
    port, url = installation.port, installation.base_url
    questions = lookups(1, 1 + requests // 100) * 100
    known, strange, own = requests * 7 // 10, requests * 2 // 10, requests // 10
    paths = [("/api/v1/me", "/nowhere")[number % 2] for number in range(own)]
    answers: tuple[list[Told], list[Told], list[tuple[str, int]]] = await asyncio.gather(
        ask_all(url, key, questions[:known], in_flight=32),
        # Each of these waits half a second for its batch, so it takes many to be a flood.
        ask_all(url, "wrong", questions[:strange], in_flight=24 + requests // 400),
        get_all(port, paths, in_flight=8 + requests // 1_000),
    )
    of_known, of_strange, of_own = answers
    assert (len(of_known), len(of_strange), len(of_own)) == (known, strange, own)
    unlogged = [each for each in (*of_known, *of_strange) if each.index < 0]
    assert all(each.status == 503 and b"audit_unavailable: " in each.body for each in unlogged)
    assert {each.status for each in of_strange if each.index >= 0} == {401, 429}
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    places = [(each.log_id, each.index) for each in (*of_known, *of_strange)] + of_own
    assert [place for place in places if place[1] >= 0 and ledger.ids.get(place[1]) != place[0]] == []
    refused = sum(index < 0 for _, index in places)
    total, counted = accounted(ledger.entries)
    print(
        f"{requests} requests, {refused} of them refused unlogged; the log tells of {total}, {counted} in counts"
    )
    assert requests - refused <= total <= requests
    assert counted > requests * 2 // 10
    # Nobody who is known is counted with a flood.
    kinds = Counter(ledger.entries[each.index]["type"] for each in of_known if each.index >= 0)
    assert set(kinds) <= {"decision", "outcome"}


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param(2_000, id="short"),
        pytest.param(100_000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(1_800)]),
    ],
)
async def test_what_the_log_tells_of_is_what_was_sent(tmp_path: Path, requests: int) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    with Installation(
        tmp_path, database_url=url, limits=_LIMITS, simulator=_GENEROUS, settings=_AS_SHIPPED
    ) as installation:
        key = installation.key()["api_key"]
        installation.start()
        await ask_everything(installation, key, requests=requests)
        check_token_requests(installation)


def check_token_requests(installation: Installation) -> None:
    """A wrong secret, again and again: in the end nobody looks at it, nor at the right one."""
    issued = installation.key("ben@example.edu")
    right = {"client_key": issued["client_key"], "client_secret": issued["client_secret"]}
    answers = [token_request(installation, {**right, "client_secret": "wrong"}) for _ in range(12)]
    assert [status for status, *_ in answers] == [401] * 10 + [429] * 2
    assert {answer["error"] for *_, answer in answers} == {"invalid_client", "rate_limit_exceeded"}
    status, wait_s, _ = token_request(installation, right)
    assert status == 429
    assert 1 <= wait_s <= 6


def token_request(installation: Installation, form: dict[str, str]) -> tuple[int, int, dict[str, str]]:
    """Status, Retry-After in seconds, and what the answer says."""
    body = urlencode({**form, "grant_type": "client_credentials"}).encode()
    status, headers, answer = call(installation.port, "POST", "/v2/oauth/token/", body=body)
    return status, int(headers.get("retry-after", "0")), json.loads(answer)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_what_the_log_of_four_processes_tells_of_is_what_was_sent(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    with Installation(
        tmp_path,
        database_url=postgres_url,
        redis_url=redis_url,
        workers=4,
        limits=_LIMITS,
        simulator=_GENEROUS,
        settings=_AS_SHIPPED,
    ) as installation:
        key = installation.key()["api_key"]
        installation.start()
        await ask_everything(installation, key, requests=100_000)
