"""`bursar audit receipt` and `consistency`, and what they print for programs."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.administration.key_files import read_log_key
from app.audit.notes import Checkpoint
from tests.outsider import leaf_of, opened, parsed
from tests.test_cli import Shell


@pytest.fixture
def shell(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    clean_environment: Callable[[], None],
) -> Shell:
    opened_shell = Shell(tmp_path, capsys)
    monkeypatch.setenv("BURSAR_DATA_DIR", str(opened_shell.data))
    return opened_shell.applied()


def vkey_and_first_entry(shell: Shell) -> tuple[str, str]:
    code, out, err = shell.run("audit", "consistency", "--from", "1", "--json")
    assert code == 0, err
    note = json.loads(out)["checkpoint"]
    signer = read_log_key(shell.data / "log.key")
    entry = shell.entries()[0]
    return signer.verifier(note.split("\n")[0]).vkey, str(entry["id"])


def test_a_receipt_is_printed_written_and_verifies(shell: Shell, tmp_path: Path) -> None:
    vkey, entry = vkey_and_first_entry(shell)
    code, printed, _ = shell.run("audit", "receipt", entry)
    assert code == 0
    assert json.loads(leaf_of(printed, vkey))["id"] == entry
    file = tmp_path / "one.tlog-proof"
    document = shell.json("audit", "receipt", entry, "--to", str(file))
    assert json.loads(leaf_of(file.read_text(), vkey)) == document["entry"]
    assert document["proof"] == file.read_text()
    assert document["size"] > opened(parsed(printed).note, vkey).size
    reads = [each["reads"] for each in shell.entries() if each["type"] == "audit_read"]
    assert reads[-2:] == [{"receipt": entry}] * 2


@pytest.mark.parametrize(
    "command", [("audit", "receipt"), ("audit", "export", "--format", "csv")], ids=" ".join
)
def test_a_place_that_cannot_be_written_is_one_line_that_names_it(
    shell: Shell, tmp_path: Path, command: tuple[str, ...]
) -> None:
    entry = [str(shell.entries()[0]["id"])] if command[1] == "receipt" else []
    (tmp_path / "file").touch()
    code, _, err = shell.run(*command, *entry, "--to", str(tmp_path / "file" / "below"))
    assert (code, err) == (3, f"bursar: {tmp_path / 'file' / 'below'}: Not a directory\n")


def test_a_receipt_of_nothing_is_wrong_usage(shell: Shell) -> None:
    code, _, err = shell.run("audit", "receipt", "0" * 32)
    assert code == 2
    assert "no entry" in err


def test_a_kept_checkpoint_is_continued_or_is_not(shell: Shell, tmp_path: Path) -> None:
    _, entry = vkey_and_first_entry(shell)
    _, printed, _ = shell.run("audit", "receipt", entry)
    kept = tmp_path / "kept.checkpoint"
    kept.write_text(parsed(printed).note)
    assert shell.json("audit", "consistency", "--checkpoint", str(kept))["consistent"] is True
    code, out, _ = shell.run("audit", "consistency", "--checkpoint", str(kept))
    assert code == 0
    assert "begins with" in out
    signer = read_log_key(shell.data / "log.key")
    origin = parsed(printed).note.split("\n")[0]
    for size in (2, 10**6):
        kept.write_bytes(signer.sign(Checkpoint(origin, size, bytes(32)).text, origin))
        code, out, _ = shell.run("audit", "consistency", "--checkpoint", str(kept), "--json")
        assert code == 1
        assert json.loads(out)["consistent"] is False


@pytest.mark.parametrize(
    "arguments", [(), ("--from", "1", "--checkpoint", "x"), ("--checkpoint", "/nowhere")]
)
def test_a_consistency_of_nothing_is_wrong_usage(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell.run("audit", "consistency", *arguments)[0] == 2


def test_the_whole_log_verifies_beside_what_others_kept_of_it(shell: Shell, tmp_path: Path) -> None:
    _, entry = vkey_and_first_entry(shell)
    receipts, anchors = tmp_path / "receipts", tmp_path / "anchors"
    for place in (receipts, anchors):
        place.mkdir()
    assert shell.run("audit", "receipt", entry, "--to", str(receipts / "one.tlog-proof"))[0] == 0
    document = shell.json("audit", "receipt", entry)
    (receipts / "two.json").write_text(json.dumps(document))
    (anchors / "notes").write_text(parsed(document["proof"]).note)
    report = shell.json("audit", "verify", "--receipts", str(receipts), "--anchors", str(anchors))
    assert (report["verified"], report["finding"], report["problems"]) == (True, None, [])
    assert report["size"] == sum(report["entries"].values()) == len(shell.entries())
    assert report["checked"]["receipts"] == 2
    assert report["checked"]["anchors"] == 1
    assert shell.entries()[-1]["reads"] == {"anchors": 1, "export": False, "receipts": True}
    code, out, _ = shell.run("audit", "verify")
    assert code == 0
    assert out.startswith("Verified: ")


def test_a_changed_row_and_a_lost_tail_are_said_with_exit_code_1(shell: Shell, tmp_path: Path) -> None:
    _, entry = vkey_and_first_entry(shell)
    shell.run("audit", "receipt", entry, "--to", str(tmp_path / "later.tlog-proof"))
    with sqlite3.connect(shell.data / "bursar.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE entry SET type = 'auth' WHERE ix = 3")
    code, out, _ = shell.run("audit", "verify", "--json")
    assert code == 1
    report = json.loads(out)
    assert report["finding"] == "tamper"
    assert [(each["check"], each["index"]) for each in report["problems"]] == [("columns", 3)]
    code, out, _ = shell.run("audit", "verify")
    assert code == 1
    assert "entry 3" in out


def test_nothing_to_verify_is_unreadable(shell: Shell, tmp_path: Path) -> None:
    code, out, err = shell.run("audit", "verify", "--receipts", str(tmp_path / "nowhere"))
    assert (code, out) == (3, "")
    assert "nowhere" in err


def restored_behind_what_was_seen(shell: Shell) -> None:
    """As with a backup from before the last two entries."""
    database = shell.data / "bursar.db"
    backup = shell.data / "backup.db"
    with closing(sqlite3.connect(database)) as now, closing(sqlite3.connect(backup)) as copy:
        now.backup(copy)
    for _ in range(2):
        shell.json("audit", "consistency", "--from", "1")
    for each in ("bursar.db-wal", "bursar.db-shm"):
        (shell.data / each).unlink(missing_ok=True)
    backup.replace(database)


def test_nothing_is_appended_to_a_log_that_is_behind_until_an_epoch_tells_of_it(shell: Shell) -> None:
    size = len(shell.entries())
    restored_behind_what_was_seen(shell)
    code, _, said = shell.run("person", "add", "new@example.edu", "--name", "New")
    assert (code, "audit_rollback_detected" in said) == (1, True)
    assert shell.run("person", "list")[0] == 0  # to look is no harm
    code, found, _ = shell.run("doctor", "--json")
    assert (code, "audit_rollback_detected" in found) == (1, True)
    assert len(shell.entries()) == size
    epoch = shell.json("audit", "new-epoch", "--reason", "a drill")["epoch"]
    assert (epoch["restored_size"], epoch["agreed"], epoch["lost"]) == (size, size, 2)
    assert shell.json("doctor")["healthy"] is True
    assert shell.run("person", "add", "new@example.edu", "--name", "New")[0] == 0
    code, _, said = shell.run("audit", "new-epoch", "--reason", "once more")
    assert (code, "no new epoch is needed" in said) == (2, True)


def test_another_replicas_checkpoint_is_evidence_of_a_greater_loss(shell: Shell, tmp_path: Path) -> None:
    size = len(shell.entries())
    seen = shell.json("audit", "consistency", "--from", "1")["checkpoint"].split("\n")
    signer = read_log_key(shell.data / "log.key")
    restored_behind_what_was_seen(shell)
    evidence = tmp_path / "newest.checkpoint"
    evidence.write_bytes(signer.sign(Checkpoint(seen[0], size + 50, bytes(32)).text, seen[0]))
    asked = ("audit", "new-epoch", "--reason", "a drill")
    assert shell.run(*asked, "--evidence", str(shell.data / "log.key"))[0] == 2
    epoch = shell.json(*asked, "--evidence", str(evidence))["epoch"]
    assert (epoch["known"], epoch["lost"]) == (size + 50, 49)


def test_under_two_person_control_a_second_person_agrees_to_an_epoch_by_their_token(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {}
    for name, role in (("dee", "compliance"), ("eve", "researcher")):
        email = f"{name}@example.edu"
        shell.json("person", "add", email, "--name", name, "--role", role)
        files[name] = tmp_path / name
        files[name].write_text(shell.json("token", "issue", "--person", email)["token"] + "\n")
    restored_behind_what_was_seen(shell)
    monkeypatch.setenv("BURSAR_TWO_PERSON_CONTROL", "true")
    asked = ("audit", "new-epoch", "--reason", "a drill")
    for more in ((), ("--approver-token-file", str(files["eve"]))):
        assert shell.run(*asked, *more)[0] == 2
    entry = shell.json(*asked, "--approver-token-file", str(files["dee"]))["entry"]
    told = shell.json("audit", "receipt", entry)["entry"]
    assert told["actor"]["kind"] == "cli"
    assert told["approved_by"]


def test_a_checkpoint_is_anchored_by_hand_and_never_over_another(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell.run("audit", "anchor")[0] == 2
    monkeypatch.setenv("BURSAR_ANCHOR_DIR", str(tmp_path / "nowhere"))
    assert shell.run("audit", "anchor")[0] == 2
    monkeypatch.setenv("BURSAR_ANCHOR_DIR", str(tmp_path))
    first, second = shell.json("audit", "anchor"), shell.json("audit", "anchor")
    assert first["size"] < second["size"]
    assert Path(first["file"]).read_text() == first["checkpoint"]
    assert shell.run("audit", "consistency", "--checkpoint", first["file"])[0] == 0
    file = tmp_path / "by-hand"
    assert shell.run("audit", "anchor", "--to", str(file))[0] == 0
    kept = file.read_text()
    assert shell.run("audit", "anchor", "--to", str(file))[0] == 2
    assert file.read_text() == kept


def test_an_export_is_written_verified_and_gone_on_with_by_commands(shell: Shell, tmp_path: Path) -> None:
    shell.json("limit", "set", "project:elections", "calls/day", "1000")
    out = tmp_path / "out"
    done = shell.json("audit", "export", "--format", "tiles", "--to", str(out))
    assert done["entries"] == done["size"] == len(shell.entries()) - 1
    assert (done["format"], done["resumed"], done["to"]) == ("tiles", False, str(out))
    assert {each.stat().st_mode & 0o077 for each in out.rglob("*")} == {0}
    report = shell.json("audit", "verify", "--export", str(out))
    assert (report["verified"], report["size"], report["key_source"]) == (True, done["size"], "given")
    code, said, _ = shell.run(
        "audit", "export", "--format", "csv", "--type", "audit_read", "--to", str(tmp_path / "csv")
    )
    assert code == 0
    assert "entries are in" in said
    ops = [each.get("op") for each in shell.entries() if each["type"] == "audit_read"]
    assert ops == ["audit.export", "audit.exported", "audit.verify", "audit.export", "audit.exported"]
    for arguments in (
        ("--format", "tiles", "--to", str(out)),
        ("--format", "xml", "--to", "x"),
        ("--to", "x"),
    ):
        assert shell.run("audit", "export", *arguments)[0] == 2
    (out / "checkpoint").write_bytes((out / "checkpoint").read_bytes().replace(b"\n\n", b"\n \n"))
    code, printed, _ = shell.run("audit", "verify", "--export", str(out), "--json")
    assert (code, json.loads(printed)["finding"]) == (1, "tamper")
    (out / "checkpoint").unlink()
    assert shell.run("audit", "verify", "--export", str(out))[0] == 3
