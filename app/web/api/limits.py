"""Limits changed and raised for a while, and what waits for a second administrator under two-person control."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.administration import proposals as acts
from app.administration.acts import require_limits, set_limits
from app.administration.conditional import Conditional
from app.administration.desired import LimitKey
from app.administration.durations import end_of
from app.administration.limits_past import LIMIT_SET, LimitChange, LimitChanges
from app.administration.proposals import Confirmation, shown_proposals
from app.administration.raising import end_raise as end
from app.administration.raising import grant_raise, shown_raises
from app.administration.registry import Registry
from app.administration.shown import require_scope
from app.administration.state import State
from app.errors import InvalidParams, NotFound
from app.quota.arithmetic import parse_limit_key
from app.storage.limits_past import find_limit_changes
from app.web.api.conditions import OnlyIf, WithTag
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import changing, creating, reading, refusals
from app.web.api.guard import GuardedRoute
from app.web.api.limit_shapes import (
    ConfirmationShape,
    ConfirmationsShape,
    ConfirmationsWanted,
    LimitChangeShape,
    LimitChangesShape,
    LimitSetShape,
    LimitWanted,
    NotConfirmedShape,
    Proposals,
    ProposalShape,
    Raises,
    RaiseShape,
    RaiseWanted,
)
from app.web.api.log import Before, say_what_is_read
from app.web.api.paging import InParts, Limit, link_next
from app.web.errors import STATUS_OF_CODE

router = APIRouter(prefix="/api/v1", tags=["limits"], route_class=GuardedRoute)
RaiseId = Annotated[str, Path(alias="id", pattern="^[0-9a-f]{20}$", description="A raise's id.")]
ProposalId = Annotated[str, Path(alias="id", pattern="^[0-9a-f]{20}$", description="A proposal's id.")]


@router.put("/limits", summary="Set a limit", responses=refusals(404, 409, 412, 413))
async def set_limit(desk: AtDesk, who: Who, wanted: LimitWanted) -> LimitSetShape:
    """Set one limit, or end it with `amount: null`. What was used stays used.

    With `was` only if it is still what you have seen. Where two-person control is on, what raises a credential's limit
    changes nothing yet: it is in `waiting`.
    """
    key = _limit_key(wanted.key)
    registry: Registry = desk.registry
    if "was" in wanted.model_fields_set:
        seen = {key: wanted.was}
        registry = Conditional(registry, lambda state: require_limits(state, scope=wanted.scope, seen=seen))
    done = await set_limits(registry, who.actor, scope=wanted.scope, amounts={key: wanted.amount})
    desk.forget()
    shown = shown_proposals(await desk.registry.state(), done.waiting)
    return LimitSetShape(
        has_changed=done.has_changed, waiting=[ProposalShape.model_validate(each) for each in shown]
    )


@router.get("/limits/changes", summary="What became of limits", responses=refusals(404))
async def list_limit_changes(
    *,
    request: Request,
    response: Response,
    desk: AtDesk,
    scope: Annotated[str | None, Query(max_length=500, description="Only of this scope.")] = None,
    key: Annotated[
        str | None, Query(max_length=64, description="Only of this, such as requests/day.")
    ] = None,
    before: Before = None,
    limit: Limit = 50,
) -> LimitChangesShape:
    """Who set, changed or ended which limit, the newest first.

    Of one scope or limit a part may be short, or empty, and go on all the same: 2,000 changes are looked at for each.
    """
    state = await desk.registry.state()
    if scope is not None:
        require_scope(state, scope)
    if key is not None:
        _limit_key(key)
    changes = LimitChanges(state)

    def meets(each: LimitChange) -> bool:
        return scope in {None, each.scope} and key in {None, each.key}

    say_what_is_read(request, {"op": LIMIT_SET, "before": before, "limit": limit})
    found = await desk.installation.database.read(
        lambda conn: find_limit_changes(conn, changes, meets, before=before, limit=limit)
    )
    if found.onward is not None:
        link_next(request, response, before=str(found.onward))
    return LimitChangesShape(items=[LimitChangeShape.model_validate(each.shown()) for each in found.changes])


@router.get("/raises", summary="Raises", responses=refusals(404))
async def list_raises(
    desk: AtDesk,
    parts: InParts,
    scope: Annotated[str | None, Query(max_length=500, description="Only of this scope.")] = None,
    with_ended: Annotated[bool, Query(description="Those that are over as well.")] = False,
) -> Raises:
    """Limits that hold more for a while, by the end of that while."""
    state = await desk.registry.state()
    if scope is not None:
        require_scope(state, scope)
    found = [each for each in shown_raises(state, all_of_them=with_ended) if scope in {None, each["scope"]}]
    page = parts.cut(found, lambda each: f"{each['until']} {each['id']}")
    return Raises(items=[RaiseShape.model_validate(each) for each in page])


@router.post(
    "/raises", status_code=201, summary="Raise a limit for a while", responses=creating(404, 409, 413)
)
async def add_raise(desk: AtDesk, who: Who, wanted: RaiseWanted) -> RaiseShape:
    """Have a limit hold more from now on, through a UTC day. It ends by itself; what was used stays used."""
    made = await grant_raise(
        desk.registry,
        desk.mint,
        who.actor,
        scope=wanted.scope,
        key=_limit_key(wanted.key),
        amount=wanted.amount,
        until=end_of(wanted.until),
        reason=wanted.reason,
    )
    desk.forget()
    return _raise(await desk.registry.state(), made.id)


@router.get("/raises/{id}", summary="One raise", responses=reading())
async def get_raise(desk: AtDesk, tagging: WithTag, raised: RaiseId) -> RaiseShape:
    """One raise, be it over or not."""
    return tagging.shown(_raise(await desk.registry.state(), raised))


@router.delete("/raises/{id}", status_code=204, summary="End a raise", responses=changing(status=204))
async def end_raise(desk: AtDesk, who: Who, only: OnlyIf, raised: RaiseId) -> None:
    """Have a raise end now. Doing it again changes nothing."""
    registry = only.on(desk.registry, lambda state: _raise(state, raised))
    await end(registry, who.actor, raise_id=raised)
    desk.forget()


@router.get("/proposals", summary="What waits for a second administrator", responses=refusals())
async def list_proposals(desk: AtDesk, parts: InParts) -> Proposals:
    """Raises of a credential's limits or roster, and upkeep of the log, by id, with those that were decided."""
    shown = shown_proposals(await desk.registry.state())
    page = parts.cut(shown, lambda each: str(each["id"]))
    return Proposals(items=[ProposalShape.model_validate(each) for each in page])


@router.get("/proposals/{id}", summary="One proposal", responses=refusals(404))
async def get_proposal(desk: AtDesk, proposal: ProposalId) -> ProposalShape:
    """One proposal, be it decided or not."""
    shown = shown_proposals(await desk.registry.state())
    found = next((each for each in shown if each["id"] == proposal), None)
    if found is None:
        raise NotFound("There is no such proposal.", rule="sight")
    return ProposalShape.model_validate(found)


@router.post("/proposals/confirmation", summary="Confirm several proposals", responses=refusals(413))
async def confirm_proposals(desk: AtDesk, who: Who, wanted: ConfirmationsWanted) -> ConfirmationsShape:
    """Make each of them true, as a second administrator, one after another: one that is refused stops no other.

    `items` says of each whether it is confirmed, so look there: the status is 200 even if none is.
    """
    found = await acts.confirm_each(desk.registry, who.actor, proposal_ids=wanted.ids)
    desk.forget()
    state = await desk.registry.state()
    return ConfirmationsShape(items=[_confirmation(state, each) for each in found])


@router.post("/proposals/{id}/confirmation", summary="Confirm a proposal", responses=refusals(404, 409))
async def confirm_proposal(desk: AtDesk, who: Who, proposal: ProposalId) -> ProposalShape:
    """Make it true, as a second administrator. Whoever proposed it is refused."""
    done = await acts.confirm(desk.registry, who.actor, proposal_id=proposal)
    desk.forget()
    return ProposalShape.model_validate(shown_proposals(await desk.registry.state(), [done])[0])


@router.post("/proposals/{id}/refusal", summary="Refuse a proposal", responses=refusals(404, 409))
async def refuse_proposal(desk: AtDesk, who: Who, proposal: ProposalId) -> ProposalShape:
    """End it; nothing changes. Whoever proposed it may do so as well."""
    done = await acts.refuse(desk.registry, who.actor, proposal_id=proposal)
    return ProposalShape.model_validate(shown_proposals(await desk.registry.state(), [done])[0])


def _raise(state: State, raise_id: str) -> RaiseShape:
    found = next((each for each in shown_raises(state, all_of_them=True) if each["id"] == raise_id), None)
    if found is None:
        raise NotFound("There is no such raise.", rule="sight")
    return RaiseShape.model_validate(found)


def _confirmation(state: State, found: Confirmation) -> ConfirmationShape:
    proposal, problem = None, None
    if found.proposal is not None:
        proposal = ProposalShape.model_validate(shown_proposals(state, [found.proposal])[0])
    if found.refusal is not None:
        problem = NotConfirmedShape(
            status=STATUS_OF_CODE[found.refusal.code], code=found.refusal.code, detail=found.refusal.message
        )
    return ConfirmationShape(id=found.id, proposal=proposal, problem=problem)


def _limit_key(key: str) -> LimitKey:
    try:
        return parse_limit_key(key)
    except ValueError as error:
        raise InvalidParams(str(error), rule="request") from error
