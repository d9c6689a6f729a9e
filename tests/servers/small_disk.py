"""A small disk that can be filled: a file system in memory, with a size."""

import contextlib
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.programs import find_program

_CHUNK = b"\xff" * 65_536


class SmallDisk:
    """Mounted at `path` while it is open; `fill` leaves no room on it, `clear` gives that room back."""

    def __init__(self, path: Path, *, megabytes: int) -> None:
        self.path = path
        self._megabytes = megabytes

    @staticmethod
    def may_be_mounted(path: Path) -> bool:
        """Whether this machine lets a test mount one."""
        if find_program("mount") is None:
            return False
        try:
            with SmallDisk(path, megabytes=1):
                return True
        except RuntimeError:
            return False

    def __enter__(self) -> Self:
        self.path.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m", "bursar-test", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"mount: {done.stderr}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def freeze(self) -> None:
        """Let nothing be written from now on, as on a mounted secret."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True)

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Use up all that there is but `leave_bytes`."""
        (self.path / "kept-free").write_bytes(b"\xff" * leave_bytes)
        with contextlib.suppress(OSError), (self.path / "filler").open("ab", buffering=0) as filler:
            while filler.write(_CHUNK):
                pass
        (self.path / "kept-free").unlink()

    def clear(self) -> None:
        """Give the room back."""
        (self.path / "filler").unlink()
