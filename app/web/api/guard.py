"""Lets a request in, or answers it as a problem, before any part of it is parsed."""

import hashlib
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from app.administration.conditional import version_of
from app.errors import InvalidParams, NotPermitted, Refusal
from app.identity.callers import Caller
from app.policy.rules import NOT_FROZEN
from app.query import BodyLimits, parse_body
from app.storage.repeats import Attempt
from app.web.api.access import ACCESS, Access
from app.web.api.conditions import Changing, selected
from app.web.api.desk import desk_of
from app.web.api.documented import location_of
from app.web.api.visitors import HOW_TO_SAY_WHO, roles_with_key
from app.web.problems import PRIVATE, problem_of, visit_of

_KEY: Final = "Idempotency-Key"
_MOST_KEY_CHARS: Final = 200
_READING: Final = frozenset({"GET", "HEAD"})
_KEY_PARAMETER: Final[Mapping[str, Any]] = {
    "name": _KEY,
    "in": "header",
    "required": False,
    "description": "Of your choosing, new for each thing that is to be created. Within a day, the same request with the "
    "same key creates nothing more and is answered as the first was, with `Idempotency-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": _MOST_KEY_CHARS},
    "example": "0d8f3b0e-6a64-4a0f-9d0c-3f7a6f1d2c55",
}


PLACES: Final[Mapping[str, str]] = {
    "add_person": "/api/v1/people/{email}",
    "add_project": "/api/v1/projects/{name}",
    "add_credential": "/api/v1/credentials/{name}",
    "add_terms": "/api/v1/terms/{version}",
    "add_raise": "/api/v1/raises/{id}",
    "issue_key": "/api/v1/keys/{id}",
    "ask_for_more": "/api/v1/me/requests/{id}",
    "ask_for_erasure": "/api/v1/proposals/{id}",
    "ask_for_pruning": "/api/v1/proposals/{id}",
}
"""Where what a route creates can be read, by the route's name and the keys of its answer."""


class GuardedRoute(APIRoute):
    """A route that lets in whom its row of the access table names, and answers every error as a problem."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.access = ACCESS[endpoint.__name__]
        options["operation_id"] = endpoint.__name__
        self._creates = options.get("status_code") == HTTPStatus.CREATED
        if self._creates:
            options["openapi_extra"] = {
                "parameters": [_KEY_PARAMETER],
                **(options.get("openapi_extra") or {}),
            }
        options["openapi_extra"] = {
            "security": [{"bearer": []}],
            "x-bursar-acts": sorted(self.access.acts),
            **(options.get("openapi_extra") or {}),
        }
        self._place = PLACES.get(endpoint.__name__)
        created = dict((options.get("responses") or {}).get(HTTPStatus.CREATED, {}))
        self._is_tagged = "ETag" in created.get("headers", {})
        if self._place is not None:
            created["headers"] = {**created.get("headers", {}), **location_of(self._place)}
            options["responses"] = {**options["responses"], HTTPStatus.CREATED.value: created}
        super().__init__(path, endpoint, **options)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route, and HEAD where there is GET (RFC 9110, section 9.3.2)."""
        match, child = super().matches(scope)
        return (Match.FULL, child) if match is Match.PARTIAL and self._is_head(scope) else (match, child)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; HEAD as GET, without the content."""
        if not self._is_head(scope):
            await super().handle(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            is_content = message["type"] == "http.response.body"
            await send({**message, "body": b""} if is_content else message)

        await self.app(scope, receive, send_head)

    def _is_head(self, scope: Scope) -> bool:
        return scope["method"] == "HEAD" and "GET" in (self.methods or ())

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler behind the guard."""
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                await _admit(request, self.access)
                self._refuse_unknown_parameters(request)
                self._refuse_unread_conditions(request)
                whole = await _with_body(request, self.access.body)
                response = await _once(whole, handler) if self._creates else await handler(whole)
                self._say_where(response)
                response = selected(request, response)
            except Exception as error:  # noqa: BLE001 - a bug must not answer in the framework's shape
                return problem_of(request, error)
            response.headers.update(PRIVATE)
            return response

        return guarded

    def _refuse_unread_conditions(self, request: Request) -> None:
        """Raises InvalidParams where a change would be made whatever its condition says."""
        if request.method in _READING or any(each.call is Changing for each in self.dependant.dependencies):
            return
        for name in ("If-Match", "If-None-Match"):
            if name in request.headers:
                raise InvalidParams(
                    f"{name} does not count here, so nothing was done: this path has no ETag. Leave it out.",
                    rule="request",
                )

    def _say_where(self, response: Response) -> None:
        """Add to an answer that creates where the thing is, and its tag, the first time and when it is repeated."""
        if response.status_code != HTTPStatus.CREATED or not (self._place or self._is_tagged):
            return
        made = json.loads(bytes(response.body))
        if self._place is not None:
            quoted = {name: quote(value, safe="@") for name, value in made.items() if isinstance(value, str)}
            response.headers["location"] = self._place.format_map(quoted)
        if self._is_tagged:
            response.headers.setdefault("etag", f'"{version_of(made)}"')

    def _refuse_unknown_parameters(self, request: Request) -> None:
        known = set(_parameters(self.dependant))
        given = [name for name, _ in request.query_params.multi_items()]
        unknown = sorted(set(given) - known)
        if unknown:
            takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise InvalidParams(f"This path knows no parameter {unknown[0]!a}; {takes}.", rule="request")
        twice = sorted(name for name in known if given.count(name) > 1)
        if twice:
            raise InvalidParams(f"The parameter {twice[0]} is given twice.", rule="request")


async def _once(request: Request, handler: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    """What the handler answers; for an idempotency key that came before, what it answered then."""
    key = request.headers.get(_KEY)
    if key is None:
        return await handler(request)
    if not 1 <= len(key) <= _MOST_KEY_CHARS or not key.isascii() or not key.isprintable():
        raise InvalidParams(
            f"An {_KEY} has 1 to {_MOST_KEY_CHARS} printable ASCII characters.", rule="request"
        )
    who, repeats = visit_of(request).who, desk_of(request).repeats
    asked = f"{request.method} {request.url.path}\n".encode() + await request.body()
    attempt = Attempt(
        person=who.person if who is not None else "", key=key, request=hashlib.sha256(asked).digest()
    )
    kept = await repeats.claim(attempt)
    if kept is not None:
        headers = {"idempotency-replayed": "true"}
        return Response(kept.body, status_code=kept.status, media_type="application/json", headers=headers)
    try:
        response = await handler(request)
    except (Refusal, RequestValidationError, HTTPException):
        await repeats.give_up(attempt)
        raise
    await repeats.keep(attempt, status=response.status_code, body=bytes(response.body))
    return response


def _parameters(dependant: Dependant) -> Iterator[str]:
    """Names of the query parameters that a route takes, through whatever it depends on."""
    yield from (each.alias for each in dependant.query_params)
    for each in dependant.dependencies:
        yield from _parameters(each)


async def _admit(request: Request, access: Access) -> None:
    source = request.client.host if request.client else ""
    who = await desk_of(request).identify(request.headers.get("authorization"), source=source)
    request.scope["state"]["operator"] = replace(visit_of(request), who=who)
    if who.freeze is not None and who.freeze.of_person:
        raise NotPermitted(f"Refused by rule {NOT_FROZEN}: {who.freeze.says()}", rule=NOT_FROZEN)
    if isinstance(who, Caller):
        if not access.with_key:
            raise NotPermitted(
                "The api_key of a project opens /api/v1/me, /api/v1/estimate and receipts alone. "
                + HOW_TO_SAY_WHO,
                rule="roles",
            )
        roles = roles_with_key(who)
    else:
        roles = who.roles
    if not access.is_open_to(roles):
        raise NotPermitted("Your roles do not cover this. Ask an administrator.", rule="roles")


def _require_plain_json(headers: Headers) -> None:
    """Raises HTTPException unless a body says that it is JSON in UTF-8, as it stands."""
    if headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise HTTPException(415, "Send the body without Content-Encoding, as plain JSON.")
    kind, *parameters = (each.strip().lower() for each in headers.get("content-type", "").split(";"))
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(415, "Send the body as JSON, with Content-Type: application/json.")
    charsets = [
        each.removeprefix("charset=").strip('"') for each in parameters if each.startswith("charset=")
    ]
    if any(each not in {"utf-8", "utf8"} for each in charsets):
        raise HTTPException(415, "Send the body in UTF-8; JSON knows no other charset.")


async def _with_body(request: Request, limits: BodyLimits) -> Request:
    """The request with its whole body at hand, if that is small and sound; raises what refuses it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.max_bytes:
            raise HTTPException(413, f"At most {limits.max_bytes} bytes are read of a request body.")
    if body:
        _require_plain_json(request.headers)
        if body.strip() and not body.lstrip().startswith(b"{"):
            raise InvalidParams("The body must be a JSON object; /docs shows what it holds.", rule="request")
        parse_body(bytes(body), limits)

    async def replay() -> Message:
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    return Request(request.scope, replay)
