"""What a client may send before it has a request, and for how long it may take."""

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.web import connections
from app.web.connections import MAX_HEAD_BYTES, Connection, allow_many_connections

pytestmark = pytest.mark.anyio
LONG_S = 1.2
"""Longer than any of the times below."""
GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"


class Impatient(Connection):
    head_within_s = 0.4
    body_within_s = 0.5
    ends_within_s = 0.1


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads all of a body, and takes its time where the path says so."""
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    if scope["path"] == "/slow":
        await asyncio.sleep(LONG_S)
    if message["type"] == "http.request":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


@dataclass(frozen=True)
class Server:
    port: int
    state: ServerState
    clients: list["Client"] = field(default_factory=list)

    async def connect(self, said: bytes = b"") -> "Client":
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        await client.say(said)
        return client


@dataclass(frozen=True)
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, what: bytes) -> None:
        self.writer.write(what)
        await self.writer.drain()

    async def status(self) -> int:
        """Of the next answer; 0 where the connection ends without one."""
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        return int(head.split()[1])

    async def ends(self) -> bool:
        """Whether nothing more comes, and the other side has hung up."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), 30) == b""
        return True


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    config = uvicorn.Config(answering, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: Impatient(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    server = Server(listening.sockets[0].getsockname()[1], state)
    yield server
    listening.close()
    for client in server.clients:
        client.writer.close()
    while state.connections:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (GET + b"X: " + b"a" * 30_000, 200),
        (GET + b"X: " + b"a" * MAX_HEAD_BYTES, 431),
        (GET + b"".join(b"X%d: " % number + b"a" * 9_000 + b"\r\n" for number in range(4)) + b"Y: y", 431),
        (b"GET /?" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: h", 431),
    ],
    ids=["large", "one", "all together", "target"],
)
async def test_target_and_headers_have_a_largest_size(
    server: Server, caplog: pytest.LogCaptureFixture, head: bytes, status: int
) -> None:
    client = await server.connect(head + b"\r\n\r\n")
    assert await client.status() == status
    assert ("At most 32768 bytes" in caplog.text) == (status == 431)


async def test_a_header_without_end_is_refused_when_it_is_too_large(server: Server) -> None:
    client = await server.connect(GET + b"X: ")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while not client.reader.at_eof() and sent < 64 * MAX_HEAD_BYTES:
            await client.say(b"a" * 8_192)
            sent += 8_192
            await asyncio.sleep(0)
            if client.reader._buffer:  # type: ignore[attr-defined]
                break
    assert sent < 64 * MAX_HEAD_BYTES
    assert await client.status() in {431, 0}


async def test_a_body_that_follows_a_small_head_is_none_of_it(server: Server) -> None:
    client = await server.connect()
    large = b"a" * 200_000
    for _ in range(2):
        await client.say(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + large)
        assert await client.status() == 200
    # The next request begins in the piece with which a body ends.
    await client.say(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + large + b"GET / HT")
    assert await client.status() == 200
    await client.say(b"TP/1.1\r\nHost: h\r\n\r\n")
    assert await client.status() == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [(b"", 0), (GET, 408), (POST + b"half", 0)],
    ids=["nothing", "half a head", "half a body"],
)
async def test_who_does_not_go_on_is_hung_up_on(server: Server, said: bytes, status: int) -> None:
    client = await server.connect(said)
    assert await client.status() == status
    assert client.reader.at_eof() or status


async def test_who_goes_on_byte_by_byte_gains_no_time(server: Server) -> None:
    client = await server.connect(GET)
    started_s = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while not client.reader.at_eof() and time.monotonic() - started_s < 20:
            await client.say(b"X: y\r\n")
            await asyncio.sleep(0.05)
            if client.reader._buffer:  # type: ignore[attr-defined]
                break
    assert await client.status() == 408


@pytest.mark.parametrize("more", [b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"], ids=["plain", "h2c"])
async def test_an_answer_may_take_its_time(server: Server, more: bytes) -> None:
    client = await server.connect(b"GET /slow HTTP/1.1\r\nHost: h\r\n" + more + b"\r\n")
    assert await client.status() == 200


async def test_who_has_been_answered_may_wait_before_they_go_on(server: Server) -> None:
    client = await server.connect(GET + b"\r\n")
    assert await client.status() == 200
    await asyncio.sleep(LONG_S)
    await client.say(GET + b"\r\n")
    assert await client.status() == 200


async def test_whoever_waits_longest_without_a_request_makes_room_for_others(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_most_connections", lambda: 3)
    busy = await server.connect(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
    first = await server.connect(GET + b"\r\n")
    assert await first.status() == 200
    second = await server.connect(GET + b"\r\n")
    assert await second.status() == 200
    third = await server.connect(GET + b"\r\n")
    assert await third.status() == 200
    assert await first.ends()
    await second.say(GET + b"\r\n")
    assert await second.status() == 200
    assert await busy.status() == 200


async def test_where_all_are_busy_nobody_else_is_let_in(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_most_connections", lambda: 1)
    busy = await server.connect(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
    await asyncio.sleep(0.1)
    late = await server.connect()
    assert await late.status() == 0
    assert await busy.status() == 200


async def test_half_a_request_does_not_hold_up_the_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else it would be hung up on all the same.
    monkeypatch.setattr(Impatient, "body_within_s", 600)
    client = await server.connect(POST + b"half")
    await asyncio.sleep(0.1)
    for each in list(server.state.connections):
        each.shutdown()
    assert await client.ends()


def test_the_process_may_open_as_many_files_as_the_system_lets_it() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        allow_many_connections()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
