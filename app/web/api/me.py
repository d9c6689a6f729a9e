"""Whoever asks: what they are, what they have, and the terms that they accept."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.administration.acts import accept_terms
from app.administration.keys import shown_keys
from app.administration.usage import usage
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.me_shapes import AcceptedShape, Me, MyTerms
from app.web.api.paging import InParts
from app.web.api.shapes import UsageShape
from app.web.api.shown import (
    accepted_shape,
    key_shape,
    own_project_shape,
    person_shape,
    terms_state_shape,
)

router = APIRouter(prefix="/api/v1/me", tags=["me"], route_class=GuardedRoute)
Version = Annotated[str, Path(max_length=64, description="A version of the terms.", examples=["2024-10"])]


@router.get("", summary="Who I am and what I have", responses=refusals())
async def get_me(desk: AtDesk, who: Who) -> Me:
    """Your roles, projects, keys without secrets, the state of the terms, and what is left today.

    Beside the terms and estimates the one route that takes a project's `api_key` as well.
    """
    sight = await desk.sight(who)
    me = sight.me()
    places = {each.id for each in sight.own_memberships}
    used = await usage(desk.registry, email=me.email)
    keys = shown_keys(sight.state, desk.mint, email=me.email)
    return Me(
        person=person_shape(me),
        projects=sorted(
            (own_project_shape(sight, each) for each in sight.own_memberships), key=lambda each: each.name
        ),
        keys=[key_shape(each) for each in keys if sight.keys[each.key_id].membership_id in places],
        terms=terms_state_shape(sight),
        usage=UsageShape.model_validate(used.shown()),
    )


@router.get("/terms", summary="The terms and my acceptances", responses=refusals())
async def list_my_terms(desk: AtDesk, who: Who, parts: InParts) -> MyTerms:
    """Every version of the terms, and whether and how you accepted it."""
    sight = await desk.sight(who)
    page = parts.cut(sight.terms.values(), lambda each: each.version)
    return MyTerms(items=[accepted_shape(sight, each) for each in page])


@router.post("/terms/{version}/acceptance", summary="Accept the terms", responses=refusals(404))
async def accept_my_terms(desk: AtDesk, who: Who, version: Version) -> AcceptedShape:
    """Accept a version of the terms for yourself. Doing it again changes nothing."""
    await accept_terms(desk.registry, who.actor, person_id=who.person, version=version)
    desk.forget()
    sight = await desk.sight(who)
    return accepted_shape(sight, sight.terms[version])
