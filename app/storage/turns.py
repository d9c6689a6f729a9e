"""Turns to the platform, given in this process or in Redis."""

from dataclasses import dataclass

from app.clock import Clock
from app.ids import CredentialId
from app.quota.pacing import Turn
from app.storage.redis_link import RedisAway, RedisLink
from app.storage.redis_scripts import PAUSE, TURN
from app.storage.redis_windows import KEYS_OF, RedisWindows


@dataclass(slots=True)
class _Line:
    next_s: float = 0.0
    paused_until_s: float = 0.0


class ProcessTurns:
    """The port in this process's memory."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[CredentialId, _Line] = {}

    async def next_turn(self, credential: CredentialId, *, interval_s: float, within_s: float) -> Turn:
        """The next turn of this process; see `Turns`."""
        line = self._lines.setdefault(credential, _Line())
        now_s = self._clock.monotonic_s()
        at_s = max(now_s, line.next_s, line.paused_until_s)
        if at_s - now_s > within_s:
            return Turn(wait_s=at_s - now_s, is_given=False)
        line.next_s = at_s + interval_s
        return Turn(wait_s=at_s - now_s, is_given=True)

    def pause(self, credential: CredentialId, seconds: float) -> None:
        """Give no turn for that long."""
        line = self._lines.setdefault(credential, _Line())
        line.paused_until_s = max(line.paused_until_s, self._clock.monotonic_s() + seconds)


class RedisTurns:
    """The port over a link to Redis; while Redis is away each process gives turns at its share of the rate."""

    def __init__(self, *, link: RedisLink, windows: RedisWindows, clock: Clock) -> None:
        self._link = link
        self._windows = windows
        self._own = ProcessTurns(clock=clock)

    async def next_turn(self, credential: CredentialId, *, interval_s: float, within_s: float) -> Turn:
        """The next turn of all processes; see `Turns`."""
        if not self._link.is_away:
            try:
                is_given, wait_us = await self._link.run(
                    TURN, (_key(credential),), (int(interval_s * 1e6), int(within_s * 1e6))
                )
            except RedisAway:
                pass
            else:
                return Turn(wait_s=wait_us / 1e6, is_given=is_given == 1)
        share_s = interval_s * self._windows.processes
        return await self._own.next_turn(credential, interval_s=share_s, within_s=within_s)

    def pause(self, credential: CredentialId, seconds: float) -> None:
        """Give no turn for that long, in any process."""
        self._own.pause(credential, seconds)
        self._link.post(PAUSE, (_key(credential),), (int(seconds * 1e6),))


def _key(credential: CredentialId) -> str:
    return f"{KEYS_OF}:turns:{credential}"
