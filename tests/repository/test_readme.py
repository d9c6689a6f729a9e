"""What the README says is what the program does."""

import re
from pathlib import Path

from app.settings import settings_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_readmes_settings_are_those_of_the_code() -> None:
    found = re.search(r"<!-- settings: [^>]*-->\n(.*?)<!-- end of settings -->", README, re.DOTALL)
    assert found is not None
    assert found[1].strip() == settings_table()


def test_the_readmes_first_two_commands_are_there() -> None:
    assert (ROOT / "dev").stat().st_mode & 0o111
    assert re.search(r"^\./dev run", README, re.MULTILINE)
    assert re.search(r"^\./dev test", README, re.MULTILINE)
