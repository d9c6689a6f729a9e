"""What the pages of assurance say is tested, is."""

import re
from pathlib import Path

import pytest

from tests.repository.committed import ROOT, committed_texts

_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_PAGES = [Path("docs/assurance.md"), Path("docs/security.md")]


@pytest.mark.parametrize("page", _PAGES, ids=str)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    texts = committed_texts()
    named = _TEST.findall(texts[page])
    assert len(named) > 20
    missing = {
        f"{path}::{name}" if name else path
        for path, name in named
        if Path(path) not in texts or (name and f"def {name}(" not in texts[Path(path)])
    }
    assert missing == set()


def test_every_test_of_the_catalogue_has_one_row_in_its_order() -> None:
    rows = re.findall(r"^\| T(\d+) \|(.*)\|$", (ROOT / "docs/assurance.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 56))
    assert {row.count("|") for _, row in rows} == {4}


def test_a_row_without_a_test_says_why() -> None:
    rows = re.findall(r"^\| (T\d+) \|(.*)\|$", (ROOT / "docs/assurance.md").read_text(), re.MULTILINE)
    for name, row in rows:
        what, where, _, _, reached = (cell.strip() for cell in row.split("|"))
        assert what, name
        assert where == "none" or re.search(r"`(?:tests|benchmarks)/", where), name
        assert reached, name
