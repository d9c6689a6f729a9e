"""How a call waits for its turn, and what a throttle of the platform changes."""

import asyncio

import pytest

from app.clock import SystemClock
from app.ids import CredentialId
from app.quota.pacing import FIRST_PAUSE_S, Pacer, TooManyWaiting
from app.storage.turns import ProcessTurns

pytestmark = pytest.mark.anyio

MAIN = CredentialId("main")


class Later(SystemClock):
    """A monotonic clock that can be moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


def pacer(
    rate: float | None = 20.0, *, longest_wait_s: float = 0.5, clock: Later | None = None, is_on: bool = True
) -> Pacer:
    async def rate_of(_: CredentialId) -> float | None:
        return rate

    clock = clock or Later()
    return Pacer(
        turns=ProcessTurns(clock=clock),
        rate_of=rate_of,
        longest_wait_s=longest_wait_s,
        clock=clock,
        is_on=is_on,
    )


async def test_calls_are_sent_in_the_order_in_which_they_came() -> None:
    paced, sent = pacer(), list[int]()
    clock = SystemClock()
    times: list[float] = []

    async def call(number: int) -> None:
        assert await paced.turn(MAIN) is None
        sent.append(number)
        times.append(clock.monotonic_s())

    await asyncio.gather(*(call(number) for number in range(8)))
    assert sent == list(range(8))
    assert times[-1] - times[0] >= 7 * 0.05 - 0.01


async def test_a_call_too_far_behind_is_turned_down_at_once_and_so_are_those_after_it() -> None:
    paced = pacer(2, longest_wait_s=0.6)
    assert paced.outlook(MAIN) is None
    answers = await asyncio.gather(*(paced.turn(MAIN) for _ in range(4)))
    assert answers == [None, None, TooManyWaiting(1), TooManyWaiting(1)]
    clock = Later()
    paced = pacer(0.1, longest_wait_s=5, clock=clock)
    assert await paced.turn(MAIN) is None
    assert await paced.turn(MAIN) == TooManyWaiting(10)
    assert paced.outlook(MAIN) == TooManyWaiting(10)
    clock.ahead_s = 5.5
    assert paced.outlook(MAIN) is None


async def test_a_throttle_pauses_the_credential_for_as_long_as_it_says() -> None:
    clock = Later()
    paced = pacer(clock=clock)
    paced.throttled(MAIN, retry_after_s=30)
    assert paced.outlook(MAIN) == TooManyWaiting(30)
    assert isinstance(await paced.turn(MAIN), TooManyWaiting)
    assert paced.outlook(CredentialId("other")) is None
    clock.ahead_s = 30
    assert paced.outlook(MAIN) is None
    assert await paced.turn(MAIN) is None


@pytest.mark.parametrize(("said", "kept"), [(0, 1), (1, 1), (59, 59), (3_600, 60)])
async def test_a_pause_lasts_between_a_second_and_a_minute(said: int, kept: int) -> None:
    paced = pacer(longest_wait_s=0)
    paced.throttled(MAIN, retry_after_s=said)
    assert paced.outlook(MAIN) == TooManyWaiting(kept)


async def test_throttles_without_a_time_pause_longer_each_time_until_a_call_is_taken() -> None:
    clock = Later()
    paced = pacer(longest_wait_s=0, clock=clock)

    def pause_s() -> int:
        paced.throttled(MAIN, retry_after_s=None)
        told = paced.outlook(MAIN)
        assert told is not None
        # Others that were under way at the same time are no further refusals.
        paced.throttled(MAIN, retry_after_s=None)
        assert paced.outlook(MAIN) == told
        clock.ahead_s += 60
        return told.retry_after_s

    assert [pause_s() for _ in range(6)] == [3, 6, 12, 24, 48, 60]
    paced.answered(MAIN)
    assert pause_s() == FIRST_PAUSE_S


async def test_a_call_that_waits_when_the_pause_begins_waits_for_its_end() -> None:
    clock = SystemClock()
    paced = pacer(10, longest_wait_s=5)
    assert await paced.turn(MAIN) is None
    waiting = asyncio.create_task(paced.turn(MAIN))
    await asyncio.sleep(0.02)
    began_s = clock.monotonic_s()
    paced.throttled(MAIN, retry_after_s=1)
    assert await waiting is None
    assert clock.monotonic_s() - began_s >= 1


async def test_without_a_rate_nothing_waits_but_for_pauses() -> None:
    clock = Later()
    paced = pacer(None, clock=clock)
    assert await asyncio.gather(*(paced.turn(MAIN) for _ in range(100))) == [None] * 100
    paced.throttled(MAIN, retry_after_s=10)
    assert await paced.turn(MAIN) == TooManyWaiting(10)


async def test_switched_off_not_even_a_throttle_makes_it_wait() -> None:
    paced = pacer(0.001, is_on=False)
    paced.throttled(MAIN, retry_after_s=60)
    assert paced.outlook(MAIN) is None
    assert await asyncio.gather(*(paced.turn(MAIN) for _ in range(10))) == [None] * 10
