"""Keys: seen, issued, rotated with an overlap, revoked. Secrets are shown once."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from app.administration.keys import issue_key as issue
from app.administration.keys import revoke_key as revoke
from app.administration.keys import rotate_key as rotate
from app.administration.keys import shown_keys
from app.administration.state import State
from app.errors import NotFound
from app.web.api.conditions import OnlyIf, WithTag
from app.web.api.desk import AtDesk, Desk, Who
from app.web.api.documented import changing, reading, refusals
from app.web.api.guard import GuardedRoute
from app.web.api.paging import InParts
from app.web.api.shapes import IssuedKeyShape, Keys, KeyShape, KeyWanted, RotationWanted
from app.web.api.shown import issued_key_shape, key_shape
from app.web.api.sight import Sight

router = APIRouter(prefix="/api/v1/keys", tags=["keys"], route_class=GuardedRoute)
KeyIdInPath = Annotated[str, Path(alias="id", pattern="^[0-9A-Za-z]{12}$", description="A key's id.")]


@router.get("", summary="Keys, without secrets", responses=refusals(404))
async def list_keys(
    *,
    desk: AtDesk,
    who: Who,
    parts: InParts,
    project: Annotated[str | None, Query(max_length=100, description="Only of this project.")] = None,
    person: Annotated[
        str | None, Query(max_length=320, description="Only of the person of this address.")
    ] = None,
    status: Annotated[
        Literal["active", "expired", "revoked"] | None, Query(description="Only of this status.")
    ] = None,
) -> Keys:
    """Keys in the order of their ids: all, those of projects that you lead, or your own."""
    sight = await desk.sight(who)
    found = shown_keys(
        sight.state,
        desk.mint,
        project=None if project is None else sight.project(project).name,
        email=None if person is None else sight.person(person).email,
    )
    page = parts.cut(
        [each for each in found if each.key_id in sight.keys and status in {None, each.status}],
        lambda each: each.key_id,
    )
    return Keys(items=[key_shape(each) for each in page])


@router.post("", status_code=201, summary="Issue a key", responses=refusals(404, 409, 413))
async def issue_key(desk: AtDesk, who: Who, wanted: KeyWanted) -> IssuedKeyShape:
    """A key of a person's place in a project: yourself, or anybody for administrators.

    The secrets are in this answer and nowhere else.
    """
    sight = await desk.sight(who)
    project = sight.project(wanted.project)
    person = sight.me() if wanted.person is None else sight.person(wanted.person)
    issued = await issue(
        desk.registry, desk.mint, who.actor, project=project.name, email=person.email, expires=wanted.expires
    )
    desk.forget()
    return issued_key_shape(issued)


@router.get("/{id}", summary="One key, without secrets", responses=reading())
async def get_key(desk: AtDesk, tagging: WithTag, who: Who, key: KeyIdInPath) -> KeyShape:
    """What may be shown of a key at any time."""
    sight = await desk.sight(who)
    _require_in_sight(sight, key)
    return tagging.shown(_shown(sight.state, desk, key))


@router.post("/{id}/rotation", summary="Rotate a key's secrets", responses=refusals(404, 409, 412, 413))
async def rotate_key(
    desk: AtDesk, who: Who, only: OnlyIf, key: KeyIdInPath, wanted: RotationWanted | None = None
) -> IssuedKeyShape:
    """The same key with fresh secrets; the old ones go on working for `overlap_s` seconds."""
    _require_in_sight(await desk.sight(who), key)
    overlap_s = 0 if wanted is None else wanted.overlap_s
    registry = only.on(desk.registry, lambda state: _shown(state, desk, key))
    issued = await rotate(registry, desk.mint, who.actor, key=key, overlap_s=overlap_s)
    desk.forget()
    return issued_key_shape(issued)


@router.delete("/{id}", status_code=204, summary="Revoke a key", responses=changing(status=204))
async def revoke_key(desk: AtDesk, who: Who, only: OnlyIf, key: KeyIdInPath) -> None:
    """End a key at once, everywhere. Doing it again changes nothing."""
    _require_in_sight(await desk.sight(who), key)
    registry = only.on(desk.registry, lambda state: _shown(state, desk, key))
    await revoke(registry, who.actor, key=key)
    desk.forget()


def _require_in_sight(sight: Sight, key: str) -> None:
    if key not in sight.keys:
        raise NotFound("There is no such key that you could see.", rule="sight")


def _shown(state: State, desk: Desk, key: str) -> KeyShape:
    return key_shape(next(each for each in shown_keys(state, desk.mint) if each.key_id == key))
