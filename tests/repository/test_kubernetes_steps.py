"""deploy/README.md's steps for Kubernetes, with a real PostgreSQL and a `kubectl` that only keeps the secrets it is given."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app.bootstrap import check_installation
from app.settings import load_settings
from tests.conftest import require
from tests.repository.committed import ROOT
from tests.repository.pages import blocks
from tests.servers.postgres import PrivatePostgres

_STEPS = {block.name: block.text for block in blocks("deploy/README.md", "kubernetes")}
_KUBECTL = """#!/bin/sh
[ "$1 $2" = "create secret" ] || exit 0
mkdir -p "secrets/$4"
for each; do case $each in --from-file=*) cp "${each#--from-file=}" "secrets/$4/" || exit 1 ;; esac; done
"""


class Operator:
    """The machine where the keys are kept."""

    def __init__(self, home: Path, postgres: PrivatePostgres) -> None:
        self.home = home
        self._pasted = ""
        self._path = home / "bin"
        self._path.mkdir()
        (self._path / "kubectl").write_text(_KUBECTL)
        (self._path / "kubectl").chmod(0o755)
        (home / "deploy").symlink_to(ROOT / "deploy")
        for role in ("owner", "app"):
            (home / f"postgres_{role}").write_text("trusted anyway")
        self._run(
            "deploy/postgres/roles.sh",
            SECRETS_DIR=str(home),
            PGHOST="127.0.0.1",
            PGPORT=str(postgres.port),
        )
        serving = {"database_url": f"postgresql+asyncpg://bursar_app@127.0.0.1:{postgres.port}/bursar"}
        owning = {"migration_database_url": serving["database_url"].replace("bursar_app", "bursar_owner")}
        (home / "serve.yaml").write_text(yaml.safe_dump(serving))
        (home / "owner.yaml").write_text(yaml.safe_dump(serving | owning))
        (home / "state.yaml").write_text("people: [{email: ada@example.edu, name: Ada, roles: [researcher]}]")

    def paste(self, name: str) -> str:
        """What a block prints, after all that was pasted before it."""
        self._pasted += _STEPS[name]
        return self.then(_STEPS[name])

    def then(self, script: str) -> str:
        """What a further line prints, in the same shell."""
        functions = self._pasted[: self._pasted.index("}\n") + 2]
        return self._run("bash", "-euc", functions + script)

    @property
    def log_name(self) -> str:
        """The log's own name, as the newest checkpoint beside the keys has it."""
        return (self.home / "keys/newest.checkpoint").read_text().splitlines()[0]

    def _run(self, *command: str, **environ: str) -> str:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
        path = f"{self._path}:{Path(sys.executable).parent}:{outside['PATH']}"
        done = subprocess.run(
            command,
            cwd=self.home,
            env=outside | {"PATH": path, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    require(PrivatePostgres.is_installed(), "PostgreSQL")
    with PrivatePostgres() as postgres:
        yield Operator(tmp_path, postgres)


def test_the_steps_leave_keys_that_serve_the_cluster_and_whoever_keeps_them(operator: Operator) -> None:
    assert "it@example.edu" in operator.paste("operator")
    name = operator.log_name
    assert name.startswith("bursar.example.edu/bursar/")
    operator.paste("cluster")
    # What no pod can do is done where the keys are kept.
    operator.then("as_operator seal-key rotate && as_operator token issue --person it@example.edu")
    operator.then("cp keys/seal.key* secrets/bursar-keys/ && as_operator doctor")
    assert operator.log_name == name
    pod = operator.home / "pod"
    pod.mkdir(mode=0o700)
    for key in (operator.home / "secrets/bursar-keys").iterdir():
        (pod / key.name).symlink_to(key)
    secrets = operator.home / "secrets"
    # The gateway, and the job before the next release.
    serving = {"BURSAR_DATA_DIR": str(pod), "BURSAR_CONFIG": str(secrets / "bursar-serve/serve.yaml")}
    asyncio.run(check_installation(load_settings(serving)))
    job = f"BURSAR_DATA_DIR='{pod}' BURSAR_CONFIG='{secrets}/bursar-owner/owner.yaml' bursar init"
    assert "it@example.edu" in operator.then(job)
    assert (pod / "newest.checkpoint").read_text().startswith(f"{name}\n")
