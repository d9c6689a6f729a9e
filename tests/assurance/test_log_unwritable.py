"""While the log cannot be written nothing is served and nothing spent; afterwards it goes on by itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from app.storage.disk import RESERVE_NAME
from tests.assurance.ledgers import Ledger, read_ledger
from tests.servers.bursar import Installation, call
from tests.servers.load import Told, ask_all, lookups
from tests.servers.postgres import PrivatePostgres
from tests.servers.small_disk import SmallDisk

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_LIMITS = {"requests/day": 1_000_000, "records/day": 1_000_000}
_GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "1000000")
_IN_FLIGHT = 16
_WITHIN_S = 30.0


class Load:
    """Look-ups by several callers at once, half of them held, until it is told to end; every answer is kept."""

    def __init__(self, installation: Installation, key: str, *, first: int) -> None:
        self._is_over = asyncio.Event()
        self._next = first
        self._task = asyncio.ensure_future(
            ask_all(installation.base_url, key, self._questions(), in_flight=_IN_FLIGHT)
        )

    def _questions(self) -> Iterator[tuple[str, bytes]]:
        while not self._is_over.is_set():
            yield from lookups(self._next, self._next + 1)
            yield from lookups(1, 2)
            self._next += 1

    async def end(self) -> list[Told]:
        self._is_over.set()
        return await asyncio.wait_for(self._task, timeout=60)


async def until_status(installation: Installation, path: str, status: int) -> None:
    """Return once the path answers so; fails when it does not within a generous time."""
    async with asyncio.timeout(_WITHIN_S):
        while (await asyncio.to_thread(call, installation.port, "GET", path))[0] != status:
            await asyncio.sleep(0.1)


async def settled(installation: Installation) -> Ledger:
    async with asyncio.timeout(_WITHIN_S):
        while True:
            ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
            if ledger.open_reservations == 0:
                return ledger
            await asyncio.sleep(0.2)


def check(ledger: Ledger, answers: list[Told], *, upstream: int) -> None:
    """No answer without its entry, no call without an intent, no intent without its end, nothing charged for nothing."""
    for answer in answers:
        if answer.status != 503:
            assert ledger.ids[answer.index] == answer.log_id
        else:
            assert (answer.code, answer.index) == ("internal_error", -1)
            assert b"audit_unavailable: " in answer.body
            assert 5 <= (answer.retry_after_s or 0) <= 30
    assert ledger.unclosed() == []
    assert ledger.requests_used == upstream
    assert upstream <= sum(entry["type"] == "intent" for entry in ledger.entries)
    assert "crash_unknown" not in {entry.get("err") for entry in ledger.entries}


@asynccontextmanager
async def outage(
    installation: Installation, key: str, *, first: int, before: list[Told]
) -> AsyncIterator[list[Told]]:
    """Load before, while and after something happens in the body; the answers, once it is over."""
    answers = list(before)
    load = Load(installation, key, first=first)
    try:
        await asyncio.sleep(0.5)
        yield answers
        await until_status(installation, "/readyz", 200)
        await asyncio.sleep(0.5)
    finally:
        answers += await load.end()
    statuses = [each.status for each in answers]
    assert {200, 503} <= set(statuses)
    assert statuses[-1] != 503
    check(await settled(installation), answers, upstream=installation.upstream()["requests"])


async def out_of_order(installation: Installation) -> None:
    """Wait until the gateway says that it cannot serve; it is alive all the same."""
    await until_status(installation, "/readyz", 503)
    await until_status(installation, "/livez", 200)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else writes to the database all the time."""
    other = sqlite3.connect(path, isolation_level=None, timeout=_WITHIN_S)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


@pytest.mark.parametrize(
    "seconds", [pytest.param(6, id="short"), pytest.param(60, id="long", marks=pytest.mark.long)]
)
async def test_a_locked_embedded_database(tmp_path: Path, seconds: int) -> None:
    path = tmp_path / "bursar.db"
    with Installation(
        tmp_path, database_url=f"sqlite+aiosqlite:///{path}", limits=_LIMITS, simulator=_GENEROUS
    ) as installation:
        key = installation.key()["api_key"]
        gateway = installation.start()
        async with outage(installation, key, first=0, before=[]):
            with locked(path):
                await out_of_order(installation)
                await asyncio.sleep(seconds)
        assert "the log can be written again" in gateway.output
        assert "the log cannot be written" in gateway.output


@pytest.mark.parametrize(
    ("stopped_s", "locked_s"),
    [
        pytest.param(6, 3, id="short"),
        pytest.param(30, 60, id="long", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
async def test_a_database_server_that_stands_still_dies_is_read_only_or_has_the_head_locked(
    tmp_path: Path, postgres_url: str, postgres_server: PrivatePostgres, stopped_s: int, locked_s: int
) -> None:
    name = postgres_url.rpartition("/")[2]
    with Installation(
        tmp_path, database_url=postgres_url, limits=_LIMITS, simulator=_GENEROUS
    ) as installation:
        key = installation.key()["api_key"]
        installation.start()
        async with outage(installation, key, first=0, before=[]) as answers:
            postgres_server.pause()
            try:
                await out_of_order(installation)
                await asyncio.sleep(stopped_s)
            finally:
                postgres_server.resume()
        async with outage(installation, key, first=100_000, before=answers) as answers:
            postgres_server.kill()
            try:
                await out_of_order(installation)
            finally:
                postgres_server.start()
        only_read = "ALTER SYSTEM SET default_transaction_read_only = {}"
        async with outage(installation, key, first=200_000, before=answers) as answers:
            postgres_server.execute(name, only_read.format("on"), "SELECT pg_reload_conf()")
            try:
                await out_of_order(installation)
                await asyncio.sleep(1)
            finally:
                again = "BEGIN READ WRITE; SET LOCAL transaction_read_only = off; COMMIT"
                postgres_server.execute(name, again, only_read.format("off"), "SELECT pg_reload_conf()")
        async with outage(installation, key, first=300_000, before=answers):
            other = await asyncpg.connect(postgres_server.plain_url(name))
            try:
                async with other.transaction():
                    await other.execute("SELECT * FROM head FOR UPDATE")
                    await out_of_order(installation)
                    await asyncio.sleep(locked_s)
            finally:
                await other.close()


async def test_a_disk_without_room(tmp_path: Path) -> None:
    """Calls under way get their end in the reserve, and everything else waits for room."""
    if not SmallDisk.may_be_mounted(tmp_path / "tried"):
        pytest.skip("this machine lets no test mount a small disk")
    with SmallDisk(tmp_path / "disk", megabytes=64) as disk:
        url = f"sqlite+aiosqlite:///{disk.path / 'bursar.db'}"
        everything = {"BURSAR_DISK_WARN_PERCENT": "100", "BURSAR_DISK_REFUSE_PERCENT": "100"}
        with Installation(
            tmp_path, database_url=url, limits=_LIMITS, simulator=_GENEROUS, settings=everything
        ) as installation:
            key = installation.key()["api_key"]
            gateway = installation.start()
            installation.control("POST", "faults", endpoint="user/info", delay_s=0.2)
            async with outage(installation, key, first=0, before=[]):
                disk.fill()
                await out_of_order(installation)
                async with asyncio.timeout(_WITHIN_S):
                    while b"has no room" not in call(installation.port, "GET", "/readyz")[2]:
                        await asyncio.sleep(0.1)
                assert not (disk.path / RESERVE_NAME).exists()
                disk.clear()
            assert (disk.path / RESERVE_NAME).exists()
            assert "has no room left" in gateway.output
            assert gateway.popen.poll() is None
