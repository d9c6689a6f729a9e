"""Reads that a crowd wants at the same moment, made once or twice instead of by each of them."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedReads(Generic[T]):
    """Of those who want the same, one reads; who comes meanwhile waits for the end of that and shares the next read.

    So nobody is given what was read before they came: a page that was held, or a key that was revoked, just before
    they asked is seen by them.
    """

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[None]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def read(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` brings, or what it brought somebody who wanted the same; whatever it raises is raised to each."""
        following = self._next.get(key)
        if following is None:
            under_way = self._under_way.get(key)
            if under_way is None:
                return await self._read(key, ask)
            following = self._next[key] = asyncio.create_task(self._read_after(under_way, key, ask))
            following.add_done_callback(_heed)
        # Whoever leaves must not take the others' read with them.
        return await asyncio.shield(following)

    async def _read(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        ended = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            return await ask()
        finally:
            del self._under_way[key]
            ended.set_result(None)

    async def _read_after(
        self, under_way: "asyncio.Future[None]", key: Hashable, ask: Callable[[], Awaitable[T]]
    ) -> T:
        await under_way
        del self._next[key]
        return await self._read(key, ask)


def _heed(task: "asyncio.Task[T]") -> None:
    """Have nobody told of a failure that all who waited for it left before."""
    if not task.cancelled():
        task.exception()
