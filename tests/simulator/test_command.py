"""The simulator as a program of its own."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.servers.programs import free_port

FORM = b"client_key=k&client_secret=s&grant_type=client_credentials"
BODY = json.dumps(
    {
        "query": {"and": [{"field_name": "view_count", "operation": "GTE", "field_values": ["0"]}]},
        "start_date": "20261001",
        "end_date": "20261031",
    }
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_port()
    options = ["--port", str(number), "--videos", "2000", "--client-key", "k", "--client-secret", "s"]
    options += [
        "--requests-per-day",
        "5",
        "--follower-calls-per-day",
        "3",
        "--follower-records-per-day",
        "25",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "app.simulator", *options],
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        assert str(number) in program.stderr.readline()
        yield number
        program.send_signal(signal.SIGTERM)
        # Nothing but the line of readiness, cut answers included.
        assert program.stderr.read() == ""
        program.wait(timeout=10)


def call(port: int, method: str, path: str, body: str | bytes = b"", token: str = "") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body=body, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_options_reach_the_simulator_and_a_cut_answer_breaks_off(port: int) -> None:
    token = json.loads(call(port, "POST", "/v2/oauth/token/", FORM)[1])["access_token"]
    order = json.dumps({"endpoint": "video/query", "cut_body": True, "next": 1})
    assert call(port, "POST", "/_sim/faults", order)[0] == 200
    path = "/v2/research/video/query/?fields=id"
    with pytest.raises(http.client.IncompleteRead) as broken:
        call(port, "POST", path, BODY, token)
    assert broken.value.partial.startswith(b'{"data":')
    assert [call(port, "POST", path, BODY, token)[0] for _ in range(5)] == [200, 200, 200, 200, 429]
    assert json.loads(call(port, "GET", "/_sim/stats")[1])["requests"] == 6


def test_the_limits_of_followers_reach_the_simulator(port: int) -> None:
    call(port, "POST", "/_sim/reset")
    token = json.loads(call(port, "POST", "/v2/oauth/token/", FORM)[1])["access_token"]
    path, name = "/v2/research/user/followers/", json.loads(call(port, "GET", "/_sim/accounts")[1])
    body = json.dumps({"username": name["with_followers"][0], "max_count": 5})
    assert [call(port, "POST", path, body, token)[0] for _ in range(4)] == [200, 200, 200, 429]
    call(port, "POST", "/_sim/reset")
    token = json.loads(call(port, "POST", "/v2/oauth/token/", FORM)[1])["access_token"]
    body = json.dumps({"username": name["with_followers"][0], "max_count": 30})
    assert [call(port, "POST", path, body, token)[0] for _ in range(2)] == [200, 429]


def test_help_names_every_option() -> None:
    command = [sys.executable, "-m", "app.simulator", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    for option in (
        *("--host", "--port", "--seed", "--videos", "--client-key", "--client-secret"),
        *("--requests-per-day", "--records-per-day", "--realistic", "--scopes"),
        *("--follower-calls-per-day", "--follower-records-per-day"),
    ):
        assert option in text


def test_the_realistic_simulator_starts(record_property: Callable[[str, object], None]) -> None:
    number = free_port()
    began_s = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "app.simulator", "--port", str(number), "--realistic"],
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        assert str(number) in program.stderr.readline()
        record_property("start_up_s", time.monotonic() - began_s)
        program.send_signal(signal.SIGTERM)
        program.wait(timeout=10)


def test_a_number_out_of_range_is_wrong_usage() -> None:
    command = [sys.executable, "-m", "app.simulator", "--videos", "-1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert "videos must be between" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_scope_can_be_withheld_from_the_client() -> None:
    number = free_port()
    options = ["--port", str(number), "--videos", "100", "--scopes", "research.data.basic"]
    with subprocess.Popen(
        [sys.executable, "-m", "app.simulator", *options], stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stderr is not None
        program.stderr.readline()
        form = b"client_key=sim-client-key&client_secret=sim-client-secret&grant_type=client_credentials"
        token = json.loads(call(number, "POST", "/v2/oauth/token/", form)[1])["access_token"]
        refused = call(number, "POST", "/v2/research/adlib/ad/query/?fields=ad", b"{}", token)
        allowed = call(number, "POST", "/v2/research/video/query/?fields=id", BODY, token)
        program.send_signal(signal.SIGTERM)
        program.wait(timeout=10)
    assert (refused[0], json.loads(refused[1])["error"]["code"]) == (401, "scope_not_authorized")
    assert allowed[0] == 200


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "app.simulator"],
        [sys.executable, "-c", "from app.cli import main; main()", "simulator"],
    ],
)
def test_an_unknown_scope_is_wrong_usage(command: list[str]) -> None:
    ended = subprocess.run(
        [*command, "--scopes", "research.data"], capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode == 2
    assert "research.adlib.basic" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_said_in_one_line(port: int) -> None:
    command = [sys.executable, "-m", "app.simulator", "--videos", "100", "--port", str(port)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode != 0
    assert ended.stderr.splitlines() == [
        f"The simulator cannot listen on 127.0.0.1:{port}; is the port taken?"
    ]


def test_an_interrupt_ends_it_quietly() -> None:
    number = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "app.simulator", "--port", str(number), "--videos", "100"],
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        program.stderr.readline()
        program.send_signal(signal.SIGINT)
        assert program.wait(timeout=10) == 0
        assert program.stderr.read() == ""
