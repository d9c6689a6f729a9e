"""Whether a commit of the database is on disk when it is answered; where it need not be, nothing may be served."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.errors import BadSetting
from app.settings import Settings
from app.storage.engines import Database, parse_url

_MOUNTS: Final = Path("/proc/self/mountinfo")
_ASKED: Final = ("fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names")
_OVER_A_NETWORK: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "beegfs", "gpfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse"),
    }
)
"""File systems on which SQLite's locks or its write-ahead log do not hold (SQLite's "How To Corrupt", 2.1; "WAL")."""


async def require_durable(settings: Settings, database: Database) -> None:
    """Return if what is committed stays committed; raises BadSetting saying what to change.

    On PostgreSQL `fsync` and `full_page_writes` are on, and with BURSAR_SYNCHRONOUS_COMMIT=remote_apply a standby is
    named that commits wait for. SQLite lies on a disk of this machine.
    """
    if database.dialect == "sqlite":
        file = Path(parse_url(settings.database_url).database or "")
        kind = await asyncio.to_thread(file_system_of, file)
        if kind in _OVER_A_NETWORK:
            raise BadSetting(
                f"The database {file} lies on a network file system ({kind}), on which SQLite loses data. Put the data "
                "directory on a disk of this machine, or use PostgreSQL."
            )
        return
    found = await database.read(_server_settings)
    problem = objection(found, wanted=settings.synchronous_commit)
    if problem is not None:
        raise BadSetting(f"PostgreSQL may lose what it has committed: {problem}.")


def objection(found: Mapping[str, str], *, wanted: str) -> str | None:
    """What is wrong with the server's settings; None when commits are durable."""
    for name in ("fsync", "full_page_writes"):
        if found[name] != "on":
            return f"{name} is {found[name]}; set it to on"
    if found["synchronous_commit"] not in {"on", "remote_apply"}:
        return f"synchronous_commit is {found['synchronous_commit']}; set it to on"
    if wanted == "remote_apply" and not found["synchronous_standby_names"].strip():
        return (
            "BURSAR_SYNCHRONOUS_COMMIT is remote_apply, and the server waits for no standby; name it in "
            "synchronous_standby_names"
        )
    return None


def file_system_of(path: Path, mounts: str | None = None) -> str | None:
    """The kind of file system that a file is on or would be; None where the machine does not tell (Linux alone does).

    `mounts` is the text of /proc/self/mountinfo (proc_pid_mountinfo(5)).
    """
    try:
        text = _MOUNTS.read_text(encoding="utf-8", errors="replace") if mounts is None else mounts
    except OSError:
        return None
    place = path.absolute()
    best: tuple[int, str] | None = None
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or not kinds:
            continue
        # Blanks and the like are written as octal numbers.
        point = Path(fields[4].encode().decode("unicode_escape", "replace"))
        depth = len(point.parts)
        # Of two mounts on one point the later one lies on top.
        if place.is_relative_to(point) and (best is None or depth >= best[0]):
            best = depth, kinds[0]
    return None if best is None else best[1]


def _server_settings(conn: Connection) -> dict[str, str]:
    return {name: str(conn.execute(sa.select(sa.func.current_setting(name))).scalar_one()) for name in _ASKED}
