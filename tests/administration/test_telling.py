"""What each notice says and to whom: administrators of limits, a project's lead, a member; programs get no names."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.administration import telling
from app.administration.asking import ask_for_more, grant_request, refuse_request, withdraw_request
from app.administration.changes import Actor
from app.administration.freezing import Freezable, freeze, unfreeze
from app.administration.hearing import HEARD
from app.administration.keys import issue_key
from app.administration.notices import (
    Kind,
    Message,
    Notice,
    approvals_ending,
    credential_refused,
    platform_spent,
    verification_failed,
)
from app.administration.telling import message_of
from app.audit.entries import Value
from app.quota.arithmetic import Dimension, Limit, Scope, ScopeKind, Window, parse_limit_key
from app.storage.deadlines import Deadlines
from app.storage.ledger import Crossing
from app.storage.notices import threshold
from app.storage.tables import NoticeRow, table
from tests.administration.adding import add_person
from tests.administration.conftest import Office
from tests.signing import boot

pytestmark = pytest.mark.anyio

ADA, BEN, IT, DPO, QUOTA = (f"{name}@example.edu" for name in ("ada", "person0", "it", "dpo", "quota"))
NOON = int(dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC).timestamp()) * 1_000_000
SOON = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=7)


@pytest.fixture
async def staffed(office: Office) -> Office:
    """Ada leads elections, person0 is a member of it."""
    office.scene.add_people(1)
    await office.apply()
    await add_person(
        office.registry,
        office.mint,
        office.actor,
        email=QUOTA,
        name="Quota desk",
        roles=frozenset({"quota_admin"}),
    )
    return office


async def told(office: Office, notice: Notice, *, console: str = "") -> Message:
    return message_of(
        await office.registry.state(),
        notice=notice.id,
        kind=notice.kind,
        about=notice.about,
        created_us=NOON,
        console=console,
    )


async def noted(office: Office) -> list[Message]:
    """What has been noted so far, in its order."""
    each = table(NoticeRow)
    rows = await office.database.read(
        lambda conn: conn.execute(sa.select(each).order_by(each.c.created_us, each.c.id)).all()
    )
    state = await office.registry.state()
    return [
        message_of(state, notice=row.id, kind=row.kind, about=row.about, created_us=row.created_us)
        for row in rows
    ]


def addresses(message: Message) -> set[str]:
    return set(message.recipients.values())


def names_nobody(data: Mapping[str, Value]) -> bool:
    text = json.dumps(data)
    return "@" not in text and "Ada" not in text and "key found" not in text


async def crossed(office: Office, kind: ScopeKind, *, percent: int = 80) -> Message:
    state = await office.registry.state()
    project = state.project("elections")
    ben = state.person(BEN)
    assert project is not None
    assert ben is not None
    place = state.membership(project, ben)
    assert place is not None
    key = await issue_key(office.registry, office.mint, office.actor, project="elections", email=BEN)
    ids = {
        ScopeKind.CREDENTIAL: state.credentials[0].id,
        ScopeKind.PROJECT: project.id,
        ScopeKind.MEMBER: place.id,
        ScopeKind.KEY: key.key_id,
    }
    limit = Limit(Scope(kind, ids[kind]), Dimension.REQUESTS, Window.DAY, 300)
    return await told(office, threshold(Crossing(limit, percent, 3 * percent, "2026-11-25")))


DESK = {IT, QUOTA}
CONCERNED = {
    ScopeKind.CREDENTIAL: DESK,
    ScopeKind.PROJECT: DESK | {ADA},
    ScopeKind.MEMBER: DESK | {BEN},
    ScopeKind.KEY: DESK | {BEN},
}


@pytest.mark.parametrize("kind", list(ScopeKind))
async def test_a_threshold_is_told_to_those_who_set_the_limit_and_those_it_binds(
    staffed: Office, kind: ScopeKind
) -> None:
    message = await crossed(staffed, kind)
    assert addresses(message) == CONCERNED[kind]
    assert message.event == "quota.threshold"
    assert "80 %" in message.subject
    assert "has taken 240 of its limit of 300 requests a day" in message.text
    assert "2026-11-26 00:00 UTC" in message.text
    assert message.data["percent"] == 80
    assert names_nobody(message.data)
    if kind in {ScopeKind.CREDENTIAL, ScopeKind.PROJECT}:
        scope = message.data["scope"]
        assert isinstance(scope, Mapping)
        assert scope["name"] == {ScopeKind.CREDENTIAL: "main", ScopeKind.PROJECT: "elections"}[kind]


async def test_a_message_speaks_in_words_and_leads_to_the_page(staffed: Office) -> None:
    project = (await staffed.registry.state()).projects[0]
    limit = Limit(Scope(ScopeKind.PROJECT, project.id), Dimension.FOLLOWER_CALLS, Window.MONTH, 300)
    notice = threshold(Crossing(limit, 80, 240, "2026-11-01"))
    linked = await told(staffed, notice, console="https://bursar.example.edu/console")
    assert linked.subject == "80 % of follower requests a month used: Project elections"
    assert "What is left of your limits: https://bursar.example.edu/console/me\n" in linked.text
    assert "Who needs more can ask: https://bursar.example.edu/console/more\n" in linked.text
    without = await told(staffed, notice)
    assert "Who needs more can ask: in the console under Ask for more.\n" in without.text
    assert linked.data == without.data
    for said in (linked.text, without.text):
        assert "`" not in said
        assert "project:" not in said
        assert "/api/" not in said


async def test_whoever_is_retired_or_frozen_is_told_nothing(staffed: Office) -> None:
    await freeze(
        staffed.registry, staffed.mint, staffed.actor, kind=Freezable.PERSON, name=BEN, reason="a test"
    )
    assert addresses(await crossed(staffed, ScopeKind.MEMBER)) == DESK


async def test_what_the_platform_says_is_told_to_the_desk(staffed: Office) -> None:
    credential = (await staffed.registry.state()).credentials[0].id
    today = dt.date(2026, 11, 25)
    refused = await told(staffed, credential_refused(credential, today))
    spent = await told(staffed, platform_spent(credential, "main", today, calls=900, records=4_000))
    for message in (refused, spent):
        assert addresses(message) == DESK
        assert message.data["credential"] == {"id": credential, "name": "main"}
        assert names_nobody(message.data)
    assert "bursar credential verify main" in refused.text
    assert "900 calls and 4000 records" in spent.text
    assert (refused.event, spent.event) == ("credential.refused", "platform.spent")


async def test_a_request_is_told_to_the_desk_and_its_end_to_whoever_asked(staffed: Office) -> None:
    ben = (await staffed.registry.state()).person(BEN)
    assert ben is not None
    who = Actor(kind="person", principal=ben.id, roles=frozenset({"researcher"}))
    made = [
        await ask_for_more(
            staffed.registry,
            staffed.mint,
            who,
            project="elections",
            for_project=False,
            key=parse_limit_key("requests/day"),
            amount=50,
            until=SOON,
            reason="Ada said so\nand Ben as well",
        )
        for _ in range(3)
    ]
    await grant_request(staffed.registry, staffed.mint, staffed.actor, request=made[0], amount=20)
    await refuse_request(staffed.registry, staffed.actor, request=made[1], reason="nothing is left")
    await withdraw_request(staffed.registry, who, request=made[2])
    messages = await noted(staffed)
    assert [each.event for each in messages] == [*["request.made"] * 3, *["request.decided"] * 2]
    asked, granted, refused = messages[0], messages[3], messages[4]
    assert all(names_nobody(each.data) for each in messages)
    assert addresses(asked) == DESK
    assert "Reason: Ada said so\nand Ben as well\n" in asked.text
    assert f"bursar request grant {asked.data['request']}" in asked.text
    assert f"{BEN} asks for 50 more requests a day for {BEN} in elections" in asked.text
    assert "Grant or refuse it: in the console under Requests." in asked.text
    assert not any("member:" in f"{each.subject}{each.text}" for each in messages)
    assert addresses(granted) == addresses(refused) == {BEN}
    assert "The limit holds 20 more until" in granted.text
    assert "granted: 20 more" in granted.subject
    assert "refused: 50 more" in refused.subject
    assert granted.data["granted_amount"] == 20
    assert "nothing is left" in refused.text
    assert (granted.data["state"], refused.data["state"]) == ("granted", "refused")


@pytest.mark.parametrize(
    ("kind", "name", "to"),
    [
        (Freezable.CREDENTIAL, "main", {IT, DPO}),
        (Freezable.PROJECT, "elections", {IT, DPO, ADA}),
        (Freezable.PERSON, BEN, {IT, DPO}),
    ],
)
async def test_a_freeze_is_told_to_administrators_and_compliance_and_never_to_the_frozen(
    staffed: Office, kind: Freezable, name: str, to: set[str]
) -> None:
    reason = "key found in public"
    await freeze(staffed.registry, staffed.mint, staffed.actor, kind=kind, name=name, reason=reason)
    await unfreeze(staffed.registry, staffed.actor, kind=kind, name=name)
    on, off = await noted(staffed)
    assert (on.event, off.event) == ("access.frozen", "access.unfrozen")
    assert addresses(on) == addresses(off) == to
    assert reason in on.text
    assert "by os:1000" in on.text
    assert names_nobody(on.data)


@pytest.mark.parametrize(("left", "stage"), [(31, None), (30, 30), (8, 30), (7, 7), (0, 7), (-1, None)])
async def test_an_approval_that_ends_is_told_a_month_and_a_week_before(
    staffed: Office, left: int, stage: int | None
) -> None:
    projects = (await staffed.registry.state()).projects
    found = approvals_ending(projects, projects[0].approved_until - dt.timedelta(days=left))
    assert [each.id.rpartition(":")[2] for each in found] == ([] if stage is None else [str(stage)])


async def test_the_end_of_an_approval_is_told_to_administrators_and_the_lead(staffed: Office) -> None:
    until = dt.datetime.fromtimestamp(NOON / 1_000_000, dt.UTC).date() + dt.timedelta(days=6)
    staffed.scene.edit("until: 2027-06-30", f"until: {until}")
    await staffed.apply()
    state = await staffed.registry.state()
    (notice,) = approvals_ending(state.projects, until)
    message = await told(staffed, notice)
    assert (message.event, addresses(message)) == ("approval.ending", {IT, ADA})
    assert f"ends with {until} (UTC), in 6 days." in message.text
    assert message.data == {
        "project": {"id": state.projects[0].id, "name": "elections"},
        "until": until.isoformat(),
        "days": 6,
    }
    assert approvals_ending([replace(each, retired_us=1) for each in state.projects], until) == []


async def test_deadlines_are_noted_once(staffed: Office) -> None:
    today = (await staffed.registry.state()).now.date()
    staffed.scene.edit("until: 2027-06-30", f"until: {today + dt.timedelta(days=20)}")
    await staffed.apply()
    job = Deadlines(database=staffed.database, boot=boot())
    await job.look()
    await job.look()
    assert [each.event for each in await noted(staffed)] == ["approval.ending"]


async def test_a_log_that_does_not_hold_is_told_to_administrators_and_compliance(staffed: Office) -> None:
    report = {"verified": False, "finding": "gap", "size": 9, "problems": [{}, {}], "problems_left_out": 1}
    message = await told(staffed, verification_failed("v1", report))
    assert (message.event, addresses(message)) == ("audit.verification_failed", {IT, DPO})
    assert "something is missing: 3 problems" in message.text
    assert message.data == {"verification": "v1", "finding": "gap", "problems": 3, "entries": 9}


async def test_a_name_cannot_break_out_of_its_line(staffed: Office) -> None:
    state = await staffed.registry.state()
    message = message_of(state, notice="n", kind="x\r\nBcc: everybody", about={"a": 1}, created_us=NOON)
    assert "\n" not in message.subject
    assert "\r" not in message.subject
    assert message.text.count("\n") == 1


async def test_every_kind_of_notice_has_words(staffed: Office) -> None:
    from app.administration.telling import _SAY  # noqa: PLC0415

    assert set(_SAY) == set(Kind)


async def test_every_kind_that_goes_by_mail_can_be_chosen_under_its_event() -> None:
    assert {each.kind for each in HEARD} == set(Kind) - {Kind.CHECKPOINT}
    words = Path(telling.__file__).read_text()
    assert [each.event for each in HEARD if f'"{each.event}"' not in words] == []
