"""What a held page costs that is not at hand: read from PostgreSQL, or from Redis, beside the entry that its hit needs.

Run it with `./dev python -m benchmarks.held_tiers`. All are timed in turn, in one process, on servers of its own.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import redis.asyncio
import sqlalchemy as sa

from app.calls import Delivered
from tests.servers.library import Platform, opened_library
from tests.servers.postgres import PrivatePostgres
from tests.servers.redis import PrivateRedis

FIELDS = ("id", "create_time", "username", "region_code", "video_description", "view_count", "hashtag_names")
QUESTION = {
    "query": {"and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]},
    "start_date": "20261001",
    "end_date": "20261007",
    "max_count": 100,
}


async def measure(rounds: int) -> dict[str, float]:
    """The median of each step, in milliseconds."""
    with PrivatePostgres() as postgres, PrivateRedis() as server, tempfile.TemporaryDirectory() as home:
        url = postgres.url(postgres.create_database())
        async with opened_library(
            Path(home),
            projects={"elections": ["ada"]},
            platform=Platform(videos=20_000),
            database_url=url,
            redis_url=server.url,
        ) as library:
            return await _timed(library, redis.asyncio.from_url(server.url), rounds)


async def _timed(library: Any, link: Any, rounds: int) -> dict[str, float]:
    pages: Any = library.installation.gateway._pages  # noqa: SLF001 - what is inside a hit is timed
    database = library.installation.database

    async def ask() -> None:
        answer = await library.ask("ada", "video/query", FIELDS, QUESTION)
        assert isinstance(answer, Delivered)

    await ask()
    largest = sa.text("SELECT key, scope, sealed FROM held_page ORDER BY length(sealed) DESC LIMIT 1")
    row = await database.read(lambda conn: conn.execute(largest).one())
    await link.set(row.key, bytes(row.sealed))

    async def anew() -> None:
        pages._memory.clear()  # noqa: SLF001
        pages._memory_bytes = 0  # noqa: SLF001
        await ask()

    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "a page from PostgreSQL, opened": lambda: pages._load(row.key, row.scope),  # noqa: SLF001
        "its sealed bytes from Redis": lambda: link.get(row.key),
        "a whole hit, its page at hand": ask,
        "a whole hit, its pages in PostgreSQL": anew,
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 20):
        for name, step in steps.items():
            begin = time.perf_counter()
            await step()
            if number >= 20:
                taken[name].append((time.perf_counter() - begin) * 1_000)
    await link.aclose()
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    for name, median_ms in asyncio.run(measure(parser.parse_args().rounds)).items():
        print(f"{name}: {median_ms:.2f} ms")


if __name__ == "__main__":
    main()
