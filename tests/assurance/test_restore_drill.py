"""The restore drill of docs/backup.md: the very scripts, from a gateway that serves to one on a bare directory."""

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import require
from tests.repository.committed import ROOT
from tests.servers.bursar import Installation, call
from tests.servers.postgres import PrivatePostgres
from tests.servers.programs import find_program

pytestmark = pytest.mark.serial

_PASSWORDS = {"owner": "own'er-5d1f", "app": "app-77ab"}


def script(name: str, *arguments: object, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    programs = find_program("pg_dump")
    path = f"{programs.parent}:{os.environ['PATH']}" if programs else os.environ["PATH"]
    return subprocess.run(
        [ROOT / "deploy" / name, *map(str, arguments)],
        env={**os.environ, "PATH": path, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def done(name: str, *arguments: object, environ: Mapping[str, str]) -> str:
    ran = script(name, *arguments, environ=environ)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def ask(installation: Installation, key: str, number: int) -> int:
    status, _, _ = call(
        installation.port,
        "POST",
        "/v2/research/user/info/?fields=display_name",
        body=b'{"username": "sim_user_%d"}' % number,
        headers={"Authorization": f"Bearer {key}"},
    )
    return status


def entries(installation: Installation) -> int:
    told = call(installation.port, "GET", "/metrics")[2].decode()
    (line,) = (line for line in told.splitlines() if line.startswith("bursar_log_entries "))
    return int(float(line.split()[1]))


def await_checkpoint(data_dir: Path, size: int) -> None:
    """Return once the gateway has noted a checkpoint of that size for its next start."""
    deadline = time.monotonic() + 30
    while int((data_dir / "newest.checkpoint").read_text().splitlines()[1]) < size:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def problems(installation: Installation) -> list[str]:
    found = installation.bursar("doctor", check=False)["findings"]
    return [each["code"] for each in found if each["severity"] == "problem"]


def test_sqlite_comes_back_from_a_copy_made_while_it_served(tmp_path: Path) -> None:
    home, kept = tmp_path / "old", tmp_path / "kept"
    home.mkdir()
    with Installation(home) as old:
        environ = {"BURSAR_DATA_DIR": str(home / "data")}
        key = old.key()["api_key"]
        old.start()
        assert ask(old, key, 1) == 200
        counted = entries(old)
        done("backup.sh", "keys", kept / "keys", environ=environ)
        copy = done("backup.sh", "sqlite", kept / "database", environ=environ)
        assert ask(old, key, 2) == 200

        await_checkpoint(home / "data", entries(old))

        # A disk is lost, and the machine with it.
        assert old.gateway is not None
        old.gateway.kill()
        (home / "data").rename(tmp_path / "evidence")
        assert list((kept / "keys").glob("*.db*")) == []
        assert list((kept / "database").glob("*.key*")) == []
        done("restore.sh", "keys", kept / "keys", environ=environ)
        done("restore.sh", "sqlite", copy, environ=environ)
        assert problems(old) == []
        old.bursar("audit", "verify")

        # Whoever kept a newer checkpoint knows that entries are gone, and so does a gateway that finds it.
        shutil.copy(tmp_path / "evidence" / "newest.checkpoint", home / "data")
        with pytest.raises(RuntimeError, match="audit_rollback_detected"):
            old.start()
        old.bursar("audit", "new-epoch", "--reason", "a disk broke, restored from the copy")
        old.start()
        assert entries(old) > counted
        assert ask(old, key, 3) == 200
        assert old.bursar("audit", "verify") is not None
        refused = script("restore.sh", "sqlite", copy, environ=environ)
        assert (refused.returncode, "move it away" in refused.stderr) == (3, True)


def test_a_copy_that_was_changed_is_not_restored(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "bursar-1.db").write_bytes(b"not what was copied")
    (tmp_path / "bursar-1.db.sha256").write_text(f"{'0' * 64}  bursar-1.db\n")
    refused = script("restore.sh", "sqlite", tmp_path / "bursar-1.db", environ={"BURSAR_DATA_DIR": str(data)})
    assert (refused.returncode, "SHA-256" in refused.stderr) == (3, True)
    assert not (data / "bursar.db").exists()


def test_of_keys_only_the_newest_copy_is_kept_and_for_the_owner_alone(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    data.mkdir()
    for name in ("master.key", "log.key", "seal.key", "seal.keys"):
        (data / name).write_text(f"{name} one")
        (data / name).chmod(0o400)
    environ = {"BURSAR_DATA_DIR": str(data)}
    done("backup.sh", "keys", kept, environ=environ)
    for name in ("seal.key", "seal.keys"):
        (data / name).unlink()
    (data / "seal.key").write_text("seal.key two")
    done("backup.sh", "keys", kept, environ=environ)
    found = {path.name: path.read_text() for path in kept.iterdir()}
    assert found == {
        "master.key": "master.key one",
        "log.key": "log.key one",
        "seal.key": "seal.key two",
    }
    modes = [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (kept, *kept.iterdir())]
    assert modes == [0] * 4
    (data / "log.key").unlink()
    (data / "log.key").write_text("another log's")
    refused = script("restore.sh", "keys", kept, environ=environ)
    assert (refused.returncode, "another one" in refused.stderr) == (3, True)


def test_postgresql_comes_back_with_its_two_roles(tmp_path: Path) -> None:
    require(find_program("pg_dump") is not None and shutil.which("psql") is not None, "PostgreSQL's clients")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for role, password in _PASSWORDS.items():
        (secrets / f"postgres_{role}").write_text(password + "\n")
    home = tmp_path / "home"
    home.mkdir()
    with PrivatePostgres() as first, PrivatePostgres() as second:
        first_libpq, second_libpq = (
            {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(server.port),
                "PGUSER": "postgres",
                "SECRETS_DIR": str(secrets),
            }
            for server in (first, second)
        )
        done("postgres/roles.sh", environ=first_libpq)
        with Installation(home, database_url=address(first, "app"), settings=owned_by(first)) as old:
            environ = {"BURSAR_DATA_DIR": str(home / "data"), "PGDATABASE": "bursar"}
            key = old.key()["api_key"]
            old.start()
            assert ask(old, key, 1) == 200
            dump = done("backup.sh", "postgres", tmp_path / "kept", environ={**first_libpq, **environ})
            assert ask(old, key, 2) == 200
            assert old.gateway is not None
            old.gateway.kill()
            first.kill()
            # Its own note of the newest checkpoint, if it came to that in time, is lost with the machine.
            (home / "data" / "newest.checkpoint").unlink(missing_ok=True)

            done("postgres/roles.sh", environ=second_libpq)
            done("restore.sh", "postgres", dump, environ={**second_libpq, **environ})
            old.environ |= {"BURSAR_DATABASE_URL": address(second, "app"), **owned_by(second)}
            assert problems(old) == []
            old.bursar("audit", "verify")
            old.start()
            assert ask(old, key, 3) == 200
            # The role that serves came back with the rights that it had, and no more.
            refused = subprocess.run(
                ["psql", "-qX", "-c", "UPDATE entry SET type = 'x'", "bursar"],
                env={**os.environ, **second_libpq, "PGUSER": "bursar_app"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert "permission denied" in refused.stderr
            again = script("restore.sh", "postgres", dump, environ={**second_libpq, **environ})
            assert (again.returncode, "empty one" in again.stderr) == (3, True)


def address(server: PrivatePostgres, role: str) -> str:
    return f"postgresql+asyncpg://bursar_{role}@127.0.0.1:{server.port}/bursar"


def owned_by(server: PrivatePostgres) -> dict[str, str]:
    return {"BURSAR_MIGRATION_DATABASE_URL": address(server, "owner")}
