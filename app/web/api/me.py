"""Whoever asks: what they are, what they have, and the terms that they accept."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.administration.acts import accept_terms
from app.administration.hearing import Heard, heard_by
from app.administration.keys import shown_keys
from app.administration.usage import usage
from app.errors import InvalidParams
from app.web.api.desk import AtDesk, Desk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.me_shapes import AcceptedShape, HeardShape, Me, MyNotices, MyTerms, NoticesWanted
from app.web.api.paging import InParts
from app.web.api.shapes import UsageShape
from app.web.api.shown import (
    accepted_shape,
    key_shape,
    own_project_shape,
    person_shape,
    terms_state_shape,
)
from app.web.api.sight import Sight

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


@router.get("/notices", summary="What I am told by mail", responses=refusals())
async def get_my_notices(desk: AtDesk, who: Who) -> MyNotices:
    """The kinds of notice that concern you, and which of them you get by mail."""
    return await _notices(desk, await desk.sight(who))


@router.put("/notices", summary="Choose what I am told by mail", responses=refusals(413))
async def choose_my_notices(desk: AtDesk, who: Who, wanted: NoticesWanted) -> MyNotices:
    """Have no mail of these events, from the next on. The log line and the webhook are for everybody and go on."""
    sight = await desk.sight(who)
    heard = heard_in(sight)
    unknown = sorted(set(wanted.without) - {each.event for each in heard})
    if unknown:
        known = ", ".join(each.event for each in heard)
        raise InvalidParams(
            f"{unknown[0]!a} is no event that you are told; those are {known}.", rule="request"
        )
    muted = [each.kind for each in heard if each.event in wanted.without]
    await desk.muted.choose(who.person, among=[each.kind for each in heard], muted=muted)
    return await _notices(desk, sight)


def heard_in(sight: Sight) -> list[Heard]:
    """The kinds of notice that concern whoever asks."""
    return heard_by(sight.me().roles, leads=bool(sight.led))


async def _notices(desk: Desk, sight: Sight) -> MyNotices:
    muted = await desk.muted.of(sight.visitor.person)
    return MyNotices(
        items=[
            HeardShape(event=each.event, what=each.what, by_mail=each.kind not in muted)
            for each in heard_in(sight)
        ],
        mail_is_sent=desk.installation.settings.smtp_url is not None,
    )
