"""Projects and their members: added, changed and ended."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from app.administration.ending import retire
from app.administration.state import State
from app.administration.wishes import changed_project, new_project, with_member, without_member
from app.errors import NotFound
from app.web.api.conditions import OnlyIf, WithTag, tagged
from app.web.api.desk import AtDesk, Who
from app.web.api.directory import NameInPath
from app.web.api.documented import changing, creating, reading, refusals
from app.web.api.guard import GuardedRoute
from app.web.api.paging import InParts
from app.web.api.people import PersonInPath
from app.web.api.project_shapes import (
    AllowWanted,
    DaysWanted,
    Members,
    MemberShape,
    ProjectChange,
    ProjectShape,
    ProjectWanted,
)
from app.web.api.shown import member_shapes, project_shape
from app.web.api.sight import Sight
from app.web.api.visitors import Visitor

router = APIRouter(prefix="/api/v1/projects", tags=["projects"], route_class=GuardedRoute)


@router.post("", status_code=201, summary="Add a project", responses=creating(409, 413))
async def add_project(desk: AtDesk, who: Who, response: Response, wanted: ProjectWanted) -> ProjectShape:
    """An approved proposal with its members and limits, in effect at once."""
    content = {
        **_written(wanted),
        "members": [{"email": each.person, **_written(each, but="person")} for each in wanted.members],
        "allow": _allow(wanted.allow),
    }
    await desk.apply(who, new_project(content), desk.registry)
    sight = await desk.sight(who)
    return tagged(response, project_shape(sight, sight.project(wanted.name)))


@router.patch("/{name}", summary="Change a project", responses=changing(409, 413))
async def change_project(
    desk: AtDesk, who: Who, only: OnlyIf, name: NameInPath, wanted: ProjectChange
) -> ProjectShape:
    """Another credential, approval, lead, scope of reuse or bounds, from the next call on."""
    project = (await desk.sight(who)).project(name).id
    changes = _written(wanted)
    if "allow" in wanted.model_fields_set:
        changes["allow"] = _allow(wanted.allow)
    registry = only.on(desk.registry, lambda state: _project(state, who, project))
    await desk.apply(who, changed_project(project, changes), registry)
    return only.shown(_project(await desk.registry.state(), who, project))


@router.delete("/{name}", status_code=204, summary="Retire a project", responses=changing(status=204))
async def retire_project(desk: AtDesk, who: Who, only: OnlyIf, name: NameInPath) -> Response:
    """End a project: its memberships, their keys, and the key of what is held for it, which nobody can read any more."""
    project = (await desk.sight(who)).project(name).id
    registry = only.on(desk.registry, lambda state: _project(state, who, project))
    await retire(registry, who.actor, kind="project", object_id=project)
    desk.forget()
    return Response(status_code=204)


@router.get("/{name}/members", summary="Members", responses=refusals(404))
async def list_members(desk: AtDesk, who: Who, parts: InParts, name: NameInPath) -> Members:
    """Members in the order of their addresses; only a lead sees the others."""
    sight = await desk.sight(who)
    page = parts.cut(member_shapes(sight, sight.project(name)), lambda each: each.person)
    return Members(items=page)


@router.get("/{name}/members/{person}", summary="One member", responses=reading())
async def get_member(
    desk: AtDesk, who: Who, tagging: WithTag, name: NameInPath, person: PersonInPath
) -> MemberShape:
    """A person's days in a project."""
    return tagging.shown(_member(await desk.sight(who), name, person))


@router.put(
    "/{name}/members/{person}",
    summary="Set a member",
    responses={201: {"model": MemberShape, "description": "A new member."}, **changing(413)},
)
async def set_member(
    *,
    desk: AtDesk,
    who: Who,
    only: OnlyIf,
    response: Response,
    name: NameInPath,
    person: PersonInPath,
    wanted: DaysWanted,
) -> MemberShape:
    """Have a person be a member on these days. Whoever was one keeps their keys and limits."""
    sight = await desk.sight(who)
    project, whom = sight.project(name).id, sight.person(person).id

    def shown(state: State) -> MemberShape | None:
        try:
            return _member(Sight(state=state, visitor=who), project, whom)
        except NotFound:
            return None

    wish = with_member(project, whom, _written(wanted))
    done = await desk.apply(who, wish, only.on(desk.registry, shown))
    if any((each.kind, each.what) in _JOINED for each in done.plan.changes):
        response.status_code = 201
    return only.shown(_member(await desk.sight(who), project, whom))


@router.delete(
    "/{name}/members/{person}",
    status_code=204,
    summary="End a membership",
    responses=changing(409, status=204),
)
async def end_membership(
    desk: AtDesk, who: Who, only: OnlyIf, name: NameInPath, person: PersonInPath
) -> Response:
    """End a person's part in a project, and their keys for it. The lead has to be somebody else first."""
    sight = await desk.sight(who)
    place = sight.membership(name, person)
    registry = only.on(
        desk.registry,
        lambda state: _member(Sight(state=state, visitor=who), place.project_id, place.person_id),
    )
    await desk.apply(who, without_member(place.project_id, place.person_id), registry)
    return Response(status_code=204)


_JOINED = {("member", "added"), ("member", "restored")}


def _project(state: State, who: Visitor, project: str) -> ProjectShape:
    sight = Sight(state=state, visitor=who)
    return project_shape(sight, sight.project(project))


def _member(sight: Sight, project: str, person: str) -> MemberShape:
    place = sight.membership(project, person)
    address = sight.person(place.person_id).email
    return MemberShape(person=address, from_day=place.from_day, until_day=place.until_day)


def _written(wanted: BaseModel, *, but: str = "") -> dict[str, Any]:
    """What was sent, as a state file writes it."""
    return wanted.model_dump(by_alias=True, exclude_unset=True, exclude={but})


def _allow(allow: AllowWanted) -> dict[str, Any]:
    return allow.model_dump(by_alias=True, exclude_none=True)
