"""Bodies in the platform's two shapes: the research envelope, and the flat one of the token endpoint."""

import os
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from app.simulator.clock import SimulatedClock

HTML_PAGE = b"<html>\r\n<head><title>Gateway Time-out</title></head>\r\n<body>simulated proxy error</body>\r\n</html>\r\n"
"""What proxies on the platform's side answer instead of JSON at times (facts 3.1)."""


class ApiError(Exception):
    """A research call that ends in the error envelope (facts 3.2 has the codes and statuses)."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid_params(message: str) -> ApiError:
    """The error for everything that is wrong with a request."""
    return ApiError(400, "invalid_params", message)


def log_id(clock: SimulatedClock) -> str:
    """34 characters: 14 digits of UTC time, 20 upper-case hex digits (facts 2.1, recorded)."""
    return clock.stamp() + os.urandom(10).hex().upper()


def json_response(body: Any, *, status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")


def success(data: Mapping[str, Any], error: Mapping[str, Any] | None, clock: SimulatedClock) -> Response:
    """`data` in the envelope of success, beside an `error` that says so unless it is None."""
    if error is None:
        return json_response({"data": data})
    return json_response({"data": data, "error": {**error, "log_id": log_id(clock)}})


def text_file(text: str) -> Response:
    """A plain text file in place of an envelope (facts 2.11)."""
    return Response(text, media_type="text/plain")


def failure(error: ApiError, clock: SimulatedClock, *, has_data: bool = True) -> Response:
    """The envelope of an error; `data` is empty or, where `has_data` is false, not there."""
    named = {"code": error.code, "message": error.message, "log_id": log_id(clock)}
    return json_response({"data": {}, "error": named} if has_data else {"error": named}, status=error.status)


def token_failure(status: int, error: str, description: str, clock: SimulatedClock) -> Response:
    """A refusal of the token endpoint, which is flat (facts 1.3)."""
    body = {"error": error, "error_description": description, "log_id": log_id(clock)}
    return json_response(body, status=status)


def html_failure(status: int) -> Response:
    """A proxy's page in place of an envelope."""
    return Response(HTML_PAGE, status_code=status, media_type="text/html")
