"""The line to the database ends at a commit: what was written is found and told, what was not is never written twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import sqlalchemy as sa

from app.audit.entries import Draft, Receipt
from app.books import Reservation
from app.clock import SystemClock
from app.errors import AuditUnavailable
from app.provider.charge import Charge
from app.provider.endpoint import QuotaFamily
from app.quota.limits import wants_of
from app.storage.books import SqlBooks
from app.storage.engines import Database, open_database
from app.storage.log import append, check_log
from app.storage.tables import LimitRow, table
from tests.contract.test_books import LIMITS, OWNERS, entries, intent, opened, outcome, used
from tests.servers.commits import CommitCutter, Cut
from tests.servers.postgres import PrivatePostgres
from tests.signing import SIGNER, boot

pytestmark = pytest.mark.anyio


@pytest.fixture
async def line(postgres_server: PrivatePostgres) -> AsyncIterator[CommitCutter]:
    async with CommitCutter(postgres_server.port) as cutter:
        yield cutter


@pytest.fixture
async def database(
    postgres_server: PrivatePostgres, migrated_postgres_url: str, line: CommitCutter
) -> AsyncIterator[Database]:
    url = migrated_postgres_url.replace(f":{postgres_server.port}/", f":{line.port}/")
    found = open_database(url)
    names = ("scope_kind", "scope_id", "dimension", "window", "amount")
    rows = [dict(zip(names, limit, strict=True)) for limit in LIMITS]
    await found.write(lambda conn: conn.execute(sa.insert(table(LimitRow)), rows))
    yield found
    await found.close()


@pytest.fixture
async def books(database: Database) -> AsyncIterator[SqlBooks]:
    found = SqlBooks(database=database, clock=SystemClock(), boot=boot())
    await found.start()
    await found.note(note())
    yield found
    await found.stop()


def note() -> Draft:
    return Draft(type="decision", fields={"op": "test"})


async def in_order(database: Database) -> list[str]:
    """The ids of the log, which is whole, and numbered by its one process without a gap or a repetition."""
    found = await entries(database)
    assert await database.read(lambda conn: check_log(conn, SIGNER)) == len(found)
    assert [each["rseq"] for each in found] == list(range(len(found)))
    ids = [str(each["id"]) for each in found]
    assert len(set(ids)) == len(ids)
    return ids


async def eventually(database: Database, size: int) -> None:
    async with asyncio.timeout(30):
        while len(await entries(database)) < size:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("cut", Cut)
async def test_a_note_is_told_as_written_if_it_was_and_as_refused_if_it_was_not(
    books: SqlBooks, database: Database, line: CommitCutter, cut: Cut
) -> None:
    draft = note()
    line.next = cut
    if cut is Cut.BEFORE:
        with pytest.raises(AuditUnavailable):
            await books.note(draft)
        assert draft.id not in await in_order(database)
    else:
        receipt = await books.note(draft)
        assert isinstance(receipt, Receipt)
        assert (await in_order(database))[receipt.index] == draft.id
    assert line.cuts == 1
    await books.note(note())
    await in_order(database)


@pytest.mark.parametrize("cut", Cut)
async def test_a_grant_is_known_or_leaves_nothing_taken(
    books: SqlBooks, database: Database, line: CommitCutter, cut: Cut
) -> None:
    line.next = cut
    if cut is Cut.BEFORE:
        with pytest.raises(AuditUnavailable):
            await opened(books)
    else:
        reservation = await opened(books, records=20)
        await books.close_call(reservation, Charge(requests=1, records=7), outcome())
        assert set((await used(database)).values()) == {(1, 0), (7, 0)}
    assert not any(reserved for _, reserved in (await used(database)).values())
    await in_order(database)


@pytest.mark.parametrize("cut", Cut)
async def test_the_end_of_a_call_is_written_once(
    books: SqlBooks, database: Database, line: CommitCutter, cut: Cut
) -> None:
    reservation = await opened(books, records=20)
    line.next = cut
    draft = outcome()
    receipt = await books.close_call(reservation, Charge(requests=1, records=7), draft)
    ids = await in_order(database)
    assert ids[receipt.index] == receipt.id == draft.id
    assert set((await used(database)).values()) == {(1, 0), (7, 0)}


async def test_what_was_granted_while_the_database_was_away_is_given_back(
    books: SqlBooks, database: Database, line: CommitCutter
) -> None:
    size = len(await entries(database))
    line.next = Cut.AFTER
    asking = asyncio.create_task(
        books.open_call(wants_of(QuotaFamily.MAIN, requests=1, records=20, **OWNERS), intent())
    )
    while not line.cuts:
        await asyncio.sleep(0.01)
    line.is_open = False
    await asyncio.sleep(0.3)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    line.is_open = True
    await eventually(database, size + 2)
    found = await entries(database)
    assert [each["type"] for each in found[size : size + 2]] == ["intent", "outcome"]
    assert found[size + 1]["err"] == "abandoned"
    assert set((await used(database)).values()) == {(0, 0)}
    await in_order(database)


async def test_what_waits_is_answered_when_the_database_is_back(
    books: SqlBooks, database: Database, line: CommitCutter
) -> None:
    line.next = Cut.AFTER
    draft = note()
    asking = asyncio.create_task(books.note(draft))
    while not line.cuts:
        await asyncio.sleep(0.01)
    line.is_open = False
    await asyncio.sleep(1.0)
    assert not asking.done()
    line.is_open = True
    receipt = await asking
    assert isinstance(receipt, Receipt)
    assert (await in_order(database))[receipt.index] == draft.id


async def test_whoever_appends_after_a_lost_answer_goes_on_with_the_numbers(
    database: Database, line: CommitCutter
) -> None:
    run = boot()
    await append(database, run, [note()])
    for cut in Cut:
        line.next = cut
        with pytest.raises(Exception, match="does not answer"):
            await append(database, run, [note(), note()])
        await append(database, run, [note()])
    # One batch was lost, and two were not.
    assert len(await in_order(database)) == 8
    assert run.seen is not None
    assert run.seen.checkpoint.size == 8


@pytest.mark.parametrize("count", [60, pytest.param(3_000, marks=pytest.mark.long)])
async def test_under_many_cuts_what_was_told_is_so(
    books: SqlBooks, database: Database, line: CommitCutter, count: int
) -> None:
    choose = random.Random(7)
    told: dict[str, int] = {}
    refused: list[str] = []

    async def one() -> None:
        draft = note()
        try:
            receipt = await books.note(draft)
            assert isinstance(receipt, Receipt)
            told[draft.id] = receipt.index
        except AuditUnavailable:
            refused.append(draft.id)

    for _ in range(count // 6):
        if choose.random() < 0.5:
            line.next = choose.choice(list(Cut))
        await asyncio.gather(*(one() for _ in range(6)))
    line.next = None
    ids = await in_order(database)
    assert {entry: ids[index] for entry, index in told.items()} == {entry: entry for entry in told}
    assert not set(refused) & set(ids)
    assert len(told) + len(refused) == count // 6 * 6
    assert line.cuts >= count // 24
    assert isinstance(await opened(books), Reservation)
