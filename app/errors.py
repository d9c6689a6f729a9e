"""Everything that can go wrong, as a tree.

    BursarError
    ├── Refusal                     the caller is told why; nothing was spent
    │   ├── NotIdentified
    │   │   ├── AccessTokenInvalid  no bearer token, or one that is unknown, expired or revoked
    │   │   ├── SignInRefused       the institution's sign-in proves nobody, or somebody who is not known here
    │   │   └── InvalidClient       the token endpoint was given a key or secret that does not hold
    │   ├── InvalidTokenRequest     the token endpoint was given a malformed request
    │   ├── InvalidParams           the request is malformed, or a rule of the terms refuses it
    │   ├── ScopeNotAuthorized      the credential has no scope for this endpoint
    │   ├── NotPermitted            a person's roles do not cover this act
    │   ├── NotFound                no such endpoint or object
    │   ├── Conflict                the object is not in a state that allows this
    │   ├── ChangedMeanwhile        the object is not what whoever changes it has seen
    │   ├── NotHeld                 the caller wants what is held alone, and nothing is
    │   ├── QuotaExhausted          a daily or longer limit has no room
    │   └── RateLimited             a short window has no room
    ├── Unavailable                 try again later; nothing is lost
    │   ├── AuditUnavailable        the log cannot be written, so nothing may be served
    │   ├── StoreUnavailable        the database cannot be reached
    │   ├── SignInUnavailable       the institution's identity provider gave no usable answer
    │   └── UpstreamUnavailable     the platform gave no usable answer
    └── Misconfigured               an operator must act before this can run
        ├── BadSetting              a setting is unknown, malformed or unsafe
        ├── NotReady                the database is unmigrated or unreachable at start
        └── LogBroken               the log does not verify
            ├── UnknownSigner       none of the keys that are known signed this
            └── RollbackDetected    the log is not the one that was signed before: entries were lost

`code` is stable and says what happened; which HTTP status it becomes is decided once, in `web/errors.py`.
"""

from typing import ClassVar


class BursarError(Exception):
    """The root of the tree; `message` stands alone, since it is often all that a researcher sees."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refusal(BursarError):
    """A clear no; `rule` names the rule that decided, and goes into the log."""

    def __init__(self, message: str, *, rule: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.retry_after_s = retry_after_s


class NotIdentified(Refusal):
    """What was shown proves nobody; `decided_on` is the directory's revision, where a known key was looked at."""

    def __init__(self, message: str, *, rule: str = "identify", decided_on: int | None = None) -> None:
        super().__init__(message, rule=rule)
        self.decided_on = decided_on


class AccessTokenInvalid(NotIdentified):
    """No bearer token, or one that is unknown, expired or revoked."""

    code = "access_token_invalid"


class SignInRefused(NotIdentified):
    """The institution's sign-in proves nobody, or somebody who is not known here."""

    code = "sign_in_refused"


class InvalidClient(NotIdentified):
    """A client key or secret that does not hold."""

    code = "invalid_client"


class InvalidTokenRequest(Refusal):
    """A malformed token request; `reason` is the OAuth 2 error code (RFC 6749, section 5.2)."""

    code = "invalid_request"

    def __init__(self, message: str, *, reason: str = "invalid_request") -> None:
        super().__init__(message, rule="oauth")
        self.reason = reason


class InvalidParams(Refusal):
    """A malformed request, or one that a rule refuses."""

    code = "invalid_params"


class ScopeNotAuthorized(Refusal):
    """The credential has no scope for this endpoint."""

    code = "scope_not_authorized"


class NotPermitted(Refusal):
    """A person's roles do not cover this act."""

    code = "not_permitted"


class NotFound(Refusal):
    """No such endpoint or object."""

    code = "not_found"


class Conflict(Refusal):
    """The object is not in a state that allows this."""

    code = "conflict"


class ChangedMeanwhile(Refusal):
    """The object is not what whoever changes it has seen, so their change is not made."""

    code = "changed_meanwhile"


class NotHeld(Refusal):
    """The caller wants what is held or nothing, and nothing that is held may answer."""

    code = "not_held"


class QuotaExhausted(Refusal):
    """A daily or longer limit has no room for this call."""

    code = "daily_quota_limit_exceeded"


class RateLimited(Refusal):
    """A short window has no room for this call."""

    code = "rate_limit_exceeded"


class Unavailable(BursarError):
    """Try again later; nothing is lost."""

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AuditUnavailable(Unavailable):
    """The log cannot be written, so nothing may be served."""

    code = "audit_unavailable"


class StoreUnavailable(Unavailable):
    """The database cannot be reached."""

    code = "store_unavailable"


class SignInUnavailable(Unavailable):
    """The institution's identity provider gave no usable answer."""

    code = "sign_in_unavailable"


class UpstreamUnavailable(Unavailable):
    """The platform gave no usable answer."""

    code = "internal_error"


class Misconfigured(BursarError):
    """An operator must act before this can run; `exit_code` is the command's."""

    exit_code: ClassVar[int] = 2


class BadSetting(Misconfigured):
    """A setting is unknown, malformed or unsafe."""

    code = "bad_setting"


class NotReady(Misconfigured):
    """The database is unmigrated or unreachable."""

    code = "not_ready"
    exit_code = 3


class LogBroken(Misconfigured):
    """The log does not verify."""

    code = "log_broken"
    exit_code = 1


class UnknownSigner(LogBroken):
    """None of the keys that are known signed this; what is signed may be whole."""


class RollbackDetected(LogBroken):
    """The log is not the one that was signed before: it was restored from a backup, or exchanged."""

    code = "audit_rollback_detected"
