"""Checkpoints in files: the newest that this installation has seen, and those that are anchored outside.

`newest.checkpoint` in the data directory is one signed note, replaced by newer ones. An anchor directory
holds one note a file, named `EPOCH-SIZE.checkpoint` with leading zeros; a file is never written over.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.audit.epochs import Name, order_of
from app.audit.notes import Kept
from app.errors import BadSetting, LogBroken

NEWEST: Final = "newest.checkpoint"
SUFFIX: Final = ".checkpoint"
_MOST_BYTES: Final = 64 * 1024
_EPOCH_DIGITS: Final = 4
_SIZE_DIGITS: Final = 15


def newest_seen(data_dir: Path) -> Kept | None:
    """The newest checkpoint that a process with this data directory saw committed; None on the first start.

    Raises BadSetting where the file is there and cannot be read.
    """
    path = data_dir / NEWEST
    try:
        return Kept.parse(path.read_bytes()[:_MOST_BYTES])
    except FileNotFoundError:
        return None
    except (OSError, LogBroken) as error:
        raise BadSetting(
            f"{path} cannot be read, and without it a log that lost entries would not be noticed. Put a checkpoint of "
            "the log that was kept in its place; with none at all, remove it."
        ) from error


def keep_newest(data_dir: Path, kept: Kept) -> None:
    """Have it in the file, unless a newer one is there; whole or not at all. Raises OSError."""
    path = data_dir / NEWEST
    with (data_dir / "newest.lock").open("w") as lock:
        # Several workers share the directory, and the last to write need not be the one that saw most.
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(BadSetting):
            there = newest_seen(data_dir)
            if there is not None and order_of(there.checkpoint) >= order_of(kept.checkpoint):
                return
        fresh = path.with_suffix(".new")
        _write(fresh, kept.note, flags=os.O_TRUNC)
        fresh.replace(path)


def anchored(directory: Path) -> Iterator[Kept]:
    """Every checkpoint in a directory of anchors; what is no checkpoint is passed over. Raises BadSetting."""
    for path in _files(directory):
        kept = _read(path)
        if kept is not None:
            yield kept


def newest_anchored(directory: Path) -> list[Kept]:
    """The largest checkpoint of each epoch in a directory of anchors. Raises BadSetting."""
    best: dict[str, Kept] = {}
    by_epoch: dict[str, bool] = {}
    # By name the newest come first, so that of thousands of files a few are read.
    for path in reversed(_files(directory)):
        epoch, _, size = path.name.removesuffix(SUFFIX).partition("-")
        is_ours = len(epoch) == _EPOCH_DIGITS and len(size) == _SIZE_DIGITS and (epoch + size).isdigit()
        if is_ours and by_epoch.get(epoch):
            continue
        kept = _read(path)
        if kept is None:
            continue
        if is_ours:
            by_epoch[epoch] = True
        origin = kept.checkpoint.origin
        if origin not in best or best[origin].checkpoint.size < kept.checkpoint.size:
            best[origin] = kept
    return list(best.values())


def anchor_in(directory: Path, kept: Kept) -> Path:
    """The file in which the note now is, durable and beside all older ones. Raises OSError."""
    epoch = Name.parse(kept.checkpoint.origin).epoch
    path = directory / f"{epoch:0{_EPOCH_DIGITS}}-{kept.checkpoint.size:0{_SIZE_DIGITS}}{SUFFIX}"
    try:
        _write(path, kept.note, flags=os.O_EXCL)
    except FileExistsError:
        there = _read(path)
        if there is not None and there.checkpoint == kept.checkpoint:
            return path
        # Half a file, or another tree of that size: both stay, since one of them is evidence.
        path = path.with_name(f"{path.name.removesuffix(SUFFIX)}-{secrets.token_hex(4)}{SUFFIX}")
        _write(path, kept.note, flags=os.O_EXCL)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


def anchor_at(place: Path, kept: Kept) -> Path:
    """The file in which the note now is: in the directory `place`, or a new file of that name. Raises OSError."""
    if place.is_dir():
        return anchor_in(place, kept)
    _write(place, kept.note, flags=os.O_EXCL)
    return place


def _write(path: Path, data: bytes, *, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.name.endswith(SUFFIX))
    except OSError as error:
        raise BadSetting(f"The directory of anchors {directory} cannot be read: {error.strerror}.") from error


def _read(path: Path) -> Kept | None:
    try:
        return Kept.parse(path.read_bytes()[:_MOST_BYTES])
    except (OSError, LogBroken):
        return None
