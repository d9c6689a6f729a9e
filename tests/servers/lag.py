"""A relay in front of a server, whose line can be made slow or cut."""

import asyncio
import contextlib
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

_CHUNK_BYTES = 65_536


class Relay:
    """Passes bytes both ways on a port of its own, in this event loop; answers arrive `lag_s` late."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.lag_s = 0.0
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
        self.cut()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def cut(self) -> None:
        """Break every connection there is."""
        for line in self._lines:
            line.cancel()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
                try:
                    await self._until_one_ends(
                        self._pass(reader, back, slow=False), self._pass(there, writer, slow=True)
                    )
                finally:
                    back.close()
        finally:
            writer.close()
            self._lines.discard(line)

    async def _until_one_ends(self, *ways: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            if slow and self.lag_s:
                await asyncio.sleep(self.lag_s)
            writer.write(data)
            await writer.drain()
