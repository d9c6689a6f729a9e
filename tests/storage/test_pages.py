"""Held pages are small and unreadable in the database, and come back as they were."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from app.calls import Delivered
from app.sealing import seal
from app.storage.pages import _packed, _page_aad, _unpacked
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
