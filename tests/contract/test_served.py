"""Budgets on what Bursar itself counts, calls and delivered records, on every adapter's real engine."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.entries import Draft
from app.books import Intent, Reservation, Served, Superseded
from app.clock import SystemClock
from app.provider.charge import FREE, Charge
from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Dimension, Exhausted, Limit, Scope, ScopeKind, Want, Window
from app.quota.limits import HeldTo, Owners, own_wants, wants_of
from app.storage.books import SqlBooks
from app.storage.engines import Database, open_database
from app.storage.limits import SqlLimits
from app.storage.log import append
from app.storage.tables import CounterRow, EntryRow, LimitRow, RaiseRow, table
from tests.signing import boot

pytestmark = pytest.mark.anyio

OWNERS: Owners = {"credential": "c", "project": "p", "membership": "m", "key": "k"}
LIMITS = (
    ("project", "p", "calls", "day", 10),
    ("project", "p", "calls", "minute", 60),
    ("each_member", "p", "delivered", "month", 100),
    ("member", "m", "concurrent", "", 2),
    ("key", "k", "requests", "day", 5),
    ("member", "somebody else", "delivered", "day", 1),
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


async def wants(database: Database, *, delivered: int) -> tuple[Want, ...]:
    held_to = await SqlLimits(database, SystemClock()).held_to(OWNERS, revision=1)
    return own_wants(held_to, calls=1, delivered=delivered)


async def serve(
    books: SqlBooks, database: Database, *, delivered: int = 20, revision: int = 1
) -> Served | Exhausted | Superseded:
    asked = await wants(database, delivered=delivered)
    return await books.serve(Draft(type="decision", fields={}), asked, owners=OWNERS, revision=revision)


async def counted(database: Database) -> dict[tuple[str, str], tuple[int, int]]:
    def work(conn: Connection) -> dict[tuple[str, str], tuple[int, int]]:
        rows = conn.execute(sa.select(table(CounterRow)))
        return {(row.scope_kind, row.dimension): (row.used, row.reserved) for row in rows}

    return await database.read(work)


async def log(database: Database) -> list[dict[str, object]]:
    def work(conn: Connection) -> list[dict[str, object]]:
        rows = conn.execute(sa.select(table(EntryRow).c.leaf).order_by(table(EntryRow).c.ix))
        return [json.loads(row.leaf) for row in rows]

    return await database.read(work)


async def test_a_served_call_counts_where_a_budget_asks_for_it_and_nowhere_else(
    books: SqlBooks, database: Database
) -> None:
    served = await serve(books, database)
    assert isinstance(served, Served)
    assert await counted(database) == {("project", "calls"): (1, 0), ("member", "delivered"): (20, 0)}
    (entry,) = await log(database)
    assert entry["quota"] == {
        "charged": {"calls": 1, "delivered": 20},
        "days": [dt.datetime.now(dt.UTC).date().isoformat()],
    }
    standings = {(each.limit.scope.kind, each.limit.dimension): each.left for each in served.standings}
    assert standings == {
        (ScopeKind.PROJECT, Dimension.CALLS): 9,
        (ScopeKind.MEMBER, Dimension.DELIVERED): 80,
        (ScopeKind.KEY, Dimension.REQUESTS): 5,
    }


async def test_what_one_budget_refuses_is_neither_counted_nor_logged(
    books: SqlBooks, database: Database
) -> None:
    for _ in range(4):
        assert isinstance(await serve(books, database), Served)
    before = await counted(database)
    refused = await serve(books, database, delivered=21)
    assert isinstance(refused, Exhausted)
    assert (refused.limit.dimension, refused.left, refused.wanted) == (Dimension.DELIVERED, 20, 21)
    assert [room.left for room in refused.others] == [6]
    assert await counted(database) == before
    assert len(await log(database)) == 4
    assert isinstance(await serve(books, database, delivered=20), Served)


async def test_many_at_once_are_served_no_more_than_the_budget(books: SqlBooks, database: Database) -> None:
    answers = await asyncio.gather(*(serve(books, database, delivered=3) for _ in range(60)))
    assert sum(isinstance(each, Served) for each in answers) == 10
    assert await counted(database) == {("project", "calls"): (10, 0), ("member", "delivered"): (30, 0)}


async def test_on_a_directory_that_has_changed_nothing_is_served(books: SqlBooks, database: Database) -> None:
    asked = await wants(database, delivered=20)
    await append(database, boot("cli", "b2"), [Draft(type="admin", fields={})], changes_directory=True)
    answer = await books.serve(Draft(type="decision", fields={}), asked, owners=OWNERS, revision=1)
    assert answer == Superseded(revision=2)
    assert await counted(database) == {}


async def test_hits_and_misses_draw_on_the_same_budgets(books: SqlBooks, database: Database) -> None:
    async def miss(came: int, charge: Charge) -> None:
        intent = Intent(
            draft=Draft(type="intent", fields={}),
            lease_s=30,
            revision=1,
            owners=OWNERS,
            family=QuotaFamily.MAIN,
        )
        asked = (
            *wants_of(QuotaFamily.MAIN, requests=1, records=50, **OWNERS),
            *await wants(database, delivered=50),
        )
        opened = await books.open_call(asked, intent)
        assert isinstance(opened, Reservation)
        assert (await counted(database))["member", "delivered"][1] == 50
        await books.close_call(opened, charge, Draft(type="outcome", fields={}), delivered=came)

    await miss(12, Charge(requests=1, records=12))
    await serve(books, database, delivered=20)
    assert (await counted(database))["member", "delivered"] == (32, 0)
    assert (await counted(database))["project", "calls"] == (2, 0)
    # Spent at the platform, yet nothing to hand out; and never sent at all.
    await miss(0, Charge(requests=1, records=50))
    await miss(0, FREE)
    assert (await counted(database))["member", "delivered"] == (32, 0)
    assert (await counted(database))["project", "calls"] == (3, 0)
    assert (await log(database))[1]["quota"] == {
        "charged": {"requests": 1, "records": 12, "calls": 1, "delivered": 12},
        "days": [dt.datetime.now(dt.UTC).date().isoformat()],
    }


class Later(SystemClock):
    """A clock that can be moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = dt.timedelta()

    def now(self) -> dt.datetime:
        return super().now() + self.ahead


async def test_the_limits_of_a_caller_are_told_apart_by_who_counts_them(database: Database) -> None:
    held_to = await SqlLimits(database, SystemClock()).held_to(OWNERS, revision=1)
    project, member = Scope(ScopeKind.PROJECT, "p"), Scope(ScopeKind.MEMBER, "m")
    assert set(held_to.short) == {
        Limit(project, Dimension.CALLS, Window.MINUTE, 60),
        Limit(member, Dimension.CONCURRENT, None, 2),
    }
    assert set(held_to.own_budgets) == {
        Limit(project, Dimension.CALLS, Window.DAY, 10),
        Limit(member, Dimension.DELIVERED, Window.MONTH, 100),
    }


async def test_limits_are_read_anew_when_the_directory_has_changed_and_only_then(database: Database) -> None:
    limits = SqlLimits(database, SystemClock())
    first = await limits.held_to(OWNERS, revision=1)

    def change(conn: Connection) -> None:
        conn.execute(sa.update(table(LimitRow)).where(table(LimitRow).c.window == "minute").values(amount=5))

    await database.write(change)
    assert await limits.held_to(OWNERS, revision=1) is first
    await append(database, boot("cli", "b2"), [Draft(type="admin", fields={})], changes_directory=True)
    second = await limits.held_to(OWNERS, revision=2)
    assert {each.amount for each in second.short} == {5, 2}


async def test_a_raise_of_a_short_limit_begins_and_ends_by_itself(database: Database) -> None:
    clock = Later()
    now_us = int(clock.now().timestamp() * 1_000_000)
    row = {
        "id": "r",
        "scope_kind": "project",
        "scope_id": "p",
        "dimension": "calls",
        "window": "minute",
        "amount": 40,
        "from_us": now_us + 60_000_000,
        "until_us": now_us + 120_000_000,
        "reason": "a class",
        "granted_by": "os:0",
        "created_us": now_us,
        "retired_us": None,
    }
    await database.write(lambda conn: conn.execute(sa.insert(table(RaiseRow)), [row]))
    limits = SqlLimits(database, clock)

    async def a_minute() -> int:
        held_to: HeldTo = await limits.held_to(OWNERS, revision=1)
        return next(each.amount for each in held_to.short if each.dimension is Dimension.CALLS)

    assert await a_minute() == 60
    clock.ahead = dt.timedelta(seconds=61)
    assert await a_minute() == 100
    clock.ahead = dt.timedelta(seconds=121)
    assert await a_minute() == 60
