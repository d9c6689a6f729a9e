"""The log as one stream of lines or of rows, for whoever may take it away."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse

from app.administration.looking import filter_with_tags
from app.administration.reading import reading
from app.audit.exports import Manifest, sign_manifest
from app.audit.filters import Filter
from app.identity.roles import Act
from app.storage.exporting import Selection, lines_of, said, select
from app.web.api.desk import AtDesk, Desk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.log import SoughtHere
from app.web.api.visitors import Visitor
from app.web.problems import visit_of

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], route_class=GuardedRoute)
Kind = Annotated[Literal["jsonl", "csv"], Query(alias="format", description="Lines of JSON, or a table.")]
_MEDIA: Final = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The entries, oldest first; of `jsonl` the last line is the signed manifest.",
        "content": {
            "application/jsonl": {
                "schema": {"type": "string"},
                "example": '{"ix":0,"leaf_hash":"...","entry":{}}',
            },
            "text/csv": {"schema": {"type": "string"}, "example": '"ix","time","ts_us"'},
        },
    }
}


@router.get(
    "/export",
    summary="The log, to be taken away",
    response_class=StreamingResponse,
    responses={**refusals(404), **_STREAM},
)
async def export_log(
    *, request: Request, desk: AtDesk, who: Who, looked_for: SoughtHere, kind: Kind = "jsonl"
) -> StreamingResponse:
    """Every entry that meets the filters, oldest first, as a stream. An entry says so before the first byte.

    Lines of JSON hold the very bytes that were hashed, and end with a manifest that the log's key signed; a
    table is for reading. `bursar audit export` writes tiles as well, and goes on after a break.
    """
    state, installation = await desk.registry.state(), desk.installation
    wanted = await filter_with_tags(state, looked_for, installation.seals)
    request.scope["state"]["operator"] = replace(visit_of(request), reads={"export": said(kind, wanted)})
    return await exported(desk, who, wanted, kind)


async def exported(
    desk: Desk, who: Visitor, wanted: Filter, kind: str, *, export: str | None = None
) -> StreamingResponse:
    """The answer that streams these entries, as a file to be saved; `export` was begun in the console."""
    selection = await desk.installation.database.read(lambda conn: select(conn, wanted))
    parts = _stream(desk, who, selection, kind, wanted)
    name = f'attachment; filename="bursar-audit.{kind}"'
    return StreamingResponse(
        _sent(parts) if export is None else _followed(desk, export, selection.count, parts),
        media_type=_MEDIA[kind],
        headers={"content-disposition": name},
    )


async def _sent(parts: AsyncIterator[tuple[int, bytes]]) -> AsyncIterator[bytes]:
    async for _, part in parts:
        yield part


async def _followed(
    desk: Desk, export: str, whole: int, parts: AsyncIterator[tuple[int, bytes]]
) -> AsyncIterator[bytes]:
    digest = hashlib.sha256()
    await desk.exports.tell(export, 0, whole)
    async for done, part in parts:
        digest.update(part)
        yield part
        await desk.exports.tell(export, done, whole)
    await desk.exports.tell(export, whole, whole, sha256=digest.hexdigest())


async def _stream(
    desk: Desk, who: Visitor, selection: Selection, kind: str, wanted: Filter
) -> AsyncIterator[tuple[int, bytes]]:
    installation = desk.installation
    digest = hashlib.sha256()
    async for done, part in lines_of(installation.database, selection, kind):
        digest.update(part)
        yield done, part
    manifest = Manifest(
        format=kind,
        note=selection.note,
        min_index=selection.min_index,
        filter=wanted.said(),
        entries=selection.count,
        created_us=int(installation.clock.now().timestamp() * 1_000_000),
        files={f"entries.{kind}": digest.hexdigest()},
    ).encoded()
    more = said(kind, wanted, entries=selection.count, manifest_sha256=hashlib.sha256(manifest).hexdigest())
    await installation.gateway.note(reading(who.actor, "audit.exported", more, act=Act.EXPORT_LOG))
    if kind == "jsonl":
        note = sign_manifest(manifest, installation.signer, selection.checkpoint.origin)
        end = {"checkpoint": selection.note.decode(), "manifest": manifest.decode(), "note": note.decode()}
        yield selection.count, json.dumps(end, separators=(",", ":")).encode() + b"\n"
