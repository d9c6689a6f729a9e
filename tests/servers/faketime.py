"""Clocks that a test sets from outside, for one program at a time, by Debian's libfaketime."""

from collections.abc import Mapping
from pathlib import Path


def find_library() -> Path | None:
    """The library for programs with threads; None when the machine has none."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


class FakeTime:
    """Wall time of the programs that are started with `environ`, off by what was last set.

    What is monotonic is left alone, as it is when somebody sets a machine's clock.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0.0)

    @property
    def environ(self) -> Mapping[str, str]:
        """Variables for a program's environment."""
        return {
            "LD_PRELOAD": str(find_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            # Otherwise it shifts waits on the monotonic clock as well, and threads stand still for seconds.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, off_s: float) -> None:
        """From now on the clock is so many seconds ahead, or behind."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{off_s:+f}\n")
        written.chmod(0o644)
        written.replace(self._file)
