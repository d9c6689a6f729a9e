"""Under two-person control, the two are two: nobody who is signed in makes or opens the account of the other one.

One administrator could otherwise make a second of their own, take a token in that name and confirm with it, or propose
with it and confirm as themselves. So the roles that propose and confirm are given by the commands on the machine, or by
the institution's groups, and so are means of signing in for whoever has such a role. Whoever is given their first such
role starts with fresh means: those of before may be in the hands of whoever gave them.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from app.administration.changes import Actor, Change, Plan
from app.administration.second_person import RULE
from app.administration.state import Identity, Password, Person, PersonToken, State
from app.errors import NotPermitted
from app.identity.roles import Act, Role, may

_ACTS: Final = (Act.SET_LIMITS, Act.MANAGE_DIRECTORY, Act.DECIDE_PROPOSALS, Act.KEEP_LOG)
PROPOSING: Final = frozenset(role for role in Role if any(may({role}, act) for act in _ACTS))
"""The roles with which something is proposed or confirmed."""


def require_two_accounts(state: State, plan: Plan, actor: Actor) -> None:
    """Return if nobody who is signed in gives another such a role, or a way in as one who has it; raises NotPermitted."""
    if actor.kind != "person":
        return
    before = {each.id: each for each in state.people}
    after = before | {each.id: each for each in plan.puts if isinstance(each, Person)}
    for person in after.values():
        if _roles(person) - _roles(before.get(person.id)):
            raise NotPermitted(
                f"Under two-person control the roles {', '.join(sorted(PROPOSING))} are given by `bursar person` on the "
                "machine, or by groups of the institution, so that nobody makes their own second person.",
                rule=RULE,
            )
    for person_id in _given_a_way_in(state, plan):
        if person_id != actor.principal and (_roles(before.get(person_id)) or _roles(after.get(person_id))):
            raise NotPermitted(
                "Under two-person control a token, a password code or a linked account for whoever may propose or confirm "
                "is made by `bursar` on the machine, so that nobody signs in as their own second person.",
                rule=RULE,
            )


def with_fresh_means(state: State, plan: Plan, actor: Actor) -> Plan:
    """The plan, by which whoever gets their first such role also loses every token, password and linked account.

    The institution's own word on somebody's roles leaves the account that it knows them by.
    """
    before = {each.id: each for each in state.people}
    latest = {each.id: each for each in plan.puts if isinstance(each, Person)}
    for person in latest.values():
        if person.id in before and _roles(person) and not _roles(before[person.id]):
            plan = _without_means(state, plan, person, keeps_accounts=actor.kind == "provider")
    return plan


def _without_means(state: State, plan: Plan, person: Person, *, keeps_accounts: bool) -> Plan:
    if any(isinstance(each, Password) and each.person_id == person.id for each in plan.puts):
        return plan
    tokens = [each for each in state.tokens if each.person_id == person.id and each.revoked_us is None]
    accounts = () if keeps_accounts else state.identities_of(person.id)
    password = state.password_of(person.id)
    changes = [
        Change(kind="token", object=person.email, object_id=each.id, what="revoked", logged={})
        for each in tokens
    ]
    if password is not None and (password.hash or password.code_digest):
        changes.append(
            Change(kind="password", object=person.email, object_id=person.id, what="dropped", logged={})
        )
    changes += [
        Change(
            kind="identity",
            object=person.email,
            object_id=person.id,
            what="dropped",
            after=each.issuer,
            logged={"issuer": each.issuer},
        )
        for each in accounts
    ]
    revoked = [replace(each, revoked_us=state.now_us) for each in tokens]
    return replace(
        plan,
        changes=(*plan.changes, *changes),
        # A password of nothing also ends every session, whatever it was begun with.
        puts=(*plan.puts, *revoked, Password(person_id=person.id)),
        dropped=(*plan.dropped, *accounts),
    )


def _given_a_way_in(state: State, plan: Plan) -> Iterator[str]:
    """For whom the plan makes a token, a password code, a password or a linked account."""
    tokens = {each.id: each for each in state.tokens}
    for put in plan.puts:
        match put:
            case PersonToken(revoked_us=None) if put != tokens.get(put.id):
                yield put.person_id
            case Password() if put.hash or put.code_digest:
                yield put.person_id
            case Identity():
                yield put.person_id
            case _:
                pass


def _roles(person: Person | None) -> frozenset[str]:
    """Those of the roles in question that somebody has."""
    if person is None or person.retired_us is not None:
        return frozenset()
    return PROPOSING & frozenset(person.roles)
