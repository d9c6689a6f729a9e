"""One's own calls, each by the entry that ended it."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.storage.spending import find_calls
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.log import Before, entry_shape, say_what_is_read
from app.web.api.paging import Limit, link_next
from app.web.api.shapes import Entries

router = APIRouter(prefix="/api/v1/me/calls", tags=["me"], route_class=GuardedRoute)


@router.get("", summary="My calls", responses=refusals())
async def list_my_calls(
    *,
    request: Request,
    response: Response,
    desk: AtDesk,
    who: Who,
    before: Before = None,
    limit: Limit = 50,
) -> Entries:
    """Your calls with keys of your own, newest first: what each cost or saved, and why one was refused.

    The question itself is sealed and not among it.
    """
    say_what_is_read(request, {"person": who.person, "before": before, "limit": limit})
    found = await desk.installation.database.read(
        lambda conn: find_calls(conn, who.person, before=before, limit=limit + 1)
    )
    items = [entry_shape(each) for each in found[:limit]]
    if len(found) > limit:
        link_next(request, response, before=str(items[-1].index))
    return Entries(items=items)
