"""Requests in which another one is hidden, sent to Bursar and to the shipped nginx before it: one at most is served."""

import re
import socket
import sqlite3
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.assurance.smuggled import payloads
from tests.conftest import require
from tests.servers import front
from tests.servers.bursar import Installation
from tests.servers.certificates import Authority
from tests.servers.programs import free_port

_PATH = b"/v2/research/user/info/?fields=display_name"
_NEXT = b"POST /v2/oauth/token/ HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 12\r\n\r\nclient_key=a"
"""A request without guile, whose refusal no other path gives."""
_PLACE = re.compile(rb"index=(\d+)")
_PATIENCE_S = 0.5
"""For an answer to half a request, of which there is none; only how long the test takes depends on it."""
Connect = Callable[[], socket.socket]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    settings = {"BURSAR_TRUSTED_PROXIES": "127.0.0.1"}
    with Installation(tmp_path_factory.mktemp("smuggling"), settings=settings) as here:
        here.start()
        yield here


def entries(installation: Installation) -> int:
    with closing(sqlite3.connect(installation.home / "data/bursar.db")) as database:
        return int(database.execute("SELECT size FROM head").fetchone()[0])


def said(connect: Connect, raw: bytes, *, patience_s: float) -> bytes:
    """Everything that comes back until the other side ends it, or nothing more comes."""
    answer = b""
    with connect() as connection:
        connection.settimeout(patience_s)
        try:
            connection.sendall(raw)
            while part := connection.recv(65_536):
                answer += part
        except OSError:
            pass
    return answer


def outcomes(installation: Installation, connect: Connect) -> Counter[str]:
    """How often a payload was refused before Bursar, and served as one; fails where it came to more."""
    found: Counter[str] = Counter()
    for payload in payloads(_PATH):
        before = entries(installation)
        answer = said(connect, payload.raw, patience_s=_PATIENCE_S)
        # Whoever comes next, perhaps over the same connection to Bursar, gets the answer to their own request.
        following = said(connect, _NEXT, patience_s=30.0)
        assert following.startswith(b"HTTP/1.1 400 "), (payload.name, following)
        assert b'"error":"invalid_request"' in following, (payload.name, following)
        logged = entries(installation) - before - 1
        assert logged in {0, 1}, (payload.name, logged, answer)
        answered = len(re.findall(rb"^HTTP/1\.1 [2-5]", answer, re.MULTILINE))
        assert answered <= 1, (payload.name, answer)
        places = _PLACE.findall(answer)
        assert len(places) <= logged, (payload.name, answer)
        found["served" if logged else "refused"] += 1
    return found


def test_there_are_two_hundred_payloads_and_all_differ() -> None:
    all_of_them = list(payloads(_PATH))
    assert len({each.raw for each in all_of_them}) == len(all_of_them) >= 200
    assert len({each.name for each in all_of_them}) == len(all_of_them)


def test_no_payload_becomes_two_requests_at_bursar_itself(installation: Installation) -> None:
    found = outcomes(installation, lambda: socket.create_connection(("127.0.0.1", installation.port)))
    assert min(found["served"], found["refused"]) > 20, found


@contextmanager
def shipped_nginx(installation: Installation, home: Path) -> Iterator[Connect]:
    """The shipped configuration in front of that gateway; a way to it."""
    authority = Authority.make(home, "university")
    port = free_port()
    site = front.edited(
        certificate=authority.issue(front.GATEWAY),
        gateway_port=installation.port,
        home=home,
        listen=f"127.0.0.1:{port}",
    )
    trusted = ssl.create_default_context(cafile=authority.certificate)
    nginx = front.start(front.whole(site, home=home))
    try:
        yield lambda: trusted.wrap_socket(
            socket.create_connection(("127.0.0.1", port)), server_hostname=front.GATEWAY
        )
    finally:
        nginx.terminate()
        nginx.wait(timeout=30)


def test_behind_the_shipped_nginx_a_payload_is_refused_or_is_one_logged_request(
    installation: Installation, tmp_path: Path
) -> None:
    require(front.is_installed(), "nginx")
    before = entries(installation)
    with shipped_nginx(installation, tmp_path) as connect:
        found = outcomes(installation, connect)
    assert min(found["served"], found["refused"]) > 20, found
    # Both logs tell of the same requests: each entry of Bursar's is named in one line of nginx's.
    lines = (tmp_path / "front.log").read_text(errors="replace")
    named = [int(each) for each in re.findall(r"index=(\d+);", lines)]
    assert sorted(named) == list(range(before, entries(installation)))
    assert "/hidden" not in lines
