"""Bearer tokens of people: seen, issued, revoked. A token itself is shown once."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.administration.keys import issue_token
from app.administration.tokens import ShownToken, end_token, shown_tokens
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.paging import InParts
from app.web.api.people import PersonInPath
from app.web.api.people_shapes import IssuedTokenShape, Tokens, TokenShape, TokenWanted

router = APIRouter(prefix="/api/v1", route_class=GuardedRoute)
TokenIdInPath = Annotated[
    str,
    Path(alias="id", pattern="^[0-9A-Za-z]{12}$", description="A token's id.", examples=["7hR2mXw9QzKd"]),
]


@router.get("/me/tokens", tags=["me"], summary="My tokens, without their secrets", responses=refusals())
async def list_my_tokens(desk: AtDesk, who: Who, parts: InParts) -> Tokens:
    """Bearer tokens of your own, the one that you send included, in the order of their ids."""
    sight = await desk.sight(who)
    page = parts.cut(shown_tokens(sight.state, email=sight.me().email), lambda each: each.token_id)
    return Tokens(items=[_shape(each) for each in page])


@router.delete(
    "/me/tokens/{id}",
    tags=["me"],
    status_code=204,
    summary="Revoke a token of mine",
    responses=refusals(404),
)
async def revoke_my_token(desk: AtDesk, who: Who, token: TokenIdInPath) -> None:
    """End a token of your own at once, with the sessions opened with it. Doing it again changes nothing."""
    await end_token(desk.registry, who.actor, token=token, person_id=who.person)
    desk.forget()


@router.get(
    "/people/{person}/tokens",
    tags=["people"],
    summary="A person's tokens, without their secrets",
    responses=refusals(404),
)
async def list_person_tokens(desk: AtDesk, who: Who, parts: InParts, name: PersonInPath) -> Tokens:
    """Bearer tokens of a person in the order of their ids, those that ended included."""
    sight = await desk.sight(who)
    page = parts.cut(shown_tokens(sight.state, email=sight.person(name).email), lambda each: each.token_id)
    return Tokens(items=[_shape(each) for each in page])


@router.post(
    "/people/{person}/tokens",
    tags=["people"],
    status_code=201,
    summary="Issue a token",
    responses=refusals(404, 409, 413),
)
async def issue_person_token(
    desk: AtDesk, who: Who, name: PersonInPath, wanted: TokenWanted
) -> IssuedTokenShape:
    """A bearer token for `/api/v1` and the console with that person's roles. It is in this answer and nowhere else."""
    person = (await desk.sight(who)).person(name)
    issued = await issue_token(
        desk.registry, desk.mint, who.actor, email=person.email, expires=wanted.expires
    )
    desk.forget()
    return IssuedTokenShape(token=issued.token, expires_at=issued.expires_at)


@router.delete(
    "/people/{person}/tokens/{id}",
    tags=["people"],
    status_code=204,
    summary="Revoke a token",
    responses=refusals(404),
)
async def revoke_person_token(desk: AtDesk, who: Who, name: PersonInPath, token: TokenIdInPath) -> None:
    """End somebody's token at once, with the sessions opened with it. Doing it again changes nothing."""
    person = (await desk.sight(who)).person(name)
    await end_token(desk.registry, who.actor, token=token, person_id=person.id)
    desk.forget()


def _shape(token: ShownToken) -> TokenShape:
    return TokenShape(
        id=token.token_id,
        person=token.email,
        created_at=token.created_at,
        expires_at=token.expires_at,
        status=token.status,
    )
