"""People, projects, limits, terms and usage, as far as whoever asks may see them."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.administration.reusing import reuse_of, set_reuse
from app.administration.usage import usage
from app.errors import InvalidParams, NotFound
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.me import Version
from app.web.api.paging import InParts
from app.web.api.shapes import (
    Limits,
    LimitShape,
    People,
    Projects,
    ProjectShape,
    ReuseShape,
    TermsList,
    TermsTextShape,
    UsageShape,
)
from app.web.api.shown import person_shape, project_shape, terms_shape
from app.web.api.sight import Sight

router = APIRouter(prefix="/api/v1", route_class=GuardedRoute)
ProjectName = Annotated[str, Query(max_length=100, description="Only of this project.")]
NameInPath = Annotated[str, Path(max_length=100, examples=["elections"])]
PersonEmail = Annotated[str, Query(max_length=320, description="Only of the person of this address.")]
_FIRST_DAY = dt.date(2000, 1, 1)


@router.get("/people", tags=["people"], summary="People", responses=refusals())
async def list_people(desk: AtDesk, who: Who, parts: InParts) -> People:
    """People in the order of their addresses: all, those of projects that you lead, or yourself."""
    sight = await desk.sight(who)
    page = parts.cut(sight.people.values(), lambda each: each.email)
    return People(items=[person_shape(each) for each in page])


@router.get("/projects", tags=["projects"], summary="Projects", responses=refusals())
async def list_projects(desk: AtDesk, who: Who, parts: InParts) -> Projects:
    """Projects in the order of their names: all, or those that you belong to or lead."""
    sight = await desk.sight(who)
    page = parts.cut(sight.projects.values(), lambda each: each.name)
    return Projects(items=[project_shape(sight, each) for each in page])


@router.get("/projects/{name}", tags=["projects"], summary="One project", responses=refusals(404))
async def get_project(desk: AtDesk, who: Who, name: NameInPath) -> ProjectShape:
    """One project with its approval and its members; only a lead sees the other members."""
    sight = await desk.sight(who)
    return project_shape(sight, sight.project(name))


@router.put(
    "/projects/{name}/reuse",
    tags=["projects"],
    summary="Set when held answers may be used",
    responses=refusals(404, 413),
)
async def set_project_reuse(desk: AtDesk, who: Who, name: NameInPath, wanted: ReuseShape) -> ReuseShape:
    """Have a project's held answers be used so from the next call on; what is left out is as usual. It is logged."""
    await set_reuse(desk.registry, who.actor, project=name, reuse=wanted.model_dump())
    desk.forget()
    return ReuseShape.model_validate(reuse_of(await desk.registry.state(), name))


@router.get("/limits", tags=["limits"], summary="Limits", responses=refusals())
async def list_limits(desk: AtDesk, who: Who, parts: InParts) -> Limits:
    """Limits in the order of their scopes, the ones above your own included, since they bind you too."""
    sight = await desk.sight(who)
    page = parts.cut(sight.limits.items(), lambda each: each[0])
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
    project: ProjectName | None = None,
    person: PersonEmail | None = None,
    day: Annotated[dt.date | None, Query(description="A UTC day; today by default.")] = None,
) -> UsageShape:
    """Where the limits stand. Without parameters: everybody's for administrators, your own otherwise."""
    sight = await desk.sight(who)
    if day is not None and not _FIRST_DAY <= day <= sight.state.now.date():
        raise InvalidParams(f"day must lie between {_FIRST_DAY} and today.", rule="request")
    email = _whose_usage(sight, project=project, person=person)
    used = await usage(desk.registry, project=project, email=email, day=day)
    return UsageShape.model_validate(used.shown())


@router.get("/terms", tags=["terms"], summary="Versions of the terms", responses=refusals())
async def list_terms(desk: AtDesk, who: Who, parts: InParts) -> TermsList:
    """Versions of the platform's terms that this installation asks people to accept."""
    sight = await desk.sight(who)
    page = parts.cut(sight.terms.values(), lambda each: each.version)
    return TermsList(items=[terms_shape(each) for each in page])


@router.get("/terms/{version}", tags=["terms"], summary="One version of the terms", responses=refusals(404))
async def get_terms(desk: AtDesk, who: Who, version: Version) -> TermsTextShape:
    """One version of the terms with its text."""
    sight = await desk.sight(who)
    terms = sight.terms.get(version)
    if terms is None:
        raise NotFound(f"There are no terms of version {version!a}.", rule="sight")
    return TermsTextShape(**terms_shape(terms).model_dump(), text=terms.text)


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
