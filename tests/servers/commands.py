"""Commands of the program, each in a process of its own that is forked from one with the modules at hand.

A command spends over a second of processor time on importing and a tenth of it on its work, and the tests run
hundreds of them, and start as many servers. What is forked has imported the program and nothing else: no
settings, no loop, no threads. Its environment and its command line are its own, but not for the kernel, which
shows those of the process that it was forked from.
"""

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

_WITHIN_S = 120
_MODULES = (
    "app.cli",
    "app.bootstrap",
    "app.storage.schema",
    "app.administration.acts",
    "app.administration.doctor",
    "app.web.serve",
    "app.simulator.serve",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
_EVERY_S = 0.02
_ONE_AT_A_TIME = threading.Lock()
_PRELOADED = "LD_PRELOAD"
"""Works on a program that is started, not on one that is forked."""


class Done(NamedTuple):
    """How a command ended; a negative code is the signal that ended it."""

    code: int
    out: str
    err: str


def run_command(arguments: Sequence[str], *, environ: Mapping[str, str], cwd: Path) -> Done:
    """Run `bursar ARGUMENTS` with exactly that environment; no input, and output that is no terminal."""
    if _PRELOADED in environ:
        command = [sys.executable, "-c", "from app.cli import main; main()", *arguments]
        done = subprocess.run(
            command,
            env=dict(environ),
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=_WITHIN_S,
        )
        return Done(done.returncode, done.stdout, done.stderr)
    return Done(**_ask("run", arguments=list(arguments), environ=dict(environ), cwd=str(cwd)))


class Forked:
    """`bursar ARGUMENTS` as a program that goes on: of `subprocess.Popen` what tests ask of it.

    It leads a session of its own; its output is added to `log`.
    """

    def __init__(self, arguments: Sequence[str], *, environ: Mapping[str, str], log: Path) -> None:
        if _PRELOADED in environ:
            raise ValueError(f"what is forked takes no {_PRELOADED}")
        self.pid: int = _ask("start", arguments=list(arguments), environ=dict(environ), log=str(log))
        self._code: int | None = None

    def poll(self) -> int | None:
        """How it ended, or None while it runs; a negative code is the signal that ended it."""
        if self._code is None:
            self._code = _ask("poll", pid=self.pid)
        return self._code

    def wait(self, timeout: float) -> int:
        """How it ended, once it has; raises subprocess.TimeoutExpired after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("bursar", timeout)
            time.sleep(_EVERY_S)
        return code

    def send_signal(self, which: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, which)


def _ask(does: str, **asked: Any) -> Any:
    """What the process that forks says; it does one thing at a time."""
    with _ONE_AT_A_TIME:
        forker = _forker()
        assert forker.stdin is not None
        assert forker.stdout is not None
        forker.stdin.write(json.dumps({"does": does, **asked}) + "\n")
        forker.stdin.flush()
        answer = forker.stdout.readline()
    if not answer:
        raise RuntimeError("the process that commands are forked from has ended")
    return json.loads(answer)


@functools.cache
def _forker() -> "subprocess.Popen[str]":
    root = str(Path(__file__).parents[2])
    forker = subprocess.Popen(
        [sys.executable, "-m", __name__],
        env={**os.environ, "PYTHONPATH": root},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def end() -> None:
        with forker:
            pass

    atexit.register(end)
    return forker


def _serve(asked: IO[str], answers: IO[str]) -> None:
    for module in _MODULES:
        __import__(module)
    for line in asked:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()


def _answer(asked: Mapping[str, Any]) -> Any:
    match asked["does"]:
        case "run":
            return _run(asked)._asdict()
        case "start":
            return _start(asked)
        case _:
            pid, status = os.waitpid(asked["pid"], os.WNOHANG)
            return None if pid == 0 else os.waitstatus_to_exitcode(status)


def _start(asked: Mapping[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        os.setsid()
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        _become(asked, log, log)
    return child


def _run(asked: Mapping[str, Any]) -> Done:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            signal.alarm(_WITHIN_S)
            os.chdir(asked["cwd"])
            _become(asked, out.fileno(), err.fileno())
        _, status = os.waitpid(child, 0)
        for each in (out, err):
            each.seek(0)
        told = (each.read().decode(errors="replace") for each in (out, err))
        return Done(os.waitstatus_to_exitcode(status), *told)


def _become(asked: Mapping[str, Any], out: int, err: int) -> NoReturn:
    """The command itself; it ends as the program ends by itself, with all that is to be done then."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for here, there in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(here, there)
    os.environ.clear()
    os.environ.update(asked["environ"])
    time.tzset()
    from app.cli import main  # noqa: PLC0415

    main(asked["arguments"])


if __name__ == "__main__":
    # What is forked writes into files; the way back is this process's alone.
    _serve(sys.stdin, os.fdopen(os.dup(1), "w"))
