"""From what a client shows to who it is."""

from dataclasses import dataclass
from datetime import datetime

from app.clock import Clock
from app.errors import AccessTokenInvalid, InvalidClient
from app.identity.callers import Caller, Directory, KeyRecord, Operator
from app.identity.keys import AccessTokens, Expired, matches, parse, parse_client_key

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
        self, *, directory: Directory, access_tokens: AccessTokens, pepper: bytes, clock: Clock
    ) -> None:
        self._directory = directory
        self._access_tokens = access_tokens
        self._pepper = pepper
        self._clock = clock

    async def caller(self, authorization: str | None) -> Caller:
        """The caller behind an `Authorization` header; raises AccessTokenInvalid."""
        shown = _bearer(authorization)
        now = self._clock.now()
        match self._access_tokens.read(shown, now=now):
            case Expired():
                raise AccessTokenInvalid(_EXPIRED)
            case None:
                record = await self._by_api_key(shown, now)
            case key:
                record = await self._directory.by_key(key)
        if record is None:
            raise AccessTokenInvalid(_UNKNOWN)
        if _is_over(record.caller.key_expires_us, now):
            raise AccessTokenInvalid(_UNKNOWN, decided_on=record.caller.revision)
        return record.caller

    async def exchange(self, client_key: str, client_secret: str) -> Grant:
        """An access token for a client key and secret; raises InvalidClient."""
        now = self._clock.now()
        key = parse_client_key(client_key)
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

    async def operator(self, authorization: str | None) -> Operator:
        """The person behind a token for `/api/v1`; raises AccessTokenInvalid."""
        shown = _bearer(authorization)
        now = self._clock.now()
        parsed = parse(shown)
        record = None if parsed is None else await self._directory.by_token(parsed.key_id)
        holds = matches(self._pepper, shown, None if record is None else record.digest)
        if record is None or not holds or _is_over(record.operator.expires_us, now):
            raise AccessTokenInvalid(
                "This bearer token does not hold. Ask an administrator for one (`bursar token issue`).",
                decided_on=None if record is None else record.operator.revision,
            )
        return record.operator

    async def _by_api_key(self, shown: str, now: datetime) -> KeyRecord | None:
        parsed = parse(shown)
        record = None if parsed is None else await self._directory.by_key(parsed.key_id)
        if matches(self._pepper, shown, None if record is None else record.api_key_digest):
            return record
        if record is None:
            return None
        if _is_in_overlap(record, now) and matches(self._pepper, shown, record.old_api_key_digest):
            return record
        raise AccessTokenInvalid(_UNKNOWN, decided_on=record.caller.revision)


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
