"""One fetch for many identical callers in flight."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_NEWS_FOR_S = 10.0
"""How long whoever looked before a flight landed may be told that it has: longer than a look takes."""


@dataclass(frozen=True, slots=True)
class Landed(Generic[T]):
    """What the flight brought, and whether this caller is the one who started (and pays for) it."""

    result: T
    is_leader: bool


class Flights(Generic[T]):
    """Fetches under way in this process, by key; a fetch goes on to its end when its callers leave."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, asyncio.Task[T]] = {}
        self._brought: OrderedDict[bytes, tuple[float, int]] = OrderedDict()
        """When a flight brought something that is held from then on, and the entry that tells of it."""

    async def join(self, key: bytes, start: Callable[[], Awaitable[T]]) -> Landed[T]:
        """The result of the flight under `key`, begun with `start` where none is under way.

        Raises what the flight raises, to every one of its callers.
        """
        task = self._under_way.get(key)
        is_leader = task is None
        if task is None:
            task = asyncio.ensure_future(_run(start))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._land(key, done))
        return Landed(await asyncio.shield(task), is_leader)

    def is_under_way(self, key: bytes) -> bool:
        """Whether who joins now follows; true until the caller next waits for anything."""
        return key in self._under_way

    def bring(self, key: bytes, entry: int) -> None:
        """Have whoever is about to begin the flight `key` know that it brought what that entry tells, held from now on."""
        now_s = asyncio.get_running_loop().time()
        self._brought[key] = (now_s, entry)
        self._brought.move_to_end(key)
        while now_s - next(iter(self._brought.values()))[0] > _NEWS_FOR_S:
            self._brought.popitem(last=False)

    def brought(self, key: bytes, *, seen: int) -> int | None:
        """The entry of what `key` brought some seconds ago; None where its caller has seen that, or there is nothing."""
        since_s, entry = self._brought.get(key, (0.0, -1))
        is_news = entry > seen and asyncio.get_running_loop().time() - since_s <= _NEWS_FOR_S
        return entry if is_news else None

    async def follow(self, key: bytes) -> T | None:
        """The result of the flight under `key`; None when there is none any more.

        Raises what the flight raises, to every one of its callers.
        """
        task = self._under_way.get(key)
        return None if task is None else await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until every flight has landed."""
        while self._under_way:
            await asyncio.wait(list(self._under_way.values()))

    def _land(self, key: bytes, task: asyncio.Task[T]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # seen here, since every caller may have left


async def _run(start: Callable[[], Awaitable[T]]) -> T:
    return await start()
