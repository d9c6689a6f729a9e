"""Promises about the files that people deploy with."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from app.cli import app as commands
from app.settings import CONFIG_NAME, PREFIX, Settings
from tests.repository.committed import ROOT, committed_texts

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
    call = r"(?:\bas_bursar|/bin/bursar|run --rm bursar|exec bursar bursar) ([a-z]+)"
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
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    # The program stands elsewhere on this machine.
    unit = (ROOT / "deploy/bursar.service").read_text().replace("/opt/bursar/bin/bursar", "/bin/true")
    (tmp_path / "bursar.service").write_text(unit)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "bursar.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
