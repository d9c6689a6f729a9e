"""Which held pages a client would still be given, walked from the first on."""

import datetime as dt
import itertools
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from app import exact_json
from app.administration.held_pages import held_of
from app.cache.lifetimes import UsualLifetimes
from app.cache.pages import HeldPage
from app.identity.callers import Caller
from app.ids import KeyId, new_search_id
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.query import Page, ResearchQuery
from app.quota.estimate import Held
from app.storage.pages import page_row
from app.storage.tables import HeldPageRow, SearchRow, table
from tests.web.conftest import House

pytestmark = pytest.mark.anyio
VIDEOS = ENDPOINTS["video/query"]
NAMES = itertools.count()


@dataclass
class Shelf:
    """A question of bob's project, and the pages of it that are held."""

    house: House
    caller: Caller
    query: ResearchQuery
    search_id: str = field(default_factory=new_search_id)

    @property
    def now_us(self) -> int:
        return int(self.house.installation.clock.now().timestamp() * 1_000_000)

    async def hold(self, *places: int, age: dt.timedelta = dt.timedelta(), last: int = 300) -> None:
        for place in places:
            has_more = place + 100 < last
            data = {
                "videos": [{"id": (1_790_000_000 - place) << 32}],
                "cursor": place + 100,
                "has_more": has_more,
            }
            search_id = None if place == 0 else self.search_id
            page = Page(cursor=place, size=100, search_id=search_id)
            asked = ResearchQuery(
                endpoint="video/query", question=self.query.question, fields=self.query.fields, page=page
            )
            scope, fetched_us = self.caller.reuse_scope, self.now_us - int(age.total_seconds() * 1_000_000)
            holding = await self.house.installation.pages.seal(
                HeldPage(
                    key=asked.key(scope=scope, search=search_id),
                    scope=scope,
                    endpoint="video/query",
                    data=exact_json.dumps({**data, "search_id": self.search_id}),
                    records=90,
                    fetched_us=fetched_us,
                    expires_us=fetched_us + 86_400 * 1_000_000,
                )
            )
            assert holding is not None
            await self._insert(sa.insert(table(HeldPageRow)).values(**page_row(holding)))

    async def search(self, *, lasts: dt.timedelta) -> None:
        await self._insert(
            sa.insert(table(SearchRow)).values(
                id=self.search_id,
                scope=self.caller.reuse_scope,
                credential_id=self.caller.credential,
                question_digest=self.query.question_digest,
                upstream_id="7",
                created_us=self.now_us,
                expires_us=self.now_us + int(lasts.total_seconds() * 1_000_000),
            )
        )

    async def held(self) -> Held:
        return await held_of(
            self.house.installation.pages,
            VIDEOS,
            self.query,
            self.caller,
            usual=UsualLifetimes.set_by(self.house.installation.settings),
            now_us=self.now_us,
        )

    async def _insert(self, statement: sa.Insert) -> None:
        await self.house.installation.database.write(lambda conn: conn.execute(statement))


@pytest.fixture
async def shelf(shared_house: House) -> Shelf:
    record = await shared_house.installation.directory.by_key(KeyId(shared_house.keys["bob"].key_id))
    assert record is not None
    # A question of its own for every test, so that they may share a house.
    condition = {"field_name": "music_id", "operation": "EQ", "field_values": [str(1 + next(NAMES))]}
    body = {"query": {"and": [condition]}, "start_date": "20260901", "end_date": "20260930", "max_count": 100}
    query = read_request(VIDEOS, "fields=id", exact_json.dumps(body))
    return Shelf(shared_house, record.caller, query)


HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


async def test_nothing_is_held_of_a_new_question(shelf: Shelf) -> None:
    assert await shelf.held() == Held()


async def test_pages_are_walked_to_the_end(shelf: Shelf) -> None:
    await shelf.search(lasts=HOUR)
    await shelf.hold(0, 100, 200)
    found = await shelf.held()
    assert (found.pages, found.records, found.is_complete) == (3, 270, True)
    # The last page counts by its records; nobody knows how many places it had.
    assert found.positions == 290
    assert found.oldest_s == 1_790_000_000 - 200


async def test_pages_behind_a_gap_are_not_counted(shelf: Shelf) -> None:
    await shelf.search(lasts=HOUR)
    await shelf.hold(0, 200)
    found = await shelf.held()
    assert (found.pages, found.positions, found.is_complete) == (1, 100, False)


@pytest.mark.parametrize(("lasts", "pages"), [(-HOUR, 3), (-17 * DAY, 1)])
async def test_pages_behind_a_search_id_are_within_reach_while_it_is_known(
    shelf: Shelf, lasts: dt.timedelta, pages: int
) -> None:
    await shelf.search(lasts=lasts)
    await shelf.hold(0, 100, 200)
    assert (await shelf.held()).pages == pages


async def test_a_page_whose_time_is_over_is_not_counted(shelf: Shelf) -> None:
    await shelf.search(lasts=HOUR)
    await shelf.hold(0, 100, age=2 * DAY)
    assert await shelf.held() == Held()


async def test_what_is_held_is_told_until_the_first_page_is_over(shelf: Shelf) -> None:
    await shelf.search(lasts=HOUR)
    await shelf.hold(0, age=10 * HOUR)
    await shelf.hold(100, 200, age=HOUR)
    found = await shelf.held()
    assert found.until_us is not None
    assert abs(found.until_us - (shelf.now_us + 14 * 3_600_000_000)) < 60_000_000
    assert abs(found.at_us - (shelf.now_us - 3_600_000_000)) < 60_000_000


async def test_looking_at_held_pages_takes_no_room_from_those_in_use(shelf: Shelf) -> None:
    await shelf.search(lasts=HOUR)
    await shelf.hold(0, 100, 200)
    pages = shelf.house.installation.pages
    before = list(pages._memory)
    await shelf.held()
    assert list(pages._memory) == before
