"""The platform's own paths: `/v2/oauth/token/` and `/v2/research/...`, for keys that Bursar issued.

A plain ASGI application, since the framework's work for each request costs as much as a hit does. Every
answer is JSON in the platform's shape, whatever was asked, and carries the id of its entry in the log.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import parse_qsl

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from app.audit.calls import Origin, Scribe
from app.audit.entries import Receipt
from app.cache.steering import UNSTEERED, Steering, read_cache_control
from app.calls import Delivered, Request, TurnedDown
from app.clock import Clock
from app.errors import (
    BursarError,
    InvalidParams,
    InvalidTokenRequest,
    NotFound,
    NotHeld,
    QuotaExhausted,
    RateLimited,
    Refusal,
)
from app.gateway import Gateway
from app.ids import new_entry_id
from app.policy.engine import Objection
from app.provider.charge import FREE, Charge
from app.provider.endpoint import AnswerForm, Endpoint
from app.provider.endpoints import endpoint_for_path
from app.query import DEFAULT_LIMITS
from app.quota.arithmetic import Standing, ratelimit_headers
from app.web.accounted import receipt_headers
from app.web.errors import STATUS_OF_CODE, Spoken, envelope, in_platform_words, of_error, success_envelope
from app.web.metrics import Metrics
from app.web.patience import Patience

TOKEN_PATHS = frozenset({"/v2/oauth/token", "/v2/oauth/token/"})
_JSON = (b"content-type", b"application/json; charset=utf-8")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_NO_STORE = (b"cache-control", b"no-store")
_CACHE_STATUS = {
    "miss": b"bursar; fwd=miss",
    "request": b"bursar; fwd=request",
    "bypass": b"bursar; fwd=bypass",
    "collapsed": b"bursar; fwd=miss; collapsed",
}
_KEPT = frozenset({"miss", "request"})
_MAX_TOKEN_BODY_BYTES = 16_384
_MOST_TOLD = 256
"""Callers whose limit headers of this second are kept."""
_SOMETHING_WRONG = Spoken(
    status=500, code="internal_error", message="Something is wrong. Please try again later."
)
_NOT_IN_HEADERS = re.compile(r"[^ -~]")
_log = structlog.get_logger()

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    status: int
    body: bytes
    headers: Headers


class ResearchApi:
    """The ASGI application for everything under `/v2`."""

    def __init__(
        self, *, gateway: Gateway, scribe: Scribe, clock: Clock, patience: Patience, metrics: Metrics
    ) -> None:
        self._gateway = gateway
        self._scribe = scribe
        self._clock = clock
        self._patience = patience
        self._metrics = metrics
        self._limits_told: dict[int, tuple[tuple[Standing, ...], int, tuple[str, str]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            reply = await self._reply(scope, receive)
        except Exception:  # noqa: BLE001 - a bug must not answer in the framework's shape
            # Whoever complains has this id, and nothing else leads from them to the line.
            log_id = new_entry_id()
            _log.exception("a research request failed", path=scope["path"], log_id=log_id)
            reply = _broken_reply(scope["path"], _SOMETHING_WRONG, log_id)
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Scope, receive: Receive) -> _Reply:
        path: str = scope["path"]
        headers = dict(scope["headers"])
        endpoint = endpoint_for_path(path)
        is_token = path in TOKEN_PATHS
        route = endpoint.path if endpoint else "/v2/oauth/token/" if is_token else "/v2/*"
        most_bytes = endpoint.most_body_bytes if endpoint else DEFAULT_LIMITS.max_bytes
        body = await _body(receive, headers, most_bytes)
        origin = Origin(
            method=scope["method"] if scope["method"] in METHODS else "OTHER",
            route=route,
            request_bytes=0 if body is None else len(body),
            address=scope["client"][0] if scope.get("client") else "",
            agent=headers.get(b"user-agent", b"").decode("latin-1"),
        )
        try:
            if is_token:
                return await self._token(scope, headers, body, origin)
            problem = _problem(scope, headers, body, endpoint)
            if problem is not None or endpoint is None or body is None:
                refusal = problem or NotFound("There is no such path.", rule="request")
                return await self._unread(headers, origin, refusal)
            return await self._research(scope, headers, body, endpoint, origin)
        except BursarError as error:
            return _broken_reply(path, of_error(error), new_entry_id())

    async def _research(
        self, scope: Scope, headers: dict[bytes, bytes], body: bytes, endpoint: Endpoint, origin: Origin
    ) -> _Reply:
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        request = Request(
            endpoint=endpoint,
            query_string=scope["query_string"].decode("latin-1"),
            body=body,
            authorization=authorization,
            origin=origin,
            steering=_steering(scope) if b"cache-control" in headers else UNSTEERED,
        )
        started_s = self._clock.monotonic_s()
        answer = await self._gateway.research(request)
        common = [
            *receipt_headers(answer.receipt),
            *self._limit_headers(answer.standings, answer.short),
            _cost_header(answer.cost),
            *_warning_headers(answer.warned),
        ]
        match answer:
            case Delivered():
                self._count(endpoint, 200, answer.how, answer.cost, started_s)
                kind = answer.detail.value if answer.how == "hit" else answer.how
                self._metrics.given(endpoint.name, kind=kind, records=answer.records)
                self._patience.forget(authorization)
                common += [
                    (b"cache-status", _cache_status(answer)),
                    (b"age", b"%d" % answer.age_s),
                ]
                if answer.form is AnswerForm.FILE:
                    return _reply(200, answer.data, common, media_type=_TEXT)
                return _reply(200, success_envelope(answer.data, answer.receipt.id), common)
            case TurnedDown():
                spoken = in_platform_words(answer)
                self._count(endpoint, spoken.status, "none", answer.cost, started_s)
                await self._patience.hold(authorization, _sameness(answer, spoken, request))
                return _error_reply(spoken, answer.receipt.id, common)

    def _count(self, endpoint: Endpoint, status: int, cache: str, cost: Charge, started_s: float) -> None:
        seconds = self._clock.monotonic_s() - started_s
        self._metrics.answered(endpoint.name, status=status, cache=cache, seconds=seconds)
        self._metrics.charged(endpoint.name, requests=cost.requests, records=cost.records)

    async def _token(
        self, scope: Scope, headers: dict[bytes, bytes], body: bytes | None, origin: Origin
    ) -> _Reply:
        try:
            client_key, client_secret = _token_request(scope, headers, body)
        except InvalidTokenRequest as refusal:
            draft = self._scribe.token(origin, None, code=refusal.reason)
            receipt = await self._gateway.note(draft, source=origin.address)
            return _token_refusal(400, refusal.reason, refusal.message, receipt)
        granted, receipt = await self._gateway.token(client_key, client_secret, origin)
        if isinstance(granted, Refusal):
            await self._patience.hold(client_key, granted.code)
            return _token_refusal(
                STATUS_OF_CODE[granted.code],
                granted.code,
                granted.message,
                receipt,
                retry_after_s=granted.retry_after_s,
            )
        self._patience.forget(client_key)
        answer = {
            "access_token": granted.access_token,
            "expires_in": granted.expires_in_s,
            "token_type": "Bearer",
        }
        return _reply(200, orjson.dumps(answer), [_NO_STORE, *receipt_headers(receipt)])

    async def _unread(self, headers: dict[bytes, bytes], origin: Origin, refusal: Refusal) -> _Reply:
        """A request that names nothing Bursar offers, or cannot be read: logged and turned down."""
        draft = self._scribe.refused(origin, code=refusal.code, rule=refusal.rule or "request")
        receipt = await self._gateway.note(draft, source=origin.address)
        spoken = of_error(refusal)
        status = refusal.status if isinstance(refusal, _Unreadable) else spoken.status
        code = "invalid_params" if isinstance(refusal, NotFound) else spoken.code
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        await self._patience.hold(authorization, refusal.message)
        told = Spoken(status=status, code=code, message=refusal.message)
        more = [*receipt_headers(receipt), _cost_header(FREE)]
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            more.append((b"allow", b"POST"))
        return _error_reply(told, receipt.id, more)

    def _limit_headers(self, standings: tuple[Standing, ...], short: tuple[Standing, ...]) -> Headers:
        if not standings and not short:
            return []
        now = self._clock.now()
        policy, state = self._of_budgets(standings, now)
        if short:
            # These differ from call to call, so they are spelled for each.
            short_policy, short_state = ratelimit_headers(short, now)
            policy = f"{policy}, {short_policy}" if policy else short_policy
            state = f"{state}, {short_state}" if state else short_state
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())] if policy else []

    def _of_budgets(self, standings: tuple[Standing, ...], now: datetime) -> tuple[str, str]:
        """The values of both headers, spelled once a second for as long as the standings are the same."""
        second = int(now.timestamp())
        kept = self._limits_told.get(id(standings))
        # The tuple is kept beside the headers, so its id cannot be another's meanwhile.
        if kept is not None and kept[0] is standings and kept[1] == second:
            return kept[2]
        told = ratelimit_headers(standings, now)
        if len(self._limits_told) >= _MOST_TOLD:
            self._limits_told.clear()
        self._limits_told[id(standings)] = (standings, second, told)
        return told


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Unreadable(InvalidParams):
    """A request refused before it was read; `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, rule="request")
        self.status = status


def _problem(
    scope: Scope, headers: dict[bytes, bytes], body: bytes | None, endpoint: Endpoint | None
) -> Refusal | None:
    if endpoint is None:
        return NotFound(
            "Unsupported path. Bursar answers the platform's research endpoints under /v2/research/; "
            "see /docs for the list.",
            rule="request",
        )
    if scope["method"] != "POST":
        return _Unreadable(f"Use POST for {endpoint.path}.", status=405)
    if body is None:
        return _Unreadable(f"The request body is larger than {endpoint.most_body_bytes} bytes.", status=413)
    if headers.get(b"content-encoding", b"identity").strip().lower() not in {b"", b"identity"}:
        return InvalidParams("Send the request body without Content-Encoding.", rule="request")
    return None


async def _body(receive: Receive, headers: dict[bytes, bytes], max_bytes: int) -> bytes | None:
    """The request's body; None when it is larger than `max_bytes`, of which no more is kept."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared[:12]) > max_bytes:
        return None
    message = await receive()
    if not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        return body if len(body) <= max_bytes else None
    chunks, size = [message.get("body", b"")], len(message.get("body", b""))
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > max_bytes:
            return None
    return b"".join(chunks)


def _token_request(scope: Scope, headers: dict[bytes, bytes], body: bytes | None) -> tuple[str, str]:
    """Client key and secret of a token request (facts, section 1.1). Raises InvalidTokenRequest."""
    if scope["method"] != "POST":
        raise InvalidTokenRequest("Use POST with a form-encoded body.")
    if body is None or len(body) > _MAX_TOKEN_BODY_BYTES:
        raise InvalidTokenRequest("The request body is too large.")
    if headers.get(b"content-encoding", b"identity").strip().lower() not in {b"", b"identity"}:
        raise InvalidTokenRequest("Send the request body without Content-Encoding.")
    try:
        pairs: Iterable[tuple[str, str]] = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=20, errors="strict"
        )
    except ValueError as error:
        raise InvalidTokenRequest("The request body must be application/x-www-form-urlencoded.") from error
    form = dict(pairs)
    missing = [name for name in ("client_key", "client_secret", "grant_type") if not form.get(name)]
    if missing:
        raise InvalidTokenRequest(f"Missing in the form-encoded body: {', '.join(missing)}.")
    if form["grant_type"] != "client_credentials":
        raise InvalidTokenRequest("Use grant_type=client_credentials.", reason="unsupported_grant_type")
    return form["client_key"], form["client_secret"]


def _token_refusal(
    status: int, code: str, message: str, receipt: Receipt, *, retry_after_s: int | None = None
) -> _Reply:
    """The token endpoint's own shape: flat, and `error` a string (facts, section 1.3)."""
    body = orjson.dumps({"error": code, "error_description": message, "log_id": receipt.id})
    wait = [] if retry_after_s is None else [(b"retry-after", b"%d" % retry_after_s)]
    return _reply(status, body, [_NO_STORE, *receipt_headers(receipt), *wait])


def _warning_headers(warned: Sequence[Objection]) -> Headers:
    """One header for each rule that objects and only warns, in the visible characters that a header may hold."""
    return [
        (b"bursar-warning", _NOT_IN_HEADERS.sub("?", f"{each.rule}; {each.reason}").encode("ascii"))
        for each in warned
    ]


def _cache_status(answer: Delivered) -> bytes:
    """What was reused (RFC 9211)."""
    late, detail = answer.overdue, b"detail=%b" % answer.detail.encode()
    if late is not None:
        told = b"%b; ttl=%d" % (detail, late.ttl_s)
        if not late.is_asked:
            return b"bursar; hit; " + told
        status = b"" if late.status is None else b"; fwd-status=%d" % late.status
        return b"bursar; fwd=stale%b; %b" % (status, told)
    if answer.how == "hit":
        return b"bursar; hit; " + detail
    is_stored = answer.is_kept and answer.how in _KEPT
    return _CACHE_STATUS[answer.how] + (b"; stored" if is_stored else b"")


def _steering(scope: Scope) -> Steering:
    """What the request's `Cache-Control` asks for, however many lines it has."""
    lines = [value for name, value in scope["headers"] if name == b"cache-control"]
    return read_cache_control(b",".join(lines))


def _cost_header(cost: Charge) -> tuple[bytes, bytes]:
    return (b"bursar-cost", b"requests=%d, records=%d" % (cost.requests, cost.records))


def _broken_reply(path: str, spoken: Spoken, log_id: str) -> _Reply:
    """The answer when no entry could be made, in the shape of whatever was asked."""
    if path not in TOKEN_PATHS:
        return _error_reply(spoken, log_id, [])
    # Flat as every token refusal: a client that finds an object under `error` tries again for an hour. The codes
    # are those of RFC 6749, section 4.1.2.1, which the platform's own list breaks off before.
    code = "temporarily_unavailable" if spoken.status == 503 else "server_error"
    body = {"error": code, "error_description": spoken.message, "log_id": log_id}
    wait = [] if spoken.retry_after_s is None else [(b"retry-after", b"%d" % spoken.retry_after_s)]
    return _reply(spoken.status, orjson.dumps(body), [_NO_STORE, *wait])


def _sameness(turned_down: TurnedDown, spoken: Spoken, request: Request) -> str:
    """What two refusals of one caller must share to count as the same one.

    Not the message where a limit ran out, since it tells what is left elsewhere at this moment; and the question
    where somebody goes through many to see which are held.
    """
    error = turned_down.error
    if isinstance(error, NotHeld):
        return hashlib.sha256(request.endpoint.name.encode() + request.body).hexdigest()
    told = error.rule if isinstance(error, QuotaExhausted | RateLimited) else spoken.message
    return f"{spoken.code} {told}"


def _error_reply(spoken: Spoken, log_id: str, headers: Headers) -> _Reply:
    more = list(headers) or [_cost_header(FREE)]
    if spoken.retry_after_s is not None:
        more.append((b"retry-after", b"%d" % spoken.retry_after_s))
    return _reply(spoken.status, envelope(spoken, log_id), more)


def _reply(status: int, body: bytes, headers: Headers, *, media_type: tuple[bytes, bytes] = _JSON) -> _Reply:
    length = (b"content-length", b"%d" % len(body))
    return _Reply(status=status, body=body, headers=[media_type, length, *headers])
