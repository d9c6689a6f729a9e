"""Nobody signed in takes their own administration away; whoever runs the machine may."""

import dataclasses

import pytest

from app.administration.changes import Actor, Plan
from app.administration.state import State
from app.errors import Conflict
from app.identity.roles import Role
from tests.administration.adding import add_person
from tests.administration.conftest import OPERATOR, Office

pytestmark = pytest.mark.anyio


async def signed_in(office: Office) -> Actor:
    await office.apply()
    person = (await office.registry.state()).person("it@example.edu")
    assert person is not None
    return Actor(kind="person", principal=person.id, roles=frozenset(person.roles))


async def roles_of_it(office: Office) -> set[str]:
    person = (await office.registry.state()).person("it@example.edu")
    return set(person.roles if person else ())


@pytest.mark.parametrize("is_dry_run", [True, False])
async def test_a_state_file_in_their_own_name_does_not(office: Office, is_dry_run: bool) -> None:
    own = dataclasses.replace(office, actor=await signed_in(office))
    own.scene.edit("name: Service desk, roles: [admin]", "name: Service desk, roles: [lead]")
    with pytest.raises(Conflict, match="your own administration"):
        await own.apply(is_dry_run=is_dry_run)
    assert await roles_of_it(office) == {Role.ADMIN}


async def test_nor_does_any_other_plan(office: Office) -> None:
    actor = await signed_in(office)
    with pytest.raises(Conflict, match="your own administration"):
        await add_person(
            office.registry,
            office.mint,
            actor,
            email="it@example.edu",
            name="Service desk",
            roles=frozenset({Role.LEAD}),
        )

    def retired(state: State) -> tuple[Plan, None]:
        me = next(each for each in state.people if each.id == actor.principal)
        gone = dataclasses.replace(me, retired_us=state.now_us)
        return Plan(puts=(gone,)), None

    with pytest.raises(Conflict, match="your own administration"):
        await office.registry.change(actor, retired)
    assert await roles_of_it(office) == {Role.ADMIN}


async def test_further_roles_and_another_name_are_free(office: Office) -> None:
    own = dataclasses.replace(office, actor=await signed_in(office))
    own.scene.edit("name: Service desk, roles: [admin]", "name: IT, roles: [admin, lead]")
    await own.apply()
    assert await roles_of_it(office) == {Role.ADMIN, Role.LEAD}


async def test_the_machines_own_commands_may(office: Office) -> None:
    await signed_in(office)
    office.scene.edit("name: Service desk, roles: [admin]", "name: Service desk, roles: [lead]")
    await dataclasses.replace(office, actor=OPERATOR).apply()
    assert await roles_of_it(office) == {Role.LEAD}
