"""Promises about every committed file."""

import ast
import re
from pathlib import Path

import pytest

from tests.repository.committed import ROOT, committed_modes, committed_texts

# In pieces, so that this file keeps the promise as well.
_REGISTRIES = [
    ".".join(pieces)
    for pieces in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("pypi", "python", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("anaconda", "org"),
        ("crates", "io"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("golang", "org"),
        ("astral", "sh"),
        ("debian", "org"),
    )
]
_PATHS_OF_A_MACHINE = re.compile(rf"(?<![\w.~-])/(?:{'|'.join(('work', 'root', 'farm'))})/")
_UNFINISHED = re.compile(rf"\b(?:{'|'.join(('TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'))})\b")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!\w+:|#)([^)#\s]+)[^)]*\)")
_PICTURE = re.compile(r"!\[[^\]]*\]\((?!\w+:)([^)\s]+)\)")


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in committed_texts().items()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_the_host_of_a_registry() -> None:
    hosts = "|".join(re.escape(host) for host in _REGISTRIES)
    assert lines_with(re.compile(rf"(?<![\w-])(?:{hosts})(?![\w-])")) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert lines_with(_PATHS_OF_A_MACHINE) == []


def test_nothing_is_left_for_later() -> None:
    assert lines_with(_UNFINISHED) == []


def test_no_directory_is_called_for_what_is_left_over() -> None:
    refused = {"utils", "helpers", "common", "misc", "manager"}
    assert [path for path in committed_modes() if refused & {*path.parts[:-1], path.stem}] == []


@pytest.mark.parametrize("page", ["README.md", "docs", "deploy"])
def test_relative_links_of_the_documentation_lead_somewhere(page: str) -> None:
    start = Path(page)
    pages = [path for path in committed_texts() if path == start or start in path.parents]
    broken = [
        f"{path}: {target}"
        for path in pages
        if path.suffix == ".md"
        for pattern in (_LINK, _PICTURE)
        for target in pattern.findall(committed_texts()[path])
        if not (ROOT / path.parent / target).exists()
    ]
    assert broken == []


def test_links_to_a_heading_find_it() -> None:
    texts = committed_texts()
    pages = [path for path in texts if path.suffix == ".md"]
    broken = [
        f"{path}: {target}#{anchor}"
        for path in pages
        for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", texts[path])
        if anchor not in headings((ROOT / path.parent / target if target else ROOT / path).read_text())
    ]
    assert broken == []


def headings(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


def test_a_decision_has_a_title_and_fits_a_page() -> None:
    decisions = {
        path: text.splitlines()
        for path, text in committed_texts().items()
        if path.parent == Path("docs/decisions") and path.suffix == ".md"
    }
    assert decisions
    assert [path for path, lines in decisions.items() if not re.match(r"# \S", lines[0])] == []
    assert [path for path, lines in decisions.items() if len(lines) >= 80] == []
    numbers = [path.name[:4] for path in decisions]
    assert [number for number in numbers if not number.isdigit()] == []
    assert len(set(numbers)) == len(numbers)


def test_a_test_that_is_left_out_says_why() -> None:
    silent = [
        f"{path}:{node.lineno}"
        for path, text in committed_texts().items()
        if path.suffix == ".py" and path.parts[0] == "tests"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        if ast.unparse(node).startswith("pytest.mark.") and node.attr in {"skip", "skipif", "xfail"}
        if not _has_reason(node, text)
    ]
    assert silent == []


def _has_reason(mark: ast.Attribute, text: str) -> bool:
    for node in ast.walk(ast.parse(text)):
        is_this = isinstance(node, ast.Call) and ast.unparse(node.func) == ast.unparse(mark)
        if is_this and isinstance(node, ast.Call) and node.func.lineno == mark.lineno:
            return any(word.arg == "reason" for word in node.keywords)
    return False


def test_what_starts_with_an_interpreter_can_be_run() -> None:
    modes = committed_modes()
    scripts = [path for path, text in committed_texts().items() if text.startswith("#!")]
    assert {Path("dev"), Path(".ci/run")} <= set(scripts)
    assert [path for path in scripts if modes[path] != "100755"] == []


def test_the_licence_is_the_one_that_the_project_names() -> None:
    licence = committed_texts()[Path("LICENSE")]
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
