"""Where a hit spends its time, step by step, in one process without a network.

Run it with `./dev python -m benchmarks.hit_profile`. Each step is timed by itself on the inputs of a real
hit; the last line is the whole path, so what is left over is the event loop's.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from starlette.types import Message

from app.audit.calls import Origin
from app.cache.shelf import Ready, Shelf
from app.calls import Call, Request, sought_by
from app.policy.engine import judge
from app.policy.rules import Circumstances
from app.provider.charge import FREE
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.quota.arithmetic import ratelimit_headers
from app.settings import load_settings
from app.web.errors import success_envelope
from app.web.factory import create_app
from tests.servers.bursar import VIDEO_QUERY, Installation, video_query

_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class Steps:
    """Prints what a step takes at the median of so many rounds, microseconds."""

    rounds: int

    def step(self, name: str, work: Callable[[], object]) -> None:
        times = []
        for _ in range(self.rounds):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        self._tell(name, statistics.median(times))

    async def awaited(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        times = []
        for _ in range(self.rounds):
            started = time.perf_counter()
            await work()
            times.append(time.perf_counter() - started)
        self._tell(name, statistics.median(times))

    async def together(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """The time for each of many that run 32 at a time."""
        started = time.perf_counter()
        groups = max(1, self.rounds // _TOGETHER)
        for _ in range(groups):
            await asyncio.gather(*(work() for _ in range(_TOGETHER)))
        self._tell(name, (time.perf_counter() - started) / (groups * _TOGETHER))

    @staticmethod
    def _tell(name: str, taken_s: float) -> None:
        print(f"{name:55} {taken_s * 1e6:8.1f} us")


async def profile(installation: Installation, key: str, steps: Steps) -> None:
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
        verdict = judge(asked)
        origin = Origin(method="POST", route=path, request_bytes=len(body), address="127.0.0.1", agent="curl")
        request = Request(
            endpoint=endpoint,
            query_string=query_string,
            body=body,
            authorization=authorization,
            origin=origin,
        )
        shelf = Shelf(parts.pages)

        async def permit() -> Call:
            permit = parts.gateway._permit  # noqa: SLF001 - a step
            return await permit(request, caller, query, verdict, asked_us=0, spent=FREE)

        async def find() -> Ready:
            found = await shelf.find(sought_by(call, parts.clock.now()))
            assert isinstance(found, Ready), found
            return found

        call = await permit()
        page = (await find()).page
        owners = {
            "credential": caller.credential,
            "project": caller.project,
            "membership": caller.membership,
            "key": caller.key,
        }
        standings = await parts.books.standings(**owners)

        def draft() -> Any:
            decided = {"rule": "rule/1"}
            return parts.scribe.served(
                origin, caller, query, decided, keys=call.seal, resp_sha256=page.sha256
            )

        await steps.awaited(
            "identify (API key, from memory)", lambda: parts.bearers.caller(authorization, source="test")
        )
        steps.step("admit (the same bytes again)", lambda: read_request(endpoint, query_string, body))
        bodies = iter([video_query(cursor=number) for number in range(steps.rounds)])
        steps.step("admit (new bytes)", lambda: read_request(endpoint, query_string, next(bodies)))
        steps.step("permit (every rule)", lambda: judge(asked))
        await steps.awaited("what the call goes by: limits, seals, lifetime", permit)
        await steps.awaited("find the answer (memory)", find)
        steps.step("draft the entry", draft)
        await steps.awaited(
            "log the entry, durable (one at a time)",
            lambda: parts.books.note(draft(), revision=caller.revision),
        )
        await steps.awaited("limits from memory", lambda: parts.books.standings(**owners))
        steps.step("limit headers (once a second)", lambda: ratelimit_headers(standings, parts.clock.now()))
        steps.step("envelope", lambda: success_envelope(page.data, "0" * 32))
        await steps.awaited("the whole hit (one at a time)", hit)
        await steps.together("the whole hit, 32 at a time, each", hit)


def main() -> None:
    """Set an installation up and print the profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000, help="how often each step is taken")
    steps = Steps(parser.parse_args().rounds)
    limits = {"requests/day": 1_000_000, "records/day": 100_000_000}
    with tempfile.TemporaryDirectory(prefix="bursar-profile") as directory:
        home = Path(directory)
        url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
        with Installation(home, database_url=url, limits=limits) as installation:
            uvloop.run(profile(installation, installation.key()["api_key"], steps))


if __name__ == "__main__":
    main()
