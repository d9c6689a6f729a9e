"""The job that keeps an eye on the log: it must go on being the one that this process has seen.

Every second the head is compared with the newest checkpoint that is known to be committed, and that
checkpoint is kept in the data directory, for the next start. Where the log is behind or another, nothing is
appended until it is itself again, or until a new epoch tells what was lost. The file of the key that signs is
looked at as often, since it may have been renewed.
"""

import asyncio
from pathlib import Path
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from app.administration.key_files import LogKeyFile
from app.audit.notes import Kept
from app.errors import BadSetting, LogBroken, RollbackDetected, Unavailable
from app.storage.checkpoint_files import keep_newest, newest_anchored, newest_seen
from app.storage.engines import Database
from app.storage.history import first_objection, read_history
from app.storage.log import Boot, rollback_message
from app.storage.tables import HeadRow, table

_EVERY_S: Final = 1.0
_TREE_EVERY: Final = 15
"""Rounds between two looks at whether the tree of what was seen is still how the log begins."""
_HEAD: Final = sa.select(
    *(table(HeadRow).c[name] for name in ("origin", "size", "checkpoint")),
)

_log = structlog.get_logger()


def known_checkpoints(data_dir: Path, anchor_dir: Path | None) -> list[Kept]:
    """The newest of each source that this installation has. Raises BadSetting where one cannot be read."""
    seen = newest_seen(data_dir)
    return ([] if seen is None else [seen]) + ([] if anchor_dir is None else newest_anchored(anchor_dir))


class Watch:
    """Compares and keeps. `look` or `require` before anything is appended; `start` and `stop` for the job."""

    def __init__(
        self,
        *,
        database: Database,
        boot: Boot,
        data_dir: Path,
        anchor_dir: Path | None = None,
        log_key: LogKeyFile | None = None,
    ) -> None:
        self._database = database
        self._boot = boot
        self._data_dir = data_dir
        self._anchor_dir = anchor_dir
        self._log_key = log_key
        self._saved: Kept | None = None
        self._compared: Kept | None = None
        """The newest whose tree was compared with the log's, and not its size alone."""
        self._rounds = 0
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Compare the log with all that is known of it; where it is behind or another, nothing may be appended.

        Raises LogBroken and BadSetting.
        """
        known = await asyncio.to_thread(known_checkpoints, self._data_dir, self._anchor_dir)

        def work(conn: Connection) -> tuple[str | None, Kept | None]:
            return first_objection(read_history(conn), known), _newest(conn, self._boot)

        found, newest = await self._database.read(work)
        self._boot.trouble = found
        if found is None and newest is not None:
            self._boot.see(newest)

    async def require(self) -> None:
        """As `look`; raises RollbackDetected where nothing may be appended."""
        await self.look()
        if self._boot.trouble is not None:
            raise RollbackDetected(rollback_message(self._boot.trouble))

    def start(self) -> None:
        """Begin the job."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it, with the newest checkpoint kept; call when nothing more is appended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.keep()

    async def compare(self) -> None:
        """One round: see how the log goes on, or note why nothing may be appended."""
        self._rounds += 1
        seen = self._boot.seen
        self._compared = self._compared or seen
        looks_closer = self._boot.trouble is not None or self._rounds % _TREE_EVERY == 0

        def work(conn: Connection) -> tuple[str | None, Kept | None]:
            try:
                newest = _newest(conn, self._boot)
            except LogBroken as error:
                return error.message, None
            if seen is None:
                return None, newest
            then = seen.checkpoint
            now = None if newest is None else newest.checkpoint
            is_ahead = now is not None and now.origin == then.origin and now.size >= then.size
            if is_ahead and not looks_closer:
                return None, newest
            known = [seen] if self._compared is None else [seen, self._compared]
            try:
                return first_objection(read_history(conn), known), newest
            except LogBroken as error:
                return error.message, newest

        found, newest = await self._database.read(work)
        if found is not None and found != self._boot.trouble:
            _log.error(RollbackDetected.code, found=found)
        self._boot.trouble = found
        if found is None and newest is not None:
            self._boot.see(newest)
            if looks_closer:
                self._compared = newest

    async def keep(self) -> None:
        """Have the newest checkpoint in the data directory."""
        seen = self._boot.seen
        if seen is None or seen == self._saved:
            return
        try:
            await asyncio.to_thread(keep_newest, self._data_dir, seen)
        except OSError as error:
            _log.warning("the newest checkpoint could not be kept", why=type(error).__name__)
        else:
            self._saved = seen

    async def _follow_key(self) -> None:
        if self._log_key is None or self._boot.signer is None:
            return
        try:
            fresh = await asyncio.to_thread(self._log_key.changed)
        except BadSetting as error:
            _log.warning("the log's key file changed and cannot be read", why=error.message)
        else:
            if fresh is not None:
                self._boot.signer.become(fresh)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self._follow_key()
            try:
                await self.compare()
            except Unavailable:
                pass  # what cannot be read cannot be appended to either
            except Exception:  # noqa: BLE001 - the job must go on, since nothing else compares
                _log.exception("the log could not be compared with what was seen of it")
            await self.keep()


def _newest(conn: Connection, boot: Boot) -> Kept | None:
    """The head's own checkpoint; None before the first entry.

    Raises LogBroken where it is of another tree, or the log's key did not sign it.
    """
    head = conn.execute(_HEAD).one()
    if not head.checkpoint:
        return None
    kept = Kept.parse(bytes(head.checkpoint))
    if (kept.checkpoint.origin, kept.checkpoint.size) != (head.origin, head.size):
        raise LogBroken("the head of the log and its checkpoint are of two trees")
    boot.verify(kept)
    return kept
