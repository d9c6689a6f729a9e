"""Short limits in Redis: shared by processes, and what happens while Redis is away, slow or emptied."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from app.clock import SystemClock
from app.errors import BadSetting
from app.quota.arithmetic import Dimension, Limit, Scope, ScopeKind, Window
from app.quota.windows import Busy, Hold
from app.storage.redis_link import RedisAway, RedisLink, Script
from app.storage.redis_windows import RedisWindows
from app.storage.sharing import is_there
from tests.servers.programs import free_port
from tests.servers.redis import PrivateRedis

pytestmark = pytest.mark.anyio

PROJECT = Scope(ScopeKind.PROJECT, "p")
CALLS = Limit(PROJECT, Dimension.CALLS, Window.MINUTE, 10)
AT_ONCE = Limit(PROJECT, Dimension.CONCURRENT, None, 4)
ECHO = Script("return ARGV[1]")
_names = itertools.count(1)


@pytest.fixture
def server(redis_server: PrivateRedis) -> PrivateRedis:
    redis_server.flush()
    return redis_server


@asynccontextmanager
async def process(url: str, *, processes: int = 1, lease_s: float = 30.0) -> AsyncIterator[RedisWindows]:
    """What one process of an installation has; stopped in the end whatever Redis does."""
    link = RedisLink(url)
    windows = RedisWindows(
        link=link,
        clock=SystemClock(),
        me=f"{next(_names):04x}",
        processes=processes,
        lease_s=lease_s,
    )
    await link.start()
    await windows.start()
    try:
        yield windows
    finally:
        await windows.stop()
        await link.stop()


async def spend(windows: RedisWindows, limit: Limit = CALLS, *, times: int = 1) -> int:
    """How many of so many calls got through."""
    through = 0
    for _ in range(times):
        taken = await windows.take({limit: 1})
        if isinstance(taken, Hold):
            through += 1
            with taken as hold:
                hold.keep({limit.dimension: 1})
    return through


async def eventually(is_so: Callable[[], Awaitable[bool]], *, within_s: float = 30.0) -> float:
    """Seconds until it is so."""
    started_s = time.monotonic()
    while not await is_so():
        assert time.monotonic() - started_s < within_s
        await asyncio.sleep(0.05)
    return time.monotonic() - started_s


async def test_processes_share_every_limit(server: PrivateRedis) -> None:
    async with process(server.url) as one, process(server.url) as other:
        assert sum([await spend(one, times=7), await spend(other, times=7)]) == 10
        held = [await windows.take({AT_ONCE: 1}) for windows in (one, other, one, other)]
        assert isinstance(await one.take({AT_ONCE: 1}), Busy)
        for each in held:
            assert isinstance(each, Hold)
            with each:
                pass
        await asyncio.sleep(0.05)
        assert isinstance(await other.take({AT_ONCE: 1}), Hold)


async def test_each_key_expires_by_itself(server: PrivateRedis) -> None:
    async with process(server.url) as windows:
        with await held(windows, AT_ONCE):
            await spend(windows)
            async with Redis.from_url(server.url) as client:
                keys = [key async for key in client.scan_iter()]
                lives = {key: await client.pttl(key) for key in keys}
    assert len(keys) == 3
    assert all(0 < life <= 62_000 for life in lives.values()), lives


async def held(windows: RedisWindows, limit: Limit) -> Hold:
    taken = await windows.take({limit: 1})
    assert isinstance(taken, Hold)
    return taken


async def test_a_process_that_dies_holds_its_places_for_one_lease(server: PrivateRedis) -> None:
    async with process(server.url) as survivor:
        async with process(server.url, lease_s=1.5) as dying:
            holds = [await held(dying, AT_ONCE) for _ in range(4)]
            # Longer than the lease, which the beat renews meanwhile.
            await asyncio.sleep(2.5)
            assert isinstance(await survivor.take({AT_ONCE: 1}), Busy)
        # It ended without giving anything back, as a killed one does.
        del holds

        async def is_free() -> bool:
            return isinstance(await survivor.take({AT_ONCE: 1}), Hold)

        await eventually(is_free, within_s=10)


async def test_a_stalled_server_costs_a_quarter_of_a_second_once_and_is_found_again(
    server: PrivateRedis,
) -> None:
    async with process(server.url) as one, process(server.url) as other:
        await spend(one)

        async def knows_of_two() -> bool:
            return one.processes == other.processes == 2

        await eventually(knows_of_two)
        server.pause()
        try:
            started_s = time.monotonic()
            assert await spend(one, times=20) == 5
            took_s = time.monotonic() - started_s
            assert await spend(other, times=20) == 5
        finally:
            server.resume()
        assert one.is_alone
        assert one.counted_alone == 20
        assert took_s < 3  # 0.25 s, and what a busy machine adds

        async def is_back() -> bool:
            return not one.is_alone and not other.is_alone

        await eventually(is_back)
        assert await spend(one, times=20) + await spend(other, times=20) == 9


async def test_a_server_that_is_not_there_at_the_start_is_found_later(tmp_path: object) -> None:
    with PrivateRedis() as late:
        late.kill()
        async with process(late.url, processes=5) as windows:
            assert windows.is_alone
            assert await spend(windows, times=20) == 2
            late.start()

            async def is_back() -> bool:
                return not windows.is_alone

            await eventually(is_back)
            assert await spend(windows, times=20) == 10


async def test_a_restarted_server_learns_scripts_and_calls_under_way_again(server: PrivateRedis) -> None:
    async with process(server.url) as windows:
        holds = [await held(windows, AT_ONCE) for _ in range(4)]
        server.kill()
        server.start()

        async def knows() -> bool:
            return not windows.is_alone and isinstance(await windows.take({AT_ONCE: 1}), Busy)

        await eventually(knows)
        for each in holds:
            with each:
                pass
        await asyncio.sleep(0.05)
        assert isinstance(await windows.take({AT_ONCE: 1}), Hold)


async def test_a_flushed_server_goes_on_from_nothing(server: PrivateRedis) -> None:
    async with process(server.url) as windows:
        assert await spend(windows, times=20) == 10
        server.flush()
        assert await spend(windows, times=20) == 10
        assert windows.counted_alone == 0


async def test_what_could_not_be_given_back_is_given_back_later(server: PrivateRedis) -> None:
    async with process(server.url) as windows:
        hold = await held(windows, AT_ONCE)
        taken = await windows.take({CALLS: 7})
        assert isinstance(taken, Hold)
        server.pause()
        await spend(windows)  # finds out that nobody is there
        assert windows.is_alone
        with hold, taken:
            pass
        server.resume()

        async def is_settled() -> bool:
            if windows.is_alone:
                return False
            async with Redis.from_url(server.url) as client:
                under_way = await client.zcard("bursar:{short}:slot:project:p:concurrent")
                total = await client.zrange("bursar:{short}:minute:project:p:calls", -1, -1)
            return under_way == 0 and total == [b"sum:0"]

        await eventually(is_settled)


async def test_a_server_that_may_not_write_counts_as_away(server: PrivateRedis) -> None:
    async with process(server.url) as windows, Redis.from_url(server.url) as client:
        await client.config_set("maxmemory", "1")
        try:
            assert await spend(windows, times=20) == 10
            assert windows.counted_alone == 20
        finally:
            await client.config_set("maxmemory", "0")

        async def is_back() -> bool:
            return not windows.is_alone

        await eventually(is_back)


async def test_cancelled_callers_never_leave_their_answer_to_the_next(server: PrivateRedis) -> None:
    link = RedisLink(server.url)
    await link.start()
    abandoned: list[bytes] = []

    async def ask(number: int) -> bytes:
        answer: bytes = await link.run(ECHO, (), (number,), abandoned=abandoned.append)
        assert answer == b"%d" % number
        return answer

    answered = 0
    for round_ in range(200):
        tasks = [asyncio.create_task(ask(round_ * 10 + number)) for number in range(10)]
        await asyncio.sleep(0.0001 * (round_ % 5))
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [each for each in results if isinstance(each, AssertionError)]
        answered += sum(isinstance(each, bytes) for each in results)
    assert answered >= 1_000
    await link.stop()
    assert abandoned  # some were told to go while their question was on its way
    assert all(int(each) % 2 == 0 for each in abandoned)


async def test_a_late_answer_is_never_read_as_anothers(server: PrivateRedis) -> None:
    link = RedisLink(server.url)
    await link.start()
    assert await link.run(ECHO, (), ("first",)) == b"first"
    server.pause()
    try:
        with pytest.raises(RedisAway):
            await link.run(ECHO, (), ("late",))
    finally:
        server.resume()
    for number in range(50):
        try:
            assert await link.run(ECHO, (), (number,)) == b"%d" % number
        except RedisAway:
            continue
    await link.stop()


async def test_the_doctor_sees_whether_it_answers(server: PrivateRedis) -> None:
    assert await is_there(server.url)
    assert not await is_there(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(BadSetting):
        await is_there("postgresql://127.0.0.1/x")
