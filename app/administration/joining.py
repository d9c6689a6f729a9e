"""From whom the institution's provider vouches for to a person of the directory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from app.administration.changes import Actor, Change, Plan
from app.administration.facing import differences, person_face
from app.administration.finding import find_person
from app.administration.registry import Registry
from app.administration.state import Identity, Person, State
from app.errors import Conflict, InvalidParams, SignInRefused
from app.identity.institution import MOST_SUBJECT_CHARS, Proven, is_subject, roles_now
from app.identity.roles import Act

PROVIDER: Final = Actor(kind="provider", principal="oidc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """What the settings say of people who come by the institution's sign-in."""

    by_email: bool = True
    """Whether a first sign-in joins the person of that verified address."""
    role_of_group: Mapping[str, str] = field(default_factory=dict)


async def person_of(registry: Registry, proven: Proven, joining: Joining) -> Person:
    """The person that signs in, with their roles as of now; raises SignInRefused for one who is not known here."""
    plan, person = _decided(await registry.state(), proven, joining)
    if not plan.changes:
        return person
    return await registry.change(PROVIDER, lambda state: _decided(state, proven, joining))


async def link_identity(registry: Registry, actor: Actor, *, email: str, issuer: str, subject: str) -> bool:
    """Have whoever the provider calls `subject` sign in as that person; False where that was so before.

    Raises NotFound, InvalidParams, NotPermitted, and Conflict where the subject is somebody else.
    """
    actor.require(Act.MANAGE_KEYS)
    if not is_subject(subject):
        raise InvalidParams(f"A subject has 1 to {MOST_SUBJECT_CHARS} printable characters.")

    def decide(state: State) -> tuple[Plan, bool]:
        person = find_person(state, email)
        held = _identity(state, issuer, subject)
        if held is not None and held.person_id == person.id:
            return Plan(), False
        if held is not None:
            raise Conflict("That account is somebody else's here; unlink it from them first.")
        return _linking(state, person, issuer, subject), True

    return await registry.change(actor, decide)


async def unlink_identities(registry: Registry, actor: Actor, *, email: str) -> int:
    """Have the provider's accounts of that person open nothing any more, and end their sessions; how many.

    Raises NotFound, NotPermitted.
    """
    actor.require(Act.MANAGE_KEYS)

    def decide(state: State) -> tuple[Plan, int]:
        person = find_person(state, email)
        held = state.identities_of(person.id)
        changes = tuple(_change(person, each.issuer, "dropped") for each in held)
        return Plan(changes=changes, dropped=held, invalidates=False), len(held)

    return await registry.change(actor, decide)


def _decided(state: State, proven: Proven, joining: Joining) -> tuple[Plan, Person]:
    held = _identity(state, proven.issuer, proven.subject)
    if held is None:
        person = _joined(state, proven, joining)
        plan = _linking(state, person, proven.issuer, proven.subject)
    else:
        person = next(each for each in state.people if each.id == held.person_id)
        plan = Plan(invalidates=False)
    if person.retired_us is not None:
        raise _unknown(proven)
    if not joining.role_of_group:
        return plan, person
    roles = roles_now(person.roles, proven.groups, joining.role_of_group)
    new = replace(person, roles=roles)
    changes = differences("person", person.email, person.id, person_face(person), person_face(new))
    if not changes:
        return plan, person
    return Plan(changes=(*plan.changes, *changes), puts=(*plan.puts, new)), new


def _joined(state: State, proven: Proven, joining: Joining) -> Person:
    person = None if proven.email is None or not joining.by_email else state.person(proven.email)
    if person is None:
        raise _unknown(proven)
    if any(each.issuer == proven.issuer for each in state.identities_of(person.id)):
        # An address that was given to somebody else must not open the account of whoever had it before.
        raise SignInRefused(
            "Another account of your institution signs in here under your address. Ask an administrator to "
            "unlink it first.",
            rule="oidc-unknown",
        )
    return person


def _unknown(proven: Proven) -> SignInRefused:
    address = f" The address is {proven.email}." if proven.email is not None else ""
    return SignInRefused(
        "Your institution knows you, and Bursar does not yet. Ask an administrator to add you, and give them this "
        f"name of your account: {proven.subject}.{address}",
        rule="oidc-unknown",
    )


def _linking(state: State, person: Person, issuer: str, subject: str) -> Plan:
    new = Identity(issuer=issuer, subject=subject, person_id=person.id, linked_us=state.now_us)
    return Plan(changes=(_change(person, issuer, "added"),), puts=(new,), invalidates=False)


def _identity(state: State, issuer: str, subject: str) -> Identity | None:
    return next((each for each in state.identities if (each.issuer, each.subject) == (issuer, subject)), None)


def _change(person: Person, issuer: str, what: str) -> Change:
    # What the provider calls somebody names them, so the log has the provider alone.
    return Change(
        kind="identity",
        object=person.email,
        object_id=person.id,
        what=what,
        after=issuer,
        logged={"issuer": issuer},
    )
