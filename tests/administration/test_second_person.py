"""Two-person control: what raises a credential waits for another administrator, whichever door it comes by."""

import dataclasses
from collections.abc import Mapping

import pytest

from app.administration.acts import LimitsSet, add_credential, rotate_credential, set_limits
from app.administration.changes import Actor, Change, Plan
from app.administration.difference import limit_key
from app.administration.doctor import examine
from app.administration.ending import retire
from app.administration.proposals import confirm, refuse, shown_proposals
from app.administration.registry import LogSize
from app.administration.state import Proposal, State
from app.errors import Conflict, InvalidParams, NotFound, NotPermitted
from app.quota.arithmetic import parse_limit_key
from app.storage.registry import SqlRegistry
from tests.administration.conftest import OPERATOR, Office
from tests.administration.test_apply import entries, said
from tests.signing import boot

pytestmark = pytest.mark.anyio

DAY, RECORDS = parse_limit_key("requests/day"), parse_limit_key("records/day")
IT = Actor(kind="person", principal="it", roles=frozenset({"admin"}))
QUOTA = Actor(kind="person", principal="quota", roles=frozenset({"quota_admin"}))
SECOND = Actor(kind="person", principal="second", roles=frozenset({"admin"}))


@pytest.fixture
async def guarded(office: Office) -> Office:
    """An office where one person alone raises no credential; the scene is applied."""
    await office.apply()
    registry = SqlRegistry(database=office.database, boot=boot(), needs_second_person=True)
    return dataclasses.replace(office, registry=registry, actor=IT)


async def amount(office: Office, scope: str = "credential", dimension: str = "requests") -> int | None:
    state = await office.registry.state()
    found = [each for each in state.limits if (each.scope_kind, each.dimension) == (scope, dimension)]
    return found[0].amount if found else None


async def raise_to(office: Office, wanted: int | None, actor: Actor = IT) -> LimitsSet:
    return await set_limits(office.registry, actor, scope="credential:main", amounts={DAY: wanted})


async def test_a_raised_limit_waits_until_somebody_else_confirms_it(guarded: Office) -> None:
    done = await raise_to(guarded, 2_000)
    assert (bool(done), await amount(guarded)) == (False, 1_000)
    (proposal,) = done.waiting
    with pytest.raises(NotPermitted, match="yourself"):
        await confirm(guarded.registry, IT, proposal_id=proposal.id)
    assert await amount(guarded) == 1_000
    confirmed = await confirm(guarded.registry, SECOND, proposal_id=proposal.id)
    assert (confirmed.outcome, await amount(guarded)) == ("confirmed", 2_000)
    proposed, raised, decided = (await entries(guarded))[-3:]
    assert (proposed["op"], proposed["actor"]) == (
        "proposal.proposed",
        {"kind": "person", "principal": "it", "roles": ["admin"]},
    )
    assert (raised["op"], raised["before"], raised["after"]) == ("limit.set", 1_000, 2_000)
    assert (raised["proposal"], raised["proposed_by"]) == (proposal.id, "person:it")
    assert (decided["op"], decided["actor"]) == (
        "proposal.confirmed",
        {"kind": "person", "principal": "second", "roles": ["admin"]},
    )


async def test_lowering_and_limiting_anew_need_nobody(guarded: Office) -> None:
    assert await raise_to(guarded, 500)
    month = parse_limit_key("requests/month")
    assert await set_limits(guarded.registry, IT, scope="credential:main", amounts={month: 9_000})
    assert (await guarded.registry.state()).proposals == ()


async def test_the_limits_of_projects_are_not_the_credentials(guarded: Office) -> None:
    assert await set_limits(guarded.registry, QUOTA, scope="project:elections", amounts={DAY: 900})
    assert await amount(guarded, "project") == 900


async def test_ending_a_limit_is_raising_it(guarded: Office) -> None:
    (proposal,) = (await raise_to(guarded, None, QUOTA)).waiting
    assert (proposal.after, await amount(guarded)) == (None, 1_000)
    await confirm(guarded.registry, SECOND, proposal_id=proposal.id)
    assert await amount(guarded) is None


async def test_only_administrators_confirm(guarded: Office) -> None:
    (proposal,) = (await raise_to(guarded, 2_000, QUOTA)).waiting
    for role in ("quota_admin", "compliance", "lead", "researcher"):
        actor = Actor(kind="person", principal=role, roles=frozenset({role}))
        with pytest.raises(NotPermitted):
            await confirm(guarded.registry, actor, proposal_id=proposal.id)
    assert await amount(guarded) == 1_000


async def test_a_local_operator_does_not_confirm_what_they_proposed(guarded: Office) -> None:
    (proposal,) = (await raise_to(guarded, 2_000, OPERATOR)).waiting
    with pytest.raises(NotPermitted):
        await confirm(guarded.registry, OPERATOR, proposal_id=proposal.id)
    await confirm(guarded.registry, IT, proposal_id=proposal.id)


async def test_a_refused_proposal_changes_nothing_and_is_over(guarded: Office) -> None:
    (proposal,) = (await raise_to(guarded, 2_000)).waiting
    await refuse(guarded.registry, SECOND, proposal_id=proposal.id)
    assert await amount(guarded) == 1_000
    for act in (confirm, refuse):
        with pytest.raises(Conflict, match="refused already"):
            await act(guarded.registry, SECOND, proposal_id=proposal.id)
    with pytest.raises(NotFound):
        await confirm(guarded.registry, SECOND, proposal_id="nothing")
    assert (await entries(guarded))[-1]["op"] == "proposal.refused"


async def test_proposing_the_same_again_is_proposing_it_once_and_another_amount_takes_its_place(
    guarded: Office,
) -> None:
    (first,) = (await raise_to(guarded, 2_000)).waiting
    logged = len(await entries(guarded))
    (again,) = (await raise_to(guarded, 2_000, SECOND)).waiting
    assert (again.id, len(await entries(guarded))) == (first.id, logged)
    (other,) = (await raise_to(guarded, 3_000)).waiting
    outcomes = {each.id: each.outcome for each in (await guarded.registry.state()).proposals}
    assert outcomes == {first.id: "superseded", other.id: "open"}
    await confirm(guarded.registry, SECOND, proposal_id=other.id)
    assert await amount(guarded) == 3_000


async def test_a_proposal_holds_only_for_the_limit_that_it_was_made_on(guarded: Office) -> None:
    (proposal,) = (await raise_to(guarded, 2_000)).waiting
    await raise_to(guarded, 500)
    with pytest.raises(Conflict, match="requests/day is 500 now, and was 1000"):
        await confirm(guarded.registry, SECOND, proposal_id=proposal.id)
    assert await amount(guarded) == 500


async def test_applying_a_state_file_holds_the_raise_back_and_carries_out_the_rest(guarded: Office) -> None:
    guarded.scene.edit(
        "limits: {requests/day: 1000, records/day: 100000", "limits: {requests/day: 5000, records/day: 90000"
    )
    guarded.scene.edit("limits: {requests/day: 300", "limits: {requests/day: 400")
    dry = await guarded.apply(is_dry_run=True)
    found = await guarded.apply()
    assert (
        said(found)
        == said(dry)
        == [
            ("limit", "credential:main", "records/day"),
            ("limit", "project:elections", "requests/day"),
            ("proposal", "credential:main", "proposed"),
        ]
    )
    (waiting,) = found.waiting
    assert (waiting.what, waiting.before, waiting.after) == ("requests/day", 1_000, 5_000)
    assert await amount(guarded) == 1_000
    assert await amount(guarded, dimension="records") == 90_000
    again = await guarded.apply()
    assert (again.plan.changes, list(again.waiting)) == ((), [waiting])
    await confirm(guarded.registry, SECOND, proposal_id=waiting.id)
    after = await guarded.apply()
    assert (after.plan.changes, list(after.waiting)) == ((), [])


async def test_pruning_a_credentials_limit_waits_too(guarded: Office) -> None:
    guarded.scene.edit("limits: {requests/day: 1000, records/day: 100000", "limits: {records/day: 100000")
    (waiting,) = (await guarded.apply(prune=True)).waiting
    assert (waiting.what, waiting.after, await amount(guarded)) == ("requests/day", None, 1_000)


async def test_a_raised_roster_waits_with_its_permission(guarded: Office) -> None:
    guarded.scene.edit(
        "roster_limit: 10", "roster_limit: 12\n    permission: {reference: P-7, file: ada.pdf}"
    )
    (waiting,) = (await guarded.apply()).waiting
    state = await guarded.registry.state()
    assert (state.credentials[0].roster_limit, state.credentials[0].permission) == (10, {})
    guarded.scene.add_people(11)
    with pytest.raises(InvalidParams, match=r"12 people .* waits for a second person"):
        await guarded.apply()
    await confirm(guarded.registry, SECOND, proposal_id=waiting.id)
    await guarded.apply()
    state = await guarded.registry.state()
    assert (state.credentials[0].roster_limit, state.credentials[0].permission["reference"]) == (12, "P-7")
    assert len(state.memberships) == 12


async def test_a_new_credential_begins_with_ten_people_whatever_it_asks_for(office: Office) -> None:
    registry = SqlRegistry(database=office.database, boot=boot(), needs_second_person=True)
    guarded = dataclasses.replace(office, registry=registry)
    guarded.scene.edit("roster_limit: 10", "roster_limit: 50\n    permission: {reference: P-7}")
    found = await guarded.apply()
    assert (await registry.state()).credentials[0].roster_limit == 10
    added = found.plan.changes[0]
    assert isinstance(added.after, dict)
    assert (added.what, added.after["roster_limit"], added.after["permission"]) == ("added", 10, None)
    assert [each.after for each in found.waiting] == [50]


TWIN: Mapping[str, str] = {
    "name": "twin",
    "base_url": "https://open.tiktokapis.com",
    "client_key": "aw000example",
    "client_secret": "from-the-platform-9e1c",
}


async def add_twin(office: Office, **limits: int) -> dict[str, int | None]:
    """What waits once it has been added."""
    amounts = {parse_limit_key(key.replace("_a_", "/")): amount for key, amount in limits.items()}
    waiting = await add_credential(office.registry, office.mint, office.actor, **TWIN, limits=amounts)
    assert {each.before for each in waiting} == {0}
    return {each.what: each.after for each in waiting}


async def retire_all(office: Office) -> None:
    for kind in ("projects", "credentials"):
        for each in getattr(await office.registry.state(), kind):
            await retire(office.registry, office.actor, kind=kind[:-1], object_id=each.id)


async def amounts_of(office: Office, name: str) -> dict[str, int]:
    state = await office.registry.state()
    (credential,) = (each for each in state.credentials if each.name == name)
    return {limit_key(each): each.amount for each in state.limits if each.scope_id == credential.id}


COUNTED = ("requests", "records", "follower_calls", "follower_records", "ad_calls", "ad_records")


async def test_a_retired_account_comes_back_as_a_twin_with_nothing_to_spend(guarded: Office) -> None:
    await retire_all(guarded)
    waiting = await add_twin(guarded, requests_a_day=900_000, requests_a_month=9)
    assert waiting == {
        **{f"{each}/day": None for each in COUNTED},
        "requests/day": 900_000,
        "requests/month": 9,
    }
    assert await amounts_of(guarded, "twin") == dict.fromkeys(waiting, 0)
    for each in (await guarded.registry.state()).proposals:
        with pytest.raises(NotPermitted, match="yourself"):
            await confirm(guarded.registry, IT, proposal_id=each.id)
        await confirm(guarded.registry, SECOND, proposal_id=each.id)
    assert await amounts_of(guarded, "twin") == {"requests/day": 900_000, "requests/month": 9}


async def test_a_twin_without_limits_is_bounded_as_well(guarded: Office) -> None:
    await retire_all(guarded)
    waiting = await add_twin(guarded)
    assert waiting == {f"{each}/day": None for each in COUNTED}
    done = await set_limits(guarded.registry, IT, scope="credential:twin", amounts={DAY: 2_000})
    assert (bool(done), [each.after for each in done.waiting]) == (False, [2_000])
    assert (await amounts_of(guarded, "twin"))["requests/day"] == 0


async def test_a_state_file_that_adds_a_credential_says_what_waits_and_then_nothing_more(
    guarded: Office,
) -> None:
    guarded.scene.edit(
        "terms:\n  - version",
        "  - name: second\n    base_url: https://open.tiktokapis.com\n    client_key: aw001example\n"
        "    client_secret_file: secrets/tiktok\n    limits: {requests/day: 50}\nterms:\n  - version",
    )
    found = await guarded.apply(prune=True)
    assert [(each.before, each.after) for each in found.waiting if each.what == "requests/day"] == [(0, 50)]
    again = await guarded.apply(prune=True)
    assert (again.plan.changes, len(again.waiting)) == ((), len(found.waiting))
    for each in found.waiting:
        await confirm(guarded.registry, SECOND, proposal_id=each.id)
    after = await guarded.apply(prune=True)
    assert (after.plan.changes, list(after.waiting)) == ((), [])
    assert await amounts_of(guarded, "second") == {"requests/day": 50}


async def test_a_credential_that_comes_back_has_nothing_to_spend_either(guarded: Office) -> None:
    await retire_all(guarded)
    guarded.scene.edit("client_key: aw000example", "client_key: aw009another")
    found = await guarded.apply()
    waiting = {each.what: (each.before, each.after) for each in found.waiting}
    assert waiting["requests/day"] == (0, 1_000)
    assert set((await amounts_of(guarded, "main")).values()) == {0}


async def test_a_share_of_a_day_that_waits_cannot_be_kept(guarded: Office) -> None:
    await retire_all(guarded)
    guarded.scene.edit("member_limits: {requests/day: 100}", "floors: {requests/day: 100}")
    with pytest.raises(InvalidParams, match="waits for a second person"):
        await guarded.apply()


async def test_a_credential_does_not_become_another_account(guarded: Office) -> None:
    async def rotate(name: str, client_key: str) -> bool:
        return await rotate_credential(
            guarded.registry, guarded.mint, IT, name=name, client_secret="fresh-2b8d", client_key=client_key
        )

    # Where there never was another there is no other's limit to get by it.
    assert await rotate("main", "aw005renamed")
    await add_twin(guarded)
    with pytest.raises(NotPermitted, match="stays the account that it is"):
        await rotate("main", "aw006another")
    assert await rotate("main", "aw005renamed") is False
    guarded.scene.edit("client_key: aw000example", "client_key: aw006another")
    with pytest.raises(NotPermitted, match="stays the account that it is"):
        await guarded.apply(is_dry_run=True)
    with pytest.raises(NotPermitted, match="stays the account that it is"):
        await guarded.apply()


async def test_the_first_credentials_of_an_installation_have_their_limits_at_once(office: Office) -> None:
    registry = SqlRegistry(database=office.database, boot=boot(), needs_second_person=True)
    found = await dataclasses.replace(office, registry=registry).apply()
    assert (list(found.waiting), await amount(office)) == ([], 1_000)


async def test_no_door_can_raise_by_itself_whatever_it_plans(guarded: Office) -> None:
    def sneak(state: State) -> tuple[Plan, None]:
        old = next(each for each in state.limits if each.scope_kind == "credential")
        change = Change(kind="limit", object="x", object_id=old.scope_id, what="x")
        return Plan(changes=(change,), puts=(dataclasses.replace(old, amount=old.amount + 1),)), None

    def sneak_confirmed_by_oneself(state: State) -> tuple[Plan, None]:
        plan, _ = sneak(state)
        limit = plan.puts[0]
        forged = Proposal(
            id="f",
            credential_id=limit.scope_id,  # type: ignore[union-attr]
            what="requests/day",
            before=1,
            after=limit.amount,  # type: ignore[union-attr]
            permission={},
            proposed_by="person:it",
            proposed_us=1,
            outcome="confirmed",
            decided_by="person:it",
            decided_us=1,
        )
        return dataclasses.replace(plan, puts=(*plan.puts, forged)), None

    before = (await guarded.registry.state()).limits
    for plan in (sneak, sneak_confirmed_by_oneself):
        with pytest.raises(NotPermitted, match="second administrator"):
            await guarded.registry.change(IT, plan)
    assert (await guarded.registry.state()).limits == before


async def test_a_retired_credential_takes_its_proposals_with_it(guarded: Office) -> None:
    (proposal,) = (await raise_to(guarded, 2_000)).waiting
    guarded.scene.path.write_text("projects: []\ncredentials: []\n")
    await guarded.apply(prune=True)
    with pytest.raises(Conflict, match="retired"):
        await confirm(guarded.registry, SECOND, proposal_id=proposal.id)


async def test_what_waits_is_shown_by_name_and_told_by_the_doctor(guarded: Office) -> None:
    await raise_to(guarded, 2_000, OPERATOR)
    state = await guarded.registry.state()
    (shown,) = shown_proposals(state)
    assert {
        name: shown[name] for name in ("credential", "what", "before", "after", "outcome", "proposed_by")
    } == {
        "credential": "main",
        "what": "requests/day",
        "before": 1_000,
        "after": 2_000,
        "outcome": "open",
        "proposed_by": "os:1000",
    }
    assert "proposal_waiting" in {each.code for each in examine(state, LogSize(0, 0))}


async def test_without_two_person_control_a_raise_is_carried_out_at_once(office: Office) -> None:
    await office.apply()
    assert await raise_to(office, 2_000)
    assert (await amount(office), (await office.registry.state()).proposals) == (2_000, ())
