"""Redis stalled, emptied, restarted or far away during load: no overspend, clear answers, and back by itself."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.assurance.ledgers import counted
from tests.assurance.outages import settled
from tests.servers.bursar import Installation
from tests.servers.lag import Relay
from tests.servers.load import Told, ask_all, lookups
from tests.servers.redis import PrivateRedis

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_IN_FLIGHT = 16
_WITHIN_S = 60.0
_ALLOWANCE = 20
"""Calls a minute of the person whose limit shows whether the workers count together."""
_SHORT_LIMITS = {"calls/minute": 100_000, "concurrent": 64}
_GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "1000000")


class Faults:
    """What happens to Redis, each for as long as its context lasts and over when that ends."""

    def __init__(self, server: PrivateRedis, relay: Relay) -> None:
        self._server = server
        self._relay = relay

    @asynccontextmanager
    async def stalled(self) -> AsyncIterator[None]:
        self._server.pause()
        try:
            yield
        finally:
            self._server.resume()

    @asynccontextmanager
    async def emptied(self) -> AsyncIterator[None]:
        emptying = asyncio.create_task(self._empty_again_and_again())
        try:
            yield
        finally:
            emptying.cancel()

    @asynccontextmanager
    async def killed_and_restarted_empty(self) -> AsyncIterator[None]:
        self._server.kill()
        restarting = asyncio.create_task(self._restart())
        try:
            yield
        finally:
            await restarting

    @asynccontextmanager
    async def far_away(self) -> AsyncIterator[None]:
        self._relay.lag_s = 5.0
        try:
            yield
        finally:
            self._relay.lag_s = 0.0

    @asynccontextmanager
    async def cut_off(self) -> AsyncIterator[None]:
        cutting = asyncio.create_task(self._cut_again_and_again())
        try:
            yield
        finally:
            cutting.cancel()

    def all(self) -> list[AbstractAsyncContextManager[None]]:
        return [
            self.stalled(),
            self.emptied(),
            self.killed_and_restarted_empty(),
            self.far_away(),
            self.cut_off(),
        ]

    async def _restart(self) -> None:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(self._server.start)

    async def _empty_again_and_again(self) -> None:
        while True:
            await asyncio.to_thread(self._server.flush)
            await asyncio.sleep(0.05)

    async def _cut_again_and_again(self) -> None:
        while True:
            self._relay.cut()
            await asyncio.sleep(0.2)


async def lose_redis(home: Path, database_url: str, *, rounds: int, calls_a_fault: int) -> None:
    with PrivateRedis() as server:
        async with Relay(server.port) as relay:
            budget = rounds * 5 * calls_a_fault - calls_a_fault // 2
            limits = {"requests/day": budget, "records/day": 1_000_000, **_SHORT_LIMITS}
            with Installation(
                home,
                database_url=database_url,
                redis_url=f"redis://127.0.0.1:{relay.port}/0",
                workers=2,
                limits=limits,
                simulator=_GENEROUS,
            ) as installation:
                await asyncio.to_thread(installation.start)
                key = (await asyncio.to_thread(installation.key))["api_key"]
                faults = (fault for _ in range(rounds) for fault in Faults(server, relay).all())
                answers: list[Told] = []
                for number, fault in enumerate(faults):
                    questions = lookups(number * calls_a_fault, (number + 1) * calls_a_fault)
                    async with fault:
                        answers += await ask_all(installation.base_url, key, questions, in_flight=_IN_FLIGHT)
                await check(installation, answers, budget=budget, asked=rounds * 5 * calls_a_fault)
                await counts_together_again(installation)
                await has_let_go_of_every_place(server)


async def check(installation: Installation, answers: list[Told], *, budget: int, asked: int) -> None:
    told = counted(answers)
    assert len(answers) == asked
    assert budget - told.unavailable <= told.sent <= budget
    upstream = installation.upstream()["requests"]
    assert upstream == budget or (upstream < budget and told.spent == 0)
    ledger = await settled(installation)
    assert (ledger.requests_used, ledger.requests_reserved) == (upstream, 0)
    assert ledger.unclosed() == []
    assert all(
        ledger.ids[answer.index] == answer.log_id
        for answer in answers
        if answer.status != 503 or answer.index >= 0
    )


async def counts_together_again(installation: Installation) -> None:
    """Return once the workers let exactly the limit through between them, for one key after another."""
    deadline_s = asyncio.get_running_loop().time() + _WITHIN_S
    for _ in itertools.count():
        issued = await asyncio.to_thread(installation.key)
        scope = f"key:{issued['client_key'].removeprefix('bsr_live_')}"
        await asyncio.to_thread(installation.bursar, "limit", "set", scope, "calls/minute", str(_ALLOWANCE))
        held = lookups(1, 2) * (3 * _ALLOWANCE)
        answers = await ask_all(installation.base_url, issued["api_key"], held, in_flight=_IN_FLIGHT)
        codes = Counter((answer.status, answer.code) for answer in answers)
        assert set(codes) <= {(200, "ok"), (429, "rate_limit_exceeded")}
        if codes[200, "ok"] == _ALLOWANCE:
            return
        assert asyncio.get_running_loop().time() < deadline_s, codes
    raise AssertionError("unreachable")


async def has_let_go_of_every_place(server: PrivateRedis) -> None:
    deadline_s = asyncio.get_running_loop().time() + _WITHIN_S
    async with Redis.from_url(server.url) as client:
        while True:
            keys = [key async for key in client.scan_iter("bursar:{short}:slot:*")]
            held = {key: await client.zcard(key) for key in keys}
            if not any(held.values()):
                return
            assert asyncio.get_running_loop().time() < deadline_s, held
            await asyncio.sleep(0.2)


async def test_losing_redis_in_five_ways_overspends_nothing(tmp_path: Path, postgres_url: str) -> None:
    await lose_redis(tmp_path, postgres_url, rounds=1, calls_a_fault=60)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_losing_redis_again_and_again_overspends_nothing(tmp_path: Path, postgres_url: str) -> None:
    await lose_redis(tmp_path, postgres_url, rounds=5, calls_a_fault=400)
