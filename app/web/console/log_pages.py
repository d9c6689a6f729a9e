"""The log: one's own calls for everyone, and for those who read it everything, found, opened and proven."""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from app import exact_json
from app.administration.looking import Sought, filter_with_tags
from app.administration.state import State
from app.audit.filters import TYPES, Filter
from app.audit.notes import Checkpoint, text_of
from app.errors import BursarError, InvalidParams, NotFound, Refusal
from app.identity.roles import Act
from app.storage.begun_exports import BegunExport
from app.storage.exporting import said
from app.storage.proving import newest_note, read_receipt
from app.storage.searching import FoundEntry, find_entries, find_entry
from app.storage.spending import find_calls
from app.web.api.access import LOG_ACTS, READ_LOG
from app.web.api.exports import exported
from app.web.api.searches import FILTERS
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn
from app.web.console.me import OWN_KEYS, SELF
from app.web.console.told import Names, Told

_EXPORT: Final = frozenset({Act.EXPORT_LOG})
_ON_A_PAGE: Final = 50
_MOST_INDEX: Final = 2**53 - 1
_LONGEST: Final = 320
_NAMED: Final = {
    "username": "Username",
    "user_id": "User id",
    "video_id": "Video id",
    "comment_id": "Comment id",
    "playlist_id": "Playlist id",
}
_FILTERS: Final = frozenset({*FILTERS, "named", "cost"})
_SEARCH: Final = _FILTERS | {"kind"}


async def show_calls(turn: Turn) -> Response:
    """One's own calls, what they cost or saved, and why one was refused."""
    wanted = turn.asked("entry").strip()
    if turn.problem:
        return turn.render("calls.html", entries=[], onward="", is_first=True)
    if wanted:
        return turn.go(f"{PATH}/entries/{_entry_id(wanted)}")
    before = before_asked(turn)
    person = turn.who.person
    turn.reads_log(person=person, before=before, limit=_ON_A_PAGE)
    state = await turn.desk.registry.state()
    found = await turn.desk.installation.database.read(
        lambda conn: find_calls(conn, person, before=before, limit=_ON_A_PAGE + 1)
    )
    entries, onward = _page(turn, found, Names(state))
    return turn.render("calls.html", entries=entries, onward=onward, is_first=before is None)


async def show_log(turn: Turn) -> Response:
    """Entries that meet what is asked for, newest first; none beside the reason where it cannot be read."""
    wanted = turn.asked("entry").strip()
    if wanted and not turn.problem:
        return turn.go(f"{PATH}/entries/{_entry_id(wanted)}")
    state = await turn.desk.registry.state()
    was_misread = bool(turn.problem) and turn.request.method == "GET"
    found: Sequence[FoundEntry] = ()
    try:
        found = () if was_misread else await _found(turn, state)
    except Refusal:
        if not turn.problem:
            raise
        was_misread = True
    entries, onward = _page(turn, found, Names(state))
    return turn.render(
        "log.html",
        entries=entries,
        onward=onward,
        is_first=not turn.asked("before"),
        is_filtered=any(turn.asked(each) for each in _FILTERS),
        asked=turn.asked,
        types=TYPES,
        named=_NAMED,
        people=sorted(each.email for each in state.people),
        projects=sorted(each.name for each in state.projects),
        checkpoint=await _checkpoint(turn),
        export=_export_address(turn),
        saved=await turn.desk.searches.of(turn.who.person),
        query=str(turn.request.url.query) if turn.request.method == "GET" else turn.given.get("query"),
        was_misread=was_misread,
    )


async def _found(turn: Turn, state: State) -> Sequence[FoundEntry]:
    """A page of entries and one more; that they are looked at is noted first. Raises Refusal."""
    before = before_asked(turn)
    looked_for = await filter_with_tags(state, _sought(turn), turn.desk.installation.seals)
    turn.reads_log(**looked_for.said(), before=before, limit=_ON_A_PAGE)
    return await turn.desk.installation.database.read(
        lambda conn: find_entries(conn, looked_for, before=before, limit=_ON_A_PAGE + 1)
    )


async def begin_export(turn: Turn) -> Response:
    """Have every entry that meets what is asked for sent, as a table or as signed lines."""
    kind = turn.given.get("format", "jsonl")
    if kind not in {"jsonl", "csv"}:
        raise InvalidParams("The log is exported as jsonl or as csv.", rule="request")
    state, seals = await turn.desk.registry.state(), turn.desk.installation.seals
    wanted = await filter_with_tags(state, _sought(turn), seals)
    export = await turn.desk.exports.begin(turn.who.person, kind, wanted)
    return turn.go(f"{PATH}/audit/exports/{export}?begin=yes")


async def show_export(turn: Turn) -> Response:
    """How much of an export has been sent; seen for the first time, its file is asked for."""
    export = await _export(turn)
    begins = turn.asked("begin") == "yes" and not export.is_asked_for
    return turn.render("export.html", export=export, begins=begins, is_all=export.wanted == Filter())


async def send_export(turn: Turn) -> Response:
    """The export's file, straight from the log."""
    export = await _export(turn)
    turn.reads_log(export=said(export.form, export.wanted))
    return await exported(turn.desk, turn.who, export.wanted, export.form, export=export.id)


async def _export(turn: Turn) -> BegunExport:
    found = await turn.desk.exports.find(turn.who.person, turn.in_path("id"))
    if found is None:
        raise NotFound(
            "There is no such export of yours; what is told of one is kept for a day.", rule="sight"
        )
    return found


async def show_entry(turn: Turn) -> Response:
    """One entry as a person reads it."""
    return await _entry_page(turn, question=None)


async def open_question(turn: Turn) -> Response:
    """The same with the sealed question in the clear, which is itself logged."""
    entry = _entry_id(turn.in_path("id"))
    turn.reads_log(id=entry, question=True)
    _, question = await turn.desk.installation.seals.question(entry)
    return await _entry_page(turn, question=_pretty(exact_json.loads(question.encode())))


async def get_receipt(turn: Turn) -> Response:
    """The entry's receipt as a file, to be kept and checked offline."""
    entry = _entry_id(turn.in_path("id"))
    turn.reads_log(receipt=entry)
    found = await turn.desk.installation.database.read(lambda conn: read_receipt(conn, entry))
    if found is None or not _is_in_sight(turn, found.entry):
        raise NotFound("There is no such entry that you could see.", rule="sight")
    name = f'attachment; filename="{found.id}.tlog-proof"'
    return Response(found.proof, media_type="text/plain", headers={"content-disposition": name})


async def get_checkpoint(turn: Turn) -> Response:
    """The newest signed checkpoint as a file."""
    note = await turn.desk.installation.database.read(newest_note)
    turn.reads_log(checkpoint=Checkpoint.parse(text_of(note)).size)
    name = 'attachment; filename="checkpoint"'
    return Response(note, media_type="text/plain", headers={"content-disposition": name})


async def _entry_page(turn: Turn, question: str | None) -> Response:
    entry = _entry_id(turn.in_path("id"))
    if question is None:
        turn.reads_log(id=entry)
    found = await turn.desk.installation.database.read(lambda conn: find_entry(conn, entry))
    told = None if found is None else Told(found, Names(await turn.desk.registry.state()))
    if told is None or not _is_in_sight(turn, told.entry):
        raise NotFound("There is no such entry that you could see.", rule="sight")
    return turn.render(
        "entry.html",
        told=told,
        raw=_pretty(told.entry) if told.entry else "",
        question=question,
        is_sealed="sealed" in told.entry,
    )


def _is_in_sight(turn: Turn, entry: Any) -> bool:
    """Whether they read the log, or did themselves what the entry tells."""
    actor = entry.get("actor", {})
    return turn.may(Act.READ_LOG) or actor.get("principal") == turn.who.person


async def _checkpoint(turn: Turn) -> dict[str, Any] | None:
    installation = turn.desk.installation
    try:
        note = await installation.database.read(newest_note)
    except BursarError:
        return None
    found = Checkpoint.parse(text_of(note))
    vkey = installation.signer.verifier(found.origin).vkey
    return {"origin": found.origin, "size": found.size, "root": b64encode(found.root).decode(), "vkey": vkey}


def _sought(turn: Turn) -> Sought:
    given: dict[str, Any] = {each: turn.asked(each).strip() or None for each in FILTERS}
    named, kind = turn.asked("named").strip(), turn.asked("kind")
    if any(len(value) > _LONGEST for value in (*given.values(), named) if value):
        raise InvalidParams(f"What is looked for has at most {_LONGEST} characters.", rule="request")
    if (named or kind) and kind not in _NAMED:
        raise InvalidParams("Choose what it is that the question names.", rule="request")
    least = 1 if turn.is_asked("cost") else None
    return Sought(**given, least_requests=least, named=[(kind, named)] if named else ())


def _page(turn: Turn, found: Any, names: Names) -> tuple[list[Told], str]:
    """The entries of a page, and the address of the next; none where there is no more."""
    entries = [Told(each, names) for each in found[:_ON_A_PAGE]]
    if len(found) <= _ON_A_PAGE:
        return entries, ""
    query = {**dict(turn.request.query_params), "before": str(entries[-1].found.index)}
    return entries, f"{turn.request.url.path}?{urlencode(query)}"


def _export_address(turn: Turn) -> str:
    """Where an export of all entries of this search is begun."""
    query = {name: value for name, value in turn.request.query_params.items() if value and name != "before"}
    return f"{PATH}/audit/exports?{urlencode(query)}"


def before_asked(turn: Turn) -> int | None:
    """The index before which a page of the log begins; None for the first page. Raises InvalidParams."""
    text = turn.asked("before")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > _MOST_INDEX:
        raise InvalidParams("This page begins nowhere; start again from the first.", rule="request")
    return int(text)


def _entry_id(text: str) -> str:
    wanted = text.strip().lower()
    if len(wanted) != 32 or any(each not in "0123456789abcdef" for each in wanted):
        raise NotFound(
            "An entry's id has 32 characters from 0 to 9 and a to f, such as error.log_id.", rule="sight"
        )
    return wanted


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


PAGES: Final = (
    Page(
        method="GET",
        path="/calls",
        answer=show_calls,
        acts=OWN_KEYS,
        back=show_calls,
        takes=frozenset({"entry", "before"}),
    ),
    Page(method="GET", path="/entries/{id}", answer=show_entry, acts=SELF),
    Page(
        method="POST",
        path="/entries/{id}/question",
        answer=open_question,
        acts=READ_LOG,
        back=show_entry,
    ),
    Page(method="GET", path="/entries/{id}/receipt", answer=get_receipt, acts=SELF),
    Page(
        method="GET",
        path="/audit",
        answer=show_log,
        acts=READ_LOG,
        back=show_log,
        takes=_SEARCH | {"entry", "before"},
    ),
    Page(
        method="POST", path="/audit/exports", answer=begin_export, acts=_EXPORT, back=show_log, takes=_SEARCH
    ),
    Page(
        method="GET",
        path="/audit/exports/{id}",
        answer=show_export,
        acts=_EXPORT,
        takes=frozenset({"begin"}),
    ),
    Page(method="GET", path="/audit/exports/{id}/file", answer=send_export, acts=_EXPORT),
    Page(method="GET", path="/audit/checkpoint", answer=get_checkpoint, acts=LOG_ACTS),
)
