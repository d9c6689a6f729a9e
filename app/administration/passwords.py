"""Passwords of local accounts, each set by its owner with a code that works once."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

from app.administration.changes import Actor, Change, Plan
from app.administration.finding import find_person
from app.administration.registry import Registry
from app.administration.state import Password, Person, State
from app.errors import NotFound
from app.identity.passwords import check_password
from app.identity.roles import Act

CODE_HOURS: Final = 24
_CODE_BYTES: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCode:
    """A code with which that person sets a password, once; `repr` does not show it."""

    email: str
    code: str = field(repr=False)
    until_us: int


async def issue_password_code(registry: Registry, actor: Actor, *, email: str) -> PasswordCode:
    """A code for that person, good for a day; an older one ends, a password that they have goes on.

    Raises NotFound, NotPermitted.
    """
    actor.require(Act.MANAGE_KEYS)
    code = secrets.token_urlsafe(_CODE_BYTES)

    def decide(state: State) -> tuple[Plan, PasswordCode]:
        person = find_person(state, email)
        old = state.password_of(person.id)
        until_us = state.now_us + CODE_HOURS * 3_600_000_000
        new = Password(
            person_id=person.id,
            hash=None if old is None else old.hash,
            set_us=None if old is None else old.set_us,
            code_digest=_digest(code),
            code_until_us=until_us,
        )
        plan = Plan(changes=(_change(person, "issued", "code"),), puts=(new,), invalidates=False)
        return plan, PasswordCode(email=person.email, code=code, until_us=until_us)

    return await registry.change(actor, decide)


def whose_code(state: State, code: str) -> Person | None:
    """Whoever may set a password with that code now; None where nobody may."""
    digest = _digest(code)
    for each in state.passwords:
        is_theirs = hmac.compare_digest(each.code_digest or b"", digest)
        if is_theirs and each.code_until_us is not None and state.now_us < each.code_until_us:
            return next(
                (one for one in state.people if one.id == each.person_id and one.retired_us is None), None
            )
    return None


async def set_password(registry: Registry, *, code: str, password: str, hashed: str) -> Person:
    """Have the person of that code sign in with that password from now on; their sessions end, and the code.

    `hashed` is `hash_password(password)`, which takes too long to be done in here. Raises NotFound for a
    code that does not hold, InvalidParams for what may not be a password.
    """
    person = whose_code(await registry.state(), code)
    actor = Actor(kind="person", principal="" if person is None else person.id)

    def decide(state: State) -> tuple[Plan, Person]:
        owner = whose_code(state, code)
        if owner is None or owner.id != actor.principal:
            raise NotFound(
                "This code does not hold: it works once, for a day. Ask an administrator for another."
            )
        check_password(password, email=owner.email)
        new = Password(person_id=owner.id, hash=hashed, set_us=state.now_us)
        return Plan(changes=(_change(owner, "password", None),), puts=(new,), invalidates=False), owner

    return await registry.change(actor, decide)


def _change(person: Person, what: str, after: str | None) -> Change:
    return Change(
        kind="password", object=person.email, object_id=person.id, what=what, after=after, logged={}
    )


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.strip().encode(errors="replace")).digest()
