"""What an estimate takes for left: the same that the ledger would give, floors, raises and mirrors included."""

import datetime as dt

import pytest
import sqlalchemy as sa

from app.administration.budgets import Budgets, budgets_of
from app.administration.raising import grant_raise
from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Dimension, Window, limit_name
from app.quota.limits import Owners
from app.storage.tables import CounterRow, MirrorRow, table
from tests.administration.conftest import Office

pytestmark = pytest.mark.anyio


async def owners(office: Office, project: str = "elections", *, person: str | None = None) -> Owners:
    state = await office.registry.state()
    found, somebody = state.project(project), None if person is None else state.person(person)
    assert found is not None
    place = None if somebody is None else state.membership(found, somebody)
    return {
        "credential": found.credential_id,
        "project": found.id,
        "membership": "" if place is None else place.id,
        "key": "",
    }


async def budgets(office: Office, of: Owners) -> Budgets:
    return await budgets_of(office.registry, await office.registry.state(), of, QuotaFamily.MAIN)


def left(found: Budgets) -> dict[str, tuple[int, int]]:
    return {limit_name(each.limit): (each.left, each.whole) for each in found.left()}


async def use(office: Office, kind: str, scope_id: str, dimension: str, amount: int) -> None:
    today = (await office.registry.state()).now.date()
    row = {"scope_kind": kind, "scope_id": scope_id, "dimension": dimension, "day": today}
    insert = sa.insert(table(CounterRow)).values(**row, used=amount, reserved=0)
    await office.database.write(lambda conn: conn.execute(insert))


async def test_what_was_used_today_is_left_out_of_today_alone(office: Office) -> None:
    await office.apply()
    of = await owners(office)
    await use(office, "project", of["project"], "requests", 120)
    found = left(await budgets(office, of))
    assert found["project-requests-day"] == (180, 300)
    assert found["credential-requests-day"] == (1_000, 1_000)


async def test_a_person_has_limits_of_their_own_and_a_project_as_such_has_none(office: Office) -> None:
    await office.apply()
    assert "member-requests-day" not in left(await budgets(office, await owners(office)))
    ada = left(await budgets(office, await owners(office, person="ada@example.edu")))
    assert ada["member-requests-day"] == (100, 100)
    # A minute is no budget of days.
    assert not any(name.endswith("minute") for name in ada)


async def test_a_raise_counts_while_it_holds(office: Office) -> None:
    await office.apply()
    until = (await office.registry.state()).now + dt.timedelta(days=3)
    await grant_raise(
        office.registry,
        office.mint,
        office.actor,
        scope="project:elections",
        key=(Dimension.REQUESTS, Window.DAY),
        amount=50,
        until=until,
        reason="election night",
    )
    assert left(await budgets(office, await owners(office)))["project-requests-day"] == (350, 350)


async def test_the_floors_of_other_projects_are_kept_today_and_on_every_day_to_come(office: Office) -> None:
    office.scene.add_project_with_floor("health", 400)
    await office.apply()
    await use(office, "project", (await owners(office, "health"))["project"], "requests", 150)
    elections = left(await budgets(office, await owners(office)))
    # 250 of the floor are still open today; tomorrow all 400 are.
    assert elections["credential-requests-day"] == (750, 600)
    assert left(await budgets(office, await owners(office, "health")))["credential-requests-day"] == (
        1_000,
        1_000,
    )


async def test_a_day_that_the_platform_calls_used_up_is_closed_to_its_family(office: Office) -> None:
    await office.apply()
    of, now = await owners(office), (await office.registry.state()).now
    soon_us = int((now + dt.timedelta(hours=1)).timestamp() * 1_000_000)
    row = {"credential_id": of["credential"], "family": "main", "day": now.date(), "said_us": soon_us}
    row |= {"counted_calls": 7, "counted_records": 70, "probes": 0, "next_probe_us": soon_us}
    await office.database.write(lambda conn: conn.execute(sa.insert(table(MirrorRow)).values(**row)))
    closed = (await budgets(office, of)).closed
    assert closed is not None
    assert closed.counted_calls == 7
    graph = await budgets_of(office.registry, await office.registry.state(), of, QuotaFamily.GRAPH)
    assert graph.closed is None
