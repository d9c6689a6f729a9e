"""A platform that answers look-ups of profiles, and notes when each of them reached it."""

import asyncio
import contextlib
import json
import random
import time
from types import TracebackType
from typing import Self

_TOKEN = {"access_token": "clt.noted", "expires_in": 7_200, "token_type": "Bearer"}


class NotingPlatform:
    """A server on a free port of 127.0.0.1; `gate` is shut to make token requests wait."""

    def __init__(self, *, answers_within_s: float = 0.0) -> None:
        self.arrivals: dict[str, list[int]] = {}
        """Microseconds since 1970 at which the calls about each user came in."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.token_asked = asyncio.Event()
        self._answers_within_s = answers_within_s
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                body = await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                came_us = time.time_ns() // 1_000
                answer = await self._answer(head, body, came_us)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                    % (len(answer), answer)
                )
                await writer.drain()
        self._serving.discard(task)
        writer.transport.abort()

    async def _answer(self, head: bytes, body: bytes, came_us: int) -> bytes:
        if b"/v2/oauth/token/" in head:
            self.token_asked.set()
            await self.gate.wait()
            return json.dumps(_TOKEN).encode()
        self.arrivals.setdefault(json.loads(body)["username"], []).append(came_us)
        await asyncio.sleep(random.random() * self._answers_within_s)
        answer = {
            "data": {"display_name": "x"},
            "error": {"code": "ok", "message": "", "log_id": "20261101000000AA"},
        }
        return json.dumps(answer).encode()
