"""Identical calls at once over several processes cost one; when the process that makes it dies, another goes on."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import app.audit.offline
from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import VIDEO_QUERY, Installation, Process, call, video_query
from tests.servers.load import Told, ask_all
from tests.servers.postgres import PrivatePostgres
from tests.servers.programs import free_port
from tests.servers.redis import PrivateRedis

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_UNDER_WAY_WITHIN_S = 60.0
_VERIFIER = Path(app.audit.offline.__file__)
_FETCHED_AT_ONCE = 8
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


def keep_receipts(
    installation: Installation, entries: Sequence[Mapping[str, Any]], keys: Mapping[str, str], into: Path
) -> None:
    """The receipt of each entry, fetched with the key of whose call it was and kept as a file."""
    into.mkdir()

    def fetch(entry: Mapping[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {keys[entry['actor']['key_id']]}"}
        path = f"/api/v1/audit/receipts/{entry['id']}.tlog-proof"
        status, _, proof = call(installation.port, "GET", path, headers=headers)
        assert status == 200, proof
        (into / f"{entry['id']}.tlog-proof").write_bytes(proof)

    with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
        list(pool.map(fetch, entries))


def verified(export: Path, vkey: str, receipts: Path) -> dict[str, Any]:
    """What the verifier says, as a file of its own run by somebody who has nothing else of Bursar."""
    alone = export.parent / "offline.py"
    shutil.copyfile(_VERIFIER, alone)
    command = [sys.executable, "-I", "-S", str(alone), str(export), "--key", vkey]
    done = subprocess.run(
        [*command, "--receipts", str(receipts), "--json"],
        cwd=export.parent,
        env={},
        capture_output=True,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if report["verified"] else 1), done.stderr
    return report


@pytest.mark.parametrize(
    "callers", [pytest.param(200, id="short"), pytest.param(1_000, id="long", marks=pytest.mark.long)]
)
async def test_identical_calls_over_four_processes_cost_one_and_each_has_a_receipt_that_verifies(
    installation: Installation, tmp_path: Path, callers: int
) -> None:
    issued = [installation.key(f"{name}@example.edu") for name in ("ada", "ben")]
    keys = [each["api_key"] for each in issued]
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
    key_of = {each["client_key"].removeprefix("bsr_live_"): each["api_key"] for each in issued}
    receipts, export = tmp_path / "receipts", tmp_path / "export"
    await asyncio.to_thread(keep_receipts, installation, served, key_of, receipts)
    installation.bursar("audit", "export", "--format", "tiles", "--to", str(export))
    headers = {"Authorization": f"Bearer {keys[0]}"}
    vkey = json.loads(call(installation.port, "GET", "/api/v1/audit/key", headers=headers)[2])["vkey"]
    report = verified(export, vkey, receipts)
    assert report["problems"] == []
    assert (report["verified"], report["checked"]["receipts"]) == (True, callers)
    # A receipt of what the log does not say is found out.
    one, other = sorted(receipts.iterdir())[:2]
    assert one.read_bytes().count(b"\nindex ") == 1
    index = other.read_bytes().partition(b"\nindex ")[2].partition(b"\n")[0]
    before_it, _, behind = one.read_bytes().partition(b"\nindex ")
    one.write_bytes(before_it + b"\nindex " + index + b"\n" + behind.partition(b"\n")[2])
    report = verified(export, vkey, receipts)
    assert (report["verified"], len(report["problems"])) == (False, 1)


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
