"""Bursar beside what people would put there instead: nginx that caches POST, and LiteLLM's proxy as a pass-through.

Run it with `./dev python -m benchmarks.comparison --litellm PATH`, where PATH is the `litellm` command of an environment of its own
(`python3 -m venv E && E/bin/pip install 'litellm[proxy]'`); without it that one is left out. It needs nginx, and for the
part on processes PostgreSQL and Redis. All of them stand before the same stand-in for the platform, in one run,
with one process each. The figures to compare are ratios.
"""

import argparse
import asyncio
import contextlib
import http.client
import itertools
import json
import os
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.hit_and_miss import token_of_simulator
from tests.servers import front
from tests.servers.bursar import Installation, Process, call, video_query
from tests.servers.postgres import PrivatePostgres
from tests.servers.programs import find_program, free_port
from tests.servers.redis import PrivateRedis

_FIELDS = "id,username,create_time,region_code,video_description,like_count,view_count,hashtag_names"
_PATH = f"/v2/research/video/query/?fields={_FIELDS}"
_MANY = {"requests/day": 10_000_000, "records/day": 1_000_000_000}
_GENEROUS = ("--requests-per-day", "10000000", "--records-per-day", "1000000000")
_WARM_S = 1.0
_LITELLM_STARTS_WITHIN_S = 300.0
_NGINX = """
proxy_cache_path {home}/cache keys_zone=answers:8m;
log_format calls '$msec "$request_method $uri" $status $upstream_cache_status $request_body';
upstream platform {{ server 127.0.0.1:{upstream}; keepalive 32; }}
server {{
    listen 127.0.0.1:{port};
    access_log {home}/calls.log calls;
    client_body_buffer_size 1m;
    location = /ready {{ return 200; }}
    location / {{
        proxy_pass http://platform;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Authorization "Bearer {token}";
        proxy_buffers 32 32k;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri $args $request_body $http_authorization";
        proxy_cache_valid 200 1h;
        proxy_cache_lock on;
    }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to the platform: where to ask, with which key, by which program, and what it has written down."""

    name: str
    port: int
    key: str
    process: Process | None = None
    record: Path | None = None
    database: Path | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}


@dataclass(slots=True)
class Load:
    """What came of many calls at once."""

    answers: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Answers other than 200, by status and the beginning of the body."""
    entries: list[int] = field(default_factory=list)
    """Places in Bursar's log that answers named."""
    seconds: float = 0.0


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head of one complete answer, and the beginning of its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    if length is not None:
        return head, (await reader.readexactly(int(length[1])))[:300]
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        await reader.readexactly(size + 2)
    await reader.readuntil(b"\r\n")
    return head, b""


async def _put_on(way: Way, bodies: Iterator[bytes], *, connections: int, seconds: float) -> Load:
    """Ask as fast as answers come; an answer that does not come whole is not counted."""
    load, loop = Load(), asyncio.get_running_loop()
    began_s = loop.time()

    async def work() -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
            try:
                while loop.time() - began_s < seconds:
                    body = next(bodies)
                    writer.write(
                        f"POST {_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{way.port}\r\nAuthorization: Bearer {way.key}\r\n"
                        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                        + body
                    )
                    head, body = await _answer(reader)
                    is_good = head.startswith(b"HTTP/1.1 200")
                    load.answers += is_good
                    if not is_good:
                        load.failures[f"{head[9:12].decode()} {body.decode(errors='replace')}"] += 1
                    place = re.search(rb"index=(\d+)", head)
                    load.entries += [int(place[1])] if place else []
            finally:
                writer.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    load.seconds = loop.time() - began_s
    return load


def put_on(way: Way, bodies: Iterator[bytes], *, connections: int, seconds: float) -> Load:
    return asyncio.run(_put_on(way, bodies, connections=connections, seconds=seconds))


def same() -> Iterator[bytes]:
    return itertools.repeat(video_query(max_count=100))


def different(start: int = 0) -> Iterator[bytes]:
    """Questions of which no two are alike, small ones, since a miss is to be measured and not the stand-in."""
    return (
        json.dumps(
            {
                "query": {
                    "and": [{"field_name": "video_id", "operation": "IN", "field_values": [str(number)]}]
                },
                "start_date": "20261001",
                "end_date": "20261020",
                "max_count": 20,
            }
        ).encode()
        for number in itertools.count(start)
    )


def misses_ms(ways: list[Way], *, rounds: int) -> dict[str, float]:
    """The median of one call at a time on kept connections, the ways in turn; every question is new."""
    connections = {way.name: http.client.HTTPConnection("127.0.0.1", way.port) for way in ways}
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    asked = different(10_000_000)
    while any(len(each) < rounds for each in times.values()):
        for way in ways:
            body = next(asked)
            started = time.perf_counter()
            try:
                connections[way.name].request("POST", _PATH, body=body, headers=way.headers)
                answer = connections[way.name].getresponse()
                answer.read()
            except (http.client.HTTPException, OSError):
                # It was closed while the others had their turn; the next call opens another, uncounted.
                connections[way.name].close()
                continue
            times[way.name].append((time.perf_counter() - started) * 1000)
            assert answer.status == 200, (way.name, answer.status)
    return {name: statistics.median(values) for name, values in times.items()}


def memory_mb(process: Process) -> float:
    """The resident memory of a program and all that it has started."""
    pids, waiting = [], [process.popen.pid]
    while waiting:
        pid = waiting.pop()
        pids.append(pid)
        children = Path(f"/proc/{pid}/task/{pid}/children")
        waiting += [int(each) for each in children.read_text().split()] if children.exists() else []
    status = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(found[1]) for each in status if (found := re.search(r"VmRSS:\s+(\d+)", each))) / 1024


def workload() -> list[tuple[str, bytes]]:
    """Ten questions as a group asks them: again, spelled otherwise, in smaller pages, of fewer days, for fewer fields."""
    found = []
    for number in range(10):
        condition = {
            "field_name": "region_code",
            "operation": "IN",
            "field_values": ["US", "DE", "FR"][: number % 3 + 1],
        }
        first = 1 + number
        asked: dict[str, Any] = {
            "query": {"and": [condition]},
            "start_date": f"202610{first:02}",
            "end_date": f"202610{first + 9:02}",
            "max_count": 100,
        }
        turned = {**condition, "field_values": condition["field_values"][::-1]}
        ways = [
            asked,
            asked,
            dict(reversed(asked.items())),
            {**asked, "query": {"and": [turned]}},
            {**asked, "max_count": 20},
            {**asked, "max_count": 50},
        ]
        found += [(_PATH, json.dumps(each).encode()) for each in ways]
        found.append(("/v2/research/video/query/?fields=id,username", json.dumps(asked).encode()))
    return found


def upstream_requests(way: Way, installation: Installation) -> int:
    """How many requests the platform counts for the whole workload."""
    before = installation.upstream()["requests"]
    for path, body in workload():
        status, _, answer = call(way.port, "POST", path, body=body, headers=way.headers)
        assert status == 200, (way.name, answer)
    return int(installation.upstream()["requests"] - before)


def lost_at_kill(way: Way, *, seconds: float) -> tuple[int, int]:
    """Answers that callers hold of a load in whose middle the program is killed, and those of them on record."""
    assert way.process is not None
    before = recorded(way)

    async def run() -> Load:
        load = asyncio.create_task(_put_on(way, different(20_000_000), connections=16, seconds=3 * seconds))
        await asyncio.sleep(seconds)
        way.process.kill()  # type: ignore[union-attr]
        return await load

    load = asyncio.run(run())
    if way.database is not None:
        return load.answers, len(set(load.entries) & entries(way.database))
    return load.answers, min(load.answers, recorded(way) - before)


def recorded(way: Way) -> int:
    """Lines about calls in what the program writes."""
    if way.record is None or not way.record.exists():
        return 0
    return way.record.read_text(errors="replace").count("/v2/research/video/query/")


def entries(database: Path) -> set[int]:
    with contextlib.closing(sqlite3.connect(database)) as opened:
        return {index for (index,) in opened.execute("SELECT ix FROM entry")}


@contextmanager
def nginx(home: Path, upstream: int, token: str) -> Iterator[Way]:
    """nginx as one would set it up: answers to the same bytes are kept, and every call is a line of the log."""
    home.mkdir()
    port = free_port()
    text = _NGINX.format(home=home, port=port, upstream=upstream, token=token)
    command = front.command(front.whole(text, home=home))
    process = Process(command, port=port, ready="/ready", environ=os.environ, log=home / "nginx.out")
    try:
        yield Way(name="nginx", port=port, key="any", process=process, record=home / "calls.log")
    finally:
        process.kill()


@contextmanager
def litellm(command: str, home: Path, upstream: int, token: str) -> Iterator[Way]:
    """LiteLLM's proxy, one worker, its path handed on to the platform."""
    home.mkdir()
    port = free_port()
    endpoint = {
        "path": "/v2/research",
        "target": f"http://127.0.0.1:{upstream}/v2/research",
        "headers": {"Authorization": f"Bearer {token}", "content-type": "application/json"},
        "include_subpath": True,
    }
    config = {
        "model_list": [],
        "general_settings": {"master_key": "sk-bench", "pass_through_endpoints": [endpoint]},
    }
    (home / "config.yaml").write_text(json.dumps(config))
    environ = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "NO_PROXY": "*",
    }
    program = [command, "--config", str(home / "config.yaml"), "--port", str(port), "--host", "127.0.0.1"]
    log = home / "litellm.log"
    process = Process(
        program,
        port=port,
        ready="/health/liveliness",
        environ=environ,
        log=log,
        within_s=_LITELLM_STARTS_WITHIN_S,
    )
    try:
        yield Way(name="LiteLLM", port=port, key="sk-bench", process=process, record=log)
    finally:
        process.kill()


def side_by_side(
    home: Path, *, litellm_command: str | None, seconds: float, rounds: int
) -> dict[str, dict[str, float]]:
    """Every figure of every way."""
    found: dict[str, dict[str, float]] = {}
    with (
        Installation(home, limits=_MANY, simulator=_GENEROUS) as installation,
        contextlib.ExitStack() as stack,
    ):
        upstream = installation.simulator_port
        token = token_of_simulator(upstream)
        gateway = installation.start()
        direct = Way(name="directly", port=upstream, key=token)
        ways = [stack.enter_context(nginx(home / "nginx", upstream, token))]
        if litellm_command is not None:
            ways.append(stack.enter_context(litellm(litellm_command, home / "litellm", upstream, token)))
        key = installation.key()["api_key"]
        database = home / "data/bursar.db"
        ways.append(Way(name="Bursar", port=installation.port, key=key, process=gateway, database=database))
        misses = misses_ms([direct, *ways], rounds=rounds)
        found["directly"] = {"miss, median ms": misses["directly"]}
        for way in ways:
            assert way.process is not None
            figures = {
                "miss, median ms": misses[way.name],
                "added by a miss, ms": misses[way.name] - misses["directly"],
            }
            figures["upstream requests of 70 calls"] = upstream_requests(way, installation)
            for name, bodies in (("hits", same), ("misses", different)):
                put_on(way, bodies(), connections=32, seconds=_WARM_S)
                told = put_on(
                    way,
                    bodies() if name == "hits" else different(30_000_000),
                    connections=32,
                    seconds=seconds,
                )
                figures[f"{name} a second, 32 connections"] = told.answers / told.seconds
                figures[f"{name} that failed"] = told.failures.total()
            figures["memory after that, MB"] = memory_mb(way.process)
            answers, kept = lost_at_kill(way, seconds=seconds)
            figures["answers received until kill -9"] = answers
            figures["of these without a record"] = answers - kept
            found[way.name] = figures
            print(f"{way.name}: {figures}", file=sys.stderr, flush=True)
    return found


def scaling(home: Path, *, processes: tuple[int, ...], seconds: float) -> dict[str, dict[str, float]]:
    """Hits and misses a second of some processes over PostgreSQL and Redis."""
    found: dict[str, dict[str, float]] = {}
    with PrivatePostgres() as postgres, PrivateRedis() as redis:
        for count in processes:
            redis.flush()
            place = home / f"processes-{count}"
            place.mkdir()
            url = postgres.url(postgres.create_database())
            with Installation(
                place, database_url=url, redis_url=redis.url, workers=count, limits=_MANY, simulator=_GENEROUS
            ) as installation:
                installation.start()
                way = Way(name=str(count), port=installation.port, key=installation.key()["api_key"])
                figures = {}
                for name, bodies in (("hits", same()), ("misses", different())):
                    put_on(way, bodies, connections=32, seconds=_WARM_S)
                    told = put_on(way, bodies, connections=32, seconds=seconds)
                    figures[f"{name} a second, 32 connections"] = told.answers / told.seconds
                    figures[f"{name} that failed"] = told.failures.total()
                    for failure, times in told.failures.most_common(3):
                        print(f"{count} processes, {name}: {times} x {failure}", file=sys.stderr, flush=True)
                found[f"{count} process{'' if count == 1 else 'es'}"] = figures
                print(f"{count}: {figures}", file=sys.stderr, flush=True)
    return found


def _print(figures: Mapping[str, Mapping[str, float]]) -> None:
    names = list(dict.fromkeys(name for each in figures.values() for name in each))
    print(f"{'':36}" + "".join(f"{way:>14}" for way in figures))
    for name in names:
        cells = (figures[way].get(name) for way in figures)
        print(f"{name:36}" + "".join(f"{'' if cell is None else f'{cell:.2f}':>14}" for cell in cells))


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm", metavar="PATH", help="the `litellm` command; otherwise it is left out")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each load")
    parser.add_argument("--rounds", type=int, default=100, help="calls for the median of a miss")
    parser.add_argument("--part", choices=("beside", "scaling"), help="one of the two alone")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    assert find_program("nginx"), "nginx is not installed"
    with tempfile.TemporaryDirectory(prefix="bursar-bench") as name:
        home = Path(name)
        beside = home / "beside"
        beside.mkdir()
        figures, more = {}, {}
        if options.part != "scaling":
            figures = side_by_side(
                beside, litellm_command=options.litellm, seconds=options.seconds, rounds=options.rounds
            )
        if options.part != "beside":
            more = scaling(home, processes=(1, 2, 4), seconds=options.seconds)
    if options.json:
        print(json.dumps({"beside": figures, "scaling": more}))
        return
    for each in (figures, more):
        if each:
            _print(each)


if __name__ == "__main__":
    main()
