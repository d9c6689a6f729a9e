"""A network of its own, in which the platform's host name leads somewhere else than it does outside.

On one loopback device there are two servers with TLS. At 127.0.0.2 the platform: the simulator, under the
platform's name, with a certificate of a public authority. At 127.0.0.1 the campus's gateway: nginx with the
shipped configuration in front of Bursar, under its own name and the platform's, with a certificate of the
university's authority. Three kinds of machine see them. A researcher's on the `CAMPUS` has a resolver that was
told that the platform is the gateway, and trusts the university's authority. A researcher's `ELSEWHERE` and the
`GATEWAY` itself have resolvers that know the world as it is; the former trusts the public authority. Which of
the two servers a client has reached is thus proven by the certificate.

Needs `unshare`, `nsenter` and `mount`, and either root or unprivileged user namespaces.
"""

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers import front
from tests.servers.bursar import Installation, state
from tests.servers.certificates import Authority
from tests.servers.programs import find_program

_ROOT = Path(__file__).parents[2]
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom Debian's programs trust; Python's own list is another, until a variable names this one."""
_LIMITS = {"requests/day": 100_000, "records/day": 10_000_000}
# linux/sockios.h and linux/if.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


class Machine(Enum):
    """Whose resolver and whose trusted authorities a program sees."""

    CAMPUS = "campus"
    ELSEWHERE = "elsewhere"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that ended well: what it printed."""

    output: str

    def json(self) -> Any:
        """Its last line as JSON."""
        return json.loads(self.output.splitlines()[-1])


class Campus:
    """Simulator, gateway and front server in namespaces of their own; programs run inside with `run`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.key: dict[str, str] = {}
        self.gateway_port = self.simulator_port = 0
        self._officers_token = ""
        self._process: subprocess.Popen[str] | None = None

    @staticmethod
    def is_possible() -> bool:
        """Whether this machine lets us make namespaces and has nginx."""
        if not front.is_installed() or not SYSTEM_BUNDLE.exists():
            return False
        if find_program("unshare") is None or find_program("nsenter") is None:
            return False
        attempt = subprocess.run([*_unshare(), "mount", "--version"], capture_output=True, check=False)
        return attempt.returncode == 0

    def __enter__(self) -> Self:
        with (self.home / "campus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*_unshare(), sys.executable, "-m", "tests.servers.campus", str(self.home)],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.__exit__(None, None, None)
            raise RuntimeError(f"the campus did not open: {(self.home / 'campus.log').read_text()[-3000:]}")
        told = json.loads(line)
        self.key, self.gateway_port = told["key"], told["gateway_port"]
        self._officers_token = told["officers_token"]
        self.simulator_port = told["simulator_port"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        # Its servers end when its input does.
        self._process.communicate(timeout=60)

    def run(self, *command: str, on: Machine, environ: Mapping[str, str] | None = None) -> Ended:
        """Run a program on one of the machines; raises RuntimeError with its output when it fails."""
        assert self._process is not None
        inside = ["nsenter", "--target", str(self._process.pid), "--net", "--mount"]
        if os.geteuid() != 0:
            inside += ["--user", "--preserve-credentials"]
        done = subprocess.run(
            [*inside, "--", *self._on(on), *command],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **(environ or {})},
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return Ended(output=done.stdout)

    def bursar(self, *arguments: str, on: Machine = Machine.GATEWAY, **settings: str) -> Any:
        """What a command of the gateway's own prints with `--json`, whatever it ends with."""
        text = (
            f"import sys; from app.cli import main; sys.argv = {['bursar', *arguments, '--json']!r}; main()"
        )
        caught = f"try:\n    exec({text!r})\nexcept SystemExit:\n    pass"
        own = json.loads((self.home / "settings.json").read_text())
        return json.loads(self.run(sys.executable, "-c", caught, on=on, environ={**own, **settings}).output)

    def upstream(self) -> dict[str, Any]:
        """The simulator's own counters."""
        counted: dict[str, Any] = self._ask(self.simulator_port, "/_sim/stats")
        return counted

    def log(self) -> list[dict[str, Any]]:
        """The newest entries of Bursar's log, newest first."""
        page = self._ask(self.gateway_port, "/api/v1/audit/entries?limit=100", self._officers_token)
        return [item["entry"] for item in page["items"]]

    def _ask(self, port: int, path: str, token: str = "") -> Any:
        text = (
            "import sys, urllib.request as r; q = r.Request(sys.argv[1], headers={'Authorization': sys.argv[2]}); "
            "sys.stdout.buffer.write(r.urlopen(q).read())"
        )
        url = f"http://127.0.0.1:{port}{path}"
        return json.loads(
            self.run(sys.executable, "-c", text, url, f"Bearer {token}", on=Machine.GATEWAY).output
        )

    def _on(self, machine: Machine) -> list[str]:
        if machine is Machine.GATEWAY:
            return []
        # What an administrator does to a researcher's machine: one line in hosts, one authority more.
        script = f'mount --bind "$0" /etc/hosts && mount --bind "$1" {SYSTEM_BUNDLE} && shift && exec "$@"'
        hosts, bundle = self.home / f"hosts.{machine.value}", self.home / f"bundle.{machine.value}"
        return ["unshare", "--mount", "sh", "-c", script, str(hosts), str(bundle)]


def _unshare() -> list[str]:
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *mapped, "--net", "--mount"]


def _raise_loopback() -> None:
    """`ip link set lo up`, without the program."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _furnish(home: Path, trusted: Mapping[Machine, Authority]) -> None:
    """Each machine's hosts file, and the list of whom it trusts."""
    for machine in Machine:
        address = "127.0.0.1" if machine is Machine.CAMPUS else "127.0.0.2"
        lines = f"127.0.0.1 localhost {front.GATEWAY}\n{address} {front.PLATFORM}\n"
        (home / f"hosts.{machine.value}").write_text(lines)
    for machine, authority in trusted.items():
        (home / f"bundle.{machine.value}").write_text(
            SYSTEM_BUNDLE.read_text() + authority.certificate.read_text()
        )


def _open(home: Path) -> None:
    """Inside the namespaces: start everything, say so, and end it when the input ends."""
    _raise_loopback()
    public, university = Authority.make(home, "public-authority"), Authority.make(home, "university")
    _furnish(home, {Machine.CAMPUS: university, Machine.ELSEWHERE: public})
    subprocess.run(["mount", "--bind", str(home / "hosts.gateway"), "/etc/hosts"], check=True)
    settings = {
        "BURSAR_PUBLIC_URL": f"https://{front.GATEWAY}",
        "BURSAR_TRUSTED_PROXIES": "127.0.0.1",
        "BURSAR_UPSTREAM_CA_FILE": str(public.certificate),
    }
    with Installation(
        home,
        upstream_url=f"https://{front.PLATFORM}",
        settings=settings,
        limits=_LIMITS,
        simulator=("--requests-per-day", "100000", "--records-per-day", "10000000"),
    ) as installation:
        installation.apply(people=[*state("", limits={})["people"], _OFFICER])
        certificate = university.issue(front.GATEWAY, front.PLATFORM)
        sites = [
            front.edited(
                certificate=certificate, gateway_port=installation.port, home=home, listen="127.0.0.1:443"
            ),
            _platform(public, installation.simulator_port),
        ]
        nginx = front.start(front.whole(*sites, home=home))
        try:
            installation.start()
            _tell(home, installation)
            sys.stdin.read()
        finally:
            nginx.terminate()
            nginx.wait(timeout=30)


_OFFICER: Any = {"email": "dpo@example.edu", "name": "Data protection", "roles": ["compliance"]}


def _platform(public: Authority, simulator_port: int) -> str:
    pair = public.issue(front.PLATFORM)
    return (
        f"server {{ listen 127.0.0.2:443 ssl; server_name {front.PLATFORM};\n"
        f"ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};\n"
        f"location / {{ proxy_pass http://127.0.0.1:{simulator_port}; }} }}"
    )


def _tell(home: Path, installation: Installation) -> None:
    own = {name: value for name, value in installation.environ.items() if name.startswith("BURSAR_")}
    (home / "settings.json").write_text(json.dumps({**own, "PYTHONPATH": str(_ROOT)}))
    told = {
        "key": installation.key(),
        "officers_token": installation.bursar("token", "issue", "--person", _OFFICER["email"])["token"],
        "gateway_port": installation.port,
        "simulator_port": installation.simulator_port,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _open(Path(sys.argv[1]))
