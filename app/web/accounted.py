"""An entry for every request outside the research paths, before its first byte leaves.

The research paths log for themselves, since their entries know more. Health and metrics are exempt:
they say nothing about anybody, and probes come every few seconds.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol

import orjson
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.audit.calls import Origin, Scribe, Visit
from app.audit.entries import Draft, Receipt
from app.errors import BursarError

EXEMPT = frozenset({"/livez", "/readyz", "/metrics"})
RESEARCH_PREFIX = "/v2"


class Note(Protocol):
    """Makes an entry durable; see `Gateway.note`."""

    def __call__(self, draft: Draft, *, source: str | None) -> Awaitable[Receipt]:
        """The entry's receipt."""
        ...


_log = structlog.get_logger()


def _problem(status: int, code: str, detail: str) -> tuple[Message, Message]:
    """An answer of this middleware's own, for when no route can give one."""
    told = {"type": f"urn:bursar:problem:{code}", "title": HTTPStatus(status).phrase, "status": status}
    body = orjson.dumps({**told, "detail": detail, "code": code})
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"5"))
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body", "body": body}


_UNLOGGED = _problem(
    503, "audit_unavailable", "This request could not be logged. Try again in a few seconds."
)
_CUT_OFF = _problem(400, "invalid_params", "The request ended before all of its body had come.")
_BROKEN = _problem(500, "internal_error", "Something is wrong. Please try again later.")


class Accounted:
    """ASGI middleware: holds each answer until its entry is durable, and refuses where it cannot be."""

    def __init__(self, app: ASGIApp, *, note: Callable[[], Note], scribe: Callable[[], Scribe]) -> None:
        self._app = app
        self._note = note
        self._scribe = scribe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with its entry first."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path in EXEMPT or is_research(path):
            await self._app(scope, receive, send)
            return
        entry = _Entry(scope, send, self._note(), self._scribe())
        try:
            await self._app(scope, receive, entry.send)
        except ClientDisconnect:
            # Nobody reads the answer any more, but the log has what became of the request.
            if not entry.has_started:
                for message in _CUT_OFF:
                    await entry.send(message)
        except Exception:  # noqa: BLE001 - a bug must be logged too, and not answered in the framework's shape
            if not entry.has_started:
                for message in _BROKEN:
                    await entry.send(message)
            _log.exception("a request failed", route=entry.route, entry=entry.id)


def place_of(receipt: Receipt) -> bytes:
    """The value of `Audit-Entry`: which log, which leaf, and the size of the tree that first covered it."""
    return b'origin="%b";index=%d;size=%d' % (receipt.origin.encode(), receipt.index, receipt.size)


def receipt_headers(receipt: Receipt) -> list[tuple[bytes, bytes]]:
    """The headers that point from an answer to its entry: the place, and the leaf's hash (RFC 9651)."""
    return [
        (b"audit-entry", place_of(receipt)),
        (b"audit-leaf", b":%b:" % b64encode(receipt.leaf_hash)),
    ]


def is_research(path: str) -> bool:
    """Whether a path belongs to the research endpoints."""
    return path == RESEARCH_PREFIX or path.startswith(RESEARCH_PREFIX + "/")


class _Entry:
    """The entry of one request: written when its answer starts."""

    def __init__(self, scope: Scope, send: Send, note: Note, scribe: Scribe) -> None:
        self._scope = scope
        self._send = send
        self._note = note
        self._scribe = scribe
        self._is_refused = False
        self._renamed: tuple[bytes, bytes] | None = None
        self.has_started = False
        self.id: str | None = None
        """Of the entry, once it is durable."""

    @property
    def route(self) -> str:
        """The route's template, which names nobody."""
        return getattr(self._scope.get("route"), "path", None) or "*"

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not self._is_refused:
            if self._renamed is not None:
                # Ids are equally long, and a refusal's body is one message.
                message = {**message, "body": message.get("body", b"").replace(*self._renamed)}
            await self._send(message)

    async def _start(self, message: Message) -> None:
        self.has_started = True
        try:
            draft, source = self._draft(message["status"])
            receipt = await self._note(draft, source=source)
        except BursarError:
            self._is_refused = True
            for refusal in _UNLOGGED:
                await self._send(refusal)
            return
        self.id = receipt.id
        if receipt.id != draft.id:
            # It is counted with others, and its answer has to name their entry.
            self._renamed = (draft.id.encode(), receipt.id.encode())
        headers = [*message.get("headers", []), *receipt_headers(receipt)]
        await self._send({**message, "headers": headers})

    def _draft(self, status: int) -> tuple[Draft, str | None]:
        """The entry, and the source where it is the refusal of somebody unknown."""
        headers = dict(self._scope["headers"])
        length = headers.get(b"content-length", b"0")
        origin = Origin(
            method=self._scope["method"][:16],
            route=self.route,
            request_bytes=int(length[:12]) if length.isdigit() else 0,
            address=self._scope["client"][0] if self._scope.get("client") else "",
            agent=headers.get(b"user-agent", b"").decode("latin-1"),
        )
        visitor = self._scope.get("state", {}).get("operator")
        who = visitor.who if isinstance(visitor, Visit) else visitor
        draft = self._scribe.seen(origin, visitor, status=status)
        return draft, origin.address if who is None and status >= HTTPStatus.BAD_REQUEST else None
