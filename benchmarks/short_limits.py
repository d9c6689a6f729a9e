"""What limits by the minute, at once and on delivered records cost a hit and a miss.

Run it with `./dev python -m benchmarks.short_limits`; it needs `wrk`, `taskset` and Redis. One gateway answers
callers who are held to more and more, in turn, so that what the machine does beside it meets all of them alike.
"""

import argparse
import http.client
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks.hit_and_miss import pin, wrk
from tests.servers.bursar import AS_ASKED, VIDEO_QUERY, Installation, Process, video_query
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


def cpu_s(process: Process) -> float:
    """Seconds of processor time that the gateway has used; unlike its latency, no neighbour changes it much."""
    spent = Path(f"/proc/{process.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")


class Misses:
    """Questions that nobody has asked, on one connection for each caller."""

    def __init__(self, port: int, keys: Mapping[str, str]) -> None:
        self._connections = {name: http.client.HTTPConnection("127.0.0.1", port) for name in keys}
        self._keys = keys
        self._cursors = itertools.count()

    def one_ms(self, name: str) -> float:
        headers = {"Authorization": f"Bearer {self._keys[name]}", "Content-Type": "application/json"}
        body = video_query(max_count=20, cursor=next(self._cursors))
        started = time.perf_counter()
        self._connections[name].request("POST", VIDEO_QUERY, body=body, headers=headers)
        answer = self._connections[name].getresponse()
        answer.read()
        assert answer.headers["Cache-Status"] == "bursar; fwd=miss; stored", answer.status
        return (time.perf_counter() - started) * 1000


def measure(home: Path, redis_url: str | None, *, seconds: int, rounds: int) -> dict[str, dict[str, float]]:
    """For each kind of caller: what a hit and a miss take, in processor time and at the median."""
    url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
    with Installation(
        home,
        database_url=url,
        redis_url=redis_url,
        limits=_ROOM,
        simulator=_GENEROUS,
        settings=AS_ASKED,
    ) as installation:
        keys = keys_of(installation)
        gateway = installation.start()
        pin(gateway)
        port, script, body = installation.port, home / "call.lua", video_query()
        found: dict[str, dict[str, list[float]]] = {
            name: {"hits a second": [], "hit, us of processor": [], "hit, ms": [], "miss, ms": []}
            for name in keys
        }
        misses = Misses(port, keys)
        for number in range(rounds + 1):
            for name, key in keys.items():
                before_s = cpu_s(gateway)
                rate, _ = wrk(port, key, body, script, connections=32, seconds=seconds)
                spent_us = (cpu_s(gateway) - before_s) * 1e6 / (rate * seconds)
                _, median_ms = wrk(port, key, body, script, connections=1, seconds=seconds)
                if number:  # the first round warms up
                    found[name]["hits a second"].append(rate)
                    found[name]["hit, us of processor"].append(spent_us)
                    found[name]["hit, ms"].append(median_ms)
        for _ in range(60 * rounds):
            for name in keys:
                found[name]["miss, ms"].append(misses.one_ms(name))
    return {
        name: {what: statistics.median(values) for what, values in figures.items()}
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
