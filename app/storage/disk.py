"""The room on the disk that holds an embedded database, and a reserve in it for what must still be written.

A log that finds no room can only refuse, and a call that is out at the platform then has no end in the log. So new
calls are refused while there still is room, and a file of a fixed size keeps some for the ends of those under way.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final, Literal

import structlog

from app.settings import Settings

RESERVE_NAME: Final = "reserve"
_RESERVE_BYTES: Final = 16 * 1024 * 1024
"""Outcomes of a few hundred calls under way, each with its pages of the database's journal."""
_NO_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})

Level = Literal["fine", "filling", "full"]

_log = structlog.get_logger()


class Disk:
    """Looked at by whoever writes; `look` takes microseconds and never raises.

    At `warn_percent` used it is filling, at `refuse_percent` full; it is full too while the reserve is spent.
    """

    def __init__(
        self,
        directory: Path,
        *,
        warn_percent: int,
        refuse_percent: int,
        reserve_bytes: int = _RESERVE_BYTES,
    ) -> None:
        self._directory = directory
        self._reserve = directory / RESERVE_NAME
        self._reserve_bytes = reserve_bytes
        self._warn_percent = warn_percent
        self._refuse_percent = refuse_percent
        self._holds_reserve = False
        self.used_percent = 0.0
        self.level: Level = "fine"

    @property
    def is_spent(self) -> bool:
        """Whether the reserve is in use, so that nothing but ends of calls may be written."""
        return not self._holds_reserve

    def look(self) -> Level:
        """How full the disk is now; a change is told in a line of the log on standard error."""
        before = self.level
        self.used_percent = used_percent(self._directory)
        if not self._holds_reserve:
            self._holds_reserve = self._set_aside()
        if self.used_percent >= self._refuse_percent or not self._holds_reserve:
            self.level = "full"
        else:
            self.level = "filling" if self.used_percent >= self._warn_percent else "fine"
        if self.level != before:
            tell = _log.info if self.level == "fine" else _log.warning
            tell("the disk of the log is " + self.level, used_percent=round(self.used_percent, 1))
        return self.level

    def spend(self) -> bool:
        """Give the reserve's room away; False when that has been done already."""
        if not self._holds_reserve:
            return False
        self._holds_reserve = False
        with contextlib.suppress(OSError):
            self._reserve.unlink()
        self.level = "full"
        _log.error("the disk of the log has no room left: only calls under way are still logged")
        return True

    def _set_aside(self) -> bool:
        try:
            handle = os.open(self._reserve, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                os.posix_fallocate(handle, 0, self._reserve_bytes)
            finally:
                os.close(handle)
        except OSError:
            # Half a reserve would only take the room that somebody else needs.
            with contextlib.suppress(OSError):
                self._reserve.unlink()
            return False
        return True


def disk_of(settings: Settings) -> Disk | None:
    """The disk that the log lies on; None where a database server keeps it, whose disk is not seen from here."""
    directory = embedded_directory(settings)
    if directory is None:
        return None
    return Disk(
        directory,
        warn_percent=settings.disk_warn_percent,
        refuse_percent=settings.disk_refuse_percent,
    )


def embedded_directory(settings: Settings) -> Path | None:
    """Where the embedded database lies; None on a database server."""
    kind, _, path = settings.database_url.partition(":///")
    return Path(path).parent if kind.startswith("sqlite") else None


def used_percent(directory: Path) -> float:
    """How much of the room that this process may use is used, as df shows it; 0 where that cannot be seen."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return 0.0
    used = found.f_blocks - found.f_bfree
    return 100.0 * used / max(1, used + found.f_bavail)


def has_no_room(error: BaseException) -> bool:
    """Whether SQLite failed for want of room; some systems tell it as an error of reading or writing."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, sqlite3.Error):
            code = getattr(seen, "sqlite_errorcode", None)
            return code is not None and code & 0xFF in _NO_ROOM
        seen = getattr(seen, "orig", None) or seen.__cause__ or seen.__context__
    return False
