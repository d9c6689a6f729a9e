"""Short limits counted in Redis, for all processes of an installation."""

import asyncio
import contextlib
import datetime as dt
import itertools
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

from app.clock import Clock
from app.quota.arithmetic import Limit, Room, Standing
from app.quota.windows import MINUTE_S, Busy, Hold, Wanted, refusal
from app.storage.redis_link import RedisAway, RedisLink
from app.storage.redis_scripts import BEAT, LEAVE, SETTLE, TAKE
from app.storage.short_windows import ProcessWindows

KEYS_OF: Final = "bursar:{short}"
"""Begins every key; the braces put them in one slot of a cluster, as a script demands."""
_PROCESSES: Final = f"{KEYS_OF}:processes"
_BEAT_EVERY_S: Final = 1.0
_PROCESS_LEASE_US: Final = 10_000_000
CALL_LEASE_S: Final = 30.0
_MOST_OWED: Final = 4_096


class RedisWindows:
    """The port over a link to Redis; for as long as Redis is away each process counts its share by itself.

    `me` names this process, in hexadecimal digits; `processes` is how many there are, as far as is known
    before Redis has been seen. A call under way counts for `lease_s` after its process was last heard of. `start` before use, `stop` at the end.
    """

    def __init__(
        self,
        *,
        link: RedisLink,
        clock: Clock,
        me: str,
        processes: int = 1,
        minute_s: float = MINUTE_S,
        lease_s: float = CALL_LEASE_S,
    ) -> None:
        self._link = link
        self._own = ProcessWindows(clock=clock, processes=lambda: self.processes, minute_s=minute_s)
        self._minute_us, self._lease_us = int(minute_s * 1e6), int(lease_s * 1e6)
        self._clock = clock
        self._me = me
        self._numbers = itertools.count()
        self._under_way: set[tuple[str, str]] = set()
        self._owed: deque[tuple[Sequence[str], Sequence[str | int]]] = deque(maxlen=_MOST_OWED)
        self._beating: asyncio.Task[None] | None = None
        self.processes = processes
        """Among how many the limits are shared while Redis is away: those that it last heard of."""
        self.counted_alone = 0
        """Calls that were counted in this process because Redis was away."""

    @property
    def is_alone(self) -> bool:
        """Whether this process counts on its own at the moment."""
        return self._link.is_away

    async def start(self) -> None:
        """Have a first look at Redis, then begin to say that this process lives."""
        await self._beat()
        self._beating = asyncio.create_task(self._keep_beating())

    async def stop(self) -> None:
        """Leave the others alone."""
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating
        self._link.post(LEAVE, (_PROCESSES,), (self._me,))

    async def take(self, wanted: Wanted) -> Hold | Busy:
        """Take every amount of every limit, or none; see `ShortWindows`."""
        if not self._link.is_away:
            try:
                return await self._take(wanted)
            except RedisAway:
                pass
        self.counted_alone += 1
        return await self._own.take(wanted)

    async def _take(self, wanted: Wanted) -> Hold | Busy:
        call = f"{self._me}{next(self._numbers):x}"
        limits = list(wanted)
        keys = [_key(limit) for limit in limits]
        arguments: list[str | int] = [self._minute_us, call, self._lease_us]
        for limit in limits:
            arguments += [_kind(limit), limit.amount, wanted[limit]]
        release = partial(self._release, call, wanted)
        try:
            answer: list[int] = await self._link.run(
                TAKE, keys, arguments, abandoned=lambda _: release(dict.fromkeys(wanted, 0))
            )
        except RedisAway:
            # Whether it was taken is unknown, and giving back what was not is harmless.
            release(dict.fromkeys(wanted, 0))
            raise
        is_taken, uses, frees_us = answer[0] == 1, answer[1::2], answer[2::2]
        standings = self._standings(limits, uses, frees_us)
        if not is_taken:
            rooms = [
                (Room(limit=limit, left=max(0, limit.amount - use)), None if free_us < 0 else free_us / 1e6)
                for limit, use, free_us in zip(limits, uses, frees_us, strict=True)
            ]
            exhausted, frees_in_s = refusal(rooms, wanted)
            return Busy(exhausted=exhausted, frees_in_s=frees_in_s, standings=standings)
        self._under_way.update((_key(limit), call) for limit in limits if limit.window is None)
        return Hold(wanted, standings, release)

    def _release(self, call: str, wanted: Wanted, kept: Wanted) -> None:
        self._under_way.difference_update((_key(limit), call) for limit in wanted if limit.window is None)
        arguments: list[str | int] = [call]
        for limit, taken in wanted.items():
            arguments += [_kind(limit), taken, kept[limit]]
        self._settle([_key(limit) for limit in wanted], arguments)

    def _settle(self, keys: Sequence[str], arguments: Sequence[str | int]) -> None:
        """Tell Redis some time soon; what it cannot be told now it is told when it is back."""
        self._link.post(SETTLE, keys, arguments, lost=lambda: self._owed.append((keys, arguments)))

    def _standings(
        self, limits: Sequence[Limit], uses: Sequence[int], frees_us: Sequence[int]
    ) -> tuple[Standing, ...]:
        now = self._clock.now()
        return tuple(
            Standing(
                limit=limit,
                used=use,
                reserved=0,
                left=max(0, limit.amount - use),
                resets_at=now + dt.timedelta(microseconds=free_us) if use and free_us >= 0 else None,
            )
            for limit, use, free_us in zip(limits, uses, frees_us, strict=True)
        )

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_EVERY_S)
            await self._beat()

    async def _beat(self) -> None:
        """Say that this process and its calls live; also finds out whether Redis is there."""
        under_way = list(self._under_way)
        keys = [_PROCESSES, *(key for key, _ in under_way)]
        leases: list[str | int] = [self._me, _PROCESS_LEASE_US, self._lease_us]
        try:
            self.processes = await self._link.run(BEAT, keys, [*leases, *(call for _, call in under_way)])
        except RedisAway:
            return
        while self._owed:
            self._settle(*self._owed.popleft())


def _kind(limit: Limit) -> str:
    return "slot" if limit.window is None else "minute"


def _key(limit: Limit) -> str:
    return f"{KEYS_OF}:{_kind(limit)}:{limit.scope.kind}:{limit.scope.id}:{limit.dimension}"
