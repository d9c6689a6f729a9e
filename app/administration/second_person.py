"""Two-person control: raising a credential's limit or roster waits until a second administrator confirms.

What one person asks for is taken out of the plan and written down as a proposal; everything else of the plan
is carried out. Lowering needs nobody. Removing a limit raises it, since nothing bounds the scope any more.
A further credential, and one that comes back, begins with limits of nothing: it may be an account of the platform that
was here before, under a limit that somebody agreed to, and a retired one cannot be told from its twin.
Plans are changed here and nowhere else, and the registry refuses any that raises without a confirmation.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from app.administration.changes import Actor, Change, Dropped, Plan
from app.administration.desired import MOST_PEOPLE_WITHOUT_PERMISSION
from app.administration.difference import limit_change
from app.administration.floors import after as limits_after
from app.administration.floors import check_floors
from app.administration.rosters import check_rosters
from app.administration.state import Credential, Membership, Project, Proposal, Record, State, slot_of
from app.audit.entries import Value
from app.errors import InvalidParams, NotPermitted
from app.quota.arithmetic import Dimension, ScopeKind, Window
from app.quota.limits import DIMENSIONS, LimitSlot, StoredLimit

RULE: Final = "two-person"
ROSTER: Final = "roster_limit"
"""What a proposal for more people calls it; any other `what` is a limit such as requests/day."""
_COUNTED: Final[tuple[Dimension, ...]] = tuple(each for both in DIMENSIONS.values() for each in both)
"""What the platform counts by the day."""
OPEN, CONFIRMED, REFUSED, SUPERSEDED = "open", "confirmed", "refused", "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """A plan without what waits, and the proposals that wait, those of before included."""

    plan: Plan
    waiting: Sequence[Proposal] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Raising:
    """That a plan would raise something of a credential; `after` is None where a limit would end, or never begin."""

    credential_id: str
    what: str
    before: int
    after: int | None
    permission: Mapping[str, Any]
    limit: StoredLimit | None = None
    """What a credential that begins with nothing has of it meanwhile."""


def whoever(actor: Actor) -> str:
    """The actor as proposals name them."""
    return f"{actor.kind}:{actor.principal}"


def hold_back(state: State, plan: Plan, actor: Actor, *, new_id: Callable[[], str]) -> HeldBack:
    """The plan without what raises a credential's limits or roster, and proposals in its place.

    Raises InvalidParams where people would be added for whom only the raised roster has room, or shares of a day be
    kept that only the raised limit has.
    """
    raisings = list(raisings_of(state, plan))
    if not raisings:
        return HeldBack(plan=plan)
    held_back = proposed_instead(
        state,
        _without(state, plan, raisings),
        actor,
        [_proposed(state, each, actor, new_id) for each in raisings],
        told=lambda each, what: proposal_change(each, _name_of(state, plan, each.credential_id), what),
    )
    _check_rosters(state, held_back.plan)
    _check_floors(state, held_back.plan)
    return held_back


def proposed_instead(
    state: State,
    kept: Plan,
    actor: Actor,
    proposals: Sequence[tuple[Proposal, Sequence[Proposal]]],
    *,
    told: Callable[[Proposal, str], Change],
) -> HeldBack:
    """What is kept of a plan, and the proposals that wait in place of the rest, each with those it takes the place of."""
    changes: list[Change] = []
    puts: list[Record] = []
    for proposal, superseded in proposals:
        if proposal in state.proposals:
            continue
        for old in superseded:
            puts.append(replace(old, outcome=SUPERSEDED, decided_by=whoever(actor), decided_us=state.now_us))
            changes.append(told(old, SUPERSEDED))
        puts.append(proposal)
        changes.append(told(proposal, "proposed"))
    return HeldBack(
        plan=replace(kept, changes=(*kept.changes, *changes), puts=(*kept.puts, *puts)),
        waiting=tuple(proposal for proposal, _ in proposals),
    )


def require_second_person(state: State, plan: Plan) -> None:
    """Return if whatever the plan raises has been confirmed by somebody else; raises NotPermitted."""
    confirmed = {
        (each.credential_id, each.what, each.after)
        for each in plan.puts
        if isinstance(each, Proposal) and each.outcome == CONFIRMED and each.decided_by != each.proposed_by
    }
    for raising in raisings_of(state, plan):
        if (raising.credential_id, raising.what, raising.after) not in confirmed:
            raise NotPermitted(
                "Raising a credential's limit or roster takes a second administrator. Propose it with "
                "`bursar limit set` or `bursar apply`.",
                rule=RULE,
            )


def raisings_of(state: State, plan: Plan) -> Iterator[Raising]:
    """What of the credentials a plan would raise."""
    present = {slot_of(each): each.amount for each in state.limits}
    beginning = _beginning(state, plan)
    for credential_id in beginning:
        yield from _from_nothing(state, plan, credential_id)
    for limit, after in _limits_after(plan):
        before = present.get(slot_of(limit))
        if limit.scope_id not in beginning and before is not None and (after is None or after > before):
            yield Raising(
                credential_id=limit.scope_id, what=what_of(limit), before=before, after=after, permission={}
            )
    rosters = {each.id: each.roster_limit for each in state.credentials}
    latest = {each.id: each for each in plan.puts if isinstance(each, Credential)}
    for credential in latest.values():
        before = rosters.get(credential.id, MOST_PEOPLE_WITHOUT_PERMISSION)
        if credential.roster_limit > before and credential.retired_us is None:
            yield Raising(
                credential_id=credential.id,
                what=ROSTER,
                before=before,
                after=credential.roster_limit,
                permission=credential.permission,
            )


def _beginning(state: State, plan: Plan) -> list[str]:
    """Credentials that are new or come back, in an installation that has or had one."""
    if not state.credentials:
        return []
    in_use = {each.id for each in state.credentials if each.retired_us is None}
    latest = {each.id: each for each in plan.puts if isinstance(each, Credential)}
    return [each.id for each in latest.values() if each.retired_us is None and each.id not in in_use]


def _from_nothing(state: State, plan: Plan, credential_id: str) -> Iterator[Raising]:
    """Whatever would let such a credential spend: each limit of it, and each of the platform's that it has not."""
    amounts: dict[LimitSlot, int | None] = {
        (ScopeKind.CREDENTIAL, credential_id, dimension, Window.DAY): None for dimension in _COUNTED
    }
    amounts |= {
        slot_of(each): each.amount
        for each in state.limits
        if (each.scope_kind, each.scope_id) == (ScopeKind.CREDENTIAL, credential_id)
    }
    amounts |= {
        slot_of(limit): after for limit, after in _limits_after(plan) if limit.scope_id == credential_id
    }
    for (kind, scope_id, dimension, window), after in amounts.items():
        nothing = StoredLimit(
            scope_kind=str(kind), scope_id=scope_id, dimension=dimension, window=window, amount=0
        )
        if after is None or after > 0:
            yield Raising(
                credential_id=credential_id,
                what=what_of(nothing),
                before=0,
                after=after,
                permission={},
                limit=nothing,
            )


def what_of(limit: StoredLimit) -> str:
    """How a proposal calls a limit."""
    return f"{limit.dimension}/{limit.window}" if limit.window else str(limit.dimension)


def proposal_change(proposal: Proposal, name: str, what: str) -> Change:
    """What happened to a proposal, for people and for the log."""
    said: dict[str, Value] = {"what": proposal.what, "before": proposal.before, "after": proposal.after}
    return Change(
        kind="proposal",
        object=f"credential:{name}",
        object_id=proposal.id,
        what=what,
        after={"id": proposal.id, **said},
        logged={"credential": proposal.credential_id, "after": said, "proposed_by": proposal.proposed_by},
    )


def _limits_after(plan: Plan) -> Iterator[tuple[StoredLimit, int | None]]:
    for put in plan.puts:
        if isinstance(put, StoredLimit) and _slot(put) is not None:
            yield put, put.amount
    for dropped in plan.dropped:
        if isinstance(dropped, StoredLimit) and _slot(dropped) is not None:
            yield dropped, None


def _proposed(
    state: State, raising: Raising, actor: Actor, new_id: Callable[[], str]
) -> tuple[Proposal, Sequence[Proposal]]:
    """The open proposal for this very raise, or a new one, and what it takes the place of."""
    proposal = Proposal(
        id=new_id(),
        credential_id=raising.credential_id,
        what=raising.what,
        before=raising.before,
        after=raising.after,
        permission=dict(raising.permission),
        proposed_by=whoever(actor),
        proposed_us=state.now_us,
        outcome=OPEN,
    )
    return once(state, proposal, slot=lambda each: (each.credential_id, each.what))


def once(
    state: State, new: Proposal, *, slot: Callable[[Proposal], tuple[str, ...]]
) -> tuple[Proposal, Sequence[Proposal]]:
    """The open proposal for the very change that `new` wants, or `new`, and what takes the same slot, which it replaces."""
    rivals = [each for each in state.proposals if each.outcome == OPEN and slot(each) == slot(new)]
    same = [each for each in rivals if _content(each) == _content(new)]
    return (same[0], ()) if same else (new, rivals)


def _content(proposal: Proposal) -> tuple[int, int | None, dict[str, Any]]:
    return proposal.before, proposal.after, dict(proposal.permission)


def _without(state: State, plan: Plan, raisings: Sequence[Raising]) -> Plan:
    """The plan with the credentials' limits and rosters as they are, or with limits of nothing where they begin."""
    slots = {(each.credential_id, each.what) for each in raisings}
    before = {each.credential_id: each.before for each in raisings if each.what == ROSTER}
    old = {each.id: each for each in state.credentials}
    puts: list[Record] = []
    for put in plan.puts:
        if isinstance(put, Credential) and put.id in before:
            permission = old[put.id].permission if put.id in old else {}
            as_it_was = replace(put, roster_limit=before[put.id], permission=permission)
            if as_it_was != old.get(put.id):
                puts.append(as_it_was)
        elif _slot(put) not in slots:
            puts.append(put)
    dropped: list[Dropped] = [each for each in plan.dropped if _slot(each) not in slots]
    changes = [kept for each in plan.changes if (kept := _kept(each, slots, before)) is not None]
    present = {slot_of(each): each.amount for each in state.limits}
    for limit in (each.limit for each in raisings if each.limit is not None):
        puts.append(limit)
        label = f"credential:{_name_of(state, plan, limit.scope_id)}"
        changes.append(limit_change(label, limit, present.get(slot_of(limit)), limit.amount))
    return Plan(changes=changes, puts=puts, dropped=dropped)


def _slot(record: object) -> tuple[str, str] | None:
    """Credential and what of it a limit bounds; None for anything else."""
    if not isinstance(record, StoredLimit) or record.scope_kind != ScopeKind.CREDENTIAL:
        return None
    return record.scope_id, what_of(record)


def _kept(change: Change, slots: set[tuple[str, str]], before: Mapping[str, int]) -> Change | None:
    """The change if it still happens; that of a whole credential with the roster that it will have."""
    if change.kind == "limit":
        return None if (change.object_id, change.what) in slots else change
    if change.kind != "credential" or change.object_id not in before:
        return change
    if change.what in {ROSTER, "permission"}:
        return None
    if not isinstance(change.after, Mapping) or ROSTER not in change.after:
        return change
    after = {**change.after, ROSTER: before[change.object_id], "permission": None}
    return replace(change, after=after, logged={"after": after})


def _check_rosters(state: State, plan: Plan) -> None:
    try:
        check_rosters(
            credentials=_after(state.credentials, plan, Credential),
            projects=_after(state.projects, plan, Project),
            memberships=_after(state.memberships, plan, Membership),
            today=state.now.date(),
        )
    except InvalidParams as error:
        raise InvalidParams(
            f"{error.message}. A raised roster_limit waits for a second person: apply it without the new "
            "members, have it confirmed, and add them then",
            rule=error.rule,
        ) from error


def _check_floors(state: State, plan: Plan) -> None:
    try:
        check_floors(
            credentials=_after(state.credentials, plan, Credential),
            projects=_after(state.projects, plan, Project),
            limits=limits_after(state.limits, puts=plan.puts, dropped=plan.dropped),
        )
    except InvalidParams as error:
        raise InvalidParams(
            f"{error.message} A raised limit waits for a second person: apply it without the new floors, have it "
            "confirmed, and add them then",
            rule=error.rule,
        ) from error


def _after(present: Sequence[Any], plan: Plan, kind: type[Any]) -> list[Any]:
    found = {each.id: each for each in present}
    found |= {each.id: each for each in plan.puts if isinstance(each, kind)}
    return list(found.values())


def _name_of(state: State, plan: Plan, credential_id: str) -> str:
    known = [*state.credentials, *(each for each in plan.puts if isinstance(each, Credential))]
    return next((each.name for each in known if each.id == credential_id), credential_id)
