"""The audit log, read as it is: the leaves, newest first."""

from dataclasses import replace
from typing import Annotated, Any, Final

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from app import exact_json
from app.audit.entries import Value
from app.errors import NotFound
from app.storage.tables import EntryRow, table
from app.web.api.access import LOG_ACTS
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.paging import Limit, link_next
from app.web.api.shapes import Entries, EntryShape
from app.web.problems import visit_of

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], route_class=GuardedRoute)
Before = Annotated[
    int | None, Query(ge=0, le=2**53 - 1, description="Only entries with a smaller index; `Link` carries it.")
]
EntryIdInPath = Annotated[str, Path(alias="id", pattern="^[0-9a-f]{32}$", description="An entry's id.")]
_entry: Final = table(EntryRow)
_COLUMNS: Final = (_entry.c.ix, _entry.c.leaf, _entry.c.leaf_hash)


@router.get("/entries", summary="The log, newest first", responses=refusals())
async def list_entries(
    request: Request, response: Response, desk: AtDesk, before: Before = None, limit: Limit = 50
) -> Entries:
    """Entries as they were hashed, by falling index. Reading the log is itself an entry of the log."""
    _say_what_is_read(request, {"before": before, "limit": limit})
    asked = sa.select(*_COLUMNS).order_by(_entry.c.ix.desc()).limit(limit + 1)
    if before is not None:
        asked = asked.where(_entry.c.ix < before)
    rows = await desk.installation.database.read(lambda conn: conn.execute(asked).all())
    items = [_shape(row) for row in rows[:limit]]
    if len(rows) > limit:
        link_next(request, response, before=str(items[-1].index))
    return Entries(items=items)


@router.get("/entries/{id}", summary="One entry", responses=refusals(404))
async def get_entry(request: Request, desk: AtDesk, who: Who, entry: EntryIdInPath) -> EntryShape:
    """The entry of that id; for those who do not read the log, only entries of what they did themselves."""
    _say_what_is_read(request, {"id": entry})

    def find(conn: Connection) -> sa.Row[Any, Any, Any] | None:
        return conn.execute(sa.select(*_COLUMNS).where(_entry.c.id == entry)).one_or_none()

    row = await desk.installation.database.read(find)
    shape = None if row is None else _shape(row)
    is_in_sight = shape is not None and (
        who.may(*LOG_ACTS) or shape.entry.get("actor", {}).get("principal") == who.person
    )
    if shape is None or not is_in_sight:
        raise NotFound("There is no such entry that you could see.", rule="sight")
    return shape


def _shape(row: sa.Row[Any, Any, Any]) -> EntryShape:
    leaf = exact_json.loads(bytes(row.leaf))
    return EntryShape.model_validate(
        {"index": row.ix, "leaf_hash": bytes(row.leaf_hash).hex(), "entry": leaf}
    )


def _say_what_is_read(request: Request, reads: dict[str, Value]) -> None:
    request.scope["state"]["operator"] = replace(visit_of(request), reads=reads)
