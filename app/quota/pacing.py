"""When a call may go to the platform: in turn, and not faster than it bears.

The platform publishes no short-term rate for its research endpoints, and answers 429 `rate_limit_exceeded`
below the daily quota. Every such answer costs a request of that quota, so a short wait beats it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from typing import Final, Protocol

from app.clock import Clock
from app.ids import CredentialId

CALLS_PER_SECOND: Final = 5.0
"""What the README of the platform's own wrapper sets (TikTokResearchApi 1.0.4; its code defaults to 10, and users
met 429 below that). At this rate a day's 1,000 requests last 200 s, so nothing is lost by being careful."""

SHORTEST_PAUSE_S: Final = 1
LONGEST_PAUSE_S: Final = 60
FIRST_PAUSE_S: Final = 3
"""After a 429 that names no time, doubled with each further one. Undocumented: users wait about ten seconds."""


@dataclass(frozen=True, slots=True)
class TooManyWaiting:
    """The next turn is further away than a call may wait."""

    retry_after_s: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn in `wait_s`; where none `is_given`, that is how far away the next one would have been."""

    wait_s: float
    is_given: bool


class Turns(Protocol):
    """Gives turns to every process that shares a credential, in the order in which they are asked for."""

    async def next_turn(self, credential: CredentialId, *, interval_s: float, within_s: float) -> Turn:
        """The next turn, `interval_s` after the one before, and kept for the caller if it is within `within_s`.

        Never raises and never waits for long: an adapter whose server is away gives this process its share.
        """
        ...

    def pause(self, credential: CredentialId, seconds: float) -> None:
        """Give no turn for that long."""
        ...


@dataclass(slots=True)
class _Trouble:
    """What this process knows of a credential that was throttled, or whose calls queue too long."""

    paused_until_s: float = 0.0
    in_a_row: int = 0
    crowded_until_s: float = 0.0


class Pacer:
    """Has calls of a credential wait for their turn, for at most `longest_wait_s`.

    `rate_of` is how many calls a second a credential may send; None: as fast as they come, save for pauses.
    Without `is_on` nothing waits, and the platform's refusals are passed on.
    """

    def __init__(
        self,
        *,
        turns: Turns,
        rate_of: Callable[[CredentialId], Awaitable[float | None]],
        longest_wait_s: float,
        clock: Clock,
        is_on: bool = True,
    ) -> None:
        self._is_on = is_on
        self._turns = turns
        self._rate_of = rate_of
        self._clock = clock
        self._trouble: dict[CredentialId, _Trouble] = {}
        self.longest_wait_s = longest_wait_s

    def outlook(self, credential: CredentialId) -> TooManyWaiting | None:
        """What this process knows to be in vain, so that nothing is reserved for it."""
        trouble = self._trouble.get(credential)
        if trouble is None:
            return None
        now_s = self._clock.monotonic_s()
        away_s = max(trouble.crowded_until_s, trouble.paused_until_s - self.longest_wait_s) - now_s
        return _too_many(away_s + self.longest_wait_s) if away_s > 0 else None

    async def turn(self, credential: CredentialId) -> TooManyWaiting | None:
        """Return when the call may be sent, or at once when that is too far away."""
        if not self._is_on:
            return None
        rate = await self._rate_of(credential)
        give_up_s = self._clock.monotonic_s() + self.longest_wait_s
        while True:
            now_s = self._clock.monotonic_s()
            turn = await self._next(credential, rate, within_s=max(0.0, give_up_s - now_s))
            if not turn.is_given:
                known = self._trouble.setdefault(credential, _Trouble())
                known.crowded_until_s = now_s + turn.wait_s - self.longest_wait_s
                return _too_many(turn.wait_s)
            if turn.wait_s > 0:
                await asyncio.sleep(turn.wait_s)
            if self._paused_s(credential) <= 0:
                return None

    def throttled(self, credential: CredentialId, *, retry_after_s: int | None) -> None:
        """The platform has answered 429 `rate_limit_exceeded`: leave it alone for as long as it asks."""
        if not self._is_on:
            return
        trouble = self._trouble.setdefault(credential, _Trouble())
        if self._paused_s(credential) <= 0:
            # Calls that were under way at the first refusal are refused as well, and tell nothing new.
            trouble.in_a_row += 1
        asked_s = FIRST_PAUSE_S << min(trouble.in_a_row - 1, 5) if retry_after_s is None else retry_after_s
        seconds = max(SHORTEST_PAUSE_S, min(asked_s, LONGEST_PAUSE_S))
        trouble.paused_until_s = max(trouble.paused_until_s, self._clock.monotonic_s() + seconds)
        self._turns.pause(credential, seconds)

    def answered(self, credential: CredentialId) -> None:
        """The platform has taken a call."""
        trouble = self._trouble.get(credential)
        if trouble is not None:
            trouble.in_a_row = 0

    async def _next(self, credential: CredentialId, rate: float | None, *, within_s: float) -> Turn:
        if rate is not None:
            return await self._turns.next_turn(credential, interval_s=1 / rate, within_s=within_s)
        wait_s = max(0.0, self._paused_s(credential))
        return Turn(wait_s=wait_s, is_given=wait_s <= within_s)

    def _paused_s(self, credential: CredentialId) -> float:
        trouble = self._trouble.get(credential)
        return 0.0 if trouble is None else trouble.paused_until_s - self._clock.monotonic_s()


def _too_many(wait_s: float) -> TooManyWaiting:
    return TooManyWaiting(max(1, min(ceil(wait_s), LONGEST_PAUSE_S)))
