"""Connections of clients: uvicorn's own protocol, with an end to heads that are too large and to clients that do not go on.

uvicorn bounds neither with httptools, whose parser copies an unfinished header anew with every piece of it. A front
server does it as well, but one that is set up otherwise, or left out, must not be all that stands between.
"""

import asyncio
import enum
import functools
import heapq
import resource
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 32_768
"""Of a request's target and headers; the platform's longest list of fields has about 600."""
_RESERVED_DESCRIPTORS: Final = 256
"""For databases, Redis, calls to the platform and files."""
_MOST_DESCRIPTORS: Final = 65_536


class _Awaited(enum.Enum):
    """What a client still has to send."""

    HEAD = enum.auto()
    BODY = enum.auto()


class _TooLarge(Exception):
    """Target and headers are larger than `MAX_HEAD_BYTES`."""


def allow_many_connections() -> None:
    """Have this process, and those that it starts, open as many connections as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@functools.cache
def _most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, soft - _RESERVED_DESCRIPTORS)


class Connection(HttpToolsProtocol):
    """One connection; times are in seconds."""

    head_within_s: ClassVar[float] = 30
    body_within_s: ClassVar[float] = 60
    """From the end of the head on; the largest body is 256 KiB."""
    ends_within_s: ClassVar[float] = 5
    """How long an unfinished body is waited for once the process is to stop."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._awaited: _Awaited | None = _Awaited.HEAD
        self._has_begun = False
        self._head_bytes = 0
        self._is_too_large = False
        self._deadline: asyncio.TimerHandle | None = None
        self.quiet_since_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        if len(self.connections) >= _most_connections() and not self._make_room():
            transport.abort()
            return
        super().connection_made(transport)
        self.quiet_since_s = self.loop.time()
        self._expect_within(self.head_within_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._expect_within(None)
        if self.transport is not None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and wait for what is missing."""
        awaited = self._awaited
        if awaited is _Awaited.HEAD:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._awaited is _Awaited.HEAD and self._head_bytes > MAX_HEAD_BYTES:
            self._is_too_large = True
            self.send_400_response("")
        if self._awaited is awaited and (awaited is None or self._deadline is not None):
            return
        within_s = {None: None, _Awaited.HEAD: self.head_within_s, _Awaited.BODY: self.body_within_s}
        self._expect_within(within_s[self._awaited])

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        # How much of what came belongs to it, nobody says; what comes from now on does.
        self._awaited, self._has_begun, self._head_bytes = _Awaited.HEAD, True, 0

    def on_headers_complete(self) -> None:
        """Answer the request, if its head is not too large."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._is_too_large = True
            raise _TooLarge
        self._awaited = _Awaited.BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is here in full."""
        self._awaited, self._has_begun = None, False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request; for how long is uvicorn's to say."""
        self.quiet_since_s = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read as a request, and hang up."""
        if self._is_too_large:
            told = f"At most {MAX_HEAD_BYTES} bytes are read of a request's target and headers."
            # No request yet that the audit log could tell of, like whatever is no HTTP.
            self.logger.warning(told)
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, told)
        else:
            super().send_400_response(msg)

    def shutdown(self) -> None:
        """End once what is under way is answered; an unfinished request does not hold it up for long."""
        super().shutdown()
        if self._deadline is not None:
            self._expect_within(self.ends_within_s)

    def _expect_within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._hang_up)

    def _hang_up(self) -> None:
        """The client has not sent the rest in time."""
        self._deadline = None
        if self._awaited is _Awaited.HEAD and self._has_begun and self.is_quiet:
            told = f"The request was not complete within {self.head_within_s:g} seconds."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, told)
        elif not self.transport.is_closing():
            self.transport.close()

    @property
    def is_quiet(self) -> bool:
        """Whether no request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> bool:
        """Hang up on a tenth of the clients that wait without a request, the longest first; whether there were any."""
        every = [cast("Connection", each) for each in self.connections]
        quiet = [each for each in every if each.is_quiet and not each.transport.is_closing()]
        longest = heapq.nsmallest(1 + len(quiet) // 10, quiet, key=lambda each: each.quiet_since_s)
        for each in longest:
            each.transport.close()
        return bool(longest)

    def _refuse(self, status: HTTPStatus, told: str) -> None:
        if self.transport.is_closing():
            return
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(told)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + told.encode())
        self.transport.close()
