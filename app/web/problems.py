"""Errors of Bursar's own API: `application/problem+json` (RFC 9457), whatever went wrong and wherever.

`type` is a stable URN ending in the error's `code`; `entry` is the id of the request's entry in the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.administration.desired import Malformed
from app.audit.calls import Visit
from app.errors import BursarError, Misconfigured, Refusal, Unavailable
from app.ids import new_entry_id
from app.web.errors import STATUS_OF_CODE
from app.web.hints import through_the_api

MEDIA_TYPE: Final = "application/problem+json"
PRIVATE: Final[Mapping[str, str]] = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""Headers of every answer of the API: it is about people, and for whoever asked."""
_TYPE: Final = "urn:bursar:problem:"
CODE_OF_STATUS: Final[Mapping[int, str]] = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
_DETAIL_OF_STATUS: Final[Mapping[int, str]] = {
    404: "There is no such path. /docs lists those that there are.",
    405: "This path does not take that method; the Allow header lists those it takes.",
}
_UNKNOWN: Final = "Something is wrong. Please try again later, and give your administrator the entry's id."
_log = structlog.get_logger()

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "entry": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"at": {"type": "string"}, "says": {"type": "string"}},
            },
        },
    },
}
"""A problem in the OpenAPI document."""


def problem(
    request: Request,
    *,
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> Response:
    """The answer that says what went wrong, naming the entry that the log will have of this request."""
    visit = replace(visit_of(request), code=code)
    request.scope["state"]["operator"] = visit
    body: dict[str, object] = {
        "type": _TYPE + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "entry": visit.entry,
    }
    if errors:
        body["errors"] = list(errors)
    shown = {**PRIVATE, **(headers or {})}
    return Response(orjson.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=shown)


def visit_of(request: Request) -> Visit:
    """What the log will say of this request so far; the same object until somebody replaces it."""
    state = request.scope.setdefault("state", {})
    visit = state.get("operator")
    if not isinstance(visit, Visit):
        visit = Visit(entry=new_entry_id())
        state["operator"] = visit
    return visit


def problem_of(request: Request, error: Exception) -> Response:
    """The answer for any error at all; what nobody foresaw is told without a word of its own."""
    match error:
        case RequestValidationError():
            return _of_validation(request, error)
        case HTTPException():
            return _of_status(request, error)
        case Malformed():
            return _of_content(request, error.of_one())
        case BursarError():
            return _of_bursar(request, error)
        case _:
            entry = visit_of(request).entry
            _log.error("a request failed", path=request.scope["path"], entry=entry, exc_info=error)
            return problem(request, status=500, code="internal_error", detail=_UNKNOWN)


def add_problem_handlers(app: FastAPI) -> None:
    """Have the application answer in this shape where the framework would use its own."""

    async def handle(request: Request, error: Exception) -> Response:
        return problem_of(request, error)

    for kind in (HTTPException, RequestValidationError, BursarError, Exception):
        app.add_exception_handler(kind, handle)


def _of_bursar(request: Request, error: BursarError) -> Response:
    headers: dict[str, str] = {}
    detail = through_the_api(error.message)
    match error:
        case Refusal(retry_after_s=int(wait_s)) | Unavailable(retry_after_s=wait_s):
            headers["retry-after"] = str(wait_s)
        case Refusal():
            pass
        case Misconfigured():
            detail = "Bursar cannot serve until an administrator acts; `bursar doctor` says what is wrong."
        case _:
            detail = _UNKNOWN
    status = STATUS_OF_CODE[error.code]
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="bursar"'
    return problem(request, status=status, code=error.code, detail=detail, headers=headers)


def _of_content(request: Request, error: Malformed) -> Response:
    """Of a body that the framework took and the rules of state files do not; requests speak about one object alone."""
    errors = [
        {"at": f"body.{place.replace(' ', '_')}" if place else "body", "says": through_the_api(said)}
        for place, said in error.problems
    ]
    detail = through_the_api(error.message)
    return problem(request, status=STATUS_OF_CODE[error.code], code=error.code, detail=detail, errors=errors)


def _of_status(request: Request, error: HTTPException) -> Response:
    status = error.status_code
    code = CODE_OF_STATUS.get(status, "invalid_params" if status < 500 else "internal_error")
    detail = _DETAIL_OF_STATUS.get(status, error.detail if status < 500 else _UNKNOWN)
    return problem(request, status=status, code=code, detail=detail, headers=error.headers)


def _of_validation(request: Request, error: RequestValidationError) -> Response:
    # The value itself is never repeated: it may be a secret in the wrong place.
    errors = [
        {"at": ".".join(str(part) for part in each["loc"]), "says": str(each["msg"])}
        for each in error.errors()
    ]
    detail = "; ".join(f"{each['at']}: {each['says']}" for each in errors[:5])
    return problem(request, status=400, code="invalid_params", detail=detail, errors=errors)
