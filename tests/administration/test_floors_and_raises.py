import datetime as dt

import pytest
import sqlalchemy as sa

from app.administration.acts import set_limits
from app.administration.changes import Actor
from app.administration.desired import LimitKey
from app.administration.durations import end_of
from app.administration.raising import end_raise, grant_raise, shown_raises
from app.administration.usage import usage
from app.errors import InvalidParams, NotFound, NotPermitted
from app.quota.arithmetic import Dimension, Window
from app.quota.limits import Raise
from app.storage.tables import MirrorRow, RaiseRow, table
from tests.administration.conftest import Office

pytestmark = pytest.mark.anyio

REQUESTS: LimitKey = (Dimension.REQUESTS, Window.DAY)


def floors(office: Office, text: str) -> None:
    office.scene.edit("    member_limits: {requests/day: 100}", f"    floors: {text}")


async def soon(office: Office, days: int = 3) -> dt.datetime:
    return (await office.registry.state()).now + dt.timedelta(days=days)


async def grant(
    office: Office,
    scope: str = "project:elections",
    *,
    amount: int = 50,
    key: LimitKey = REQUESTS,
    until: dt.datetime | None = None,
    reason: str = "election night",
    actor: Actor | None = None,
) -> Raise:
    return await grant_raise(
        office.registry,
        office.mint,
        actor or office.actor,
        scope=scope,
        key=key,
        amount=amount,
        until=until or await soon(office),
        reason=reason,
    )


async def left(office: Office, scope: str) -> int:
    found = await usage(office.registry)
    return next(
        each.left for label, each in found.limits if label == scope and each.limit.dimension == "requests"
    )


async def test_a_floor_of_the_state_file_becomes_a_limit_of_its_own_kind(office: Office) -> None:
    floors(office, "{requests/day: 200, records/day: 5000}")
    await office.apply()
    assert (await office.apply()).plan.changes == ()
    kept = [each for each in (await office.registry.state()).limits if each.scope_kind == "floor"]
    assert sorted((each.dimension, each.amount) for each in kept) == [("records", 5000), ("requests", 200)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{requests/day: 1001}", "come to 1001 requests a day, more than its limit of 1000"),
        ("{requests/month: 10}", "a floor is a share of a day"),
        ("{calls/minute: 10}", "a floor is a share of a day"),
        ("{ad_calls/day: 10}", "has no limit ad_calls/day of which"),
    ],
)
async def test_a_floor_that_could_not_be_kept_is_refused(office: Office, text: str, says: str) -> None:
    floors(office, text)
    with pytest.raises(InvalidParams, match=says):
        await office.apply()


async def test_a_credentials_limit_cannot_fall_below_its_floors(office: Office) -> None:
    floors(office, "{requests/day: 200}")
    await office.apply()
    with pytest.raises(InvalidParams, match="more than its limit of 199"):
        await set_limits(office.registry, office.actor, scope="credential:main", amounts={REQUESTS: 199})
    with pytest.raises(InvalidParams, match="of which a share could be kept"):
        await set_limits(office.registry, office.actor, scope="credential:main", amounts={REQUESTS: None})
    assert await set_limits(office.registry, office.actor, scope="floor:elections", amounts={REQUESTS: None})
    assert await set_limits(office.registry, office.actor, scope="credential:main", amounts={REQUESTS: 199})


async def test_a_raise_shows_in_what_is_left_and_ends_by_itself(office: Office) -> None:
    await office.apply()
    granted = await grant(office)
    assert await left(office, "project:elections") == 350
    (shown,) = shown_raises(await office.registry.state())
    assert (shown["scope"], shown["key"], shown["amount"]) == ("project:elections", "requests/day", 50)
    past = sa.update(table(RaiseRow)).values(until_us=granted.from_us + 1)
    await office.database.write(lambda conn: conn.execute(past).rowcount)
    assert await left(office, "project:elections") == 300
    state = await office.registry.state()
    assert shown_raises(state) == []
    assert len(shown_raises(state, all_of_them=True)) == 1


async def test_a_raise_for_one_member_lies_on_the_limit_of_every_member(office: Office) -> None:
    await office.apply()
    await grant(office, "member:elections/ada@example.edu", amount=7)
    await grant(office, "each_member:elections", amount=20)
    assert await left(office, "member:elections/ada@example.edu") == 127


async def test_a_raise_can_be_ended_early_and_only_once(office: Office) -> None:
    await office.apply()
    granted = await grant(office)
    assert await end_raise(office.registry, office.actor, raise_id=granted.id)
    assert not await end_raise(office.registry, office.actor, raise_id=granted.id)
    assert await left(office, "project:elections") == 300
    with pytest.raises(NotFound):
        await end_raise(office.registry, office.actor, raise_id="nothing")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"amount": 0}, "from 1 to"),
        ({"amount": 2**53}, "from 1 to 9007199254740991"),
        ({"until": end_of(dt.date.max)}, "at most 366 days"),
        ({"reason": " "}, "Say why"),
        ({"reason": "two\nlines"}, "Say why"),
        ({"scope": "credential:main"}, "is not raised for a while"),
        ({"scope": "floor:elections"}, "is not raised for a while"),
        ({"key": (Dimension.RECORDS, Window.MONTH)}, "no limit records/month"),
        ({"until": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "ends in the future"),
        ({"until": dt.datetime(2199, 1, 1, tzinfo=dt.UTC)}, "at most 366 days"),
    ],
)
async def test_a_raise_that_makes_no_sense_is_refused(
    office: Office, changes: dict[str, object], says: str
) -> None:
    await office.apply()
    with pytest.raises(InvalidParams, match=says):
        await grant(office, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", [-1, 2**53, 10**20])
async def test_a_limit_that_not_every_client_can_read_is_refused(office: Office, amount: int) -> None:
    await office.apply()
    with pytest.raises(InvalidParams, match="from 0 to 9007199254740991"):
        await set_limits(office.registry, office.actor, scope="project:elections", amounts={REQUESTS: amount})


async def test_compliance_cannot_raise_a_limit(office: Office) -> None:
    await office.apply()
    officer = Actor(kind="person", principal="p", roles=frozenset({"compliance"}))
    with pytest.raises(NotPermitted):
        await grant(office, actor=officer)


async def test_usage_shows_what_the_platform_calls_used_up(office: Office) -> None:
    await office.apply()
    state = await office.registry.state()
    row = {
        "credential_id": state.credentials[0].id,
        "family": "main",
        "day": state.now.date(),
        "said_us": state.now_us,
        "counted_calls": 700,
        "counted_records": 52_000,
        "probes": 0,
        "next_probe_us": state.now_us + 900_000_000,
    }
    await office.database.write(lambda conn: conn.execute(sa.insert(table(MirrorRow)).values(row)).rowcount)
    shown = (await usage(office.registry, project="elections")).shown()["platform"]
    assert isinstance(shown, list)
    assert [(each["credential"], each["family"], each["counted"]) for each in shown] == [
        ("main", "main", {"calls": 700, "records": 52_000})
    ]
    yesterday = state.now.date() - dt.timedelta(days=1)
    assert (await usage(office.registry, day=yesterday)).platform == []
