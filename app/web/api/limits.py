"""Limits changed, and what waits for a second administrator under two-person control."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.administration import proposals as acts
from app.administration.acts import set_limits
from app.administration.desired import LimitKey
from app.administration.proposals import shown_proposals
from app.errors import InvalidParams
from app.quota.arithmetic import parse_limit_key
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.paging import InParts
from app.web.api.shapes import LimitSetShape, LimitWanted, Proposals, ProposalShape

router = APIRouter(prefix="/api/v1", tags=["limits"], route_class=GuardedRoute)
ProposalId = Annotated[str, Path(alias="id", pattern="^[0-9a-f]{20}$", description="A proposal's id.")]


@router.put("/limits", summary="Set a limit", responses=refusals(404, 409, 413))
async def set_limit(desk: AtDesk, who: Who, wanted: LimitWanted) -> LimitSetShape:
    """Set one limit, or end it with `amount: null`. What was used stays used.

    Where two-person control is on, what raises a credential's limit changes nothing yet: it is in `waiting`.
    """
    done = await set_limits(
        desk.registry, who.actor, scope=wanted.scope, amounts={_limit_key(wanted.key): wanted.amount}
    )
    desk.forget()
    shown = shown_proposals(await desk.registry.state(), done.waiting)
    return LimitSetShape(
        has_changed=done.has_changed, waiting=[ProposalShape.model_validate(each) for each in shown]
    )


@router.get("/proposals", summary="What waits for a second administrator", responses=refusals())
async def list_proposals(desk: AtDesk, parts: InParts) -> Proposals:
    """Raises of a credential's limits or roster, and upkeep of the log, by id, with those that were decided."""
    shown = shown_proposals(await desk.registry.state())
    page = parts.cut(shown, lambda each: str(each["id"]))
    return Proposals(items=[ProposalShape.model_validate(each) for each in page])


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


def _limit_key(key: str) -> LimitKey:
    try:
        return parse_limit_key(key)
    except ValueError as error:
        raise InvalidParams(f"{error}.", rule="request") from error
