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
    """A bearer token of the platform; never shown."""

    value: str
    life_s: float


@dataclass(slots=True)
class _Kept:
    value: str = ""
    good_until_s: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class TokenKeeper:
    """One current token for each credential; `ask` brings a new one from the platform."""

    def __init__(self, *, clock: Clock, ask: Callable[[CredentialId], Awaitable[AccessToken]]) -> None:
        self._clock = clock
        self._ask = ask
        self._kept: dict[CredentialId, _Kept] = {}

    async def current(self, credential: CredentialId) -> str:
        """A token that the platform should accept; raises what `ask` raises."""
        kept = self._kept.setdefault(credential, _Kept())
        if self._clock.monotonic_s() < kept.good_until_s:
            return kept.value
        return await self._refresh(credential, kept, rejected=None)

    async def replace(self, credential: CredentialId, *, rejected: str) -> str:
        """A token other than `rejected`; of many callers with the same one, a single caller asks."""
        return await self._refresh(credential, self._kept.setdefault(credential, _Kept()), rejected=rejected)

    def forget(self, credential: CredentialId) -> None:
        """Drop the token, since the credential's secret has changed."""
        self._kept.pop(credential, None)

    async def _refresh(self, credential: CredentialId, kept: _Kept, *, rejected: str | None) -> str:
        async with kept.turn:
            is_good = self._clock.monotonic_s() < kept.good_until_s
            if is_good and kept.value != rejected:
                return kept.value
            token = await self._ask(credential)
            share = REFRESH_AT - random.random() * _JITTER  # noqa: S311 - spreads load, guards nothing
            kept.value = token.value
            kept.good_until_s = self._clock.monotonic_s() + token.life_s * share
            return token.value
