"""The upstream secret is planted as a canary, and looked for wherever it could come out."""

import os
import sqlite3
from pathlib import Path

import pytest

from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET, VIDEO_QUERY, Installation, call, video_query
from tests.servers.postgres import PrivatePostgres

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_FORM = "application/x-www-form-urlencoded"


def assert_clean(where: str, text: bytes, secrets: list[str]) -> None:
    for secret in secrets:
        assert secret.encode() not in text, f"a secret stands in {where}"


def provoke(installation: Installation, issued: dict[str, str]) -> bytes:
    """Everything that the gateway answers to good, bad and broken calls."""
    key = {"Authorization": f"Bearer {issued['api_key']}", "Content-Type": "application/json"}
    form = f"client_key={issued['client_key']}&client_secret={issued['client_secret']}&grant_type=client_credentials"
    asked = [
        ("POST", "/v2/oauth/token/", form.encode(), {"Content-Type": _FORM}),
        ("POST", "/v2/oauth/token/", form[:-3].encode(), {"Content-Type": _FORM}),
        ("POST", VIDEO_QUERY, video_query(), key),
        ("POST", VIDEO_QUERY, b"{", key),
        ("POST", VIDEO_QUERY, video_query(), {"Authorization": "Bearer wrong"}),
        *(("GET", path, b"", {}) for path in ("/metrics", "/readyz", "/openapi.json", "/docs", "/nowhere")),
        ("GET", "/api/v1/me", b"", key),
    ]
    seen = b""
    for method, path, body, headers in asked:
        status, found, answer = call(installation.port, method, path, body=body, headers=headers)
        seen += f"{status} {found}".encode() + answer
    for fault in ({"status": 500}, {"status": 401}, {"cut_body": True}, {"status": 502, "html": True}):
        for endpoint in ("video/query", "oauth/token"):
            installation.control("POST", "faults", endpoint=endpoint, next=3, **fault)
            told = call(installation.port, "POST", VIDEO_QUERY, body=video_query(max_count=7), headers=key)
            seen += f"{told[0]} {told[1]}".encode() + told[2]
            installation.control("DELETE", "faults")
    return seen


def environments(process_group: int) -> bytes:
    """Command lines and environments of every process of a group, as root sees them."""
    found = b""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and os.getpgid(int(entry.name)) == process_group:
            found += (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
    return found


async def look_everywhere(installation: Installation, *, dump: bytes) -> None:
    issued = installation.key()
    gateway = installation.start()
    answers = provoke(installation, issued)
    upstream = [CLIENT_SECRET, CLIENT_KEY]
    own = [issued["client_secret"], issued["api_key"]]
    assert_clean("an answer", answers, [*upstream, *own])
    assert_clean("a process listing", environments(gateway.popen.pid), [*upstream, *own])
    gateway.stop()
    assert_clean("the output of serve", gateway.output.encode(), [*upstream, *own])
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    assert_clean("the log", repr(ledger.entries).encode(), [*upstream, *own])
    assert_clean("the database", dump, [*upstream, *own])
    for file in (installation.home / "data").rglob("*"):
        if file.is_file():
            assert_clean(str(file), file.read_bytes(), [*upstream, *own])


async def test_the_secret_comes_out_nowhere_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "bursar.db"
    with Installation(tmp_path, database_url=f"sqlite+aiosqlite:///{path}") as installation:
        with sqlite3.connect(path) as database:
            dump = "\n".join(database.iterdump()).encode()
        await look_everywhere(installation, dump=dump)
        for file in tmp_path.glob("bursar.db*"):
            assert_clean(file.name, file.read_bytes(), [CLIENT_SECRET, CLIENT_KEY])


async def test_the_secret_comes_out_nowhere_on_postgresql(
    tmp_path: Path, postgres_url: str, postgres_server: PrivatePostgres
) -> None:
    with Installation(tmp_path, database_url=postgres_url) as installation:
        dump = postgres_server.dump(postgres_url.rpartition("/")[2]).encode()
        await look_everywhere(installation, dump=dump)
        after = postgres_server.dump(postgres_url.rpartition("/")[2]).encode()
        assert_clean("the database", after, [CLIENT_SECRET, CLIENT_KEY])
