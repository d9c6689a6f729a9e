"""A relay in front of PostgreSQL that loses commits, or the answers to them."""

import asyncio
import contextlib
from enum import StrEnum
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 65_536


class Cut(StrEnum):
    """When the line breaks."""

    BEFORE = "before the server hears of it"
    AFTER = "after the server has committed"
    LATE = "at once for the client, and the server hears of it later"


class CommitCutter:
    """Passes bytes both ways, in this event loop, until it is told to break the next commit (frontend message Q).

    While it is not `open`, nobody gets through.
    """

    def __init__(self, target_port: int, *, late_s: float = 0.3) -> None:
        self.port = 0
        self.next: Cut | None = None
        self.cuts = 0
        self.is_open = True
        self._late_s = late_s
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                if self.is_open:
                    await self._pass_on(reader, writer)
        finally:
            writer.close()
            self._lines.discard(line)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        answers = asyncio.ensure_future(self._pass(there, writer))
        questions = asyncio.ensure_future(self._until_cut(reader, back))
        try:
            await asyncio.wait((answers, questions), return_when=asyncio.FIRST_COMPLETED)
            if questions.done() and (cut := questions.result()) is not None:
                how, commit = cut
                answers.cancel()
                await self._break(how, commit, writer, back)
        finally:
            for each in (answers, questions):
                each.cancel()
            await asyncio.gather(answers, questions, return_exceptions=True)
            back.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()

    async def _until_cut(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter
    ) -> tuple[Cut, bytes] | None:
        """How to break the line, and the commit that was not passed on; None when the client is done."""
        while data := await reader.read(_CHUNK_BYTES):
            if self.next is not None and data[:1] == b"Q" and data[5:11] == b"COMMIT":
                how, self.next = self.next, None
                self.cuts += 1
                return how, data
            back.write(data)
            await back.drain()
        return None

    async def _break(
        self, how: Cut, commit: bytes, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        if how is Cut.BEFORE:
            return
        if how is Cut.LATE:
            writer.close()
            await asyncio.sleep(self._late_s)
        back.write(commit)
        await back.drain()
        # The server answers, and nobody passes it on.
        await asyncio.sleep(0.2)
