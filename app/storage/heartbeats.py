"""Heartbeats: entries by which a quiet time can be told from one whose entries are missing.

A deployment writes one every so many seconds, whichever process finds first, under the lock of the head, that it
is due; the others see it and wait on. Each process writes one more when it starts and when it stops.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Literal

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from app.audit.entries import Draft
from app.errors import BursarError, Unavailable
from app.storage.engines import Database
from app.storage.log import Boot, LockedHead, lock_head
from app.storage.prepared import DIALECTS, Prepared, upsert
from app.storage.tables import RunRow, table

_MISSED: Final = 3
"""A process that was not seen for so many intervals counts as gone."""
_FORGOTTEN_US: Final = 86_400_000_000
_MOST_NAMED: Final = 64
_TRY_AGAIN_S: Final = 1.0

What = Literal["start", "alive", "shutdown"]

_log = structlog.get_logger()
_run: Final = table(RunRow)
_RUNS: Final = Prepared(sa.select(_run.c.boot, _run.c.replica, _run.c.seen_us, _run.c.beat_us))
_SEEN: Final = {dialect: Prepared(upsert(dialect, _run)) for dialect in DIALECTS}
_FORGET: Final = Prepared(
    sa.delete(_run).where(
        sa.or_(_run.c.boot == sa.bindparam("stopped"), _run.c.seen_us < sa.bindparam("long_ago_us"))
    )
)


class Heartbeats:
    """Writes this process's heartbeats, every `every_s` seconds and at both of its ends.

    `config` is the digest of its settings, `release` the program's version. `failed` is told of each that could not
    be written.
    """

    def __init__(
        self,
        *,
        database: Database,
        boot: Boot,
        every_s: float,
        config: str,
        release: str,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._boot = boot
        self._every_s = every_s
        self._config = config
        self._release = release
        self._failed = failed
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Write the first heartbeat of this process, and go on. Raises Unavailable when it cannot be written."""
        wait_s = await self.beat("start")
        self._task = asyncio.create_task(self._go_on(wait_s))

    async def stop(self) -> None:
        """Write the last one, if it can be written; call when nothing else of this process will be."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        try:
            await self.beat("shutdown")
        except BursarError as error:
            _log.warning("the last heartbeat could not be written", error=error.message)

    async def beat(self, what: What = "alive") -> float:
        """Seconds until the next heartbeat is due, once the one that is due now was written, by whomever."""
        _, wait_s = await self._database.write(
            lambda conn: self._beat(conn, what), committed=lambda done: done[0].committed()
        )
        return wait_s

    async def _go_on(self, wait_s: float) -> None:
        while not await self._is_stopped_within(wait_s):
            try:
                wait_s = await self.beat()
            except Unavailable:
                wait_s = _TRY_AGAIN_S
                self._failed()
            except Exception:  # noqa: BLE001 - the next try may find it mended, and silence would be a gap
                _log.exception("a heartbeat could not be written")
                wait_s = _TRY_AGAIN_S

    async def _is_stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()

    def _beat(self, conn: Connection, what: What) -> tuple[LockedHead, float]:
        head = lock_head(conn, self._database, self._boot)
        # Not the head's own time, which stands still after a clock was set back.
        now_us, every_us = self._database.now_us(conn), int(self._every_s * 1_000_000)
        runs = _RUNS.rows(conn)
        newest_us = max((beat_us for *_, beat_us in runs), default=0)
        own_us = next((beat_us for boot, *_, beat_us in runs if boot == self._boot.id), 0)
        is_due = what != "alive" or not newest_us <= now_us < newest_us + every_us
        if is_due:
            newest_us = own_us = now_us
            others = {
                f"{replica}/{boot}"
                for boot, replica, seen_us, _ in runs
                if boot != self._boot.id and abs(now_us - seen_us) < _MISSED * every_us
            }
            head.stage(self._draft(what, others))
        row = {
            "boot": self._boot.id,
            "replica": self._boot.replica,
            "seen_us": now_us,
            "beat_us": own_us,
        }
        _SEEN[self._database.dialect].run(conn, row)
        if is_due:
            stopped = self._boot.id if what == "shutdown" else ""
            _FORGET.run(conn, {"stopped": stopped, "long_ago_us": now_us - _FORGOTTEN_US})
            head.write()
        return head, (newest_us + every_us - now_us) / 1_000_000

    def _draft(self, what: What, others: set[str]) -> Draft:
        """`alive` names this process too, unless it stops."""
        own = set() if what == "shutdown" else {f"{self._boot.replica}/{self._boot.id}"}
        return Draft(
            type="heartbeat",
            fields={
                "what": what,
                "alive": sorted(own | others)[:_MOST_NAMED],
                "every_s": int(self._every_s),
                "config": self._config,
                "release": self._release,
            },
        )
