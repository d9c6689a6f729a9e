"""Many who ask the same at once share what goes to the platform, and each has an entry and a receipt."""

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.outsider import has_grown, leaf_of, opened, parsed
from tests.servers.bursar import VIDEO_QUERY, Installation, call, video_query
from tests.servers.redis import PrivateRedis

_FETCHED_AT_ONCE = 8
"""Each process keeps as many connections to PostgreSQL; who waits longer is told to come back."""


@dataclass(frozen=True)
class Size:
    """How many ask, of how many processes; several need PostgreSQL and Redis."""

    calls: int
    processes: int
    at_once: int


@pytest.fixture
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Size], Installation]]:
    running: list[Installation] = []

    def install(size: Size) -> Installation:
        database_url, redis_url = None, None
        if size.processes > 1:
            redis: PrivateRedis = request.getfixturevalue("redis_server")
            database_url, redis_url = request.getfixturevalue("postgres_url"), redis.url
        installation = Installation(
            tmp_path, workers=size.processes, database_url=database_url, redis_url=redis_url
        )
        running.append(installation.__enter__())
        return installation

    yield install
    for each in running:
        each.__exit__(None, None, None)


@pytest.mark.parametrize(
    "size",
    [
        Size(calls=40, processes=1, at_once=20),
        pytest.param(
            Size(calls=1_000, processes=4, at_once=100), marks=[pytest.mark.long, pytest.mark.serial]
        ),
    ],
    ids=["short", "full"],
)
def test_each_of_many_identical_calls_has_a_receipt_of_its_own(
    installed: Callable[[Size], Installation], size: Size
) -> None:
    installation = installed(size)
    installation.start()
    key = installation.key()["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    sent_before = int(installation.upstream()["requests"])

    def ask(_number: int) -> str:
        status, _, body = call(installation.port, "POST", VIDEO_QUERY, body=video_query(), headers=headers)
        assert status == 200, body
        return str(json.loads(body)["error"]["log_id"])

    def receipt(entry: str) -> str:
        status, _, body = call(
            installation.port, "GET", f"/api/v1/audit/receipts/{entry}.tlog-proof", headers=headers
        )
        assert status == 200, body
        return body.decode()

    with ThreadPoolExecutor(size.at_once) as pool:
        entries = list(pool.map(ask, range(size.calls)))
    with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
        proofs = list(pool.map(receipt, entries))
    # Identical calls share a fetch, and the search id that it was given, within a process.
    fetched = installation.upstream()["requests"] - sent_before
    assert 1 <= fetched <= size.processes
    key_of_log = call(installation.port, "GET", "/api/v1/audit/key", headers=headers)[2]
    vkey = json.loads(key_of_log)["vkey"]
    leaves = [json.loads(leaf_of(proof, vkey)) for proof in proofs]
    assert [leaf["id"] for leaf in leaves] == entries
    assert len(set(entries)) == size.calls
    assert len({leaf["resp_sha256"] for leaf in leaves}) <= fetched
    assert len({parsed(proof).index for proof in proofs}) == size.calls
    # One history: the tree that a receipt pins is how the newest one begins.
    notes = sorted((opened(parsed(proof).note, vkey) for proof in proofs), key=lambda note: note.size)
    old, new = notes[0], notes[-1]
    asked = f"/api/v1/audit/consistency?from={old.size}&to={new.size}"
    growth = json.loads(call(installation.port, "GET", asked, headers=headers)[2])
    path = [base64.b64decode(each) for each in growth["proof"]]
    assert has_grown(old.size, old.root, new.size, new.root, path)
