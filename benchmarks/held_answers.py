"""Whether memory stays flat over many hits, and how soon ten thousand held answers serve again after a restart.

Run it with `./dev python -m benchmarks.held_answers --hits 1000000`. One process on SQLite, as installed by default, with a
database in a directory that goes afterwards; the stand-in for the platform runs beside it.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.servers.bursar import Installation
from tests.servers.load import Told, ask_all, lookups

_IN_FLIGHT = 32
_FIRST = 1_000
"""Questions of the hits: few enough that all are at hand, so that what grows is not what is held."""
_LOOKS = 20
"""Times that the memory is looked at, at even distances."""
_LIMITS = {"requests/day": 10_000_000, "records/day": 10_000_000}
_MANY = ("--requests-per-day", "10000000", "--records-per-day", "10000000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Memory in MB (10^6 bytes), times in seconds."""

    held: int
    fetch_s: float
    hits: int
    memory_at_start_mb: float
    memory_after_a_tenth_mb: float
    memory_at_end_mb: float
    hits_s: float
    ready_again_s: float
    reopen_s: float
    refetched: int

    def ratios(self) -> dict[str, float]:
        """What can be compared between machines."""
        return {
            "memory at the end / after a tenth of the hits": self.memory_at_end_mb
            / self.memory_after_a_tenth_mb,
            "time to serve each held answer after a restart, start included / to fetch them": (
                self.ready_again_s + self.reopen_s
            )
            / self.fetch_s,
        }


def resident_mb(pid: int) -> float:
    """The resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024 / 1e6
    raise RuntimeError("the process has ended")


def good(answers: Sequence[Told], count: int) -> None:
    """Fail where an answer is missing or is none."""
    if len(answers) != count or {each.status for each in answers} != {200}:
        raise RuntimeError(f"{len(answers)} of {count} answers: {Counter(each.code for each in answers)}")


async def fetched(installation: Installation, key: str, count: int) -> tuple[list[tuple[str, bytes]], float]:
    """So many questions whose answers are held from now on, and how long it took to fetch them."""
    turns = asyncio.Semaphore(_IN_FLIGHT)

    async def ask(question: tuple[str, bytes]) -> tuple[tuple[str, bytes], Told]:
        async with turns:
            (answer,) = await ask_all(installation.base_url, key, [question], in_flight=1)
            return question, answer

    found: list[tuple[str, bytes]] = []
    first, began = 1, time.perf_counter()
    while len(found) < count:
        some = lookups(first, first + count - len(found))
        first += len(some)
        # Of the stand-in's accounts some cannot be found.
        told = await asyncio.gather(*map(ask, some))
        found += [question for question, answer in told if answer.status == 200]
    return found, time.perf_counter() - began


async def measure(home: Path, *, held: int, hits: int) -> Figures:
    """All figures, in one run."""
    url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
    with Installation(home, database_url=url, limits=_LIMITS, simulator=_MANY) as installation:
        key = installation.key()["api_key"]
        gateway = installation.start()
        questions, fetch_s = await fetched(installation, key, held)
        few = questions[:_FIRST]
        at_start, looks, began = resident_mb(gateway.popen.pid), list[float](), time.perf_counter()
        each = hits // _LOOKS
        for _ in range(_LOOKS):
            asked = itertools.islice(itertools.cycle(few), each)
            good(await ask_all(installation.base_url, key, asked, in_flight=_IN_FLIGHT), each)
            looks.append(resident_mb(gateway.popen.pid))
            print(f"{len(looks) * each:>10,} hits: {looks[-1]:.1f} MB", flush=True)
        hits_s = time.perf_counter() - began
        gateway.stop()
        before, began = installation.upstream()["requests"], time.perf_counter()
        installation.start()
        ready_s = time.perf_counter() - began
        began = time.perf_counter()
        good(await ask_all(installation.base_url, key, questions, in_flight=_IN_FLIGHT), len(questions))
        return Figures(
            held=len(questions),
            fetch_s=fetch_s,
            hits=each * _LOOKS,
            memory_at_start_mb=at_start,
            memory_after_a_tenth_mb=statistics.fmean(looks[:2]),
            memory_at_end_mb=looks[-1],
            hits_s=hits_s,
            ready_again_s=ready_s,
            reopen_s=time.perf_counter() - began,
            refetched=installation.upstream()["requests"] - before,
        )


def main() -> None:
    """Print the figures and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", type=int, default=10_000, help="answers that are held")
    parser.add_argument("--hits", type=int, default=20_000, help="hits over which memory is watched")
    parser.add_argument("--json", action="store_true", help="one JSON document at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bursar-bench") as home:
        figures = asyncio.run(measure(Path(home), held=options.held, hits=options.hits))
    if options.json:
        print(json.dumps({**asdict(figures), "ratios": figures.ratios()}))
        return
    for name, value in {**asdict(figures), **figures.ratios()}.items():
        print(f"{name:80} {value:10.3f}")


if __name__ == "__main__":
    main()
