"""Pages go for want of room while people page: whoever goes on gets the records that a direct crawl gets."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.calls import Delivered, TurnedDown
from app.provider.endpoint import AnswerForm
from app.simulator.dataset import username
from app.storage.tables import HeldPageRow, table
from tests.servers.library import Library, Platform, opened_library

pytestmark = pytest.mark.anyio

FIELDS = ("id", "create_time", "username", "region_code")
WIDE: Mapping[str, Any] = {
    "query": {"and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE"]}]},
    "start_date": "20261001",
    "end_date": "20261005",
    "max_count": 50,
}
NARROW = {**WIDE, "start_date": "20261002"}


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    opened = opened_library(
        tmp_path,
        projects={"elections": ["ada"]},
        platform=Platform(videos=40_000),
        max_held_database_bytes=1,
    )
    async with opened as library:
        await library.installation.room.rounds.stop()
        library.installation.room.rounds._stopping.clear()
        yield library


async def evict(library: Library, *, aged_s: int = 2 * 3_600) -> int:
    """Have pages go that were fetched so long ago by now."""
    older = sa.update(table(HeldPageRow)).values(fetched_us=HeldPageRow.fetched_us - aged_s * 1_000_000)
    await library.installation.database.write(lambda conn: conn.execute(older).rowcount)
    went = await library.installation.room.sweep()
    # As another process sees it, which has nothing at hand.
    library.installation.pages.forget()
    return went


async def directly(library: Library, endpoint: str, body: Mapping[str, Any]) -> list[Any]:
    found, asked = list[Any](), dict(body)
    while True:
        fields = FIELDS if endpoint == "video/query" else ()
        data = (await library.platform.ask(endpoint, fields, asked)).json()["data"]
        found += data["videos" if "videos" in data else "user_followers"]
        if not data["has_more"]:
            return found
        asked |= {name: data[name] for name in ("cursor", "search_id") if name in data}


async def crawl(
    library: Library, endpoint: str, body: Mapping[str, Any], *, aged_s: int | None
) -> tuple[list[Any], list[str], str | None]:
    """The records, how each page was come by, and what ended it before its end."""
    found, ways, asked = list[Any](), list[str](), dict(body)
    fields = FIELDS if endpoint == "video/query" else ()
    while True:
        answer = await library.ask("ada", endpoint, fields, asked)
        if isinstance(answer, TurnedDown):
            return found, ways, answer.error.message
        assert isinstance(answer, Delivered)
        assert answer.form is AnswerForm.ENVELOPE
        data = json.loads(answer.data)
        found += data["videos" if "videos" in data else "user_followers"]
        ways.append(f"{answer.how} {answer.detail}")
        if aged_s is not None:
            await evict(library, aged_s=aged_s)
        if not data["has_more"]:
            return found, ways, None
        asked |= {name: data[name] for name in ("cursor", "search_id") if name in data}


async def test_a_search_goes_on_when_its_pages_go_after_each_answer(library: Library) -> None:
    expected = await directly(library, "video/query", WIDE)
    assert len(expected) > 200
    found, ways, end = await crawl(library, "video/query", WIDE, aged_s=2 * 3_600)
    assert (found, end) == (expected, None)
    # Half of each full page is bought twice, and that is all that it costs.
    assert len(ways) == library.platform.requests()


async def test_a_list_by_time_goes_on_while_its_page_is_young(library: Library) -> None:
    accounts = library.platform.state.accounts
    name = username(next(n for n in range(1, 500) if 250 < len(accounts.followers(n)) < 700))
    body = {"username": name, "max_count": 30}
    expected = await directly(library, "user/followers", body)
    assert (await crawl(library, "user/followers", body, aged_s=0))[::2] == (expected, None)
    # Later nobody could say any more where a cursor of Bursar's own points to.
    assert await evict(library) > 0
    found, _, end = await crawl(library, "user/followers", body, aged_s=2 * 3_600)
    assert (found, end) == (expected[:30], "Invalid count or cursor")


async def test_a_search_out_of_a_wider_one_is_begun_again_in_the_platforms_words(library: Library) -> None:
    await crawl(library, "video/query", WIDE, aged_s=None)
    spent = library.platform.requests()
    found, ways, end = await crawl(library, "video/query", NARROW, aged_s=2 * 3_600)
    assert ways == ["hit contained"]
    assert end is not None
    assert end.endswith("is invalid or expired")
    assert library.platform.requests() == spent
    expected = await directly(library, "video/query", NARROW)
    assert found == expected[:50]
    assert (await crawl(library, "video/query", NARROW, aged_s=None))[::2] == (expected, None)
