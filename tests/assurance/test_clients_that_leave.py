"""Clients that close their connection at any moment: every call has its end, and nothing stays taken."""

import asyncio
import random
import socket
import struct
from pathlib import Path

import pytest

from tests.assurance.outages import GENEROUS, LIMITS, settled
from tests.servers.bursar import Installation, call
from tests.servers.load import USER_INFO, ask_all, lookups

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_UPSTREAM_S = 0.03
_LONGEST_STAY_S = 0.12
"""Beyond the time that an answer takes, so that some leave before, at and after every step of it."""
_AT_ONCE = 20
_RESET = struct.pack("ii", 1, 0)


async def leave(installation: Installation, key: str, number: int, rng: random.Random) -> None:
    """Send all or a part of a request, stay for a moment, and reset the connection."""
    body = b'{"username":"sim_user_%d"}' % number
    head = f"POST {USER_INFO} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    sent = len(request) if rng.random() < 0.8 else rng.randrange(len(request))
    _, writer = await asyncio.open_connection("127.0.0.1", installation.port)
    writer.write(request[:sent])
    await writer.drain()
    await asyncio.sleep(rng.random() * _LONGEST_STAY_S)
    plain: socket.socket = writer.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@pytest.mark.parametrize(
    "clients",
    [
        pytest.param(100, id="short"),
        pytest.param(1_000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
async def test_every_call_of_a_client_that_left_has_its_end(
    tmp_path: Path, database_url: str, clients: int
) -> None:
    with Installation(
        tmp_path, database_url=database_url, limits={**LIMITS, "concurrent": 200}, simulator=GENEROUS
    ) as installation:
        key = installation.key()["api_key"]
        installation.start()
        installation.control("POST", "faults", endpoint="user/info", delay_s=_UPSTREAM_S)
        rng = random.Random(clients)
        for first in range(0, clients, _AT_ONCE):
            await asyncio.gather(
                *(leave(installation, key, number, rng) for number in range(first, first + _AT_ONCE))
            )
        # Those who stay are served, all at once: no connection, no turn and no place is taken any more.
        answers = await ask_all(installation.base_url, key, lookups(clients, clients + 200), in_flight=64)
        assert [each for each in answers if each.index < 0] == []
        ledger = await settled(installation)
        intents = sum(entry["type"] == "intent" for entry in ledger.entries)
        assert ledger.unclosed() == []
        assert intents == sum(entry["type"] == "outcome" for entry in ledger.entries) > clients // 4
        assert ledger.requests_used == installation.upstream()["requests"]
        assert "crash_unknown" not in {entry.get("err") for entry in ledger.entries}
        assert b"bursar_log_queued 0.0" in call(installation.port, "GET", "/metrics")[2]
