"""`bursar audit search`, for people and for programs."""

import re
import sys
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


def test_a_search_goes_on_where_the_part_before_ended(shell: Shell) -> None:
    total = len(shell.entries())
    first = shell.json("audit", "search", "--type", "admin", "--limit", "2")
    assert [each["entry"]["type"] for each in first["items"]] == ["admin", "admin"]
    rest = shell.json("audit", "search", "--type", "admin", "--before", str(first["before"]))
    indexes = [each["index"] for each in (*first["items"], *rest["items"])]
    assert indexes == sorted(set(indexes), reverse=True)
    assert (len(indexes), rest["before"]) == (total, None)
    looks = [each["reads"] for each in shell.entries() if each["type"] == "audit_read"]
    assert looks[0] == {"type": "admin", "before": None, "limit": 2}


def test_a_search_by_what_happened_shows_a_table(shell: Shell) -> None:
    code, out, err = shell.run("audit", "search", "--endpoint", "person.added", "--limit", "1")
    assert code == 0
    assert "person.added" in out
    assert "allowed local-operator/1" in out
    assert "--before" in err


def test_a_search_for_nothing_that_could_be_is_wrong_usage(shell: Shell) -> None:
    for arguments in (("--person", "stranger@example.edu"), ("--type", "x"), ("--since", "soon")):
        code, _, err = shell.run("audit", "search", *arguments)
        assert (code, bool(err.strip())) == (2, True)


def test_a_time_that_ends_before_it_begins_is_wrong_usage(shell: Shell) -> None:
    bounds = ("--since", "2026-05-02", "--until", "2026-05-01")
    for command in (("search",), ("export", "--format", "jsonl", "--to", str(shell.data / "x"))):
        code, out, err = shell.run("audit", *command, *bounds)
        assert (code, out) == (2, "")
        assert "until has to be later than since" in err


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_an_entrys_id_is_never_broken_on_a_terminal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    ids = [each["entry"]["id"] for each in shell.json("audit", "search", "--type", "admin")["items"]]
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = shell.run("audit", "search", "--type", "admin")
    assert code == 0
    assert ids
    assert all(out.count(each) == 1 for each in ids)
    if width >= 80:
        assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines())) <= width


def test_what_does_not_fit_beside_an_entry_stands_below_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, out, _ = shell.run("audit", "search", "--endpoint", "person.added", "--limit", "1")
    title, first, *rest = out.splitlines()
    assert title == "Entries"
    assert first.split()[3] == "admin"
    assert "what: person.added; decision: allowed local-operator/1" in " ".join(map(str.strip, rest))
