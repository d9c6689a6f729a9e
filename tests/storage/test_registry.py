import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from app.administration.changes import Actor, Change, Plan, local_operator
from app.administration.registry import EARLIER, LogSize
from app.administration.state import Person, Project, State
from app.errors import Conflict, NotReady
from app.quota.arithmetic import Dimension, Use, Window
from app.quota.limits import StoredLimit
from app.storage.engines import Database, open_database
from app.storage.registry import SqlRegistry
from app.storage.tables import CounterRow, HeadRow, table
from tests.signing import boot

pytestmark = pytest.mark.anyio

ACTOR: Actor = local_operator(7)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    yield opened
    await opened.close()


def registry(database: Database) -> SqlRegistry:
    return SqlRegistry(database=database, boot=boot("test", "0" * 16))


def person(number: int, email: str | None = None) -> Person:
    return Person(
        id=f"p{number}", email=email or f"p{number}@example.edu", name="P", roles=("lead",), created_us=5
    )


def adding(*people: Person) -> Plan:
    changes = [
        Change(kind="person", object=one.email, object_id=one.id, what="added", logged={}) for one in people
    ]
    return Plan(changes=changes, puts=people)


async def test_a_plan_is_carried_out_logged_and_makes_a_new_revision(database: Database) -> None:
    office = registry(database)
    before = await office.state()
    answer = await office.change(ACTOR, lambda state: (adding(person(1), person(2)), state.revision))
    after = await office.state()
    assert answer == before.revision
    assert after.revision == before.revision + 1
    assert [one for one in after.people] == [person(1), person(2)]  # noqa: C416
    assert await office.log_size() == LogSize(2, 2)


async def test_without_changes_nothing_is_written(database: Database) -> None:
    office = registry(database)
    assert await office.change(ACTOR, lambda state: (Plan(), "said")) == "said"
    assert (await office.state()).revision == 1
    assert await office.log_size() == LogSize(0, 0)


async def test_a_decision_that_raises_leaves_everything_as_it_was(database: Database) -> None:
    office = registry(database)

    def decide(state: State) -> tuple[Plan, None]:
        raise Conflict("no")

    with pytest.raises(Conflict):
        await office.change(ACTOR, decide)
    assert await office.log_size() == LogSize(0, 0)


async def test_records_that_collide_are_a_conflict_and_nothing_of_the_plan_stays(database: Database) -> None:
    office = registry(database)
    with pytest.raises(Conflict):
        await office.change(ACTOR, lambda _: (adding(person(1, "same@b.c"), person(2, "same@b.c")), None))
    state = await office.state()
    assert (state.people, state.revision) == ((), 1)
    assert await office.log_size() == LogSize(0, 0)
    await office.change(ACTOR, lambda _: (adding(person(3)), None))
    assert await office.log_size() == LogSize(1, 1)


async def test_what_a_record_points_at_must_exist(database: Database) -> None:
    project = Project(
        id="x",
        name="x",
        credential_id="nothing",
        approval_reference="R",
        approved_from=dt.date(2026, 1, 1),
        approved_until=dt.date(2026, 1, 2),
        lead_id=None,
        cache_scope="project",
        allow={},
        wrapped_data_key=b"",
        created_us=1,
    )
    plan = Plan(changes=[Change(kind="project", object="x", object_id="x", what="added")], puts=[project])
    with pytest.raises(Conflict):
        await registry(database).change(ACTOR, lambda _: (plan, None))


async def test_two_processes_decide_one_after_the_other_on_what_is_there(migrated_url: str) -> None:
    databases = [open_database(migrated_url) for _ in range(2)]
    offices = [registry(one) for one in databases]

    def add_one(state: State) -> tuple[Plan, int]:
        return adding(person(len(state.people))), len(state.people)

    found = await asyncio.gather(*(offices[turn % 2].change(ACTOR, add_one) for turn in range(20)))
    assert sorted(found) == list(range(20))
    assert (await offices[0].state()).revision == 21
    for one in databases:
        await one.close()


async def test_limits_keep_their_windows_and_concurrency_has_none(database: Database) -> None:
    office = registry(database)
    limits = [
        StoredLimit(
            scope_kind="project", scope_id="x", dimension=Dimension.CONCURRENT, window=None, amount=2
        ),
        StoredLimit(
            scope_kind="project", scope_id="x", dimension=Dimension.REQUESTS, window=Window.DAY, amount=2**52
        ),
    ]
    change = Change(kind="limit", object="project:x", object_id="x", what="concurrent")
    await office.change(ACTOR, lambda _: (Plan(changes=[change], puts=limits), None))
    assert list((await office.state()).limits) == limits
    await office.change(ACTOR, lambda _: (Plan(changes=[change], dropped=limits[:1]), None))
    assert list((await office.state()).limits) == limits[1:]


async def test_uses_are_days_and_the_sum_of_all_days_before(database: Database) -> None:
    rows = [
        {
            "scope_kind": "project",
            "scope_id": scope,
            "dimension": "requests",
            "day": day,
            "used": used,
            "reserved": 1,
        }
        for scope, day, used in (
            ("x", dt.date(2026, 1, 30), 2**40),
            ("x", dt.date(2026, 1, 31), 2**40),
            ("x", dt.date(2026, 2, 1), 4),
            ("y", dt.date(2026, 2, 1), 8),
        )
    ]
    await database.write(lambda conn: conn.execute(sa.insert(table(CounterRow)), rows).rowcount)
    found = await registry(database).uses({"x"}, since=dt.date(2026, 2, 1))
    assert found == {("project", "x", "requests"): {dt.date(2026, 2, 1): Use(4, 1), EARLIER: Use(2**41, 2)}}


async def test_a_database_without_a_head_is_not_ready(database: Database) -> None:
    await database.write(lambda conn: conn.execute(sa.delete(table(HeadRow))).rowcount)
    with pytest.raises(NotReady, match="bursar init"):
        await registry(database).state()
    with pytest.raises(NotReady, match="bursar init"):
        await registry(database).change(ACTOR, lambda _: (adding(person(1)), None))
