"""Where the servers' programs are, and on which port nobody listens."""

import os
import shutil
import socket
from pathlib import Path


def find_program(name: str) -> Path | None:
    """The program, on the path or where Debian keeps PostgreSQL's; None when the machine has none."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if versions:
        return versions[-1]
    found = shutil.which(name)
    return Path(found) if found else None


def free_port() -> int:
    """A port of 127.0.0.1 that is free at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def unprivileged_user() -> str | None:
    """Whom to run PostgreSQL as, which refuses root; None where the tests run as somebody else already."""
    return "nobody" if os.geteuid() == 0 else None
