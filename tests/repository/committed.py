"""What the repository holds, as git lists it."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def has_history() -> bool:
    """Whether this is a clone, and git is there to ask."""
    return shutil.which("git") is not None and (ROOT / ".git").exists()


@cache
def committed_modes() -> dict[Path, str]:
    """Every committed file, relative to the root, with its mode (`100755` for what can be run)."""
    # The clone may belong to somebody else, as in a container with a mounted directory.
    command = ["git", "-c", "safe.directory=*", "ls-files", "--stage", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found: dict[Path, str] = {}
    for line in listed.split("\0"):
        facts, _, name = line.partition("\t")
        if name and (ROOT / name).is_file():
            found[Path(name)] = facts.split()[0]
    return found


@cache
def committed_texts() -> dict[Path, str]:
    """Every committed file that is text, with what it says."""
    texts: dict[Path, str] = {}
    for path in committed_modes():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            texts[path] = content.decode(errors="replace")
    return texts
