"""Held pages are small and unreadable in the database, and come back as they were."""

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from app import exact_json
from app.cache.pages import HeldPage
from app.calls import Delivered
from app.clock import SystemClock
from app.sealing import MasterKey, seal
from app.storage.engines import open_database
from app.storage.held_room import stored_bytes
from app.storage.pages import SqlPages, _packed, _page_aad, _unpacked
from app.storage.purging import _figures
from tests.servers.library import Platform, opened_library

pytestmark = pytest.mark.anyio
QUESTION = {
    "query": {"and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]},
    "start_date": "20261001",
    "end_date": "20261007",
    "max_count": 100,
}
FIELDS = ("id", "create_time", "username", "region_code", "video_description", "view_count")


@given(data=st.binary(max_size=300))
@example(data=b"")
@example(data=b"\x01\x00")
@example(data=b'{"videos":' + b"0" * 5_000)
@example(data=os.urandom(5_000))
def test_what_is_packed_comes_back_and_costs_a_byte_at_most(data: bytes) -> None:
    assert _unpacked(_packed(data)) == data
    assert len(_packed(data)) <= len(data) + 1


@pytest.mark.parametrize("size", [20, 300, 3_000, 40_000])
def test_a_page_takes_as_much_memory_as_is_counted_for_it(tmp_path: Path, size: int) -> None:
    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'never.db'}")
    master = MasterKey(bytes(range(32)))
    pages = SqlPages(database=database, master=master, clock=SystemClock(), max_memory_bytes=10**9)
    count = 200
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            page = HeldPage(
                key=os.urandom(32),
                scope=f"project:{number:026}",
                endpoint="user/info",
                data=exact_json.dumps({"bio": "x" * size}),
                records=1,
                fetched_us=1_790_000_000_000_000 + number,
                expires_us=1_791_000_000_000_000 + number,
            )
            pages.remember(page, since=pages.round)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.8 < taken / pages._memory_bytes <= 1.0


async def test_held_pages_are_compressed_under_their_seal_and_older_ones_are_read_too(tmp_path: Path) -> None:
    async with opened_library(
        tmp_path, projects={"elections": ["ada"]}, platform=Platform(videos=20_000)
    ) as library:

        async def ask() -> tuple[str, Any]:
            answer = await library.ask("ada", "video/query", FIELDS, QUESTION)
            assert isinstance(answer, Delivered)
            return answer.how, json.loads(answer.data)

        _, given = await ask()
        database: Any = library.installation.database
        pages: Any = library.installation.gateway._pages
        largest = sa.text("SELECT key, scope, sealed FROM held_page ORDER BY length(sealed) DESC LIMIT 1")
        row = await database.read(lambda conn: conn.execute(largest).one())
        assert b"sim_user" not in row.sealed
        page = await pages.look(row.key, row.scope)
        assert len(page.data) > 10_000
        assert len(row.sealed) < len(page.data) / 2
        pages.forget()
        assert await ask() == ("hit", given)

        plain = seal(await pages._data_key(row.scope), page.data, _page_aad(row.key, row.scope))
        put = sa.text("UPDATE held_page SET sealed = :sealed WHERE key = :key")
        await database.write(lambda conn: conn.execute(put, {"sealed": plain, "key": row.key}))
        pages.forget()
        assert await ask() == ("hit", given)


async def test_what_is_held_is_told_and_measured_from_an_index_alone(tmp_path: Path) -> None:
    """There may be a hundred thousand pages of ten kilobytes and more."""
    async with opened_library(
        tmp_path, projects={"elections": ["ada"]}, platform=Platform(videos=500)
    ) as library:
        assert isinstance(await library.ask("ada", "video/query", FIELDS, QUESTION), Delivered)
        database: Any = library.installation.database

        def look(conn: sa.Connection) -> tuple[int, int]:
            asked: list[str] = []
            sa.event.listen(conn, "before_cursor_execute", lambda *said: asked.append(said[2]))
            (told,) = _figures(conn)
            stored_bytes(conn)
            for statement in asked[:2]:
                plan = str(conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all())
                assert "COVERING INDEX ix_held_page_age" in plan, (statement, plan)
            kept = conn.exec_driver_sql("SELECT sum(length(sealed)) FROM held_page").scalar_one()
            return told.sealed_bytes, kept

        told, kept = await database.read(look)
        assert told == kept > 0
