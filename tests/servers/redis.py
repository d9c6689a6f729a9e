"""A private Redis server that keeps nothing on disk."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.programs import find_program, free_port

_READY_WITHIN_S = 30.0


class PrivateRedis:
    """A server on a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self._home = Path(tempfile.mkdtemp(prefix="bredis"))
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_installed() -> bool:
        """Whether this machine has the program."""
        return find_program("redis-server") is not None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has written about itself."""
        return (self._home / "log").read_text(errors="replace")

    @property
    def url(self) -> str:
        """The server as Bursar's settings name it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def start(self) -> None:
        """Start the server, and return when it answers; raises RuntimeError with the log's end when it does not."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(find_program("redis-server")),
                    *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._home)),
                    *("--save", "", "--appendonly", "no"),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_WITHIN_S
        while self._ask(b"PING\r\n") != b"+PONG\r\n":
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the private Redis server did not start: {self.log[-2000:]}")
            time.sleep(0.02)

    def flush(self) -> None:
        """Forget everything."""
        assert self._ask(b"FLUSHALL\r\n") == b"+OK\r\n"

    def stop(self) -> None:
        """Ask it to end, and return when it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=_READY_WITHIN_S)

    def pause(self) -> None:
        """SIGSTOP: connections stay open, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, and return when it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=30)

    def _ask(self, command: bytes) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(command)
                return connection.recv(64)
        except OSError:
            return b""
