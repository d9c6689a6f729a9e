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
_KEYS = frozenset({"endpoint", "status", "delay_s", "cut_body", "html", "code", "next", "probability"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One order. `left` calls get it, or all until cleared when None; each with `probability`."""

    endpoint: str
    status: int | None
    delay_s: float
    cut_body: bool
    html: bool
    code: str | None
    left: int | None
    probability: float

    def token_error(self) -> ApiError | None:
        """As `error`, in the words of the token endpoint."""
        error = self.error()
        if error is None or self.code is not None:
            return error
        return ApiError(error.status, _TOKEN_CODES.get(error.status, error.code), error.message)

    def error(self) -> ApiError | None:
        """The error to answer with, or None to answer as usual."""
        if self.status is None:
            return None
        if self.status == 429:
            return _THROTTLES[self.code or "rate_limit_exceeded"]()
        code, message = _MESSAGES[self.status]
        return ApiError(self.status, self.code or code, message)


def fault_from(order: Mapping[str, Any], *, endpoints: frozenset[str]) -> Fault:
    """A checked order such as `{"endpoint": "*", "status": 500, "next": 2}`. Raises ValueError."""
    unknown = set(order) - _KEYS
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    endpoint, status, code = order.get("endpoint", ANY_ENDPOINT), order.get("status"), order.get("code")
    if endpoint != ANY_ENDPOINT and endpoint not in endpoints:
        raise ValueError(f"endpoint must be * or one of {', '.join(sorted(endpoints))}")
    if status is not None and status not in {429, *_MESSAGES}:
        raise ValueError(f"status must be one of {', '.join(map(str, sorted({429, *_MESSAGES})))}")
    if status == 429 and code is not None and code not in _THROTTLES:
        raise ValueError(f"code of a 429 must be one of {', '.join(sorted(_THROTTLES))}")
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
        code=code,
        left=left,
        probability=probability,
    )


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
