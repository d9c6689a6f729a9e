"""The files of an installation: the data directory, the master key and the key that signs the log."""

import os
import stat
from pathlib import Path
from typing import Final

from app.audit.notes import Signer
from app.errors import BadSetting
from app.sealing import MasterKey, is_exposed

_MOST_BYTES: Final = 65_536
_OURS: Final = frozenset({"bursar.db", "master.key", "log.key", "seal.key", "demo.json"})


def ensure_data_dir(path: Path) -> None:
    """Have a directory there that only its owner can enter (mode 0700).

    A directory that is somebody else's, or that holds other things, keeps its mode. Raises BadSetting.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        names = {each.name for each in path.iterdir()}
        is_for_us = status.st_uid == os.geteuid() and (not names or names & _OURS)
        if stat.S_IMODE(status.st_mode) & 0o077 and is_for_us:
            path.chmod(0o700)
    except OSError as error:
        raise BadSetting(f"The data directory {path} cannot be used: {error.strerror}.") from error


def ensure_master_key(path: Path, *, may_create: bool) -> MasterKey:
    """The master key in `path`, made there if it is missing and may be. Raises BadSetting."""
    if path.exists() or not may_create:
        return MasterKey.installed(path)
    _make_parent(path)
    return MasterKey.write_new(path)


def ensure_log_key(path: Path) -> None:
    """Have an Ed25519 private key (PKCS #8, PEM) in `path`, mode 0400; it will sign checkpoints.

    Raises BadSetting.
    """
    if path.exists():
        read_log_key(path)
        return
    write_log_key(path, Signer.generate())


def write_log_key(path: Path, signer: Signer) -> None:
    """Have the keys in a new file, mode 0400, durable. Raises BadSetting."""
    _make_parent(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            file.write(signer.pem)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BadSetting(f"The key file {path} cannot be written: {error.strerror}.") from error


def read_log_key(path: Path) -> Signer:
    """The log's key or keys, in a file which must be readable by its owner alone; raises BadSetting."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            pem = file.read(_MOST_BYTES)
    except OSError as error:
        raise BadSetting(f"The key file {path} cannot be read: {error.strerror}.") from error
    if is_exposed(status.st_mode, owner=status.st_uid, reader=os.geteuid()):
        mode = stat.S_IMODE(status.st_mode)
        raise BadSetting(f"The key file {path} is open to others (mode {mode:04o}); run chmod 0400 on it.")
    try:
        return Signer.from_pem(pem)
    except BadSetting as error:
        raise BadSetting(f"The key file {path} holds no Ed25519 private key in PEM form.") from error


class LogKeyFile:
    """The log's key file, which may be renewed while it is in use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Nobody knows yet: the file may be another by now than the one that the process has started with.
        self._read: tuple[int, int] | None = None

    def changed(self) -> Signer | None:
        """What the file holds, where it is another than it was; raises BadSetting once for each that cannot be read."""
        state = self._state()
        if state is None or state == self._read:
            return None
        self._read = state
        return read_log_key(self._path)

    def _state(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(f"The directory {path.parent} cannot be made: {error.strerror}.") from error
