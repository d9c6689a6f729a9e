"""What is held, in figures, and purged: for administrators and compliance."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.administration.purging import Purge, look_before_purging, purge, shown_figures
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.paging import InParts
from app.web.api.shapes import example

router = APIRouter(prefix="/api/v1/cache", tags=["cache"], route_class=GuardedRoute)
_Text = Annotated[str | None, Field(min_length=1, max_length=200)]


class HeldShape(BaseModel):
    """What is held of one endpoint, for a project, or for all projects of a credential that shares."""

    model_config = example(
        scope="project:elections",
        endpoint="video/query",
        pages=812,
        records=78_120,
        sealed_bytes=24_117_248,
        oldest_at="2026-11-23T06:00:00Z",
        newest_at="2026-11-30T09:12:44Z",
    )
    scope: str
    endpoint: str
    pages: int
    records: int
    sealed_bytes: int
    oldest_at: dt.datetime
    newest_at: dt.datetime


class HeldPages(BaseModel):
    """A part of the list of what is held."""

    items: list[HeldShape]


class PurgeWanted(BaseModel):
    """Which pages go: those that are all of this. At least one has to be given."""

    model_config = example(record="7612345678901234567")
    project: _Text = None
    endpoint: _Text = None
    record: _Text = None
    author: _Text = None
    dry_run: bool = False


class PurgedShape(BaseModel):
    """What was deleted; a record counts once for each page that it was on."""

    model_config = example(pages=3, records=280)
    pages: int
    records: int


@router.get("", summary="What is held", responses=refusals())
async def get_cache(desk: AtDesk, parts: InParts) -> HeldPages:
    """Figures by scope and endpoint; what the pages say is sealed."""
    shown = shown_figures(await desk.registry.state(), await desk.held.figures())
    page = parts.cut(shown, lambda each: f"{each['scope']} {each['endpoint']}")
    return HeldPages(items=[HeldShape.model_validate(each) for each in page])


@router.post("/purge", summary="Purge what is held", responses=refusals(404, 413))
async def purge_cache(desk: AtDesk, who: Who, wanted: PurgeWanted) -> PurgedShape:
    """Delete every held page of a project, of an endpoint, about a record or about an account.

    It is gone from every process with the next call. Doing it again deletes what has been held since. With
    `dry_run` nothing goes, and the answer says what would.
    """
    chosen = Purge(**wanted.model_dump(exclude={"dry_run"}))
    if wanted.dry_run:
        found = await look_before_purging(desk.registry, desk.held, who.actor, chosen)
        return PurgedShape(
            pages=sum(each.pages for _, each in found), records=sum(each.records for _, each in found)
        )
    done = await purge(desk.registry, desk.held, who.actor, chosen)
    desk.forget()
    return PurgedShape(pages=done.pages, records=done.records)
