"""Misbehaviour on order: which calls get which fault."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.simulator.answers import ApiError
from app.simulator.quota import daily_quota_exceeded, rate_limit_exceeded

ANY_ENDPOINT = "*"
_MESSAGES = {
    400: ("invalid_params", "The request parameters are invalid."),
    401: ("access_token_invalid", "The access token is invalid or not found in the request."),
    403: ("access_denied", "The request is forbidden."),
    500: ("internal_error", "Something is wrong. Please try again later."),
    502: ("internal_error", "Server Internal Error"),
    503: ("internal_error", "Something went wrong. Please try again later."),
    504: ("timeout", "Something went wrong. Please try again later."),
}
_TOKEN_CODES = {
    400: "invalid_request",
    401: "invalid_client",
    403: "access_denied",
    500: "server_error",
    502: "server_error",
    503: "temporarily_unavailable",
    504: "server_error",
}
"""What the flat errors of the token endpoint say; those of 5xx are likely, not seen (facts 1.3)."""
_THROTTLES = {
    "daily_quota_limit_exceeded": daily_quota_exceeded,
    "rate_limit_exceeded": rate_limit_exceeded,
}
_KEYS = frozenset(
    {
        "endpoint", "status", "code", "message", "html", "with_body", "cut_body", "delay_s", "next",
        "probability",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One order. `left` calls get it, or all until cleared when None; each with `probability`.

    `with_body` gives the good answer under the bad status (facts 3.3: a false 500 on user and playlist calls).
    """

    endpoint: str
    status: int | None
    delay_s: float
    cut_body: bool
    html: bool
    with_body: bool
    code: str | None
    message: str | None
    left: int | None
    probability: float

    def token_error(self) -> ApiError | None:
        """As `error`, in the words of the token endpoint."""
        error = self.error()
        if error is None or self.code is not None:
            return error
        return ApiError(error.status, _TOKEN_CODES.get(error.status, error.code), error.message)

    def error(self) -> ApiError | None:
        """The error to answer with, or None to answer as usual, though perhaps with another status."""
        if self.status is None or self.with_body:
            return None
        if self.status == 429:
            usual = _THROTTLES.get(self.code or "", rate_limit_exceeded)()
            code, message = usual.code, usual.message
        else:
            code, message = _MESSAGES.get(self.status, ("", ""))
        return ApiError(
            self.status,
            code if self.code is None else self.code,
            message if self.message is None else self.message,
        )


def fault_from(order: Mapping[str, Any], *, endpoints: frozenset[str]) -> Fault:
    """A checked order such as `{"endpoint": "*", "status": 500, "next": 2}`. Raises ValueError."""
    unknown = set(order) - _KEYS
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    endpoint = order.get("endpoint", ANY_ENDPOINT)
    if endpoint != ANY_ENDPOINT and endpoint not in endpoints:
        raise ValueError(f"endpoint must be * or one of {', '.join(sorted(endpoints))}")
    status, code, message = _error_from(order)
    left, asked = order.get("next"), order.get("probability")
    probability = 1.0 if asked is None else float(asked)
    if left is not None and (not isinstance(left, int) or isinstance(left, bool) or left < 1):
        raise ValueError("next must be a whole number from 1")
    if not 0 < probability <= 1:
        raise ValueError("probability must lie above 0 and be at most 1")
    return Fault(
        endpoint=endpoint,
        status=status,
        delay_s=max(0.0, float(order.get("delay_s") or 0.0)),
        cut_body=bool(order.get("cut_body")),
        html=bool(order.get("html")),
        with_body=bool(order.get("with_body")),
        code=code,
        message=message,
        left=left,
        probability=probability,
    )


def _error_from(order: Mapping[str, Any]) -> tuple[int | None, str | None, str | None]:
    """Status, code and message of an order; with both texts given, any status of an error will do."""
    status, code, message = (order.get(key) for key in ("status", "code", "message"))
    for name, text in (("code", code), ("message", message)):
        if text is not None and not isinstance(text, str):
            raise ValueError(f"{name} must be a text")
    if status is None:
        if message is not None or order.get("with_body"):
            raise ValueError("message and with_body need a status")
        return None, code, None
    is_free = code is not None and message is not None
    if not isinstance(status, int) or not (status in {429, *_MESSAGES} or (is_free and 400 <= status < 600)):
        raise ValueError(
            f"status must be one of {', '.join(map(str, sorted({429, *_MESSAGES})))}, "
            "or any from 400 with both code and message"
        )
    if status == 429 and code not in {None, *_THROTTLES} and message is None:
        raise ValueError(f"code of a 429 must be one of {', '.join(sorted(_THROTTLES))}, or have a message")
    return status, code, message


class FaultPlan:
    """Orders in the order they were given; the first that fits a call is the one it gets."""

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self.clear()

    def add(self, fault: Fault) -> None:
        """Put one more order behind the others."""
        self._faults.append(fault)

    def take(self, endpoint: str) -> Fault | None:
        """The fault that this call gets, if any, with its count reduced."""
        for at, fault in enumerate(self._faults):
            if fault.endpoint not in {ANY_ENDPOINT, endpoint} or self._rng.random() >= fault.probability:
                continue
            if fault.left == 1:
                del self._faults[at]
            elif fault.left is not None:
                self._faults[at] = replace(fault, left=fault.left - 1)
            return fault
        return None

    def clear(self) -> None:
        """Behave well again, and start the seeded sequence of chances anew."""
        self._faults: list[Fault] = []
        self._rng = random.Random(self._seed)  # noqa: S311 - runs must repeat
