"""nginx with the configuration that Bursar ships, and the few lines of it that an administrator edits."""

import os
import subprocess
import time
from pathlib import Path

from tests.servers.certificates import Pair
from tests.servers.programs import find_program

SHIPPED = Path(__file__).parents[2] / "deploy/nginx.conf"
PLATFORM = "open.tiktokapis.com"
GATEWAY = "bursar.example.edu"


def is_installed() -> bool:
    """Whether this machine has nginx."""
    return find_program("nginx") is not None


def edited(*, certificate: Pair, gateway_port: int, home: Path, listen: str) -> str:
    """The shipped configuration with paths and ports of a test; every edit must find its line."""
    text = SHIPPED.read_text()
    edits = {
        "/etc/bursar/tls/fullchain.pem": str(certificate.certificate),
        "/etc/bursar/tls/privkey.pem": str(certificate.key),
        "127.0.0.1:8080": f"127.0.0.1:{gateway_port}",
        "/var/log/nginx/bursar.log": str(home / "front.log"),
        "listen 443 ssl;": f"listen {listen} ssl;",
        "    listen [::]:443 ssl;\n": "",
    }
    for shipped, wanted in edits.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, wanted)
    return text


def whole(*sites: str, home: Path) -> Path:
    """A complete configuration file around what stands in conf.d."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"    {kind}_temp_path {home / 'temporary'};" for kind in kinds)
    # One process without workers: those would change to another account, which a namespace may not have.
    account = "user root root;\n" if os.geteuid() == 0 else ""
    path = home / "nginx.conf"
    path.write_text(
        f"{account}daemon off;\nmaster_process off;\npid {home / 'nginx.pid'};\nerror_log {home / 'nginx.log'};\n"
        f"events {{}}\nhttp {{\n{temporary}\n    access_log off;\n" + "\n".join(sites) + "\n}\n"
    )
    return path


def check(configuration: Path) -> "subprocess.CompletedProcess[str]":
    """What `nginx -t` says of it."""
    return subprocess.run(command(configuration, "-t"), capture_output=True, text=True, check=False)


def start(configuration: Path) -> "subprocess.Popen[bytes]":
    """nginx, listening on return; raises RuntimeError with its log when it does not."""
    process = subprocess.Popen(command(configuration), stderr=subprocess.DEVNULL)
    pid_file = configuration.parent / "nginx.pid"
    deadline = time.monotonic() + 30
    # nginx writes its process id once its sockets listen.
    while not (pid_file.exists() and pid_file.read_text().strip() == str(process.pid)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((configuration.parent / "nginx.log").read_text())
        time.sleep(0.02)
    return process


def command(configuration: Path, *options: str) -> list[str]:
    """What starts nginx with that configuration."""
    home = configuration.parent
    return [
        *(str(find_program("nginx")), "-q", "-p", str(home), "-c", str(configuration)),
        *("-e", os.fspath(home / "nginx.log"), *options),
    ]
