"""A private PostgreSQL server in a directory of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.programs import find_program, free_port, unprivileged_user

_READY_WITHIN_S = 60.0


class PrivatePostgres:
    """A server with its own data directory, port and socket; durable like a real one unless told otherwise."""

    def __init__(self, *, is_durable: bool = True) -> None:
        self.port = free_port()
        self._is_durable = is_durable
        self._user = unprivileged_user()
        # Short, since a Unix socket's path may have 107 bytes at most.
        self._home = Path(tempfile.mkdtemp(prefix="bpg", dir="/tmp"))
        self._data = self._home / "d"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    @staticmethod
    def is_installed() -> bool:
        """Whether this machine has the programs."""
        return find_program("initdb") is not None and find_program("postgres") is not None

    def __enter__(self) -> Self:
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(self._home, entry.pw_uid, entry.pw_gid)
        flags = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]
        self._run("initdb", "-D", str(self._data), *flags)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process id of the running server's first process."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str) -> str:
        """The database as Bursar's settings name it."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, and return when it answers."""
        durability = [] if self._is_durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(find_program("postgres")),
                    *("-D", str(self._data), "-p", str(self.port), "-k", str(self._home)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100", *durability),
                ],
                user=self._user,
                stdout=log,
                stderr=log,
                cwd=self._home,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self._home / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends sessions and checkpoints, SIGQUIT leaves recovery to the next start."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)

    def kill(self) -> None:
        """kill -9 of every process of the server."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=60)

    def create_database(self) -> str:
        """The name of a fresh, empty database."""
        self._databases += 1
        name = f"t{self._databases}"
        self._run("psql", "-qX", *self._address(), "-c", f"CREATE DATABASE {name}", "postgres")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database and end whoever is still connected to it."""
        self._run("psql", "-qX", *self._address(), "-c", f"DROP DATABASE {name} WITH (FORCE)", "postgres")

    def dump(self, database: str) -> str:
        """All that the database holds, as text."""
        return self._run("pg_dump", *self._address(), database)

    def _address(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")

    def _answers(self) -> bool:
        command = [str(find_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False, cwd=self._home).returncode == 0

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(find_program(program)), *arguments],
            user=self._user,
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
        return done.stdout
