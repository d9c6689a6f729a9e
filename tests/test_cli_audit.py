"""`bursar audit receipt` and `consistency`, and what they print for programs."""

import json
import sqlite3
from collections.abc import Callable
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
