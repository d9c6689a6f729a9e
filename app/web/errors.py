"""The one table from an error's code to an HTTP status, and the platform's envelope."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

import orjson

from app.audit.calls import versioned
from app.calls import TurnedDown
from app.errors import BursarError, Misconfigured, NotHeld, Refusal, Unavailable
from app.provider.answers import Failure, FailureKind
from app.provider.platform import NotDispatched, OutcomeUnknown, Paced

STATUS_OF_CODE: Mapping[str, int] = MappingProxyType(
    {
        "access_token_invalid": 401,
        "invalid_client": 401,
        "sign_in_refused": 401,
        "invalid_request": 400,
        "invalid_params": 400,
        "scope_not_authorized": 400,
        "not_permitted": 403,
        "not_found": 404,
        "conflict": 409,
        "changed_meanwhile": 412,
        "not_held": 504,
        "daily_quota_limit_exceeded": 429,
        "rate_limit_exceeded": 429,
        "internal_error": 500,
        "audit_unavailable": 503,
        "store_unavailable": 503,
        "sign_in_unavailable": 503,
        "bad_setting": 500,
        "not_ready": 503,
        "log_broken": 503,
        "audit_rollback_detected": 503,
        "seal_broken": 503,
        "entry_too_large": 500,
    }
)
"""The status of every code in `errors.py`; a test holds the two together."""

_IN_PLATFORMS_WORDS = frozenset({"identify/1", "oauth/1", "search-id/1", "task/1"})
"""Rules whose refusals clients know by heart, so that nothing may be added."""

_SHORTEST_UPSTREAM_WAIT_S = 10
"""After `rate_limit_exceeded` the platform wants about ten seconds or more (facts, section 3.2)."""
_LONGEST_SHORT_WAIT_S = 60
_UPSTREAM_QUOTA_WAIT_S = 300
_UNAVAILABLE_WAIT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """An error as a client of the platform hears it."""

    status: int
    code: str
    message: str
    retry_after_s: int | None = None


def in_platform_words(turned_down: TurnedDown) -> Spoken:
    """What to tell a research client: the platform's own words where it spoke, ours in its shape otherwise."""
    match turned_down.error:
        case Failure() as failure:
            return _of_failure(failure)
        case NotDispatched() | OutcomeUnknown() | Refusal() as error:
            return of_error(error)
        case never:
            assert_never(never)


def of_error(error: BursarError) -> Spoken:
    """An error of Bursar's own, in the platform's codes: what it has no code for is `internal_error`."""
    match error:
        case OutcomeUnknown():
            return Spoken(status=504, code="internal_error", message=error.message)
        case Refusal() | Paced():
            return Spoken(
                status=STATUS_OF_CODE[error.code],
                code="internal_error" if isinstance(error, NotHeld) else error.code,
                message=_with_rule(error),
                retry_after_s=error.retry_after_s,
            )
        case NotDispatched():
            return Spoken(
                status=503, code="internal_error", message=error.message, retry_after_s=error.retry_after_s
            )
        case Unavailable():
            wait_s = max(5, min(error.retry_after_s, _UNAVAILABLE_WAIT_S))
            # Without the database there is no log either, and clients look for these words.
            known = error.message.startswith("audit_unavailable:")
            message = error.message if known else f"audit_unavailable: {error.message}"
            return Spoken(status=503, code="internal_error", message=message, retry_after_s=wait_s)
        case Misconfigured():
            message = "Bursar cannot serve until an administrator acts; `bursar doctor` says what is wrong."
            return Spoken(
                status=503, code="internal_error", message=message, retry_after_s=_UNAVAILABLE_WAIT_S
            )
        case _:
            return Spoken(
                status=500, code="internal_error", message="Something is wrong. Please try again later."
            )


def _with_rule(error: Refusal | Paced) -> str:
    """The message with the rule that decided, unless it names it or speaks in the platform's own words."""
    rule = versioned(error.rule) if isinstance(error, Refusal) and error.rule else ""
    if not rule or rule in _IN_PLATFORMS_WORDS or rule in error.message:
        return error.message
    return f"{error.message} (rule {rule})"


def _of_failure(failure: Failure) -> Spoken:
    match failure.kind:
        case FailureKind.INVALID:
            status = failure.status if failure.status in {400, 403, 404} else 400
            return Spoken(status=status, code=failure.code, message=failure.message)
        case FailureKind.SCOPE:
            # Never 401, which makes clients ask for tokens in a loop.
            return Spoken(status=400, code="scope_not_authorized", message=failure.message)
        case FailureKind.TOKEN_REJECTED:
            message = (
                "The platform does not accept the institution's credential at the moment. "
                "Please tell your administrator (`bursar credential verify`)."
            )
            return Spoken(
                status=503, code="internal_error", message=message, retry_after_s=_UNAVAILABLE_WAIT_S
            )
        case FailureKind.QUOTA:
            return Spoken(
                status=429,
                code="daily_quota_limit_exceeded",
                message=failure.message,
                retry_after_s=_UPSTREAM_QUOTA_WAIT_S,
            )
        case FailureKind.THROTTLED:
            asked_s = failure.retry_after_s or _SHORTEST_UPSTREAM_WAIT_S
            return Spoken(
                status=429,
                code="rate_limit_exceeded",
                message=failure.message,
                retry_after_s=max(1, min(asked_s, _LONGEST_SHORT_WAIT_S)),
            )
        case FailureKind.BROKEN:
            status = failure.status if failure.status >= 500 else 502
            return Spoken(status=min(status, 599), code=failure.code, message=failure.message)
        case never:
            assert_never(never)


def envelope(spoken: Spoken, log_id: str) -> bytes:
    """The platform's error envelope: `data` is there and empty, all three strings of `error` always are."""
    error = {"code": spoken.code, "message": spoken.message, "log_id": log_id}
    return orjson.dumps({"data": {}, "error": error})


def success_envelope(data: bytes, log_id: str) -> bytes:
    """The platform's success envelope around `data`, which is JSON and goes out to the letter."""
    return b'{"data":%b,"error":{"code":"ok","message":"","log_id":"%b"}}' % (data, log_id.encode())
