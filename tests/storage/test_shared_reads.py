"""Many who want the same at once are given it by one read, which began after each of them came."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.storage.shared_reads import SharedReads
from tests.servers.library import Platform, opened_library

pytestmark = pytest.mark.anyio


class Shelf:
    """What is read, slowly, and how often it was."""

    def __init__(self) -> None:
        self.holds = "old"
        self.reads = 0
        self.go_on = asyncio.Event()
        self.fails = False

    async def ask(self) -> str:
        self.reads += 1
        seen = self.holds
        await self.go_on.wait()
        if self.fails:
            raise OSError("away")
        return seen


async def begun(shared: SharedReads[str], shelf: Shelf, count: int = 1) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(shared.read("it", shelf.ask)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_a_crowd_reads_twice_and_who_came_after_a_change_sees_it() -> None:
    shared, shelf = SharedReads[str](), Shelf()
    first = await begun(shared, shelf)
    shelf.holds = "new"
    crowd = await begun(shared, shelf, 100)
    shelf.go_on.set()
    assert await asyncio.gather(*first) == ["old"]
    assert await asyncio.gather(*crowd) == ["new"] * 100
    assert shelf.reads == 2
    assert await shared.read("it", shelf.ask) == "new"
    assert shelf.reads == 3


async def test_what_differs_is_read_side_by_side() -> None:
    shared, shelf = SharedReads[str](), Shelf()
    tasks = [asyncio.create_task(shared.read(each, shelf.ask)) for each in range(5)]
    await asyncio.sleep(0)
    assert shelf.reads == 5
    shelf.go_on.set()
    assert await asyncio.gather(*tasks) == ["old"] * 5


async def test_who_leaves_takes_nobodys_read_along() -> None:
    shared, shelf = SharedReads[str](), Shelf()
    (first,) = await begun(shared, shelf)
    crowd = await begun(shared, shelf, 3)
    first.cancel()
    await asyncio.wait({first})
    await asyncio.sleep(0)
    crowd[0].cancel()
    shelf.go_on.set()
    assert await asyncio.gather(*crowd[1:]) == ["old"] * 2
    assert crowd[0].cancelled()


async def test_a_failure_is_told_to_each_and_the_next_one_reads_anew() -> None:
    shared, shelf = SharedReads[str](), Shelf()
    tasks = [*await begun(shared, shelf), *await begun(shared, shelf, 3)]
    shelf.fails = True
    shelf.go_on.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in told] == [OSError] * 4
    shelf.fails = False
    assert await shared.read("it", shelf.ask) == "old"
    assert not shared._under_way
    assert not shared._next


async def test_callers_who_ask_the_same_at_once_look_for_its_pages_and_their_key_together(
    tmp_path: Path,
) -> None:
    question = {
        "query": {"and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]},
        "start_date": "20261001",
        "end_date": "20261007",
    }
    async with opened_library(
        tmp_path, projects={"elections": ["ada"]}, platform=Platform(videos=500)
    ) as library:
        database: Any = library.installation.database
        read, reads = database.read, Counter[str]()

        async def counted(work: Any) -> Any:
            reads[work.__qualname__] += 1
            return await read(work)

        database.read = counted
        answers = await asyncio.gather(
            *(library.ask("ada", "video/query", ("id", "username"), question) for _ in range(100))
        )
        assert {type(each).__name__ for each in answers} == {"Delivered"}
        assert sum(count for name, count in reads.items() if name.startswith("SqlDirectory.by_key")) <= 2
        # Each looks for three pages that may have the answer, which would make three hundred reads.
        assert sum(count for name, count in reads.items() if name.startswith("SqlPages._load")) < 60, reads
