"""What limits by the minute, at once and on delivered records cost a hit and a miss.

Run it with `./dev python -m benchmarks.short_limits`; it needs `wrk`, `taskset` and Redis. One gateway answers
callers who are held to more and more, in turn, so that what the machine does beside it meets all of them alike.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks.hit_and_miss import medians_ms, pin, wrk
from tests.servers.bursar import Installation, video_query
from tests.servers.redis import PrivateRedis

_MANY = 1_000_000_000
_ROOM = {"requests/day": 1_000_000, "records/day": 100_000_000}
_GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "100000000")
CALLERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "without": (),
        "calls/minute": ("calls/minute",),
        "calls/minute, concurrent": ("calls/minute", "concurrent"),
        "delivered/day": ("delivered/day",),
        "all of them": ("calls/minute", "concurrent", "delivered/minute", "records/minute", "delivered/day"),
    }
)


def keys_of(installation: Installation) -> dict[str, str]:
    """A key for each kind of caller, with its limits."""
    keys = {}
    for name, limits in CALLERS.items():
        issued = installation.key()
        keys[name] = issued["api_key"]
        for limit in limits:
            scope = f"key:{issued['client_key'].removeprefix('bsr_live_')}"
            installation.bursar("limit", "set", scope, limit, str(_MANY))
    return keys


def measure(home: Path, redis_url: str | None, *, seconds: int, rounds: int) -> dict[str, dict[str, float]]:
    """Hits a second at 32 connections, and medians in ms of a hit and of a miss, for each kind of caller."""
    url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
    with Installation(
        home, database_url=url, redis_url=redis_url, limits=_ROOM, simulator=_GENEROUS
    ) as installation:
        keys = keys_of(installation)
        pin(installation.start())
        port, script, body = installation.port, home / "call.lua", video_query()
        found: dict[str, dict[str, list[float]]] = {
            name: {"hits a second": [], "hit, ms": []} for name in keys
        }
        for number in range(rounds + 1):
            for name, key in keys.items():
                rate, _ = wrk(port, key, body, script, connections=32, seconds=seconds)
                _, median_ms = wrk(port, key, body, script, connections=1, seconds=seconds)
                if number:  # the first round warms up
                    found[name]["hits a second"].append(rate)
                    found[name]["hit, ms"].append(median_ms)
        misses = medians_ms({name: (port, key) for name, key in keys.items()}, rounds=100 * rounds)
    return {
        name: {what: statistics.median(values) for what, values in figures.items()}
        | {"miss, ms": misses[name]}
        for name, figures in found.items()
    }


def ratios(figures: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Each figure of a caller with limits, over that of the one without."""
    plain = figures["without"]
    return {
        name: {what: value / plain[what] for what, value in each.items()} for name, each in figures.items()
    }


def main() -> None:
    """Print the figures and their ratios, counted in the process and in Redis."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=2, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is repeated")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    document = {}
    with tempfile.TemporaryDirectory(prefix="bursar-bench") as home, PrivateRedis() as redis:
        for where, redis_url in (("process", None), ("redis", redis.url)):
            directory = Path(home) / where
            directory.mkdir()
            figures = measure(directory, redis_url, seconds=options.seconds, rounds=options.rounds)
            document[where] = {"figures": figures, "ratios": ratios(figures)}
    if options.json:
        print(json.dumps(document))
        return
    for where, both in document.items():
        print(f"counted in: {where}")
        for name, each in both["figures"].items():
            shown = [
                f"{what} {value:9.2f} ({both['ratios'][name][what]:.2f})" for what, value in each.items()
            ]
            print(f"  {name:26}", *shown, sep="  ")


if __name__ == "__main__":
    main()
