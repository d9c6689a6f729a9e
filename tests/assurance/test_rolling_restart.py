"""Gateways behind the shipped Caddy, restarted one after the other under load: nobody notices."""

import asyncio
import itertools
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests.assurance.ledgers import read_ledger
from tests.conftest import require
from tests.repository.committed import ROOT
from tests.servers.bursar import Installation, Process
from tests.servers.load import ask_all, lookups
from tests.servers.programs import find_program, free_port

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_MANY = {"requests/day": 1_000_000, "records/day": 1_000_000}
_GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "1000000")
_QUESTIONS = 500
"""Different ones; the rest of the load asks them again."""
_ENDS_WITHIN_S = 60


def _as_composed(name: str) -> dict[str, str]:
    bursar = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["x-bursar"]
    return {name: bursar["environment"][name]}


class Gateway:
    """One of several, with a data directory of its own as on a host of its own."""

    def __init__(self, installation: Installation, number: int) -> None:
        self.port = free_port()
        self._home = installation.home / f"host-{number}"
        self._home.mkdir()
        data = self._home / "data"
        data.mkdir(mode=0o700)
        for key in (installation.home / "data").glob("*.key*"):
            shutil.copy2(key, data)
        self._environ = {
            **installation.environ,
            "BURSAR_DATA_DIR": str(data),
            **_as_composed("BURSAR_SHUTDOWN_GRACE_S"),
        }
        self.process = self._start()

    def restart(self) -> int:
        """The exit code of the old process, once the new one is ready."""
        self.process.popen.send_signal(signal.SIGTERM)
        code = self.process.popen.wait(timeout=_ENDS_WITHIN_S)
        self.process = self._start()
        return code

    def start_again(self) -> None:
        """Start where it was killed."""
        self.process = self._start()

    def _start(self) -> Process:
        return Process(
            ["serve", "--port", str(self.port)],
            port=self.port,
            ready="/readyz",
            environ=self._environ,
            log=self._home / "gateway.log",
            is_forked=True,
        )


def front_server(ports: Sequence[int], *, home: Path, port: int) -> Process:
    """Caddy as the compose file runs it, but over plain HTTP, since the load speaks no TLS; listening on return."""
    caddy = find_program("caddy")
    require(caddy is not None, "Caddy")
    text = (ROOT / "deploy/Caddyfile").read_text()
    edits = {
        "bursar.example.edu, open.tiktokapis.com {": f"http://127.0.0.1:{port} {{\n\trespond /front 200",
        "\ttls /etc/bursar/tls/fullchain.pem /etc/bursar/tls/privkey.pem\n": "",
        "\tauto_https disable_redirects\n": "\tauto_https disable_redirects\n\tadmin off\n",
    }
    for shipped, wanted in edits.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, wanted)
    (home / "Caddyfile").write_text(text)
    given = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["front"]["environment"]
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "XDG_DATA_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        **given,
        "REPLICAS": " ".join(f"127.0.0.1:{each}" for each in ports),
    }
    command = [str(caddy), "run", "--config", str(home / "Caddyfile"), "--adapter", "caddyfile"]
    return Process(command, port=port, ready="/front", environ=environ, log=home / "front.log")


class Questions:
    """Questions without end, until told to stop; `asked` counts them."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_over = False

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for question in itertools.cycle(lookups(1, _QUESTIONS + 1)):
            if self.is_over:
                return
            self.asked += 1
            yield question


@pytest.mark.parametrize(
    ("hosts", "per_second"),
    [
        pytest.param(2, 40, id="two"),
        pytest.param(4, 200, id="four", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
async def test_gateways_restarted_one_by_one_fail_no_request_and_lose_no_entry(
    tmp_path: Path, postgres_url: str, redis_url: str, hosts: int, per_second: int
) -> None:
    with Installation(
        tmp_path, database_url=postgres_url, redis_url=redis_url, simulator=_GENEROUS, limits=_MANY
    ) as installation:
        keys = [installation.key(email)["api_key"] for email in ("ada@example.edu", "ben@example.edu")]
        gateways: list[Gateway] = []
        port, home = free_port(), tmp_path / "front"
        home.mkdir()
        try:
            gateways.extend(Gateway(installation, number) for number in range(hosts))
            front = front_server([each.port for each in gateways], home=home, port=port)
            try:
                questions, began_s = Questions(), time.monotonic()
                load = asyncio.create_task(
                    ask_all(f"http://127.0.0.1:{port}", keys, questions, in_flight=64, per_second=per_second)
                )
                await asyncio.sleep(2)
                codes = [await asyncio.to_thread(each.restart) for each in gateways]
                await asyncio.sleep(1)
                questions.is_over = True
                answers = await load
                came_about = len(answers) / (time.monotonic() - began_s)
            finally:
                front.stop()
            ends = [await asyncio.to_thread(each.process.stop) for each in gateways]
        finally:
            for each in gateways:
                each.process.kill()
        ledger = await read_ledger(postgres_url)
        spent = installation.upstream()["requests"]
    assert (codes, ends) == ([0] * hosts, [0] * hosts)
    assert len(answers) == questions.asked > per_second
    # 400 is the platform's word on users who are private.
    failed = [(each.status, each.body) for each in answers if each.status not in {200, 400}]
    assert failed == []
    assert [answer for answer in answers if ledger.ids.get(answer.index) != answer.log_id] == []
    assert (ledger.open_reservations, ledger.requests_reserved, ledger.unclosed()) == (0, 0, [])
    assert ledger.requests_used == spent
    beats = [entry["what"] for entry in ledger.entries if entry["type"] == "heartbeat"]
    assert (beats.count("start"), beats.count("shutdown")) == (2 * hosts, 2 * hosts)
    print(
        f"{len(answers)} calls, {came_about:.0f} of {per_second} a second, {hosts} gateways restarted, {spent} upstream, "
        "none failed"
    )
