"""The contract of the books' port, on every adapter's real engine."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.entries import Draft, Receipt
from app.audit.tree import Frontier, leaf_hash
from app.books import Intent, Reservation, Superseded
from app.clock import SystemClock
from app.errors import AuditUnavailable, LogBroken
from app.provider.charge import FREE, Charge
from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Exhausted, ScopeKind
from app.quota.limits import Owners, wants_of
from app.storage.books import SqlBooks
from app.storage.engines import Database, open_database
from app.storage.log import append, check_log
from app.storage.tables import CounterRow, EntryRow, LimitRow, ReservationRow, table
from tests.signing import boot

pytestmark = pytest.mark.anyio

OWNERS: Owners = {"credential": "c", "project": "p", "membership": "m", "key": "k"}
LIMITS = (
    ("credential", "c", "requests", "day", 10),
    ("project", "p", "records", "day", 500),
    ("each_member", "p", "requests", "day", 4),
)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    names = ("scope_kind", "scope_id", "dimension", "window", "amount")
    rows = [dict(zip(names, limit, strict=True)) for limit in LIMITS]
    await opened.write(lambda conn: conn.execute(sa.insert(table(LimitRow)), rows))
    yield opened
    await opened.close()


@pytest.fixture
async def books(database: Database) -> AsyncIterator[SqlBooks]:
    opened = SqlBooks(database=database, clock=SystemClock(), boot=boot("replica", "boot"))
    await opened.start()
    yield opened
    await opened.stop()


def intent(*, lease_s: float = 30, revision: int = 1, member: str = "m") -> Intent:
    draft = Draft(type="intent", fields={"op": "video/query"})
    return Intent(
        draft=draft,
        lease_s=lease_s,
        revision=revision,
        owners={**OWNERS, "membership": member},
        family=QuotaFamily.MAIN,
    )


def outcome() -> Draft:
    return Draft(type="outcome", fields={"op": "video/query"})


async def opened(books: SqlBooks, *, records: int = 20, lease_s: float = 30) -> Reservation:
    reservation = await books.open_call(
        wants_of(QuotaFamily.MAIN, requests=1, records=records, **OWNERS), intent(lease_s=lease_s)
    )
    assert isinstance(reservation, Reservation)
    return reservation


async def used(database: Database) -> dict[tuple[str, str], tuple[int, int]]:
    def work(conn: Connection) -> dict[tuple[str, str], tuple[int, int]]:
        rows = conn.execute(sa.select(table(CounterRow)))
        return {(row.scope_kind, row.dimension): (row.used, row.reserved) for row in rows}

    return await database.read(work)


async def entries(database: Database) -> list[dict[str, object]]:
    def work(conn: Connection) -> list[dict[str, object]]:
        rows = conn.execute(sa.select(table(EntryRow)).order_by(table(EntryRow).c.ix))
        return [json.loads(row.leaf) for row in rows]

    return await database.read(work)


async def test_a_call_reserves_in_every_scope_and_settles_to_its_cost(
    books: SqlBooks, database: Database
) -> None:
    reservation = await opened(books, records=20)
    assert await used(database) == {
        (kind, dimension): (0, amount)
        for kind in ("credential", "project", "member", "key")
        for dimension, amount in (("requests", 1), ("records", 20))
    }
    await books.close_call(reservation, Charge(requests=1, records=7), outcome())
    assert await used(database) == {
        (kind, dimension): (amount, 0)
        for kind in ("credential", "project", "member", "key")
        for dimension, amount in (("requests", 1), ("records", 7))
    }


async def test_a_refused_call_leaves_every_limit_untouched(books: SqlBooks, database: Database) -> None:
    for _ in range(4):
        await books.close_call(await opened(books), Charge(requests=1, records=0), outcome())
    before, size = await used(database), len(await entries(database))
    refused = await books.open_call(wants_of(QuotaFamily.MAIN, requests=1, records=20, **OWNERS), intent())
    assert isinstance(refused, Exhausted)
    assert refused.limit.scope.kind is ScopeKind.MEMBER
    assert await used(database) == before
    assert len(await entries(database)) == size


async def test_a_free_outcome_gives_everything_back(books: SqlBooks, database: Database) -> None:
    await books.close_call(await opened(books), FREE, outcome())
    assert set((await used(database)).values()) == {(0, 0)}


async def test_a_hundred_callers_at_once_get_no_more_than_the_limit(books: SqlBooks) -> None:
    async def call(number: int) -> bool:
        member = f"m{number % 30}"
        owners: Owners = {**OWNERS, "membership": member}
        wants = wants_of(QuotaFamily.MAIN, requests=1, records=1, **owners)
        answer = await books.open_call(wants, intent(member=member))
        return isinstance(answer, Reservation)

    granted = await asyncio.gather(*(call(number) for number in range(100)))
    assert sum(granted) == 10


async def test_the_log_has_no_gap_and_makes_up_its_tree(books: SqlBooks, database: Database) -> None:
    notes = (books.note(Draft(type="decision", fields={"n": number})) for number in range(200))
    receipts = await asyncio.gather(*notes)
    assert sorted(each.index for each in receipts if isinstance(each, Receipt)) == list(range(200))
    found = await entries(database)
    assert [entry["rseq"] for entry in found] == list(range(200))
    times = [int(str(entry["ts_us"])) for entry in found]
    assert times == sorted(times)
    assert await database.read(check_log) == 200


async def test_a_receipt_names_the_leaf_that_is_stored(books: SqlBooks, database: Database) -> None:
    receipt = await books.note(Draft(type="decision", fields={}))
    assert isinstance(receipt, Receipt)
    leaf = await database.read(lambda conn: conn.execute(sa.select(table(EntryRow).c.leaf)).scalar_one())
    assert leaf_hash(leaf) == receipt.leaf_hash
    assert Frontier().append(receipt.leaf_hash).size == receipt.size == receipt.index + 1


async def test_a_decision_on_an_old_directory_is_neither_logged_nor_reserved(
    books: SqlBooks, database: Database
) -> None:
    await append(database, boot("cli", "b2"), [Draft(type="admin", fields={})], changes_directory=True)
    assert await books.note(Draft(type="decision", fields={}), revision=1) == Superseded(revision=2)
    old = await books.open_call(
        wants_of(QuotaFamily.MAIN, requests=1, records=1, **OWNERS), intent(revision=1)
    )
    assert old == Superseded(revision=2)
    assert isinstance(await books.note(Draft(type="decision", fields={}), revision=2), Receipt)
    assert [entry["type"] for entry in await entries(database)] == ["admin", "decision"]


async def test_an_ended_lease_stays_charged_and_closes_its_intent(
    books: SqlBooks, database: Database
) -> None:
    reservation = await opened(books, records=20, lease_s=0.01)
    for _ in range(300):
        if len(await entries(database)) == 2:
            break
        await asyncio.sleep(0.1)
    closing = (await entries(database))[1]
    assert (closing["type"], closing["err"]) == ("outcome", "crash_unknown")
    assert closing["intent_ix"] == reservation.receipt.index
    assert (await used(database))["credential", "records"] == (20, 0)
    left = await database.read(lambda conn: conn.execute(sa.select(table(ReservationRow))).all())
    assert left == []


async def test_an_outcome_after_its_lease_charges_nothing_twice(books: SqlBooks, database: Database) -> None:
    reservation = await opened(books, records=20, lease_s=0.01)
    for _ in range(300):
        if len(await entries(database)) == 2:
            break
        await asyncio.sleep(0.1)
    await books.close_call(reservation, Charge(requests=1, records=20), outcome())
    assert (await used(database))["credential", "records"] == (20, 0)
    assert (await entries(database))[2]["quota"] == {"charged": {"requests": 0, "records": 0}, "late": True}


async def test_a_caller_that_leaves_while_it_waits_is_charged_nothing(
    books: SqlBooks, database: Database
) -> None:
    wants = wants_of(QuotaFamily.MAIN, requests=1, records=20, **OWNERS)
    waiting = [asyncio.ensure_future(books.open_call(wants, intent(member=f"m{n}"))) for n in range(8)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for _ in range(300):
        if all(reserved == 0 for _, reserved in (await used(database)).values()):
            break
        await asyncio.sleep(0.02)
    assert all(counts == (0, 0) for counts in (await used(database)).values())


async def test_an_entry_that_cannot_be_written_fails_alone(books: SqlBooks, database: Database) -> None:
    drafts = [
        Draft(type="decision", fields={"text": "x" * (20_000 if number == 3 else 10)}) for number in range(8)
    ]
    outcomes = await asyncio.gather(*(books.note(draft) for draft in drafts), return_exceptions=True)
    assert [isinstance(outcome, Receipt) for outcome in outcomes] == [number != 3 for number in range(8)]
    assert await database.read(check_log) == 7


async def test_entries_that_were_changed_or_lost_are_found_at_start(
    books: SqlBooks, database: Database
) -> None:
    for number in range(5):
        await books.note(Draft(type="decision", fields={"n": number}))

    def head_says_more(conn: Connection) -> None:
        conn.execute(sa.text("UPDATE head SET size = size + 1"))

    await database.write(head_says_more)
    with pytest.raises(LogBroken):
        await database.read(check_log)


async def test_after_the_end_nothing_more_is_promised(database: Database) -> None:
    ended = SqlBooks(database=database, clock=SystemClock(), boot=boot("replica", "ended"))
    await ended.start()
    await ended.stop()
    with pytest.raises(AuditUnavailable):
        await ended.note(Draft(type="decision", fields={}))
