"""Tallies on each kind of database, written by the books and read for estimates."""

from collections.abc import AsyncIterator
from datetime import date

import pytest

from app.audit.entries import Draft
from app.books import Intent, Reservation
from app.clock import SystemClock
from app.provider.charge import Charge
from app.provider.endpoint import QuotaFamily
from app.provider.spans import Span
from app.quota.limits import Owners, wants_of
from app.quota.tallies import Mark, MarkedPage, Topic
from app.storage.books import SqlBooks
from app.storage.engines import Database, open_database
from app.storage.tallies import SqlTallies
from tests.signing import boot

pytestmark = pytest.mark.anyio
OWNERS: Owners = {"credential": "c", "project": "p", "membership": "m", "key": "k"}
JUNE = Span(date(2026, 6, 1), date(2026, 6, 30))


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    yield opened
    await opened.close()


@pytest.fixture
async def books(database: Database) -> AsyncIterator[SqlBooks]:
    opened = SqlBooks(database=database, clock=SystemClock(), boot=boot())
    await opened.start()
    yield opened
    await opened.stop()


def topic(question: str = "a" * 64, *, scope: str = "project:p", span: Span | None = JUNE) -> Topic:
    return Topic(question=question, conditions="c" * 64, scope=scope, endpoint="video/query", span=span)


def mark(of: Topic, place: int = 0, *, next_place: int | None = None, is_answer: bool = True) -> Mark:
    page = MarkedPage(
        is_first=place == 0,
        place=place,
        next_place=next_place,
        positions=100 if next_place is not None else 7,
        records=7,
        oldest_s=1_780_000_000 - place,
    )
    return Mark(topic=of, fields=("create_time", "id"), size=100, calls=1, page=page if is_answer else None)


async def settle(books: SqlBooks, of: Mark | None) -> None:
    draft = Draft(type="intent", fields={"op": "video/query"})
    intent = Intent(draft=draft, lease_s=30, revision=1, owners=OWNERS, family=QuotaFamily.MAIN)
    reservation = await books.open_call(wants_of(QuotaFamily.MAIN, requests=1, records=100, **OWNERS), intent)
    assert isinstance(reservation, Reservation)
    outcome = Draft(type="outcome", fields={"op": "video/query"})
    await books.close_call(reservation, Charge(requests=1, records=7), outcome, mark=of)


async def test_pages_add_up_over_transactions_as_the_pure_tally_says(
    books: SqlBooks, database: Database
) -> None:
    marks = [
        mark(topic(), 0, next_place=100),
        mark(topic(), 100, is_answer=False),
        mark(topic(), 100, next_place=200),
        mark(topic(), 200),
    ]
    for each in marks:
        await settle(books, each)
    await settle(books, None)
    found = (await SqlTallies(database).of([topic().question, "b" * 64]))[topic().question]
    assert found.topic == topic()
    assert (found.calls, found.answers) == (4, 3)
    assert found.whole == found.last
    assert found.whole is not None
    assert (found.whole.pages, found.whole.positions, found.whole.records) == (3, 207, 21)
    assert (found.whole.fields, found.whole.size, found.whole.oldest_s) == (
        ("create_time", "id"),
        100,
        1_780_000_000 - 200,
    )
    assert found.whole.at_us > 0


async def test_a_new_crawl_keeps_the_last_whole_one_beside_it(books: SqlBooks, database: Database) -> None:
    await settle(books, mark(topic()))
    await settle(books, mark(topic(), next_place=100))
    found = (await SqlTallies(database).of([topic().question]))[topic().question]
    assert found.whole is not None
    assert found.last is not None
    assert (found.whole.positions, found.last.positions, found.last.place) == (7, 100, 100)


async def test_kin_share_their_conditions_and_history_its_scope_and_endpoint(
    books: SqlBooks, database: Database
) -> None:
    same_conditions = [topic(name * 64) for name in "ab"]
    lists = Topic(
        question="d" * 64, conditions="e" * 64, scope="project:p", endpoint="user/followers", span=None
    )
    for each in (*same_conditions, lists):
        await settle(books, mark(each))
    tallies = SqlTallies(database)
    assert [each.topic for each in await tallies.kin("c" * 64)] == same_conditions[::-1]
    assert [each.topic for each in await tallies.history("project:p", "user/followers")] == [lists]
    assert await tallies.history("project:q", "user/followers") == []
    assert await tallies.of([]) == {}
