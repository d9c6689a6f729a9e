"""Lets a request in, or answers it as a problem, before any part of it is parsed."""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from app.errors import InvalidParams, NotPermitted
from app.identity.callers import Caller
from app.policy.rules import NOT_FROZEN
from app.query import BodyLimits, parse_body
from app.web.api.access import ACCESS, Access
from app.web.api.desk import desk_of
from app.web.api.visitors import HOW_TO_SAY_WHO, roles_with_key
from app.web.problems import PRIVATE, problem_of, visit_of


class GuardedRoute(APIRoute):
    """A route that lets in whom its row of the access table names, and answers every error as a problem."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.access = ACCESS[endpoint.__name__]
        options["operation_id"] = endpoint.__name__
        options["openapi_extra"] = {
            "security": [{"bearer": []}],
            "x-bursar-acts": sorted(self.access.acts),
            **(options.get("openapi_extra") or {}),
        }
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler behind the guard."""
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                await _admit(request, self.access)
                self._refuse_unknown_parameters(request)
                response = await handler(await _with_body(request, self.access.body))
            except Exception as error:  # noqa: BLE001 - a bug must not answer in the framework's shape
                return problem_of(request, error)
            response.headers.update(PRIVATE)
            return response

        return guarded

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


async def _with_body(request: Request, limits: BodyLimits) -> Request:
    """The request with its whole body at hand, if that is small and sound; raises what refuses it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.max_bytes:
            raise HTTPException(413, f"At most {limits.max_bytes} bytes are read of a request body.")
    if body:
        parse_body(bytes(body), limits)

    async def replay() -> Message:
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    return Request(request.scope, replay)
