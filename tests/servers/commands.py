"""Commands of the program, each in a process of its own that is forked from one with the modules at hand.

A command spends over a second of processor time on importing and a tenth of it on its work, and the tests run
hundreds of them. What is forked has imported the program and nothing else: no settings, no loop, no threads.
"""

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
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
)
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
    forker = _forker()
    assert forker.stdin is not None
    assert forker.stdout is not None
    asked = {"arguments": list(arguments), "environ": dict(environ), "cwd": str(cwd)}
    forker.stdin.write(json.dumps(asked) + "\n")
    forker.stdin.flush()
    answer = forker.stdout.readline()
    if not answer:
        raise RuntimeError("the process that commands are forked from has ended")
    return Done(**json.loads(answer))


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
        answers.write(json.dumps(_forked(json.loads(line))._asdict()) + "\n")
        answers.flush()


def _forked(asked: Mapping[str, Any]) -> Done:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _become(asked, out.fileno(), err.fileno())
        _, status = os.waitpid(child, 0)
        for each in (out, err):
            each.seek(0)
        told = (each.read().decode(errors="replace") for each in (out, err))
        return Done(os.waitstatus_to_exitcode(status), *told)


def _become(asked: Mapping[str, Any], out: int, err: int) -> NoReturn:
    """The command itself; it ends as the program ends by itself, with all that is to be done then."""
    signal.alarm(_WITHIN_S)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for here, there in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(here, there)
    os.environ.clear()
    os.environ.update(asked["environ"])
    time.tzset()
    os.chdir(asked["cwd"])
    from app.cli import main  # noqa: PLC0415

    main(asked["arguments"])


if __name__ == "__main__":
    # What is forked writes into files; the way back is this process's alone.
    _serve(sys.stdin, os.fdopen(os.dup(1), "w"))
