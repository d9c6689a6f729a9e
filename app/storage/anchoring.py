"""The job that gives the newest checkpoint to places outside: files, and whoever notices go to.

Whoever can rewrite the database and has the log's key can make another log that verifies; what was anchored
before shows that it is another. One process of a deployment has the duty at a time.
"""

import asyncio
import contextlib
import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from app.administration.notices import Notice, checkpoint_of_day, checkpoint_signed
from app.audit.epochs import order_of
from app.audit.notes import Checkpoint, Kept
from app.errors import Unavailable
from app.storage.checkpoint_files import anchor_in
from app.storage.engines import Database
from app.storage.leases import hold, release
from app.storage.log import Boot
from app.storage.notices import tell
from app.storage.prepared import upsert
from app.storage.tables import AnchorRow, table

FILE: Final = "file"
NOTICES: Final = "notices"
_DUTY: Final = "anchors"
_LEASE_S: Final = 60.0
_RETRY_AFTER_S: Final = 30.0
_LOOK_EVERY_S: Final = 5.0
_MOST_REASON_CHARS: Final = 200
_anchor: Final = table(AnchorRow)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """What a channel was given last, when, and why the last try failed (None: it did not)."""

    channel: str
    origin: str
    size: int
    done_us: int
    tried_us: int
    problem: str | None


def read_anchors(conn: Connection) -> list[Anchored]:
    """Where each channel stands."""
    rows = conn.execute(sa.select(_anchor).order_by(_anchor.c.channel)).mappings()
    return [Anchored(**row) for row in rows]


class Anchorer:
    """Anchors every `every_s` seconds while the log grows. `stop` anchors in files once more."""

    def __init__(
        self,
        *,
        database: Database,
        boot: Boot,
        every_s: float,
        directory: Path | None = None,
        tells: bool = False,
    ) -> None:
        self._database = database
        self._boot = boot
        self._every_s = every_s
        self._directory = directory
        self._channels = ([FILE] if directory is not None else []) + ([NOTICES] if tells else [])
        self._owner = f"{boot.id}:{secrets.token_hex(4)}"
        self._task: asyncio.Task[None] | None = None
        self.stands: Mapping[str, Anchored] = {}
        """Where each channel stands, as this process last read it."""
        self.failures = 0
        """How many tries of this process failed."""

    def start(self) -> None:
        """Begin, where there is anywhere to anchor."""
        if self._channels:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End, with the newest checkpoint in the files; call when nothing more is appended."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._directory is not None:
            with contextlib.suppress(Unavailable):  # what is not anchored now is at the next start
                await self.anchor(FILE)

    async def work_off(self) -> list[str]:
        """The channels that were given the newest checkpoint now, since it was time."""
        stands = await self._read()
        now_us = await self._database.read(self._database.now_us)
        return [
            name
            for name in self._channels
            if self._is_due(stands.get(name), now_us) and await self.anchor(name)
        ]

    async def anchor(self, channel: str) -> bool:
        """Whether the channel has been given the newest checkpoint by this process."""
        kept = self._boot.seen
        if kept is None or self._boot.trouble is not None or self._has(channel, kept.checkpoint):
            return False

        def take(conn: Connection) -> bool:
            now_us = self._database.now_us(conn)
            return hold(conn, self._database.dialect, _DUTY, self._owner, now_us=now_us, for_s=_LEASE_S)

        if not await self._database.write(take):
            return False
        problem = await self._in_file(kept) if channel == FILE else None
        if problem is not None:
            self.failures += 1
            _log.warning("the log could not be anchored", channel=channel, why=problem)
        await self._database.write(lambda conn: self._settle(conn, channel, kept, problem))
        await self._read()
        return problem is None

    def _has(self, channel: str, checkpoint: Checkpoint) -> bool:
        there = self.stands.get(channel)
        return (
            there is not None
            and (there.origin, there.size) == (checkpoint.origin, checkpoint.size)
            and there.problem is None
        )

    async def _in_file(self, kept: Kept) -> str | None:
        if self._directory is None:
            return "there is no directory"
        try:
            await asyncio.to_thread(anchor_in, self._directory, kept)
        except OSError as error:
            return f"{type(error).__name__}: {error.strerror}"[:_MOST_REASON_CHARS]
        return None

    def _settle(self, conn: Connection, channel: str, kept: Kept, problem: str | None) -> None:
        now_us = self._database.now_us(conn)
        before = self.stands.get(channel)
        row: dict[str, object] = {"channel": channel, "tried_us": now_us, "problem": problem}
        if problem is None:
            row |= {"origin": kept.checkpoint.origin, "size": kept.checkpoint.size, "done_us": now_us}
        else:
            row |= {"origin": before.origin if before else "", "size": before.size if before else 0}
            row |= {"done_us": before.done_us if before else 0}
        if channel == NOTICES:
            tell(conn, self._database.dialect, _notices(kept, now_us), now_us=now_us)
        conn.execute(upsert(self._database.dialect, _anchor), [row])
        release(conn, _DUTY, self._owner)

    def _is_due(self, there: Anchored | None, now_us: int) -> bool:
        if there is None:
            return True
        since_us = there.tried_us if there.problem is not None else there.done_us
        wait_s = min(_RETRY_AFTER_S, self._every_s) if there.problem is not None else self._every_s
        return now_us - since_us >= wait_s * 1_000_000

    async def _read(self) -> Mapping[str, Anchored]:
        self.stands = {each.channel: each for each in await self._database.read(read_anchors)}
        return self.stands

    async def _run(self) -> None:
        while True:
            try:
                await self.work_off()
            except Unavailable:
                pass
            except Exception:  # noqa: BLE001 - the job must go on
                _log.exception("the log could not be anchored")
            await asyncio.sleep(min(_LOOK_EVERY_S, self._every_s))


def _notices(kept: Kept, now_us: int) -> list[Notice]:
    day = dt.datetime.fromtimestamp(now_us / 1_000_000, dt.UTC).date()
    note = kept.note.decode()
    size, origin = kept.checkpoint.size, kept.checkpoint.origin
    epoch = order_of(kept.checkpoint)[0]
    return [
        checkpoint_signed(origin=origin, epoch=epoch, size=size, note=note),
        checkpoint_of_day(origin=origin, size=size, note=note, day=day),
    ]
