"""Who failed to prove who they are, how often and from where; and how long they have to wait for the next try."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from app.clock import Clock
from app.errors import RateLimited

_WINDOW_S: Final = 60.0
_FIRST_WAIT_S: Final = 5.0
_LONGEST_WAIT_S: Final = 300.0
_FORGIVEN_AFTER_S: Final = 900.0
_MOST_REMEMBERED: Final = 10_000
"""Pairs of a source and a key; the one that failed longest ago is forgotten for the next."""

RULE: Final = "sign-in"


@dataclass(slots=True)
class _Failures:
    since_s: float
    last_s: float
    count: int = 0
    waits: int = 0
    until_s: float = 0.0


class Attempts:
    """Counts failures of each source with each key, in this process.

    After `per_minute` of them within a minute nothing of that pair is looked at for five seconds, and each further
    failure doubles that, up to five minutes. It is the pair that waits, not the source and not the key: many people
    share an address behind a front server, and nobody may lock out somebody else's key. 0 turns it off.
    """

    def __init__(self, *, clock: Clock, per_minute: int) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._pairs: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def admit(self, source: str, key: str) -> None:
        """Return when a try may be looked at; raises RateLimited. `key` is the id that was shown, or empty."""
        found = self._pairs.get((source, key)) if self._pairs else None
        if found is None:
            return
        wait_s = found.until_s - self._clock.monotonic_s()
        if wait_s > 0:
            message = (
                "Too many failed attempts to sign in from your address. Check what you send, then try again."
            )
            raise RateLimited(message, rule=RULE, retry_after_s=int(wait_s) + 1)

    def failed(self, source: str, key: str) -> None:
        """Count a failure."""
        if self._per_minute == 0:
            return
        now_s = self._clock.monotonic_s()
        found = self._pairs.get((source, key))
        if found is None or now_s - found.last_s > _FORGIVEN_AFTER_S:
            found = _Failures(since_s=now_s, last_s=now_s)
        if now_s - found.since_s > _WINDOW_S:
            found.since_s, found.count = now_s, 0
        found.last_s = now_s
        found.count += 1
        if found.count >= self._per_minute:
            found.until_s = now_s + min(_FIRST_WAIT_S * 2.0**found.waits, _LONGEST_WAIT_S)
            found.waits = min(found.waits + 1, 16)
        self._pairs[source, key] = found
        self._pairs.move_to_end((source, key))
        while len(self._pairs) > _MOST_REMEMBERED:
            self._pairs.popitem(last=False)

    def succeeded(self, source: str, key: str) -> None:
        """The pair has proven itself: what it failed before counts no more."""
        if self._pairs:
            self._pairs.pop((source, key), None)
