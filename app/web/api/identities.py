"""Accounts at the institution's identity provider, by which people sign in to the console."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.administration.joining import link_identity, unlink_identities
from app.errors import NotFound
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.people import PersonInPath
from app.web.api.shapes import example

router = APIRouter(prefix="/api/v1/people/{person}/identities", tags=["people"], route_class=GuardedRoute)


class IdentityWanted(BaseModel):
    """An account by the name that the provider calls it (`sub`), not by an address."""

    model_config = example(subject="f6a3c1d8-ada")
    subject: Annotated[str, Field(min_length=1, max_length=255)]


class IdentityShape(BaseModel):
    """An account that signs in as a person: the provider's name and its name for them."""

    model_config = example(issuer="https://id.example.edu", subject="f6a3c1d8-ada")
    issuer: str
    subject: str


class Identities(BaseModel):
    """A person's accounts."""

    items: list[IdentityShape]


@router.get("", summary="Accounts of a person at the institution", responses=refusals(404))
async def list_identities(desk: AtDesk, who: Who, name: PersonInPath) -> Identities:
    """Accounts that sign in as that person."""
    sight = await desk.sight(who)
    held = sight.state.identities_of(sight.person(name).id)
    return Identities(items=[IdentityShape(issuer=each.issuer, subject=each.subject) for each in held])


@router.post(
    "", status_code=201, summary="Link an account of the institution", responses=refusals(404, 409, 413)
)
async def link_account(desk: AtDesk, who: Who, name: PersonInPath, wanted: IdentityWanted) -> IdentityShape:
    """Have an account at the provider in the settings sign in as that person. Doing it again changes nothing."""
    provider = desk.installation.identity_provider
    if provider is None:
        raise NotFound("No institution's sign-in is set up here.", rule="sight")
    person = (await desk.sight(who)).person(name)
    await link_identity(
        desk.registry, who.actor, email=person.email, issuer=provider.issuer, subject=wanted.subject
    )
    return IdentityShape(issuer=provider.issuer, subject=wanted.subject)


@router.delete("", status_code=204, summary="Unlink a person's accounts", responses=refusals(404))
async def unlink_accounts(desk: AtDesk, who: Who, name: PersonInPath) -> Response:
    """Have all accounts of that person open nothing any more; their sessions end."""
    person = (await desk.sight(who)).person(name)
    await unlink_identities(desk.registry, who.actor, email=person.email)
    return Response(status_code=204)
