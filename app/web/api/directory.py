"""Projects, limits and usage, as far as whoever asks may see them."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.administration.reusing import set_reuse, spelled_out
from app.administration.state import Project
from app.administration.usage import usage
from app.administration.wishes import the_project
from app.errors import InvalidParams, NotFound
from app.web.api.conditions import OnlyIf, WithTag
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import changing, reading, refusals
from app.web.api.guard import GuardedRoute
from app.web.api.limit_shapes import Limits, LimitShape
from app.web.api.paging import InParts
from app.web.api.project_shapes import Projects, ProjectShape
from app.web.api.shapes import Day, ReuseShape, UsageShape
from app.web.api.shown import project_shape
from app.web.api.sight import Sight

router = APIRouter(prefix="/api/v1", route_class=GuardedRoute)
ProjectName = Annotated[str | None, Query(max_length=100, description="Only of this project.")]
NameInPath = Annotated[
    str, Path(max_length=100, description="A project's name, or its id.", examples=["elections"])
]
PersonEmail = Annotated[str | None, Query(max_length=320, description="Only of the person of this address.")]
_FIRST_DAY = dt.date(2000, 1, 1)


@router.get("/projects", tags=["projects"], summary="Projects", responses=refusals(404))
async def list_projects(
    desk: AtDesk,
    who: Who,
    parts: InParts,
    credential: Annotated[
        str | None, Query(max_length=100, description="Only under this credential.")
    ] = None,
    person: PersonEmail = None,
) -> Projects:
    """Projects in the order of their names: all, or those that you belong to or lead."""
    sight = await desk.sight(who)
    found = list(sight.projects.values())
    if credential is not None:
        ids = {each.id for each in sight.state.credentials if each.name == credential}
        found = [each for each in found if each.credential_id in ids]
    if person is not None:
        wanted = sight.person(person).id
        places = {each.project_id for each in sight.memberships.values() if each.person_id == wanted}
        found = [each for each in found if each.id in places]
    page = parts.cut(found, lambda each: each.name)
    return Projects(items=[project_shape(sight, each) for each in page])


@router.get("/projects/{name}", tags=["projects"], summary="One project", responses=reading())
async def get_project(desk: AtDesk, who: Who, tagging: WithTag, name: NameInPath) -> ProjectShape:
    """One project with its approval and its members; only a lead sees the other members."""
    sight = await desk.sight(who)
    return tagging.shown(project_shape(sight, sight.project(name)))


@router.get(
    "/projects/{name}/reuse", tags=["projects"], summary="When held answers may be used", responses=reading()
)
async def get_project_reuse(desk: AtDesk, who: Who, tagging: WithTag, name: NameInPath) -> ReuseShape:
    """What was chosen for a project, with what is as usual."""
    return tagging.shown(_reuse((await desk.sight(who)).project(name)))


@router.put(
    "/projects/{name}/reuse",
    tags=["projects"],
    summary="Set when held answers may be used",
    responses=changing(413),
)
async def set_project_reuse(
    desk: AtDesk, who: Who, only: OnlyIf, name: NameInPath, wanted: ReuseShape
) -> ReuseShape:
    """Have a project's held answers be used so from the next call on; what is left out is as usual. It is logged."""
    project = (await desk.sight(who)).project(name)
    registry = only.on(desk.registry, lambda state: _reuse(the_project(state, project.id)))
    await set_reuse(registry, who.actor, project=project.name, reuse=wanted.model_dump())
    desk.forget()
    return only.shown(_reuse(the_project(await desk.registry.state(), project.id)))


@router.get("/limits", tags=["limits"], summary="Limits", responses=refusals(404))
async def list_limits(
    desk: AtDesk,
    who: Who,
    parts: InParts,
    scope: Annotated[str | None, Query(max_length=500, description="Only of this scope.")] = None,
) -> Limits:
    """Limits in the order of their scopes, the ones above your own included, since they bind you too."""
    sight = await desk.sight(who)
    if scope is not None:
        sight.require_scope(scope)
    found = [each for each in sight.limits.items() if scope in {None, sight.scope_label(each[1])}]
    page = parts.cut(found, lambda each: each[0])
    return Limits(
        items=[
            LimitShape(
                scope=sight.scope_label(each),
                dimension=each.dimension.value,
                window=each.window.value if each.window else None,
                amount=each.amount,
            )
            for _, each in page
        ]
    )


@router.get("/usage", tags=["limits"], summary="What is used and left", responses=refusals(404))
async def get_usage(
    desk: AtDesk,
    who: Who,
    project: ProjectName = None,
    person: PersonEmail = None,
    day: Annotated[Day | None, Query(description="A UTC day; today by default.")] = None,
) -> UsageShape:
    """Where the limits stand. Without parameters: everybody's for administrators, your own otherwise."""
    sight = await desk.sight(who)
    if day is not None and not _FIRST_DAY <= day <= sight.state.now.date():
        raise InvalidParams(f"day must lie between {_FIRST_DAY} and today.", rule="request")
    email = _whose_usage(sight, project=project, person=person)
    used = await usage(desk.registry, project=project, email=email, day=day)
    return UsageShape.model_validate(used.shown())


def _whose_usage(sight: Sight, *, project: str | None, person: str | None) -> str | None:
    """The address to ask the use-case for, None for everybody; raises NotFound for what is out of sight."""
    found = None if project is None else sight.project(project)
    if sight.sees_all or (found is not None and found.id in sight.led):
        return None if person is None else sight.person(person).email
    me = sight.me().email
    if person is not None and sight.person(person).email != me:
        raise NotFound(
            "Ask for a person's usage within a project that you lead: add project=NAME.", rule="sight"
        )
    return me


def _reuse(project: Project) -> ReuseShape:
    return ReuseShape.model_validate(spelled_out(project))
