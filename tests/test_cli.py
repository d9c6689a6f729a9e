import datetime as dt
import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.administration.key_files import ensure_log_key
from app.cli import exit_code, main
from app.errors import BadSetting, LogBroken, NotFound, NotReady, StoreUnavailable
from app.identity.keys import parse
from app.sealing import MasterKey, SealBroken
from tests.administration.scene import CANARY, Scene
from tests.servers.programs import free_port

Run = Callable[..., Any]

VERSIONS = Path(__file__).parents[1] / "app/storage/migrations/versions"


class Shell:
    """Runs commands in this process, against an installation of its own."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = directory / "data"
        self._capsys = capsys
        self.scene = Scene(directory)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        before = os.umask(0)
        os.umask(before)
        self._capsys.readouterr()
        try:
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        finally:
            os.umask(before)
        captured = self._capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, captured.out, captured.err

    def json(self, *arguments: str) -> Any:
        """The document that a command prints."""
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    def entries(self) -> list[dict[str, Any]]:
        """What the leaves of the log say, the oldest first."""
        with sqlite3.connect(self.data / "bursar.db") as connection:
            return [json.loads(row[0]) for row in connection.execute("SELECT leaf FROM entry ORDER BY ix")]

    def applied(self) -> "Shell":
        """With the contract's example in place."""
        self.json("init")
        self.json("apply", str(self.scene.path))
        return self


@pytest.fixture
def shell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    clean_environment: Callable[[], None],
) -> Shell:
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("BURSAR_DATA_DIR", str(directory / "data"))
    return Shell(directory, capsys)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_sets_up_everything_with_tight_modes_and_may_run_again(shell: Shell) -> None:
    first = shell.json("init", "--admin", "It@example.edu")
    assert first["admin"] == "it@example.edu"
    assert first["data_dir"] == str(shell.data)
    assert parse(first["token"]) is not None
    assert mode(shell.data) == 0o700
    assert mode(shell.data / "master.key") == 0o400
    assert mode(shell.data / "log.key") == 0o400
    assert mode(shell.data / "bursar.db") == 0o600
    key = (shell.data / "master.key").read_bytes(), (shell.data / "log.key").read_bytes()
    code, out, _ = shell.run("init")
    assert code == 0
    assert "it@example.edu" in out
    assert ((shell.data / "master.key").read_bytes(), (shell.data / "log.key").read_bytes()) == key
    assert [each["email"] for each in shell.json("person", "list")["people"]] == ["it@example.edu"]


def test_init_without_an_address_has_an_administrator_all_the_same(shell: Shell) -> None:
    assert shell.json("init")["admin"] == "admin@localhost"


def test_init_closes_an_empty_directory_that_was_open(shell: Shell) -> None:
    shell.data.mkdir(mode=0o755)
    shell.json("init")
    assert mode(shell.data) == 0o700


def test_init_makes_no_second_master_key_for_secrets_that_the_first_sealed(shell: Shell) -> None:
    shell.applied()
    (shell.data / "master.key").rename(shell.data / "elsewhere.key")
    code, _, err = shell.run("init")
    assert code == 2
    assert "Restore that file" in err
    assert not (shell.data / "master.key").exists()


def test_init_makes_no_second_log_key_for_a_log_that_the_first_has_signed(shell: Shell) -> None:
    assert shell.run("init")[0] == 0
    for name in ("master.key", "log.key"):  # nothing is sealed yet, so a master key might be made, but alone
        (shell.data / name).rename(shell.data / f"lost.{name}")
    code, _, err = shell.run("init")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{shell.data / 'log.key'} is missing. Restore that file" in err
    assert "new-epoch" not in err
    assert not (shell.data / "log.key").exists()
    assert not (shell.data / "master.key").exists()
    code, out, _ = shell.run("doctor", "--json")
    findings = [each for each in json.loads(out)["findings"] if each["severity"] == "problem"]
    assert (code, [each["code"] for each in findings]) == (1, ["master_key", "log_key"])
    for each in findings:
        assert each["mend"].startswith("restore it")
    for name in ("master.key", "log.key"):
        (shell.data / f"lost.{name}").rename(shell.data / name)
    shell.json("init")


def test_a_log_key_that_did_not_sign_the_log_is_told_as_that_and_not_as_a_loss(shell: Shell) -> None:
    shell.json("init")
    (shell.data / "log.key").unlink()
    ensure_log_key(shell.data / "log.key")
    for command in (["init"], ["apply", str(shell.scene.path)], ["serve", "--port", "0"]):
        code, _, err = shell.run(*command)
        assert (code, err.count("\n")) == (1, 1), command
        assert "log.key is not the one that signs this log" in err, command
        assert "new-epoch" not in err, command
    code, out, _ = shell.run("doctor", "--json")
    (found,) = (each for each in json.loads(out)["findings"] if each["severity"] == "problem")
    assert (code, found["code"]) == (1, "log_key")
    assert found["mend"].startswith("restore it")


def test_a_seal_key_that_is_lost_is_exit_code_two_in_one_line(shell: Shell) -> None:
    shell.json("init")
    (shell.data / "seal.key").unlink()
    for command in (["serve", "--port", "0"], ["init"]):
        code, _, err = shell.run(*command)
        assert (code, err.count("\n")) == (2, 1), command
        assert "which seal.key in the data directory does not hold. Restore that file" in err
    assert not (shell.data / "seal.key").exists()


def test_a_data_directory_of_another_log_is_told_to_be_of_another_installation(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shell.json("init")
    monkeypatch.setenv("BURSAR_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    code, _, err = shell.run("init")
    assert (code, err.count("\n")) == (1, 1)
    assert ".." not in err
    hint = "where another log is named, have BURSAR_DATABASE_URL and BURSAR_DATA_DIR of one installation"
    assert hint in err
    assert hint in shell.run("doctor")[1]


def test_with_another_master_key_than_the_databases_neither_init_nor_serve_goes_on(shell: Shell) -> None:
    shell.applied()
    written, path = len(shell.entries()), shell.data / "master.key"
    path.rename(shell.data / "elsewhere.key")
    MasterKey.write_new(path)
    for command in (["init", "--admin", "second@example.edu"], ["serve", "--port", str(free_port())]):
        code, out, err = shell.run(*command)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"The master key in {path} opens nothing that is sealed in the database" in err
    assert len(shell.entries()) == written
    # Beside the right one, as in a renewal, it is in nobody's way.
    path.rename(shell.data / "master.key.next")
    (shell.data / "elsewhere.key").rename(path)
    assert shell.run("init")[0] == 0


def test_migrate_makes_the_schema_alone(shell: Shell) -> None:
    newest = max(VERSIONS.glob("0*.py")).name[:4]
    assert shell.json("migrate") == {"schema": newest}
    assert not (shell.data / "master.key").exists()


def test_a_schema_of_a_newer_release_is_told_in_one_line_with_what_helps(shell: Shell) -> None:
    shell.json("init")
    with sqlite3.connect(shell.data / "bursar.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (["init"], ["migrate"], ["usage"], ["serve", "--port", "0"]):
        code, out, err = shell.run(*command)
        assert (code, out, err.count("\n")) == (3, "", 1), command
        assert "(9999) is of a newer release than this program: install that release again" in err
    code, out, _ = shell.run("doctor", "--json")
    (found,) = json.loads(out)["findings"]
    assert (code, found["code"]) == (1, "database")
    assert found["mend"].startswith("install the newer release again, or restore")


def test_the_doctor_names_the_command_that_mends_the_database(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mend() -> str:
        findings = json.loads(shell.run("doctor", "--json")[1])["findings"]
        return next(str(each["mend"]) for each in findings if each["code"] == "database")

    assert mend() == "run `bursar init`"
    shell.json("init")
    with sqlite3.connect(shell.data / "bursar.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0033'")
    assert mend() == "run `bursar migrate`"
    monkeypatch.setenv("BURSAR_DATABASE_URL", "postgresql+asyncpg://bursar@127.0.0.1:9/bursar")
    assert mend() == "see to the database's server, and to BURSAR_DATABASE_URL"


def test_commands_before_init_are_not_ready_or_say_what_is_missing(shell: Shell) -> None:
    code, _, err = shell.run("usage")
    assert (code, err.count("\n")) == (2, 1)
    assert "master.key" in err
    shell.json("init")
    (shell.data / "bursar.db").unlink()
    code, _, err = shell.run("usage")
    assert (code, err) == (3, "bursar: The database has no schema yet: run `bursar init`.\n")


def test_a_database_that_does_not_answer_is_exit_code_three(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.json("init")
    monkeypatch.setenv("BURSAR_DATABASE_URL", "postgresql+asyncpg://bursar@127.0.0.1:9/bursar")
    for command in (["usage"], ["migrate"], ["apply", str(shell.scene.path)]):
        code, out, err = shell.run(*command)
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert "BURSAR_DATABASE_URL" in err


def test_apply_prints_the_difference_once(shell: Shell) -> None:
    shell.json("init")
    dry = shell.json("apply", str(shell.scene.path), "--dry-run")
    done = shell.json("apply", str(shell.scene.path))
    assert dry["changes"] == done["changes"]
    assert done["changes"][0] == {
        "kind": "credential",
        "object": "main",
        "what": "added",
        "before": None,
        "after": {"base_url": "https://open.tiktokapis.com", "roster_limit": 10, "permission": None},
    }
    again = shell.json("apply", str(shell.scene.path))
    assert again["changes"] == []
    assert again["left"] == [{"kind": "person", "object": "admin@localhost"}]
    code, out, _ = shell.run("apply", str(shell.scene.path))
    assert code == 0
    assert "Nothing to change." in out
    assert len(shell.json("apply", str(shell.scene.path), "--prune")["changes"]) == 2
    code, out, _ = shell.run("apply", str(shell.scene.path), "--prune")
    assert out == "Nothing to change.\n"


def test_a_bad_state_file_is_exit_code_two_with_its_place(shell: Shell) -> None:
    shell.json("init")
    shell.scene.edit("lead: ada@example.edu", "leed: ada@example.edu")
    code, out, err = shell.run("apply", str(shell.scene.path), "--json")
    assert (code, out) == (2, "")
    assert err == "bursar: projects[0] (elections).leed: this key is not known\n"


def test_a_key_goes_through_its_life(shell: Shell) -> None:
    shell.applied()
    issued = shell.json(
        "key", "issue", "--project", "elections", "--person", "ada@example.edu", "--expires", "2099-12-31"
    )
    assert issued["expires_at"] == "2100-01-01T00:00:00Z"
    assert set(issued) >= {"client_key", "client_secret", "api_key", "expires_at"}
    rotated = shell.json("key", "rotate", issued["client_key"], "--overlap-s", "60")
    assert rotated["client_key"] == issued["client_key"]
    assert rotated["client_secret"] != issued["client_secret"]
    assert rotated["old_until"] is not None
    assert shell.json("key", "revoke", issued["key_id"])["changed"] is True
    listed = shell.json("key", "list", "--project", "elections")["keys"]
    assert [(each["client_key"], each["person"], each["status"]) for each in listed] == [
        (issued["client_key"], "ada@example.edu", "revoked")
    ]


def test_a_token_is_found_by_its_person_and_ended(shell: Shell) -> None:
    shell.applied()
    token = shell.json("token", "issue", "--person", "it@example.edu", "--expires", "2099-12-31")["token"]
    listed = shell.json("token", "list", "--person", "it@example.edu")["tokens"]
    assert [(each["person"], each["status"], each["expires_at"]) for each in listed] == [
        ("it@example.edu", "active", "2100-01-01T00:00:00Z")
    ]
    assert token not in str(listed)
    token_id = listed[0]["token_id"]
    assert shell.json("token", "revoke", token_id)["changed"] is True
    assert shell.json("token", "revoke", token_id)["changed"] is False
    code, out, _ = shell.run("token", "list")
    assert (code, token_id in out, "revoked" in out) == (0, True, True)
    assert shell.run("token", "revoke", "000000000000")[0] == 2


def test_a_token_is_printed_alone_so_that_scripts_can_take_it(shell: Shell) -> None:
    shell.applied()
    code, out, err = shell.run("token", "issue", "--person", "it@example.edu")
    assert code == 0
    assert parse(out.strip()) is not None
    assert "not shown again" in err
    document = shell.json("token", "issue", "--person", "it@example.edu", "--expires", "2099-01-01")
    assert document["expires_at"] == "2099-01-02T00:00:00Z"


def test_usage_has_the_contracts_shape(shell: Shell) -> None:
    shell.applied()
    found = shell.json("usage", "--project", "elections", "--day", "2026-05-01")
    assert found["day"] == "2026-05-01"
    assert {
        "scope": "project:elections",
        "dimension": "requests",
        "window": "day",
        "limit": 300,
        "used": 0,
        "reserved": 0,
        "left": 300,
        "resets_at": "2026-05-02T00:00:00Z",
    } in found["limits"]


def estimate_file(shell: Shell, **changes: Any) -> str:
    condition = {"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}
    body = {"query": {"and": [condition]}, "start_date": "20260901", "end_date": "20261020", "max_count": 100}
    path = shell.scene.directory / "query.json"
    path.write_text(json.dumps({**body, **changes}))
    return str(path)


def test_an_estimate_is_a_document_or_a_table_with_sentences(shell: Shell) -> None:
    shell.applied()
    asked = ["estimate", "--project", "elections", "--file", estimate_file(shell)]
    document = shell.json(*asked, "--person", "ada@example.edu", "--fields", "id, create_time")
    assert (document["person"], document["fields"]) == ("ada@example.edu", ["create_time", "id"])
    assert [each["end_date"] for each in document["windows"]] == ["2026-09-30", "2026-10-20"]
    assert document["would_be_refused_by"] is None
    assert document["days_at_todays_limits"]["limited_by"] == "member-requests-day"
    code, out, _ = shell.run(*asked)
    assert code == 0
    assert "2026-10-01 to 2026-10-20" in out
    assert "together" in out
    assert "Confidence: low. Nothing is known about this" in out
    assert "as project-records-day allows" in out


def test_an_estimate_says_what_would_refuse_the_query(shell: Shell) -> None:
    shell.applied()
    asked = ["estimate", "--project", "elections", "--file", estimate_file(shell)]
    assert shell.json(*asked)["would_be_refused_by"] is None
    condition = {"field_name": "region_code", "operation": "EQ", "field_values": ["FR"]}
    estimate_file(shell, query={"and": [condition]})
    assert shell.json(*asked)["would_be_refused_by"]["rule"].startswith("conditions-approved/")
    assert "It would be refused now by conditions-approved/" in shell.run(*asked)[1]


def test_an_estimate_of_nothing_that_can_be_asked_is_wrong_usage(shell: Shell) -> None:
    shell.applied()
    good = estimate_file(shell)
    for wrong in (
        ["--project", "elections", "--file", str(shell.scene.directory / "nowhere.json")],
        ["--project", "elections", "--file", str(shell.scene.directory / "terms-2024-10.md")],
        ["--project", "nowhere", "--file", good],
        ["--project", "elections", "--file", good, "--person", "it@example.edu"],
        ["--project", "elections", "--file", good, "--endpoint", "video/like"],
        ["--project", "elections", "--file", good, "--window-days", "31"],
        ["--project", "elections"],
    ):
        code, out, err = shell.run("estimate", *wrong)
        assert (code, out) == (2, ""), wrong
        assert err


def test_limits_people_and_terms_can_be_changed_alone(shell: Shell) -> None:
    shell.applied()
    assert shell.json("limit", "set", "project:elections", "requests/month", "5")["changed"] is True
    assert {"scope": "project:elections", "key": "requests/month", "amount": 5} in shell.json(
        "limit", "list"
    )["limits"]
    assert shell.json("limit", "remove", "project:elections", "requests/month")["changed"] is True
    shell.json("person", "add", "bo@example.edu", "--name", "Bo", "--role", "researcher", "--role", "lead")
    evidence = shell.scene.directory / "ada.pdf"
    recorded = shell.json(
        "terms", "record", "--person", "bo@example.edu", "--version", "2024-10", "--evidence", str(evidence)
    )
    assert recorded["changed"] is True
    shell.json("terms", "accept", "--person", "it@example.edu", "--version", "2024-10")
    assert [each["accepted"] for each in shell.json("terms", "list")["terms"]] == [3]
    bo = next(each for each in shell.json("person", "list")["people"] if each["email"] == "bo@example.edu")
    assert bo["roles"] == ["lead", "researcher"]


def test_a_credential_is_added_and_rotated_without_its_secret_as_an_argument(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.applied()
    monkeypatch.setenv("NEW_SECRET", "the-second-secret-51")
    secret = shell.scene.directory / "secrets" / "tiktok"
    add = ["credential", "add", "second", "--client-key", "aw2", "--base-url", "http://127.0.0.1:8081"]
    shell.json(*add, "--secret-file", str(secret))
    assert shell.json("credential", "rotate", "second", "--secret-env", "NEW_SECRET")["changed"] is True
    assert shell.json("credential", "rotate", "second", "--secret-env", "NEW_SECRET")["changed"] is False
    names = [each["name"] for each in shell.json("credential", "list")["credentials"]]
    assert names == ["main", "second"]
    for wrong in (["--secret-env", "NOT_SET"], ["--secret-file", "/nonexistent"], []):
        code, _, _ = shell.run(*add, *wrong)
        assert code == 2
    code, _, err = shell.run(*add, "--secret-file", str(secret))
    assert code == 2
    assert "There is a credential second" in err


def test_the_upstream_secret_is_neither_printed_nor_stored_in_the_clear(shell: Shell) -> None:
    shell.json("init")
    printed = ""
    for arguments in (
        ["apply", str(shell.scene.path), "--dry-run"],
        ["apply", str(shell.scene.path)],
        ["credential", "list"],
        ["doctor"],
    ):
        printed += "".join(map(str, shell.run(*arguments)))
    printed += json.dumps(shell.json("apply", str(shell.scene.path)))
    issued = shell.json("key", "issue", "--project", "elections", "--person", "ada@example.edu")
    assert CANARY not in printed
    for path in shell.data.iterdir():
        stored = path.read_bytes()
        for secret in (CANARY, "aw000example", issued["client_secret"], issued["api_key"]):
            assert secret.encode() not in stored, path.name


def test_doctor_is_content_with_the_contracts_example(shell: Shell) -> None:
    shell.applied()
    found = shell.json("doctor")
    assert found["healthy"] is True
    assert found["findings"] == []
    assert found["rosters"] == [{"credential": "main", "people": 1, "limit": 10}]


def test_doctor_names_each_fault_and_its_mend(shell: Shell) -> None:
    shell.applied()
    content = yaml.safe_load(shell.scene.path.read_text().replace("on: 2026", "'on': 2026"))
    content["people"][1]["accepted"] = []
    content["projects"][0]["members"].append("it@example.edu")
    content["projects"][0]["approval"]["until"] = content["projects"][0]["approval"]["from"]
    shell.scene.path.write_text(yaml.safe_dump(content))
    shell.json("apply", str(shell.scene.path))
    (shell.data / "log.key").chmod(0o644)
    shell.data.chmod(0o755)
    code, out, _ = shell.run("doctor", "--json")
    found = {each["code"]: each for each in json.loads(out)["findings"]}
    assert code == 1
    assert set(found) == {
        "log_key",
        "data_dir_open",
        "approval_ended",
        "held_after_end",
        "terms_not_accepted",
    }
    assert "bursar terms record --person it@example.edu" in found["terms_not_accepted"]["mend"]


def test_doctor_warns_of_a_password_in_a_file_that_everybody_may_read(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shell.json("init")
    file = tmp_path / "settings.yaml"
    monkeypatch.setenv("BURSAR_CONFIG", str(file))

    def warned() -> list[str]:
        found = json.loads(shell.run("doctor", "--json")[1])["findings"]
        return [f"{each['what']} {each['mend']}" for each in found if each["code"] == "settings_open"]

    file.write_text("public_url: https://bursar.example.edu")
    file.chmod(0o644)
    assert warned() == []
    file.write_text("migration_database_url: postgresql+asyncpg://owner:hush-hush@db/bursar")
    (said,) = warned()
    assert f"{file} holds a password" in said
    assert f"chmod o= {file}" in said
    assert "hush" not in said
    file.chmod(0o640)
    assert warned() == []


def test_room_of_what_is_held_is_told_and_the_doctor_warns_when_it_is_too_little(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.applied()

    def warned() -> bool:
        return "held_room" in {each["code"] for each in shell.json("doctor")["findings"]}

    def fetched(hours_ago: int) -> None:
        row = (
            b"k" * 32,
            "project:x",
            "video/query",
            bytes(9_550),
            9,
            (time.time() - hours_ago * 3_600) * 1e6,
        )
        with sqlite3.connect(shell.data / "bursar.db") as connection:
            connection.execute("REPLACE INTO held_page VALUES (?, ?, ?, ?, ?, ?, 0, 9550)", row)

    fetched(2)
    most = 2 * 1024**3
    told = shell.json("cache", "stats")
    assert (told["stored_bytes"], told["most_bytes"]) == (10_000, most)
    assert (
        "About 10,000 bytes in the database, of 2,147,483,648 that they may take."
        in shell.run("cache", "stats")[1]
    )
    assert not warned()
    monkeypatch.setenv("BURSAR_MAX_HELD_DATABASE_BYTES", "10001")
    assert warned()
    # What is past its time anyway may go.
    fetched(30)
    assert not warned()
    monkeypatch.setenv("BURSAR_MAX_HELD_DATABASE_BYTES", "0")
    fetched(2)
    assert not warned()


def test_doctor_finds_another_master_key(shell: Shell) -> None:
    shell.applied()
    (shell.data / "master.key").chmod(0o600)
    (shell.data / "master.key").write_text(bytes(range(32)).hex())
    (shell.data / "master.key").chmod(0o400)
    code, out, _ = shell.run("doctor", "--json")
    assert code == 1
    assert {each["code"] for each in json.loads(out)["findings"]} == {
        "credential_sealed",
    }


def test_doctor_looks_at_what_it_can_before_init(shell: Shell) -> None:
    code, out, _ = shell.run("doctor", "--json")
    assert code == 1
    assert [each["code"] for each in json.loads(out)["findings"]] == ["master_key", "log_key", "database"]


def test_a_wrong_setting_is_exit_code_two_in_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURSAR_REDIS_ULR", "redis://127.0.0.1")
    code, _, err = shell.run("doctor")
    assert (code, err) == (2, "bursar: BURSAR_REDIS_ULR is no setting; did you mean BURSAR_REDIS_URL?\n")


def test_names_cannot_write_to_the_terminal(shell: Shell) -> None:
    shell.json("init")
    code, _, err = shell.run("apply", "evil\x1b[31m.yaml")
    assert code == 2
    assert "\x1b" not in err


@pytest.mark.parametrize("arguments", [["nothing"], ["key", "issue"], ["usage", "--day", "today"], ["apply"]])
def test_wrong_usage_is_exit_code_two(shell: Shell, arguments: list[str]) -> None:
    assert shell.run(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadSetting(""), 2),
        (NotReady(""), 3),
        (LogBroken(""), 1),
        (SealBroken(""), 1),
        (StoreUnavailable(""), 3),
        (NotFound(""), 2),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: Any, code: int) -> None:
    assert exit_code(error) == code


COMMANDS = """
demo serve simulator init migrate apply doctor usage estimate | token issue | token list | token revoke | key issue | key list | key rotate | key revoke
| credential add | credential list | credential rotate | project list | project show | project set | person list | person add | person set | limit list
| credential show | credential set | credential remove | project add | project remove | person show | person remove | key show
| limit history | member list | member add | member set | member remove | terms show | terms add | terms set | terms remove | limit set | limit remove | terms list | terms record | terms accept | rule list | rule set | rule value
| proposal list | proposal confirm | proposal refuse | audit receipt | audit consistency
| audit search | audit show
| audit about | audit erase | audit prune | audit retention
"""


@pytest.mark.parametrize("command", [*COMMANDS.split("|", maxsplit=1)[0].split(), *COMMANDS.split("|")[1:]])
def test_every_command_has_help(shell: Shell, command: str) -> None:
    code, out, _ = shell.run(*command.split(), "--help")
    assert code == 0
    assert "Usage: bursar" in out


def test_help_answers_without_loading_the_application() -> None:
    program = (
        "import sys\nfrom app.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'sqlalchemy', 'fastapi', 'httpx', 'pydantic', 'uvicorn', 'cryptography', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("shell_name", "says"),
    [
        ("bash", "complete -o default -F _bursar_completion bursar"),
        ("zsh", "compdef _bursar_completion bursar"),
        ("fish", "complete --command bursar"),
    ],
)
def test_shells_are_given_a_script_that_completes_commands(shell_name: str, says: str) -> None:
    program = "from app.cli import main\nmain()"
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = subprocess.run(
        [sys.executable, "-c", program, "--show-completion", shell_name],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert says in shown.stdout
    asked = {
        "_BURSAR_COMPLETE": f"complete_{shell_name}",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": "bursar audit sea",
        "COMP_WORDS": "bursar audit sea",
        "COMP_CWORD": "2",
    }
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ | asked
    )
    assert "search" in completed.stdout
    assert "receipt" not in completed.stdout


def test_what_a_command_cannot_read_is_told_in_words(shell: Shell) -> None:
    shell.applied()
    code, _, err = shell.run("limit", "set", "project:elections", "requests/day", "-5")
    assert (code, "No such option" in err, "greater than or equal to 0" in " ".join(err.split())) == (
        2,
        False,
        True,
    )
    code, _, err = shell.run("usage", "--day", "yesterday")
    assert (code, "'yesterday' is no day such as" in " ".join(err.split()), "%Y" in err) == (2, True, False)


def test_a_project_is_shown_with_its_bounds_in_words(shell: Shell) -> None:
    shell.applied()
    allow = shell.scene.directory / "allow.json"
    allow.write_text(
        '{"endpoints": ["video/query", "user/info"], "conditions": {"region_code": ["US", "CA"]}, '
        '"dates": {"from": "2025-01-01"}, "max_span_days": 7}'
    )
    shell.run("project", "set", "elections", "--allow-file", str(allow))
    shown = shell.run("project", "show", "elections")[1]
    assert "allowed: endpoints user/info, video/query; region_code CA, US; days from 2025-01-01; " in shown
    assert "the last day at most 7 after the first" in shown
    assert "[" not in shown


def test_a_project_goes_through_its_life(shell: Shell) -> None:
    shell.applied()
    add = ["project", "add", "climate", "--credential", "main", "--reference", "R-2026-031"]
    add += ["--from", "2026-01-01", "--until", "2099-12-31", "--lead", "Ada@example.edu"]
    assert shell.run(*add, "--limit", "requests/day")[0] == 2
    assert shell.run(*add, "--endpoint", "video/guess")[0] == 2
    assert shell.run("project", "show", "climate")[0] == 2
    done = shell.json(
        *add, "--endpoint", "video/query", "--limit", "requests/day=200", "--member-limit", "records/day=5"
    )
    assert done == {"project": "climate", "changed": True}
    shown = shell.json("project", "show", "climate")
    assert shown["lead"] == "ada@example.edu"
    assert [each["email"] for each in shown["members"]] == ["ada@example.edu"]
    assert shown["allow"] == {"endpoints": ["video/query"]}
    limits = {each["scope"]: each["amount"] for each in shell.json("limit", "list")["limits"]}
    assert (limits["project:climate"], limits["each_member:climate"]) == (200, 5)
    code, _, err = shell.run(*add)
    assert (code, "There is a project climate already" in err) == (2, True)

    allow = shell.scene.directory / "allow.json"
    allow.write_text('{"endpoints": ["user/info"], "conditions": {"region_code": ["NO"]}}')
    changed = ("--until", "2098-12-31", "--allow-file", str(allow), "--cache-scope", "credential", "--stale")
    assert shell.json("project", "set", "climate", *changed)["changed"] is True
    assert shell.json("project", "set", "climate", *changed)["changed"] is False
    shown = shell.json("project", "show", "climate")
    assert shown["approval"] == {"reference": "R-2026-031", "from": "2026-01-01", "until": "2098-12-31"}
    assert (shown["cache_scope"], shown["reuse"]["stale"]) == ("credential", True)
    assert shown["allow"]["conditions"] == {"region_code": ["NO"]}
    shell.json("project", "set", "climate", "--endpoint", "all", "--lead", "")
    shown = shell.json("project", "show", "climate")
    assert (shown["lead"], shown["allow"]) == (None, {"conditions": {"region_code": ["NO"]}})
    allow.write_text("[video/query]")
    assert shell.run("project", "set", "climate", "--allow-file", str(allow))[0] == 2
    limits = {each["scope"]: each["amount"] for each in shell.json("limit", "list")["limits"]}
    assert limits["project:climate"] == 200

    size = len(shell.entries())
    looked = shell.json("project", "remove", "climate", "--dry-run")
    assert (looked["removed"], len(shell.entries())) == (False, size)
    assert {each["kind"] for each in looked["changes"]} == {"member", "project"}
    code, out, _ = shell.run("project", "remove", "climate")
    assert (code, "- project climate retired" in out) == (0, True)
    assert [each["name"] for each in shell.json("project", "list")["projects"]] == ["elections"]
    assert {each["op"] for each in shell.entries()[size:]} == {"member.retired", "project.retired"}
    for dry in ((), ("--dry-run",)):
        code, _, err = shell.run("project", "remove", "climate", *dry)
        assert (code, "`bursar project list`" in err) == (2, True)


def test_members_join_get_other_days_and_leave(shell: Shell) -> None:
    shell.applied()
    shell.json("person", "add", "bo@example.edu", "--name", "Bo", "--role", "researcher")
    joined = shell.json("member", "add", "elections", "Bo@example.edu", "--until", "2027-01-31")
    assert joined == {"project": "elections", "person": "bo@example.edu", "changed": True}
    shell.json("limit", "set", "member:elections/bo@example.edu", "requests/day", "7")
    shell.json("member", "set", "elections", "bo@example.edu", "--from", "2026-02-01", "--until", "")
    listed = shell.json("member", "list", "elections")["members"]
    assert {"email": "bo@example.edu", "from": "2026-02-01", "until": None} in listed
    scopes = {each["scope"]: each["amount"] for each in shell.json("limit", "list")["limits"]}
    assert scopes["member:elections/bo@example.edu"] == 7
    code, out, _ = shell.run("member", "list", "elections")
    assert (code, "Members of elections" in out) == (0, True)

    key = shell.json("key", "issue", "--project", "elections", "--person", "bo@example.edu")
    assert shell.json("key", "show", key["client_key"])["status"] == "active"
    looked = shell.json("member", "remove", "elections", "bo@example.edu", "--dry-run")
    assert (looked["removed"], {each["kind"] for each in looked["changes"]}) == (False, {"member", "key"})
    assert shell.json("key", "show", key["client_key"])["status"] == "active"
    assert shell.json("member", "remove", "elections", "bo@example.edu")["changed"] is True
    shown = shell.json("key", "show", key["key_id"])
    assert (shown["status"], shown["person"], "client_secret" in shown) == (
        "revoked",
        "bo@example.edu",
        False,
    )
    code, out, _ = shell.run("key", "show", key["key_id"])
    assert (code, "of bo@example.edu in project elections" in out) == (0, True)
    assert shell.run("key", "show", "none")[0] == 2
    size = len(shell.entries())
    for dry in ((), ("--dry-run",)):
        code, _, err = shell.run("member", "remove", "elections", "ada@example.edu", *dry)
        assert (code, "leads elections" in err) == (2, True)
        assert shell.run("member", "remove", "elections", "bo@example.edu", *dry)[0] == 2
    assert len(shell.entries()) == size
    for wrong in (("nowhere", "ada@example.edu"), ("elections", "nobody@example.edu")):
        assert shell.run("member", "add", *wrong)[0] == 2
    assert shell.run("member", "list", "nowhere")[0] == 2


def test_who_is_a_member_already_is_not_added_again_and_keeps_the_day_that_is_not_named(shell: Shell) -> None:
    shell.applied()
    shell.json("person", "add", "bo@example.edu", "--name", "Bo")
    shell.json("member", "add", "elections", "bo@example.edu", "--until", "2027-01-31")
    code, _, err = shell.run("member", "add", "elections", "bo@example.edu")
    assert (code, "change that instead" in err) == (2, True)
    shell.json("member", "set", "elections", "bo@example.edu", "--from", "2026-02-01")
    listed = shell.json("member", "list", "elections")["members"]
    assert {"email": "bo@example.edu", "from": "2026-02-01", "until": "2027-01-31"} in listed
    assert shell.json("member", "set", "elections", "bo@example.edu")["changed"] is False
    assert shell.run("member", "set", "elections", "bo@example.edu", "--until", "soon")[0] == 2
    assert shell.run("member", "set", "elections", "it@example.edu", "--until", "")[0] == 2


def test_who_is_there_is_not_added_again_and_keeps_what_is_not_set(shell: Shell) -> None:
    shell.applied()
    code, out, err = shell.run("person", "add", "It@example.edu", "--name", "Service Desk")
    assert (code, out, "There is a person it@example.edu already" in err) == (2, "", True)
    assert shell.json("person", "show", "it@example.edu")["roles"] == ["admin"]
    changed = shell.json("person", "set", "It@example.edu", "--name", "Service Desk")
    assert changed == {"person": "it@example.edu", "changed": True}
    shown = shell.json("person", "show", "it@example.edu")
    assert (shown["name"], shown["roles"]) == ("Service Desk", ["admin"])
    assert shell.json("person", "set", "it@example.edu")["changed"] is False
    shell.json("person", "set", "ada@example.edu", "--role", "researcher", "--role", "lead")
    shown = shell.json("person", "show", "ada@example.edu")
    assert (shown["name"], shown["roles"]) == ("Ada Byron", ["lead", "researcher"])
    shell.json("person", "set", "ada@example.edu", "--role", "")
    assert shell.json("person", "show", "ada@example.edu")["roles"] == []
    assert shell.run("person", "set", "ada@example.edu", "--role", "king")[0] == 2
    assert shell.run("person", "set", "nobody@example.edu", "--name", "Nobody")[0] == 2


def test_the_last_administrator_stays_one(shell: Shell) -> None:
    shell.applied()
    shell.json("person", "remove", "admin@localhost")
    code, _, err = shell.run("person", "set", "it@example.edu", "--role", "lead")
    assert (code, "last administrator" in err) == (2, True)
    assert shell.json("person", "show", "it@example.edu")["roles"] == ["admin"]
    shell.json("person", "set", "ada@example.edu", "--role", "admin")
    assert shell.json("person", "set", "it@example.edu", "--role", "lead")["changed"] is True


def test_a_person_is_shown_and_removed_with_their_keys(shell: Shell) -> None:
    shell.applied()
    shell.json("person", "add", "bo@example.edu", "--name", "Bo", "--role", "researcher")
    shell.json("member", "add", "elections", "bo@example.edu")
    key = shell.json("key", "issue", "--project", "elections", "--person", "bo@example.edu")
    assert shell.json("person", "show", "Bo@example.edu")["projects"] == ["elections"]
    assert "terms accepted: 2024-10" in shell.run("person", "show", "ada@example.edu")[1]
    looked = shell.json("person", "remove", "bo@example.edu", "--dry-run")
    assert {each["kind"] for each in looked["changes"]} == {"key", "member", "person"}
    assert shell.json("key", "show", key["key_id"])["status"] == "active"
    assert shell.json("person", "remove", "Bo@example.edu")["removed"] is True
    assert shell.json("key", "show", key["key_id"])["status"] == "revoked"
    assert shell.run("person", "show", "bo@example.edu")[0] == 2
    shell.json("person", "add", "bo@example.edu", "--name", "Bo", "--returning")
    assert shell.entries()[-1]["op"] == "person.restored"
    shell.json("person", "remove", "bo@example.edu")
    shell.json("person", "add", "bo@example.edu", "--name", "Bonnie")
    assert shell.entries()[-1]["op"] == "person.added"
    assert shell.run("person", "add", "new@example.edu", "--name", "New", "--returning")[0] == 2
    size = len(shell.entries())
    for dry in ((), ("--dry-run",)):
        code, out, err = shell.run("person", "remove", "ada@example.edu", *dry)
        assert (code, out, "leads elections" in err) == (2, "", True)
    assert len(shell.entries()) == size


def test_a_credential_is_bounded_and_removed_when_nobody_uses_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.applied()
    secret = str(shell.scene.directory / "secrets" / "tiktok")
    add = ["credential", "add", "second", "--client-key", "aw2", "--base-url", "http://127.0.0.1:8081"]
    shell.json(*add, "--secret-file", secret, "--limit", "requests/day=50")
    limits = {each["scope"]: each["amount"] for each in shell.json("limit", "list")["limits"]}
    assert limits["credential:second"] == 50
    more = ["credential", "set", "second", "--roster-limit", "12"]
    code, _, err = shell.run(*more)
    assert (code, "permission" in err) == (2, True)
    leave = shell.scene.directory / "leave.pdf"
    leave.write_bytes(b"%PDF-1.7 they may")
    more += ["--permission", "Mail of 2026-02-11", "--permission-file", str(leave)]
    assert shell.json(*more)["changed"] is True
    assert shell.json(*more)["changed"] is False
    shown = shell.json("credential", "show", "second")
    assert (shown["roster_limit"], shown["permission"]["reference"]) == (12, "Mail of 2026-02-11")
    assert (shown["permission"]["file"], len(shown["permission"]["sha256"])) == ("leave.pdf", 64)
    assert "used by 0 of at most 12 people" in shell.run("credential", "show", "second")[1]
    monkeypatch.setenv("BURSAR_TWO_PERSON_CONTROL", "true")
    waiting = shell.json("credential", "set", "second", "--roster-limit", "13")
    assert (waiting["changed"], len(waiting["waiting"])) == (False, 1)

    for dry in ((), ("--dry-run",)):
        code, _, err = shell.run("credential", "remove", "main", *dry)
        assert (code, "main is used by elections" in err) == (2, True)
    assert shell.json("credential", "remove", "second", "--dry-run")["removed"] is False
    assert shell.json("credential", "remove", "second")["removed"] is True
    assert shell.run("credential", "show", "second")[0] == 2


def test_terms_are_added_shown_changed_and_withdrawn(shell: Shell) -> None:
    shell.applied()
    text = shell.scene.directory / "next.md"
    text.write_text("# Terms\n\nBe better.\n")
    add = ["terms", "add", "2027-01", "--title", "Terms", "--text-file", str(text), "--from", "2037-01-01"]
    assert shell.json(*add, "--grace-days", "30", "--source", "https://example.edu/terms")["changed"] is True
    assert shell.run(*add)[0] == 2
    shown = shell.json("terms", "show", "2027-01")
    assert (shown["text"], shown["grace_days"], shown["in_force_from"]) == (
        "# Terms\n\nBe better.\n",
        30,
        "2037-01-01",
    )
    assert "Be better." in shell.run("terms", "show", "2027-01")[1]
    text.write_text("# Terms\n\nBe best.\n")
    assert shell.json("terms", "set", "2027-01", "--text-file", str(text), "--source", "")["changed"] is True
    assert shell.json("terms", "set", "2027-01", "--title", "Terms")["changed"] is False
    shown = shell.json("terms", "show", "2027-01")
    assert (shown["text"], shown["source"]) == ("# Terms\n\nBe best.\n", None)
    assert shell.run("terms", "set", "2024-10", "--text-file", str(text))[0] == 2
    assert shell.json("terms", "remove", "2027-01")["removed"] is True
    assert [each["version"] for each in shell.json("terms", "list")["terms"]] == ["2024-10"]
    for gone in (("show", "2027-01"), ("remove", "2027-01"), ("set", "2027-01", "--title", "x")):
        assert shell.run("terms", *gone)[0] == 2


def test_a_limit_is_raised_listed_and_ended(shell: Shell) -> None:
    shell.applied()
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=3)).date().isoformat()
    granted = shell.json(
        "limit", "raise", "project:elections", "requests/day", "50", "--until", until, "--reason", "night"
    )
    (listed,) = shell.json("limit", "raises")["raises"]
    assert (listed["id"], listed["amount"], listed["reason"]) == (granted["id"], 50, "night")
    assert shell.json("limit", "end-raise", granted["id"])["changed"] is True
    assert shell.json("limit", "raises")["raises"] == []
    assert len(shell.json("limit", "raises", "--all")["raises"]) == 1
    code, _, err = shell.run(
        "limit", "raise", "credential:main", "requests/day", "5", "--until", until, "--reason", "x"
    )
    assert code == 2
    assert "limit set" in err


def test_limits_have_a_history_that_names_who_changed_them(shell: Shell) -> None:
    shell.applied()
    for amount in ("310", "320"):
        shell.json("limit", "set", "project:elections", "requests/day", amount)
    shell.json("limit", "remove", "project:elections", "requests/day")
    asked = ("limit", "history", "--scope", "project:elections", "--key", "requests/day")
    found = shell.json(*asked)["changes"]
    steps = [(320, None), (310, 320), (300, 310), (None, 300)]
    assert [(each["before"], each["after"]) for each in found] == steps
    assert {(each["scope"], each["key"]) for each in found} == {("project:elections", "requests/day")}
    assert {each["by"] for each in found} == {f"os:{os.getuid()}"}
    assert found[0]["entry"] == shell.entries()[-1]["id"]
    assert len(shell.json("limit", "history")["changes"]) > len(found)
    code, out, _ = shell.run(*asked)
    assert (code, "no limit" in out, f"os:{os.getuid()}" in out) == (0, True, True)
    code, out, err = shell.run("limit", "history", "--scope", "project:nowhere")
    assert (code, out, "There is no 'project:nowhere'" in err) == (2, "", True)
    none = ("limit", "history", "--scope", "project:elections", "--key", "records/month")
    assert shell.run(*none)[1] == "Changes of limits: none\n"


def test_a_project_is_shown_and_its_reuse_is_set_piece_by_piece(shell: Shell) -> None:
    shell.applied()
    given = ("--cache-control", "ignore", "--stale", "--lifetime", "user/info=6h", "--lifetime", "default=2d")
    done = shell.json("project", "set", "elections", *given)
    assert (done["project"], done["changed"]) == ("elections", True)
    done = shell.json(
        "project",
        "set",
        "elections",
        "--lifetime",
        "default=",
        "--recent-lifetime",
        "default=1h",
        "--without",
        "records",
    )
    assert shell.json("project", "set", "elections", "--stale")["changed"] is False
    shown = shell.json("project", "show", "elections")
    assert shown["members"] == [{"email": "ada@example.edu", "from": None, "until": None}]
    assert shown["reuse"] == done["reuse"]
    assert shown["reuse"] == {
        "cache_control": "ignore",
        "stale": True,
        "lifetimes": {"user/info": "6h"},
        "recent_lifetimes": {"default": "1h"},
        "without": ["records"],
    }
    said = shell.run("project", "show", "elections")[1]
    assert "lifetimes: user/info 6h; of recent windows: default 1h; steps of reuse left out: records" in said
    assert "Cache-Control: ignore; past their time, when nothing can be fetched: yes" in said
    assert [each["op"] for each in shell.entries()[-2:]] == ["project.set"] * 2
    assert shell.json("project", "set", "elections", "--without", "")["reuse"]["without"] == []
    assert shell.run("project", "set", "elections", "--without", "half-pages")[0] == 2
    assert shell.run("project", "set", "elections", "--lifetime", "user/info")[0] == 2
    assert shell.run("project", "set", "elections", "--lifetime", "user/info=soon")[0] == 2
    assert shell.run("project", "show", "nowhere")[0] == 2


def test_a_rule_is_shown_and_set_and_a_value_is_stated(shell: Shell) -> None:
    shell.applied()
    assert shell.json("rule", "set", "date-span", "shadow") == {
        "rule": "date-span",
        "mode": "shadow",
        "changed": True,
        "waiting": [],
    }
    stated = ("refresh_interval_days", "30", "--from", "2026-01-22", "--source", "III.3.e")
    assert shell.json("rule", "value", *stated)["changed"] is True
    found = shell.json("rule", "list")
    modes = {each["rule"]: each["mode"] for each in found["rules"]}
    assert (modes["date-span/1"], modes["page-size/1"]) == ("shadow", "enforce")
    assert {each["name"]: each["amount"] for each in found["values"]}["refresh_interval_days"] == 30
    _, out, _ = shell.run("rule", "list")
    assert "30 from 2026-01-22 (III.3.e)" in out
    for wrong in (("set", "date-span", "off"), ("set", "pi", "warn"), ("value", "pi", "3", "--source", "x")):
        assert shell.run("rule", *wrong)[0] == 2


def test_under_two_person_control_a_raise_waits_and_its_author_cannot_confirm_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.applied()
    monkeypatch.setenv("BURSAR_TWO_PERSON_CONTROL", "true")
    done = shell.json("limit", "set", "credential:main", "requests/day", "5000")
    (waiting,) = done["waiting"]
    assert (done["changed"], waiting["before"], waiting["after"]) == (False, 1000, 5000)
    shell.scene.edit("records/day: 100000,", "records/day: 200000,")
    shell.scene.edit("requests/day: 1000,", "requests/day: 5000,")
    applied = shell.json("apply", str(shell.scene.path))
    assert sorted(each["what"] for each in applied["waiting"]) == ["records/day", "requests/day"]
    _, out, _ = shell.run("apply", str(shell.scene.path))
    assert f"waits for another administrator (bursar proposal confirm {waiting['id']})" in out
    code, _, err = shell.run("proposal", "confirm", waiting["id"])
    assert (code, "another administrator" in err) == (2, True)
    amounts = {
        each["key"]: each["amount"]
        for each in shell.json("limit", "list")["limits"]
        if "credential" in each["scope"]
    }
    assert (amounts["requests/day"], amounts["records/day"]) == (1000, 100000)
    waiting_ids = [each["id"] for each in applied["waiting"]]
    code, out, _ = shell.run("proposal", "confirm", *waiting_ids)
    assert (code, out.count("is not confirmed: You proposed this yourself.")) == (2, 2)
    code, out, _ = shell.run("proposal", "confirm", *waiting_ids, "--json")
    told = json.loads(out)["proposals"]
    assert (code, [each["id"] for each in told]) == (2, waiting_ids)
    assert all(each["proposal"] is None and "yourself" in each["problem"] for each in told)
    assert shell.json("proposal", "refuse", waiting["id"])["outcome"] == "refused"
    weaker = shell.json("rule", "set", "refresh-interval", "shadow")
    assert (weaker["changed"], weaker["waiting"][0]["what"]) == (False, "rule.mode")
    said = shell.run("rule", "value", "refresh_interval_days", "30", "--source", "III.3.e")[1]
    assert "refresh_interval_days from " in said
    assert ": 15 -> 30 waits for another administrator (bursar proposal confirm " in said
    assert shell.json("rule", "value", "refresh_interval_days", "10", "--source", "x")["changed"] is True
    assert "the terms" in shell.run("proposal", "list")[1]
    for each in shell.json("proposal", "list")["proposals"]:
        if each["what"].startswith("rule."):
            shell.json("proposal", "refuse", each["id"])
    outcomes = [each["outcome"] for each in shell.json("proposal", "list")["proposals"]]
    assert outcomes == ["open", "refused", "refused", "refused"]
