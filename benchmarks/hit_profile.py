"""Where a hit spends its time, step by step, in one process without a network.

Run it with `./dev python -m benchmarks.hit_profile`. Each step is timed by itself on the inputs of a real
hit; the last line is the whole path, so what is left over is the event loop's.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from starlette.types import Message

from app.audit.calls import Origin
from app.policy.engine import judge
from app.policy.rules import Circumstances
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.quota.arithmetic import ratelimit_headers
from app.settings import load_settings
from app.web.errors import success_envelope
from app.web.factory import create_app
from tests.servers.bursar import VIDEO_QUERY, Installation, video_query

_ROUNDS = 2_000


def step(name: str, work: Callable[[], object], *, rounds: int = _ROUNDS) -> None:
    """Print the median of one synchronous step, microseconds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    print(f"{name:55} {statistics.median(times) * 1e6:8.1f} us")


async def awaited(name: str, work: Callable[[], Awaitable[object]], *, rounds: int = _ROUNDS) -> None:
    """Print the median of one step that waits, microseconds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        await work()
        times.append(time.perf_counter() - started)
    print(f"{name:55} {statistics.median(times) * 1e6:8.1f} us")


async def profile(installation: Installation, key: str) -> None:
    """Print every step of a hit."""
    door = create_app(load_settings(installation.environ))
    path, _, query_string = VIDEO_QUERY.partition("?")
    body, authorization = video_query(), f"Bearer {key}"
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query_string.encode(),
        "headers": [(b"authorization", authorization.encode())],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        assert message.get("status", 200) == 200, message

    async def hit() -> None:
        await door(scope, receive, send)

    async with door.app.router.lifespan_context(door.app):
        await hit()
        parts = door.app.state.installation
        endpoint = ENDPOINTS["video/query"]
        caller = await parts.bearers.caller(authorization, source="test")
        query = read_request(endpoint, query_string, body)
        asked = Circumstances(caller=caller, query=query, now=parts.clock.now(), accept_url="")
        page = await parts.pages.find(query.key(scope=caller.reuse_scope, search=None), caller.reuse_scope)
        assert page is not None
        origin = Origin(method="POST", route=path, request_bytes=len(body), address="127.0.0.1", agent="curl")
        owners = {
            "credential": caller.credential,
            "project": caller.project,
            "membership": caller.membership,
            "key": caller.key,
        }
        standings = await parts.books.standings(**owners)

        def draft() -> Any:
            return parts.scribe.served(origin, caller, query, {"rule": "rule/1"}, resp_sha256=page.sha256)

        await awaited(
            "identify (API key, from memory)", lambda: parts.bearers.caller(authorization, source="test")
        )
        step("admit (the same bytes again)", lambda: read_request(endpoint, query_string, body))
        bodies = iter([video_query(cursor=number) for number in range(_ROUNDS)])
        step("admit (new bytes)", lambda: read_request(endpoint, query_string, next(bodies)))
        step("permit (every rule)", lambda: judge(asked))
        step("key of the page", lambda: query.key(scope=caller.reuse_scope, search=None))
        await awaited("find the page (memory)", lambda: parts.pages.find(page.key, caller.reuse_scope))
        step("draft the entry", draft)
        await awaited(
            "log the entry, durable (one at a time)",
            lambda: parts.books.note(draft(), revision=caller.revision),
        )
        await awaited("limits from memory", lambda: parts.books.standings(**owners))
        step("limit headers (once a second)", lambda: ratelimit_headers(standings, parts.clock.now()))
        step("envelope", lambda: success_envelope(page.data, "0" * 32))
        await awaited("the whole hit (one at a time)", hit)
        await together("the whole hit, 32 at a time", hit)


async def together(name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Print the time for each of many that run 32 at a time, microseconds."""
    started = time.perf_counter()
    for _ in range(_ROUNDS // 32):
        await asyncio.gather(*(work() for _ in range(32)))
    spent = time.perf_counter() - started
    print(f"{name:55} {spent / (_ROUNDS // 32 * 32) * 1e6:8.1f} us each")


def main() -> None:
    """Set an installation up and print the profile."""
    limits = {"requests/day": 1_000_000, "records/day": 100_000_000}
    with tempfile.TemporaryDirectory(prefix="bursar-profile") as directory:
        home = Path(directory)
        url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
        with Installation(home, database_url=url, limits=limits) as installation:
            uvloop.run(profile(installation, installation.key()["api_key"]))


if __name__ == "__main__":
    main()
