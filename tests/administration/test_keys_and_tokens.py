import datetime as dt
import hashlib

import pytest

from app.administration.acts import accept_terms, record_acceptance
from app.administration.changes import Actor
from app.administration.keys import issue_key, issue_token, revoke_key, rotate_key, shown_keys
from app.administration.tokens import end_token, shown_tokens
from app.clock import SystemClock
from app.errors import AccessTokenInvalid, Conflict, InvalidClient, InvalidParams, NotFound, NotPermitted
from app.identity.attempts import Attempts
from app.identity.bearers import Bearers
from app.identity.keys import AccessTokens, parse
from app.storage.directory import SqlDirectory
from tests.administration.adding import add_person
from tests.administration.conftest import Office

pytestmark = pytest.mark.anyio

ADA = "ada@example.edu"


def bearers(office: Office) -> Bearers:
    """As a fresh replica would identify callers."""
    return Bearers(
        directory=SqlDirectory(office.database),
        access_tokens=AccessTokens(b"t" * 32),
        pepper=office.mint.pepper,
        clock=SystemClock(),
        attempts=Attempts(clock=SystemClock(), per_minute=10),
    )


async def person(office: Office, email: str, *roles: str) -> Actor:
    known = (await office.registry.state()).person(email)
    assert known is not None
    return Actor(kind="person", principal=known.id, roles=frozenset(roles))


async def test_an_issued_key_identifies_its_member(office: Office) -> None:
    await office.apply()
    key = await issue_key(
        office.registry, office.mint, office.actor, project="elections", email="Ada@example.edu"
    )
    assert key.client_key == f"bsr_live_{key.key_id}"
    assert parse(key.client_secret) is not None
    assert key.client_secret != key.api_key
    assert key.expires_at is None
    for secret in (key.client_secret, key.api_key):
        assert secret not in repr(key)
    grant = await bearers(office).exchange(key.client_key, key.client_secret, source="test")
    assert grant.caller.project_name == "elections"
    assert (await bearers(office).caller(f"Bearer {key.api_key}", source="test")).key == key.key_id
    with pytest.raises(InvalidClient):
        await bearers(office).exchange(key.client_key, key.api_key, source="test")


async def test_a_rotated_key_has_two_secrets_until_the_overlap_ends(office: Office) -> None:
    await office.apply()
    old = await issue_key(office.registry, office.mint, office.actor, project="elections", email=ADA)
    new = await rotate_key(office.registry, office.mint, office.actor, key=old.client_key, overlap_s=3600)
    assert new.key_id == old.key_id
    assert new.old_until is not None
    for key in (old, new):
        await bearers(office).exchange(key.client_key, key.client_secret, source="test")
        await bearers(office).caller(f"Bearer {key.api_key}", source="test")
    newest = await rotate_key(office.registry, office.mint, office.actor, key=old.key_id)
    assert newest.old_until is None
    for key in (old, new):
        with pytest.raises(InvalidClient):
            await bearers(office).exchange(key.client_key, key.client_secret, source="test")
    await bearers(office).exchange(newest.client_key, newest.client_secret, source="test")


@pytest.mark.parametrize("overlap_s", [-1, 604_801])
async def test_an_overlap_is_at_most_seven_days(office: Office, overlap_s: int) -> None:
    with pytest.raises(InvalidParams, match="7 days"):
        await rotate_key(office.registry, office.mint, office.actor, key="x", overlap_s=overlap_s)


async def test_a_revoked_key_ends_at_once_with_its_overlap(office: Office) -> None:
    await office.apply()
    old = await issue_key(office.registry, office.mint, office.actor, project="elections", email=ADA)
    new = await rotate_key(office.registry, office.mint, office.actor, key=old.key_id, overlap_s=60)
    assert await revoke_key(office.registry, office.actor, key=new.client_key)
    assert not await revoke_key(office.registry, office.actor, key=new.client_key)
    for key in (old, new):
        with pytest.raises(AccessTokenInvalid):
            await bearers(office).caller(f"Bearer {key.api_key}", source="test")
    with pytest.raises(Conflict):
        await rotate_key(office.registry, office.mint, office.actor, key=new.key_id)
    state = await office.registry.state()
    assert [each.status for each in shown_keys(state, office.mint, project="elections", email=ADA)] == [
        "revoked"
    ]


async def test_a_key_may_last_to_the_end_of_the_calendar(office: Office) -> None:
    await office.apply()
    key = await issue_key(
        office.registry, office.mint, office.actor, project="elections", email=ADA, expires=dt.date.max
    )
    assert key.expires_at == dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


async def test_a_key_lasts_through_the_day_it_expires_on(office: Office) -> None:
    await office.apply()
    today = (await office.registry.state()).now.date()
    key = await issue_key(
        office.registry, office.mint, office.actor, project="elections", email=ADA, expires=today
    )
    assert key.expires_at == dt.datetime.combine(today + dt.timedelta(days=1), dt.time(), dt.UTC)
    with pytest.raises(InvalidParams, match="is over"):
        await issue_key(
            office.registry,
            office.mint,
            office.actor,
            project="elections",
            email=ADA,
            expires=today - dt.timedelta(days=1),
        )


@pytest.mark.parametrize(
    ("project", "email"),
    [("elections", "nobody@example.edu"), ("election", ADA), ("elections", "it@example.edu")],
)
async def test_a_key_needs_a_project_a_person_and_a_membership(
    office: Office, project: str, email: str
) -> None:
    await office.apply()
    with pytest.raises(NotFound):
        await issue_key(office.registry, office.mint, office.actor, project=project, email=email)
    with pytest.raises(NotFound):
        await revoke_key(office.registry, office.actor, key="bsr_live_000000000000")


async def test_people_issue_their_own_keys_and_only_administrators_those_of_others(office: Office) -> None:
    await office.apply()
    ada = await person(office, ADA, "researcher")
    other = await person(office, "dpo@example.edu", "researcher", "lead", "quota_admin", "compliance")
    admin = await person(office, "it@example.edu", "admin")
    key = await issue_key(office.registry, office.mint, ada, project="elections", email=ADA)
    with pytest.raises(NotPermitted):
        await issue_key(office.registry, office.mint, other, project="elections", email=ADA)
    with pytest.raises(NotPermitted):
        await revoke_key(office.registry, other, key=key.key_id)
    with pytest.raises(NotPermitted):
        await issue_token(office.registry, office.mint, ada, email=ADA)
    await rotate_key(office.registry, office.mint, admin, key=key.key_id)


async def test_a_token_carries_its_persons_roles_for_ninety_days(office: Office) -> None:
    await office.apply()
    issued = await issue_token(office.registry, office.mint, office.actor, email="dpo@example.edu")
    operator = await bearers(office).operator(f"Bearer {issued.token}", source="test")
    assert operator.roles == {"compliance"}
    days = (issued.expires_at - (await office.registry.state()).now).days
    assert days == 90
    assert issued.token not in repr(issued)


async def test_an_acceptance_is_recorded_with_the_hash_of_its_evidence(office: Office) -> None:
    await office.apply()
    args = {
        "email": "dpo@example.edu",
        "version": "2024-10",
        "evidence_name": "signed.pdf",
        "evidence": b"ink",
    }
    assert await record_acceptance(office.registry, office.actor, **args)  # type: ignore[arg-type]
    assert not await record_acceptance(office.registry, office.actor, **args)  # type: ignore[arg-type]
    found = [one for one in (await office.registry.state()).acceptances if one.evidence_name == "signed.pdf"]
    assert [one.evidence_sha256 for one in found] == [hashlib.sha256(b"ink").hexdigest()]
    with pytest.raises(NotFound, match="no terms of version 1999"):
        await record_acceptance(office.registry, office.actor, **{**args, "version": "1999"})  # type: ignore[arg-type]
    with pytest.raises(InvalidParams, match="evidence is empty"):
        await record_acceptance(office.registry, office.actor, **{**args, "evidence": b""})  # type: ignore[arg-type]


async def test_a_person_accepts_for_themselves_and_for_nobody_else(office: Office) -> None:
    await office.apply()
    dpo = await person(office, "dpo@example.edu", "compliance")
    it = await person(office, "it@example.edu", "admin")
    assert await accept_terms(office.registry, dpo, person_id=dpo.principal, version="2024-10")
    assert not await accept_terms(office.registry, dpo, person_id=dpo.principal, version="2024-10")
    with pytest.raises(InvalidParams, match="themselves"):
        await accept_terms(office.registry, it, person_id=dpo.principal, version="2024-10")
    researcher = await person(office, ADA, "researcher")
    with pytest.raises(NotPermitted):
        await accept_terms(office.registry, researcher, person_id=dpo.principal, version="2024-10")
    state = await office.registry.state()
    assert [one.how for one in state.acceptances if one.person_id == dpo.principal] == ["self"]


async def test_a_person_can_be_added_and_changed_alone(office: Office) -> None:
    roles = frozenset({"lead", "researcher"})
    for expected in (True, False):
        changed = await add_person(
            office.registry, office.mint, office.actor, email="Bo@Example.edu", name="Bo", roles=roles
        )
        assert changed is expected
    known = (await office.registry.state()).person("bo@example.edu")
    assert known is not None
    assert known.roles == ("lead", "researcher")
    for email, name, wrong in (
        ("bo", "Bo", roles),
        ("bo@b.c", " ", roles),
        ("bo@b.c", "Bo", frozenset({"king"})),
    ):
        with pytest.raises(InvalidParams):
            await add_person(office.registry, office.mint, office.actor, email=email, name=name, roles=wrong)


async def test_a_revoked_token_opens_nothing_and_stays_listed(office: Office) -> None:
    await office.apply()
    issued = await issue_token(office.registry, office.mint, office.actor, email="it@example.edu")
    (shown,) = shown_tokens(await office.registry.state(), email="IT@example.edu")
    assert (shown.email, shown.status, shown.expires_at) == ("it@example.edu", "active", issued.expires_at)
    assert shown.last_day == issued.expires_at.date() - dt.timedelta(days=1)
    assert issued.token not in repr(shown)
    await bearers(office).operator(f"Bearer {issued.token}", source="test")
    assert await end_token(office.registry, office.actor, token=shown.token_id)
    with pytest.raises(AccessTokenInvalid):
        await bearers(office).operator(f"Bearer {issued.token}", source="test")
    assert not await end_token(office.registry, office.actor, token=shown.token_id)
    assert [each.status for each in shown_tokens(await office.registry.state())] == ["revoked"]
    with pytest.raises(NotFound):
        shown_tokens(await office.registry.state(), email="nobody@example.edu")


async def test_people_end_their_own_tokens_and_only_administrators_those_of_others(office: Office) -> None:
    await office.apply()
    for email in (ADA, "dpo@example.edu"):
        await issue_token(office.registry, office.mint, office.actor, email=email)
    tokens = {each.email: each.token_id for each in shown_tokens(await office.registry.state())}
    ada = await person(office, ADA, "researcher")
    other = await person(office, "dpo@example.edu", "researcher", "lead", "quota_admin", "compliance")
    admin = await person(office, "it@example.edu", "admin")
    with pytest.raises(NotPermitted):
        await end_token(office.registry, other, token=tokens[ADA])
    with pytest.raises(NotFound):
        await end_token(office.registry, admin, token=tokens[ADA], person_id=other.principal)
    assert await end_token(office.registry, ada, token=tokens[ADA], person_id=ada.principal)
    assert await end_token(office.registry, admin, token=tokens["dpo@example.edu"])
