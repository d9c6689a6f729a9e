"""What came back from the platform, made safe to pass on: a success in one shape, or a failure of one kind."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app import exact_json
from app.provider.endpoint import AnswerForm, CursorKind, Endpoint, TaskUse
from app.query import INT64_MAX, UINT64_MAX, ResearchQuery

OK = "ok"

_MAX_DEPTH = 64
_MAX_MESSAGE_CHARS = 2_000
_MAX_CODE_CHARS = 128
_MAX_SEARCH_ID_DIGITS = 20
_MAX_TOKEN_CHARS = 1_000
"""Of the text by which the ads library goes on; its samples have some fifty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamReply:
    """One HTTP answer of the platform, complete and unread."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after_s: int | None = None
    elapsed_ms: int = 0


class FailureKind(StrEnum):
    """Why there are no records, as far as it decides what happens next."""

    TOKEN_REJECTED = "token_rejected"  # noqa: S105 - names an outcome
    """401: the credential's token does not hold."""
    SCOPE = "scope"
    """The credential is not approved for this endpoint or these fields."""
    QUOTA = "quota"
    """429: the day's quota is gone until 00:00 UTC."""
    THROTTLED = "throttled"
    """429: too fast; wait seconds."""
    INVALID = "invalid"
    """The platform refuses the request as it is, or its search id."""
    BROKEN = "broken"
    """5xx, HTML, cut JSON or a shape that is not the documented one: the platform's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """Records in the platform's shape, with the list key, `cursor` and `has_more` always there.

    `data` shares nothing with anyone and may be changed until it is first handed on.
    """

    data: dict[str, object]
    records: int
    cursor: int | None
    """Where the next page starts; None where the endpoint does not page."""
    has_more: bool
    search_id: str | None
    """As the platform gave it, never invented: a search without hits has none."""
    task_id: str | None = None
    """The digits of the task that the call began."""
    file: bytes | None = None
    """The whole answer where it is a file, and `data` is empty."""
    status: int
    """200, or the 5xx under which the platform sent a good body."""
    message: str
    log_id: str
    sent_us: int = 0
    """When the platform was asked, as whoever asked it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """No records; `code` and `message` are the platform's own where it gave any."""

    kind: FailureKind
    status: int
    code: str
    message: str
    log_id: str
    retry_after_s: int | None = None


class _WrongShapeError(Exception):
    """The answer is not what the endpoint documents; the argument says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """The platform's own words."""

    code: str = ""
    message: str = ""
    log_id: str = ""


# Codes decide before statuses do, since one code comes under several statuses (facts, section 3.2).
_KIND_BY_CODE = {
    "access_token_invalid": FailureKind.TOKEN_REJECTED,
    "invalid_token": FailureKind.TOKEN_REJECTED,
    "scope_not_authorized": FailureKind.SCOPE,
    "scope_permission_missed": FailureKind.SCOPE,
    "daily_quota_limit_exceeded": FailureKind.QUOTA,
    "rate_limit_exceeded": FailureKind.THROTTLED,
    "invalid_params": FailureKind.INVALID,
    "invalid_param": FailureKind.INVALID,
    "invalid_request": FailureKind.INVALID,
    "invalid_file_upload": FailureKind.INVALID,
    "internal_error": FailureKind.BROKEN,
    "timeout": FailureKind.BROKEN,
}

_DEFAULT_CODE = {
    FailureKind.TOKEN_REJECTED: "access_token_invalid",
    FailureKind.SCOPE: "scope_not_authorized",
    FailureKind.QUOTA: "daily_quota_limit_exceeded",
    FailureKind.THROTTLED: "rate_limit_exceeded",
    FailureKind.INVALID: "invalid_params",
    FailureKind.BROKEN: "internal_error",
}


def read_reply(endpoint: Endpoint, query: ResearchQuery, reply: UpstreamReply) -> Success | Failure:
    """What `reply` means for `query`, the page as it was sent upstream; never raises, whatever the bytes.

    A 5xx whose body says that all is well, or brings records and no word against them, is a success (facts,
    Q18 and section 3.3).
    """
    try:
        envelope = _envelope(reply.body)
    except _WrongShapeError as wrong:
        file = _file(endpoint, reply)
        return _unreadable(reply, str(wrong)) if file is None else file
    said = _said(envelope.get("error"))
    if said is None and endpoint.may_lack_error and reply.status == 200 and envelope.get("data"):
        said = _Said(code=OK)
    if said is None or said == _Said():
        if not (reply.status >= 500 and envelope.get("data")):
            return _unreadable(reply, "it has no error object") if said is None else _failure(reply, said)
        said = _Said(code=OK)
    if said.code != OK or 300 <= reply.status < 500:
        return _failure(reply, said)
    try:
        return _success(endpoint, query, envelope.get("data"), reply.status, said)
    except _WrongShapeError as wrong:
        return _broken(reply, f"The platform's answer has a wrong shape: {wrong}.", said.log_id)


def _file(endpoint: Endpoint, reply: UpstreamReply) -> Success | None:
    """The answer that is a file, where the endpoint gives one; the platform's errors come in an envelope."""
    is_page = "html" in reply.content_type.lower() or reply.body.lstrip()[:1] == b"<"
    if endpoint.answers is not AnswerForm.FILE or reply.status != 200 or is_page:
        return None
    return Success(
        data={},
        records=0,
        cursor=None,
        has_more=False,
        search_id=None,
        file=reply.body,
        status=reply.status,
        message="",
        log_id="",
    )


def _success(endpoint: Endpoint, query: ResearchQuery, data: object, status: int, said: _Said) -> Success:
    if endpoint.answers is AnswerForm.FILE:
        raise _WrongShapeError("it is no file")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise _WrongShapeError("data is not an object")
    records = _records(endpoint, data)
    cursor = None
    has_more = False
    if endpoint.paging is not None and endpoint.paging.answers_has_more:
        has_more = data["has_more"] = _has_more(data.get("has_more"))
    if endpoint.paging is not None and endpoint.paging.answers_cursor:
        cursor = data["cursor"] = _next_cursor(endpoint, query, data.get("cursor"), has_more=has_more)
    return Success(
        data=data,
        records=records,
        cursor=cursor,
        has_more=has_more,
        search_id=_search_id(endpoint, data) if endpoint.has_search_id else None,
        task_id=_task_id(data) if endpoint.task is TaskUse.BEGINS else None,
        status=status,
        message=said.message,
        log_id=said.log_id,
    )


def _records(endpoint: Endpoint, data: dict[str, object]) -> int:
    """How many records the platform counts; adds a missing list key."""
    if endpoint.list_key is None:
        return 1 if data and endpoint.counts_records else 0
    # A null list is an empty one: clients iterate over it without asking.
    items = data.get(endpoint.list_key)
    if items is None and endpoint.list_alias is not None:
        items = data.get(endpoint.list_alias)
    if items is None:
        items = []
    kind: type | tuple[type, ...] = (int, str) if endpoint.lists_ids else dict
    if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
        raise _WrongShapeError(f"{endpoint.list_key} is not a list of {_kind_of_items(endpoint)}")
    data[endpoint.list_key] = items
    return len(items)


def _kind_of_items(endpoint: Endpoint) -> str:
    return "ids" if endpoint.lists_ids else "objects"


def _next_cursor(endpoint: Endpoint, query: ResearchQuery, cursor: object, *, has_more: bool) -> int:
    if isinstance(cursor, str) and len(cursor) <= 19 and cursor.isascii() and cursor.isdigit():
        cursor = int(cursor)
    if isinstance(cursor, int) and not isinstance(cursor, bool) and 0 <= cursor <= INT64_MAX:
        return cursor
    # An index advances by the page size whatever came back, so it can be worked out; a moment cannot, but
    # behind the last page none is needed.
    if endpoint.cursor is CursorKind.INDEX or not has_more:
        return query.page.cursor + (query.page.size or 0)
    raise _WrongShapeError("cursor is not an integer")


def _has_more(value: object) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        # Guessing false would end a crawl early without a word.
        raise _WrongShapeError("has_more is neither true nor false")
    return value


def _search_id(endpoint: Endpoint, data: dict[str, object]) -> str | None:
    """The platform's search id, kept in `data` as text; what cannot be sent back is taken out."""
    value = data.get("search_id")
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    is_token = endpoint.cursor is CursorKind.TOKEN
    if isinstance(text, str) and text.isascii() and (_is_token(text) if is_token else _is_digits(text)):
        data["search_id"] = text
        return text
    data.pop("search_id", None)
    return None


def _is_digits(text: str) -> bool:
    return 0 < len(text) <= _MAX_SEARCH_ID_DIGITS and text.isdigit()


def _is_token(text: str) -> bool:
    return 0 < len(text) <= _MAX_TOKEN_CHARS and text.isprintable()


def _task_id(data: dict[str, object]) -> str:
    value = data.get("task_id")
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or int(text) > UINT64_MAX:
        raise _WrongShapeError("task_id is not a 64-bit number")
    return text


def _failure(reply: UpstreamReply, said: _Said) -> Failure:
    kind = _KIND_BY_CODE.get(said.code) or _kind_by_status(reply.status)
    return Failure(
        kind=kind,
        status=reply.status,
        code=_DEFAULT_CODE[kind] if said.code in {"", OK} else said.code,
        message=said.message or f"The platform answered {reply.status} without a message.",
        log_id=said.log_id,
        retry_after_s=reply.retry_after_s,
    )


def _unreadable(reply: UpstreamReply, why: str) -> Failure:
    """A failure told by the status alone, for a body that says nothing usable."""
    kind = _kind_by_status(reply.status)
    if kind in {FailureKind.TOKEN_REJECTED, FailureKind.THROTTLED}:
        return _failure(reply, _Said())
    return _broken(reply, f"The platform answered {reply.status} with an unusable body: {why}.", "")


def _broken(reply: UpstreamReply, message: str, log_id: str) -> Failure:
    return Failure(
        kind=FailureKind.BROKEN,
        status=reply.status,
        code=_DEFAULT_CODE[FailureKind.BROKEN],
        message=f"{message} Please try again later.",
        log_id=log_id,
        retry_after_s=reply.retry_after_s,
    )


def _kind_by_status(status: int) -> FailureKind:
    match status:
        case 401:
            return FailureKind.TOKEN_REJECTED
        case 429:
            return FailureKind.THROTTLED
        case _ if 400 <= status < 500:
            return FailureKind.INVALID
        case _:
            return FailureKind.BROKEN


def _envelope(body: bytes) -> dict[str, object]:
    try:
        value = exact_json.loads(body)
    except ValueError:
        raise _WrongShapeError("it is not JSON") from None
    if not isinstance(value, dict):
        raise _WrongShapeError("it is not a JSON object")
    if _is_deeper_than(value, _MAX_DEPTH):
        # Writing it again would fail, further on and with the call already settled.
        raise _WrongShapeError("it is nested too deeply")
    return value


def _is_deeper_than(value: object, levels: int) -> bool:
    layer: list[Any] = [value]
    for _ in range(levels):
        layer = [
            child
            for node in layer
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
        if not layer:
            return False
    return True


def _said(error: object) -> _Said | None:
    if not isinstance(error, dict):
        return None
    return _Said(
        code=_text(error.get("code"), _MAX_CODE_CHARS),
        message=_text(error.get("message"), _MAX_MESSAGE_CHARS),
        log_id=_text(error.get("log_id"), _MAX_CODE_CHARS),
    )


def _text(value: object, max_chars: int) -> str:
    """Untrusted text that can be stored and encoded: no lone surrogates, bounded; "" for anything else."""
    if not isinstance(value, str):
        return ""
    return value[:max_chars].encode("utf-8", "replace").decode("utf-8")
