"""The audit log, read as it is: the leaves, newest first."""

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app import exact_json
from app.administration.looking import Sought, filter_with_tags
from app.audit.entries import Value
from app.errors import NotFound
from app.identity.roles import Act
from app.storage.searching import FoundEntry, find_entries, find_entry
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.paging import Limit, link_next
from app.web.api.shapes import Entries, EntryShape, QuestionShape
from app.web.problems import visit_of

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], route_class=GuardedRoute)
Before = Annotated[
    int | None, Query(ge=0, le=2**53 - 1, description="Only entries with a smaller index; `Link` carries it.")
]
EntryIdInPath = Annotated[str, Path(alias="id", pattern="^[0-9a-f]{32}$", description="An entry's id.")]
Named = Annotated[str | None, Query(max_length=200, description="That the question names.")]
Least = Annotated[int | None, Query(ge=0, le=2**53 - 1, description="Charged at least this many.")]
Most = Annotated[int | None, Query(ge=0, le=2**53 - 1, description="Charged at most this many.")]


def sought(
    *,
    type: Annotated[  # noqa: A002 - the parameter's name is the entry's own
        str | None, Query(max_length=320, description="The entry's type, such as `outcome` or `admin`.")
    ] = None,
    person: Annotated[str | None, Query(max_length=320, description="E-mail address or id.")] = None,
    project: Annotated[str | None, Query(max_length=100, description="Name or id.")] = None,
    key: Annotated[str | None, Query(max_length=100, description="A key's id, or its `client_key`.")] = None,
    credential: Annotated[str | None, Query(max_length=100, description="Name or id.")] = None,
    endpoint: Annotated[str | None, Query(max_length=100, description="Such as `video/query`.")] = None,
    verdict: Annotated[Literal["allowed", "refused"] | None, Query(description="What was decided.")] = None,
    rule: Annotated[
        str | None,
        Query(max_length=100, description="Such as `date-span`, or `date-span/1` for that version alone."),
    ] = None,
    code: Annotated[
        str | None, Query(max_length=320, description="Of the refusal or answer, such as `invalid_params`.")
    ] = None,
    cache: Annotated[str | None, Query(max_length=32, description="`hit`, `stale` or `collapsed`.")] = None,
    log_id: Annotated[str | None, Query(max_length=200, description="The platform's log id.")] = None,
    since: Annotated[str | None, Query(max_length=40, description="A UTC day, or a moment.")] = None,
    until: Annotated[
        str | None, Query(max_length=40, description="The first UTC day, or moment, that is left out.")
    ] = None,
    least_requests: Least = None,
    most_requests: Most = None,
    least_records: Least = None,
    most_records: Most = None,
    username: Named = None,
    user_id: Named = None,
    video_id: Named = None,
    comment_id: Named = None,
    playlist_id: Named = None,
) -> Sought:
    """What is looked for; an entry has to meet all of it."""
    given = locals()
    kinds = ("username", "user_id", "video_id", "comment_id", "playlist_id")
    named = [(kind, value) for kind in kinds if (value := given.pop(kind)) is not None]
    return Sought(**given, named=named)


SoughtHere = Annotated[Sought, Depends(sought)]


@router.get("/entries", summary="The log, newest first", responses=refusals(404))
async def list_entries(
    *,
    request: Request,
    response: Response,
    desk: AtDesk,
    looked_for: SoughtHere,
    before: Before = None,
    limit: Limit = 50,
) -> Entries:
    """Entries as they were hashed, by falling index. Reading the log is itself an entry of the log."""
    wanted = await filter_with_tags(await desk.registry.state(), looked_for, desk.installation.seals)
    say_what_is_read(request, {**wanted.said(), "before": before, "limit": limit})
    found = await desk.installation.database.read(
        lambda conn: find_entries(conn, wanted, before=before, limit=limit + 1)
    )
    items = [entry_shape(each) for each in found[:limit]]
    if len(found) > limit:
        link_next(request, response, before=str(items[-1].index))
    return Entries(items=items)


@router.get("/entries/{id}", summary="One entry", responses=refusals(404))
async def get_entry(request: Request, desk: AtDesk, who: Who, entry: EntryIdInPath) -> EntryShape:
    """The entry of that id; for those who do not read the log, only entries of what they did themselves."""
    say_what_is_read(request, {"id": entry})
    found = await desk.installation.database.read(lambda conn: find_entry(conn, entry))
    shape = None if found is None else entry_shape(found)
    is_in_sight = shape is not None and (
        who.may(Act.READ_LOG) or shape.entry.get("actor", {}).get("principal") == who.person
    )
    if shape is None or not is_in_sight:
        raise NotFound("There is no such entry that you could see.", rule="sight")
    return shape


@router.get("/entries/{id}/question", summary="What was asked", responses=refusals(404, 409))
async def open_question(request: Request, desk: AtDesk, entry: EntryIdInPath) -> QuestionShape:
    """The sealed question of an entry, in the clear. That it was opened is itself an entry of the log."""
    say_what_is_read(request, {"id": entry, "question": True})
    found, question = await desk.installation.seals.question(entry)
    told = {"id": found.id, "index": found.index, "question": exact_json.loads(question.encode())}
    return QuestionShape.model_validate(told)


def entry_shape(found: FoundEntry) -> EntryShape:
    """An entry as the API tells it."""
    return EntryShape(index=found.index, leaf_hash=found.leaf_hash.hex(), entry=found.entry)


def say_what_is_read(request: Request, reads: dict[str, Value]) -> None:
    """Have the request's own entry tell what of the log was read."""
    request.scope["state"]["operator"] = replace(visit_of(request), reads=reads)
