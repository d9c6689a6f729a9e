"""The switch on two replicas over one PostgreSQL: what one is told, the other obeys at the next call."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.servers.bursar import VIDEO_QUERY, Installation, Process, call, video_query
from tests.servers.postgres import PrivatePostgres
from tests.servers.programs import free_port


@dataclass
class Pair:
    """One installation, served by two replicas."""

    installation: Installation
    ports: tuple[int, int]
    key: dict[str, str]
    admin: str

    def ask(self, port: int, number: int) -> tuple[int, dict[str, Any]]:
        """A call whose question no other call asks."""
        body = video_query(
            start_date="20261001", end_date=f"202610{1 + number % 20:02d}", max_count=number, example=number
        )
        headers = {"Authorization": f"Bearer {self.key['api_key']}", "Content-Type": "application/json"}
        status, _, content = call(port, "POST", VIDEO_QUERY, body=body, headers=headers)
        return status, json.loads(content)

    def switch(self, port: int, kind: str, name: str, *, on: bool) -> None:
        """Freeze or unfreeze through one replica's API."""
        headers = {"Authorization": f"Bearer {self.admin}", "Content-Type": "application/json"}
        body = json.dumps({"reason": "a test"}).encode() if on else b""
        path = f"/api/v1/freezes/{kind}/{name}"
        status, _, content = call(port, "PUT" if on else "DELETE", path, body=body, headers=headers)
        assert status in {200, 204}, content


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgres_server: PrivatePostgres) -> Iterator[Pair]:
    home, name = tmp_path_factory.mktemp("pair"), postgres_server.create_database()
    with Installation(home, database_url=postgres_server.url(name)) as installation:
        installation.start()
        admin = installation.bursar("token", "issue", "--person", "admin@localhost")["token"]
        other = free_port()
        second = Process(
            ["serve", "--port", str(other)],
            port=other,
            ready="/readyz",
            environ=installation.environ,
            log=home / "second.log",
            is_forked=True,
        )
        try:
            yield Pair(installation, (installation.port, other), installation.key(), admin)
        finally:
            second.kill()
    postgres_server.drop_database(name)


@pytest.mark.parametrize(
    ("kind", "name"), [("credential", "main"), ("project", "elections"), ("person", "ada@example.edu")]
)
def test_a_freeze_counts_for_the_next_call_on_every_replica(pair: Pair, kind: str, name: str) -> None:
    here, there = pair.ports
    # Both have the caller in memory, so that a freeze which they did not hear of would be missed.
    assert [pair.ask(port, 11)[0] for port in pair.ports] == [200, 200]
    before = pair.installation.upstream()["requests"]
    pair.switch(here, kind, name, on=True)
    refusals = [pair.ask(port, number) for port, number in ((there, 12), (here, 13), (there, 11), (here, 11))]
    for status, answer in refusals:
        assert (status, answer["error"]["code"]) == (400, "invalid_params")
        assert "Refused by rule not-frozen/1" in answer["error"]["message"]
    assert pair.installation.upstream()["requests"] == before
    pair.switch(there, kind, name, on=False)
    assert [pair.ask(port, 11)[0] for port in pair.ports] == [200, 200]


def test_a_call_under_way_ends_as_it_would_have(pair: Pair) -> None:
    here, there = pair.ports
    pair.installation.control("POST", "faults", endpoint="video/query", delay_s=1.5, next=1)
    before = pair.installation.upstream()["requests"]
    ended: list[tuple[int, dict[str, Any]]] = []
    under_way = threading.Thread(target=lambda: ended.append(pair.ask(there, 31)))
    under_way.start()
    deadline = time.monotonic() + 10
    while not _is_open(pair) and time.monotonic() < deadline:
        time.sleep(0.02)
    pair.switch(here, "project", "elections", on=True)
    assert pair.ask(there, 32)[0] == 400
    under_way.join(timeout=30)
    assert [status for status, _ in ended] == [200]
    assert ended[0][1]["data"]["videos"]
    assert pair.installation.upstream()["requests"] == before + 1
    pair.switch(here, "project", "elections", on=False)


def _is_open(pair: Pair) -> bool:
    """Whether a call has been promised its quota and not settled."""
    limits = pair.installation.bursar("usage", "--project", "elections")["limits"]
    return any(each["reserved"] for each in limits)


def test_the_command_line_freezes_running_replicas_too(pair: Pair) -> None:
    done = pair.installation.bursar("freeze", "person", "ada@example.edu", "--reason", "left the project")
    assert done == {"kind": "person", "name": "ada@example.edu", "frozen": True, "changed": True}
    assert [pair.ask(port, 11)[0] for port in pair.ports] == [400, 400]
    listed = pair.installation.bursar("freeze", "list")["freezes"]
    assert [(each["name"], each["reason"]) for each in listed] == [("ada@example.edu", "left the project")]
    assert pair.installation.bursar("unfreeze", "person", "ada@example.edu")["changed"]
    assert [pair.ask(port, 11)[0] for port in pair.ports] == [200, 200]
    assert pair.installation.bursar("freeze", "list")["freezes"] == []
