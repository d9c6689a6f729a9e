import pytest

from app.administration.changes import Actor
from app.administration.doctor import examine
from app.administration.freezing import Freezable, freeze, shown_freezes, unfreeze
from app.administration.keys import IssuedKey, issue_key, issue_token
from app.administration.registry import LogSize
from app.clock import SystemClock
from app.errors import Conflict, InvalidParams, NotFound, NotPermitted
from app.identity.attempts import Attempts
from app.identity.bearers import Bearers
from app.identity.callers import Caller, Operator
from app.identity.keys import AccessTokens
from app.storage.directory import SqlDirectory
from tests.administration.conftest import Office

pytestmark = pytest.mark.anyio

ADA = "ada@example.edu"
NAMES = {Freezable.CREDENTIAL: "main", Freezable.PROJECT: "elections", Freezable.PERSON: ADA}


async def stop(office: Office, kind: Freezable, reason: str = "key found in public") -> bool:
    return await freeze(
        office.registry, office.mint, office.actor, kind=kind, name=NAMES[kind], reason=reason
    )


async def go_on(office: Office, kind: Freezable) -> bool:
    return await unfreeze(office.registry, office.actor, kind=kind, name=NAMES[kind])


def replica(office: Office) -> Bearers:
    return Bearers(
        directory=SqlDirectory(office.database),
        access_tokens=AccessTokens(b"t" * 32),
        pepper=office.mint.pepper,
        clock=SystemClock(),
        attempts=Attempts(clock=SystemClock(), per_minute=10),
    )


async def ada(office: Office) -> IssuedKey:
    await office.apply()
    return await issue_key(office.registry, office.mint, office.actor, project="elections", email=ADA)


async def seen(office: Office, key: IssuedKey) -> Caller:
    return await replica(office).caller(f"Bearer {key.api_key}", source="test")


@pytest.mark.parametrize("kind", list(Freezable))
async def test_whatever_is_frozen_stops_its_callers_until_it_goes_on(office: Office, kind: Freezable) -> None:
    key = await ada(office)
    assert (await seen(office, key)).freeze is None
    assert await stop(office, kind)
    frozen = (await seen(office, key)).freeze
    assert frozen is not None
    assert frozen.kind == kind
    assert "it@example.edu" in frozen.says()
    assert "public" not in frozen.says()
    assert await go_on(office, kind)
    assert (await seen(office, key)).freeze is None


async def test_a_frozen_person_is_named_before_their_project_and_its_credential(office: Office) -> None:
    key = await ada(office)
    for kind in Freezable:
        await stop(office, kind)
    for kind in (Freezable.PERSON, Freezable.PROJECT, Freezable.CREDENTIAL):
        frozen = (await seen(office, key)).freeze
        assert frozen is not None
        assert frozen.kind == kind
        assert frozen.of_person == (kind is Freezable.PERSON)
        await go_on(office, kind)


async def test_a_persons_own_token_shows_their_freeze_alone(office: Office) -> None:
    await ada(office)
    token = await issue_token(office.registry, office.mint, office.actor, email=ADA)
    await stop(office, Freezable.PROJECT)

    async def operator() -> Operator:
        return await replica(office).operator(f"Bearer {token.token}", source="test")

    assert (await operator()).freeze is None
    await stop(office, Freezable.PERSON)
    assert (await operator()).freeze is not None


async def test_freezing_and_unfreezing_twice_changes_nothing_the_second_time(office: Office) -> None:
    await office.apply()
    assert await stop(office, Freezable.PROJECT, "first")
    revision = (await office.registry.state()).revision
    assert not await stop(office, Freezable.PROJECT, "second")
    assert [each.reason for each in shown_freezes(await office.registry.state())] == ["first"]
    assert (await office.registry.state()).revision == revision
    assert await go_on(office, Freezable.PROJECT)
    assert not await go_on(office, Freezable.PROJECT)


async def test_freezes_that_are_over_are_kept_with_who_lifted_them(office: Office) -> None:
    await office.apply()
    for reason in ("first", "second"):
        await stop(office, Freezable.PROJECT, reason)
        await go_on(office, Freezable.PROJECT)
    state = await office.registry.state()
    assert shown_freezes(state) == []
    assert [
        (each.reason, each.frozen_by, each.lifted_by) for each in shown_freezes(state, with_lifted=True)
    ] == [
        ("first", "os:1000", "os:1000"),
        ("second", "os:1000", "os:1000"),
    ]


async def test_applying_the_state_file_leaves_freezes_alone(office: Office) -> None:
    await office.apply()
    await stop(office, Freezable.PROJECT)
    assert (await office.apply(prune=True)).plan.changes == ()
    assert len(shown_freezes(await office.registry.state())) == 1


async def test_a_freeze_needs_an_object_and_a_reason(office: Office) -> None:
    await office.apply()
    for kind in Freezable:
        with pytest.raises(NotFound):
            await freeze(office.registry, office.mint, office.actor, kind=kind, name="nobody", reason="why")
    for reason in ("", "  ", "a\nb", "x" * 501):
        with pytest.raises(InvalidParams):
            await stop(office, Freezable.PROJECT, reason)


async def test_administrators_alone_freeze_and_nobody_themselves(office: Office) -> None:
    await office.apply()
    admin = (await office.registry.state()).person("it@example.edu")
    assert admin is not None
    for roles in ({"researcher"}, {"lead"}, {"quota_admin"}, {"compliance"}, set[str]()):
        office.actor = Actor(kind="person", principal="p", roles=frozenset(roles))
        with pytest.raises(NotPermitted):
            await stop(office, Freezable.PROJECT)
        with pytest.raises(NotPermitted):
            await go_on(office, Freezable.PROJECT)
    office.actor = Actor(kind="person", principal=admin.id, roles=frozenset({"admin"}))
    with pytest.raises(Conflict):
        await freeze(
            office.registry,
            office.mint,
            office.actor,
            kind=Freezable.PERSON,
            name="it@example.edu",
            reason="why",
        )
    assert await stop(office, Freezable.PERSON)


async def test_the_doctor_names_what_is_frozen(office: Office) -> None:
    await office.apply()
    await stop(office, Freezable.CREDENTIAL)
    state = await office.registry.state()
    found = [each for each in examine(state, LogSize(1, 1)) if each.code == "frozen"]
    assert [each.severity for each in found] == ["warning"]
    assert "bursar unfreeze credential main" in found[0].mend
