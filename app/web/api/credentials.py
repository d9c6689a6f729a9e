"""Credentials: added, given a fresh secret, bounded and retired; the secret goes in and never comes out."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from app.administration.acts import add_credential as add
from app.administration.acts import rotate_credential
from app.administration.ending import retire
from app.administration.finding import find_credential
from app.administration.proposals import shown_proposals
from app.administration.rostering import set_roster
from app.administration.shown import shown_credentials
from app.administration.state import State
from app.bootstrap import verified
from app.errors import InvalidParams, NotFound
from app.quota.arithmetic import parse_limit_key
from app.web.api.conditions import OnlyIf, WithTag, tagged
from app.web.api.credential_shapes import (
    CredentialChange,
    Credentials,
    CredentialSetShape,
    CredentialShape,
    CredentialWanted,
    SecretSetShape,
    SecretWanted,
    VerifiedShape,
)
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import changing, creating, reading, refusals
from app.web.api.guard import GuardedRoute
from app.web.api.limit_shapes import ProposalShape
from app.web.api.paging import InParts

router = APIRouter(prefix="/api/v1/credentials", tags=["credentials"], route_class=GuardedRoute)
CredentialInPath = Annotated[
    str, Path(alias="name", max_length=100, description="A credential's name.", examples=["main"])
]


@router.get("", summary="Credentials, without secrets", responses=refusals())
async def list_credentials(desk: AtDesk, parts: InParts) -> Credentials:
    """Credentials in the order of their names, with how many people use each and how many may."""
    page = parts.cut(shown_credentials(await desk.registry.state()), lambda each: str(each["name"]))
    return Credentials(items=[CredentialShape.model_validate(each) for each in page])


@router.post("", status_code=201, summary="Add a credential", responses=creating(409, 413))
async def add_credential(
    desk: AtDesk, who: Who, response: Response, wanted: CredentialWanted
) -> CredentialShape:
    """A key and secret that the platform issued, for at most ten people, with the limits that the platform counts.

    Under two-person control every credential but the first begins with limits of nothing, and those that it shall have
    wait for a second administrator (`GET /api/v1/proposals`).
    """
    try:
        limits = {parse_limit_key(key): amount for key, amount in wanted.limits.items()}
    except ValueError as error:
        raise InvalidParams(f"limits: {error}", rule="request") from error
    await add(
        desk.registry,
        desk.mint,
        who.actor,
        name=wanted.name,
        base_url=wanted.base_url,
        client_key=wanted.client_key,
        client_secret=wanted.client_secret,
        limits=limits,
    )
    desk.forget()
    return tagged(response, _shown(await desk.registry.state(), wanted.name))


@router.get("/{name}", summary="One credential", responses=reading())
async def get_credential(desk: AtDesk, tagging: WithTag, name: CredentialInPath) -> CredentialShape:
    """One credential, without its key and secret."""
    return tagging.shown(_shown(await desk.registry.state(), name))


@router.patch("/{name}", summary="Set how many people may use it", responses=changing(413))
async def change_credential(
    desk: AtDesk, who: Who, only: OnlyIf, name: CredentialInPath, wanted: CredentialChange
) -> CredentialSetShape:
    """Another number of people. Under two-person control a raise changes nothing yet: it is in `waiting`.

    The ETag is the one of the credential as `GET` shows it.
    """
    permission = None if wanted.permission is None else wanted.permission.model_dump(exclude_none=True)
    done = await set_roster(
        only.on(desk.registry, lambda state: _shown(state, name)),
        desk.mint,
        who.actor,
        name=name,
        roster_limit=wanted.roster_limit,
        permission=permission,
    )
    desk.forget()
    state = await desk.registry.state()
    waiting = [ProposalShape.model_validate(each) for each in shown_proposals(state, done.waiting)]
    credential = only.shown(_shown(state, name))
    return CredentialSetShape(credential=credential, has_changed=done.has_changed, waiting=waiting)


@router.post("/{name}/rotation", summary="Replace a secret", responses=refusals(404, 412, 413))
async def rotate_secret(
    desk: AtDesk, who: Who, only: OnlyIf, name: CredentialInPath, wanted: SecretWanted
) -> SecretSetShape:
    """Have the gateway use a fresh secret from the next token on, and another client key or host where one is given.

    A secret is bound to its host, so whoever changes the host gives the secret again. Under two-person control a
    credential stays the account that it is, unless there never was another.
    """
    has_changed = await rotate_credential(
        only.on(desk.registry, lambda state: _shown(state, name)),
        desk.mint,
        who.actor,
        name=name,
        client_secret=wanted.client_secret,
        client_key=wanted.client_key,
        base_url=wanted.base_url,
    )
    desk.forget()
    return SecretSetShape(has_changed=has_changed)


@router.post("/{name}/verification", summary="Ask whether it holds", responses=refusals(404))
async def verify_credential(desk: AtDesk, name: CredentialInPath) -> VerifiedShape:
    """Have the gateway ask the platform for a fresh token with it, which costs no quota."""
    state = await desk.registry.state()
    ((verified_name, why),) = await verified(desk.installation.platform, state, name)
    return VerifiedShape(name=verified_name, holds=why is None, why=why)


@router.delete("/{name}", status_code=204, summary="Retire a credential", responses=changing(409, status=204))
async def retire_credential(desk: AtDesk, who: Who, only: OnlyIf, name: CredentialInPath) -> Response:
    """End a credential that no project uses; its secret is destroyed, and what was held under it cannot be read."""
    credential = find_credential(await desk.registry.state(), name)
    registry = only.on(desk.registry, lambda state: _shown(state, name))
    await retire(registry, who.actor, kind="credential", object_id=credential.id)
    desk.forget()
    return Response(status_code=204)


def _shown(state: State, name: str) -> CredentialShape:
    found = next((each for each in shown_credentials(state) if each["name"] == name), None)
    if found is None:
        raise NotFound(f"There is no credential {name!a}.", rule="sight")
    return CredentialShape.model_validate(found)
