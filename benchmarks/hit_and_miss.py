"""What a hit and a miss cost through the gateway, beside a bare route and a direct call.

Run it with `./dev python -m benchmarks.hit_and_miss`; it needs `wrk` and `taskset`. The server under test
has one core to itself, and whoever calls it has the other, so run it on a machine that does nothing else.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET, Installation, Process, call, video_query
from tests.servers.programs import free_port

_FIELDS = (
    "id,username,create_time,region_code,video_description,music_id,like_count,comment_count,share_count,"
    "view_count,favorites_count,hashtag_names,video_duration,voice_to_text,effect_ids,hashtag_info_list"
)
PATH = f"/v2/research/video/query/?fields={_FIELDS}"
_BARE = """
import sys
from fastapi import FastAPI, Request, Response
body = open(sys.argv[1], "rb").read()
app = FastAPI()
@app.post("/v2/research/video/query/")
async def answer(request: Request) -> Response:
    await request.body()
    return Response(body, media_type="application/json")
@app.get("/")
async def ready() -> dict[str, str]:
    return {}
import uvicorn
uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", access_log=False, log_level="error")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Throughput in requests a second, latencies in milliseconds."""

    answer_bytes: int
    bare_per_s: float
    hit_per_s: float
    bare_median_ms: float
    hit_median_ms: float
    fdatasync_ms: float
    direct_median_ms: float
    miss_median_ms: float

    def ratios(self) -> dict[str, float]:
        """What the aims in the design are stated in."""
        allowed_ms = 3 * self.bare_median_ms + self.fdatasync_ms
        return {
            "hit throughput / bare route, 32 connections (aim: at least 0.4)": self.hit_per_s
            / self.bare_per_s,
            "hit median / (3 x bare median + fdatasync), 1 connection (aim: at most 1)": self.hit_median_ms
            / allowed_ms,
            "added by a miss at the median, ms (aim: at most 3)": self.miss_median_ms - self.direct_median_ms,
        }


def wrk(
    port: int, key: str, body: bytes, script: Path, *, connections: int, seconds: int
) -> tuple[float, float]:
    """Requests a second and median latency in ms."""
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [==[{body.decode()}]==]\n'
        f'wrk.headers["Authorization"] = "Bearer {key}"\nwrk.headers["Content-Type"] = "application/json"\n'
    )
    url = f"http://127.0.0.1:{port}{PATH}"
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    done = subprocess.run([*command, "-s", str(script), url], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])  # type: ignore[index]
    found = re.search(r"50%\s+([\d.]+)(us|ms|s)", done.stdout)
    assert found is not None
    return rate, float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def fdatasync_ms(directory: Path) -> float:
    """The median of writing 8 kB and making it durable, where the database lies."""
    times = []
    with (directory / "sync").open("wb", buffering=0) as file:
        for _ in range(300):
            started = time.perf_counter()
            file.write(b"x" * 8192)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


_BROAD = {"and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE"]}]}


def _never(number: int) -> dict[str, Any]:
    """A condition that no video meets, another one for each number."""
    return {"field_name": "keyword", "operation": "EQ", "field_values": [f"nothing says {number}"]}


def new_question(number: int) -> bytes:
    """A full page of a question with an answer of its own."""
    return video_query(query={**_BROAD, "not": [_never(number)]})


def medians_ms(calls: dict[str, tuple[int, str]], *, rounds: int) -> dict[str, float]:
    """The median of one call at a time on kept connections, the ways taken in turn; every question is new."""
    connections = {name: http.client.HTTPConnection("127.0.0.1", port) for name, (port, _) in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name, (_, key) in calls.items():
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            # The same of the platform, both ways.
            body = new_question(number)
            started = time.perf_counter()
            connections[name].request("POST", PATH, body=body, headers=headers)
            answer = connections[name].getresponse()
            answer.read()
            times[name].append((time.perf_counter() - started) * 1000)
            assert answer.status == 200, answer.status
            found = answer.headers.get("Cache-Status")
            assert found is None or "fwd=miss" in found, found
    return {name: statistics.median(values) for name, values in times.items()}


def token_of_simulator(port: int) -> str:
    """An access token of the stand-in itself."""
    form = f"client_key={CLIENT_KEY}&client_secret={CLIENT_SECRET}&grant_type=client_credentials"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = call(port, "POST", "/v2/oauth/token/", body=form.encode(), headers=headers)[2]
    token: str = json.loads(answer)["access_token"]
    return token


@contextmanager
def bare_route(body: bytes, home: Path) -> Iterator[int]:
    """A FastAPI route that returns the same bytes, on one core."""
    (home / "body").write_bytes(body)
    port = free_port()
    command = [sys.executable, "-c", _BARE, str(home / "body"), str(port)]
    process = Process(command, port=port, ready="/", environ=os.environ, log=home / "bare.log")
    pin(process)
    try:
        yield port
    finally:
        process.kill()


def pin(process: Process) -> None:
    """Give the process the first core."""
    subprocess.run(["taskset", "-acp", "0", str(process.popen.pid)], check=True, capture_output=True)


def measure(home: Path, *, seconds: int, rounds: int) -> Figures:
    """All figures, in one run."""
    limits = {"requests/day": 1_000_000, "records/day": 100_000_000}
    many = ("--requests-per-day", "1000000", "--records-per-day", "100000000")
    url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
    with Installation(home, database_url=url, limits=limits, simulator=many) as installation:
        key = installation.key()["api_key"]
        pin(installation.start())
        headers = {"Authorization": f"Bearer {key}"}
        body = video_query()
        _, _, answer = call(installation.port, "POST", PATH, body=body, headers=headers)
        script = home / "call.lua"
        with bare_route(answer, home) as bare:
            for port in (bare, installation.port):
                wrk(port, key, body, script, connections=32, seconds=1)
            bare_per_s, _ = wrk(bare, key, body, script, connections=32, seconds=seconds)
            hit_per_s, _ = wrk(installation.port, key, body, script, connections=32, seconds=seconds)
            _, bare_ms = wrk(bare, key, body, script, connections=1, seconds=seconds)
            _, hit_ms = wrk(installation.port, key, body, script, connections=1, seconds=seconds)
        ways = {
            "direct": (installation.simulator_port, token_of_simulator(installation.simulator_port)),
            "miss": (installation.port, key),
        }
        found = medians_ms(ways, rounds=rounds)
        return Figures(
            answer_bytes=len(answer),
            bare_per_s=bare_per_s,
            hit_per_s=hit_per_s,
            bare_median_ms=bare_ms,
            hit_median_ms=hit_ms,
            fdatasync_ms=fdatasync_ms(home),
            direct_median_ms=found["direct"],
            miss_median_ms=found["miss"],
        )


def main() -> None:
    """Print the figures and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=300, help="calls for each way of a miss")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bursar-bench") as home:
        figures = measure(Path(home), seconds=options.seconds, rounds=options.rounds)
    if options.json:
        print(json.dumps({**asdict(figures), "ratios": figures.ratios()}))
        return
    for name, value in {**asdict(figures), **figures.ratios()}.items():
        print(f"{name:75} {value:10.3f}")


if __name__ == "__main__":
    main()
