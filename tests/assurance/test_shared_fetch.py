"""Identical calls at once over several processes cost one; when the process that makes it dies, another goes on."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import VIDEO_QUERY, Installation, Process, call, video_query
from tests.servers.load import Told, ask_all
from tests.servers.postgres import PrivatePostgres
from tests.servers.programs import free_port
from tests.servers.redis import PrivateRedis

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_UNDER_WAY_WITHIN_S = 60.0
_GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "1000000")


@pytest.fixture(scope="module")
def installation(
    postgres_server: PrivatePostgres, redis_server: PrivateRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    name = postgres_server.create_database()
    opened = Installation(
        tmp_path_factory.mktemp("shared"),
        database_url=postgres_server.url(name),
        redis_url=redis_server.url,
        workers=4,
        simulator=_GENEROUS,
        limits={"requests/day": 1_000, "records/day": 100_000},
    )
    with opened:
        opened.start()
        yield opened
    postgres_server.drop_database(name)


async def at_once(installation: Installation, keys: list[str], body: bytes, *, callers: int) -> list[Told]:
    """What so many callers are told who ask the same at the same moment."""
    installation.control("POST", "faults", endpoint="video/query", delay_s=1.0, next=1)
    return await ask_all(installation.base_url, keys, [(VIDEO_QUERY, body)] * callers, in_flight=callers)


@pytest.mark.parametrize(
    "callers", [pytest.param(200, id="short"), pytest.param(1_000, id="long", marks=pytest.mark.long)]
)
async def test_identical_calls_over_four_processes_cost_one(installation: Installation, callers: int) -> None:
    keys = [installation.key(f"{name}@example.edu")["api_key"] for name in ("ada", "ben")]
    before = installation.upstream()["requests"]
    body = video_query(max_count=20, example=callers)
    answers = await at_once(installation, keys, body, callers=callers)
    assert Counter(answer.status for answer in answers) == {200: callers}
    assert installation.upstream()["requests"] == before + 1
    assert len({json.dumps(json.loads(answer.body)["data"]) for answer in answers}) == 1
    states = Counter(answer.cache.partition("; detail")[0] for answer in answers)
    assert states["bursar; fwd=miss; stored"] == 1
    assert set(states) <= {"bursar; fwd=miss; stored", "bursar; fwd=miss; collapsed", "bursar; hit"}
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    assert all(ledger.ids[answer.index] == answer.log_id for answer in answers)
    served = [ledger.entries[answer.index] for answer in answers]
    assert len({entry["id"] for entry in served}) == callers
    assert len({entry["boot"] for entry in served}) > 1
    (leader,) = (answer.index for answer in answers if answer.cache == "bursar; fwd=miss; stored")
    assert {entry["coalesced_with"] for entry in served if "coalesced_with" in entry} == {leader}
    assert ledger.unclosed() == []
    assert installation.bursar("audit", "verify")["verified"] is True


async def test_what_one_process_fetched_with_more_fields_the_others_do_not_fetch_again(
    installation: Installation,
) -> None:
    key, spent = installation.key()["api_key"], installation.upstream()["requests"]
    body = video_query(max_count=20, example=2)
    few = ("/v2/research/video/query/?fields=id", body)
    # Every process has the page at hand, without the field that is asked for next.
    await ask_all(installation.base_url, key, [few] * 32, in_flight=16)
    held = installation.upstream()["requests"] - spent
    more = ("/v2/research/video/query/?fields=id,like_count", body)
    answers = await ask_all(installation.base_url, key, [more] * 32, in_flight=16)
    assert (held, installation.upstream()["requests"] - spent) == (1, 2)
    assert {answer.status for answer in answers} == {200}


class Caller(threading.Thread):
    """A call under way."""

    def __init__(self, port: int, key: str, body: bytes) -> None:
        super().__init__()
        self.asked = (port, key, body)
        self.answer: tuple[int, dict[str, str], Any] | None = None

    def run(self) -> None:
        port, key, body = self.asked
        try:
            status, headers, content = call(
                port, "POST", VIDEO_QUERY, body=body, headers={"Authorization": f"Bearer {key}"}
            )
        except OSError:
            return
        self.answer = status, headers, json.loads(content)


async def test_when_the_process_that_fetches_dies_another_goes_on(
    installation: Installation, tmp_path: Path
) -> None:
    port = free_port()
    environ = {**installation.environ, "BURSAR_DATA_DIR": str(installation.home / "data")}
    doomed = Process(
        ["serve", "--port", str(port)],
        port=port,
        ready="/readyz",
        environ=environ,
        log=tmp_path / "doomed.log",
        is_forked=True,
    )
    try:
        key, before = installation.key()["api_key"], installation.upstream()["requests"]
        body = video_query(max_count=20, example=3)
        # Longer than a call may be under way without a word of its process.
        installation.control("POST", "faults", endpoint="video/query", delay_s=20, next=1)
        leader = Caller(port, key, body)
        leader.start()
        await _under_way(installation)
        followers = [Caller(installation.port, key, body) for _ in range(4)]
        for each in followers:
            each.start()
        # They would have been answered by now, or have gone themselves, if they did not wait.
        await asyncio.sleep(1)
        assert all(each.answer is None for each in followers)
        doomed.kill()
        for each in [leader, *followers]:
            await asyncio.to_thread(each.join, 60)
        assert leader.answer is None
        answers = [each.answer for each in followers if each.answer is not None]
        assert [status for status, _, _ in answers] == [200] * 4
        states = Counter(headers["cache-status"] for _, headers, _ in answers)
        assert states["bursar; fwd=miss; stored"] == 1
        assert installation.upstream()["requests"] - before <= 2
    finally:
        doomed.kill()


async def _under_way(installation: Installation) -> None:
    deadline = time.monotonic() + _UNDER_WAY_WITHIN_S
    while (await read_ledger(installation.environ["BURSAR_DATABASE_URL"])).open_reservations == 0:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
