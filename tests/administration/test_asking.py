import datetime as dt
from collections.abc import Awaitable, Callable

import pytest

from app.administration.asking import (
    MOST_OPEN,
    RequestState,
    ask_for_more,
    grant_request,
    refuse_request,
    shown_requests,
    withdraw_request,
)
from app.administration.changes import Actor
from app.administration.keys import issue_key
from app.administration.raising import end_raise
from app.administration.usage import usage
from app.clock import SystemClock
from app.errors import Conflict, InvalidParams, NotFound, NotPermitted
from app.identity.attempts import Attempts
from app.identity.bearers import Bearers
from app.identity.keys import AccessTokens
from app.quota.arithmetic import parse_limit_key
from app.storage.directory import SqlDirectory
from tests.administration.adding import add_person
from tests.administration.conftest import Office
from tests.administration.test_apply import entries

pytestmark = pytest.mark.anyio

ADA = "ada@example.edu"
SOON = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=7)


async def person(office: Office, email: str, *roles: str) -> Actor:
    known = (await office.registry.state()).person(email)
    assert known is not None
    return Actor(kind="person", principal=known.id, roles=frozenset(roles))


async def asked(
    office: Office,
    who: Actor,
    *,
    limit: str = "requests/day",
    amount: int = 50,
    for_project: bool = False,
    until: dt.date = SOON,
    reason: str = "the election is moved forward",
    project: str = "elections",
) -> str:
    return await ask_for_more(
        office.registry,
        office.mint,
        who,
        project=project,
        for_project=for_project,
        key=parse_limit_key(limit),
        amount=amount,
        until=until,
        reason=reason,
    )


async def left(office: Office, scope: str) -> int:
    found = await usage(office.registry, project="elections")
    return next(
        each.left for name, each in found.limits if name == scope and each.limit.dimension == "requests"
    )


@pytest.fixture
async def ada(office: Office) -> Actor:
    await office.apply()
    return await person(office, ADA, "researcher")


async def test_a_granted_request_raises_the_askers_limit_alone(office: Office, ada: Actor) -> None:
    request = await asked(office, ada)
    assert await left(office, f"member:elections/{ADA}") == 100
    raise_id = await grant_request(office.registry, office.mint, office.actor, request=request)
    assert await left(office, f"member:elections/{ADA}") == 150
    assert await left(office, "project:elections") == 300
    state = await office.registry.state()
    shown = shown_requests(state)[0]
    assert (shown.state, shown.raise_id, shown.decided_by) == (RequestState.GRANTED, raise_id, "os:1000")
    assert (shown.scope, shown.limit, shown.amount) == (f"member:elections/{ADA}", "requests/day", 50)
    made = next(each for each in state.raises if each.id == raise_id)
    assert made.until_us == int(dt.datetime.combine(SOON, dt.time(), dt.UTC).timestamp() + 86_400) * 1_000_000
    await end_raise(office.registry, office.actor, raise_id=raise_id)
    assert await left(office, f"member:elections/{ADA}") == 100


async def test_whoever_leads_a_project_asks_for_it_and_nobody_else(office: Office, ada: Actor) -> None:
    request = await asked(office, ada, for_project=True)
    await grant_request(office.registry, office.mint, office.actor, request=request)
    assert await left(office, "project:elections") == 350
    office.scene.add_people(1)
    await office.apply()
    member = await person(office, "person0@example.edu", "researcher")
    with pytest.raises(NotPermitted):
        await asked(office, member, for_project=True)
    assert await asked(office, member)


async def test_the_granting_person_may_give_another_amount_and_other_days(office: Office, ada: Actor) -> None:
    request = await asked(office, ada)
    earlier = SOON - dt.timedelta(days=5)
    raise_id = await grant_request(
        office.registry, office.mint, office.actor, request=request, amount=20, until=earlier
    )
    state = await office.registry.state()
    made = next(each for each in state.raises if each.id == raise_id)
    assert (made.amount, made.reason) == (20, "the election is moved forward")
    assert dt.datetime.fromtimestamp(made.until_us / 1e6, dt.UTC).date() == earlier + dt.timedelta(days=1)
    # What was asked for stays on record.
    (shown,) = shown_requests(state)
    assert (shown.amount, shown.until) == (50, SOON)
    assert (shown.granted_amount, shown.granted_until) == (20, earlier)


async def test_a_refusal_is_told_with_its_reason_and_raises_nothing(office: Office, ada: Actor) -> None:
    request = await asked(office, ada)
    with pytest.raises(InvalidParams):
        await refuse_request(office.registry, office.actor, request=request, reason=" ")
    await refuse_request(office.registry, office.actor, request=request, reason="nothing is left")
    state = await office.registry.state()
    assert [(each.state, each.decision_reason) for each in shown_requests(state)] == [
        (RequestState.REFUSED, "nothing is left")
    ]
    assert state.raises == ()


async def test_a_request_is_decided_once(office: Office, ada: Actor) -> None:
    ends: dict[str, Callable[[str], Awaitable[object]]] = {
        "granted": lambda it: grant_request(office.registry, office.mint, office.actor, request=it),
        "refused": lambda it: refuse_request(office.registry, office.actor, request=it, reason="no"),
        "withdrawn": lambda it: withdraw_request(office.registry, ada, request=it),
    }
    for first, end in ends.items():
        request = await asked(office, ada)
        await end(request)
        for again in ends.values():
            with pytest.raises(Conflict, match=first):
                await again(request)
    assert len((await office.registry.state()).raises) == 1


async def test_nobody_decides_on_their_own_request_whatever_their_roles(office: Office, ada: Actor) -> None:
    request = await asked(office, ada)
    everything = await person(office, ADA, "researcher", "lead", "quota_admin", "admin")
    with pytest.raises(NotPermitted, match="own request"):
        await grant_request(office.registry, office.mint, everything, request=request)
    with pytest.raises(NotPermitted, match="own request"):
        await refuse_request(office.registry, everything, request=request, reason="no")
    other = await person(office, "it@example.edu", "admin")
    assert await grant_request(office.registry, office.mint, other, request=request)


async def test_only_those_who_set_limits_decide(office: Office, ada: Actor) -> None:
    request = await asked(office, ada)
    for role in ("researcher", "lead", "compliance"):
        other = await person(office, "dpo@example.edu", role)
        with pytest.raises(NotPermitted):
            await grant_request(office.registry, office.mint, other, request=request)
        with pytest.raises(NotPermitted):
            await refuse_request(office.registry, other, request=request, reason="no")


async def test_a_request_is_withdrawn_by_whoever_made_it(office: Office, ada: Actor) -> None:
    request = await asked(office, ada)
    stranger = await person(office, "dpo@example.edu", "researcher")
    with pytest.raises(NotFound):
        await withdraw_request(office.registry, stranger, request=request)
    await withdraw_request(office.registry, ada, request=request)
    assert shown_requests(await office.registry.state(), state_is=RequestState.OPEN) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"limit": "records/month"},
        {"until": SOON - dt.timedelta(days=8)},
        {"until": SOON + dt.timedelta(days=400)},
        {"reason": ""},
        {"reason": "x" * 1_001},
        {"reason": "turned \u202earound"},
        {"reason": "a bell\x07"},
    ],
)
async def test_what_could_never_be_granted_cannot_be_asked(
    office: Office, ada: Actor, changes: dict[str, object]
) -> None:
    with pytest.raises(InvalidParams):
        await asked(office, ada, **changes)  # type: ignore[arg-type]
    assert shown_requests(await office.registry.state()) == []


async def test_what_it_is_for_may_take_several_lines(office: Office, ada: Actor) -> None:
    request = await asked(office, ada, reason=" The election is moved. \r\n\r\n- two weeks\r\n- " + "x" * 900)
    (shown,) = shown_requests(await office.registry.state())
    assert shown.reason.splitlines()[:3] == ["The election is moved.", "", "- two weeks"]
    raise_id = await grant_request(office.registry, office.mint, office.actor, request=request)
    made = next(each for each in (await office.registry.state()).raises if each.id == raise_id)
    assert made.reason.startswith("The election is moved. - two weeks - xxx")


async def test_nobody_asks_for_a_project_that_they_have_no_part_in(office: Office, ada: Actor) -> None:
    stranger = await person(office, "dpo@example.edu", "researcher")
    with pytest.raises(NotFound):
        await asked(office, stranger)
    with pytest.raises(NotFound):
        await asked(office, ada, project="nowhere")
    with pytest.raises(NotPermitted):
        await asked(office, await person(office, ADA, "compliance"))


async def test_so_many_requests_are_open_at_once_and_no_more(office: Office, ada: Actor) -> None:
    made = [await asked(office, ada) for _ in range(MOST_OPEN)]
    with pytest.raises(Conflict):
        await asked(office, ada)
    await withdraw_request(office.registry, ada, request=made[0])
    assert await asked(office, ada)


async def test_what_a_leaver_asked_for_is_not_granted_any_more(office: Office, ada: Actor) -> None:
    without = office.scene.path.read_text()
    office.scene.add_people(1)
    await office.apply()
    leaver = await person(office, "person0@example.edu", "researcher")
    request = await asked(office, leaver)
    office.scene.path.write_text(without)
    await office.apply(prune=True)
    with pytest.raises(Conflict, match="left"):
        await grant_request(office.registry, office.mint, office.actor, request=request)
    await refuse_request(office.registry, office.actor, request=request, reason="has left")


async def test_asking_disturbs_no_call_and_granting_counts_for_the_next(office: Office, ada: Actor) -> None:
    key = await issue_key(office.registry, office.mint, office.actor, project="elections", email=ADA)
    revision = (await office.registry.state()).revision
    request = await asked(office, ada)
    assert (await office.registry.state()).revision == revision
    await grant_request(office.registry, office.mint, office.actor, request=request)
    assert (await office.registry.state()).revision == revision + 1
    bearers = Bearers(
        directory=SqlDirectory(office.database),
        access_tokens=AccessTokens(b"t" * 32),
        pepper=office.mint.pepper,
        clock=SystemClock(),
        attempts=Attempts(clock=SystemClock(), per_minute=10),
    )
    assert (await bearers.caller(f"Bearer {key.api_key}", source="test")).revision == revision + 1


async def test_every_step_is_logged_without_anybodys_words(office: Office, ada: Actor) -> None:
    granted, refused = await asked(office, ada), await asked(office, ada)
    await grant_request(office.registry, office.mint, office.actor, request=granted)
    await refuse_request(office.registry, office.actor, request=refused, reason="nothing is left")
    steps = [each for each in await entries(office) if str(each["op"]).startswith("request.")]
    assert [each["op"] for each in steps] == [
        *("request.requested", "request.requested"),
        *("request.granted", "request.refused"),
    ]
    assert {each["asked_by"] for each in steps} == {ada.principal}
    raised = next(each for each in await entries(office) if each["op"] == "raise.added")
    assert raised["object"] == {"kind": "raise", "id": steps[2]["raise"]}
    said = str(steps) + str(raised)
    for words in ("election is moved", "nothing is left", ADA):
        assert words not in said


async def test_requests_are_found_by_state_project_and_person(office: Office, ada: Actor) -> None:
    office.scene.add_people(1)
    await office.apply()
    other = await person(office, "person0@example.edu", "researcher")
    first, second = await asked(office, ada), await asked(office, other)
    await withdraw_request(office.registry, ada, request=first)
    state = await office.registry.state()
    assert [each.id for each in shown_requests(state)] == [first, second]
    assert [each.id for each in shown_requests(state, state_is=RequestState.OPEN)] == [second]
    assert [each.id for each in shown_requests(state, email=ADA)] == [first]
    assert [each.id for each in shown_requests(state, project="elections")] == [first, second]
    await add_person(
        office.registry, office.mint, office.actor, email="new@example.edu", name="New", roles=frozenset()
    )
    state = await office.registry.state()
    assert shown_requests(state, email="new@example.edu") == []
    with pytest.raises(NotFound):
        shown_requests(state, email="nobody@example.edu")
    with pytest.raises(NotFound):
        shown_requests(state, project="nowhere")
