"""What a lock file pins: for the bill of materials, and for the audit that must have looked at all of it."""

import re
from dataclasses import dataclass
from pathlib import Path

_PIN = re.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\\n]*?))?\s*\\?$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One package at one version; `marker` says on which machines alone (PEP 508), where it does not on all."""

    name: str
    version: str
    marker: str


def pins(lock: Path) -> list[Pin]:
    """Every package of the lock, names normalised (PEP 503), in the lock's order."""
    return [
        Pin(re.sub(r"[-_.]+", "-", name).lower(), version, marker or "")
        for name, version, marker in _PIN.findall(lock.read_text(encoding="utf-8"))
    ]
