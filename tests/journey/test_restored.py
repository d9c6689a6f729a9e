"""A database that was restored behind what the log has signed: found out, refused, and opened anew by people."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.outsider import leaf_of, opened, parsed
from tests.servers.bursar import Installation, call, state
from tests.servers.commands import Done, run_command
from tests.servers.postgres import PrivatePostgres

WITHIN_S = 30.0


@dataclass
class Site:
    """An installation whose database can be kept and brought back."""

    installation: Installation
    keep: Callable[[str], None]
    bring_back: Callable[[str], None]
    anchors: Path
    rename: Callable[[str, str], None] | None = None
    api_key: str = ""

    def ask(self) -> tuple[int, str]:
        """Status and entry id of one call."""
        status, _, body = call(
            self.installation.port,
            "POST",
            "/v2/research/user/info/?fields=display_name",
            body=b'{"username": "sim_user_1"}',
            headers={"Authorization": f"Bearer {self.api_key}"},
        )
        return status, str(json.loads(body)["error"]["log_id"])

    def receipt(self, entry: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        status, _, body = call(
            self.installation.port, "GET", f"/api/v1/audit/receipts/{entry}", headers=headers
        )
        return status, json.loads(body)

    def vkey(self) -> str:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return str(
            json.loads(call(self.installation.port, "GET", "/api/v1/audit/key", headers=headers)[2])["vkey"]
        )

    def ends(self, *arguments: str) -> Done:
        """Exit code, output and errors of a command."""
        return run_command(arguments, environ=self.installation.environ, cwd=self.installation.home)

    def stop(self) -> None:
        assert self.installation.gateway is not None
        assert self.installation.gateway.stop() == 0

    def ready(self) -> tuple[int, list[str]]:
        status, _, body = call(self.installation.port, "GET", "/readyz")
        return status, json.loads(body)["problems"]


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    keep: Callable[[str], None]
    bring_back: Callable[[str], None]
    rename: Callable[[str, str], None] | None = None
    if request.param == "sqlite":
        file = tmp_path / "data" / "bursar.db"
        url = f"sqlite+aiosqlite:///{file}"

        def copy(source: Path, target: Path) -> None:
            for each in (target, *(Path(f"{target}{suffix}") for suffix in ("-wal", "-shm"))):
                each.unlink(missing_ok=True)
            with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
                old.backup(new)

        def keep(name: str) -> None:
            copy(file, tmp_path / f"{name}.db")

        def bring_back(name: str) -> None:
            copy(tmp_path / f"{name}.db", file)

    else:
        server: PrivatePostgres = request.getfixturevalue("postgres_server")
        database = server.create_database()
        url = server.url(database)

        def keep(name: str) -> None:
            server.copy_database(database, f"{database}_{name}")

        def bring_back(name: str) -> None:
            server.copy_database(f"{database}_{name}", database)

        def rename(name: str, to: str) -> None:
            server.rename_database(f"{database}{name}", f"{database}{to}")

    anchors = tmp_path / "anchors"
    anchors.mkdir()
    officer = {"email": "dpo@example.edu", "name": "Data protection", "roles": ["compliance"]}

    def given(base_url: str) -> dict[str, Any]:
        found = state(base_url, limits={"requests/day": 1_000, "records/day": 100_000})
        return {**found, "people": [*found["people"], officer]}

    settings = {"BURSAR_ANCHOR_DIR": str(anchors), "BURSAR_ANCHOR_INTERVAL_S": "1"}
    with Installation(tmp_path, database_url=url, settings=settings, given=given) as installation:
        yield Site(installation, keep, bring_back, anchors, rename, installation.key()["api_key"])


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_restored_database_is_refused_until_people_open_a_new_epoch(site: Site, tmp_path: Path) -> None:
    installation = site.installation
    installation.start()
    before = site.ask()[1]
    site.stop()
    site.keep("backup")
    installation.start()
    lost = site.ask()[1]
    vkey = site.vkey()
    old, gone = site.receipt(before)[1], site.receipt(lost)[1]
    site.stop()

    site.bring_back("backup")
    if site.rename is None:
        # As on a new machine, with database and keys from the backup: then the anchors alone know more.
        (installation.home / "data" / "newest.checkpoint").unlink()
    code, _, said = site.ends("serve", "--port", str(installation.port))
    assert code == 1
    assert "audit_rollback_detected" in said
    assert "new-epoch" in said
    code, out, _ = site.ends("doctor", "--json")
    assert code == 1
    assert "audit_rollback_detected" in {each["code"] for each in json.loads(out)["findings"]}

    epoch = installation.bursar("audit", "new-epoch", "--reason", "restored after a broken disk")
    assert epoch["epoch"]["number"] == 2
    assert epoch["epoch"]["lost"] > 0
    assert epoch["epoch"]["known"] > gone["index"] >= epoch["epoch"]["agreed"] > old["index"]

    installation.start()
    assert site.ask()[0] == 200
    new_vkey = site.vkey()
    assert new_vkey.split("+")[0] == vkey.split("+")[0] + "/2"
    # What was not lost is proven under the new origin, and its old receipt is still good.
    status, again = site.receipt(before)
    assert status == 200
    assert leaf_of(again["proof"], new_vkey) == leaf_of(old["proof"], vkey)
    # What was lost is not there; whoever kept its receipt can show that it was.
    assert site.receipt(lost)[0] == 404
    assert json.loads(leaf_of(gone["proof"], vkey))["id"] == lost
    first = installation.bursar("audit", "receipt", epoch["entry"])["entry"]
    assert first["type"] == "epoch"
    assert first["reason"] == "restored after a broken disk"
    assert opened(first["epoch"]["checkpoint"], vkey).size == epoch["epoch"]["known"]
    site.stop()
    kept = tmp_path / "gone.checkpoint"
    kept.write_text(parsed(gone["proof"]).note)
    ended, out, _ = site.ends("audit", "consistency", "--checkpoint", str(kept), "--json")
    assert ended == 1
    assert "are lost, as entry" in json.loads(out)["says"]
    notes = [path.read_text() for path in site.anchors.iterdir()]
    by_origin = {note.split("\n")[0] for note in notes}
    assert by_origin == {vkey.split("+")[0], new_vkey.split("+")[0]}


@pytest.mark.parametrize("site", ["postgresql"], indirect=True)
def test_a_running_gateway_stops_serving_over_an_older_database_and_goes_on_over_the_right_one(
    site: Site,
) -> None:
    installation = site.installation
    assert site.rename is not None
    site.keep("old")
    gateway = installation.start()
    assert site.ask()[0] == 200
    site.rename("", "_right")
    site.rename("_old", "")
    eventually(lambda: any("audit_rollback_detected" in each for each in site.ready()[1]))
    status, _ = site.ready()
    assert status == 503
    assert site.ask()[0] == 503
    assert gateway.popen.poll() is None
    site.rename("", "_old")
    site.rename("_right", "")
    eventually(lambda: site.ready()[0] == 200)
    assert site.ask()[0] == 200
