"""What the OpenAPI document says of refusals, the same words for every route."""

from collections.abc import Mapping
from typing import Any, Final

from app.web.problems import MEDIA_TYPE, SCHEMA

_MEANINGS: Final[Mapping[int, str]] = {
    400: "`invalid_params`: a parameter or the body is malformed or unknown.",
    401: "`access_token_invalid`: no bearer token, or one that does not hold.",
    403: "`not_permitted`: your roles do not cover this.",
    404: "`not_found`: no such object, or none that you may see.",
    409: "`conflict`: the object is not in a state that allows this.",
    413: "`body_too_large`: more than 16 KiB, or than 256 KiB for an estimate.",
    503: "`audit_unavailable` or `store_unavailable`: try again after `Retry-After`; look before repeating a change.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those answers that every route may give, and these besides."""
    said = sorted({400, 401, 403, 503, *statuses})
    answers: dict[int | str, dict[str, Any]] = {status: _answer(status, _MEANINGS[status]) for status in said}
    # The framework documents its own 422 wherever nothing stands for the rest.
    answers["default"] = _answer(500, "`internal_error`: something is wrong; `entry` names the log's entry.")
    return answers


def _answer(status: int, meaning: str) -> dict[str, Any]:
    code = meaning.split("`")[1]
    example = {
        "type": f"urn:bursar:problem:{code}",
        "title": "As HTTP calls it",
        "status": status,
        "detail": "What happened, and what to do next.",
        "code": code,
        "entry": "8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8",
    }
    content = {MEDIA_TYPE: {"schema": dict(SCHEMA), "example": example}}
    return {"description": meaning, "content": content}
