"""`bursar demo`: what someone sees who has just cloned the repository."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.demo import left_unheeded, run
from tests.servers.bursar import call
from tests.servers.demonstration import Demonstration


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demonstration, dict[str, Any]]]:
    demonstration = Demonstration(tmp_path_factory.mktemp("demo"), "--json")
    assert demonstration.process.stdout is not None
    yield demonstration, json.loads(demonstration.process.stdout.readline())
    assert demonstration.end() == 0
    with pytest.raises(OSError):
        call(demonstration.port, "GET", "/livez")


def test_it_says_who_is_there_and_how_to_call(ready: tuple[Demonstration, dict[str, Any]]) -> None:
    demonstration, said = ready
    assert set(said) == {"gateway", "console", "simulator", "people"}
    assert {tuple(person["roles"]) for person in said["people"]} == {
        ("researcher",),
        ("admin",),
        ("compliance",),
    }
    assert said["console"] == f"{said['gateway']}/console/"
    assert b"Sign in to Bursar" in call(demonstration.port, "GET", "/console/")[2]
    file = demonstration.home / "demo.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == said


def test_people_have_called_already(ready: tuple[Demonstration, dict[str, Any]]) -> None:
    demonstration, said = ready
    officer = next(person for person in said["people"] if person["roles"] == ["compliance"])
    headers = {"Authorization": f"Bearer {officer['token']}"}
    status, _, answer = call(demonstration.port, "GET", "/api/v1/audit/entries?limit=100", headers=headers)
    assert status == 200
    types = {item["entry"]["type"] for item in json.loads(answer)["items"]}
    assert {"intent", "outcome", "decision"} <= types


def test_a_credential_is_verified_over_the_api(ready: tuple[Demonstration, dict[str, Any]]) -> None:
    demonstration, said = ready
    admin = next(person for person in said["people"] if person["roles"] == ["admin"])
    headers = {"Authorization": f"Bearer {admin['token']}", "Content-Type": "application/json"}
    status, _, answer = call(demonstration.port, "GET", "/api/v1/credentials", headers=headers)
    assert status == 200
    name = json.loads(answer)["items"][0]["name"]

    def verified() -> dict[str, Any]:
        path = f"/api/v1/credentials/{name}/verification"
        status, _, answer = call(demonstration.port, "POST", path, headers=headers)
        assert status == 200, answer
        found: dict[str, Any] = json.loads(answer)
        return found

    assert verified() == {"name": name, "holds": True, "why": None}
    freeze = f"/api/v1/freezes/credential/{name}"
    assert call(demonstration.port, "PUT", freeze, body=b'{"reason":"a test"}', headers=headers)[0] == 200
    frozen = verified()
    assert call(demonstration.port, "DELETE", freeze, headers=headers)[0] == 204
    assert frozen["holds"] is False
    assert "frozen" in frozen["why"]


def test_whoever_has_not_accepted_the_terms_can_accept_them_and_go_on(
    ready: tuple[Demonstration, dict[str, Any]],
) -> None:
    demonstration, said = ready
    ben = next(person for person in said["people"] if person["email"] == "ben@example.edu")
    headers = {"Authorization": f"Bearer {ben['api_key']}"}
    path, body = "/v2/research/user/info/?fields=display_name", b'{"username":"sim_user_1"}'
    status, _, refused = call(demonstration.port, "POST", path, body=body, headers=headers)
    message = json.loads(refused)["error"]["message"]
    assert status == 400
    assert f"{said['gateway']}/api/v1/me/terms/practice/acceptance" in message
    accepted = call(demonstration.port, "POST", "/api/v1/me/terms/practice/acceptance", headers=headers)
    assert accepted[0] in {200, 201}
    assert call(demonstration.port, "POST", path, body=body, headers=headers)[0] == 200


def test_the_lines_to_paste_work(tmp_path: Path) -> None:
    demonstration = Demonstration(tmp_path)
    assert demonstration.process.stdout is not None
    said: list[str] = []
    for line in demonstration.process.stdout:
        said.append(line)
        if line.startswith("Ctrl-C"):
            break
    text = "".join(said)
    python = text.split("Python:\n")[1].split("\n\n")[0]
    code = "\n".join(line.removeprefix("  ") for line in python.splitlines())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "display_name" in done.stdout
    curl = text.split("curl:\n")[1].split("\n\n")[0]
    answer = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, check=False)
    if answer.returncode != 127:  # a machine without curl
        assert '"code":"ok"' in answer.stdout
    assert demonstration.end() == 0


def test_settings_that_the_demonstration_leaves_out_are_named(
    clean_environment: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BURSAR_TWO_PERSON_CONTROL", "true")
    monkeypatch.setenv("BURSAR_SMTP_URL", "smtp://127.0.0.1:25")
    place = tmp_path / "taken"
    place.write_text("")
    with pytest.raises(FileExistsError):
        run(port=0, simulator_port=0, data_dir=place, as_json=True)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "The demonstration has settings of its own and leaves BURSAR_SMTP_URL, BURSAR_TWO_PERSON_CONTROL out.\n"
    )
    assert left_unheeded({"HOME": "/"}) == ""
