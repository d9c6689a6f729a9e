"""A day of one credential: a greedy project and nine modest ones with floors, starting at different hours."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.entries import Draft
from app.books import Intent, Reservation
from app.provider.charge import FREE, Charge
from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Exhausted
from app.quota.limits import Owners, wants_of
from app.storage.books import SqlBooks
from app.storage.engines import Database, open_database
from app.storage.schema import migrate
from app.storage.tables import CounterRow, LimitRow, table
from tests.quota.clocked import ClockedDatabase, SetClock, us_of
from tests.quota.ledger_scene import fill
from tests.signing import boot

pytestmark = pytest.mark.anyio

_LIMIT, _FLOOR = 1_000, 50
_MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)
_TICK = timedelta(minutes=10)
_MODEST = [f"modest{number}" for number in range(1, 10)]
_GREEDY_AT_ONCE = 100


@dataclass(slots=True)
class Day:
    """The books of one credential."""

    books: SqlBooks
    database: Database
    clock: SetClock
    open: list[Reservation] = field(default_factory=list)

    async def ask_all(self, who: list[str]) -> set[str]:
        """Each of them asks once, all at the same time; who was refused."""
        answers = await asyncio.gather(*(self._ask(project) for project in who))
        assert all(isinstance(answer, Reservation | Exhausted) for answer in answers)
        self.open += [answer for answer in answers if isinstance(answer, Reservation)]
        return {
            project for project, answer in zip(who, answers, strict=True) if isinstance(answer, Exhausted)
        }

    async def settle(self, rng: random.Random) -> None:
        """What is under way ends, one call in twenty before it was sent."""
        closing, self.open = self.open, []
        costs = [FREE if rng.random() < 0.05 else Charge(requests=1, records=1) for _ in closing]
        calls = zip(closing, costs, strict=True)
        outcomes = (
            self.books.close_call(each, cost, Draft(type="outcome", fields={})) for each, cost in calls
        )
        await asyncio.gather(*outcomes)

    async def taken(self, day: datetime) -> dict[str, int]:
        """Requests charged or promised on a day, by project and for the credential."""

        def work(conn: Connection) -> dict[str, int]:
            counter = table(CounterRow)
            rows = conn.execute(
                sa.select(counter).where(
                    counter.c.scope_kind.in_(["credential", "project"]),
                    counter.c.dimension == "requests",
                    counter.c.day == day.date(),
                )
            )
            return {row.scope_id: row.used + row.reserved for row in rows}

        return await self.database.read(work)

    async def _ask(self, project: str) -> object:
        owners: Owners = {
            "credential": "c",
            "project": project,
            "membership": f"{project}-m",
            "key": f"{project}-k",
        }
        draft = Draft(type="intent", fields={"project": project})
        intent = Intent(draft=draft, lease_s=280, revision=1, owners=owners, family=QuotaFamily.MAIN)
        return await self.books.open_call(wants_of(QuotaFamily.MAIN, requests=1, records=1, **owners), intent)


def _scene(conn: Connection) -> None:
    fill(conn, {"c": ["greedy", *_MODEST]})
    rows = [("credential", "c", _LIMIT), *(("floor", project, _FLOOR) for project in _MODEST)]
    names = ("scope_kind", "scope_id", "amount")
    conn.execute(
        sa.insert(table(LimitRow)),
        [{**dict(zip(names, row, strict=True)), "dimension": "requests", "window": "day"} for row in rows],
    )


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 21))])
async def test_each_modest_project_gets_its_floor_and_the_greedy_one_all_the_rest(
    database_url: str, seed: int
) -> None:
    await migrate(database_url)
    clock = SetClock(us_of(_MIDNIGHT + timedelta(seconds=6)))
    database = ClockedDatabase(open_database(database_url), clock)
    await database.write(_scene)
    books = SqlBooks(database=database, clock=clock, boot=boot())
    await books.start()
    try:
        await live_a_day(Day(books, database, clock), random.Random(seed))
    finally:
        await books.stop()
        await database.close()


async def live_a_day(day: Day, rng: random.Random) -> None:
    starts = dict(zip(_MODEST, range(0, 23, 2), strict=False))
    wishes = {project: _FLOOR + rng.randint(0, 30) for project in _MODEST}
    now = _MIDNIGHT + timedelta(seconds=6)
    while now < _MIDNIGHT + timedelta(hours=23, minutes=59):
        day.clock.set(us_of(now))
        arrivals = [
            project for project in _MODEST if starts[project] <= now.hour for _ in range(rng.randint(0, 9))
        ]
        asking = [project for project in arrivals if wishes[project] > 0]
        for project in asking:
            wishes[project] -= 1
        everybody = ["greedy"] * _GREEDY_AT_ONCE + asking
        rng.shuffle(everybody)
        refused = await day.ask_all(everybody)
        taken = await day.taken(_MIDNIGHT)
        assert taken["c"] <= _LIMIT
        assert [project for project in refused - {"greedy"} if taken[project] < _FLOOR] == []
        await day.settle(rng)
        now += _TICK
    await check(day)


async def check(day: Day) -> None:
    # What came back after the last time that anybody asked is still there for whose it was.
    day.clock.set(us_of(_MIDNIGHT + timedelta(hours=23, minutes=59, seconds=30)))
    taken = await day.taken(_MIDNIGHT)
    missing = [project for project in _MODEST for _ in range(_FLOOR - taken[project])]
    assert await day.ask_all(["greedy"] * _GREEDY_AT_ONCE + missing) == {"greedy"}
    taken = await day.taken(_MIDNIGHT)
    assert all(taken[project] >= _FLOOR for project in _MODEST)
    assert taken["c"] == _LIMIT == taken["greedy"] + sum(taken[project] for project in _MODEST)
    # The next day is there for everybody again, and the floors are kept anew.
    day.clock.set(us_of(_MIDNIGHT + timedelta(days=1, seconds=6)))
    for _ in range(_LIMIT // _GREEDY_AT_ONCE):
        await day.ask_all(["greedy"] * _GREEDY_AT_ONCE)
    tomorrow = await day.taken(_MIDNIGHT + timedelta(days=1))
    assert tomorrow["greedy"] == _LIMIT - len(_MODEST) * _FLOOR
