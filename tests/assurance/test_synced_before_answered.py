"""The order of system calls: the log is on the disk before the first byte of the answer goes out."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import require
from tests.servers.bursar import Installation
from tests.servers.load import ask_all, lookups
from tests.servers.traced import Traced, answers_after_sync

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_ANSWER = '7 writev(14<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base="HTTP/1.1 200"...}], 1) = 90'


def test_an_answer_without_a_sync_before_it_is_found() -> None:
    synced = "8 fdatasync(5</x/bursar.db-wal>) = 0"
    elsewhere = "8 fdatasync(6</x/other>) = 0"
    halves = ["8 fdatasync(5</x/bursar.db-wal> <unfinished ...>", "8 <... fdatasync resumed>) = 0"]
    assert answers_after_sync([synced, _ANSWER, _ANSWER], of="-wal") == [True, False]
    assert answers_after_sync([elsewhere, _ANSWER], of="-wal") == [False]
    assert answers_after_sync([halves[0], _ANSWER, halves[1]], of="-wal") == [False]
    assert answers_after_sync([*halves, _ANSWER], of="-wal") == [True]
    assert answers_after_sync(["8 fdatasync(5</x-wal>) = -1 EIO", _ANSWER], of="-wal") == [False]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(20, id="short"),
        pytest.param(1_000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
async def test_every_answer_leaves_after_the_sync_of_its_entry(tmp_path: Path, answers: int) -> None:
    require(shutil.which("strace") is not None, "strace")
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    with Installation(tmp_path, database_url=url, limits={"requests/day": 10_000}) as installation:
        key = installation.key()["api_key"]
        gateway = installation.start()
        # One at a time, since several share a sync: fetched, held, and refused.
        questions = [*lookups(1, 4), *lookups(1, 4) * answers][: answers - 2]
        try:
            with Traced(gateway.popen.pid, tmp_path / "calls") as traced:
                told = await ask_all(installation.base_url, key, questions, in_flight=1)
                told += await ask_all(installation.base_url, "wrong", questions[:2], in_flight=1)
        except PermissionError as error:
            pytest.skip(f"this machine lets no test trace a process: {error}")
    assert {each.status for each in told} >= {200, 401}
    assert len(told) == answers
    # The simulator is asked over a socket too, with a request, not an answer.
    assert answers_after_sync(traced.lines, of="-wal") == [True] * answers
