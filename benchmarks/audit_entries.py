"""How many entries a second the log takes, durably, and how long one waits; beside a log that keeps nothing.

Run it with `./dev python -m benchmarks.audit_entries`; it needs PostgreSQL. `nothing` is the same path, queue, batch
and hand-over, with a writer that throws each batch away: what is left of its figures is what the log costs. Each
row is the median of several rounds, and rows take turns, so that what the machine does beside it meets all alike.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.audit.calls import Origin, Scribe
from app.audit.entries import Receipt
from app.clock import SystemClock
from app.storage.books import SqlBooks, _Waiting
from app.storage.engines import open_database
from app.storage.log import check_log
from app.storage.schema import migrate
from tests.servers.postgres import PrivatePostgres
from tests.signing import boot

_SCRIBE = Scribe(b"k" * 32)
_ORIGIN = Origin(
    method="POST", route="/v2/research/video/query/", request_bytes=400, address="192.0.2.1", agent="curl/8"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to write."""

    name: str
    database: str
    processes: int
    in_flight: int

    @property
    def label(self) -> str:
        return f"{self.name}, {self.processes} x {self.in_flight} in flight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Entries a second of all processes, and milliseconds that one waits."""

    per_second: float
    median_ms: float
    p99_ms: float


class Nothing(SqlBooks):
    """Books whose commits write nothing and are done at once."""

    async def _write(self, batch: list[_Waiting]) -> None:
        await asyncio.sleep(0)
        for waiting in batch:
            receipt = Receipt(id="0" * 32, index=0, size=1, leaf_hash=b"", ts_us=0, origin="nothing")
            self._acknowledge(waiting, receipt)


async def write(
    url: str, *, in_flight: int, seconds: float, is_kept: bool, run: str
) -> tuple[int, list[float]]:
    """How many entries one process wrote, and how long each of them took, in seconds."""
    database = open_database(url)
    books = (SqlBooks if is_kept else Nothing)(
        database=database, clock=SystemClock(), boot=boot("benchmark", run), reap_every_s=10**6
    )
    await books.start()
    waits: list[float] = []
    ends_s = time.monotonic() + seconds

    async def one() -> None:
        while (began_s := time.monotonic()) < ends_s:
            await books.note(_SCRIBE.refused(_ORIGIN, code="invalid_params", rule="fields-approved/1"))
            waits.append(time.monotonic() - began_s)

    await asyncio.gather(*(one() for _ in range(in_flight)))
    await books.stop()
    await database.close()
    return len(waits), waits


def measure(row: Row, *, seconds: float) -> Measured:
    """One round of a row, in processes of their own."""
    command = [sys.executable, "-m", "benchmarks.audit_entries", "--worker", row.database]
    command += ["--in-flight", str(row.in_flight), "--seconds", str(seconds), "--name", row.name]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(row.processes)
    ]
    told = [json.loads(each.communicate()[0]) for each in started]
    waits = sorted(wait for each in told for wait in each["waits"])
    return Measured(
        per_second=sum(each["count"] for each in told) / seconds,
        median_ms=1_000 * waits[len(waits) // 2],
        p99_ms=1_000 * waits[len(waits) * 99 // 100],
    )


def table(rows: Sequence[Row], rounds: Sequence[Sequence[Measured]]) -> None:
    """Print the median of each row, and its share of what nothing reaches with as many processes and in flight."""
    medians = {
        row: Measured(
            per_second=statistics.median(each.per_second for each in found),
            median_ms=statistics.median(each.median_ms for each in found),
            p99_ms=statistics.median(each.p99_ms for each in found),
        )
        for row, found in zip(rows, zip(*rounds, strict=True), strict=True)
    }
    beside = {
        (row.processes, row.in_flight): found.per_second
        for row, found in medians.items()
        if row.name == "nothing"
    }
    print(f"{'':42} {'entries/s':>10} {'median ms':>10} {'p99 ms':>8} {'of nothing':>11}")
    for row, found in medians.items():
        share = found.per_second / beside[row.processes, row.in_flight]
        print(
            f"{row.label:42} {found.per_second:10,.0f} {found.median_ms:10.2f} {found.p99_ms:8.1f} {share:11.2f}"
        )


async def prepare(url: str) -> None:
    await migrate(url)


async def count(url: str) -> int:
    database = open_database(url)
    try:
        return await database.read(check_log)
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker")
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--name", default="")
    given = parser.parse_args()
    if given.worker:
        number, waits = asyncio.run(
            write(
                given.worker,
                in_flight=given.in_flight,
                seconds=given.seconds,
                is_kept=given.name != "nothing",
                run=os.urandom(8).hex(),
            )
        )
        print(json.dumps({"count": number, "waits": waits}))
        return
    with tempfile.TemporaryDirectory() as home, PrivatePostgres() as server:
        sqlite = f"sqlite+aiosqlite:///{Path(home) / 'bursar.db'}"
        postgres = server.url(server.create_database())
        for url in (sqlite, postgres):
            asyncio.run(prepare(url))
        loads = ((1, 1), (1, 32), (1, 256), (4, 32), (4, 256))
        rows = [
            *(
                Row(name="nothing", database=sqlite, processes=processes, in_flight=many)
                for processes, many in loads
            ),
            *(Row(name="SQLite", database=sqlite, processes=1, in_flight=many) for many in (1, 32, 256)),
            *(
                Row(name="PostgreSQL", database=postgres, processes=processes, in_flight=many)
                for processes, many in loads
            ),
        ]
        rounds = [[measure(row, seconds=given.seconds) for row in rows] for _ in range(given.rounds)]
        table(rows, rounds)
        kept = sum(asyncio.run(count(url)) for url in (sqlite, postgres))
        print(f"{kept:,} entries in both logs, and both make up their trees")


if __name__ == "__main__":
    main()
