"""Whether an audit of the lock has found anything, and has looked at all: reads pip-audit's JSON on standard input.

Exit code 0: every locked package was looked up, and nothing is known against any. 1: something is. 3: some package, or
all, could not be looked up, which pip-audit itself passes over in silence.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from locked import Pin, pins

ROOT = Path(__file__).parents[2]


def verdict(report: str, locked: Sequence[Pin]) -> tuple[int, list[str]]:
    """The exit code, and a line for each thing that somebody has to look at."""
    try:
        told = json.loads(report)["dependencies"]
        looked_up = {(each["name"].lower(), each.get("version")): each for each in told}
    except (ValueError, KeyError, TypeError):
        return 3, ["the audit gave no report: nothing was looked up"]
    missing = [
        f"{pin.name} {pin.version}: not looked up"
        for pin in locked
        if "vulns" not in looked_up.get((pin.name, pin.version), {})
    ]
    known = [
        f"{each['name']} {each.get('version')}: {vuln['id']}, mended in {', '.join(vuln.get('fix_versions', [])) or 'none'}"
        for each in told
        for vuln in each.get("vulns", [])
    ]
    if not locked:
        missing.append("the lock names no package")
    return 1 if known else 3 if missing else 0, known + missing


if __name__ == "__main__":
    code, lines = verdict(sys.stdin.read(), pins(ROOT / "requirements.lock"))
    sys.stderr.write(
        "".join(f"audit: {line}\n" for line in lines) or "audit: nothing is known against any package\n"
    )
    sys.exit(code)
