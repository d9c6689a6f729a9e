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


@dataclass(slots=True)
class _Meter:
    """One limit as one call meets it: this process's part of it, and what the call takes."""

    limit: Limit
    slot: _Slot
    part: int
    amount: int
    used: int
    minute: _Minute | None = None
    taking: _Taking | None = None

    def frees_in_s(self, now_s: float) -> float | None:
        """When there will be room for the call."""
        if self.minute is None:
            return None
        return self.minute.frees_in_s(self.amount - (self.part - self.used), now_s)


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
        meters = [self._meter(limit, amount, now_s) for limit, amount in wanted.items()]
        if any(each.part - each.used < each.amount for each in meters):
            rooms = [
                (Room(limit=each.limit, left=max(0, each.part - each.used)), each.frees_in_s(now_s))
                for each in meters
            ]
            named, frees_in_s = refusal(rooms, {each.limit: each.amount for each in meters})
            standings = tuple(self._standing(each, now_s) for each in meters)
            return Busy(exhausted=named, frees_in_s=frees_in_s, standings=standings)
        for each in meters:
            self._add(each, now_s)
        standings = tuple(self._standing(each, now_s) for each in meters)
        taken = {each.limit: each.amount for each in meters}
        return Hold(taken, standings, partial(self._release, meters))

    def _meter(self, limit: Limit, amount: int, now_s: float) -> _Meter:
        slot = (limit.scope, limit.dimension)
        processes = self._processes()
        part = _part(limit.amount, processes)
        if processes > 1 and amount <= limit.amount:
            # What the whole limit has room for is not refused for ever because it is more than a part.
            amount = min(amount, part)
        if limit.window is None:
            return _Meter(limit, slot, part, amount, used=self._under_way.get(slot, 0))
        minute = self._minutes.get(slot)
        if minute is None:
            minute = self._minutes[slot] = _Minute(self._minute_s)
        return _Meter(limit, slot, part, amount, used=minute.used(now_s), minute=minute)

    def _add(self, meter: _Meter, now_s: float) -> None:
        meter.used += meter.amount
        if meter.minute is None:
            self._under_way[meter.slot] = meter.used
        else:
            meter.taking = meter.minute.add(meter.amount, now_s)

    def _release(self, meters: list[_Meter], kept: Wanted) -> None:
        for each in meters:
            if each.minute is not None and each.taking is not None:
                each.minute.change(each.taking, kept[each.limit])
            elif (left := self._under_way[each.slot] - each.amount) > 0:
                self._under_way[each.slot] = left
            else:
                del self._under_way[each.slot]

    def _standing(self, meter: _Meter, now_s: float) -> Standing:
        frees_in_s = None
        if meter.minute is not None and meter.used:
            frees_in_s = meter.minute.frees_in_s(1, now_s)
        return Standing(
            limit=meter.limit,
            used=meter.used,
            reserved=0,
            left=max(0, meter.part - meter.used),
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
