"""One call to the platform over HTTP.

Requests are built from an allow-list of headers, never copied from the caller; redirects are not
followed, and neither proxy variables nor `.netrc` are honoured.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from app.clock import Clock
from app.errors import BursarError
from app.ids import CredentialId
from app.provider.answers import UpstreamReply
from app.provider.endpoint import Endpoint
from app.provider.outgoing import Outgoing
from app.provider.platform import CredentialRefused, NotDispatched, OutcomeUnknown, TooLate
from app.query import ResearchQuery, remembered
from app.upstream.client import httpx
from app.upstream.tokens import AccessToken, TokenKeeper

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""Bursar's own bound; a page of 100 videos is about 90 kB."""
_TOKEN_TIMEOUT_S = 30.0
_CONNECT_ATTEMPTS = 2
_MAX_RETRY_AFTER_S = 86_400
_HEADERS: Final = {
    "Accept-Encoding": "identity",
    "Accept": "application/json, text/plain",
    "Connection": "keep-alive",
    "User-Agent": "bursar",
}
_REFUSALS = frozenset({200, 400, 401, 403})
"""Of the token endpoint, which may refuse inside a 200."""
_ABOUT_TO_WRITE = "http11.send_request_headers.started"
"""The client's name for the last moment at which nothing of a request has been written."""
_ABOUT_TO_WRITE_BODY = "http11.send_request_body.started"
"""The last moment at which the platform cannot have a whole request."""


class OpenedCredential(Protocol):
    """A credential in the clear, for the length of a token request; its `repr` shows neither value."""

    @property
    def base_url(self) -> str:
        """The one host that the credential was sealed for."""
        ...

    @property
    def client_key(self) -> str:
        """The platform's client key."""
        ...

    @property
    def client_secret(self) -> str:
        """The platform's client secret."""
        ...


class Vault(Protocol):
    """Opens sealed credentials."""

    async def open(self, credential: CredentialId) -> OpenedCredential:
        """The credential in the clear; raises NotFound, SealBroken or StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for the platform, seconds; the platform answers 504 only after minutes."""

    connect_s: float = 3.0
    read_s: float = 60.0
    video_query_read_s: float = 250.0

    def read_for(self, endpoint: Endpoint) -> float:
        """The read timeout of one endpoint."""
        return self.video_query_read_s if endpoint.name == "video/query" else self.read_s


class HttpPlatform:
    """The platform's port over HTTP."""

    def __init__(
        self,
        *,
        vault: Vault,
        clock: Clock,
        timeouts: Timeouts,
        proxy: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        self._vault = vault
        self._clock = clock
        self._timeouts = timeouts
        self._tokens = TokenKeeper(clock=clock, ask=self._ask_token)
        verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._transport = httpx.AsyncHTTPTransport(
            trust_env=False,
            proxy=proxy,
            verify=verify,
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=4.0),
        )
        self._client = httpx.AsyncClient(
            transport=self._transport,
            trust_env=False,
            follow_redirects=False,
            timeout=self._timeout(timeouts.read_s),
            headers=_HEADERS,
        )

    async def fetch(
        self,
        credential: CredentialId,
        query: ResearchQuery,
        endpoint: Endpoint,
        body: Outgoing,
        *,
        send_by_s: float,
    ) -> UpstreamReply:
        """The platform's answer to one call; see `Platform`."""
        try:
            token = await self._tokens.current(credential)
            reply = await self._send(token, query, endpoint, body, send_by_s)
            if reply.status == 401 and b"scope_not_authorized" not in reply.body:
                token = await self._tokens.replace(credential, rejected=token)
                reply = await self._send(token, query, endpoint, body, send_by_s)
        except TooLate:
            raise
        except NotDispatched:
            self._tokens.forget(credential)
            raise
        return reply

    async def verify(self, credential: CredentialId) -> None:
        """Return when the platform takes the credential; raises NotDispatched with the reason."""
        self._tokens.forget(credential)
        await self._tokens.current(credential)

    async def close(self) -> None:
        """Close every connection to the platform."""
        await self._client.aclose()

    async def _send(
        self,
        token: AccessToken,
        query: ResearchQuery,
        endpoint: Endpoint,
        body: Outgoing,
        send_by_s: float,
    ) -> UpstreamReply:
        read_s = self._timeouts.read_for(endpoint)
        request = httpx.Request(
            "POST",
            _url(token.base_url, endpoint.path, query.query_string()),
            content=body.content,
            headers={
                **_HEADERS,
                "Authorization": f"Bearer {token.value}",
                "Content-Type": body.content_type,
            },
            extensions={"timeout": self._timeout(read_s).as_dict(), "trace": self._stop_at(send_by_s)},
        )
        for attempt in range(1, _CONNECT_ATTEMPTS + 1):
            try:
                return await self._answer_to(request, total_s=read_s)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
                # No byte of the request was written, so another try cannot be charged twice.
                if attempt == _CONNECT_ATTEMPTS:
                    raise NotDispatched(f"no connection to the platform: {type(error).__name__}") from error
            except (httpx.TransportError, TimeoutError) as error:
                raise OutcomeUnknown(
                    f"the platform did not finish its answer: {type(error).__name__}"
                ) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _stop_at(self, send_by_s: float) -> Callable[[str, object], Awaitable[None]]:
        """A trace of the client that raises instead of letting a request be written too late.

        Token, pool and connection have been waited for by then, and perhaps the whole process was stopped.
        Before the first byte it raises TooLate; between head and body OutcomeUnknown, and the connection is
        closed on half a request, which no server takes for one: charged, since some of it was written.
        """

        async def trace(event: str, _: object) -> None:
            if event not in {_ABOUT_TO_WRITE, _ABOUT_TO_WRITE_BODY} or self._clock.monotonic_s() < send_by_s:
                return
            if event == _ABOUT_TO_WRITE_BODY:
                raise OutcomeUnknown("what was reserved for the call held no longer when half of it was sent")
            raise TooLate("what was reserved for the call held no longer when it could be sent")

        return trace

    def _timeout(self, read_s: float) -> httpx.Timeout:
        return httpx.Timeout(read_s, connect=self._timeouts.connect_s, pool=10.0)

    async def _answer_to(self, request: httpx.Request, *, total_s: float) -> UpstreamReply:
        started_s = asyncio.get_running_loop().time()
        # The client's read timeout is for one read; a drip of bytes must not outlive the lease.
        async with asyncio.timeout(total_s + self._timeouts.connect_s):
            # Past the client, whose redirects, cookies and hooks are a fifth of a call and have no part in one.
            response = await self._transport.handle_async_request(request)
            try:
                body = await _bounded(response)
            finally:
                await response.aclose()
        return UpstreamReply(
            status=response.status_code,
            body=body,
            content_type=response.headers.get("content-type", ""),
            retry_after_s=_retry_after_s(response.headers.get("retry-after")),
            elapsed_ms=int((asyncio.get_running_loop().time() - started_s) * 1000),
        )

    async def _ask_token(self, credential: CredentialId) -> AccessToken:
        try:
            opened = await self._vault.open(credential)
        except BursarError as error:
            raise NotDispatched(f"the institution's credential cannot be opened: {error.code}") from error
        form = {
            "client_key": opened.client_key,
            "client_secret": opened.client_secret,
            "grant_type": "client_credentials",
        }
        url = f"{opened.base_url}/v2/oauth/token/"
        try:
            response = await self._client.post(url, data=form, timeout=_TOKEN_TIMEOUT_S)
        except httpx.HTTPError as error:
            # No `from`: the request that failed holds the secret.
            raise NotDispatched(f"the token endpoint did not answer: {type(error).__name__}") from None
        try:
            value, life_s = _read_token(response.status_code, response.content)
        except NotDispatched as refusal:
            if "audit-entry" in response.headers:
                reason = f"{opened.base_url} is answered by Bursar itself; see `bursar doctor`"
                raise NotDispatched(reason) from refusal
            raise
        return AccessToken(value, opened.base_url, life_s)


@remembered
def _url(base_url: str, path: str, query_string: str) -> httpx.URL:
    return httpx.URL(f"{base_url}{path}{'?' if query_string else ''}{query_string}")


async def _bounded(response: httpx.Response) -> bytes:
    chunks, size = [], 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise OutcomeUnknown(f"the platform's answer is larger than {MAX_ANSWER_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _retry_after_s(header: str | None) -> int | None:
    if header is None or not header.isascii() or not header.isdigit():
        return None
    return min(int(header[:9]), _MAX_RETRY_AFTER_S)


def _read_token(status: int, body: bytes) -> tuple[str, float]:
    """The token and its life in seconds, from a token response, which may be a refusal inside a 200; raises NotDispatched."""
    answer: object = None
    with contextlib.suppress(orjson.JSONDecodeError):
        answer = orjson.loads(body)
    if not isinstance(answer, dict):
        raise NotDispatched(f"the token endpoint answered {status} without JSON")
    token, life_s = answer.get("access_token"), answer.get("expires_in")
    if isinstance(token, str) and token and isinstance(life_s, int) and life_s > 0:
        return token, float(life_s)
    reason = answer.get("error")
    code = reason if isinstance(reason, str) and reason.isascii() and len(reason) < 64 else "no reason given"
    if status not in _REFUSALS:
        raise NotDispatched(f"the token endpoint answered {status}: {code}")
    raise CredentialRefused(f"the platform refused the institution's credential: {code}")
