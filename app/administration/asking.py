"""Requests for more: made by researchers and leads, granted or refused by those who set limits.

A request is open until it is granted, refused or withdrawn, once and for all. A grant is a raise, made in the
same transaction. Nobody decides on their own request, whatever their roles.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from app.administration.changes import Actor, Change, Plan
from app.administration.desired import LimitKey
from app.administration.difference import limit_key
from app.administration.durations import end_of
from app.administration.finding import find_person, find_project
from app.administration.freezing import checked_reason
from app.administration.minting import Mint
from app.administration.notices import request_decided, request_made
from app.administration.raising import check_raise, raise_of
from app.administration.registry import Registry
from app.administration.shown import scope_names
from app.administration.state import Membership, Project, QuotaRequest, State
from app.audit.entries import Value
from app.errors import Conflict, InvalidParams, NotFound, NotPermitted
from app.identity.roles import Act
from app.quota.arithmetic import ScopeKind
from app.quota.limits import StoredLimit

MOST_OPEN: Final = 10
"""Requests that one person may have open at once; Bursar's own bound."""
MOST_PURPOSE_CHARS: Final = 1_000
"""Of what a request is for."""


class RequestState(StrEnum):
    """What became of a request."""

    OPEN = "open"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRequest:
    """A request under names that people know; `amount` and `until` are what was asked.

    `granted_amount` and `granted_until`, the last day, are what came of it where it was granted.
    """

    id: str
    state: RequestState
    scope: str
    limit: str
    amount: int
    until: dt.date
    reason: str
    asked_by: str
    asked_at: dt.datetime
    decided_by: str | None
    decided_at: dt.datetime | None
    decision_reason: str | None
    raise_id: str | None
    granted_amount: int | None
    granted_until: dt.date | None


async def ask_for_more(
    registry: Registry,
    mint: Mint,
    actor: Actor,
    *,
    project: str,
    for_project: bool,
    key: LimitKey,
    amount: int,
    until: dt.date,
    reason: str,
) -> str:
    """The id of a new request for more of one's own limit in `project`, or with `for_project` of the project's.

    Raises NotFound, InvalidParams where the limit could not be raised so, Conflict with too many open requests,
    NotPermitted for the limits of a project that one does not lead.
    """
    actor.require(Act.ASK_FOR_MORE)
    purpose = _checked_purpose(reason)

    def decide(state: State) -> tuple[Plan, str]:
        kind, scope_id, label = _own_scope(state, actor, project, for_project=for_project)
        wanted = StoredLimit(
            scope_kind=kind, scope_id=scope_id, dimension=key[0], window=key[1], amount=amount
        )
        check_raise(state, wanted, scope=label, until=end_of(until))
        mine = [each for each in state.requests if each.asked_by == actor.principal]
        if sum(each.state == RequestState.OPEN for each in mine) >= MOST_OPEN:
            raise Conflict(f"You have {MOST_OPEN} requests open; withdraw one, or wait until it is decided.")
        new = QuotaRequest(
            id=mint.object_id(),
            scope_kind=kind,
            scope_id=scope_id,
            dimension=key[0],
            window=key[1],
            amount=amount,
            until_day=until,
            reason=purpose,
            asked_by=actor.principal,
            created_us=state.now_us,
        )
        plan = Plan(
            changes=(_change(new, label, "requested"),),
            puts=(new,),
            notices=(request_made(new.id),),
            # Nothing that a call is decided on changes, so nobody has to decide anew.
            invalidates=False,
        )
        return plan, new.id

    return await registry.change(actor, decide)


async def withdraw_request(registry: Registry, actor: Actor, *, request: str) -> None:
    """Take one's own request back. Raises NotFound, Conflict where it was decided, NotPermitted."""
    actor.require(Act.ASK_FOR_MORE)

    def decide(state: State) -> tuple[Plan, None]:
        old = _found(state, request)
        if old.asked_by != actor.principal:
            raise NotFound("There is no such request of yours.")
        return _decided(state, actor, old, RequestState.WITHDRAWN), None

    return await registry.change(actor, decide)


async def grant_request(
    registry: Registry,
    mint: Mint,
    actor: Actor,
    *,
    request: str,
    amount: int | None = None,
    until: dt.date | None = None,
) -> str:
    """The id of the raise that comes of a request, by its own amount and day or by those given here.

    Raises NotFound, InvalidParams where the limit cannot be raised so, Conflict where the request was decided or
    who asked has left, NotPermitted for one's own.
    """
    actor.require(Act.SET_LIMITS)

    def decide(state: State) -> tuple[Plan, str]:
        old = _open(state, request)
        _require_stranger(actor, old)
        _require_in_use(state, old)
        wanted = StoredLimit(
            scope_kind=old.scope_kind,
            scope_id=old.scope_id,
            dimension=old.dimension,
            window=old.window,
            amount=old.amount if amount is None else amount,
        )
        scope, end = _label(state, old), end_of(until or old.until_day)
        check_raise(state, wanted, scope=scope, until=end)
        why = " ".join(old.reason.split())
        new, change = raise_of(state, mint, actor, wanted, scope=scope, until=end, reason=why)
        plan = _decided(state, actor, old, RequestState.GRANTED, raise_id=new.id)
        return replace(
            plan, changes=(*plan.changes, change), puts=(*plan.puts, new), invalidates=True
        ), new.id

    return await registry.change(actor, decide)


async def refuse_request(registry: Registry, actor: Actor, *, request: str, reason: str) -> None:
    """Say no, and why. Raises NotFound, InvalidParams without a reason, Conflict where it was decided, NotPermitted."""
    actor.require(Act.SET_LIMITS)
    why = checked_reason(reason)

    def decide(state: State) -> tuple[Plan, None]:
        old = _open(state, request)
        _require_stranger(actor, old)
        return _decided(state, actor, old, RequestState.REFUSED, reason=why), None

    return await registry.change(actor, decide)


def shown_requests(
    state: State,
    *,
    state_is: RequestState | None = None,
    project: str | None = None,
    email: str | None = None,
) -> Sequence[ShownRequest]:
    """Requests, oldest first, as far as they were asked for: by state, project, and who asked. Raises NotFound."""
    names, emails = scope_names(state), {each.id: each.email for each in state.people}
    scopes = None if project is None else _scopes_of(state, project)
    person = None if email is None else find_person(state, email)
    given = {each.id: each for each in state.raises}
    return [
        ShownRequest(
            id=each.id,
            state=RequestState(each.state),
            scope=names.get((each.scope_kind, each.scope_id), f"{each.scope_kind}:{each.scope_id}"),
            limit=limit_key(_limit(each)),
            amount=each.amount,
            until=each.until_day,
            reason=each.reason,
            asked_by=emails.get(each.asked_by, each.asked_by),
            asked_at=_moment(each.created_us),
            decided_by=None if each.decided_by is None else emails.get(each.decided_by, each.decided_by),
            decided_at=None if each.decided_us is None else _moment(each.decided_us),
            decision_reason=each.decision_reason,
            raise_id=each.raise_id,
            granted_amount=given[each.raise_id].amount if each.raise_id in given else None,
            granted_until=_last_day(given[each.raise_id].until_us) if each.raise_id in given else None,
        )
        for each in sorted(state.requests, key=lambda one: (one.created_us, one.id))
        if (state_is is None or each.state == state_is)
        and (scopes is None or (each.scope_kind, each.scope_id) in scopes)
        and (person is None or each.asked_by == person.id)
    ]


def _checked_purpose(text: str) -> str:
    """What a request is for, its lines without blanks around them; raises InvalidParams."""
    lines = [each.strip() for each in text.strip().replace("\r\n", "\n").split("\n")]
    purpose = "\n".join(lines)
    if not purpose or len(purpose) > MOST_PURPOSE_CHARS or not all(each.isprintable() for each in lines):
        raise InvalidParams(
            f"Say what for in at most {MOST_PURPOSE_CHARS} characters, in one line or several, without characters that "
            "are not seen."
        )
    return purpose


def _own_scope(state: State, actor: Actor, project: str, *, for_project: bool) -> tuple[str, str, str]:
    """Kind, id and name of the scope that somebody asks for: their membership, or a project that they lead."""
    found = state.project(project)
    place = None if found is None else _place(state, actor, found)
    if found is None or (place is None and found.lead_id != actor.principal):
        raise NotFound(f"There is no project {project!a} that you could ask for.")
    if for_project:
        if found.lead_id != actor.principal:
            raise NotPermitted("Only who leads a project asks for more of its limits.", rule="roles")
        return ScopeKind.PROJECT, found.id, f"project:{found.name}"
    if place is None:
        raise InvalidParams(f"You lead {found.name} and are no member of it; ask for the project.")
    return ScopeKind.MEMBER, place.id, scope_names(state)[ScopeKind.MEMBER, place.id]


def _place(state: State, actor: Actor, project: Project) -> Membership | None:
    return next(
        (
            each
            for each in state.memberships
            if (each.project_id, each.person_id) == (project.id, actor.principal) and each.retired_us is None
        ),
        None,
    )


def _found(state: State, request: str) -> QuotaRequest:
    found = next((each for each in state.requests if each.id == request), None)
    if found is None:
        raise NotFound(f"There is no request {request!a}; `bursar request list` shows all.")
    return found


def _open(state: State, request: str) -> QuotaRequest:
    found = _found(state, request)
    if found.state != RequestState.OPEN:
        raise Conflict(f"This request is {found.state} already.")
    return found


def _require_stranger(actor: Actor, request: QuotaRequest) -> None:
    if actor.principal == request.asked_by:
        raise NotPermitted(
            "Nobody decides on their own request. Ask another administrator.", rule="own-request"
        )


def _require_in_use(state: State, request: QuotaRequest) -> None:
    objects: tuple[Sequence[Project], Sequence[Membership]] = (state.projects, state.memberships)
    in_use = {each.id for kind in objects for each in kind if each.retired_us is None}
    if request.scope_id not in in_use:
        raise Conflict("Whoever asked has left the project, or it has ended; refuse the request instead.")


def _decided(
    state: State,
    actor: Actor,
    old: QuotaRequest,
    now_is: RequestState,
    *,
    reason: str | None = None,
    raise_id: str | None = None,
) -> Plan:
    if old.state != RequestState.OPEN:
        raise Conflict(f"This request is {old.state} already.")
    new = replace(
        old,
        state=now_is.value,
        decided_us=state.now_us,
        decided_by=actor.principal,
        decision_reason=reason,
        raise_id=raise_id,
    )
    return Plan(
        changes=(_change(new, _label(state, new), now_is.value),),
        puts=(new,),
        notices=() if now_is is RequestState.WITHDRAWN else (request_decided(new.id),),
        invalidates=False,
    )


def _change(request: QuotaRequest, label: str, what: str) -> Change:
    # Reasons are people's own words and may name others, so they are kept beside the log, under the request's id.
    said: dict[str, Value] = {
        "limit": limit_key(_limit(request)),
        "amount": request.amount,
        "until": request.until_day.isoformat(),
    }
    logged: dict[str, Value] = {
        "scope_kind": request.scope_kind,
        "scope": request.scope_id,
        "asked_by": request.asked_by,
        "raise": request.raise_id,
        "after": said,
    }
    return Change(kind="request", object=label, object_id=request.id, what=what, after=said, logged=logged)


def _limit(request: QuotaRequest) -> StoredLimit:
    return StoredLimit(
        scope_kind=request.scope_kind,
        scope_id=request.scope_id,
        dimension=request.dimension,
        window=request.window,
        amount=request.amount,
    )


def _label(state: State, request: QuotaRequest) -> str:
    scope = (request.scope_kind, request.scope_id)
    return scope_names(state).get(scope, ":".join(scope))


def _scopes_of(state: State, project: str) -> set[tuple[str, str]]:
    found = find_project(state, project)
    members = {(ScopeKind.MEMBER.value, each.id) for each in state.memberships if each.project_id == found.id}
    return {(ScopeKind.PROJECT.value, found.id)} | members


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)


def _last_day(until_us: int) -> dt.date:
    return _moment(until_us - 1).date()
