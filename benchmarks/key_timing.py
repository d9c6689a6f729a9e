"""Whether the time in which a key is refused tells what was wrong with it.

Run it with `./dev python -m benchmarks.key_timing`. After dudect (Reparaz, Balasch, Verbauwhede, 2017): keys of an
unknown id, wrong secrets of a known one, and secrets that are right but for their last character come in random order,
and Welch's t compares the times of every two classes, of all of them and below each of a hundred percentiles; the
largest |t| counts. Wrong secrets come twice, which shows what the machine makes of two classes that are alike. The
directory is in memory and answers at once.
"""

import argparse
import dataclasses
import gc
import itertools
import json
import math
import string
import time
from bisect import bisect_right
from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any

from app.clock import SystemClock
from app.errors import AccessTokenInvalid, InvalidClient
from app.identity.attempts import Attempts
from app.identity.bearers import Bearers
from app.identity.callers import KeyRecord, TokenRecord
from app.identity.keys import AccessTokens, _checksum, client_key, digest, new_key_id, new_secret
from app.ids import KeyId
from tests.policy.scene import CALLER

CROPS = 100
LIKE_LIMIT = 4.5
"""|t| below which dudect calls two classes alike."""

_PEPPER = bytes(range(32))
_CHECKSUM_CHARS = len("_") + 6

Shown = tuple[str, str]
"""A client key, and what is presented as its secret or as an API key."""


class OneKey:
    """A directory that knows a single key."""

    def __init__(self, record: KeyRecord) -> None:
        self._records = {record.caller.key: record}

    async def by_key(self, key: KeyId) -> KeyRecord | None:
        return self._records.get(key)

    async def by_token(self, token: KeyId) -> TokenRecord | None:
        raise NotImplementedError

    def forget(self) -> None:
        raise NotImplementedError


def bearers(key: KeyId, secret: str) -> Bearers:
    """Whoever decides on keys, with one whose client secret and API key are the same."""
    kept = digest(_PEPPER, secret)
    record = KeyRecord(
        caller=dataclasses.replace(CALLER, key=key),
        client_secret_digest=kept,
        api_key_digest=kept,
        old_client_secret_digest=None,
        old_api_key_digest=None,
        old_until_us=None,
    )
    return Bearers(
        directory=OneKey(record),
        access_tokens=AccessTokens(bytes(32)),
        pepper=_PEPPER,
        clock=SystemClock(),
        attempts=Attempts(clock=SystemClock(), per_minute=0),
    )


def classes(key: KeyId, secret: str) -> dict[str, list[Shown]]:
    """As many different keys in each as differ from the right one in their last character alone."""
    body, last = secret[: -_CHECKSUM_CHARS - 1], secret[-_CHECKSUM_CHARS - 1]
    nearly = [body + char for char in string.digits + string.ascii_letters if char != last]

    def drawn(of: Callable[[], KeyId]) -> list[Shown]:
        ids = [of() for _ in nearly]
        return [(client_key(each), new_secret(each)) for each in ids]

    return {
        "unknown id": drawn(new_key_id),
        "wrong": drawn(lambda: key),
        "wrong again": drawn(lambda: key),
        "right but for the last": [(client_key(key), f"{each}_{_checksum(each)}") for each in nearly],
    }


def refusal_ns(presented: Coroutine[Any, Any, object]) -> int:
    """How long it takes to say no; nothing in it waits, so that no loop is needed."""
    started_ns = time.perf_counter_ns()
    try:
        presented.send(None)
    except (AccessTokenInvalid, InvalidClient):
        return time.perf_counter_ns() - started_ns
    raise AssertionError("a key that does not hold was not refused")


def measure(
    door: Callable[[Shown], Coroutine[Any, Any, object]],
    shown: Mapping[str, Sequence[Shown]],
    *,
    samples: int,
) -> dict[str, list[int]]:
    """The times of each class, `samples` of each, in random order; the first tenth warms up and is not counted."""
    random = Random(1)
    warm_up = samples // 10
    order = [name for name in shown for _ in range(samples)]
    random.shuffle(order)
    order = random.choices(list(shown), k=warm_up) + order
    times: dict[str, list[int]] = {name: [] for name in shown}
    gc.disable()
    for number, name in enumerate(order):
        spent_ns = refusal_ns(door(random.choice(shown[name])))
        if number >= warm_up:
            times[name].append(spent_ns)
    gc.enable()
    return times


def welch(one: Sequence[int], other: Sequence[int]) -> float:
    """The largest |t| of two classes, whole and cropped at percentiles of both that come ever closer, as dudect's do."""
    both = sorted([*one, *other])
    shares = (1 - 0.5 ** (10 * number / CROPS) for number in range(1, CROPS + 1))
    crops = {both[-1], *(both[int(share * (len(both) - 1))] for share in shares)}
    mine, theirs = _Cropped(one), _Cropped(other)
    return max((_t(mine.below(crop), theirs.below(crop)) for crop in crops), default=0.0)


class _Cropped:
    """Count, mean and variance of those of some times that are no longer than a given one."""

    def __init__(self, times: Sequence[int]) -> None:
        self._sorted = sorted(times)
        self._sums = [0, *itertools.accumulate(self._sorted)]
        self._squares = [0, *itertools.accumulate(each * each for each in self._sorted)]

    def below(self, crop: int) -> tuple[int, float, float]:
        count = bisect_right(self._sorted, crop)
        if count < 2:
            return count, 0.0, 0.0
        total = self._sums[count]
        return count, total / count, (self._squares[count] - total * total / count) / (count - 1)


def _t(one: tuple[int, float, float], other: tuple[int, float, float]) -> float:
    (count, mean, variance), (other_count, other_mean, other_variance) = one, other
    if min(count, other_count) < 2 or not variance + other_variance:
        return 0.0
    return abs(mean - other_mean) / math.sqrt(variance / count + other_variance / other_count)


def main() -> None:
    """Print |t| of every two classes at both doors, and the median of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2_000, help="of each class; in full 100000")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    key = new_key_id()
    secret = new_secret(key)
    decides = bearers(key, secret)
    shown = classes(key, secret)
    doors: dict[str, Callable[[Shown], Coroutine[Any, Any, object]]] = {
        "client secret": lambda each: decides.exchange(*each, source="192.0.2.1"),
        "API key": lambda each: decides.caller(f"Bearer {each[1]}", source="192.0.2.1"),
    }
    document: dict[str, dict[str, Mapping[str, float]]] = {}
    for name, door in doors.items():
        times = measure(door, shown, samples=options.samples)
        document[name] = {
            "median_ns": {each: sorted(found)[len(found) // 2] for each, found in times.items()},
            "t": {
                f"{one} / {other}": welch(times[one], times[other])
                for one, other in itertools.combinations(times, 2)
            },
        }
    if options.json:
        print(json.dumps(document))
        return
    for name, found in document.items():
        print(f"{name}, {options.samples} of each class")
        for each, median_ns in found["median_ns"].items():
            print(f"  {each:46} {median_ns / 1000:8.2f} us at the median")
        for each, t in found["t"].items():
            print(f"  {each:46} |t| {t:8.2f}  {'alike' if t < LIKE_LIMIT else 'can be told apart'}")


if __name__ == "__main__":
    main()
