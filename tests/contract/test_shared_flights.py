"""Of identical calls in several processes one is let through, and the others are told when it has landed."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from app.audit.entries import Receipt
from app.books import Intent, Reservation, UnderWay
from app.clock import SystemClock
from app.provider.charge import Charge
from app.provider.endpoint import QuotaFamily
from app.quota.limits import Owners, wants_of
from app.storage.books import SqlBooks
from app.storage.engines import Database, open_database
from app.storage.retention import Retention
from app.storage.tables import FlightRow, table
from tests.contract.test_books import intent, outcome
from tests.signing import boot

pytestmark = pytest.mark.anyio

OWNERS: Owners = {"credential": "c", "project": "p", "membership": "m", "key": "k"}
_KEYS = (f"{number:064x}" for number in itertools.count())
_flight = table(FlightRow)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    yield opened
    await opened.close()


@pytest.fixture
async def processes(database: Database, migrated_url: str) -> AsyncIterator[tuple[SqlBooks, SqlBooks]]:
    other = open_database(migrated_url)
    both = tuple(
        SqlBooks(database=each, clock=SystemClock(), boot=boot(f"replica-{number}", f"{number:016x}"))
        for number, each in enumerate((database, other))
    )
    for books in both:
        await books.start()
    yield both[0], both[1]
    for books in both:
        await books.stop()
    await other.close()


async def open_call(
    books: SqlBooks, flight: str | None, *, seen: int = -1, lease_s: float = 30
) -> Reservation | UnderWay:
    plain = intent(lease_s=lease_s)
    wanted = Intent(
        draft=plain.draft,
        lease_s=plain.lease_s,
        revision=plain.revision,
        owners=OWNERS,
        family=QuotaFamily.MAIN,
        flight=flight,
        seen=seen,
    )
    opened = await books.open_call(wants_of(QuotaFamily.MAIN, requests=1, records=1, **OWNERS), wanted)
    assert isinstance(opened, (Reservation, UnderWay))
    return opened


async def begin(books: SqlBooks, flight: str, **more: float) -> Reservation:
    opened = await open_call(books, flight, lease_s=more.get("lease_s", 30))
    assert isinstance(opened, Reservation)
    return opened


async def land(books: SqlBooks, opened: Reservation) -> Receipt:
    return await books.close_call(opened, Charge(requests=1, records=1), outcome())


async def forget_process(database: Database) -> None:
    """As if the process of every call under way had not been heard of for some time."""
    await database.write(lambda conn: conn.execute(sa.update(_flight).values(until_us=1)).rowcount)


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
async def test_who_asks_the_same_in_another_process_waits_and_is_told_where_the_outcome_is(
    processes: tuple[SqlBooks, SqlBooks],
) -> None:
    one, other = processes
    flight = next(_KEYS)
    opened = await begin(one, flight)
    assert await open_call(other, flight) == UnderWay(flight=flight, landed_ix=None)
    assert isinstance(await open_call(other, next(_KEYS)), Reservation)
    waiting = asyncio.ensure_future(other.landing(flight))
    receipt = await land(one, opened)
    assert await waiting == receipt.index
    # Who looked before it landed is told so once, and goes on from there.
    assert await open_call(other, flight) == UnderWay(flight=flight, landed_ix=receipt.index)
    assert isinstance(await open_call(other, flight, seen=receipt.index), Reservation)


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
async def test_a_call_of_a_process_that_is_not_heard_of_is_made_by_the_next(
    processes: tuple[SqlBooks, SqlBooks], database: Database
) -> None:
    one, other = processes
    flight = next(_KEYS)
    opened = await begin(one, flight)
    waiting = asyncio.ensure_future(other.landing(flight))
    await forget_process(database)
    assert await waiting is None
    assert isinstance(await open_call(other, flight), Reservation)
    # It was only slow: what it brings counts, and does not end the call of the other.
    await land(one, opened)
    assert await open_call(one, flight) == UnderWay(flight=flight, landed_ix=None)


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
async def test_a_call_that_takes_long_stays_under_way_until_its_lease_ends(
    processes: tuple[SqlBooks, SqlBooks], database: Database
) -> None:
    one, other = processes
    flight = next(_KEYS)
    await begin(one, flight, lease_s=600)
    await forget_process(database)
    async with asyncio.timeout(30):
        # Its process says that it lives, every other second.
        while isinstance(found := await _until(database, flight), int) and found <= 1:
            await asyncio.sleep(0.1)
    assert await open_call(other, flight) == UnderWay(flight=flight, landed_ix=None)


async def _until(database: Database, flight: str) -> int:
    asked = sa.select(_flight.c.until_us).where(_flight.c.key == flight)
    return int(await database.read(lambda conn: conn.execute(asked).scalar_one()))


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
async def test_flights_that_landed_long_ago_are_forgotten(
    processes: tuple[SqlBooks, SqlBooks], database: Database
) -> None:
    await land(processes[0], await begin(processes[0], next(_KEYS)))
    await forget_process(database)
    under_way = next(_KEYS)
    await begin(processes[0], under_way)
    await Retention(database=database, boot=boot("sweeper", "f" * 16)).sweep()
    left = await database.read(lambda conn: conn.execute(sa.select(_flight.c.key)).scalars().all())
    assert list(left) == [under_way]


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
async def test_one_process_alone_keeps_no_book_of_its_flights(
    processes: tuple[SqlBooks, SqlBooks], database: Database
) -> None:
    await begin(processes[0], flight := next(_KEYS))
    assert isinstance(await open_call(processes[0], flight), Reservation)
    count = sa.select(sa.func.count()).select_from(_flight)
    assert await database.read(lambda conn: conn.execute(count).scalar_one()) == 0
