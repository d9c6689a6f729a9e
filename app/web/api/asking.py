"""Requests for more: one's own, and for those who set limits everybody's."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.administration.asking import RequestState, shown_requests
from app.administration.asking import ask_for_more as ask
from app.administration.asking import grant_request as grant
from app.administration.asking import refuse_request as refuse
from app.administration.asking import withdraw_request as withdraw
from app.errors import InvalidParams, NotFound
from app.quota.arithmetic import parse_limit_key
from app.web.api.asking_shapes import GrantWanted, MoreWanted, QuotaRequests, RefusalWanted, RequestShape
from app.web.api.desk import AtDesk, Desk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.paging import InParts
from app.web.api.sight import Sight

router = APIRouter(prefix="/api/v1", tags=["requests"], route_class=GuardedRoute)
RequestId = Annotated[str, Path(alias="id", pattern="^[0-9a-f]{20}$", description="A request's id.")]


@router.get("/me/requests", summary="My requests for more", responses=refusals())
async def list_my_requests(desk: AtDesk, who: Who, parts: InParts) -> QuotaRequests:
    """What you asked for, oldest first, and what became of it."""
    sight = await desk.sight(who)
    page = parts.cut(
        shown_requests(sight.state, email=sight.me().email),
        lambda each: f"{each.asked_at.isoformat()} {each.id}",
    )
    return QuotaRequests(items=[RequestShape.model_validate(each, from_attributes=True) for each in page])


@router.post("/me/requests", status_code=201, summary="Ask for more", responses=refusals(404, 409, 413))
async def ask_for_more(desk: AtDesk, who: Who, wanted: MoreWanted) -> RequestShape:
    """Ask that a limit of yours, or of a project that you lead, holds more for a while.

    It stays open until somebody who sets limits grants or refuses it, or you withdraw it.
    """
    sight = await desk.sight(who)
    try:
        key = parse_limit_key(wanted.limit)
    except ValueError as error:
        raise InvalidParams(f"limit: {error}", rule="request") from error
    made = await ask(
        desk.registry,
        desk.mint,
        who.actor,
        project=_meant(sight, wanted.project),
        for_project=wanted.for_whom == "project",
        key=key,
        amount=wanted.amount,
        until=wanted.until,
        reason=wanted.reason,
    )
    return await _shape(desk, made)


@router.get("/me/requests/{id}", summary="One request of mine", responses=refusals(404))
async def get_my_request(desk: AtDesk, who: Who, request: RequestId) -> RequestShape:
    """A request of yours, be it decided or not."""
    sight = await desk.sight(who)
    mine = shown_requests(sight.state, email=sight.me().email)
    shown = next((each for each in mine if each.id == request), None)
    if shown is None:
        raise NotFound("There is no such request of yours.", rule="sight")
    return RequestShape.model_validate(shown, from_attributes=True)


@router.delete("/me/requests/{id}", status_code=204, summary="Withdraw", responses=refusals(404, 409))
async def withdraw_request(desk: AtDesk, who: Who, request: RequestId) -> None:
    """Take back a request of yours that nobody has decided on."""
    await withdraw(desk.registry, who.actor, request=request)


@router.get("/requests", summary="Requests for more", responses=refusals(404))
async def list_requests(
    desk: AtDesk,
    parts: InParts,
    state: Annotated[RequestState | None, Query(description="Only of this state.")] = None,
    project: Annotated[str | None, Query(max_length=100, description="Only of this project.")] = None,
    person: Annotated[
        str | None, Query(max_length=320, description="Only by the person of this address.")
    ] = None,
) -> QuotaRequests:
    """What people ask for, oldest first."""
    found = shown_requests(await desk.registry.state(), state_is=state, project=project, email=person)
    page = parts.cut(found, lambda each: f"{each.asked_at.isoformat()} {each.id}")
    return QuotaRequests(items=[RequestShape.model_validate(each, from_attributes=True) for each in page])


@router.get("/requests/{id}", summary="One request for more", responses=refusals(404))
async def get_request(desk: AtDesk, request: RequestId) -> RequestShape:
    """One request, be it decided or not."""
    return await _shape(desk, request)


@router.post("/requests/{id}/grant", summary="Grant a request", responses=refusals(404, 409, 413))
async def grant_request(
    desk: AtDesk, who: Who, request: RequestId, wanted: GrantWanted | None = None
) -> RequestShape:
    """Raise the limit as asked, or by another amount and through another day. Nobody grants their own."""
    terms = wanted or GrantWanted()
    await grant(desk.registry, desk.mint, who.actor, request=request, amount=terms.amount, until=terms.until)
    desk.forget()
    return await _shape(desk, request)


@router.post("/requests/{id}/refusal", summary="Refuse a request", responses=refusals(404, 409, 413))
async def refuse_request(desk: AtDesk, who: Who, request: RequestId, wanted: RefusalWanted) -> RequestShape:
    """Say no, and why. Nobody decides on their own."""
    await refuse(desk.registry, who.actor, request=request, reason=wanted.reason)
    return await _shape(desk, request)


async def _shape(desk: Desk, request: str) -> RequestShape:
    found = shown_requests(await desk.registry.state())
    shown = next((each for each in found if each.id == request), None)
    if shown is None:
        raise NotFound("There is no such request.", rule="sight")
    return RequestShape.model_validate(shown, from_attributes=True)


def _meant(sight: Sight, project: str | None) -> str:
    """The project that somebody means; raises InvalidParams where that is open, or not the one of their key."""
    own = sight.visitor.project_name
    if own is not None:
        if project not in {None, own}:
            raise InvalidParams(
                f"This key belongs to project {own}; use another, or your own token.", rule="request"
            )
        return own
    if project is not None:
        return project
    mine = sight.led | {each.project_id for each in sight.own_memberships}
    names = sorted(sight.projects[each].name for each in mine)
    if len(names) != 1:
        raise InvalidParams(f"Say which project; yours are {', '.join(names) or 'none'}.", rule="request")
    return names[0]
