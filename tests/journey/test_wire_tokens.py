"""Token requests, connections, late answers, and a log that cannot be written: the wire beside the tables.

The numbers in names of cases are those of the list of what the gateway must do.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.journey.exchange import Outcome, Sent, assert_sound, connection_to
from tests.journey.people import Cast, opened_wire
from tests.journey.questions import EVERY, Question
from tests.journey.refusals import BLOB, unasked
from tests.journey.spellings import FORM

TOKEN = "/v2/oauth/token/"
GRANT = "client_credentials"


@pytest.fixture(scope="module")
def secrets(cast: Cast) -> Mapping[str, str]:
    """`client_key` and `client_secret`, as a client sends them."""
    issued = cast.wire.installation.key("ada@example.edu", "elections")
    return {name: issued[name] for name in ("client_key", "client_secret")}


def as_form(values: Mapping[str, str]) -> bytes:
    return urlencode({"grant_type": GRANT, **values}).encode()


def assert_flat(found: Outcome, *, names: set[str]) -> Mapping[str, Any]:
    """The token endpoint's shape: one object without another inside."""
    told = found.envelope
    assert set(told) == names
    assert not any(isinstance(value, (dict, list)) for value in told.values())
    assert found.headers["content-type"].startswith("application/json")
    assert found.headers["cache-control"] == "no-store"
    assert "location" not in found.headers
    return told


# fmt: off
GIVEN = (
    pytest.param(TOKEN, {"Content-Type": FORM}, {}, id="sends 2. a form"),
    pytest.param(TOKEN.rstrip("/"), {"Content-Type": FORM}, {}, id="1. no slash at the end"),
    pytest.param(f"/{TOKEN}", {"Content-Type": FORM}, {}, id="1. a base URL with a slash at its end"),
    pytest.param(TOKEN, {"Content-Type": FORM, "Cache-Control": "no-cache"}, {}, id="2. Cache-Control"),
    pytest.param(TOKEN, {}, {}, id="2. no content type"),
    pytest.param(TOKEN, {"Content-Type": "application/json"}, {}, id="2. a form as JSON"),
    pytest.param(TOKEN, {"Content-Type": f"{FORM}; charset=UTF-8"}, {"scope": ""}, id="2. a charset, and a scope"),
    pytest.param(TOKEN, {"Authorization": "Bearer clt.old"}, {}, id="10. beside an old token"),
)
# fmt: on


@pytest.mark.parametrize(("path", "headers", "more"), GIVEN)
def test_a_token_is_given_flat_and_opens_every_endpoint(
    cast: Cast, secrets: Mapping[str, str], path: str, headers: Mapping[str, str], more: Mapping[str, str]
) -> None:
    found = cast.wire.send(Sent(path=path, body=as_form({**secrets, **more}), headers=headers))
    assert (found.status, found.kinds, found.cost) == (200, "auth", 0)
    told = assert_flat(found, names={"access_token", "expires_in", "token_type"})
    assert (type(told["expires_in"]), told["token_type"]) == (int, "Bearer")
    for name in EVERY:
        asked = cast.question(name)
        opened = cast.wire.send(
            Sent(
                path=asked.path,
                body=asked.encoded,
                headers={"Authorization": f"bearer {told['access_token']}"},
            )
        )
        assert opened.status == 200, opened.body


# fmt: off
REFUSED = (
    pytest.param({"client_secret": "wrong"}, 401, "invalid_client", id="9. a wrong secret"),
    pytest.param({"client_key": "bsr_live_AAAAAAAAAAAA"}, 401, "invalid_client", id="9. a key of nobody's"),
    pytest.param({"client_key": "aw000example"}, 401, "invalid_client", id="9. a key of the platform's"),
    pytest.param({"client_key": ""}, 400, "invalid_request", id="9. no key"),
    pytest.param({"client_secret": ""}, 400, "invalid_request", id="9. no secret"),
    pytest.param({"grant_type": ""}, 400, "invalid_request", id="9. no grant type"),
    pytest.param({"grant_type": "authorization_code"}, 400, "unsupported_grant_type", id="9. another grant type"),
    pytest.param({"more": "x" * 20_000}, 400, "invalid_request", id="9. too much"),
)
# fmt: on


@pytest.mark.parametrize(("changes", "status", "error"), REFUSED)
def test_a_refused_token_is_told_flat_and_is_in_the_log(
    cast: Cast, secrets: Mapping[str, str], changes: Mapping[str, str], status: int, error: str
) -> None:
    found = cast.wire.send(Sent(path=TOKEN, body=as_form({**secrets, **changes})))
    assert (found.status, found.kinds, found.cost) == (status, "auth", 0)
    told = assert_flat(found, names={"error", "error_description", "log_id"})
    assert (told["error"], told["log_id"]) == (error, found.entries[0].id)
    assert len(told["error_description"]) > 10


@pytest.mark.parametrize(
    ("method", "body", "headers"),
    [
        ("GET", b"", {}),
        ("PUT", b"", {}),
        ("POST", b"", {}),
        ("POST", b'{"client_key":"a"}', {"Content-Type": "application/json"}),
        ("POST", BLOB, {"Content-Encoding": "gzip"}),
        ("POST", b"client_key=%ff", {}),
        ("POST", b"x" * 600_000, {}),
    ],
)
def test_a_token_request_that_cannot_be_read_is_told_flat_too(
    cast: Cast, method: str, body: bytes, headers: Mapping[str, str]
) -> None:
    found = cast.wire.send(Sent(path=TOKEN, method=method, body=body, headers=headers))
    assert (found.status, found.kinds) == (400, "auth")
    assert assert_flat(found, names={"error", "error_description", "log_id"})["error"] == "invalid_request"


def test_a_client_that_asks_for_a_token_before_every_call_may_do_so(
    cast: Cast, secrets: Mapping[str, str]
) -> None:
    tokens = []
    for _ in range(5):
        granted = cast.wire.send(Sent(path=TOKEN, body=as_form(secrets)))
        tokens.append(granted.envelope["access_token"])
    assert len(set(tokens)) == 5
    asked = cast.questions["user/info"]
    for token in tokens:
        headers = {"Authorization": f"Bearer {token}"}
        assert cast.wire.send(Sent(path=asked.path, body=asked.encoded, headers=headers)).status == 200


def test_one_connection_carries_every_endpoint_and_errors_between(cast: Cast) -> None:
    connection = connection_to(cast.wire.installation)
    headers = {"Authorization": f"Bearer {cast.keys['elections']}"}
    local = set()
    for name in EVERY:
        asked = cast.question(name)
        for path, body, status in (
            (asked.path, asked.encoded, 200),
            (asked.path, b"{", 400),
            (asked.path, b" " * 600_000, 413),
            ("/v2/research/nothing/", b"{}", 404),
            ("/v2/oauth/token/", b"{}", 400),
        ):
            connection.request("POST", path, body=body, headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
            assert answer.getheader("connection") != "close"
            assert connection.sock is not None
            local.add(connection.sock.getsockname())
    connection.close()
    assert len(local) == 1


def spoken(cast: Cast, head: str, body: bytes) -> bytes:
    """All that comes back over a connection of its own until the server closes it."""
    port = cast.wire.installation.port
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + body)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received


@pytest.mark.parametrize("path", ["/v2/research/user/info/", "/v2/research/nothing/", TOKEN])
def test_a_head_request_is_refused_without_a_body_and_is_in_the_log(cast: Cast, path: str) -> None:
    found = cast.wire.send(Sent(path=path, method="HEAD"))
    assert found.status in {400, 404, 405}
    assert (found.body, len(found.entries)) == (b"", 1)
    assert f"index={found.entries[0].index};" in found.headers["audit-entry"]


def test_a_refused_method_names_the_one_that_is_taken(cast: Cast) -> None:
    found = cast.wire.send(Sent(path="/v2/research/user/info/", method="GET"))
    assert (found.status, found.headers["allow"]) == (405, "POST")


def test_one_connection_for_each_call_is_closed_when_asked(cast: Cast) -> None:
    asked = cast.questions["user/info"]
    head = (
        f"POST {asked.path} HTTP/1.1\nHost: bursar\nConnection: close\n"
        f"Authorization: Bearer {cast.keys['elections']}\nContent-Length: {len(asked.encoded)}\n\n"
    )
    answer = spoken(cast, head, asked.encoded)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "ok"


def test_an_old_http_is_understood_as_well(cast: Cast) -> None:
    asked = cast.questions["user/info"]
    head = (
        f"POST {asked.path} HTTP/1.0\n"
        f"Authorization: Bearer {cast.keys['elections']}\nContent-Length: {len(asked.encoded)}\n\n"
    )
    assert b'"code":"ok"' in spoken(cast, head, asked.encoded)


def test_a_body_in_chunks_and_one_that_waits_to_be_asked_for_are_read(cast: Cast) -> None:
    asked = cast.questions["user/info"]
    head = (
        f"POST {asked.path} HTTP/1.1\nHost: bursar\nConnection: close\n"
        f"Authorization: Bearer {cast.keys['elections']}\n"
    )
    middle = len(asked.encoded) // 2
    pieces = (asked.encoded[:middle], asked.encoded[middle:], b"")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    assert b'"code":"ok"' in spoken(cast, f"{head}Transfer-Encoding: chunked\n\n", chunks)
    waiting = f"{head}Expect: 100-continue\nContent-Length: {len(asked.encoded)}\n\n"
    answer = spoken(cast, waiting, asked.encoded)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


def test_a_chunked_body_without_end_is_refused_at_its_bound(cast: Cast) -> None:
    asked = cast.questions["user/info"]
    head = (
        f"POST {asked.path} HTTP/1.1\nHost: bursar\nConnection: close\n"
        f"Authorization: Bearer {cast.keys['elections']}\nTransfer-Encoding: chunked\n\n"
    )
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    answer = spoken(cast, head, chunk * 5)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"invalid_params"' in answer


@pytest.mark.parametrize("asked_for", [None, "identity", "gzip, deflate", "br;q=1.0, *;q=0.1"])
@pytest.mark.parametrize("name", ["video/query", "validation_task/download"])
def test_an_answer_is_encoded_only_when_asked(cast: Cast, name: str, asked_for: str | None) -> None:
    question = cast.question(name)
    head = (
        f"POST {question.path} HTTP/1.1\nHost: bursar\nConnection: close\n"
        f"Authorization: Bearer {cast.keys['elections']}\nContent-Length: {len(question.encoded)}\n"
    )
    head += f"Accept-Encoding: {asked_for}\n\n" if asked_for else "\n"
    answer, _, body = spoken(cast, head, question.encoded).partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"content-encoding" not in answer.lower()
    assert b"content-length: %d" % len(body) in answer.lower()


FROZEN: tuple[tuple[str, str, Callable[[Cast], Sent]], ...] = (
    ("a hit", "envelope", lambda cast: asking(cast, cast.questions["user/info"])),
    ("a miss", "envelope", lambda cast: asking(cast, unasked(cast.questions["user/info"]))),
    ("a refusal", "envelope", lambda cast: asking(cast, cast.questions["user/info"].but(username=""))),
    ("nobody", "envelope", lambda _: Sent(path="/v2/research/user/info/", body=b"{}")),
    ("another path", "envelope", lambda _: Sent(path="/v2/research/nothing/", body=b"{}")),
    ("a token", "flat", lambda _: Sent(path=TOKEN, body=as_form({"client_key": "a", "client_secret": "b"}))),
)


def asking(cast: Cast, question: Question) -> Sent:
    headers = {"Authorization": f"Bearer {cast.keys['elections']}"}
    return Sent(path=question.path, body=question.encoded, headers=headers)


def test_when_the_log_cannot_be_written_everybody_is_told_so_and_nothing_is_sent(cast: Cast) -> None:
    cast.ask(cast.questions["user/info"])
    found: dict[str, tuple[int, Mapping[str, str], bytes]] = {}

    def ask(what: str, sent: Sent) -> None:
        found[what] = cast.wire.exchange(sent)

    before = cast.wire.counted()
    with cast.wire.frozen_log():
        threads = [threading.Thread(target=ask, args=(what, sent(cast))) for what, _, sent in FROZEN]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert cast.wire.counted() == before
    for what, shape, _ in FROZEN:
        status, headers, body = found[what]
        told = json.loads(body)
        assert status == 503, (what, body)
        assert 5 <= int(headers["retry-after"]) <= 30
        assert headers["content-type"].startswith("application/json")
        if shape == "flat":
            assert told["error"] == "temporarily_unavailable"
            assert told["error_description"].startswith("audit_unavailable:")
        else:
            assert (told["data"], told["error"]["code"]) == ({}, "internal_error")
            assert told["error"]["message"].startswith("audit_unavailable:")
    assert cast.ask(cast.questions["user/info"]).status == 200


def test_who_hammers_on_a_refusal_is_answered_late_each_time_with_an_entry(tmp_path: Path) -> None:
    with opened_wire(tmp_path, settings={"BURSAR_REFUSAL_DELAY": "true"}) as cast:
        asked = cast.questions["user/info"]
        wrong, path = (
            asked.but(username=""),
            Sent(path="/v2/research/nothing/", headers=asking(cast, asked).headers),
        )
        waits, entries = zip(*(timed(cast, asking(cast, wrong)) for _ in range(7)), strict=True)
        assert max(waits[:5]) < 0.9
        assert (int(waits[5]), int(waits[6])) == (1, 2)
        assert len(set(entries)) == 7
        another = Sent(path=asked.path, body=b"[]", headers=asking(cast, asked).headers)
        assert timed(cast, another)[0] < 0.9  # told something else
        assert cast.ask(asked).status == 200
        assert timed(cast, asking(cast, wrong))[0] < 0.9  # was served in between
        spent = [timed(cast, asking(cast, asked), project="spent")[0] for _ in range(6)]
        assert spent[5] >= 1
        lost = [timed(cast, path)[0] for _ in range(6)]
        assert lost[5] >= 1


def timed(cast: Cast, sent: Sent, *, project: str = "elections") -> tuple[float, str]:
    """Seconds, and the id of the one entry."""
    headers = {**sent.headers, "Authorization": f"Bearer {cast.keys[project]}"}
    started = time.monotonic()
    found = cast.wire.send(Sent(path=sent.path, body=sent.body, headers=headers))
    took_s = time.monotonic() - started
    assert_sound(found)
    assert (found.kinds, found.cost) == ("decision", 0)
    return took_s, found.entries[0].id
