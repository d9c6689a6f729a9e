import asyncio
from functools import partial

import pytest

from app.cache.flights import Flights

pytestmark = pytest.mark.anyio


async def test_a_thousand_identical_callers_share_one_flight() -> None:
    flights: Flights[int] = Flights()
    started = 0

    async def fetch() -> int:
        nonlocal started
        started += 1
        await asyncio.sleep(0.01)
        return 42

    landed = await asyncio.gather(*(flights.join(b"key", fetch) for _ in range(1000)))
    assert started == 1
    assert {each.result for each in landed} == {42}
    assert sum(each.is_leader for each in landed) == 1


async def test_different_questions_do_not_wait_for_each_other() -> None:
    flights: Flights[bytes] = Flights()

    async def fetch(key: bytes) -> bytes:
        await asyncio.sleep(0)
        return key

    landed = await asyncio.gather(*(flights.join(key, partial(fetch, key)) for key in (b"a", b"b")))
    assert [(each.result, each.is_leader) for each in landed] == [(b"a", True), (b"b", True)]


async def test_a_flight_goes_on_when_its_leader_leaves() -> None:
    flights: Flights[int] = Flights()
    done = asyncio.Event()

    async def fetch() -> int:
        await asyncio.sleep(0.02)
        done.set()
        return 1

    leader = asyncio.ensure_future(flights.join(b"key", fetch))
    await asyncio.sleep(0)
    follower = asyncio.ensure_future(flights.join(b"key", fetch))
    await asyncio.sleep(0)
    leader.cancel()
    assert (await follower).is_leader is False
    assert done.is_set()


async def test_what_fails_fails_for_everyone_and_the_next_call_starts_anew() -> None:
    flights: Flights[int] = Flights()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise LookupError

    async def succeed() -> int:
        return 7

    outcomes = await asyncio.gather(*(flights.join(b"key", fail) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError] * 3
    assert (await flights.join(b"key", succeed)).result == 7


async def test_draining_waits_for_flights_that_nobody_waits_for() -> None:
    flights: Flights[int] = Flights()
    landed = False

    async def fetch() -> int:
        nonlocal landed
        await asyncio.sleep(0.02)
        landed = True
        return 1

    caller = asyncio.ensure_future(flights.join(b"key", fetch))
    await asyncio.sleep(0)
    caller.cancel()
    await flights.drain()
    assert landed


async def test_who_follows_gets_what_the_flight_brings_and_starts_none() -> None:
    flights: Flights[int] = Flights()
    landing = asyncio.Event()

    async def fetch() -> int:
        await landing.wait()
        return 42

    assert await flights.follow(b"key") is None
    assert not flights.is_under_way(b"key")
    leader = asyncio.create_task(flights.join(b"key", fetch))
    await asyncio.sleep(0)
    assert flights.is_under_way(b"key")
    follower = asyncio.create_task(flights.follow(b"key"))
    await asyncio.sleep(0)
    landing.set()
    assert await follower == 42
    assert (await leader).is_leader
    assert await flights.follow(b"key") is None


async def test_what_a_flight_brought_is_news_for_some_seconds_to_who_has_not_seen_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flights: Flights[int] = Flights()
    flights.bring(b"key", 7)
    assert [flights.brought(b"key", seen=seen) for seen in (-1, 6, 7)] == [7, 7, None]
    assert flights.brought(b"other", seen=-1) is None
    monkeypatch.setattr("app.cache.flights._NEWS_FOR_S", 0.01)
    await asyncio.sleep(0.02)
    assert flights.brought(b"key", seen=-1) is None
