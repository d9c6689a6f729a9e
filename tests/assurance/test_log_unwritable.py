"""While the log cannot be written nothing is served and nothing spent; afterwards it goes on by itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from app.storage.disk import RESERVE_NAME
from tests.assurance.outages import GENEROUS, LIMITS, WITHIN_S, Load, check, settled, until_status
from tests.servers.bursar import Installation, call
from tests.servers.load import Told, ask_all, lookups
from tests.servers.postgres import PrivatePostgres
from tests.servers.small_disk import SmallDisk

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_CALLERS, _FLOOD = 4_600, 40_960


@asynccontextmanager
async def outage(
    installation: Installation, key: str, *, first: int, before: list[Told]
) -> AsyncIterator[list[Told]]:
    """Load before, while and after something happens in the body; the answers, once it is over."""
    answers = list(before)
    load = Load(installation, key, first=first)
    try:
        await load.answered(20)
        yield answers
        await until_status(installation, "/readyz", 200)
        await load.answered(20)
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
    other = sqlite3.connect(path, isolation_level=None, timeout=WITHIN_S)
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
        tmp_path, database_url=f"sqlite+aiosqlite:///{path}", limits=LIMITS, simulator=GENEROUS
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
    with Installation(tmp_path, database_url=postgres_url, limits=LIMITS, simulator=GENEROUS) as installation:
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


async def until_told(installation: Installation, *, unwritable: int) -> None:
    """Wait until the metrics say so; scraping them is all that anybody asks."""
    wanted = f"\nbursar_log_unwritable {float(unwritable)}\n".encode()
    async with asyncio.timeout(WITHIN_S):
        while wanted not in (await asyncio.to_thread(call, installation.port, "GET", "/metrics"))[2]:
            await asyncio.sleep(0.1)


async def test_a_database_server_that_goes_while_nobody_asks_anything(
    tmp_path: Path, postgres_url: str, postgres_server: PrivatePostgres
) -> None:
    name = postgres_url.rpartition("/")[2]
    with Installation(
        tmp_path, database_url=postgres_url, settings={"BURSAR_HEARTBEAT_S": "1"}
    ) as installation:
        gateway = installation.start()
        await until_told(installation, unwritable=0)
        only_read = "ALTER SYSTEM SET default_transaction_read_only = {}"
        postgres_server.execute(name, only_read.format("on"), "SELECT pg_reload_conf()")
        try:
            await until_told(installation, unwritable=1)
        finally:
            again = "BEGIN READ WRITE; SET LOCAL transaction_read_only = off; COMMIT"
            postgres_server.execute(name, again, only_read.format("off"), "SELECT pg_reload_conf()")
        await until_told(installation, unwritable=0)
        postgres_server.kill()
        try:
            await until_told(installation, unwritable=1)
        finally:
            postgres_server.start()
        await until_told(installation, unwritable=0)
        assert gateway.output.count("the log cannot be written") == 2
        assert gateway.output.count("the log can be written again") == 2


async def test_a_disk_without_room(tmp_path: Path) -> None:
    """Calls under way get their end in the reserve, and everything else waits for room."""
    if not SmallDisk.may_be_mounted(tmp_path / "tried"):
        pytest.skip("this machine lets no test mount a small disk")
    with SmallDisk(tmp_path / "disk", megabytes=64) as disk:
        url = f"sqlite+aiosqlite:///{disk.path / 'bursar.db'}"
        everything = {"BURSAR_DISK_WARN_PERCENT": "100", "BURSAR_DISK_REFUSE_PERCENT": "100"}
        with Installation(
            tmp_path, database_url=url, limits=LIMITS, simulator=GENEROUS, settings=everything
        ) as installation:
            key = installation.key()["api_key"]
            gateway = installation.start()
            installation.control("POST", "faults", endpoint="user/info", delay_s=0.2)
            async with outage(installation, key, first=0, before=[]):
                disk.fill()
                await out_of_order(installation)
                async with asyncio.timeout(WITHIN_S):
                    while b"has no room" not in call(installation.port, "GET", "/readyz")[2]:
                        await asyncio.sleep(0.1)
                assert not (disk.path / RESERVE_NAME).exists()
                disk.clear()
            assert (disk.path / RESERVE_NAME).exists()
            assert "has no room left" in gateway.output
            assert gateway.popen.poll() is None


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_ten_times_what_may_wait_over_http(tmp_path: Path) -> None:
    """The excess is refused, what waits takes a bounded room, and every answer that is given has its entry."""
    path = tmp_path / "bursar.db"
    url = f"sqlite+aiosqlite:///{path}"
    with Installation(tmp_path, database_url=url, limits=LIMITS, simulator=GENEROUS) as installation:
        key = installation.key()["api_key"]
        gateway = installation.start()

        async def ask(count: int) -> list[Told]:
            held = lookups(1, 2) * count
            return await ask_all(installation.base_url, key, held, in_flight=_CALLERS)

        answers = await ask(2 * _CALLERS)
        before = resident_bytes(gateway.popen.pid)
        with locked(path):
            flood = asyncio.ensure_future(ask(_FLOOD))
            most = before
            for _ in range(60):
                await asyncio.sleep(0.1)
                most = max(most, resident_bytes(gateway.popen.pid))
        answers += await asyncio.wait_for(flood, timeout=300)
        assert most - before <= 64 * 1024 * 1024
        assert {each.status for each in answers} == {200, 503}
        await until_status(installation, "/readyz", 200)
        check(await settled(installation), answers, upstream=installation.upstream()["requests"])


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4_096
