"""When `serve` refuses to start, how it stops, and what it says while its database is gone."""

import asyncio
import json
import signal
import socket
import sqlite3
import struct
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import VIDEO_QUERY, Installation, call, video_query
from tests.servers.commands import Done, run_command
from tests.servers.load import ask_all, lookups
from tests.servers.postgres import PrivatePostgres

pytestmark = [pytest.mark.anyio, pytest.mark.serial]


def serve(installation: Installation, *arguments: str) -> Done:
    command = ("serve", "--port", str(installation.port), *arguments)
    return run_command(command, environ=installation.environ, cwd=installation.home)


def test_it_refuses_to_start_where_it_must_not(tmp_path: Path) -> None:
    database = tmp_path / "data" / "bursar.db"
    with Installation(tmp_path, database_url=f"sqlite+aiosqlite:///{database}") as installation:
        key = tmp_path / "data" / "master.key"
        key.chmod(0o644)
        refused = serve(installation)
        assert (refused.code, "chmod 0400" in refused.err) == (2, True)
        key.chmod(0o400)
        refused = serve(installation, "--workers", "2")
        assert (refused.code, "PostgreSQL" in refused.err) == (2, True)
        installation.environ["BURSAR_PORT_TYPO"] = "1"
        assert serve(installation).code == 2
        del installation.environ["BURSAR_PORT_TYPO"]
        installation.start()
        refused = serve(installation)
        assert (refused.code, "Another `bursar serve`" in refused.err) == (2, True)
        assert installation.gateway is not None
        installation.gateway.stop()
        with sqlite3.connect(database) as tampered:
            tampered.execute("UPDATE head SET size = size + 1")
        refused = serve(installation)
        assert (refused.code, "evidence" in refused.err) == (1, True)
        installation.environ["BURSAR_DATABASE_URL"] = f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"
        refused = serve(installation)
        assert (refused.code, "bursar init" in refused.err) == (3, True)
        assert "Traceback" not in refused.err


def test_clients_that_hang_up_in_mid_answer_are_on_record_and_no_error(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    with Installation(tmp_path, database_url=url) as installation:
        key = installation.key()["api_key"]
        gateway = installation.start()
        for path, body in (("/api/v1/me", b""), (VIDEO_QUERY, video_query())):
            request = (
                f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: bursar\r\nAuthorization: Bearer {key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", installation.port)) as left:
                    left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    left.sendall(request * 10)
                    time.sleep(0.02)
        assert gateway.stop() == 0
        asked = installation.bursar("audit", "search", "--limit", "500", "--endpoint", "video/query")
        assert len(asked["items"]) >= 20
        for said in ("Traceback", "a request failed", "a research request failed"):
            assert said not in gateway.output, gateway.output[-3000:]


async def test_a_stop_under_load_drops_no_call_and_ends_well(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    with Installation(tmp_path, database_url=url) as installation:
        key = installation.key()["api_key"]
        gateway = installation.start()
        installation.control("POST", "faults", endpoint="user/info", delay_s=0.5)
        load = asyncio.ensure_future(ask_all(installation.base_url, key, lookups(0, 20), in_flight=20))
        await asyncio.sleep(0.3)
        gateway.popen.send_signal(signal.SIGTERM)
        answers = await load
        assert await asyncio.to_thread(gateway.popen.wait, 60) == 0
        ledger = await read_ledger(url)
        assert len(answers) == 20
        assert all(ledger.ids[answer.index] == answer.log_id for answer in answers)
        assert ledger.unclosed() == []
        assert (ledger.requests_used, ledger.open_reservations) == (20, 0)
        beats = [entry["what"] for entry in ledger.entries if entry["type"] == "heartbeat"]
        assert (beats, ledger.entries[-1]["type"]) == (["start", "shutdown"], "heartbeat")


def test_told_to_stop_it_still_answers_for_a_while_and_sends_clients_elsewhere(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    grace = {"BURSAR_SHUTDOWN_GRACE_S": "3"}
    with Installation(tmp_path, database_url=url, settings=grace) as installation:
        key = installation.key()["api_key"]
        gateway = installation.start()
        path, headers = "/v2/research/user/info/?fields=display_name", {"Authorization": f"Bearer {key}"}
        assert "connection" not in call(installation.port, "GET", "/readyz")[1]
        gateway.popen.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 30
        while (said := call(installation.port, "GET", "/readyz"))[0] == 200:
            assert time.monotonic() < deadline
        assert (said[0], json.loads(said[2])["problems"]) == (503, ["this process is stopping"])
        assert json.loads(call(installation.port, "GET", "/livez")[2]) == {"status": "stopping"}
        status, found, _ = call(
            installation.port, "POST", path, body=b'{"username": "sim_user_1"}', headers=headers
        )
        assert (status, found["connection"]) == (200, "close")
        gateway.popen.send_signal(signal.SIGTERM)  # the second one waits for nothing
        assert gateway.popen.wait(60) == 0


async def test_without_its_database_it_refuses_in_the_platforms_words_and_recovers(
    tmp_path: Path, postgres_url: str, postgres_server: PrivatePostgres
) -> None:
    with Installation(tmp_path, database_url=postgres_url) as installation:
        issued = installation.key()
        key = issued["api_key"]
        installation.start()
        headers = {"Authorization": f"Bearer {key}"}
        assert call(installation.port, "POST", VIDEO_QUERY, body=video_query(), headers=headers)[0] == 200
        spent = installation.upstream()["requests"]
        postgres_server.kill()
        try:
            started = time.monotonic()
            status, found, answer = call(
                installation.port, "POST", VIDEO_QUERY, body=video_query(max_count=7), headers=headers
            )
            assert time.monotonic() - started < 30
            error = json.loads(answer)["error"]
            assert (status, error["code"]) == (503, "internal_error")
            assert error["message"].startswith("audit_unavailable:")
            assert 5 <= int(found["retry-after"]) <= 30
            form = {"grant_type": "client_credentials"} | {
                name: issued[name] for name in ("client_key", "client_secret")
            }
            status, found, answer = call(
                installation.port, "POST", "/v2/oauth/token/", body=urlencode(form).encode()
            )
            refusal = json.loads(answer)
            assert (status, refusal["error"]) == (503, "temporarily_unavailable")
            assert refusal["error_description"].startswith("audit_unavailable:")
            assert 5 <= int(found["retry-after"]) <= 30
            assert call(installation.port, "GET", "/readyz")[0] == 503
            assert call(installation.port, "GET", "/livez")[0] == 200
            told = call(installation.port, "GET", "/metrics")[2].decode()
            assert "\nbursar_database_up 0.0\n" in told
            assert "\nbursar_ready 0.0\n" in told
            assert "bursar_log_entries" not in told
            assert "bursar_log_queued" in told
            assert installation.upstream()["requests"] == spent
        finally:
            postgres_server.start()
        deadline = time.monotonic() + 30
        while (
            call(installation.port, "POST", VIDEO_QUERY, body=video_query(max_count=7), headers=headers)[0]
            != 200
        ):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert call(installation.port, "GET", "/readyz")[0] == 200
