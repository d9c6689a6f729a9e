"""Where a miss spends its time: what each step takes on the clock, and of the processor in its thread.

Run it with `./dev python -m benchmarks.miss_profile`. One miss after the other, in one process over SQLite, with the
stand-in for the platform in another. Everything here is before the answer; steps contain those indented below them.
"""

import argparse
import contextlib
import inspect
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop
from starlette.types import Message

from app import fetching
from app.cache.shelf import Shelf
from app.fetching import Upstream
from app.settings import load_settings
from app.storage import books
from app.storage.books import SqlBooks
from app.storage.engines import SqliteDatabase
from app.storage.pages import SqlPages
from app.upstream.http import HttpPlatform
from app.web.factory import create_app
from benchmarks.hit_and_miss import PATH, new_question
from tests.servers.bursar import Installation

_WARM_UP = 20
_WHOLE = "the whole miss, without the network"
_STEPS: dict[str, tuple[Any, str]] = {
    "find what is held": (Shelf, "find"),
    "find it in wider searches": (Shelf, "contain"),
    "what to fetch": (Upstream, "prepare"),
    "reserve": (Upstream, "reserve"),
    "  open the call, durable": (SqlBooks, "open_call"),
    "dispatch": (Upstream, "dispatch"),
    "  the platform, with the HTTP client": (HttpPlatform, "fetch"),
    "  read the answer": (fetching, "read_reply"),
    "record": (Upstream, "record"),
    "  the answer, and what is held of it": (Upstream, "_kept"),
    "  names, tags and seals": (Upstream, "_sealed"),
    "    whom and what it is about": (fetching, "names_in"),
    "    compress, tag and seal a page": (SqlPages, "seal"),
    "  close the call, durable": (SqlBooks, "close_call"),
}
_KINDS = {
    "OpenCall": "writer: the work of opening",
    "CloseCall": "writer: the work of closing",
    "write": "writer: a transaction, with begin and commit",
    "read": "readers: a look at the database",
}
"""Steps in threads, by what they are called with."""


class Times:
    """What steps took, by name: seconds on the clock and of their thread's processor time."""

    def __init__(self) -> None:
        self.taken: dict[str, list[tuple[float, float]]] = defaultdict(list)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done meanwhile."""
        clock_s, processor_s = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self.taken[name].append((time.perf_counter() - clock_s, time.thread_time() - processor_s))

    def watch(self, owner: Any, attribute: str, name_of: Callable[..., str]) -> None:
        """Time every call of a function from now on, under the name that its arguments give it."""
        work = getattr(owner, attribute)

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with self.step(name_of(*args)):
                return await work(*args, **kwargs)

        def called(*args: Any, **kwargs: Any) -> Any:
            with self.step(name_of(*args)):
                return work(*args, **kwargs)

        setattr(owner, attribute, awaited if inspect.iscoroutinefunction(work) else called)

    def watch_all(self) -> None:
        """Time every step from now on."""
        for name, (owner, attribute) in _STEPS.items():
            self.watch(owner, attribute, lambda *_, name=name: name)
        self.watch(books, "apply_batch", lambda *args: _KINDS.get(type(args[3][0]).__name__, "writer: other"))
        self.watch(SqliteDatabase, "_transact", lambda *args: _KINDS[args[1]])

    def tell(self, rounds: int) -> None:
        """Print the medians, milliseconds."""
        print(f"{'':50} {'each miss':>9} {'elapsed':>9} {'processor':>9}")
        for name in (*_STEPS, *_KINDS.values(), _WHOLE):
            times = self.taken[name]
            elapsed, processor = (statistics.median(each) * 1e3 for each in zip(*times, strict=True))
            print(f"{name:50} {len(times) / rounds:9.1f} {elapsed:9.3f} {processor:9.3f}")


def processor_ms(threads: str) -> float:
    """What the threads of such names have had of the processor so far."""
    ids = [each.native_id for each in threading.enumerate() if each.name.startswith(threads)]
    spent = [Path(f"/proc/self/task/{each}/schedstat").read_text().split()[0] for each in ids]
    return sum(map(int, spent)) / 1e6


async def profile(installation: Installation, key: str, rounds: int) -> None:
    """Print every step of a miss."""
    door = create_app(load_settings(installation.environ))
    path, _, query_string = PATH.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query_string.encode(),
        "headers": [(b"authorization", f"Bearer {key}".encode())],
        "client": ("127.0.0.1", 1),
    }

    async def miss(body: bytes) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            assert message.get("status", 200) == 200, message

        await door(scope, receive, send)

    times = Times()
    async with door.app.router.lifespan_context(door.app):
        for number in range(_WARM_UP):
            await miss(new_question(number))
        times.watch_all()
        names = ("MainThread", "bursar-writer", "bursar-reader")
        before = [processor_ms(each) for each in names]
        for number in range(_WARM_UP, _WARM_UP + rounds):
            with times.step(_WHOLE):
                await miss(new_question(number))
        spent = [processor_ms(each) - then for each, then in zip(names, before, strict=True)]
    times.tell(rounds)
    for name, each in zip(("event loop", "writer", "readers"), spent, strict=True):
        print(f"{'processor time of a miss: ' + name:70} {each / rounds:9.3f}")


def main() -> None:
    """Set an installation up and print the profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="how many misses")
    rounds = parser.parse_args().rounds
    limits = {"requests/day": 1_000_000, "records/day": 100_000_000}
    many = ("--requests-per-day", "1000000", "--records-per-day", "100000000")
    with tempfile.TemporaryDirectory(prefix="bursar-profile") as directory:
        home = Path(directory)
        url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
        with Installation(home, database_url=url, limits=limits, simulator=many) as installation:
            uvloop.run(profile(installation, installation.key()["api_key"], rounds))


if __name__ == "__main__":
    main()
