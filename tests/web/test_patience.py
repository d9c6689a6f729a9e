import asyncio
from datetime import UTC, datetime

import pytest

from app.web.patience import Patience

pytestmark = pytest.mark.anyio


class StoppedClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return self.seconds


def delays(patience: Patience, *refusals: str) -> list[int]:
    return [patience.delay_s("caller", refusal) for refusal in refusals]


def test_identical_refusals_are_held_longer_and_longer_up_to_five_seconds() -> None:
    patience = Patience(clock=StoppedClock(), is_on=True)
    assert delays(patience, *["no"] * 12) == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 5]


def test_another_refusal_starts_a_new_count() -> None:
    patience = Patience(clock=StoppedClock(), is_on=True)
    assert delays(patience, *["no"] * 6, "other", "no") == [0, 0, 0, 0, 0, 1, 0, 0]


def test_being_served_or_pausing_ends_the_count() -> None:
    clock = StoppedClock()
    patience = Patience(clock=clock, is_on=True)
    assert delays(patience, *["no"] * 6)[-1] == 1
    patience.forget("caller")
    assert delays(patience, *["no"] * 6)[-1] == 1
    clock.seconds += 31
    assert delays(patience, "no") == [0]


def test_the_setting_turns_the_delay_off() -> None:
    patience = Patience(clock=StoppedClock(), is_on=False)
    assert set(delays(patience, *["no"] * 50)) == {0}


async def test_no_more_than_a_hundred_answers_are_held() -> None:
    patience = Patience(clock=StoppedClock(), is_on=True)
    for caller in range(150):
        for _ in range(9):
            patience.delay_s(f"c{caller}", "no")
    holding = [asyncio.ensure_future(patience.hold(f"c{caller}", "no")) for caller in range(150)]
    done, pending = await asyncio.wait(holding, timeout=0.1)
    assert (len(done), len(pending)) == (50, 100)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
