"""What the OpenAPI document says of refusals, the same words for every route, and of tags."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from app.web.api.conditions import CHANGED, EXAMPLE
from app.web.problems import MEDIA_TYPE, SCHEMA

_MEANINGS: Final[Mapping[int, tuple[str, str]]] = {
    400: (
        "`invalid_params`: a parameter or the body is malformed or unknown.",
        "This path knows no parameter 'colour'; it takes after, limit.",
    ),
    401: (
        "`access_token_invalid`: no bearer token, or one that does not hold.",
        "Send `Authorization: Bearer` with your own token (an administrator gives one with `bursar token issue`).",
    ),
    403: (
        "`not_permitted`: your roles do not cover this.",
        "Your roles do not cover this. Ask an administrator.",
    ),
    404: (
        "`not_found`: no such object, or none that you may see.",
        "There is no project 'elections' that you could see.",
    ),
    409: (
        "`conflict`: the object is not in a state that allows this.",
        "ada@example.edu leads elections; give that to somebody else first.",
    ),
    412: (
        "`changed_meanwhile`: it is not what `If-Match` names any more, and nothing was changed.",
        CHANGED,
    ),
    413: (
        "`body_too_large`: more than 16 KiB, or than 256 KiB for estimates and terms.",
        "At most 16384 bytes are read of a request body.",
    ),
    415: (
        "`unsupported_media_type`: the body is no JSON in UTF-8 by its `Content-Type`, or has a `Content-Encoding`.",
        "Send the body as JSON, with Content-Type: application/json.",
    ),
    500: (
        "`internal_error`: something is wrong; `entry` names the log's entry.",
        "Something is wrong. Please try again later, and give your administrator the entry's id.",
    ),
    503: (
        "`audit_unavailable` or `store_unavailable`: try again after `Retry-After`; look before repeating a change.",
        "The log cannot be written. Please try again later.",
    ),
}
"""Status -> what it means, its code first, and an example of what is told."""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those answers that every route may give, and these besides; what reads a body (413) may not like its kind (415)."""
    of_bodies = {415} if 413 in statuses else set()
    answers: dict[int | str, dict[str, Any]] = {
        status: _answer(status) for status in sorted({400, 401, 403, 503, *statuses, *of_bodies})
    }
    # The framework documents its own 422 wherever nothing stands for the rest.
    answers["default"] = _answer(500)
    return answers


def reading(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers of a route that shows one thing with its tag."""
    return {
        200: {"headers": _TAG},
        304: {"description": "It is still what `If-None-Match` names.", "headers": _TAG},
        **refusals(404, *statuses),
    }


def creating(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers of a route that makes one thing and shows it with its tag."""
    return {201: {"headers": _TAG}, **refusals(*statuses)}


def changing(*statuses: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Answers of a route that changes one thing, on condition if asked, and shows it with its new tag."""
    answers = refusals(404, 412, *statuses)
    return answers if status == HTTPStatus.NO_CONTENT else {status: {"headers": _TAG}, **answers}


_TAG: Final[Mapping[str, Any]] = {
    "ETag": {
        "description": "Stands for what is shown here; send it as `If-Match` with a change.",
        "schema": {"type": "string"},
        "example": EXAMPLE,
    }
}


def location_of(place: str) -> dict[str, Any]:
    """The header that says where a thing was created, `place` being its path with names of its keys."""
    return {
        "Location": {
            "description": f"Where it can be read from now on: `{place}`.",
            "schema": {"type": "string", "format": "uri-reference"},
            "example": place.replace("{", "").replace("}", ""),
        }
    }


def _answer(status: int) -> dict[str, Any]:
    meaning, detail = _MEANINGS[status]
    code = meaning.split("`")[1]
    example = {
        "type": f"urn:bursar:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "entry": "8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8",
    }
    content = {MEDIA_TYPE: {"schema": dict(SCHEMA), "example": example}}
    return {"description": meaning, "content": content}
