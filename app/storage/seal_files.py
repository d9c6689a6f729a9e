"""`seal.key`: the key that wraps those of sealed questions, in a file that can be replaced.

A key is destroyed by wrapping all others anew under a new key of this file and overwriting the old one, so that
what an older backup holds opens nothing. While that is under way `seal.key.next` holds the new key; which of the
two is in force stands in the database, and whoever finds both keeps that one. `seal.keys` has the keys as they
were wrapped last, for a database that is restored from before.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.errors import AuditUnavailable, BadSetting, Conflict
from app.sealing import MasterKey, where_it_lies


class SealKeyFile:
    """The file, and the keys that were read from it."""

    def __init__(self, path: Path) -> None:
        path = where_it_lies(path)
        self._path = path
        self._next = path.with_name(path.name + ".next")
        self._old = path.with_name(path.name + ".old")
        self._wrapped = path.with_name(path.name + "s")
        self._next_wrapped = path.with_name(path.name + "s.next")
        self._kept: dict[str, MasterKey] = {}

    def key(self, fingerprint: str) -> MasterKey:
        """The key of that fingerprint. Raises AuditUnavailable where neither file holds it."""
        kept = self._kept.get(fingerprint)
        if kept is not None:
            return kept
        # Once more at the end, since the second may have taken the place of the first meanwhile.
        for path in (self._path, self._next, self._path):
            found = _read(path)
            if found is not None and found.fingerprint == fingerprint:
                self._kept = {fingerprint: found}
                return found
        raise AuditUnavailable(
            f"audit_unavailable: questions are sealed under the key {fingerprint}, which {self._path.name} does not "
            "hold here. Copy the file from where a question was erased last."
        )

    def present(self) -> MasterKey | None:
        """What `seal.key` itself holds; None where there is no such file."""
        return _read(self._path)

    def create(self) -> MasterKey:
        """The key, made where there is none yet. Raises BadSetting."""
        try:
            return self.present() or MasterKey.write_new(self._path)
        except BadSetting:
            # Another process of this machine may have made it in this moment.
            found = self.present()
            if found is None:
                raise
            return found

    def prepare(self) -> MasterKey:
        """A new key, durable in `seal.key.next`. Raises Conflict where the file cannot be replaced."""
        if not os.access(self._path.parent, os.W_OK):
            # A new key that could be kept in no place but this process's own would go with it, and all questions too.
            raise Conflict(
                f"{self._path} is read-only here, so its key cannot be replaced: do this with a command on the machine "
                "where the key files are kept."
            )
        destroy(self._next)
        return MasterKey.write_new(self._next)

    def prepare_wrapped(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep the keys as the new one wraps them, durable beside it."""
        _write(self._next_wrapped, "".join(json.dumps(_spelled(each)) + "\n" for each in rows))

    def settle(self, fingerprint: str) -> None:
        """Have `seal.key` hold the key of that fingerprint, and no file another one; safe to repeat.

        To be called under the lock of the database's row that names the key, since a key that is being prepared goes.
        Whoever reads meanwhile finds the old key or the new one, and never a part of either.
        """
        following = _read(self._next)
        if following is not None and following.fingerprint == fingerprint:
            if self._next_wrapped.exists():
                self._next_wrapped.rename(self._wrapped)
            if self._path.exists() and not self._old.exists():
                self._old.hardlink_to(self._path)
            self._next.rename(self._path)
            sync_directory(self._path.parent)
        else:
            destroy(self._next)
            if self._next_wrapped.exists():  # what is mounted read-only refuses even to remove nothing
                self._next_wrapped.unlink(missing_ok=True)
        if self._old.exists() and self._path.exists() and self._old.samefile(self._path):
            self._old.unlink()
        destroy(self._old)
        self._kept.clear()

    def kept_wrapped(self) -> list[dict[str, Any]]:
        """The keys as they were wrapped when one was destroyed last; none where none ever was."""
        try:
            lines = self._wrapped.read_text().splitlines()
        except FileNotFoundError:
            return []
        return [{**row, "wrapped": b64decode(row["wrapped"])} for row in map(json.loads, lines)]


def _spelled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "wrapped": b64encode(row["wrapped"]).decode()}


def _read(path: Path) -> MasterKey | None:
    try:
        return MasterKey.from_file(path) if path.exists() else None
    except BadSetting:
        if path.exists():
            raise
        return None  # it was moved in this moment


def destroy(path: Path) -> None:
    """Overwrite the file where it lies, and remove it."""
    if not path.exists():
        return
    path.chmod(0o600)
    with path.open("r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        file.write(os.urandom(size))
        os.fsync(file.fileno())
    path.unlink()
    sync_directory(path.parent)


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Have what was renamed or removed there be so after a power loss, too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
