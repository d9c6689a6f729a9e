"""A seeded sequence of calls at awkward moments, told in full: `python -m tests.quota.zone_sequence URL SEED`.

What it prints must not depend on the time zone of the process, nor on that of the database's server.
"""

import asyncio
import json
import random
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.entries import Draft
from app.books import Intent, Reservation
from app.provider.charge import Charge
from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Exhausted, Standing, ratelimit_headers, retry_after_s
from app.quota.limits import explain, wants_of
from app.storage.books import SqlBooks
from app.storage.engines import Database, open_database
from app.storage.schema import migrate
from app.storage.tables import EntryRow, LimitRow, table
from tests.quota.clocked import ClockedDatabase, SetClock, us_of
from tests.quota.ledger_scene import CALLERS, PROJECTS_OF, actor, fill, named
from tests.signing import boot

_AROUND = (
    datetime(2026, 10, 25, 1, 0, tzinfo=UTC),  # clocks go back in Europe
    datetime(2026, 11, 1, 6, 0, tzinfo=UTC),  # and in New York
    datetime(2027, 3, 14, 7, 0, tzinfo=UTC),  # where they go forward again
    datetime(2027, 4, 3, 15, 0, tzinfo=UTC),  # on Lord Howe Island they go back by half an hour
    datetime(2028, 1, 1, tzinfo=UTC),
    datetime(2028, 2, 29, tzinfo=UTC),
    datetime(2028, 3, 1, tzinfo=UTC),
)
_LIMITS = (
    ("credential", "c1", "requests", "day", 4),
    ("credential", "c1", "records", "month", 200),
    ("project", "p1", "requests", "month", 9),
    ("each_member", "p1", "requests", "day", 3),
    ("floor", "p2", "requests", "day", 1),
    ("key", "k5", "requests", "project", 12),
)
_CALLS_AROUND_EACH = 12


def _scene(conn: Connection) -> None:
    fill(conn, PROJECTS_OF)
    names = ("scope_kind", "scope_id", "dimension", "window", "amount")
    conn.execute(sa.insert(table(LimitRow)), [dict(zip(names, row, strict=True)) for row in _LIMITS])


def _entries(conn: Connection) -> list[dict[str, Any]]:
    leaves = conn.execute(sa.select(table(EntryRow).c.leaf).order_by(table(EntryRow).c.ix)).scalars()
    return [{name: value for name, value in json.loads(leaf).items() if name != "id"} for leaf in leaves]


def _told(standings: tuple[Standing, ...], now: datetime) -> list[object]:
    rows = sorted(
        [each.limit.scope.id, each.limit.dimension, each.limit.window or "", each.used, each.reserved, each.left,
         "" if each.resets_at is None else each.resets_at.isoformat()]
        for each in standings
    )  # fmt: skip
    return [rows, ratelimit_headers(standings, now)]


async def run(books: SqlBooks, clock: SetClock, rng: random.Random) -> list[object]:
    """What each call was told."""
    told: list[object] = []
    for around in _AROUND:
        offsets = sorted(rng.uniform(-30, 30) for _ in range(_CALLS_AROUND_EACH))
        for now in [around - timedelta(hours=7), *(around + timedelta(seconds=each) for each in offsets)]:
            clock.set(us_of(now))
            owners, records = rng.choice(CALLERS), rng.randint(0, 40)
            draft = Draft(type="intent", fields={"actor": actor(owners)})
            intent = Intent(
                draft=draft, lease_s=10, revision=1, owners=named(owners), family=QuotaFamily.MAIN
            )
            wants = wants_of(QuotaFamily.MAIN, requests=1, records=records, **named(owners))
            answer = await books.open_call(wants, intent)
            if isinstance(answer, Exhausted):
                told.append([explain(answer, clock.now()), retry_after_s(answer, clock.now())])
                continue
            assert isinstance(answer, Reservation)
            told.append(
                [*_told(answer.standings, clock.now()), round(answer.days_end_s - clock.monotonic_s(), 3)]
            )
            # The others are left to their leases.
            if rng.random() < 0.8:
                charge = Charge(requests=1, records=rng.randint(0, records))
                fields = {"intent_ix": answer.receipt.index}
                await books.close_call(answer, charge, Draft(type="outcome", fields=fields))
            await books.end_leases()
    return told


async def main(url: str, seed: int) -> None:
    await migrate(url)
    clock = SetClock(us_of(_AROUND[0] - timedelta(days=1)))
    database: Database = ClockedDatabase(open_database(url), clock)
    await database.write(_scene)
    books = SqlBooks(database=database, clock=clock, boot=boot(), reap_every_s=10**9)
    await books.start()
    try:
        told = await run(books, clock, random.Random(seed))
        entries = await database.read(_entries)
    finally:
        await books.stop()
        await database.close()
    json.dump({"told": told, "entries": entries}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
