"""Where the servers' programs are, where they may write, and on which port nobody listens."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Below the ports that the kernel hands to clients (32768 upwards, net.ipv4.ip_local_port_range), so that
# no outgoing connection takes a server's port while the server is down.
_PORTS = range(12_000, 32_000)
_ATTEMPTS = 200
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 2**30


def find_program(name: str) -> Path | None:
    """The program, on the path or where Debian keeps PostgreSQL's; None when the machine has none."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if versions:
        return versions[-1]
    # Servers stand where ordinary accounts do not look.
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    return Path(found) if found else None


def scratch() -> Path:
    """Where servers and tests keep what ends with them: in memory, where there is room and programs may be started.

    Tests kill programs and never the machine, so what was synced is as safe there as on a disk, which takes
    milliseconds for each of some ten thousand times.
    """
    try:
        place = os.statvfs(_MEMORY)
    except OSError:
        return Path("/tmp")
    is_roomy = place.f_bavail * place.f_frsize >= _ROOM_BYTES
    is_usable = os.access(_MEMORY, os.W_OK) and not place.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)
    return _MEMORY if is_roomy and is_usable else Path("/tmp")


def free_port() -> int:
    """A port of 127.0.0.1 that is free at this moment; drawn, since several processes ask at once."""
    draw = random.SystemRandom()
    for _ in range(_ATTEMPTS):
        port = draw.choice(_PORTS)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port of 127.0.0.1 is free")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whom a program is run as; all None means as the tests themselves."""

    uid: int | None = None
    gid: int | None = None
    groups: Sequence[int] | None = None


def ordinary_account() -> Account:
    """An account that PostgreSQL does not refuse as it refuses root."""
    if os.geteuid() != 0:
        return Account()
    nobody = pwd.getpwnam("nobody")
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid, groups=())


def descendants(pid: int) -> list[int]:
    """The processes below one that runs, as the kernel lists them; none where it keeps no such list."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in thread.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def signal_all(pids: Iterable[int], which: signal.Signals) -> None:
    """Send a signal to those of the processes that still are."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, which)


def is_running(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for its parent to notice does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}
