"""What the books do while their database fails, hangs or has no room, and how they go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal, TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from structlog.testing import capture_logs

from app.audit.entries import Draft, Receipt
from app.books import Intent, Reservation, Superseded
from app.clock import SystemClock
from app.errors import AuditUnavailable, StoreUnavailable
from app.provider.charge import Charge
from app.provider.endpoint import QuotaFamily
from app.quota.limits import Owners, wants_of
from app.storage.books import SqlBooks
from app.storage.disk import Disk
from app.storage.engines import Database, Prompt, open_database
from app.storage.heartbeats import Heartbeats
from app.storage.log import check_log
from app.storage.tables import CounterRow, EntryRow, table
from tests.signing import boot

pytestmark = pytest.mark.anyio

T = TypeVar("T")
_entry = table(EntryRow)
OWNERS: Owners = {"credential": "c", "project": "p", "membership": "m", "key": "k"}
_MOST_QUEUED, _MOST_IN_BATCH = 4_096, 256
_WITHIN_S = 30.0


class Faulty(Prompt):
    """A database whose writes fail or hang when it is told so, or that is away altogether."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, within_s=_WITHIN_S)
        self.fails: list[Literal["before", "after"]] = []
        """How the next writes fail: before anything is done, or after it was done in full."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_away = self.is_unread = False

    async def read(self, work: Callable[[Connection], T]) -> T:
        if self.is_away or self.is_unread:
            raise StoreUnavailable("not read")
        return await super().read(work)

    async def write(
        self, work: Callable[[Connection], T], *, committed: Callable[[T], object] | None = None
    ) -> T:
        await self.gate.wait()
        if self.is_away:
            raise StoreUnavailable("not done")
        how = self.fails.pop(0) if self.fails else None
        if how == "before":
            raise StoreUnavailable("not done")
        done = await super().write(work, committed=committed)
        if how == "after":
            raise StoreUnavailable("done, and nobody knows")
        return done


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Faulty]:
    opened = open_database(migrated_url)
    yield Faulty(opened)
    await opened.close()


@pytest.fixture
async def books(database: Faulty) -> AsyncIterator[SqlBooks]:
    opened = SqlBooks(database=database, clock=SystemClock(), boot=boot())
    await opened.start()
    yield opened
    database.gate.set()
    await opened.stop()


async def opened_call(books: SqlBooks) -> Reservation:
    intent = Intent(
        draft=Draft(type="intent", fields={}), lease_s=60, revision=1, owners=OWNERS, family=QuotaFamily.MAIN
    )
    reservation = await books.open_call(wants_of(QuotaFamily.MAIN, requests=1, records=20, **OWNERS), intent)
    assert isinstance(reservation, Reservation)
    return reservation


def note() -> Draft:
    return Draft(type="decision", fields={})


async def types(database: Database) -> list[str]:
    asked = sa.select(_entry.c.type).order_by(_entry.c.ix)
    return list(await database.read(lambda conn: conn.execute(asked).scalars().all()))


async def counted(database: Database) -> set[tuple[str, int, int]]:
    rows = await database.read(lambda conn: conn.execute(sa.select(table(CounterRow))).all())
    return {(row.dimension, row.used, row.reserved) for row in rows}


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not is_so():
            await asyncio.sleep(0.02)


SETTLED = {("requests", 1, 0), ("records", 7, 0)}
COST = Charge(requests=1, records=7)


async def test_the_end_of_a_call_is_tried_again_until_it_is_written(
    books: SqlBooks, database: Faulty
) -> None:
    reservation = await opened_call(books)
    database.fails = ["before"] * 3
    refused, receipt = await asyncio.gather(
        books.note(note()),
        books.close_call(reservation, COST, Draft(type="outcome", fields={})),
        return_exceptions=True,
    )
    assert isinstance(refused, AuditUnavailable)
    assert isinstance(receipt, Receipt)
    assert await types(database) == ["intent", "outcome"]
    assert await counted(database) == SETTLED


async def test_an_end_that_was_written_and_reported_failed_is_written_once(
    books: SqlBooks, database: Faulty
) -> None:
    reservation = await opened_call(books)
    database.fails = ["after"]
    receipt = await books.close_call(reservation, COST, Draft(type="outcome", fields={}))
    assert receipt.index == reservation.receipt.index + 1
    assert isinstance(await books.note(note()), Receipt)
    assert await types(database) == ["intent", "outcome", "decision"]
    assert await counted(database) == SETTLED
    assert await database.read(check_log) == 3


async def test_an_end_that_can_never_be_written_keeps_nobody_else_from_it(
    books: SqlBooks, database: Faulty
) -> None:
    reservation = await opened_call(books)
    poison = Draft(type="outcome", fields={"text": "x" * 20_000})
    ending = asyncio.ensure_future(books.close_call(reservation, COST, poison))
    receipts = await asyncio.gather(*(books.note(note()) for _ in range(50)))
    assert all(isinstance(each, Receipt) for each in receipts)
    with pytest.raises(AuditUnavailable):
        await ending


async def test_what_was_not_written_is_told_once_and_it_finds_out_by_itself_that_it_can_be_again(
    books: SqlBooks, database: Faulty
) -> None:
    database.fails = ["before"] * 4
    with capture_logs() as told:
        with pytest.raises(AuditUnavailable, match="audit_unavailable"):
            await books.note(note())
        assert books.trouble is not None
        await until(lambda: books.trouble is None)
    assert [each["event"] for each in told] == [
        "the log cannot be written: requests are refused",
        "the log can be written again",
    ]
    assert isinstance(await books.note(note()), Receipt)


async def test_a_database_that_is_away_is_told_once_though_nobody_asks(
    books: SqlBooks, database: Faulty
) -> None:
    with capture_logs() as told:
        database.is_away = True
        await until(lambda: books.trouble is not None)
        await asyncio.sleep(3)
        assert books.trouble is not None
        database.is_away = False
        await until(lambda: books.trouble is None)
    assert [each["event"] for each in told] == [
        "the log cannot be written: requests are refused",
        "the log can be written again",
    ]


async def test_reads_that_fail_while_the_log_can_be_written_are_no_trouble(
    books: SqlBooks, database: Faulty
) -> None:
    before = books.commits.cumulative()
    with capture_logs() as told:
        database.is_unread = True
        await until(lambda: books.commits.cumulative() != before)
    assert books.trouble is None
    assert told == []


async def test_a_heartbeat_that_cannot_be_written_makes_the_books_find_out(
    books: SqlBooks, database: Faulty
) -> None:
    hearts = Heartbeats(
        database=database, boot=boot(), every_s=0.05, config="", release="", failed=books.try_writing
    )
    await hearts.start()
    with capture_logs() as told:
        database.fails = ["before"] * 8  # only writes: what is only read shows nothing of it
        await until(lambda: books.trouble is not None)
        await until(lambda: books.trouble is None)
    await hearts.stop()
    assert len(told) == 2


async def test_a_database_that_hangs_is_noticed_before_anybody_is_refused(
    books: SqlBooks, database: Faulty
) -> None:
    database.gate.clear()
    waiting = asyncio.ensure_future(books.note(note()))
    await until(lambda: books.trouble is not None)
    assert not waiting.done()
    with pytest.raises(AuditUnavailable, match="does not answer"):
        await waiting
    database.gate.set()
    await until(lambda: books.trouble is None)


async def test_ten_times_what_may_wait_is_refused_at_once_and_takes_no_memory(
    books: SqlBooks, database: Faulty
) -> None:
    database.gate.clear()
    await asyncio.sleep(0)
    before = resident_bytes()
    waiting: list[asyncio.Future[Receipt | Superseded]] = []
    refused = 0
    for _ in range(10 * _MOST_QUEUED):
        asked = asyncio.ensure_future(books.note(note()))
        await asyncio.sleep(0)
        if asked.done():
            refused += isinstance(asked.exception(), AuditUnavailable)
        else:
            waiting.append(asked)
    grown = resident_bytes() - before
    assert refused + len(waiting) == 10 * _MOST_QUEUED
    assert _MOST_QUEUED <= len(waiting) <= _MOST_QUEUED + _MOST_IN_BATCH
    assert grown <= 64 * 1024 * 1024
    database.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    written = sum(isinstance(each, Receipt) for each in outcomes)
    assert all(isinstance(each, Receipt | AuditUnavailable) for each in outcomes)
    await until(lambda: books.queued == 0)
    assert await database.read(check_log) >= written


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4_096


async def test_on_a_full_disk_no_call_is_opened_and_the_rest_goes_on(
    database: Faulty, tmp_path: Path
) -> None:
    disk = Disk(tmp_path, warn_percent=0, refuse_percent=100)
    books = SqlBooks(database=database, clock=SystemClock(), boot=boot(), disk=disk)
    await books.start()
    reservation = await opened_call(books)
    disk.level = "full"
    with pytest.raises(AuditUnavailable, match="almost full"):
        await opened_call(books)
    assert isinstance(await books.note(note()), Receipt)
    assert books.trouble is None
    disk.spend()
    with pytest.raises(AuditUnavailable, match="no room"):
        await books.note(note())
    assert "no room" in (books.trouble or "")
    await books.close_call(reservation, COST, Draft(type="outcome", fields={}))
    assert await types(database) == ["intent", "decision", "outcome"]
    await until(lambda: books.trouble is None)
    await opened_call(books)
    await books.stop()
