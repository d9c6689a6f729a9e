"""`bursar audit erase`, `prune` and `retention` propose; nobody confirms what they proposed themselves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_cli import Shell


@pytest.fixture
def shell(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    clean_environment: Callable[[], None],
) -> Shell:
    opened = Shell(tmp_path, capsys)
    monkeypatch.setenv("BURSAR_DATA_DIR", str(opened.data))
    return opened.applied()


def test_what_is_proposed_waits_and_is_shown(shell: Shell) -> None:
    assert shell.json("audit", "retention") == {"months": 12}
    retention = shell.json("audit", "retention", "--months", "24")
    assert (retention["what"], retention["before"], retention["after"]) == ("audit.retention", 12, 24)
    prune = shell.json("audit", "prune", "--before", "2020-01-01")
    assert prune["about"] == "entries before 2020-01-01"
    waiting = shell.json("proposal", "list")["proposals"]
    assert {each["id"] for each in waiting} == {retention["id"], prune["id"]}
    for each in waiting:
        code, _, err = shell.run("proposal", "confirm", each["id"])
        assert code == 2
        assert "yourself" in err
    code, out, _ = shell.run("audit", "retention")
    assert (code, "12 months" in out) == (0, True)
    code, out, _ = shell.run("audit", "erase", "--person", shell.json("person", "list")["people"][0]["email"])
    assert (code, "waits for another person" in out) == (0, True)
    shell.json("proposal", "refuse", prune["id"])
    assert [each["outcome"] for each in shell.json("proposal", "list")["proposals"]].count("refused") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("retention", "--months", "5"),
        ("retention", "--months", "37"),
        ("prune", "--before", "2999-01-01"),
        ("prune", "--before", "soon"),
        ("erase", "--person", "stranger@example.edu"),
        ("show", "0" * 32),
    ],
)
def test_what_cannot_be_is_wrong_usage(shell: Shell, arguments: tuple[str, ...]) -> None:
    code, _, err = shell.run("audit", *arguments)
    assert (code, bool(err.strip())) == (2, True)


def test_one_entry_is_shown(shell: Shell) -> None:
    entry = shell.entries()[0]
    assert shell.json("audit", "show", entry["id"])["entry"] == entry
    code, out, _ = shell.run("audit", "show", entry["id"])
    assert (code, entry["id"] in out) == (0, True)
    code, _, err = shell.run("audit", "show", entry["id"], "--open")
    assert (code, "no question" in err) == (2, True)
