"""Under two-person control nobody signed in makes, or signs in as, their own second person."""

import dataclasses

import pytest

from app.administration.acts import apply_state, set_limits
from app.administration.changes import Actor
from app.administration.drafting import wanted_of
from app.administration.joining import PROVIDER, link_identity
from app.administration.keys import issue_token
from app.administration.passwords import issue_password_code, set_password
from app.administration.proposals import confirm
from app.administration.state import Person
from app.administration.two_people import PROPOSING
from app.administration.wishes import changed_person, new_person
from app.errors import NotPermitted
from app.identity.roles import Role
from app.quota.arithmetic import parse_limit_key
from app.storage.registry import SqlRegistry
from tests.administration.adding import add_person
from tests.administration.conftest import OPERATOR, Office
from tests.signing import boot

pytestmark = pytest.mark.anyio

ISSUER = "https://idp.example.edu"
FORBIDDEN = "Under two-person control"


@pytest.fixture
async def guarded(office: Office) -> Office:
    """An office under two-person control with a person of each role, in which it@ is the one who acts."""
    await office.apply()
    for role in Role:
        email = f"{role.value}@example.edu"
        await add_person(
            office.registry, office.mint, OPERATOR, email=email, name="Somebody", roles=frozenset({role})
        )
    registry = SqlRegistry(database=office.database, boot=boot(), needs_second_person=True)
    it = await person_of(office, "it")
    actor = Actor(kind="person", principal=it.id, roles=frozenset(it.roles))
    return dataclasses.replace(office, registry=registry, actor=actor)


async def person_of(office: Office, name: str) -> Person:
    person = (await office.registry.state()).person(f"{name}@example.edu")
    assert person is not None
    return person


async def promote(office: Office, name: str, actor: Actor, *roles: str) -> None:
    email = f"{name}@example.edu"
    await add_person(
        office.registry, office.mint, actor, email=email, name="Somebody", roles=frozenset(roles)
    )


async def give_everything(office: Office, name: str, actor: Actor) -> None:
    """A token, a password that is set, and an account of the institution."""
    email = f"{name}@example.edu"
    await issue_token(office.registry, office.mint, actor, email=email)
    made = await issue_password_code(office.registry, actor, email=email)
    await set_password(office.registry, code=made.code, password="three small words 42", hashed="x")
    await link_identity(office.registry, actor, email=email, issuer=ISSUER, subject=f"{name}-1")


async def ways_in(office: Office, name: str) -> tuple[int, bool, int]:
    """How many tokens that hold, whether a password or a code, how many linked accounts."""
    state = await office.registry.state()
    person = await person_of(office, name)
    password = state.password_of(person.id)
    return (
        sum(each.person_id == person.id and each.revoked_us is None for each in state.tokens),
        password is not None and bool(password.hash or password.code_digest),
        len(state.identities_of(person.id)),
    )


def test_the_roles_in_question_are_those_that_propose_and_confirm() -> None:
    assert {Role.ADMIN, Role.QUOTA_ADMIN, Role.COMPLIANCE} == PROPOSING


@pytest.mark.parametrize("role", sorted(PROPOSING))
@pytest.mark.parametrize("is_dry_run", [True, False])
async def test_nobody_signed_in_gives_such_a_role(guarded: Office, role: str, is_dry_run: bool) -> None:
    ada = await person_of(guarded, "ada")
    content = {"email": "puppet@example.edu", "name": "Puppet", "roles": [role]}
    for wish in (
        new_person(content),
        changed_person(ada.id, {"roles": [role]}),
        lambda _: wanted_of({"people": [content]}),
    ):
        with pytest.raises(NotPermitted, match=FORBIDDEN):
            await apply_state(guarded.registry, guarded.mint, guarded.actor, wish, is_dry_run=is_dry_run)
    with pytest.raises(NotPermitted, match=FORBIDDEN):
        await promote(guarded, "ada", guarded.actor, role)
    assert (await guarded.registry.state()).person("puppet@example.edu") is None
    assert (await person_of(guarded, "ada")).roles == ("researcher",)


async def test_nor_a_further_one_to_whoever_has_one(guarded: Office) -> None:
    with pytest.raises(NotPermitted, match=FORBIDDEN):
        await promote(guarded, "compliance", guarded.actor, Role.COMPLIANCE, Role.ADMIN)


@pytest.mark.parametrize("role", sorted(PROPOSING))
async def test_nor_a_way_in_as_whoever_has_one(guarded: Office, role: str) -> None:
    email = f"{role}@example.edu"
    with pytest.raises(NotPermitted, match=FORBIDDEN):
        await issue_token(guarded.registry, guarded.mint, guarded.actor, email=email)
    with pytest.raises(NotPermitted, match=FORBIDDEN):
        await issue_password_code(guarded.registry, guarded.actor, email=email)
    with pytest.raises(NotPermitted, match=FORBIDDEN):
        await link_identity(guarded.registry, guarded.actor, email=email, issuer=ISSUER, subject="x")
    assert await ways_in(guarded, role) == (0, False, 0)


async def test_ones_own_and_those_of_researchers_and_leads_are_free(guarded: Office) -> None:
    for name in ("it", "researcher", "lead"):
        await give_everything(guarded, name, guarded.actor)
        assert await ways_in(guarded, name) == (1, True, 1)
    await promote(guarded, "ada", guarded.actor, Role.RESEARCHER, Role.LEAD)
    await promote(guarded, "quota_admin", guarded.actor, Role.LEAD)
    assert (await person_of(guarded, "quota_admin")).roles == (Role.LEAD,)


@pytest.mark.parametrize("role", sorted(PROPOSING))
async def test_whoever_gets_such_a_role_starts_with_fresh_means(guarded: Office, role: str) -> None:
    await give_everything(guarded, "ada", guarded.actor)
    await issue_password_code(guarded.registry, guarded.actor, email="ada@example.edu")
    await promote(guarded, "ada", OPERATOR, role)
    assert await ways_in(guarded, "ada") == (0, False, 0)
    # What they are given by the machine stays, also with a further role.
    await give_everything(guarded, "ada", OPERATOR)
    await promote(guarded, "ada", OPERATOR, *PROPOSING)
    assert await ways_in(guarded, "ada") == (1, True, 1)


async def test_a_state_file_that_gives_such_a_role_shows_what_ends_by_it(guarded: Office) -> None:
    await give_everything(guarded, "ada", guarded.actor)
    guarded.scene.edit("roles: [researcher]", "roles: [researcher, admin]")
    machine = dataclasses.replace(guarded, actor=OPERATOR)
    dry = await machine.apply(is_dry_run=True)
    found = await machine.apply()
    told = [(each.kind, each.what) for each in found.plan.changes]
    assert told == [(each.kind, each.what) for each in dry.plan.changes]
    assert told == [
        ("person", "roles"),
        ("token", "revoked"),
        ("password", "dropped"),
        ("identity", "dropped"),
    ]


async def test_the_institutions_word_leaves_the_account_that_it_came_by(guarded: Office) -> None:
    await give_everything(guarded, "ada", guarded.actor)
    await promote(guarded, "ada", PROVIDER_AS_ADMIN, Role.ADMIN)
    assert await ways_in(guarded, "ada") == (0, False, 1)


PROVIDER_AS_ADMIN = dataclasses.replace(PROVIDER, roles=frozenset({"admin"}))


async def test_a_second_person_of_ones_own_confirms_nothing(guarded: Office) -> None:
    """The way round that this closes, whole: propose, make somebody, sign in as them, confirm."""
    day = parse_limit_key("requests/day")
    (proposal,) = (
        await set_limits(guarded.registry, guarded.actor, scope="credential:main", amounts={day: 9_000})
    ).waiting
    await promote(guarded, "puppet", guarded.actor, Role.RESEARCHER)
    await issue_token(guarded.registry, guarded.mint, guarded.actor, email="puppet@example.edu")
    with pytest.raises(NotPermitted, match=FORBIDDEN):
        await promote(guarded, "puppet", guarded.actor, Role.ADMIN)
    puppet = await person_of(guarded, "puppet")
    as_puppet = Actor(kind="person", principal=puppet.id, roles=frozenset(puppet.roles))
    with pytest.raises(NotPermitted):
        await confirm(guarded.registry, as_puppet, proposal_id=proposal.id)


async def test_without_two_person_control_administrators_give_every_role(office: Office) -> None:
    await office.apply()
    it = await person_of(office, "it")
    actor = Actor(kind="person", principal=it.id, roles=frozenset(it.roles))
    await give_everything(office, "ada", actor)
    await promote(office, "ada", actor, Role.ADMIN)
    assert await ways_in(office, "ada") == (1, True, 1)
