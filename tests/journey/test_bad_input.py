"""Malformed, huge, deeply nested and wrongly encoded requests: the platform's envelope, never a 500."""

import gzip
import json
import socket
from pathlib import Path

import pytest

from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import VIDEO_QUERY, Installation, call, video_query

pytestmark = pytest.mark.anyio

DEEP = 100_000
BOMBS: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "cut JSON": b'{"query":',
    "not JSON": b"hello",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "deep lists": b'{"query":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "unclosed depth": b"[" * DEEP,
    "too many keys": b"{" + b",".join(b'"k%d":1' % number for number in range(20_000)) + b"}",
    "duplicate keys": b'{"username":"a","username":"b"}',
    "a huge integer": b'{"username":"a","cursor":' + b"9" * 4_301 + b"}",
    "beyond 64 bits": b'{"username":"a","max_count":18446744073709551616}',
    "NaN": b'{"username":NaN}',
    "Infinity": b'{"username":-Infinity}',
    "overflowing float": b'{"username":1e999}',
    "a lone surrogate": b'{"username":"\\ud800"}',
    "invalid UTF-8": b'{"username":"\xff\xfe"}',
    "UTF-16": '{"username":"a"}'.encode("utf-16"),
    "a NUL byte": b'{"username":"a\x00"}',
    "form of nothing": b"=&=&=",
    "form with a bad escape": b"username=%ff%zz",
    "nested values": video_query(
        query={"and": [{"field_name": "username", "operation": "IN", "field_values": [["a"]]}]}
    ),
    "an unknown operation": video_query(
        query={"and": [{"field_name": "username", "operation": "LIKE", "field_values": ["a"]}]}
    ),
    "an empty query": video_query(query={"and": [], "or": [], "not": []}),
    "a query that is a list": video_query(query=[]),
    "an impossible date": video_query(start_date="20260231"),
    "dates the wrong way round": video_query(start_date="20261020", end_date="20261001"),
    "a long span": video_query(start_date="20260101", end_date="20261001"),
    "a page too large": video_query(max_count=101),
    "a page of nothing": video_query(max_count=0),
    "a negative cursor": video_query(cursor=-1),
    "a search id of letters": video_query(search_id="abc"),
    "a search id beyond 64 bits": video_query(search_id="9" * 40),
}


@pytest.fixture(scope="module")
def key(installation: Installation) -> str:
    return installation.key()["api_key"]


def assert_envelope(answer: bytes, code: str) -> str:
    envelope = json.loads(answer)
    assert set(envelope) == {"data", "error"}
    assert envelope["data"] == {}
    assert set(envelope["error"]) == {"code", "message", "log_id"}
    assert envelope["error"]["code"] == code
    assert len(envelope["error"]["message"]) > 10
    log_id: str = envelope["error"]["log_id"]
    assert len(log_id) == 32
    return log_id


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"]
)
@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bad_body_is_refused_in_the_platforms_envelope(
    installation: Installation, key: str, bomb: str, content_type: str
) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
    path = VIDEO_QUERY if BOMBS[bomb].startswith(b'{"query"') else "/v2/research/user/info/?fields=bio_url"
    status, found, answer = call(installation.port, "POST", path, body=BOMBS[bomb], headers=headers)
    assert status in {400, 413}
    assert found["content-type"].startswith("application/json")
    assert_envelope(answer, "invalid_params")


async def test_every_bad_body_is_in_the_log_and_none_was_sent_on(
    installation: Installation, key: str
) -> None:
    log_ids = []
    for bomb in BOMBS.values():
        headers = {"Authorization": f"Bearer {key}"}
        answer = call(installation.port, "POST", VIDEO_QUERY, body=bomb, headers=headers)[2]
        log_ids.append(assert_envelope(answer, "invalid_params"))
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    assert set(log_ids) <= set(ledger.ids.values())
    assert installation.upstream()["requests"] == 0


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"x" * 300_000, {}),
        (b'{"username":"' + b"a" * 300_000 + b'"}', {}),
        (gzip.compress(b'{"username":"a"}', mtime=0), {"Content-Encoding": "gzip"}),
        (gzip.compress(b"\0" * 50_000_000, mtime=0), {"Content-Encoding": "gzip"}),
        (b"{}", {"Content-Encoding": "zstd"}),
    ],
)
async def test_a_body_that_is_too_large_or_encoded_is_not_read(
    installation: Installation, key: str, body: bytes, headers: dict[str, str]
) -> None:
    headers = {"Authorization": f"Bearer {key}", **headers}
    status, _, answer = call(installation.port, "POST", VIDEO_QUERY, body=body, headers=headers)
    assert status in {400, 413}
    assert_envelope(answer, "invalid_params")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_another_method_is_refused_in_the_platforms_envelope(
    installation: Installation, method: str
) -> None:
    status, _, answer = call(installation.port, method, VIDEO_QUERY)
    assert status == 405
    assert_envelope(answer, "invalid_params")


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/", "/v2/research/nothing/", "/v2/oauth/revoke/", "/v2/research/"]
)
async def test_an_unknown_path_is_refused_in_the_platforms_envelope(
    installation: Installation, path: str
) -> None:
    status, headers, answer = call(installation.port, "POST", path, body=b"{}")
    assert status == 404
    assert "location" not in headers
    assert_envelope(answer, "invalid_params")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer x",
        "Bearer " + "a" * 5_000,
        "Bearer clt.x",
        "Bearer ü",
    ],
)
async def test_a_bad_token_is_401_in_the_platforms_envelope(
    installation: Installation, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    status, _, answer = call(installation.port, "POST", VIDEO_QUERY, body=video_query(), headers=headers)
    assert status == 401
    assert_envelope(answer, "access_token_invalid")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_spelled_in_any_case(
    installation: Installation, key: str, scheme: str
) -> None:
    headers = {"Authorization": f"{scheme} {key}"}
    assert call(installation.port, "POST", VIDEO_QUERY, body=video_query(), headers=headers)[0] == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        (b"", 400, "invalid_request"),
        (b"client_key=a&client_secret=b", 400, "invalid_request"),
        (b"client_key=a&client_secret=b&grant_type=password", 400, "unsupported_grant_type"),
        (b"client_key=a&client_secret=b&grant_type=client_credentials", 401, "invalid_client"),
        (
            b"client_key=bsr_live_AAAAAAAAAAAA&client_secret=b&grant_type=client_credentials",
            401,
            "invalid_client",
        ),
        (b'{"client_key":"a"}', 400, "invalid_request"),
        (b"client_key=%ff", 400, "invalid_request"),
        (b"a=b&" * 5_000, 400, "invalid_request"),
    ],
)
async def test_a_refused_token_request_is_flat_and_its_error_a_string(
    installation: Installation, form: bytes, status: int, error: str
) -> None:
    found, headers, answer = call(installation.port, "POST", "/v2/oauth/token/", body=form)
    refusal = json.loads(answer)
    assert (found, refusal["error"]) == (status, error)
    assert set(refusal) == {"error", "error_description", "log_id"}
    assert headers["cache-control"] == "no-store"
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    assert refusal["log_id"] in ledger.ids.values()


@pytest.mark.parametrize("path", ["/v2/oauth/token/", "/v2/oauth/token"])
async def test_several_tokens_of_one_key_live_at_once(installation: Installation, path: str) -> None:
    issued = installation.key()
    form = f"client_key={issued['client_key']}&client_secret={issued['client_secret']}&grant_type=client_credentials"
    tokens = set()
    for _ in range(3):
        status, _, answer = call(installation.port, "POST", path, body=form.encode())
        granted = json.loads(answer)
        assert status == 200
        assert set(granted) == {"access_token", "expires_in", "token_type"}
        assert (granted["expires_in"], granted["token_type"]) == (7200, "Bearer")
        tokens.add(granted["access_token"])
    assert len(tokens) == 3
    for token in tokens:
        headers = {"Authorization": f"Bearer {token}"}
        assert call(installation.port, "POST", VIDEO_QUERY, body=video_query(), headers=headers)[0] == 200


async def test_a_request_that_http_itself_forbids_never_reaches_the_platform(
    installation: Installation, tmp_path: Path
) -> None:
    for raw in (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v2 HTTP/1.1\r\n\r\n",
        b"POST /v2/research/video/query/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x00\xa5",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", installation.port), timeout=5) as connection:
            connection.sendall(raw)
            connection.settimeout(2)
            try:
                answer = connection.recv(4096)
            except (TimeoutError, ConnectionResetError):
                answer = b""
        assert not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 5"))
    assert installation.upstream()["requests"] == 0
