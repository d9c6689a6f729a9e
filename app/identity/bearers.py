"""From what a client shows to who it is."""

from dataclasses import dataclass
from datetime import datetime

from app.clock import Clock
from app.errors import AccessTokenInvalid, InvalidClient
from app.identity.attempts import Attempts
from app.identity.callers import Caller, Directory, KeyRecord, Operator
from app.identity.keys import AccessTokens, Expired, ParsedKey, matches, parse, parse_client_key
from app.ids import KeyId

ACCESS_TOKEN_LIFE_S = 7200
"""Life of an access token; the platform's own live as long (documentation of 2026-11-05)."""

_UNKNOWN = (
    "The access token is invalid or not found in the request. Ask for a new one at /v2/oauth/token/ with the "
    "client_key and client_secret that Bursar issued, or send your api_key as the bearer token."
)
_EXPIRED = "The access token has expired. Ask for a new one at /v2/oauth/token/."


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A fresh access token for a caller; `repr` does not show it."""

    access_token: str
    expires_in_s: int
    caller: Caller

    def __repr__(self) -> str:
        return f"Grant(key={self.caller.key!r})"


class Bearers:
    """Identifies callers by access token or API key, and people by their own tokens.

    Whatever a client shows, an unknown id, a wrong secret and a retired key look the same from outside.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        access_tokens: AccessTokens,
        pepper: bytes,
        clock: Clock,
        attempts: Attempts,
    ) -> None:
        self._directory = directory
        self._access_tokens = access_tokens
        self._pepper = pepper
        self._clock = clock
        self._attempts = attempts

    async def caller(self, authorization: str | None, *, source: str) -> Caller:
        """The caller behind an `Authorization` header; raises AccessTokenInvalid.

        After too many failures from `source`, a network address, it raises RateLimited.
        """
        shown = _bearer(authorization)
        parsed = parse(shown)
        attempted = _id_of(parsed)
        self._attempts.admit(source, attempted)
        try:
            caller = await self._caller(shown, parsed)
        except _TokenExpired:
            raise  # it has proven itself, and is told to come with a new one
        except AccessTokenInvalid:
            self._attempts.failed(source, attempted)
            raise
        self._attempts.succeeded(source, attempted)
        return caller

    async def operator(self, authorization: str | None, *, source: str) -> Operator:
        """The person behind a token of their own; raises AccessTokenInvalid, and RateLimited as `caller` does."""
        shown = _bearer(authorization)
        parsed = parse(shown)
        attempted = _id_of(parsed)
        self._attempts.admit(source, attempted)
        try:
            operator = await self._operator(shown, parsed)
        except AccessTokenInvalid:
            self._attempts.failed(source, attempted)
            raise
        self._attempts.succeeded(source, attempted)
        return operator

    async def holder(self, authorization: str | None, *, source: str) -> Operator | Caller:
        """A person with a token of their own, or else a caller; raises AccessTokenInvalid and RateLimited."""
        shown = _bearer(authorization)
        parsed = parse(shown)
        self._attempts.admit(source, _id_of(parsed))
        try:
            return await self._operator(shown, parsed)
        except AccessTokenInvalid:
            return await self.caller(authorization, source=source)

    async def _caller(self, shown: str, parsed: ParsedKey | None) -> Caller:
        now = self._clock.now()
        match self._access_tokens.read(shown, now=now):
            case Expired():
                raise _TokenExpired(_EXPIRED)
            case None:
                record = await self._by_api_key(shown, parsed, now)
            case key:
                record = await self._directory.by_key(key)
        if record is None:
            raise AccessTokenInvalid(_UNKNOWN)
        if _is_over(record.caller.key_expires_us, now):
            raise AccessTokenInvalid(_UNKNOWN, decided_on=record.caller.revision)
        return record.caller

    async def exchange(self, client_key: str, client_secret: str, *, source: str) -> Grant:
        """An access token for a client key and secret; raises InvalidClient, and RateLimited as `caller` does."""
        key = parse_client_key(client_key)
        self._attempts.admit(source, key or "")
        try:
            grant = await self._exchange(key, client_secret)
        except InvalidClient:
            self._attempts.failed(source, key or "")
            raise
        self._attempts.succeeded(source, key or "")
        return grant

    async def _exchange(self, key: KeyId | None, client_secret: str) -> Grant:
        now = self._clock.now()
        record = None if key is None else await self._directory.by_key(key)
        stored = None if record is None else record.client_secret_digest
        holds = matches(self._pepper, client_secret, stored)
        if record is not None and not holds and _is_in_overlap(record, now):
            holds = matches(self._pepper, client_secret, record.old_client_secret_digest)
        if record is None or not holds or _is_over(record.caller.key_expires_us, now):
            raise InvalidClient(
                "Client key or secret is incorrect. Check both, or ask for a new pair.",
                decided_on=None if record is None else record.caller.revision,
            )
        token = self._access_tokens.issue(record.caller.key, now=now, life_s=ACCESS_TOKEN_LIFE_S)
        return Grant(access_token=token, expires_in_s=ACCESS_TOKEN_LIFE_S, caller=record.caller)

    async def _operator(self, shown: str, parsed: ParsedKey | None) -> Operator:
        now = self._clock.now()
        record = None if parsed is None else await self._directory.by_token(parsed.key_id)
        holds = matches(self._pepper, shown, None if record is None else record.digest)
        if record is None or not holds or _is_over(record.operator.expires_us, now):
            raise AccessTokenInvalid(
                "This bearer token does not hold. Ask an administrator for one (`bursar token issue`).",
                decided_on=None if record is None else record.operator.revision,
            )
        return record.operator

    async def _by_api_key(self, shown: str, parsed: ParsedKey | None, now: datetime) -> KeyRecord | None:
        record = None if parsed is None else await self._directory.by_key(parsed.key_id)
        if matches(self._pepper, shown, None if record is None else record.api_key_digest):
            return record
        if record is None:
            return None
        if _is_in_overlap(record, now) and matches(self._pepper, shown, record.old_api_key_digest):
            return record
        raise AccessTokenInvalid(_UNKNOWN, decided_on=record.caller.revision)


class _TokenExpired(AccessTokenInvalid):
    """The token was genuine, and its time is over."""


def _id_of(parsed: ParsedKey | None) -> str:
    """The id of the key that was shown; empty for what is none."""
    return "" if parsed is None else parsed.key_id


def _bearer(authorization: str | None) -> str:
    """The token of `Bearer <token>`, the scheme in any case (RFC 9110, section 11.1)."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AccessTokenInvalid(_UNKNOWN)
    return token.strip()


def _is_over(end_us: int | None, now: datetime) -> bool:
    return end_us is not None and now.timestamp() * 1_000_000 >= end_us


def _is_in_overlap(record: KeyRecord, now: datetime) -> bool:
    return record.old_until_us is not None and not _is_over(record.old_until_us, now)
