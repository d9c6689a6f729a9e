"""The use-cases beside keys: each checks who acts, decides on the state, and lets the registry carry it out."""

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NewType

from app.administration.accounts import account_of, require_own_account, require_same_account
from app.administration.changes import Actor, Change, Plan
from app.administration.credentials import check_base_url
from app.administration.desired import (
    LARGEST_AMOUNT,
    MOST_PEOPLE_WITHOUT_PERMISSION,
    LimitKey,
    check_email,
    check_name,
)
from app.administration.difference import Difference, difference, limit_change
from app.administration.facing import acceptance_face, credential_face, differences, person_face
from app.administration.finding import find_credential, find_person, find_project
from app.administration.floors import after, check_floors
from app.administration.lockout import require_own_administration
from app.administration.loosening import hold_back_rules
from app.administration.minting import Mint
from app.administration.naming import former, require_new_address
from app.administration.registry import Registry
from app.administration.second_person import HeldBack, hold_back
from app.administration.state import Acceptance, Person, Proposal, State, slot_of
from app.administration.two_people import require_two_accounts, with_fresh_means
from app.administration.wanted import Wanted, WantedCredential, check_secret
from app.errors import ChangedMeanwhile, Conflict, InvalidParams, NotFound
from app.identity.roles import Act, Role
from app.ids import new_object_id
from app.quota.arithmetic import ScopeKind
from app.quota.limits import EACH_MEMBER, FLOOR, StoredLimit

DEFAULT_ADMIN = "admin@localhost"
"""Who administers an installation for which no address was given."""


Sha256 = NewType("Sha256", str)
"""Of a file, in hexadecimal, by whoever holds the file."""
Wish = Callable[[State], Wanted]
"""What shall be, given what is."""


async def apply_state(
    registry: Registry,
    mint: Mint,
    actor: Actor,
    wanted: Wanted | Wish,
    *,
    is_dry_run: bool = False,
    prune: bool = False,
    prune_members: bool = False,
) -> Difference:
    """Make the directory what `wanted` says, or with `is_dry_run` say what would change; as `difference` does.

    A wish is made of the very state that is changed, so it can keep whatever it does not speak about. Raises
    InvalidParams, naming the place in the file, NotPermitted, Conflict for whoever would end their own administration,
    and what the wish raises.
    """
    actor.require(Act.MANAGE_DIRECTORY)

    def compare(state: State) -> Difference:
        asked = wanted if isinstance(wanted, Wanted) else wanted(state)
        found = difference(state, asked, mint, prune=prune, prune_members=prune_members)
        require_own_administration(state, found.plan, actor)
        if not registry.needs_second_person:
            return found
        for each in asked.credentials or ():
            require_same_account(
                mint, state.credentials, name=each.name, base_url=each.base_url, client_key=each.client_key
            )
        require_two_accounts(state, found.plan, actor)
        plan = with_fresh_means(state, found.plan, actor)
        held = hold_back(state, plan, actor, new_id=mint.object_id)
        of_rules = hold_back_rules(state, held.plan, actor, new_id=mint.object_id)
        return dataclasses.replace(found, plan=of_rules.plan, waiting=(*held.waiting, *of_rules.waiting))

    def decide(state: State) -> tuple[Plan, Difference]:
        found = compare(state)
        return found.plan, found

    return compare(await registry.state()) if is_dry_run else await registry.change(actor, decide)


async def ensure_admin(registry: Registry, mint: Mint, actor: Actor, *, email: str | None) -> str:
    """The address of an administrator, who is there on return: the one asked for, or any, or a new one."""
    actor.require(Act.MANAGE_DIRECTORY)
    address = None if email is None else _address(email)

    def decide(state: State) -> tuple[Plan, str]:
        admins = [each for each in state.people if Role.ADMIN in each.roles and each.retired_us is None]
        if address is None and admins:
            return Plan(), admins[0].email
        wanted = address or DEFAULT_ADMIN
        known = next((each for each in state.people if each.email == wanted), None)
        require_new_address("email", wanted, known)
        left = () if known is None or known.retired_us is None else (former(known),)
        old = None if left else known
        roles = {*(old.roles if old else ()), str(Role.ADMIN)}
        new = Person(
            id=old.id if old else mint.object_id(),
            email=wanted,
            name=old.name if old else "Administrator",
            roles=tuple(sorted(roles)),
            created_us=old.created_us if old else state.now_us,
        )
        before = person_face(old) if old else None
        changes = differences("person", wanted, new.id, before, person_face(new))
        return Plan(changes=changes, puts=(*left, new)), wanted

    return await registry.change(actor, decide)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSet:
    """What setting limits came to: true where anything changed; `waiting` is for a second person to confirm."""

    has_changed: bool
    waiting: Sequence[Proposal] = ()

    def __bool__(self) -> bool:
        return self.has_changed


async def set_limits(
    registry: Registry, actor: Actor, *, scope: str, amounts: Mapping[LimitKey, int | None]
) -> LimitsSet:
    """Set limits of one scope, or end those whose amount is None.

    Under two-person control what raises a credential becomes a proposal. `scope` is written as `usage` shows it, `project:elections` or `member:elections/ada@example.edu`, or
    `each_member:elections`. What was used is never touched. Raises NotFound, InvalidParams, NotPermitted.
    """
    actor.require(Act.SET_LIMITS)
    if any(amount is not None and not 0 <= amount <= LARGEST_AMOUNT for amount in amounts.values()):
        raise InvalidParams(f"A limit is a whole number from 0 to {LARGEST_AMOUNT}.")

    def decide(state: State) -> tuple[Plan, LimitsSet]:
        kind, scope_id = find_scope(state, scope)
        present = {slot_of(each): each for each in state.limits}
        changes: list[Change] = []
        puts: list[StoredLimit] = []
        dropped: list[StoredLimit] = []
        for (dimension, window), amount in amounts.items():
            old = present.get((kind, scope_id, dimension, window))
            before = old.amount if old else None
            if before == amount:
                continue
            limit = StoredLimit(
                scope_kind=kind, scope_id=scope_id, dimension=dimension, window=window, amount=amount or 0
            )
            (dropped if amount is None else puts).append(limit)
            changes.append(limit_change(scope, limit, before, amount))
        check_floors(
            credentials=state.credentials,
            projects=state.projects,
            limits=after(state.limits, puts=puts, dropped=dropped),
        )
        held = HeldBack(plan=Plan(changes=changes, puts=puts, dropped=dropped))
        if registry.needs_second_person:
            held = hold_back(state, held.plan, actor, new_id=new_object_id)
        has_changed = any(each.kind == "limit" for each in held.plan.changes)
        return held.plan, LimitsSet(has_changed=has_changed, waiting=held.waiting)

    return await registry.change(actor, decide)


def require_limits(state: State, *, scope: str, seen: Mapping[LimitKey, int | None]) -> None:
    """Return if the limits of a scope are what somebody has seen, None being no limit; raises ChangedMeanwhile."""
    kind, scope_id = find_scope(state, scope)
    present = {slot_of(each): each.amount for each in state.limits}
    for (dimension, window), amount in seen.items():
        now = present.get((kind, scope_id, dimension, window))
        if now != amount:
            name = f"{dimension}/{window}" if window else str(dimension)
            raise ChangedMeanwhile(
                f"{name} of {scope} is {_spelled(now)} by now, not {_spelled(amount)} as you have seen it, so nothing was "
                "changed. Look again, and set what you want then.",
                rule="if-match",
            )


def _spelled(amount: int | None) -> str:
    return "no limit" if amount is None else str(amount)


async def add_credential(
    registry: Registry,
    mint: Mint,
    actor: Actor,
    *,
    name: str,
    base_url: str,
    client_key: str,
    client_secret: str,
    limits: Mapping[LimitKey, int] = MappingProxyType({}),
) -> Sequence[Proposal]:
    """Add one credential for at most ten people; what waits for a second person.

    Under two-person control every credential but the first begins with limits of nothing. Raises Conflict where there is one of that name, InvalidParams for a host or a secret that is none,
    NotPermitted.
    """
    actor.require(Act.MANAGE_DIRECTORY)
    try:
        host = check_base_url(base_url)
        check_name(name)
    except ValueError as error:
        raise InvalidParams(f"{error}.") from error
    wanted = WantedCredential(
        name=name,
        base_url=host,
        client_key=check_secret("client key", client_key, base_url=host),
        client_secret=check_secret("client secret", client_secret, base_url=host),
        limits=limits,
        roster_limit=MOST_PEOPLE_WITHOUT_PERMISSION,
        permission={},
    )

    def decide(state: State) -> tuple[Plan, Sequence[Proposal]]:
        if any(each.name == name and each.retired_us is None for each in state.credentials):
            raise Conflict(
                f"There is a credential {name}; replace its secret with `bursar credential rotate`."
            )
        held = HeldBack(plan=difference(state, Wanted(credentials=[wanted]), mint).plan)
        if registry.needs_second_person:
            held = hold_back(state, held.plan, actor, new_id=mint.object_id)
        return held.plan, held.waiting

    return await registry.change(actor, decide)


async def rotate_credential(
    registry: Registry,
    mint: Mint,
    actor: Actor,
    *,
    name: str,
    client_secret: str,
    client_key: str | None = None,
    base_url: str | None = None,
) -> bool:
    """Replace the secret of a credential, and its client key or host if given; whether anything differs.

    Raises NotFound, NotPermitted, InvalidParams for a host that is none and for the client key of another credential,
    and SealBroken where the old client key is to be kept and does not open.
    """
    actor.require(Act.MANAGE_DIRECTORY)
    try:
        new_host = None if base_url is None else check_base_url(base_url)
    except ValueError as error:
        raise InvalidParams(f"base_url {error}.", rule="request") from error

    def decide(state: State) -> tuple[Plan, bool]:
        old = find_credential(state, name)
        new_client_key = client_key or mint.opened_client_key(old)
        host = new_host or old.base_url
        secret = check_secret("client secret", client_secret, base_url=host)
        if account_of(mint, old) != (host, new_client_key):
            require_own_account(mint, state.credentials, name=name, base_url=host, client_key=new_client_key)
            if registry.needs_second_person:
                require_same_account(
                    mint, state.credentials, name=name, base_url=host, client_key=new_client_key
                )
        is_new_secret = old.secret_digest != mint.secret_digest(new_client_key, secret)
        if not is_new_secret and host == old.base_url:
            return Plan(), False
        sealed = mint.seal(
            credential=old.id,
            base_url=host,
            client_key=new_client_key,
            client_secret=secret,
            wrapped_key=old.wrapped_key,
        )
        new = dataclasses.replace(
            old,
            base_url=host,
            sealed_client_key=sealed.sealed_client_key,
            sealed_client_secret=sealed.sealed_client_secret,
            secret_digest=sealed.secret_digest,
        )
        changes = list(differences("credential", name, old.id, credential_face(old), credential_face(new)))
        if is_new_secret:
            said = Change(
                kind="credential", object=name, object_id=old.id, what="client_secret", after="changed"
            )
            changes.append(said)
        return Plan(changes=changes, puts=(new,)), True

    return await registry.change(actor, decide)


async def record_acceptance(
    registry: Registry,
    actor: Actor,
    *,
    email: str,
    version: str,
    evidence_name: str,
    evidence: bytes | Sha256,
    on: dt.date | None = None,
) -> bool:
    """Record that a person accepted a version, with the evidence's hash; False where that was known.

    Raises NotFound for an unknown person or version, InvalidParams for a day to come, NotPermitted.
    """
    actor.require(Act.RECORD_ACCEPTANCE)
    if not evidence:
        raise InvalidParams("The evidence is empty; give the file that shows the acceptance.")
    digest = hashlib.sha256(evidence).hexdigest() if isinstance(evidence, bytes) else evidence

    def decide(state: State) -> tuple[Plan, bool]:
        person = find_person(state, email)
        day = on or state.now.date()
        if day > state.now.date():
            raise InvalidParams(f"{day} has not come yet.")
        midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
        acceptance = Acceptance(
            person_id=person.id,
            version=version,
            accepted_us=int(midnight.timestamp()) * 1_000_000,
            how="recorded",
            evidence_name=evidence_name,
            evidence_sha256=digest,
        )
        return _accepting(state, acceptance, label=person.email, what="recorded")

    return await registry.change(actor, decide)


async def accept_terms(registry: Registry, actor: Actor, *, person_id: str, version: str) -> bool:
    """Accept a version for oneself; False where that was done before.

    Raises NotFound for an unknown version, NotPermitted for anybody but that person.
    """
    actor.require(Act.ACCEPT_TERMS)
    if actor.kind == "person" and actor.principal != person_id:
        actor.require(Act.RECORD_ACCEPTANCE)
        raise InvalidParams("Only a person themselves can accept; record their acceptance with evidence.")

    def decide(state: State) -> tuple[Plan, bool]:
        person = next((one for one in state.people if one.id == person_id and one.retired_us is None), None)
        if person is None:
            raise NotFound("There is no such person.")
        acceptance = Acceptance(person_id=person_id, version=version, accepted_us=state.now_us, how="self")
        return _accepting(state, acceptance, label=person.email, what="accepted")

    return await registry.change(actor, decide)


def find_scope(state: State, scope: str) -> tuple[str, str]:
    """Kind and id of the scope that people write `kind:name`. Raises NotFound and InvalidParams."""
    kind, _, name = scope.partition(":")
    match kind:
        case ScopeKind.CREDENTIAL:
            return kind, find_credential(state, name).id
        case ScopeKind.PROJECT | "each_member" | "floor":
            return kind, find_project(state, name).id
        case ScopeKind.MEMBER:
            project_name, _, email = name.rpartition("/")
            person = state.person(email)
            place = person and state.membership(find_project(state, project_name), person)
            if place is None:
                raise NotFound(f"There is no member {name}; write project/address.")
            return kind, place.id
        case ScopeKind.KEY:
            if any(each.id == name for each in state.keys):
                return kind, name
            raise NotFound(f"There is no key {name}; `bursar key list` shows all.")
        case _:
            raise InvalidParams(
                f"{scope!r} is no scope; write project:NAME, member:PROJECT/EMAIL, {EACH_MEMBER}:PROJECT, "
                f"credential:NAME, key:ID, or {FLOOR}:PROJECT."
            )


def _accepting(state: State, acceptance: Acceptance, *, label: str, what: str) -> tuple[Plan, bool]:
    version = acceptance.version
    terms = next((each for each in state.terms if each.version == version and each.retired_us is None), None)
    if terms is None:
        raise NotFound(f"There are no terms of version {version}; `bursar terms list` shows all.")
    if state.has_accepted(acceptance.person_id, version):
        return Plan(), False
    face = acceptance_face(acceptance, terms)
    change = Change(
        kind="acceptance",
        object=label,
        object_id=acceptance.person_id,
        what=what,
        after=dict(face.shown),
        logged={"after": face.said_whole()},
    )
    return Plan(changes=(change,), puts=(acceptance,)), True


def _address(email: str) -> str:
    try:
        return check_email(email)
    except ValueError as error:
        raise InvalidParams(f"{error}.") from error
