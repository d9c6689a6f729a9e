"""Secrets that are shared with other servers, each in a file of its own."""

import os
import stat
from pathlib import Path
from typing import Final

from app.errors import BadSetting
from app.sealing import is_exposed

_MOST_BYTES: Final = 4_096


def read_secret(path: Path) -> str:
    """The text of a secret file without the line's end.

    Raises BadSetting where it is missing, empty, long, no text, or open to others.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BadSetting(f"The secret file {path} cannot be read: {error.strerror}.") from error
    if is_exposed(status.st_mode, owner=status.st_uid, reader=os.geteuid()):
        mode = stat.S_IMODE(status.st_mode)
        raise BadSetting(f"The secret file {path} is open to others (mode {mode:04o}); run chmod 0400 on it.")
    try:
        text = content.decode().strip("\r\n")
    except UnicodeDecodeError as error:
        raise BadSetting(f"The secret file {path} holds no text.") from error
    if not text or len(content) > _MOST_BYTES:
        raise BadSetting(f"The secret file {path} is empty or longer than {_MOST_BYTES} bytes.")
    return text
