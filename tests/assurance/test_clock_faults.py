"""Clocks that jump and processes that stall, under load: no overspend, and the log's time never goes back.

Short stalls are in `test_stopped_process`.
"""

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from app.storage.engines import open_database
from tests.assurance.ledgers import read_ledger
from tests.conftest import require
from tests.servers.bursar import Installation, call
from tests.servers.faketime import FakeTime, find_library
from tests.servers.load import ask_all, lookups
from tests.servers.postgres import PrivatePostgres

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "1000000")
_SPENT = (429, "daily_quota_limit_exceeded")
_DAY_S = 86_400
_IN_FLIGHT = 32
_EVERY_S = 0.3


@contextmanager
def shared_file() -> Iterator[Path]:
    """A file that every account may read."""
    home = Path(tempfile.mkdtemp(prefix="bclock"))
    home.chmod(0o755)
    try:
        yield home / "time"
    finally:
        shutil.rmtree(home)


@contextmanager
def at_noon(home: Path, database_url: str, *, limit: int, app: FakeTime | None) -> Iterator[Installation]:
    """A running installation at noon, so that an hour to either side is the same day; `app` is its clock."""
    with Installation(
        home,
        database_url=database_url,
        limits={"requests/day": limit, "records/day": 1_000_000},
        simulator=_GENEROUS,
    ) as installation:
        offset_s = 1.5 * _DAY_S - time.time() % _DAY_S
        installation.control("POST", "clock", shift_s=offset_s)
        installation.environ["BURSAR_CLOCK_OFFSET_S"] = str(offset_s)
        installation.environ["TEST_KEY"] = installation.key()["api_key"]
        if app is not None:
            installation.environ |= app.environ
        installation.start()
        yield installation


async def spend(installation: Installation, faults: "asyncio.Task[None]", *, calls: int, limit: int) -> None:
    """Twice as many calls as there may be, with the faults meanwhile, then as many as are left."""
    key = installation.environ["TEST_KEY"]
    answers = await ask_all(installation.base_url, key, lookups(0, calls), in_flight=_IN_FLIGHT)
    faults.cancel()
    await asyncio.gather(faults, return_exceptions=True)
    answers += await ask_all(installation.base_url, key, lookups(calls, calls + limit), in_flight=_IN_FLIGHT)
    codes = Counter((each.status, each.code) for each in answers)
    assert codes[_SPENT] > 0
    # What was charged and could not be sent within its lease is lost to everybody; it must not be much.
    assert 0.95 * limit <= installation.upstream()["requests"] <= limit
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    assert (ledger.requests_used, ledger.requests_reserved) == (limit, 0)
    times = [entry["ts_us"] for entry in ledger.entries]
    assert times == sorted(times)


async def jump(clock: FakeTime, *, seed: int) -> None:
    """An hour ahead, an hour behind, right again, in any order, again and again."""
    rng = random.Random(seed)
    while True:
        await asyncio.sleep(_EVERY_S)
        clock.set(rng.choice([-3_600, 3_600, 0]))


async def go_back(clock: FakeTime) -> None:
    """Five seconds back, and forward again."""
    while True:
        for off_s in (-5, 0):
            await asyncio.sleep(_EVERY_S)
            clock.set(off_s)


async def is_off(clock: FakeTime, installation: Installation, off_s: float) -> bool:
    """Whether the gateway's own clock follows, as its answers' `Date` shows within some seconds."""
    clock.set(off_s)
    for _ in range(50):
        date = call(installation.port, "GET", "/livez")[1]["date"]
        if abs(parsedate_to_datetime(date).timestamp() - time.time() - off_s) < 60:
            return True
        await asyncio.sleep(0.1)
    return False


async def stall(pid: int, *, running_s: float, stalled_s: float) -> None:
    """The process stands still again and again."""
    while True:
        await asyncio.sleep(running_s)
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(stalled_s)
        finally:
            os.kill(pid, signal.SIGCONT)


async def let_the_clock_jump(home: Path, database_url: str, *, limit: int) -> None:
    require(find_library() is not None, "libfaketime")
    clock = FakeTime(home / "app-time")
    with at_noon(home, database_url, limit=limit, app=clock) as installation:
        assert await is_off(clock, installation, 3_600)
        assert await is_off(clock, installation, -3_600)
        faults = asyncio.create_task(jump(clock, seed=limit))
        await spend(installation, faults, calls=2 * limit, limit=limit)


async def test_a_clock_of_the_gateway_that_jumps_by_an_hour_spends_nothing_twice(
    tmp_path: Path, database_url: str
) -> None:
    await let_the_clock_jump(tmp_path, database_url, limit=300)


async def let_the_process_stall(
    home: Path, database_url: str, *, limit: int, running_s: float, stalled_s: float
) -> None:
    with at_noon(home, database_url, limit=limit, app=None) as installation:
        assert installation.gateway is not None
        pid = installation.gateway.popen.pid
        faults = asyncio.create_task(stall(pid, running_s=running_s, stalled_s=stalled_s))
        await spend(installation, faults, calls=2 * limit, limit=limit)


async def is_behind(url: str, clock: FakeTime, *, off_s: float) -> bool:
    """Whether the database's own clock follows."""
    clock.set(off_s)
    database = open_database(url)
    try:
        now_us = await database.read(database.now_us)
        return abs(now_us / 1_000_000 - time.time() - off_s) < 1
    finally:
        await database.close()


async def let_the_databases_clock_go_back(home: Path, *, limit: int) -> None:
    require(find_library() is not None, "libfaketime")
    require(PrivatePostgres.is_installed(), "PostgreSQL")
    # Not below the test's own directory, which the server's account may not look into.
    with shared_file() as file:
        clock = FakeTime(file)
        with PrivatePostgres(environ=clock.environ) as server:
            url = server.url(server.create_database())
            with at_noon(home, url, limit=limit, app=None) as installation:
                assert await is_behind(url, clock, off_s=-5)
                faults = asyncio.create_task(go_back(clock))
                await spend(installation, faults, calls=2 * limit, limit=limit)


async def test_a_clock_of_the_database_that_goes_back_by_five_seconds_spends_nothing_twice(
    tmp_path: Path,
) -> None:
    await let_the_databases_clock_go_back(tmp_path, limit=300)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_ten_thousand_calls_while_the_clock_jumps(tmp_path: Path, database_url: str) -> None:
    await let_the_clock_jump(tmp_path, database_url, limit=5_000)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_ten_thousand_calls_while_the_process_stalls_for_ten_seconds(
    tmp_path: Path, database_url: str
) -> None:
    await let_the_process_stall(tmp_path, database_url, limit=5_000, running_s=2, stalled_s=10)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_ten_thousand_calls_while_the_databases_clock_goes_back(tmp_path: Path) -> None:
    await let_the_databases_clock_go_back(tmp_path, limit=5_000)
