"""Every secret of an installation is a canary, and looked for wherever it could come out."""

import base64
import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET, VIDEO_QUERY, Installation, call, video_query
from tests.servers.postgres import PrivatePostgres
from tests.servers.programs import free_port
from tests.servers.receivers import until

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_FORM = "application/x-www-form-urlencoded"


_KEY_FILES = ("master.key", "log.key", "seal.key")
_WEBHOOK_SECRET = base64.b64encode(b"canary of the webhook, 32 bytes!").decode()
_MAIL_PASSWORD = "canary-mail-password-5be2"
_GET_DUMPABLE = 3


def assert_clean(where: str, text: bytes, secrets: list[str]) -> None:
    for secret in secrets:
        assert secret.encode() not in text, f"a secret stands in {where}"


def channels(home: Path) -> dict[str, str]:
    """Settings of a webhook and a mail server that both need a secret, and are not there."""
    secret, password = home / "webhook-secret", home / "mail-password"
    secret.write_text(f"whsec_{_WEBHOOK_SECRET}")
    password.write_text(_MAIL_PASSWORD)
    secret.chmod(0o400)
    password.chmod(0o400)
    return {
        "BURSAR_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/hook",
        "BURSAR_WEBHOOK_SECRET_FILE": str(secret),
        "BURSAR_SMTP_URL": f"smtp://bursar@127.0.0.1:{free_port()}",
        "BURSAR_SMTP_PASSWORD_FILE": str(password),
        "BURSAR_MAIL_FROM": "bursar@example.edu",
    }


def keys_on_disk(data_dir: Path) -> list[str]:
    """What makes up the key files, line by line."""
    lines = [line for name in _KEY_FILES for line in (data_dir / name).read_text().splitlines()]
    found = [line for line in lines if len(line) >= 32 and not line.startswith("-----")]
    assert len(found) >= len(_KEY_FILES)
    return found


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
            told = call(
                installation.port,
                "POST",
                VIDEO_QUERY,
                body=video_query(example=repr((fault, endpoint))),
                headers=key,
            )
            seen += f"{told[0]} {told[1]}".encode() + told[2]
            installation.control("DELETE", "faults")
    return seen


def environments(process_group: int) -> bytes:
    """Command lines and environments of every process of a group, as root sees them."""
    found = b""
    for entry in Path("/proc").iterdir():
        # Whatever else ends on this machine meanwhile is none of the group's.
        with contextlib.suppress(ProcessLookupError):
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == process_group:
                found += (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
    return found


async def look_everywhere(installation: Installation, *, dump: bytes) -> None:
    issued = installation.key()
    gateway = installation.start()
    answers = provoke(installation, issued)
    installation.bursar("freeze", "person", "ada@example.edu", "--reason", "so that there is a notice")
    until(lambda: "notice" in gateway.output)
    upstream = [CLIENT_SECRET, CLIENT_KEY, _WEBHOOK_SECRET, _MAIL_PASSWORD]
    upstream += keys_on_disk(installation.home / "data")
    own = [issued["client_secret"], issued["api_key"]]
    assert_clean("an answer", answers, [*upstream, *own])
    assert_clean("a process listing", environments(gateway.popen.pid), [*upstream, *own])
    limits = Path(f"/proc/{gateway.popen.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    gateway.stop()
    assert_clean("the output of serve", gateway.output.encode(), [*upstream, *own])
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    assert_clean("the log", repr(ledger.entries).encode(), [*upstream, *own])
    assert_clean("the database", dump, [*upstream, *own])
    for file in (installation.home / "data").rglob("*"):
        if file.is_file() and file.name not in _KEY_FILES:
            assert_clean(str(file), file.read_bytes(), [*upstream, *own])


async def test_the_secret_comes_out_nowhere_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "bursar.db"
    url = f"sqlite+aiosqlite:///{path}"
    with Installation(
        tmp_path, database_url=url, settings=channels(tmp_path), is_forked=False
    ) as installation:
        with sqlite3.connect(path) as database:
            dump = "\n".join(database.iterdump()).encode()
        await look_everywhere(installation, dump=dump)
        for file in tmp_path.glob("bursar.db*"):
            assert_clean(file.name, file.read_bytes(), [CLIENT_SECRET, CLIENT_KEY])


async def test_the_secret_comes_out_nowhere_on_postgresql(
    tmp_path: Path, postgres_url: str, postgres_server: PrivatePostgres
) -> None:
    with Installation(
        tmp_path, database_url=postgres_url, settings=channels(tmp_path), is_forked=False
    ) as installation:
        dump = postgres_server.dump(postgres_url.rpartition("/")[2]).encode()
        await look_everywhere(installation, dump=dump)
        after = postgres_server.dump(postgres_url.rpartition("/")[2]).encode()
        assert_clean("the database", after, [CLIENT_SECRET, CLIENT_KEY])


def test_a_process_that_serves_leaves_no_core_and_is_read_by_nobody_else() -> None:
    asks = (
        "import ctypes, resource; from app.web.serve import keep_secrets_out_of_dumps as keep; keep(); "
        f"print(ctypes.CDLL(None).prctl({_GET_DUMPABLE}, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "0"]
