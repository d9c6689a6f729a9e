import datetime as dt

import pytest
import sqlalchemy as sa

from app.administration.acts import set_limits
from app.administration.changes import Actor
from app.administration.desired import LimitKey
from app.administration.usage import usage
from app.errors import InvalidParams, NotFound, NotPermitted
from app.quota.arithmetic import Dimension, Window
from app.storage.tables import CounterRow, table
from tests.administration.conftest import Office

pytestmark = pytest.mark.anyio

DAY = (Dimension.REQUESTS, Window.DAY)


async def count(office: Office, kind: str, scope: str, day: dt.date, used: int, reserved: int = 0) -> None:
    row = {"scope_kind": kind, "scope_id": scope, "dimension": "requests", "day": day, "used": used}
    await office.database.write(
        lambda conn: conn.execute(sa.insert(table(CounterRow)).values({**row, "reserved": reserved})).rowcount
    )


async def figures(office: Office, **asked: object) -> dict[tuple[str, str], tuple[int, int, int]]:
    found = await usage(office.registry, **asked)  # type: ignore[arg-type]
    return {
        (scope, f"{one.limit.dimension}/{one.limit.window}"): (one.used, one.reserved, one.left)
        for scope, one in found.limits
    }


async def test_usage_shows_the_ledgers_figures_under_readable_names(office: Office) -> None:
    await office.apply()
    state = await office.registry.state()
    today, project, place = state.now.date(), state.projects[0], state.memberships[0]
    await count(office, "project", project.id, today, 40, 3)
    await count(office, "project", project.id, today - dt.timedelta(days=1), 7)
    await count(office, "member", place.id, today, 120)
    found = await usage(office.registry, project="elections")
    shown = found.shown()
    assert shown["day"] == today.isoformat()
    midnight = f"{today + dt.timedelta(days=1)}T00:00:00Z"
    assert {
        "scope": "project:elections",
        "dimension": "requests",
        "window": "day",
        "limit": 300,
        "used": 40,
        "reserved": 3,
        "left": 257,
        "resets_at": midnight,
    } in shown["limits"]
    assert (await figures(office))["member:elections/ada@example.edu", "requests/day"] == (120, 0, 0)
    yesterday = await figures(office, day=today - dt.timedelta(days=1))
    assert yesterday["project:elections", "requests/day"] == (7, 0, 293)


async def test_months_and_lifetimes_are_sums_of_days(office: Office) -> None:
    await office.apply()
    state = await office.registry.state()
    project = state.projects[0]
    amounts: dict[LimitKey, int | None] = {
        (Dimension.REQUESTS, window): 1000 for window in (Window.MONTH, Window.PROJECT)
    }
    await set_limits(office.registry, office.actor, scope="project:elections", amounts=amounts)
    for day, used in (((2026, 1, 31), 1), ((2026, 2, 1), 10), ((2026, 2, 28), 100), ((2026, 3, 1), 500)):
        await count(office, "project", project.id, dt.date(*day), used)
    found = await figures(office, day=dt.date(2026, 2, 10))
    assert found["project:elections", "requests/month"] == (110, 0, 890)
    assert found["project:elections", "requests/project"] == (611, 0, 389)
    assert found["project:elections", "requests/day"] == (0, 0, 300)


async def test_a_members_own_limit_replaces_the_one_of_each_member(office: Office) -> None:
    await office.apply()
    office.scene.edit(
        "members: [ada@example.edu]", "members: [{email: ada@example.edu, limits: {requests/day: 5}}]"
    )
    await office.apply()
    assert (await figures(office))["member:elections/ada@example.edu", "requests/day"] == (0, 0, 5)


async def test_usage_of_one_person_shows_what_binds_them(office: Office) -> None:
    await office.apply()
    scopes = {scope for scope, _ in await figures(office, email="ada@example.edu")}
    assert scopes == {"credential:main", "project:elections", "member:elections/ada@example.edu"}
    assert await figures(office, email="it@example.edu") == {}
    with pytest.raises(NotFound):
        await figures(office, email="nobody@example.edu")
    with pytest.raises(NotFound):
        await figures(office, project="nothing")


async def test_what_floors_of_others_keep_is_not_left_for_who_asks(office: Office) -> None:
    office.scene.add_project_with_floor("health", 400)
    await office.apply()
    state = await office.registry.state()
    health = state.project("health")
    assert health is not None
    await count(office, "project", health.id, state.now.date(), 150)
    slot = ("credential:main", "requests/day")
    assert (await figures(office, project="elections"))[slot] == (0, 0, 750)
    assert (await figures(office, project="health"))[slot] == (0, 0, 1_000)
    assert (await figures(office))[slot] == (0, 0, 1_000)
    # Ada may ask through either project.
    assert (await figures(office, email="ada@example.edu"))[slot] == (0, 0, 1_000)
    before = state.now.date() - dt.timedelta(days=1)
    assert (await figures(office, project="elections", day=before))[slot] == (0, 0, 1_000)


@pytest.mark.parametrize(
    "scope",
    ["credential:main", "project:elections", "each_member:elections", "member:elections/ada@example.edu"],
)
async def test_a_limit_of_each_scope_can_be_set_and_ended(office: Office, scope: str) -> None:
    await office.apply()
    change = (Dimension.DELIVERED, Window.MONTH)
    before = (await office.registry.state()).limits
    assert await set_limits(office.registry, office.actor, scope=scope, amounts={change: 9})
    assert not await set_limits(office.registry, office.actor, scope=scope, amounts={change: 9})
    assert any(one.amount == 9 for one in (await office.registry.state()).limits)
    assert await set_limits(office.registry, office.actor, scope=scope, amounts={change: None})
    assert (await office.registry.state()).limits == before


async def test_compliance_cannot_change_a_quota(office: Office) -> None:
    await office.apply()
    for roles in ({"compliance"}, {"lead", "researcher"}):
        actor = Actor(kind="person", principal="p", roles=frozenset(roles))
        with pytest.raises(NotPermitted):
            await set_limits(office.registry, actor, scope="project:elections", amounts={DAY: 1})
    actor = Actor(kind="person", principal="p", roles=frozenset({"quota_admin"}))
    assert await set_limits(office.registry, actor, scope="project:elections", amounts={DAY: 1})


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ("elections", InvalidParams),
        ("planet:earth", InvalidParams),
        ("project:nothing", NotFound),
        ("member:elections/it@example.edu", NotFound),
        ("key:nothing", NotFound),
    ],
)
async def test_a_scope_that_is_none_is_refused(office: Office, scope: str, error: type[Exception]) -> None:
    await office.apply()
    with pytest.raises(error):
        await set_limits(office.registry, office.actor, scope=scope, amounts={DAY: 1})
    with pytest.raises(InvalidParams):
        await set_limits(office.registry, office.actor, scope="project:elections", amounts={DAY: -1})
