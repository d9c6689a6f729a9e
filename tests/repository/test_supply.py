"""The bill of materials, the audit of dependencies, and what secret scanners are given."""

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from types import ModuleType
from typing import Any

import pytest

from app.identity.keys import KEY_PATTERN, new_key_id, new_secret
from tests.repository.committed import ROOT
from tests.repository.test_packaging import pins as pinned

_SUPPLY = ROOT / "deploy/supply"


def loaded(name: str) -> ModuleType:
    """A module of that folder, whose modules find each other as scripts do."""
    sys.path.insert(0, str(_SUPPLY))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(_SUPPLY))


def test_the_bill_of_materials_names_every_locked_package_and_no_other() -> None:
    done = subprocess.run(
        [ROOT / "dev", "sbom"], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    found = {each["name"]: each["version"] for each in bill["components"]}
    assert found == pinned(ROOT.joinpath("requirements.lock").relative_to(ROOT))
    references = [each["bom-ref"] for each in bill["components"]]
    assert len(set(references)) == len(references) > 20
    assert set(bill["dependencies"][0]["dependsOn"]) == set(references)


def report(**changes: Any) -> str:
    """What pip-audit says of the whole lock, with nothing against any package but for `changes` by name."""
    locked = loaded("locked").pins(ROOT / "requirements.lock")
    found = [
        {"name": pin.name, "version": pin.version, "vulns": [], **changes.get(pin.name, {})} for pin in locked
    ]
    return json.dumps({"dependencies": [each for each in found if each.get("version")]})


@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        (report(), 0, ""),
        (report(httpx={"vulns": [{"id": "GHSA-x", "fix_versions": ["9"]}]}), 1, "GHSA-x, mended in 9"),
        (report(httpx={"version": None}), 3, "httpx"),
        ('{"dependencies": []}', 3, "not looked up"),
        ("", 3, "nothing was looked up"),
        ("Traceback (most recent call last):", 3, "nothing was looked up"),
    ],
    ids=["clean", "known", "left-out", "empty", "silent", "broken"],
)
def test_an_audit_fails_when_it_finds_something_and_when_it_looked_at_nothing(
    said: str, code: int, told: str
) -> None:
    done = subprocess.run(
        [sys.executable, _SUPPLY / "audited.py"], input=said, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert told in done.stderr


def test_a_package_that_the_auditor_skips_counts_as_not_looked_up() -> None:
    locked = loaded("locked").pins(ROOT / "requirements.lock")
    skipped = [{"name": each.name, "version": each.version, "skip_reason": "not found"} for each in locked]
    code, lines = loaded("audited").verdict(json.dumps({"dependencies": skipped}), locked)
    assert (code, len(lines)) == (3, len(locked))


def test_secret_scanners_find_keys_that_are_minted_and_no_client_key() -> None:
    (rule,) = tomllib.loads((ROOT / "deploy/secret-scanning.toml").read_text())["rules"]
    for mode in ("live", "test"):
        for _ in range(100):
            key = new_secret(new_key_id(), mode=mode)
            committed = f'API_KEY="{key}"\n'
            assert [match[0] for match in re.finditer(rule["regex"], committed)] == [key]
            assert any(word in committed for word in rule["keywords"])
            assert re.search(rule["regex"], committed.replace("bsr_", "bs_")) is None
            assert re.search(rule["regex"], key[:-8]) is None
    # What a client sends as its `client_key` is no secret.
    assert re.search(rule["regex"], f"bsr_live_{new_key_id()}") is None
    assert re.sub(r"\((?!live\|test)([^)]*)\)", r"\1", KEY_PATTERN) == rule["regex"]
