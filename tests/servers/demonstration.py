"""`bursar demo` as a process: gateway, console and simulator with people in them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.servers.programs import free_port

ROOT = Path(__file__).parents[2]
# A shell's background job hands down an interrupt that is ignored; a terminal does not.
_AS_A_TERMINAL_STARTS_IT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from app.cli import main; main()"


class Demonstration:
    """A running demonstration and what it said when it was ready."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self.port = free_port()
        command = [sys.executable, "-c", _AS_A_TERMINAL_STARTS_IT, "demo", "--port", str(self.port)]
        command += ["--simulator-port", str(free_port()), "--data-dir", str(home), *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode
