"""The contract of the port that gives turns to the platform, on every adapter's real engine."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.clock import SystemClock
from app.ids import CredentialId
from app.quota.pacing import Turns
from app.storage.sharing import sharing

pytestmark = pytest.mark.anyio

MAIN, OTHER = CredentialId("main"), CredentialId("other")


@pytest.fixture(params=["process", "redis"])
async def turns(request: pytest.FixtureRequest) -> AsyncIterator[Turns]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    opened = sharing(url, clock=SystemClock(), me="0a1b", processes=1)
    await opened.start()
    yield opened.turns
    assert not opened.is_alone
    await opened.stop()


async def waits(
    turns: Turns, count: int, *, interval_s: float = 10.0, within_s: float = 100.0
) -> list[float]:
    asked = (turns.next_turn(MAIN, interval_s=interval_s, within_s=within_s) for _ in range(count))
    return [turn.wait_s for turn in await asyncio.gather(*asked)]


async def test_turns_are_given_in_order_and_evenly(turns: Turns) -> None:
    assert await waits(turns, 5) == pytest.approx([0, 10, 20, 30, 40], abs=2)


async def test_a_turn_that_is_too_far_away_is_not_given_and_not_lost(turns: Turns) -> None:
    await waits(turns, 3)
    refused = await turns.next_turn(MAIN, interval_s=10, within_s=5)
    assert not refused.is_given
    assert refused.wait_s == pytest.approx(30, abs=2)
    again = await turns.next_turn(MAIN, interval_s=10, within_s=100)
    assert again.is_given
    assert again.wait_s == pytest.approx(30, abs=2)


async def test_each_credential_has_a_line_of_its_own(turns: Turns) -> None:
    await waits(turns, 5)
    assert (await turns.next_turn(OTHER, interval_s=10, within_s=1)).wait_s == pytest.approx(0, abs=0.5)


async def test_unused_time_is_not_saved_up(turns: Turns) -> None:
    await waits(turns, 1, interval_s=0.05)
    await asyncio.sleep(0.5)
    assert await waits(turns, 3, interval_s=10) == pytest.approx([0, 10, 20], abs=2)


async def test_nobody_gets_a_turn_during_a_pause(turns: Turns) -> None:
    turns.pause(MAIN, 20)
    turns.pause(MAIN, 5)  # a shorter one ends no longer one
    assert await waits(turns, 2) == pytest.approx([20, 30], abs=2)
    assert (await turns.next_turn(OTHER, interval_s=10, within_s=1)).is_given
