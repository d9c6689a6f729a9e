"""Two-person control of the terms: what weakens a rule waits for another administrator, whichever door it comes by."""

import dataclasses
import datetime as dt

import pytest

from app.administration.acts import apply_state
from app.administration.changes import Plan
from app.administration.drafting import wanted_of
from app.administration.loosening import RulesSet
from app.administration.proposals import confirm, refuse, shown_proposals
from app.administration.ruling import set_mode, state_value
from app.administration.state import RuleMode, State, StatedValue
from app.errors import Conflict, NotPermitted
from app.policy.values import VALUES
from app.storage.registry import SqlRegistry
from tests.administration.conftest import Office
from tests.administration.test_apply import entries
from tests.administration.test_second_person import IT, SECOND
from tests.signing import boot

pytestmark = pytest.mark.anyio

RULE = "refresh-interval/1"
LONG_AGO = dt.date(2020, 1, 1)


@pytest.fixture
async def guarded(office: Office) -> Office:
    """An office where one person alone weakens no rule; the scene is applied."""
    await office.apply()
    registry = SqlRegistry(database=office.database, boot=boot(), needs_second_person=True)
    return dataclasses.replace(office, registry=registry, actor=IT)


async def stating(
    office: Office, amount: int, *, name: str = "refresh_interval_days", day: dt.date = LONG_AGO
) -> RulesSet:
    return await state_value(
        office.registry, IT, name=name, amount=amount, from_day=day, source="Agreement, 4"
    )


async def amount(office: Office, name: str = "refresh_interval_days") -> int:
    state = await office.registry.state()
    return VALUES[name].at(state.now.date(), state.policy.amounts.get(name, ()))


async def mode(office: Office, rule: str = RULE) -> str:
    return (await office.registry.state()).policy.modes.get(rule, "enforce")


async def test_a_weaker_mode_waits_and_a_stricter_one_does_not(guarded: Office) -> None:
    done = await set_mode(guarded.registry, IT, rule=RULE, mode="shadow")
    assert (bool(done), await mode(guarded)) == (False, "enforce")
    (proposal,) = done.waiting
    with pytest.raises(NotPermitted, match="yourself"):
        await confirm(guarded.registry, IT, proposal_id=proposal.id)
    await confirm(guarded.registry, SECOND, proposal_id=proposal.id)
    assert await mode(guarded) == "shadow"
    proposed, changed, decided = (await entries(guarded))[-3:]
    told = {"what": "rule.mode", "rule": RULE, "before": "enforce", "after": "shadow"}
    assert (proposed["op"], proposed["after"]) == ("proposal.proposed", told)
    assert (changed["op"], changed["before"], changed["after"]) == ("rule.set", "enforce", "shadow")
    assert (changed["proposal"], changed["proposed_by"]) == (proposal.id, "person:it")
    assert (decided["op"], decided["actor"]) == (
        "proposal.confirmed",
        {"kind": "person", "principal": "second", "roles": ["admin"]},
    )
    assert await set_mode(guarded.registry, IT, rule=RULE, mode="warn")
    assert await mode(guarded) == "warn"


@pytest.mark.parametrize(
    ("name", "first", "weaker"),
    [("refresh_interval_days", 15, 30), ("access_period_years", 2, 3), ("publication_notice_days", 30, 7)],
)
async def test_a_number_that_asks_less_waits_and_one_that_asks_more_does_not(
    guarded: Office, name: str, first: int, weaker: int
) -> None:
    done = await stating(guarded, weaker, name=name)
    assert (bool(done), await amount(guarded, name)) == (False, first)
    await confirm(guarded.registry, SECOND, proposal_id=done.waiting[0].id)
    assert await amount(guarded, name) == weaker
    assert await stating(guarded, first, name=name)
    assert await amount(guarded, name) == first


async def test_a_number_that_asks_less_from_a_day_to_come_waits_as_well(guarded: Office) -> None:
    day = (await guarded.registry.state()).now.date() + dt.timedelta(days=40)
    assert not await stating(guarded, 30, day=day)
    assert await stating(guarded, 10, day=day)


async def test_dropping_a_stricter_amount_waits(guarded: Office) -> None:
    assert await stating(guarded, 5)
    found = await apply_state(
        guarded.registry, guarded.mint, IT, wanted_of({"values": {"refresh_interval_days": []}}), prune=True
    )
    assert ([each.after for each in found.waiting], await amount(guarded)) == ([None], 5)
    await confirm(guarded.registry, SECOND, proposal_id=found.waiting[0].id)
    assert await amount(guarded) == 15


async def test_a_state_file_does_the_rest_and_proposes_what_weakens(guarded: Office) -> None:
    wanted = wanted_of({"rules": {"roster-limit": "warn", "date-span": "enforce"}})
    found = await apply_state(guarded.registry, guarded.mint, IT, wanted)
    assert [each.permission for each in found.waiting] == [{"rule": "roster-limit/1"}]
    assert await mode(guarded, "roster-limit/1") == "enforce"


async def test_the_same_again_is_the_same_proposal_and_another_takes_its_place(guarded: Office) -> None:
    first = await stating(guarded, 30)
    assert (await stating(guarded, 30)).waiting == first.waiting
    second = await stating(guarded, 60)
    outcomes = {each.id: each.outcome for each in (await guarded.registry.state()).proposals}
    assert outcomes == {first.waiting[0].id: "superseded", second.waiting[0].id: "open"}
    await refuse(guarded.registry, IT, proposal_id=second.waiting[0].id)
    assert await amount(guarded) == 15


async def test_a_proposal_holds_for_what_it_was_made_on(guarded: Office) -> None:
    done = await stating(guarded, 30)
    assert await stating(guarded, 10)
    with pytest.raises(Conflict, match="something else held"):
        await confirm(guarded.registry, SECOND, proposal_id=done.waiting[0].id)
    assert await amount(guarded) == 10


async def test_the_registry_refuses_a_plan_that_weakens_without_a_confirmation(guarded: Office) -> None:
    def plan(state: State) -> tuple[Plan, None]:
        return Plan(puts=(RuleMode(rule=RULE, mode="warn", set_us=state.now_us),)), None

    def longer(state: State) -> tuple[Plan, None]:
        new = StatedValue(
            name="refresh_interval_days", from_day=LONG_AGO, amount=16, source="x", stated_us=state.now_us
        )
        return Plan(puts=(new,)), None

    for sneaking in (plan, longer):
        with pytest.raises(NotPermitted, match="second administrator"):
            await guarded.registry.change(IT, sneaking)


async def test_what_waits_is_shown_in_words(guarded: Office) -> None:
    await stating(guarded, 30)
    await set_mode(guarded.registry, IT, rule=RULE, mode="warn")
    shown = {each["what"]: each["about"] for each in shown_proposals(await guarded.registry.state())}
    assert shown == {
        "rule.value": "refresh_interval_days from 2020-01-01: 15 -> 30",
        "rule.mode": "refresh-interval/1: enforce -> warn",
    }


async def test_without_two_person_control_both_are_done_at_once(office: Office) -> None:
    await office.apply()
    assert await set_mode(office.registry, IT, rule=RULE, mode="shadow")
    assert await stating(office, 30)
    assert (await mode(office), await amount(office)) == ("shadow", 30)
