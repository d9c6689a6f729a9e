"""`bursar audit receipt` and `consistency`, and what they print for programs."""

import json
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
