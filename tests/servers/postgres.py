"""A private PostgreSQL server in a directory of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.programs import (
    descendants,
    find_program,
    free_port,
    is_running,
    ordinary_account,
    scratch,
    signal_all,
)

_READY_WITHIN_S = 60.0
_GONE_WITHIN_S = 30.0


class PrivatePostgres:
    """A server with its own data directory, port and socket; durable like a real one unless told otherwise.

    `environ` is added to the server's own environment.
    """

    def __init__(self, *, is_durable: bool = True, environ: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self._is_durable = is_durable
        self._environ = {**os.environ, **(environ or {})}
        self._account = ordinary_account()
        # Short, since a Unix socket's path may have 107 bytes at most.
        self._home = Path(tempfile.mkdtemp(prefix="bpg", dir=scratch()))
        self._data = self._home / "d"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    @staticmethod
    def is_installed() -> bool:
        """Whether this machine has the programs."""
        return find_program("initdb") is not None and find_program("postgres") is not None

    def __enter__(self) -> Self:
        if self._account.uid is not None:
            shutil.chown(self._home, self._account.uid, self._account.gid)
        flags = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]
        try:
            self._run("initdb", "-D", str(self._data), *flags)
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            # Not a kill at first: that would leave shared memory behind with the kernel.
            self.resume()
            try:
                self.stop(signal.SIGQUIT)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process id of the running server's first process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has written about itself."""
        return (self._home / "log").read_text(errors="replace")

    def url(self, database: str) -> str:
        """The database as Bursar's settings name it."""
        return f"postgresql+asyncpg://{self._place(database)}"

    def plain_url(self, database: str) -> str:
        """The database as asyncpg, psql and pg_dump name it."""
        return f"postgresql://{self._place(database)}"

    def start(self) -> None:
        """Start the server, and return when it answers; raises RuntimeError with the log's end when it does not."""
        durability = [] if self._is_durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(find_program("postgres")),
                    *("-D", str(self._data), "-p", str(self.port), "-k", str(self._home)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100", *durability),
                ],
                user=self._account.uid,
                group=self._account.gid,
                extra_groups=self._account.groups,
                stdout=log,
                stderr=log,
                env=self._environ,
                cwd=self._home,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the private PostgreSQL server did not start: {self.log[-2000:]}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends sessions and checkpoints, SIGQUIT leaves recovery to the next start."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(timeout=_GONE_WITHIN_S)

    def kill(self) -> None:
        """kill -9 of every process of the server, stopped ones too, and return when all are gone.

        Each backend leads a session of its own, so that no group holds them all; one that is left keeps the
        shared memory, and the next start is refused.
        """
        if self._process is None or self._process.poll() is not None:
            return
        # Stopped, it starts no backend while we count them.
        self._process.send_signal(signal.SIGSTOP)
        everyone = self._processes()
        signal_all(everyone, signal.SIGKILL)
        self._process.wait(timeout=_GONE_WITHIN_S)
        deadline = time.monotonic() + _GONE_WITHIN_S
        while any(is_running(pid) for pid in everyone):
            if time.monotonic() > deadline:
                raise RuntimeError("the private PostgreSQL server did not end")
            time.sleep(0.01)

    def pause(self) -> None:
        """SIGSTOP to every process: connections stay open, and nothing answers."""
        signal_all(self._processes(), signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to every process."""
        signal_all(self._processes(), signal.SIGCONT)

    def create_database(self, *, like: str = "template1") -> str:
        """The name of a fresh database: empty, or a copy of another that nobody is connected to."""
        self._databases += 1
        name = f"t{self._databases}"
        command = f"CREATE DATABASE {name} TEMPLATE {like}"
        self._run("psql", "-qX", *self._address(), "-v", "ON_ERROR_STOP=1", "-c", command, "postgres")
        return name

    def copy_database(self, name: str, to: str) -> None:
        """Have `to` be what `name` is now; ends whoever is connected to one of them."""
        address = [*self._address(), "-v", "ON_ERROR_STOP=1"]
        ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('{name}', '{to}')"
        for statement in (
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            ended,
            f"DROP DATABASE IF EXISTS {to} WITH (FORCE)",
            f"CREATE DATABASE {to} TEMPLATE {name}",
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS true",
        ):
            self._run("psql", "-qX", *address, "-c", statement, "postgres")

    def rename_database(self, name: str, to: str) -> None:
        """Call a database otherwise; ends whoever is connected to it."""
        ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        for statement in (
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            ended,
            f"ALTER DATABASE {name} RENAME TO {to}",
            f"ALTER DATABASE {to} ALLOW_CONNECTIONS true",
        ):
            self._run("psql", "-qX", *self._address(), "-v", "ON_ERROR_STOP=1", "-c", statement, "postgres")

    def drop_database(self, name: str) -> None:
        """Remove a database and end whoever is still connected to it."""
        self._run("psql", "-qX", *self._address(), "-c", f"DROP DATABASE {name} WITH (FORCE)", "postgres")

    def set_time_zone(self, name: str, zone: str) -> None:
        """Have every new session of a database begin in that time zone."""
        self._run(
            "psql", "-qX", *self._address(), "-c", f"ALTER DATABASE {name} SET timezone = '{zone}'", name
        )

    def execute(self, name: str, *statements: str) -> None:
        """Run statements in a database, each in a transaction of its own."""
        commands = [part for statement in statements for part in ("-c", statement)]
        self._run("psql", "-qX", "-v", "ON_ERROR_STOP=1", *self._address(), *commands, name)

    def dump(self, database: str) -> str:
        """All that the database holds, as text."""
        return self._run("pg_dump", *self._address(), database)

    def _processes(self) -> list[int]:
        return [self.pid, *descendants(self.pid)]

    def _place(self, database: str) -> str:
        return f"postgres@127.0.0.1:{self.port}/{database}"

    def _address(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")

    def _answers(self) -> bool:
        command = [str(find_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False, cwd=self._home).returncode == 0

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(find_program(program)), *arguments],
            user=self._account.uid,
            group=self._account.gid,
            extra_groups=self._account.groups,
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
        return done.stdout
