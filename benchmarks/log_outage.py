"""How soon a log that cannot be written is noticed, refused and got over.

Run it with `./dev python -m benchmarks.log_outage`; it needs PostgreSQL. For each way in which the database fails: seconds
until `/readyz` says so, the slowest refusal, and seconds from its end to the next answer and to `/readyz` 200.
"""

import argparse
import contextlib
import itertools
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.servers.bursar import Installation, call
from tests.servers.load import USER_INFO
from tests.servers.postgres import PrivatePostgres

_CALLERS = 8
_LIMITS = {"requests/day": 1_000_000, "records/day": 1_000_000}
_GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "1000000")
Outage = Callable[[], AbstractContextManager[None]]


class Callers:
    """Threads that ask without a pause; each answer's status, when it came and how long it took."""

    def __init__(self, installation: Installation, key: str) -> None:
        self.answers: list[tuple[float, float, int]] = []
        self._installation = installation
        self._headers = {"Authorization": f"Bearer {key}"}
        self._is_over = threading.Event()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._ask) for _ in range(_CALLERS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._is_over.is_set():
            body = b'{"username":"sim_user_%d"}' % next(self._numbers)
            began_s = time.monotonic()
            with contextlib.suppress(OSError):
                status, *_ = call(
                    self._installation.port, "POST", USER_INFO, body=body, headers=self._headers
                )
                ended_s = time.monotonic()
                self.answers.append((ended_s, ended_s - began_s, status))

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()


def ready_is(installation: Installation, status: int) -> float:
    """Seconds until `/readyz` answers so."""
    began_s = time.monotonic()
    while call(installation.port, "GET", "/readyz")[0] != status:
        time.sleep(0.02)
    return time.monotonic() - began_s


def measure(name: str, installation: Installation, key: str, outage: Outage, *, seconds: float) -> None:
    callers = Callers(installation, key)
    time.sleep(1)
    with outage():
        noticed_s = ready_is(installation, 503)
        time.sleep(seconds)
    over_s = time.monotonic()
    ready_s = ready_is(installation, 200)
    time.sleep(1)
    callers.end()
    slowest_s = max(took_s for _, took_s, status in callers.answers if status == 503)
    served_s = min(at_s for at_s, _, status in callers.answers if at_s > over_s and status != 503) - over_s
    print(f"{name:34} {noticed_s:8.2f} {slowest_s:8.2f} {served_s:8.2f} {ready_s:8.2f}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def stopped(server: PrivatePostgres) -> Iterator[None]:
    server.pause()
    yield
    server.resume()


@contextmanager
def crashed(server: PrivatePostgres) -> Iterator[None]:
    server.stop(signal.SIGQUIT)
    yield
    server.start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    print(f"{'seconds':34} {'noticed':>8} {'refused':>8} {'served':>8} {'ready':>8}")
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "bursar.db"
        url = f"sqlite+aiosqlite:///{path}"
        with Installation(Path(home), database_url=url, limits=_LIMITS, simulator=_GENEROUS) as embedded:
            key = embedded.key()["api_key"]
            embedded.start()
            measure("SQLite, locked", embedded, key, lambda: locked(path), seconds=given.seconds)
    with tempfile.TemporaryDirectory() as home, PrivatePostgres() as server:
        url = server.url(server.create_database())
        with Installation(Path(home), database_url=url, limits=_LIMITS, simulator=_GENEROUS) as served:
            key = served.key()["api_key"]
            served.start()
            measure("PostgreSQL, stands still", served, key, lambda: stopped(server), seconds=given.seconds)
            measure("PostgreSQL, crashed", served, key, lambda: crashed(server), seconds=given.seconds)


if __name__ == "__main__":
    main()
