"""The adapter to the platform against an upstream that hangs, cuts, drips and lies."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from app.clock import SystemClock
from app.ids import CredentialId
from app.provider.answers import UpstreamReply
from app.provider.endpoints import ENDPOINTS
from app.provider.outgoing import outgoing
from app.provider.platform import NotDispatched, OutcomeUnknown, TooLate
from app.query import Page, ResearchQuery
from app.upstream.http import HttpPlatform, Timeouts
from tests.servers.programs import free_port

pytestmark = pytest.mark.anyio

MAIN = CredentialId("main")
QUERY = ResearchQuery(
    endpoint="user/info", question='{"username":"sim_user_1"}', fields=("bio_url",), page=Page()
)
GOOD = b'{"data":{"bio_url":"x"},"error":{"code":"ok","message":"","log_id":"1"}}'
_TOKEN = json.dumps({"access_token": "clt.upstream", "expires_in": 7200, "token_type": "Bearer"}).encode()

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Opened:
    """A credential in the clear."""

    base_url: str
    client_key: str = "key"
    client_secret: str = "secret"


@dataclass(slots=True)
class Upstream:
    """A server that answers token requests well and everything else as `answers` say, in turn."""

    answers: list[Answer]
    token: bytes = _TOKEN
    heads: list[str] = field(default_factory=list)
    tokens_asked: int = 0
    token_takes_s: float = 0.0
    port: int = 0
    serving: list["asyncio.Task[None] | None"] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                await reader.readexactly(length)
                if "/v2/oauth/token/" in head:
                    self.tokens_asked += 1
                    await asyncio.sleep(self.token_takes_s)
                    await says(200, self.token)(writer)
                else:
                    self.heads.append(head)
                    await self.answers.pop(0)(writer)
        writer.transport.abort()

    async def open(self, _credential: CredentialId) -> Opened:
        return Opened(f"http://127.0.0.1:{self.port}")


def says(status: int, body: bytes, *headers: str, declared: int | None = None) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        length = len(body) if declared is None else declared
        head = [f"HTTP/1.1 {status} x", f"Content-Length: {length}", *headers, "", ""]
        writer.write("\r\n".join(head).encode() + body)
        await writer.drain()
        if declared is not None:
            writer.close()

    return answer


async def hangs(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def resets(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def drips(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


class StoppedClock(SystemClock):
    """Right for so many looks; when it is looked at again, a minute has gone by."""

    def __init__(self, *, stops_after: int) -> None:
        self._looks = stops_after

    def monotonic_s(self) -> float:
        self._looks -= 1
        return super().monotonic_s() + (60.0 if self._looks < 0 else 0.0)


@asynccontextmanager
async def platform(upstream: Upstream) -> AsyncIterator[HttpPlatform]:
    server = await asyncio.start_server(upstream.handle, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    timeouts = Timeouts(connect_s=1.0, read_s=0.4, video_query_read_s=0.4)
    adapter = HttpPlatform(vault=upstream, clock=SystemClock(), timeouts=timeouts)
    try:
        yield adapter
    finally:
        await adapter.close()
        server.close()
        tasks = [task for task in upstream.serving if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def fetch(adapter: HttpPlatform, *, within_s: float = 60.0) -> UpstreamReply:
    endpoint = ENDPOINTS["user/info"]
    send_by_s = time.monotonic() + within_s
    return await adapter.fetch(MAIN, QUERY, endpoint, outgoing(endpoint, QUERY), send_by_s=send_by_s)


async def test_a_call_carries_what_was_allowed_and_nothing_else() -> None:
    upstream = Upstream([says(200, GOOD)])
    async with platform(upstream) as adapter:
        reply = await fetch(adapter)
    assert (reply.status, reply.body) == (200, GOOD)
    names = {line.split(":")[0].lower() for line in upstream.heads[0].split("\r\n")[1:] if line}
    assert names == {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
        "authorization",
        "content-type",
        "content-length",
    }
    assert upstream.heads[0].startswith("POST /v2/research/user/info/?fields=bio_url HTTP/1.1")


@pytest.mark.parametrize("answer", [hangs, resets, drips, says(200, GOOD, declared=10_000)])
async def test_an_unfinished_answer_is_an_unknown_outcome_and_never_tried_again(answer: Answer) -> None:
    upstream = Upstream([answer, says(200, GOOD)])
    async with platform(upstream) as adapter:
        with pytest.raises(OutcomeUnknown):
            await fetch(adapter)
    assert len(upstream.heads) == 1


async def test_an_answer_without_end_is_cut_off() -> None:
    async def floods(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        for _ in range(64):
            writer.write(chunk)
            await writer.drain()

    upstream = Upstream([floods])
    async with platform(upstream) as adapter:
        with pytest.raises(OutcomeUnknown):
            await fetch(adapter)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    elsewhere = "Location: http://169.254.169.254/latest/meta-data/"
    upstream = Upstream([says(status, b"", elsewhere)])
    async with platform(upstream) as adapter:
        assert (await fetch(adapter)).status == status
    assert len(upstream.heads) == 1


async def test_proxies_and_passwords_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    upstream = Upstream([says(200, GOOD)])
    async with platform(upstream) as adapter:
        assert (await fetch(adapter)).status == 200


async def test_no_listener_means_that_nothing_was_sent() -> None:
    upstream = Upstream([])
    async with platform(upstream) as adapter:
        upstream.port = free_port()
        with pytest.raises(NotDispatched):
            await fetch(adapter)


async def test_a_rejected_token_is_replaced_once_and_the_second_rejection_is_returned() -> None:
    rejection = b'{"error":{"code":"access_token_invalid","message":"no","log_id":"2"}}'
    upstream = Upstream([says(401, rejection), says(200, GOOD), says(401, rejection), says(401, rejection)])
    async with platform(upstream) as adapter:
        assert (await fetch(adapter)).status == 200
        assert (await fetch(adapter)).status == 401
    assert len(upstream.heads) == 4
    assert upstream.tokens_asked == 3


async def test_a_call_whose_time_ran_out_while_it_waited_for_a_token_is_not_sent() -> None:
    upstream = Upstream([says(200, GOOD)], token_takes_s=0.3)
    async with platform(upstream) as adapter:
        with pytest.raises(TooLate):
            await fetch(adapter, within_s=0.2)
        assert upstream.heads == []
        assert (await fetch(adapter)).status == 200
    assert upstream.tokens_asked == 1


async def test_a_call_whose_time_runs_out_between_head_and_body_is_no_whole_request_and_stays_charged() -> (
    None
):
    upstream = Upstream([says(200, GOOD)])
    async with platform(upstream) as adapter:
        assert (await fetch(adapter)).status == 200
        adapter._clock = StoppedClock(stops_after=1)
        with pytest.raises(OutcomeUnknown, match="half of it"):
            await fetch(adapter, within_s=30)
    assert len(upstream.heads) == 1


async def test_a_call_whose_time_runs_out_before_it_can_be_repeated_costs_nothing() -> None:
    rejection = b'{"error":{"code":"access_token_invalid","message":"no","log_id":"2"}}'
    upstream = Upstream([says(401, rejection)], token_takes_s=0.3)
    async with platform(upstream) as adapter:
        with pytest.raises(TooLate):
            await fetch(adapter, within_s=0.5)
    assert len(upstream.heads) == 1


async def test_a_missing_scope_is_not_a_rejected_token() -> None:
    refusal = b'{"error":{"code":"scope_not_authorized","message":"no","log_id":"2"}}'
    upstream = Upstream([says(401, refusal)])
    async with platform(upstream) as adapter:
        assert (await fetch(adapter)).status == 401
    assert (len(upstream.heads), upstream.tokens_asked) == (1, 1)


async def test_a_thousand_callers_share_one_new_token() -> None:
    upstream = Upstream([says(200, GOOD)] * 1_000)
    async with platform(upstream) as adapter:
        adapter_calls = [fetch(adapter) for _ in range(1_000)]
        replies = await asyncio.gather(*adapter_calls, return_exceptions=True)
    assert upstream.tokens_asked == 1
    assert any(isinstance(reply, UpstreamReply) for reply in replies)


@pytest.mark.parametrize(
    "token",
    [
        b"<html>",
        b"[]",
        b'{"error":"invalid_client","error_description":"no","log_id":"3"}',
        b'{"access_token":"","expires_in":7200}',
        b'{"access_token":"x","expires_in":"soon"}',
    ],
)
async def test_without_a_token_nothing_is_sent_and_the_secret_is_not_told(token: bytes) -> None:
    upstream = Upstream([], token=token)
    async with platform(upstream) as adapter:
        with pytest.raises(NotDispatched) as refusal:
            await fetch(adapter)
    assert upstream.heads == []
    assert "secret" not in str(refusal.value)
