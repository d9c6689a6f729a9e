"""Short limits counted in this process: exact, and gone with it."""

import datetime as dt
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from app.clock import Clock
from app.quota.arithmetic import Dimension, Limit, Room, Scope, Standing
from app.quota.windows import MINUTE_S, Busy, Hold, Wanted, refusal

_SWEEP_EVERY_S = 60.0

_Slot = tuple[Scope, Dimension]
"""What is counted; the amount of the limit is no part of it, so editing a limit resets nothing."""


@dataclass(slots=True)
class _Taking:
    at_s: float
    amount: int


@dataclass(slots=True)
class _Minute:
    """What was taken in the last sixty seconds, oldest first."""

    length_s: float
    takings: deque[_Taking] = field(default_factory=deque)
    total: int = 0

    def used(self, now_s: float) -> int:
        while self.takings and self.takings[0].at_s <= now_s - self.length_s:
            self.total -= self.takings.popleft().amount
        return self.total

    def add(self, amount: int, now_s: float) -> _Taking:
        taking = _Taking(now_s, amount)
        self.takings.append(taking)
        self.total += amount
        return taking

    def change(self, taking: _Taking, amount: int) -> None:
        if self.takings and taking.at_s >= self.takings[0].at_s:
            self.total += amount - taking.amount
            taking.amount = amount
        while self.takings and not self.takings[-1].amount:
            self.takings.pop()

    def frees_in_s(self, amount: int, now_s: float) -> float:
        """When `amount` will have left the window, if nothing is added; a minute where it never holds that."""
        for taking in self.takings:
            amount -= taking.amount
            if amount <= 0 < taking.amount:
                return taking.at_s + self.length_s - now_s
        return self.length_s


class ProcessWindows:
    """The port in this process's memory.

    `processes` is among how many the limits are shared: each takes its part, at least 1, and a call that
    would fit the whole limit but no part of it may take a part that is wholly free.
    """

    def __init__(
        self, *, clock: Clock, processes: Callable[[], int] = lambda: 1, minute_s: float = MINUTE_S
    ) -> None:
        self._clock = clock
        self._processes = processes
        self._minute_s = minute_s
        self._minutes: dict[_Slot, _Minute] = {}
        self._under_way: dict[_Slot, int] = {}
        self._swept_s = clock.monotonic_s()

    async def take(self, wanted: Wanted) -> Hold | Busy:
        """Take every amount of every limit, or none; see `ShortWindows`."""
        now_s = self._clock.monotonic_s()
        if now_s - self._swept_s > _SWEEP_EVERY_S:
            self._sweep(now_s)
        processes = self._processes()
        parts = {limit: _part(limit.amount, processes) for limit in wanted}
        if processes > 1:
            # What the whole limit has room for is not refused for ever because it is more than a part.
            wanted = {
                limit: min(amount, parts[limit]) if amount <= limit.amount else amount
                for limit, amount in wanted.items()
            }
        left = {limit: parts[limit] - self._used(limit, now_s) for limit in wanted}
        if any(left[limit] < amount for limit, amount in wanted.items()):
            rooms = [
                (Room(limit=limit, left=max(0, room)), self._frees_in_s(limit, wanted[limit] - room, now_s))
                for limit, room in left.items()
            ]
            exhausted, frees_in_s = refusal(rooms, wanted)
            return Busy(
                exhausted=exhausted, frees_in_s=frees_in_s, standings=self._standings(wanted, parts, now_s)
            )
        taken = {limit: self._add(limit, amount, now_s) for limit, amount in wanted.items()}
        return Hold(wanted, self._standings(wanted, parts, now_s), partial(self._release, taken))

    def _used(self, limit: Limit, now_s: float) -> int:
        slot = (limit.scope, limit.dimension)
        if limit.window is None:
            return self._under_way.get(slot, 0)
        minute = self._minutes.get(slot)
        return 0 if minute is None else minute.used(now_s)

    def _add(self, limit: Limit, amount: int, now_s: float) -> _Taking | None:
        slot = (limit.scope, limit.dimension)
        if limit.window is None:
            self._under_way[slot] = self._under_way.get(slot, 0) + amount
            return None
        return self._minutes.setdefault(slot, _Minute(self._minute_s)).add(amount, now_s)

    def _release(self, taken: dict[Limit, _Taking | None], kept: Wanted) -> None:
        for limit, taking in taken.items():
            slot = (limit.scope, limit.dimension)
            if taking is not None:
                minute = self._minutes.get(slot)
                if minute is not None:
                    minute.change(taking, kept[limit])
            elif self._under_way[slot] == 1:
                del self._under_way[slot]
            else:
                self._under_way[slot] -= 1

    def _frees_in_s(self, limit: Limit, lacking: int, now_s: float) -> float | None:
        minute = self._minutes.get((limit.scope, limit.dimension))
        if limit.window is None:
            return None
        return self._minute_s if minute is None else minute.frees_in_s(lacking, now_s)

    def _standings(self, wanted: Wanted, parts: dict[Limit, int], now_s: float) -> tuple[Standing, ...]:
        return tuple(self._standing(limit, parts[limit], now_s) for limit in wanted)

    def _standing(self, limit: Limit, part: int, now_s: float) -> Standing:
        used = self._used(limit, now_s)
        frees_in_s = self._frees_in_s(limit, 1, now_s) if used else None
        return Standing(
            limit=limit,
            used=used,
            reserved=0,
            left=max(0, part - used),
            resets_at=None if frees_in_s is None else self._clock.now() + dt.timedelta(seconds=frees_in_s),
        )

    def _sweep(self, now_s: float) -> None:
        """Forget what nobody has taken from for a minute."""
        self._swept_s = now_s
        for slot in [slot for slot, minute in self._minutes.items() if not minute.used(now_s)]:
            if not self._minutes[slot].takings:
                del self._minutes[slot]


def _part(amount: int, processes: int) -> int:
    """This process's part of a limit; a limit that lets anything through lets each process something."""
    return min(amount, max(1, amount // processes))
