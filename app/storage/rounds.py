"""Work of a process that comes again and again, until it is stopped."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from app.errors import Unavailable

_log = structlog.get_logger()


class Rounds:
    """Does `work` when it starts and every `every_s` seconds; `failed` says on standard error what went wrong.

    `stop` lets a round that is under way finish.
    """

    def __init__(self, work: Callable[[], Awaitable[object]], *, every_s: float, failed: str) -> None:
        self._work = work
        self._every_s = every_s
        self._failed = failed
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End after the round under way."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    @property
    def is_ending(self) -> bool:
        """Whether a long round had better leave what remains to the next process."""
        return self._stopping.is_set()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._work()
            except Unavailable:
                pass  # the next round finds what this one left
            except Exception:  # noqa: BLE001 - what one round fails on must not keep all the others for ever
                _log.exception(self._failed)
            try:
                async with asyncio.timeout(self._every_s):
                    await self._stopping.wait()
            except TimeoutError:
                continue
