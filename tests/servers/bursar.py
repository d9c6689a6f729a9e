"""A whole installation in processes of its own: the simulator, and the gateway over a private database."""

import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import yaml

from tests.servers.commands import Forked, run_command
from tests.servers.programs import free_port

_READY_WITHIN_S = 180.0
_BURSAR = (sys.executable, "-c", "from app.cli import main; main()")
CLIENT_KEY = "canary-client-key-7f3a91"
CLIENT_SECRET = "canary-client-secret-c04e5b1d88"
TODAY = "2026-10"
"""A month that lies inside the simulator's data."""


AS_ASKED = {"BURSAR_REUSE_WITHOUT": "full-pages,wide-fields,containment,records"}
"""The settings of an installation that sends each call as its client wrote it, for tests that are about one call."""


class Process:
    """One program that serves HTTP, with its output kept; where it `is_forked`, `command` is what follows `bursar`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        ready: str,
        environ: Mapping[str, str],
        log: Path,
        within_s: float = _READY_WITHIN_S,
        is_forked: bool = False,
    ) -> None:
        self.port = port
        self._log = log
        start = Forked if is_forked else _spawned
        self.popen = start(command, environ=environ, log=log)
        deadline = time.monotonic() + within_s
        while not self._answers(ready):
            if time.monotonic() > deadline or self.popen.poll() is not None:
                self.kill()
                raise RuntimeError(f"did not start: {self.output[-3000:]}")
            time.sleep(0.02)

    @property
    def output(self) -> str:
        """Everything that the program has printed."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(timeout=60)

    def kill(self) -> None:
        """kill -9 of the program and its workers."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(timeout=60)

    def _answers(self, path: str) -> bool:
        try:
            return call(self.port, "GET", path)[0] == 200
        except OSError:
            return False


def _spawned(command: Sequence[str], *, environ: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        return subprocess.Popen(
            command, env=dict(environ), stdout=output, stderr=output, start_new_session=True
        )


def call(
    port: int, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower case) and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body=body or None, headers=dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def more_account(number: int) -> str:
    """The client key of an account of the platform beside the first, 0 and up; its secret is the same."""
    return f"{CLIENT_KEY}-{number}"


LIMITS = {"requests/day": 1_000, "records/day": 100_000}


def state(base_url: str, *, limits: Mapping[str, int]) -> dict[str, Any]:
    """A state file with two people in one project, and one in another, all under `limits`."""
    limits = dict(limits)
    project = {
        "credential": "main",
        "approval": {"reference": "R-2026-014", "from": "2026-01-01", "until": "2029-06-30"},
        "limits": limits,
    }
    return {
        "credentials": [
            {
                "name": "main",
                "base_url": base_url,
                "client_key": CLIENT_KEY,
                "client_secret_file": "secret",
                "limits": limits,
            }
        ],
        "people": [
            {"email": "ada@example.edu", "name": "Ada Byron", "roles": ["researcher"]},
            {"email": "ben@example.edu", "name": "Ben Field", "roles": ["researcher"]},
            {"email": "cleo@example.edu", "name": "Cleo Hart", "roles": ["researcher"]},
        ],
        "projects": [
            {
                "name": "elections",
                "lead": "ada@example.edu",
                "members": ["ada@example.edu", "ben@example.edu"],
                **project,
            },
            {"name": "climate", "lead": "cleo@example.edu", "members": ["cleo@example.edu"], **project},
        ],
    }


class Installation:
    """Simulator and gateway on one machine; the gateway's data live in `home`.

    Where it is not `is_forked`, the gateway is started as at a shell: then the kernel shows its own command line.
    """

    def __init__(
        self,
        home: Path,
        *,
        database_url: str | None = None,
        redis_url: str | None = None,
        workers: int = 1,
        settings: Mapping[str, str] | None = None,
        simulator: Sequence[str] = (),
        limits: Mapping[str, int] = LIMITS,
        upstream_url: str | None = None,
        is_forked: bool = True,
        given: Callable[[str], Mapping[str, Any]] | None = None,
        more_accounts: int = 0,
    ) -> None:
        self.home = home
        self._given = given or (lambda base_url: state(base_url, limits=limits))
        self._upstream_url = upstream_url
        self.port, self.simulator_port = free_port(), free_port()
        self._workers = workers
        self._is_forked = is_forked
        self._simulator_options = simulator
        self._more_accounts = more_accounts
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
        self.environ |= {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "BURSAR_DATA_DIR": str(home / "data"),
            "BURSAR_REFUSAL_DELAY": "false",
            "BURSAR_HEARTBEAT_S": "3600",
            "BURSAR_SHUTDOWN_GRACE_S": "0",
            "BURSAR_REJECTS_PER_SECOND": "0",
            "BURSAR_FAILED_SIGN_INS_PER_MINUTE": "0",
        }
        if database_url is not None:
            self.environ["BURSAR_DATABASE_URL"] = database_url
        if redis_url is not None:
            self.environ["BURSAR_REDIS_URL"] = redis_url
        self.environ |= dict(settings or {})
        self.simulator: Process | None = None
        self.gateway: Process | None = None

    def __enter__(self) -> Self:
        (self.home / "secret").write_text(CLIENT_SECRET)
        (self.home / "secret").chmod(0o600)
        self.start_simulator()
        self.bursar("init")
        self.apply()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self.gateway, self.simulator):
            if process is not None:
                process.kill()

    @property
    def base_url(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def simulator_url(self) -> str:
        """Where the simulator answers."""
        return f"http://127.0.0.1:{self.simulator_port}"

    def bursar(self, *arguments: str, check: bool = True) -> Any:
        """What a command prints with `--json` (nothing where it has none of it)."""
        done = run_command([*arguments, "--json"], environ=self.environ, cwd=self.home)
        if check and done.code != 0:
            raise RuntimeError(f"bursar {arguments[0]} ended with {done.code}: {done.err}")
        return json.loads(done.out) if done.out.strip() else None

    def apply(self, **changes: Any) -> Any:
        """Make the state so."""
        (self.home / "state.yaml").write_text(
            yaml.safe_dump({**self._given(self._upstream_url or self.simulator_url), **changes})
        )
        return self.bursar("apply", "state.yaml")

    def key(self, email: str = "ada@example.edu", project: str = "elections") -> dict[str, str]:
        """A fresh key: `client_key`, `client_secret` and `api_key`."""
        issued: dict[str, str] = self.bursar("key", "issue", "--project", project, "--person", email)
        return issued

    def tokens(self, keys: Sequence[Mapping[str, str]], count: int) -> list[str]:
        """Access tokens of the running gateway, given in turn to the keys."""
        found = []
        for key in itertools.islice(itertools.cycle(keys), count):
            form = {"client_key": key["client_key"], "client_secret": key["client_secret"]}
            body = urlencode({**form, "grant_type": "client_credentials"}).encode()
            status, _, answer = call(self.port, "POST", "/v2/oauth/token/", body=body)
            assert status == 200, answer
            found.append(str(json.loads(answer)["access_token"]))
        return found

    def start_simulator(self) -> None:
        """Start the stand-in for the platform."""
        command = ["simulator", "--port", str(self.simulator_port), *self._simulator_options]
        command += ["--client-key", CLIENT_KEY, "--client-secret", CLIENT_SECRET]
        for number in range(self._more_accounts):
            command += ["--client-key", more_account(number)]
        self.simulator = Process(
            command,
            port=self.simulator_port,
            ready="/_sim/stats",
            environ=self.environ,
            log=self.home / "simulator.log",
            is_forked=True,
        )

    def start(self) -> Process:
        """Start the gateway."""
        command = ["serve", "--port", str(self.port), "--workers", str(self._workers)]
        # Several workers are started by the program itself, and a library is preloaded into what is started.
        is_forked = self._is_forked and self._workers == 1 and "LD_PRELOAD" not in self.environ
        self.gateway = Process(
            command if is_forked else [*_BURSAR, *command],
            port=self.port,
            ready="/readyz",
            environ=self.environ,
            log=self.home / "gateway.log",
            is_forked=is_forked,
        )
        return self.gateway

    def upstream(self) -> dict[str, Any]:
        """The simulator's own counters."""
        counted: dict[str, Any] = json.loads(call(self.simulator_port, "GET", "/_sim/stats")[2])
        return counted

    def control(self, method: str, what: str, **values: Any) -> Any:
        """Change how the simulator behaves, or ask it; what it says."""
        status, _, body = call(
            self.simulator_port,
            method,
            f"/_sim/{what}",
            body=json.dumps(values).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert status < 300, body
        return json.loads(body)


def video_query(**changes: Any) -> bytes:
    """The body of a video query with many hits."""
    asked: dict[str, Any] = {
        "query": {"and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE"]}]},
        "start_date": "20261001",
        "end_date": "20261020",
        "max_count": 100,
    }
    return json.dumps({**asked, **changes}).encode()


VIDEO_QUERY = "/v2/research/video/query/?fields=id,username,create_time,region_code,view_count"
