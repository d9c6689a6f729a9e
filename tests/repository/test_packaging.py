"""Promises about what is installed: the locks, and the package that is built."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app import RELEASE
from tests.repository.committed import ROOT, committed_modes, committed_texts

_RUN = Path("requirements.lock")
_TRACES = Path("requirements-traces.lock")
_DEVELOPMENT = Path("requirements-dev.lock")
_BUILD = Path("deploy/build.lock")
_LOCKS = [_RUN, _TRACES, _DEVELOPMENT, _BUILD]
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def entries(lock: Path) -> list[str]:
    """The lock's statements, each on one line."""
    joined = committed_texts()[lock].replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip()]


def pins(lock: Path) -> dict[str, str]:
    """Versions by package; a package with several, by environment, has the last."""
    found = (Requirement(entry.split("--hash")[0].strip()) for entry in entries(lock))
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in found}


@pytest.mark.parametrize("lock", _LOCKS, ids=str)
def test_a_lock_pins_and_hashes_every_package_and_names_no_place(lock: Path) -> None:
    assert entries(lock)
    for entry in entries(lock):
        assert re.match(r"[a-zA-Z0-9]", entry), entry
        assert "://" not in entry, entry
        assert _HASH.search(entry), entry
    assert all(re.fullmatch(r"[0-9][\w.!+]*", version) for version in pins(lock).values())


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        (_RUN, project()["project"]["dependencies"]),
        (_TRACES, project()["project"]["optional-dependencies"]["traces"]),
        (_DEVELOPMENT, project()["dependency-groups"]["dev"]),
        (_BUILD, project()["build-system"]["requires"]),
    ],
    ids=["run", "traces", "development", "build"],
)
def test_a_lock_holds_what_the_project_asks_for(lock: Path, wanted: list[str]) -> None:
    held = pins(lock)
    for line in wanted:
        requirement = Requirement(line)
        version = held.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {lock}: run ./dev lock"
        assert requirement.specifier.contains(version, prereleases=True), f"{line}, but {lock} has {version}"


@pytest.mark.parametrize("lock", [_RUN, _TRACES, _BUILD], ids=str)
def test_the_development_lock_holds_all_of_the_others(lock: Path) -> None:
    assert pins(lock).items() <= pins(_DEVELOPMENT).items()


def test_what_sends_traces_holds_all_that_runs() -> None:
    assert pins(_RUN).items() < pins(_TRACES).items()


def test_no_lock_that_records_addresses_is_committed() -> None:
    refused = {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", ".python-version"}
    assert [path for path in committed_modes() if path.name in refused] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_every_committed_file_of_the_application(wheel: zipfile.ZipFile) -> None:
    # Templates and migrations are no modules; a wheel without them starts, and fails later.
    ours = {str(path) for path in committed_modes() if path.parts[0] == "app"}
    assert ours - set(wheel.namelist()) == set()


def test_the_wheel_holds_the_command_and_the_licence_and_nothing_of_the_tests(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    (entry_points,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
    assert "bursar = app.cli:main" in wheel.read(entry_points).decode()
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"app", "bursar"}


def test_the_program_knows_its_own_version() -> None:
    assert project()["project"]["version"] == RELEASE
