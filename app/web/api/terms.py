"""Versions of the terms: read by everybody; added, changed and withdrawn by administrators."""

from fastapi import APIRouter
from starlette.responses import Response

from app.administration.ending import retire
from app.administration.wishes import changed_terms, new_terms
from app.web.api.conditions import OnlyIf, WithTag, tagged
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import changing, creating, reading, refusals
from app.web.api.guard import GuardedRoute
from app.web.api.me import Version
from app.web.api.paging import InParts
from app.web.api.shown import terms_shape, terms_text_shape
from app.web.api.sight import Sight
from app.web.api.terms_shapes import TermsChange, TermsList, TermsTextShape, TermsWanted

router = APIRouter(prefix="/api/v1/terms", tags=["terms"], route_class=GuardedRoute)


@router.get("", summary="Versions of the terms", responses=refusals())
async def list_terms(desk: AtDesk, who: Who, parts: InParts) -> TermsList:
    """Versions of the platform's terms that this installation asks people to accept."""
    sight = await desk.sight(who)
    page = parts.cut(sight.terms.values(), lambda each: each.version)
    return TermsList(items=[terms_shape(each) for each in page])


@router.post("", status_code=201, summary="Add a version", responses=creating(409, 413))
async def add_terms(desk: AtDesk, who: Who, response: Response, wanted: TermsWanted) -> TermsTextShape:
    """A version of the terms, which everybody has to accept from its first day on before they call."""
    wish = new_terms(wanted.model_dump(exclude={"text"}), wanted.text)
    await desk.apply(who, wish, desk.registry)
    return tagged(response, terms_text_shape((await desk.sight(who)).terms_version(wanted.version)))


@router.get("/{version}", summary="One version of the terms", responses=reading())
async def get_terms(desk: AtDesk, who: Who, tagging: WithTag, version: Version) -> TermsTextShape:
    """One version of the terms with its text."""
    return tagging.shown(terms_text_shape((await desk.sight(who)).terms_version(version)))


@router.patch("/{version}", summary="Change a version", responses=changing(413))
async def change_terms(
    desk: AtDesk, who: Who, only: OnlyIf, version: Version, wanted: TermsChange
) -> TermsTextShape:
    """Another title, source, first day or period of grace; another text while nobody has accepted the old one."""
    (await desk.sight(who)).terms_version(version)
    registry = only.on(
        desk.registry,
        lambda state: terms_text_shape(Sight(state=state, visitor=who).terms_version(version)),
    )
    changes = wanted.model_dump(exclude_unset=True, exclude={"text"})
    text = wanted.text if "text" in wanted.model_fields_set else None
    await desk.apply(who, changed_terms(version, changes, text), registry)
    return only.shown(terms_text_shape((await desk.sight(who)).terms_version(version)))


@router.delete("/{version}", status_code=204, summary="Withdraw a version", responses=changing(status=204))
async def withdraw_terms(desk: AtDesk, who: Who, only: OnlyIf, version: Version) -> Response:
    """Have nobody accept a version any more; what was accepted stays on record."""
    (await desk.sight(who)).terms_version(version)
    registry = only.on(
        desk.registry,
        lambda state: terms_text_shape(Sight(state=state, visitor=who).terms_version(version)),
    )
    await retire(registry, who.actor, kind="terms", object_id=version)
    desk.forget()
    return Response(status_code=204)
