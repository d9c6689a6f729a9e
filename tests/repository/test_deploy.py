"""Promises about the files that people deploy with."""

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from app.cli import app as commands
from app.settings import CONFIG_NAME, PREFIX, Settings
from tests.conftest import require
from tests.repository.committed import ROOT, committed_texts
from tests.servers import front
from tests.servers.certificates import Authority
from tests.servers.programs import find_program, free_port

_USER = "10001"


def deployed() -> dict[Path, str]:
    """The texts that an operator copies from."""
    texts = committed_texts()
    return {path: text for path, text in texts.items() if path.parts[0] in {"deploy", "Dockerfile"}}


def compose() -> Any:
    return yaml.safe_load((ROOT / "deploy/compose.embedded.yaml").read_text())


def test_every_setting_that_they_name_is_one() -> None:
    known = {CONFIG_NAME, *(PREFIX + name.upper() for name in Settings.model_fields)}
    named = {
        (str(path), name)
        for path, text in deployed().items()
        for name in re.findall(rf"\b{PREFIX}[A-Z][A-Z_]+\b", text)
        if name != f"{PREFIX}NAME"
    }
    assert named
    assert {pair for pair in named if pair[1] not in known} == set()


def test_every_command_that_they_give_is_one() -> None:
    known = get_command(commands)
    assert isinstance(known, TyperGroup)
    call = r"(?:\bas_(?:bursar|owner|operator)|/bin/bursar|run --rm bursar|run --rm init|exec bursar(?:-1)? bursar) ([a-z]+)"
    given = {name for text in deployed().values() for name in re.findall(call, text)}
    assert {"init", "serve", "apply", "doctor"} <= given
    assert given <= set(known.commands)


def test_the_container_has_no_right_that_it_does_not_need() -> None:
    service = compose()["services"]["bursar"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert set(service["secrets"]) == set(compose()["secrets"])


def test_the_image_runs_as_a_numbered_ordinary_user_from_hashed_packages() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert f"USER {_USER}:{_USER}" in lines
    assert "STOPSIGNAL SIGTERM" in lines
    assert 'ENTRYPOINT ["bursar"]' in lines
    installs = [line for line in lines if re.search(r"\bpip\b.* install\b", line)]
    assert installs
    assert [line for line in installs if "--require-hashes" not in line and "--no-index" not in line] == []


def test_the_image_gets_every_file_that_its_build_copies() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    sources = [source for line in copied for source in line.split()]
    assert {"requirements.lock", "app"} <= set(sources)
    assert [source for source in sources if f"!{source}" not in let_through] == []
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_image_listens_where_its_health_check_asks() -> None:
    said = (ROOT / "Dockerfile").read_text()
    assert "EXPOSE 8080" in said
    assert "http://127.0.0.1:8080/livez" in said


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    require(shutil.which("systemd-analyze") is not None, "systemd-analyze")
    # The program stands elsewhere on this machine.
    unit = (ROOT / "deploy/bursar.service").read_text().replace("/opt/bursar/bin/bursar", "/bin/true")
    (tmp_path / "bursar.service").write_text(unit)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "bursar.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_rates_the_units_hardening_well() -> None:
    require(shutil.which("systemd-analyze") is not None, "systemd-analyze")
    # From 0, which nothing can reach, to 100; up to 20 it says OK.
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "deploy/bursar.service"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    require(front.is_installed(), "nginx")
    certificate = Authority.make(tmp_path, "university").issue(front.GATEWAY, front.PLATFORM)
    # Its check opens the sockets as well, and port 443 may be taken, or not ours to take.
    listen = f"127.0.0.1:{free_port()}"
    site = front.edited(certificate=certificate, gateway_port=8080, home=tmp_path, listen=listen)
    done = front.check(front.whole(site, home=tmp_path))
    # Warnings go into the log.
    assert (done.returncode, done.stderr, (tmp_path / "nginx.log").read_text()) == (0, "", "")


@pytest.mark.parametrize(
    ("path", "pick"),
    [
        ("/v2/oauth/token/", lambda said: said["error"]),
        ("/v2/research/user/info/", lambda said: said["error"]["code"]),
    ],
    ids=["token", "research"],
)
def test_nginx_itself_speaks_as_the_platform_does(
    tmp_path: Path, path: str, pick: Callable[[Any], str]
) -> None:
    require(front.is_installed(), "nginx")
    authority = Authority.make(tmp_path, "university")
    certificate = authority.issue(front.GATEWAY)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gateway_port, port = silent.getsockname()[1], free_port()
        site = front.edited(
            certificate=certificate, gateway_port=gateway_port, home=tmp_path, listen=f"127.0.0.1:{port}"
        )
        hasty = site.replace("proxy_read_timeout 300s", "proxy_read_timeout 1s")
        nginx = front.start(front.whole(hasty, home=tmp_path))
        trusted = ssl.create_default_context(cafile=authority.certificate)
        try:
            late = post(port, path, trusted)
            silent.close()
            gone = post(port, path, trusted)
        finally:
            nginx.terminate()
            nginx.wait(timeout=30)
    assert (late.status, pick(json.loads(late.body))) == (504, "internal_error")
    assert (gone.status, pick(json.loads(gone.body))) == (503, "internal_error")
    assert gone.headers["retry-after"] == "5"
    assert gone.headers["content-type"] == late.headers["content-type"] == "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer of nginx."""

    status: int
    headers: Message
    body: bytes


def post(port: int, path: str, trusted: ssl.SSLContext) -> Said:
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=trusted, timeout=30)
    connection.sock = trusted.wrap_socket(
        socket.create_connection(("127.0.0.1", port)), server_hostname=front.GATEWAY
    )
    try:
        connection.request("POST", path, body=b"{}", headers={"Host": front.GATEWAY})
        answer = connection.getresponse()
        return Said(status=answer.status, headers=answer.headers, body=answer.read())
    finally:
        connection.close()


def test_caddy_accepts_the_configuration_as_it_formats_it(tmp_path: Path) -> None:
    caddy = find_program("caddy")
    require(caddy is not None, "Caddy")
    certificate = Authority.make(tmp_path, "university").issue(front.GATEWAY, front.PLATFORM)
    text = (ROOT / "deploy/Caddyfile").read_text()
    text = text.replace("/etc/bursar/tls/fullchain.pem", str(certificate.certificate))
    text = text.replace("/etc/bursar/tls/privkey.pem", str(certificate.key))
    (tmp_path / "Caddyfile").write_text(text)
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    def said(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(caddy), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    assert said("fmt", "Caddyfile").stdout == text
    done = said("validate", "--config", "Caddyfile", "--adapter", "caddyfile")
    assert done.returncode == 0, done.stderr
