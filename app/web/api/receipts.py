"""Receipts, and what they are checked against: the newest checkpoint, its growth, and the log's key."""

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.audit.calls import Visit
from app.audit.entries import Value
from app.audit.notes import Checkpoint, text_of
from app.audit.receipts import ProvenEntry
from app.errors import NotFound
from app.identity.callers import Caller
from app.identity.roles import Act
from app.storage.presented import check_receipt
from app.storage.proving import newest_note, read_growth, read_receipt
from app.web.api.desk import AtDesk, Desk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.shapes import GrowthShape, LogKeyShape, PresentedShape, ReceiptPresented, ReceiptShape
from app.web.api.visitors import Visitor
from app.web.problems import visit_of

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], route_class=GuardedRoute)
EntryIdInPath = Annotated[str, Path(alias="id", pattern="^[0-9a-f]{32}$", description="An entry's id.")]
Size = Annotated[int, Query(alias="from", ge=0, le=2**53 - 1, description="The smaller tree's leaves.")]
NewSize = Annotated[
    int | None, Query(alias="to", ge=0, le=2**53 - 1, description="The larger tree's; all, where absent.")
]
_TEXT: Final = "text/plain"


def _text_answer(description: str, example: str) -> dict[int | str, dict[str, Any]]:
    content = {_TEXT: {"schema": {"type": "string"}, "example": example}}
    return {200: {"description": description, "content": content}}


_NOTE: Final = (
    "example.edu/bursar/0\n1\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n\n— example.edu/bursar/0 ...\n"
)
_PROOF: Final = "c2sp.org/tlog-proof@v1\nindex 0\n\n" + _NOTE


@router.get(
    "/receipts/{id}.tlog-proof",
    summary="A receipt as a file",
    response_class=Response,
    responses={**refusals(404), **_text_answer("The receipt, a C2SP tlog-proof.", _PROOF)},
)
async def get_proof(request: Request, desk: AtDesk, who: Who, entry: EntryIdInPath) -> Response:
    """The receipt of that entry as a C2SP tlog-proof, to be kept: with the log's key it is checked offline."""
    return _as_file(await _receipt(request, desk, who, entry))


@router.get("/receipts/{id}", summary="A receipt", responses=refusals(404), response_model=ReceiptShape)
async def get_receipt(
    request: Request, desk: AtDesk, who: Who, entry: EntryIdInPath
) -> ReceiptShape | Response:
    """The entry of that id (`error.log_id` of an answer) with the proof that the log holds it.

    Whoever does not read the log gets receipts of what they did themselves. `Accept: text/plain` gives the
    proof alone.
    """
    receipt = await _receipt(request, desk, who, entry)
    accepted = request.headers.get("accept", "")
    if _TEXT in accepted and "json" not in accepted:
        return _as_file(receipt)
    return ReceiptShape.model_validate(receipt.shown())


@router.post("/receipts/verification", summary="Check a receipt", responses=refusals(413))
async def check_presented_receipt(request: Request, desk: AtDesk, wanted: ReceiptPresented) -> PresentedShape:
    """Whether a receipt that somebody kept is of this log, and the log still has its entry. Nothing is sent elsewhere.

    `finding` is `holds`, or what is wrong: `unreadable`, `foreign` (of another log), `signature`, `proof` (does not lead
    to the root), `missing` (the log has no such entry now), `lost` (nor has it, as a later epoch tells), `changed`.
    """
    known = desk.installation.signer.known
    found = await desk.installation.database.read(lambda conn: check_receipt(conn, wanted.receipt, known))
    _say_what_is_read(request, {"presented": found.finding, "index": found.index})
    return PresentedShape(**{name: getattr(found, name) for name in PresentedShape.model_fields})


@router.get(
    "/checkpoint",
    summary="The newest checkpoint",
    response_class=Response,
    responses={**refusals(), **_text_answer("The signed note.", _NOTE)},
)
async def get_checkpoint(request: Request, desk: AtDesk) -> Response:
    """The log's origin, size and root, signed (C2SP tlog-checkpoint)."""
    note = await desk.installation.database.read(newest_note)
    _say_what_is_read(request, {"checkpoint": Checkpoint.parse(text_of(note)).size})
    return Response(note, media_type=_TEXT)


@router.get("/consistency", summary="That the log only grew", responses=refusals())
async def get_consistency(request: Request, desk: AtDesk, old: Size, new: NewSize = None) -> GrowthShape:
    """The proof that the tree of `to` leaves begins with that of `from` (RFC 9162, section 2.1.4)."""
    _say_what_is_read(request, {"from": old, "to": new})
    found = await desk.installation.database.read(lambda conn: read_growth(conn, old=old, new=new))
    return GrowthShape.model_validate(found.shown())


@router.get("/key", summary="The key of the log", responses=refusals())
async def get_log_key(desk: AtDesk) -> LogKeyShape:
    """The public key that checkpoints are verified with (C2SP signed-note). Get it another way as well."""
    note = await desk.installation.database.read(newest_note)
    origin = Checkpoint.parse(text_of(note)).origin
    in_force, *others = (each.vkey for each in desk.installation.signer.known(origin))
    return LogKeyShape(origin=origin, vkey=in_force, others=others)


async def _receipt(request: Request, desk: Desk, who: Visitor, entry: str) -> ProvenEntry:
    _say_what_is_read(request, {"receipt": entry})
    found = await desk.installation.database.read(lambda conn: read_receipt(conn, entry))
    reads_all = who.may(Act.READ_LOG) and not who.with_key
    if found is None or not (reads_all or _is_own(visit_of(request), found)):
        raise NotFound("There is no such entry that you could see.", rule="sight")
    return found


def _is_own(visit: Visit, found: ProvenEntry) -> bool:
    """Whether whoever asks did what the entry tells; with a project's key, in that project."""
    told = found.entry.get("actor")
    if visit.who is None or not isinstance(told, dict) or told.get("principal") != visit.who.person:
        return False
    return not isinstance(visit.who, Caller) or told.get("project") == visit.who.project


def _as_file(receipt: ProvenEntry) -> Response:
    name = f'attachment; filename="{receipt.id}.tlog-proof"'
    return Response(receipt.proof, media_type=_TEXT, headers={"content-disposition": name})


def _say_what_is_read(request: Request, reads: dict[str, Value]) -> None:
    request.scope["state"]["operator"] = replace(visit_of(request), reads=reads)
