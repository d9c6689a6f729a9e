"""Late answers for clients that hammer on a refusal."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from app.clock import Clock

_IDENTICAL_BEFORE_DELAY = 5
_LONGEST_DELAY_S = 5
_FORGET_AFTER_S = 30.0
_MOST_HELD = 100
_MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class _Streak:
    refusal: str
    count: int
    last_s: float


class Patience:
    """Counts identical refusals of one caller in a row; after several the answer is held for 1 to 5 s.

    One client was seen to send 3,088 requests in ten seconds on a lasting error. At most 100 answers are
    held at once; beyond that they leave at once.
    """

    def __init__(self, *, clock: Clock, is_on: bool) -> None:
        self._clock = clock
        self._is_on = is_on
        self._streaks: OrderedDict[str, _Streak] = OrderedDict()
        self._held = 0

    def forget(self, caller: str) -> None:
        """The caller has been served: its streak is over."""
        self._streaks.pop(caller, None)

    def delay_s(self, caller: str, refusal: str) -> int:
        """Seconds to hold this refusal of this caller; 0 for the first few."""
        if not self._is_on:
            return 0
        now_s = self._clock.monotonic_s()
        streak = self._streaks.get(caller)
        if streak is None or streak.refusal != refusal or now_s - streak.last_s > _FORGET_AFTER_S:
            streak = _Streak(refusal, 0, now_s)
        streak.count += 1
        streak.last_s = now_s
        self._streaks[caller] = streak
        self._streaks.move_to_end(caller)
        while len(self._streaks) > _MOST_REMEMBERED:
            self._streaks.popitem(last=False)
        return max(0, min(streak.count - _IDENTICAL_BEFORE_DELAY, _LONGEST_DELAY_S))

    async def hold(self, caller: str, refusal: str) -> None:
        """Wait as long as this refusal should be held."""
        delay_s = self.delay_s(caller, refusal)
        if delay_s == 0 or self._held >= _MOST_HELD:
            return
        self._held += 1
        try:
            await asyncio.sleep(delay_s)
        finally:
            self._held -= 1
