"""Searches of the log that people keep under a name, each person's own."""

from typing import Annotated, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.errors import InvalidParams, NotFound
from app.storage.saved_searches import SavedSearch
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.shapes import example

router = APIRouter(prefix="/api/v1/audit/searches", tags=["audit"], route_class=GuardedRoute)
FILTERS: Final = (
    "type",
    "person",
    "project",
    "key",
    "endpoint",
    "verdict",
    "rule",
    "code",
    "log_id",
    "since",
    "until",
)
"""What the console's page of the log and `GET /audit/entries` are both asked by."""
_KEPT: Final = frozenset({*FILTERS, "cost"})
"""What of a search is kept: not what a question names, since that is sealed in the log."""
_SEARCH = {"name": "Refusals of May", "query": "verdict=refused&since=2026-05-01&until=2026-06-01"}


class SearchWanted(BaseModel):
    """A search to keep under a name: the query of the console's page of the log."""

    model_config = example(**_SEARCH)
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
    query: Annotated[str, Field(min_length=1, max_length=4_000)]


class SearchShape(BaseModel):
    """A search that is kept."""

    model_config = example(id="5f0c1e9a7b3d2486ac90", **_SEARCH)
    id: str
    name: str
    query: str


class Searches(BaseModel):
    """All of one's own, by name."""

    items: list[SearchShape]


@router.get("", summary="Your saved searches", responses=refusals())
async def list_searches(desk: AtDesk, who: Who) -> Searches:
    """Those that you keep, at most fifty; the console shows the same."""
    return Searches(items=[_shape(each) for each in await desk.searches.of(who.person)])


@router.post("", status_code=201, summary="Save a search", responses=refusals(409, 413))
async def save_search(desk: AtDesk, who: Who, wanted: SearchWanted) -> SearchShape:
    """Keep a search under a name, in the place of an older one of the same."""
    query = kept(wanted.query)
    if len(parse_qsl(query)) != len(parse_qsl(wanted.query, keep_blank_values=True)):
        raise InvalidParams(f"A search is kept with {', '.join(sorted(_KEPT))} alone.", rule="request")
    return _shape(await desk.searches.save(who.person, name=wanted.name.strip(), query=query))


@router.delete("/{id}", status_code=204, summary="Forget a search", responses=refusals(404))
async def forget_search(
    desk: AtDesk,
    who: Who,
    search: Annotated[str, Path(alias="id", max_length=32, description="A saved search's id.")],
) -> Response:
    """Drop a search of your own."""
    if not await desk.searches.forget(who.person, search):
        raise NotFound("There is no such search of yours.", rule="sight")
    return Response(status_code=204)


def kept(query: str) -> str:
    """What of a query is kept. Raises InvalidParams where that is nothing."""
    found = [(name, value) for name, value in parse_qsl(query[:4_000]) if name in _KEPT and value.strip()]
    if not found:
        raise InvalidParams("There is nothing in this search that could be kept.", rule="request")
    return urlencode(found)


def _shape(search: SavedSearch) -> SearchShape:
    return SearchShape(id=search.id, name=search.name, query=search.query)
