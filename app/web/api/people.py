"""People: found, added, changed and retired, with what they accepted and how they sign in."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from app.administration.acts import Sha256, record_acceptance
from app.administration.ending import retire
from app.administration.passwords import issue_password_code
from app.administration.state import State
from app.administration.wishes import changed_person, new_person
from app.identity.roles import Role
from app.web.api.conditions import OnlyIf, WithTag, tagged
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import changing, creating, reading, refusals
from app.web.api.guard import GuardedRoute
from app.web.api.paging import InParts
from app.web.api.people_shapes import (
    Acceptances,
    AcceptanceShape,
    AcceptanceWanted,
    CodeShape,
    People,
    PersonChange,
    PersonShape,
    PersonWanted,
)
from app.web.api.shown import person_shape
from app.web.api.sight import Sight
from app.web.api.visitors import Visitor

router = APIRouter(prefix="/api/v1/people", tags=["people"], route_class=GuardedRoute)
PersonInPath = Annotated[
    str,
    Path(alias="person", max_length=320, description="An address, or an id.", examples=["ada@example.edu"]),
]


@router.get("", summary="People", responses=refusals(404))
async def list_people(
    desk: AtDesk,
    who: Who,
    parts: InParts,
    role: Annotated[Role | None, Query(description="Only of this role.")] = None,
    project: Annotated[str | None, Query(max_length=100, description="Only of this project.")] = None,
) -> People:
    """People in the order of their addresses: all, those of projects that you lead, or yourself."""
    sight = await desk.sight(who)
    found = [each for each in sight.people.values() if role is None or role in each.roles]
    if project is not None:
        wanted = sight.project(project).id
        members = {each.person_id for each in sight.memberships.values() if each.project_id == wanted}
        found = [each for each in found if each.id in members]
    page = parts.cut(found, lambda each: each.email)
    return People(items=[person_shape(each) for each in page])


@router.post("", status_code=201, summary="Add a person", responses=creating(409, 413))
async def add_person(desk: AtDesk, who: Who, response: Response, wanted: PersonWanted) -> PersonShape:
    """Somebody who may sign in and be a member of projects. An address may go to another person: whoever was retired comes
    back as who they were only where `returning` says so.

    Under two-person control the roles `admin`, `quota_admin` and `compliance` are given on the machine or by groups of the
    institution, not here (403).
    """
    await desk.apply(who, new_person(wanted.model_dump()), desk.registry)
    return tagged(response, person_shape((await desk.sight(who)).person(wanted.email)))


@router.get("/{person}", summary="One person", responses=reading())
async def get_person(desk: AtDesk, who: Who, tagging: WithTag, name: PersonInPath) -> PersonShape:
    """One person, by their address or their id."""
    return tagging.shown(person_shape((await desk.sight(who)).person(name)))


@router.patch("/{person}", summary="Change a person", responses=changing(409, 413))
async def change_person(
    desk: AtDesk, who: Who, only: OnlyIf, name: PersonInPath, wanted: PersonChange
) -> PersonShape:
    """Another name, or other roles, from the next request on. Nobody takes their own administration away.

    Under two-person control the roles `admin`, `quota_admin` and `compliance` are given on the machine or by groups of the
    institution, not here (403).
    """
    person = (await desk.sight(who)).person(name)
    wish = changed_person(person.id, wanted.model_dump(exclude_unset=True))
    await desk.apply(who, wish, only.on(desk.registry, lambda state: _shown(state, who, person.id)))
    return only.shown(person_shape((await desk.sight(who)).person(person.id)))


@router.delete("/{person}", status_code=204, summary="Retire a person", responses=changing(409, status=204))
async def retire_person(desk: AtDesk, who: Who, only: OnlyIf, name: PersonInPath) -> Response:
    """End a person's part: memberships, keys, tokens, password, sessions. Entries of the log go on naming their id."""
    person = (await desk.sight(who)).person(name)
    registry = only.on(desk.registry, lambda state: _shown(state, who, person.id))
    await retire(registry, who.actor, kind="person", object_id=person.id)
    desk.forget()
    return Response(status_code=204)


@router.get(
    "/{person}/acceptances", tags=["terms"], summary="What a person accepted", responses=refusals(404)
)
async def list_acceptances(desk: AtDesk, who: Who, parts: InParts, name: PersonInPath) -> Acceptances:
    """The versions of the terms that a person accepted, and how."""
    sight = await desk.sight(who)
    person = sight.person(name).id
    found = [each for each in sight.state.acceptances if each.person_id == person]
    page = parts.cut(found, lambda each: each.version)
    return Acceptances(items=[_acceptance(sight.state, person, each.version) for each in page])


@router.post(
    "/{person}/acceptances",
    tags=["terms"],
    status_code=201,
    summary="Record an acceptance",
    responses=refusals(404, 409, 413),
)
async def record_terms(
    desk: AtDesk, who: Who, name: PersonInPath, wanted: AcceptanceWanted
) -> AcceptanceShape:
    """That a person signed a version of the terms on paper. What is known already stays as it is."""
    person = (await desk.sight(who)).person(name)
    await record_acceptance(
        desk.registry,
        who.actor,
        email=person.email,
        version=wanted.version,
        evidence_name=wanted.evidence_name,
        evidence=Sha256(wanted.evidence_sha256),
        on=wanted.on,
    )
    desk.forget()
    return _acceptance(await desk.registry.state(), person.id, wanted.version)


@router.post(
    "/{person}/password-code", status_code=201, summary="A code for a password", responses=refusals(404, 409)
)
async def issue_code(desk: AtDesk, who: Who, name: PersonInPath) -> CodeShape:
    """A code with which a person sets their own password once, within a day. It is in this answer and nowhere else."""
    person = (await desk.sight(who)).person(name)
    made = await issue_password_code(desk.registry, who.actor, email=person.email)
    address = f"{desk.installation.settings.public_url}/console/password"
    return CodeShape(code=made.code, until=_moment(made.until_us), address=address)


def _shown(state: State, who: Visitor, person: str) -> PersonShape:
    return person_shape(Sight(state=state, visitor=who).person(person))


def _acceptance(state: State, person: str, version: str) -> AcceptanceShape:
    found = next(each for each in state.acceptances if (each.person_id, each.version) == (person, version))
    return AcceptanceShape(
        version=found.version,
        accepted_at=_moment(found.accepted_us),
        how=found.how,
        evidence_name=found.evidence_name,
        evidence_sha256=found.evidence_sha256,
    )


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)
