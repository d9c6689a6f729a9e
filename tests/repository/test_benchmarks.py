"""Benchmarks run at their smallest, so that none has stopped working when its figures are wanted."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALLEST = {
    "audit_search": ("--rows", "2000"),
    "audit_verify": ("2000",),
    "audit_verify of files": ("2000", "--files"),
    "console_pages": ("--entries", "2000"),
    "held_answers": ("--held", "20", "--hits", "40"),
    "hit_profile": ("--rounds", "32"),
    "key_timing": ("--samples", "50"),
    "miss_profile": ("--rounds", "4"),
    "quota_efficiency": ("--jobs", "6", "--videos", "2000", "--sizes", "all"),
}
"""Those that need nothing but what every test has."""


@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_runs_to_its_end_and_says_something(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name.partition(' ')[0]}", *SMALLEST[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, bool(done.stdout.strip())) == (0, True), done.stderr[-2000:]
