"""Heartbeats of several processes over one database."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.entries import Draft
from app.errors import StoreUnavailable
from app.storage.engines import Database, open_database
from app.storage.heartbeats import Heartbeats
from app.storage.log import append, check_log
from app.storage.tables import EntryRow, RunRow, table
from tests.signing import SIGNER, boot

pytestmark = pytest.mark.anyio

_entry, _run = table(EntryRow), table(RunRow)
_FAR_S = 1_000.0


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    yield opened
    await opened.close()


def heart(database: Database, run: str, *, every_s: float = _FAR_S) -> Heartbeats:
    return Heartbeats(
        database=database, boot=boot("replica", run), every_s=every_s, config="c" * 64, release="1.2.3"
    )


async def beats(database: Database) -> list[dict[str, Any]]:
    def work(conn: Connection) -> list[dict[str, Any]]:
        asked = sa.select(_entry.c.leaf).where(_entry.c.type == "heartbeat").order_by(_entry.c.ix)
        return [json.loads(row.leaf) for row in conn.execute(asked)]

    return await database.read(work)


async def test_a_process_says_when_it_starts_and_when_it_stops(database: Database) -> None:
    one = heart(database, "one")
    await one.start()
    await one.stop()
    start, shutdown = await beats(database)
    assert (start["what"], start["alive"]) == ("start", ["replica/one"])
    assert (shutdown["what"], shutdown["alive"]) == ("shutdown", [])
    assert (start["every_s"], start["config"], start["release"]) == (1_000, "c" * 64, "1.2.3")
    assert [start["rseq"], shutdown["rseq"]] == [0, 1]
    assert await database.read(lambda conn: check_log(conn, SIGNER)) == 2


async def test_of_many_processes_one_writes_a_heartbeat_that_is_due(database: Database) -> None:
    hearts = [heart(database, f"run{number}") for number in range(5)]
    waits = [await each.beat() for each in hearts]
    (only,) = await beats(database)
    assert only["what"] == "alive"
    assert all(_FAR_S - 100 < wait_s <= _FAR_S for wait_s in waits)


async def test_a_heartbeat_names_the_processes_that_were_seen_lately(database: Database) -> None:
    first, second = heart(database, "a"), heart(database, "b")
    await first.start()
    await second.start()
    assert (await beats(database))[-1]["alive"] == ["replica/a", "replica/b"]
    long_ago = sa.update(_run).where(_run.c.boot == "a").values(seen_us=1, beat_us=1)
    await database.write(lambda conn: conn.execute(long_ago))
    third = heart(database, "c")
    await third.start()
    assert (await beats(database))[-1]["alive"] == ["replica/b", "replica/c"]
    for each in (first, second, third):
        await each.stop()
    assert await database.read(lambda conn: conn.execute(sa.select(_run)).all()) == []


async def test_heartbeats_follow_each_other_by_themselves(database: Database) -> None:
    hearts = [heart(database, f"run{number}", every_s=0.2) for number in range(3)]
    for each in hearts:
        await each.start()
    for _ in range(300):
        if len([each for each in await beats(database) if each["what"] == "alive"]) >= 4:
            break
        await asyncio.sleep(0.1)
    for each in hearts:
        await each.stop()
    found = await beats(database)
    times = [each["ts_us"] for each in found if each["what"] == "alive"]
    assert len(times) >= 4
    # Whether one is due is decided a moment after its entry's time was read, so two may seem a little too close.
    assert times[-1] - times[0] >= 150_000 * (len(times) - 1)


async def test_a_clock_that_was_set_back_stops_no_heartbeat(database: Database) -> None:
    ahead = sa.insert(_run).values(boot="z", replica="r", seen_us=2**50, beat_us=2**50)
    await database.write(lambda conn: conn.execute(ahead))
    await heart(database, "one").beat()
    assert len(await beats(database)) == 1


async def test_a_heartbeat_that_cannot_be_written_comes_later(migrated_url: str) -> None:
    database = open_database(migrated_url)
    one = heart(database, "one", every_s=0.05)
    await one.start()
    real, failures = database.write, 0

    async def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal failures
        failures += 1
        if failures <= 2:
            raise StoreUnavailable("not now")
        return await real(*arguments, **options)

    database.write = failing  # type: ignore[method-assign]
    for _ in range(300):
        if len(await beats(database)) >= 3:
            break
        await asyncio.sleep(0.1)
    await one.stop()
    assert failures > 2
    assert len(await beats(database)) >= 3
    await append(database, boot("another"), [Draft(type="admin", fields={})])
    await database.close()
