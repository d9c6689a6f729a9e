"""The platform's access tokens: kept, and refreshed by one flight at a time per credential."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from app.clock import Clock
from app.ids import CredentialId

REFRESH_AT = 0.8
"""Share of a token's life after which it is replaced; TikTok's tokens live 7,200 s (documentation of
2026-11-05), and replicas spread their refreshes over the five per cent before it."""
_JITTER = 0.05


@dataclass(frozen=True, slots=True, repr=False)
class AccessToken:
    """A bearer token of the platform, and the one host that it may be sent to; never shown."""

    value: str
    base_url: str
    life_s: float


@dataclass(slots=True)
class _Kept:
    token: AccessToken | None = None
    good_until_s: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class TokenKeeper:
    """One current token for each credential; `ask` brings a new one from the platform."""

    def __init__(self, *, clock: Clock, ask: Callable[[CredentialId], Awaitable[AccessToken]]) -> None:
        self._clock = clock
        self._ask = ask
        self._kept: dict[CredentialId, _Kept] = {}

    async def current(self, credential: CredentialId) -> AccessToken:
        """A token that the platform should accept; raises what `ask` raises."""
        return await self._good(credential, rejected=None)

    async def replace(self, credential: CredentialId, *, rejected: AccessToken) -> AccessToken:
        """A token other than `rejected`; of many callers with the same one, a single caller asks."""
        return await self._good(credential, rejected=rejected)

    def forget(self, credential: CredentialId) -> None:
        """Open the credential anew before the next call: it may have moved, or have a new secret."""
        self._kept.pop(credential, None)

    async def _good(self, credential: CredentialId, *, rejected: AccessToken | None) -> AccessToken:
        kept = self._kept.setdefault(credential, _Kept())
        token = self._usable(kept, rejected)
        if token is not None:
            return token
        async with kept.turn:
            token = self._usable(kept, rejected)
            if token is None:
                kept.token = token = await self._ask(credential)
                share = REFRESH_AT - random.random() * _JITTER  # noqa: S311 - spreads load, guards nothing
                kept.good_until_s = self._clock.monotonic_s() + token.life_s * share
            return token

    def _usable(self, kept: _Kept, rejected: AccessToken | None) -> AccessToken | None:
        is_good = kept.token is not rejected and self._clock.monotonic_s() < kept.good_until_s
        return kept.token if is_good else None
