"""The contract of the short limits' port, on every adapter's real engine, with minutes of less than a second."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.clock import SystemClock
from app.quota.arithmetic import Dimension, Limit, Scope, ScopeKind, Window
from app.quota.windows import Busy, Hold, ShortWindows
from app.storage.redis_link import RedisLink
from app.storage.redis_windows import RedisWindows
from app.storage.short_windows import ProcessWindows

pytestmark = pytest.mark.anyio

MINUTE_S = 0.8
PROJECT, MEMBER = Scope(ScopeKind.PROJECT, "p"), Scope(ScopeKind.MEMBER, "m")


def calls(amount: int, scope: Scope = PROJECT) -> Limit:
    return Limit(scope, Dimension.CALLS, Window.MINUTE, amount)


def records(amount: int, scope: Scope = PROJECT) -> Limit:
    return Limit(scope, Dimension.RECORDS, Window.MINUTE, amount)


def at_once(amount: int, scope: Scope = PROJECT) -> Limit:
    return Limit(scope, Dimension.CONCURRENT, None, amount)


@pytest.fixture(params=["process", "redis"])
async def windows(request: pytest.FixtureRequest) -> AsyncIterator[ShortWindows]:
    if request.param == "process":
        yield ProcessWindows(clock=SystemClock(), minute_s=MINUTE_S)
        return
    link = RedisLink(request.getfixturevalue("redis_url"))
    shared = RedisWindows(link=link, clock=SystemClock(), me="0a1b", minute_s=MINUTE_S)
    await link.start()
    await shared.start()
    yield shared
    # Whatever the test found, it found it in Redis.
    assert shared.counted_alone == 0
    await shared.stop()
    await link.stop()


async def held(windows: ShortWindows, **wanted: tuple[Limit, int]) -> Hold:
    taken = await windows.take(dict(wanted.values()))
    assert isinstance(taken, Hold)
    return taken


async def spend(windows: ShortWindows, limit: Limit, amount: int = 1) -> None:
    with await held(windows, a=(limit, amount)) as hold:
        hold.keep({limit.dimension: amount})


async def left(windows: ShortWindows, limit: Limit) -> int:
    """What one could take now; takes it and gives it back."""
    await asyncio.sleep(0.02)  # what was given back a moment ago may still be on its way
    taken = await windows.take({limit: 1})
    if isinstance(taken, Busy):
        return taken.exhausted.left
    with taken:
        return taken.standings[0].left + 1


async def eventually(is_so: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(200):
        if await is_so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came to be so")


async def test_of_many_at_once_no_more_than_the_limit_get_through(windows: ShortWindows) -> None:
    async def one() -> bool:
        taken = await windows.take({calls(10): 1, at_once(1_000): 1})
        if isinstance(taken, Busy):
            return False
        with taken as hold:
            hold.keep({Dimension.CALLS: 1})
        return True

    assert sum(await asyncio.gather(*(one() for _ in range(100)))) == 10


async def test_what_one_limit_refuses_is_taken_from_none(windows: ShortWindows) -> None:
    await spend(windows, calls(1, MEMBER))
    for _ in range(20):
        refused = await windows.take({calls(10): 1, records(100): 40, calls(1, MEMBER): 1})
        assert isinstance(refused, Busy)
        assert refused.exhausted.limit == calls(1, MEMBER)
        assert {room.limit: room.left for room in refused.exhausted.others} == {
            calls(10): 10,
            records(100): 100,
        }
    assert await left(windows, calls(10)) == 10
    assert await left(windows, records(100)) == 100


async def test_a_minute_is_rolling_and_a_refusal_says_when_it_frees(windows: ShortWindows) -> None:
    await spend(windows, records(100), 70)
    await asyncio.sleep(MINUTE_S / 2)
    await spend(windows, records(100), 30)
    refused = await windows.take({records(100): 50})
    assert isinstance(refused, Busy)
    assert refused.frees_in_s is not None
    assert 0 < refused.frees_in_s <= MINUTE_S / 2
    await asyncio.sleep(refused.frees_in_s + 0.02)
    # The first seventy have left, the later thirty have not.
    assert await left(windows, records(100)) == 70
    await spend(windows, records(100), 50)


async def test_what_could_never_fit_is_refused_for_a_whole_minute(windows: ShortWindows) -> None:
    refused = await windows.take({records(50): 100})
    assert isinstance(refused, Busy)
    assert refused.frees_in_s == pytest.approx(MINUTE_S)
    assert refused.exhausted.wanted == 100


async def test_the_limit_that_frees_last_is_named(windows: ShortWindows) -> None:
    await spend(windows, calls(1, MEMBER))
    await asyncio.sleep(MINUTE_S / 4)
    await spend(windows, calls(1))
    refused = await windows.take({calls(1, MEMBER): 1, calls(1): 1})
    assert isinstance(refused, Busy)
    assert refused.exhausted.limit == calls(1)


async def test_calls_under_way_are_counted_until_they_are_left(windows: ShortWindows) -> None:
    first, second = await held(windows, a=(at_once(2), 1)), await held(windows, a=(at_once(2), 1))
    refused = await windows.take({at_once(2): 1})
    assert isinstance(refused, Busy)
    assert (refused.frees_in_s, refused.exhausted.left) == (None, 0)
    with first:
        assert isinstance(await windows.take({at_once(2): 1}), Busy)
    assert await left(windows, at_once(2)) == 1
    with second:
        pass
    assert await left(windows, at_once(2)) == 2


async def test_a_call_that_is_not_kept_leaves_nothing_behind(windows: ShortWindows) -> None:
    hold = await held(windows, a=(calls(5), 1), b=(records(100), 60), c=(at_once(3), 1))
    with pytest.raises(RuntimeError, match="halfway"), hold:
        raise RuntimeError("halfway")
    assert await left(windows, calls(5)) == 5
    assert await left(windows, records(100)) == 100
    assert await left(windows, at_once(3)) == 3


async def test_a_call_keeps_what_it_came_to(windows: ShortWindows) -> None:
    with await held(windows, a=(calls(5), 1), b=(records(100), 60), c=(at_once(3), 1)) as hold:
        hold.keep({Dimension.CALLS: 1, Dimension.RECORDS: 7, Dimension.CONCURRENT: 1})
    assert await left(windows, calls(5)) == 4
    assert await left(windows, records(100)) == 93
    assert await left(windows, at_once(3)) == 3


async def test_a_cancelled_call_gives_its_place_back(windows: ShortWindows) -> None:
    async def call() -> None:
        with await held(windows, a=(at_once(1), 1), b=(calls(5), 1)):
            await asyncio.sleep(60)

    for pause_s in (0, 0.0005, 0.001, 0.05):
        task = asyncio.create_task(call())
        await asyncio.sleep(pause_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def is_back() -> bool:
            return await left(windows, at_once(1)) == 1 and await left(windows, calls(5)) == 5

        await eventually(is_back)


async def test_editing_a_limit_resets_nothing(windows: ShortWindows) -> None:
    await spend(windows, calls(3), 3)
    assert await left(windows, calls(10)) == 7
    assert isinstance(await windows.take({calls(2): 1}), Busy)


async def test_what_is_held_shows_in_the_standings(windows: ShortWindows) -> None:
    with await held(windows, a=(calls(5), 1), c=(at_once(3), 1)) as hold:
        minute, under_way = hold.standings
        assert (minute.limit, minute.used, minute.left) == (calls(5), 1, 4)
        assert (under_way.limit, under_way.used, under_way.left) == (at_once(3), 1, 2)
        assert under_way.resets_at is None
        assert minute.resets_at is not None
        seconds = (minute.resets_at - SystemClock().now()).total_seconds()
        assert 0 < seconds <= MINUTE_S


async def test_a_limit_of_zero_lets_nothing_through(windows: ShortWindows) -> None:
    assert isinstance(await windows.take({calls(0): 1}), Busy)
    assert isinstance(await windows.take({at_once(0): 1}), Busy)
