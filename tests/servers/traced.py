"""What a process asked the kernel for, in the order in which it was done."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

_CALLS = "trace=fsync,fdatasync,write,writev,sendto,sendmsg"
_SYNCED = re.compile(r"(\d+) .*?f(?:data)?sync\(\d+<([^>]*)>\) += 0")
_SYNC_BEGAN = re.compile(r"(\d+) .*?f(?:data)?sync\(\d+<([^>]*)> <unfinished")
_SYNC_ENDED = re.compile(r"(\d+) .*?<\.\.\. f(?:data)?sync resumed>\) += 0")
_ANSWERED = re.compile(r'(?:write|writev|sendto|sendmsg)\(\d+<(?:TCP|socket).*?"HTTP/1\.1 ')


class Traced:
    """strace attached to a running process and all its threads; `lines` once it has been closed."""

    def __init__(self, pid: int, log: Path) -> None:
        self._log = log
        command = ["strace", "-f", "-y", "-s", "16", "-e", _CALLS, "-e", "signal=none", "-o", str(log)]
        self._process = subprocess.Popen(
            [*command, "-p", str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        if "attached" not in line:
            self._process.wait(timeout=30)
            raise PermissionError(line.strip())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)

    @property
    def lines(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines()


def answers_after_sync(lines: Iterable[str], *, of: str) -> list[bool]:
    """For each answer over HTTP, whether a file whose name ends in `of` was synced since the one before it."""
    found: list[bool] = []
    under_way: dict[str, str] = {}
    is_synced = False
    for line in lines:
        if match := _SYNCED.match(line):
            is_synced |= match[2].endswith(of)
        elif match := _SYNC_BEGAN.match(line):
            under_way[match[1]] = match[2]
        elif match := _SYNC_ENDED.match(line):
            is_synced |= under_way.pop(match[1], "").endswith(of)
        elif _ANSWERED.search(line):
            found.append(is_synced)
            is_synced = False
    return found
