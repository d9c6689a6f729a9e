"""Against guessing: after ten failures from one source, or for one account, each further try has to wait."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Final

from app.clock import Clock
from app.errors import RateLimited

_FREE_FAILURES: Final = 10
_FIRST_WAIT_S: Final = 15.0
_LONGEST_WAIT_S: Final = 900.0
_FORGOTTEN_AFTER_S: Final = 900.0
_MOST_REMEMBERED: Final = 20_000


@dataclass(slots=True)
class _Failures:
    count: int
    last_s: float
    open_s: float
    """When the next try is let in."""


class Throttle:
    """Counts failures in this process; each behind the tenth doubles the wait, up to a quarter of an hour.

    A try counts as failed from its beginning, so that tries at the same time are no way around it; what
    turns out well is taken back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()

    def begin(self, *who: str) -> None:
        """Count one try of each of these; raises RateLimited where one of them has to wait."""
        now_s = self._clock.monotonic_s()
        known = [(key, self._known(key, now_s)) for key in _keys(who)]
        wait_s = max((each.open_s - now_s for _, each in known), default=0.0)
        if wait_s > 0:
            raise RateLimited(
                f"Too many failed tries. Try again in {_spelled(wait_s)}.",
                rule="sign-in-rate",
                retry_after_s=ceil(wait_s),
            )
        for key, each in known:
            each.count += 1
            each.last_s = now_s
            beyond = each.count - _FREE_FAILURES
            wait = min(_FIRST_WAIT_S * 2 ** min(beyond, 10), _LONGEST_WAIT_S) if beyond >= 0 else 0.0
            each.open_s = now_s + wait
            self._failures[key] = each
            self._failures.move_to_end(key)
        while len(self._failures) > _MOST_REMEMBERED:
            self._failures.popitem(last=False)

    def succeed(self, *who: str) -> None:
        """The try was a good one: nothing is held against these any more."""
        for key in _keys(who):
            self._failures.pop(key, None)

    def _known(self, key: bytes, now_s: float) -> _Failures:
        found = self._failures.get(key)
        if found is None or now_s - found.last_s > max(_FORGOTTEN_AFTER_S, found.open_s - found.last_s):
            return _Failures(0, now_s, 0.0)
        return found


def _keys(who: Iterable[str]) -> list[bytes]:
    """Digests, so that a long name takes no more room than a short one."""
    return [hashlib.sha256(each.encode(errors="replace")).digest() for each in who]


def _spelled(wait_s: float) -> str:
    return f"{ceil(wait_s)} seconds" if wait_s <= 90 else f"{ceil(wait_s / 60)} minutes"
