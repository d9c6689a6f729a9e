"""Who asked about somebody, under which approval: one command, an answer, and proofs that hold without Bursar.

T55 of the catalogue: real calls over HTTP, and nothing of SQL.
"""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.outsider import leaf_of
from tests.servers.bursar import Installation, call, state
from tests.servers.commands import run_command
from tests.servers.postgres import PrivatePostgres

PATH = "/v2/research/user/info/?fields=bio_url"


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("asked")
    url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
    if request.param == "postgresql":
        server: PrivatePostgres = request.getfixturevalue("postgres_server")
        url = server.url(server.create_database())
    with Installation(home, database_url=url) as opened:
        opened.start()
        yield opened


def ask(installation: Installation, key: dict[str, str], username: str) -> str:
    """The log id of a call about that account."""
    headers = {"Authorization": f"Bearer {key['api_key']}"}
    body = json.dumps({"username": username}).encode()
    status, _, answer = call(installation.port, "POST", PATH, body=body, headers=headers)
    assert status in {200, 400}, answer  # the platform knows no account with an @
    log_id: str = json.loads(answer)["error"]["log_id"]
    return log_id


def test_who_asked_about_whom_is_answered_with_proofs(installation: Installation) -> None:
    ada, cleo = installation.key(), installation.key("cleo@example.edu", "climate")
    for key, username in (
        (ada, "sim_user_1"),
        (ada, "@SIM_USER_1"),
        (ada, "sim_user_1"),  # a hit
        (cleo, "sim_user_1"),
        (cleo, "sim_user_2"),
    ):
        ask(installation, key, username)
    month = f"{dt.datetime.now(dt.UTC):%Y-%m}"
    found = installation.bursar("audit", "about", "Sim_User_1", "--month", month, "--open")
    told = [(each["person"], each["project"], each["approval"]) for each in found["calls"]]
    elections = ("ada@example.edu", "elections", "R-2026-014")
    assert told == [elections, elections, elections, ("cleo@example.edu", "climate", "R-2026-014")]
    assert {each["question"]["username"].strip("@").lower() for each in found["calls"]} == {"sim_user_1"}

    directory = installation.home / found["proofs"]
    vkey = (directory / "log.vkey").read_text().strip()
    answer = json.loads((directory / "answer.json").read_text())
    assert answer["calls"] == found["calls"]
    proofs = sorted((directory / "receipts").iterdir())
    leaves: list[dict[str, Any]] = [json.loads(leaf_of(path.read_text(), vkey)) for path in proofs]
    assert [leaf["id"] for leaf in leaves] == [each["entry"] for each in found["calls"]]
    assert [leaf["approval"] for leaf in leaves] == [each["approval"] for each in found["calls"]]
    assert {leaf["type"] for leaf in leaves} == {"intent", "decision"}
    assert not any("sim_user_1" in json.dumps(leaf).lower() for leaf in leaves)

    verified = installation.bursar("audit", "verify", "--receipts", str(directory / "receipts"))
    assert (verified["verified"], verified["problems"]) == (True, [])
    proofs[0].write_text(proofs[0].read_text().replace("index ", "index 1"))
    broken = installation.bursar("audit", "verify", "--receipts", str(directory / "receipts"), check=False)
    assert broken["verified"] is False


def test_the_answer_is_a_table_for_people_and_the_look_is_logged(installation: Installation) -> None:
    ask(installation, installation.key(), "sim_user_3")
    month = f"{dt.datetime.now(dt.UTC):%Y-%m}"
    command = ("audit", "about", "sim_user_3", "--month", month, "--to", "evidence")
    done = run_command(command, environ=installation.environ, cwd=installation.home)
    assert done.code == 0, done.err
    assert "ada@example.edu" in done.out
    assert "R-2026-014" in done.out
    (look,) = installation.bursar("audit", "search", "--endpoint", "audit.about", "--limit", "1")["items"]
    assert look["entry"]["type"] == "audit_read"
    assert "sim_user_3" not in json.dumps(look)
    nobody = installation.bursar("audit", "about", "sim_user_9", "--month", month)
    assert nobody["calls"] == []
    for arguments in (("x", "--month", "May"), ("x", "--month", month, "--kind", "shoe")):
        assert installation.bursar("audit", "about", *arguments, check=False) is None


def test_what_somebody_asked_is_erased_while_bursar_serves(installation: Installation) -> None:
    officer = {"email": "dpo@example.edu", "name": "Data protection", "roles": ["compliance"]}
    installation.apply(people=[*state(installation.simulator_url, limits={})["people"], officer])
    token = installation.bursar("token", "issue", "--person", "dpo@example.edu")["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    ada, cleo = installation.key(), installation.key("cleo@example.edu", "climate")
    gone, left = ask(installation, ada, "sim_user_4"), ask(installation, cleo, "sim_user_4")

    def question(entry: str) -> int:
        path = f"/api/v1/audit/entries/{entry}/question"
        return call(installation.port, "GET", path, headers=bearer)[0]

    assert (question(gone), question(left)) == (200, 200)
    proposal = installation.bursar("audit", "erase", "--person", "ada@example.edu")
    assert proposal["about"] == "ada@example.edu, all months"
    # Whoever proposed it cannot confirm it; compliance can, over the API, in the process that serves.
    assert installation.bursar("proposal", "confirm", proposal["id"], check=False) is None
    path = f"/api/v1/proposals/{proposal['id']}/confirmation"
    status, _, answer = call(installation.port, "POST", path, headers=bearer)
    assert (status, json.loads(answer)["outcome"]) == (200, "confirmed"), answer
    assert (question(gone), question(left)) == (409, 200)
    again = ask(installation, ada, "sim_user_5")
    assert question(again) == 200
    month = f"{dt.datetime.now(dt.UTC):%Y-%m}"
    found = installation.bursar("audit", "about", "sim_user_4", "--month", month)
    assert [each["person"] for each in found["calls"]] == ["cleo@example.edu"]
    shown = installation.bursar("audit", "show", again, "--open")
    assert shown["question"] == {"username": "sim_user_5"}
    verified = installation.bursar("audit", "verify")
    assert (verified["verified"], verified["problems"]) == (True, [])
