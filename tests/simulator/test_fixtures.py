"""Every answer that a gateway must cope with (facts 8.3), had from a simulator that runs as a program."""

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.simulator.endpoints import ENDPOINTS
from tests.servers.programs import free_port
from tests.simulator.caller import query

FORM = b"client_key=sim-client-key&client_secret=sim-client-secret&grant_type=client_credentials"
ENDPOINT_NAMES = [endpoint.name for endpoint in ENDPOINTS]
BACKEND_FAULTS = {
    500: "Something is wrong. Please try again later.",
    503: "Something went wrong. Please try again later.",
    502: "Server Internal Error",
}
SPELLINGS = [
    ("video/query", {"favourites_count": False}, "favorites_count"),
    ("video/query", {"favourites_count": True}, "favourites_count"),
    ("video/query", {"video_id_for_id": False}, "id"),
    ("video/query", {"video_id_for_id": True}, "video_id"),
    ("user/reposted_videos", {"user_reposted_videos": False}, "reposted_videos"),
    ("user/reposted_videos", {"user_reposted_videos": True}, "user_reposted_videos"),
]


class Simulator:
    """A simulator behind a port, and a token of it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.token = ""

    def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
        """Status, content type and body of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            return answer.status, answer.headers.get_content_type(), answer.read()
        finally:
            connection.close()

    def log_in(self) -> None:
        self.token = json.loads(self.send("POST", "/v2/oauth/token/", FORM)[2])["access_token"]

    def order(self, what: str, **order: Any) -> None:
        status, _, said = self.send("POST", f"/_sim/{what}", json.dumps(order).encode())
        assert status == 200, said

    def known(self, kind: str) -> Any:
        return json.loads(self.send("GET", "/_sim/accounts")[2])[kind][0]

    def ask(self, endpoint: str, body: dict[str, Any], *, fields: str = "id") -> tuple[int, Any]:
        """Status and parsed body of a research call."""
        path = f"/v2/research/{endpoint}/?fields={fields}"
        status, kind, content = self.send("POST", path, json.dumps(body).encode())
        assert kind == "application/json", content
        return status, json.loads(content)

    def page(self, *, fields: str = "id", **changes: Any) -> Any:
        status, envelope = self.ask("video/query", query(**changes), fields=fields)
        assert status == 200, envelope
        return envelope["data"]

    def refusal(self, endpoint: str, body: dict[str, Any]) -> tuple[int, str, str]:
        status, envelope = self.ask(
            endpoint, body, fields="display_name" if endpoint == "user/info" else "id"
        )
        return status, envelope["error"]["code"], envelope["error"]["message"]


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "app.simulator", "--port", str(port), "--videos", "4000"],
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        assert str(port) in program.stderr.readline()
        yield Simulator(port)
        program.send_signal(signal.SIGTERM)
        program.wait(timeout=10)


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    running.order("reset")
    running.log_in()
    return running


def test_a_success_page(simulator: Simulator) -> None:
    status, envelope = simulator.ask("video/query", query())
    assert (status, envelope["error"]["code"]) == (200, "ok")
    assert set(envelope["error"]) == {"code", "message", "log_id"}
    assert set(envelope["data"]) == {"videos", "cursor", "has_more", "search_id"}
    assert len(envelope["data"]["videos"]) == envelope["data"]["cursor"] == 20
    assert envelope["data"]["has_more"] is True


def test_a_last_page(simulator: Simulator) -> None:
    page = simulator.page(max_count=100)
    while page["has_more"]:
        page = simulator.page(max_count=100, cursor=page["cursor"], search_id=page["search_id"])
    assert 0 < len(page["videos"]) <= 100
    assert page["cursor"] % 100 == 0
    assert "search_id" in page


def test_an_empty_page_with_has_more(simulator: Simulator) -> None:
    simulator.order("knobs", empty_page_p=1.0)
    page = simulator.page()
    assert (page["videos"], page["cursor"], page["has_more"]) == ([], 20, True)


def test_a_no_hit_answer_without_a_search_id(simulator: Simulator) -> None:
    nobody = {"field_name": "username", "operation": "EQ", "field_values": ["nobody"]}
    assert simulator.page(query={"and": [nobody]}) == {"videos": [], "cursor": 20, "has_more": False}


def test_the_messages_of_a_search(simulator: Simulator) -> None:
    unknown = query(search_id="7612400000000000001", cursor=20)
    expected = (400, "invalid_params", "Search Id 7612400000000000001 is invalid or expired")
    assert simulator.refusal("video/query", unknown) == expected
    beyond = query(cursor=1_000_000)
    assert simulator.refusal("video/query", beyond) == (400, "invalid_params", "Invalid count or cursor")


@pytest.mark.parametrize(
    ("endpoint", "kind", "said"),
    [
        ("user/info", None, "is invalid: cannot find the user"),
        ("user/info", "minor", "API cannot return this user's information"),
        ("user/info", "private", "is private"),
        ("user/liked_videos", "likes_hidden", "information cannot be returned"),
        ("user/reposted_videos", "reposts_hidden", "information cannot be returned"),
        ("user/following", "following_hidden", "information cannot be returned"),
    ],
)
def test_the_messages_about_accounts(
    simulator: Simulator, endpoint: str, kind: str | None, said: str
) -> None:
    name = simulator.known(kind) if kind else "nobody"
    status, code, message = simulator.refusal(endpoint, {"username": name})
    assert (status, code) == (400, "invalid_params")
    assert said in message


@pytest.mark.parametrize(("status", "said"), BACKEND_FAULTS.items())
def test_the_messages_of_a_broken_backend(simulator: Simulator, status: int, said: str) -> None:
    simulator.order("faults", endpoint="video/query", status=status, next=1)
    assert simulator.refusal("video/query", query()) == (status, "internal_error", said)


@pytest.mark.parametrize("endpoint", ENDPOINT_NAMES)
def test_any_code_and_message_on_any_endpoint(simulator: Simulator, endpoint: str) -> None:
    script = [
        (400, "invalid_params", "Search Id 5 is invalid or expired"),
        (400, "invalid_params", "Invalid count or cursor"),
        (400, "invalid_params", "Username x is invalid: cannot find the user"),
        (400, "invalid_params", "API cannot return this user's information"),
        (400, "invalid_params", "User x is private"),
        (403, "access_denied", "User x: information cannot be returned"),
        (400, "internal_error", "Something is wrong. Please try again later."),
        (500, "internal_error", "Something went wrong. Please try again later."),
        (500, "internal_error", "Server Internal Error"),
        (500, "", ""),
        (401, "scope_not_authorized", "The scope is missing"),
        (400, "scope_permission_missed", "More scopes are needed"),
        (429, "too_many", "Slower"),
        (418, "timeout", "Too late"),
    ]
    for status, code, message in script:
        simulator.order("faults", endpoint=endpoint, status=status, code=code, message=message, next=1)
    assert [simulator.refusal(endpoint, {}) for _ in script] == script


def test_a_message_of_its_own_under_a_usual_status(simulator: Simulator) -> None:
    simulator.order("faults", endpoint="*", status=500, message="Out of order", next=1)
    assert simulator.refusal("user/info", {}) == (500, "internal_error", "Out of order")
    simulator.order("faults", endpoint="*", status=429, message="Slower", next=1)
    assert simulator.refusal("user/info", {}) == (429, "rate_limit_exceeded", "Slower")


def test_401_in_mid_run_after_which_a_new_token_goes_on(simulator: Simulator) -> None:
    whole = simulator.page(max_count=40)["videos"]
    first = simulator.page()
    later = query(cursor=20, search_id=first["search_id"])
    simulator.order("faults", endpoint="video/query", status=401, next=1)
    assert simulator.refusal("video/query", later)[:2] == (401, "access_token_invalid")
    simulator.order("clock", shift_s=7_201)
    assert simulator.refusal("video/query", later)[:2] == (401, "access_token_invalid")
    simulator.log_in()
    second = simulator.page(cursor=20, search_id=first["search_id"])
    assert first["videos"] + second["videos"] == whole


def test_both_429_are_told_apart_by_their_code(simulator: Simulator) -> None:
    simulator.order("knobs", burst_limit_qps=1)
    simulator.page()
    assert simulator.refusal("video/query", query())[:2] == (429, "rate_limit_exceeded")
    simulator.order("knobs", burst_limit_qps=None)
    simulator.order("faults", endpoint="*", status=429, code="daily_quota_limit_exceeded", next=1)
    assert simulator.refusal("video/query", query())[:2] == (429, "daily_quota_limit_exceeded")


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("endpoint", ENDPOINT_NAMES)
def test_a_proxys_page_of_html(simulator: Simulator, endpoint: str, status: int) -> None:
    simulator.order("faults", endpoint=endpoint, status=status, html=True, next=1)
    got, kind, content = simulator.send("POST", f"/v2/research/{endpoint}/", b"{}")
    assert (got, kind) == (status, "text/html")
    assert content.startswith(b"<html>")


def test_500_with_a_valid_body(simulator: Simulator) -> None:
    body = {"username": "sim_user_1"}
    _, good = simulator.ask("user/info", body, fields="display_name")
    simulator.order("faults", endpoint="user/info", status=500, with_body=True, next=1)
    status, false = simulator.ask("user/info", body, fields="display_name")
    assert (status, false["data"], false["error"]["code"]) == (500, good["data"], "ok")
    simulator.order("knobs", playlist_500=True)
    status, playlist = simulator.ask("playlist/info", {"playlist_id": simulator.known("playlists")})
    assert (status, playlist["error"]["code"]) == (500, "ok")
    assert playlist["data"]["playlist_video_ids"]


def test_a_good_body_does_not_hide_a_refusal(simulator: Simulator) -> None:
    simulator.order("faults", endpoint="user/info", status=500, with_body=True, next=1)
    status, _, message = simulator.refusal("user/info", {"username": "nobody"})
    assert (status, message) == (400, "Username nobody is invalid: cannot find the user")


def test_ids_above_2_to_the_53_as_bare_numbers(simulator: Simulator) -> None:
    path = "/v2/research/video/query/?fields=id,music_id"
    content = simulator.send("POST", path, json.dumps(query()).encode())[2]
    videos = json.loads(content)["data"]["videos"]
    odd = [v["id"] for v in videos if v["id"] > 2**53 and int(float(v["id"])) != v["id"]]
    assert odd
    assert all(f'"id":{video}'.encode() in content for video in odd)


def test_nul_in_text(simulator: Simulator) -> None:
    simulator.order("knobs", nul_p=1.0)
    path = "/v2/research/video/query/?fields=video_description"
    content = simulator.send("POST", path, json.dumps(query()).encode())[2]
    assert b"\\u0000" in content
    assert any("\x00" in v["video_description"] for v in json.loads(content)["data"]["videos"])


def test_missing_optional_keys(simulator: Simulator) -> None:
    fields = "id,like_count,effect_ids,voice_to_text,video_tag,hashtag_names"
    videos = simulator.page(fields=fields, max_count=100)["videos"]
    assert len({frozenset(video) for video in videos}) > 3
    assert {"hashtag_names": []}.items() <= next(v for v in videos if not v["hashtag_names"]).items()
    assert None not in {type(value) for video in videos for value in video.values()}


def test_unknown_extra_keys(simulator: Simulator) -> None:
    simulator.order("knobs", extra_keys=True)
    assert all(set(video) == {"id", "sim_unknown_key"} for video in simulator.page()["videos"])


@pytest.mark.parametrize(("endpoint", "knob", "key"), SPELLINGS)
def test_both_spellings_of_disputed_keys(
    simulator: Simulator, endpoint: str, knob: dict[str, bool], key: str
) -> None:
    simulator.order("knobs", **knob)
    fields = key if key.endswith("_count") else "id"
    if endpoint == "video/query":
        assert all(set(video) == {key} for video in simulator.page(fields=fields)["videos"])
    else:
        _, envelope = simulator.ask(endpoint, {"username": simulator.known("reposts_public")})
        assert set(envelope["data"]) == {key, "cursor", "has_more"}


def test_both_spellings_of_a_tag(simulator: Simulator) -> None:
    queried = simulator.page(fields="video_tag", max_count=100)["videos"]
    body = {"username": simulator.known("likes_public"), "max_count": 100}
    listed = simulator.ask("user/liked_videos", body, fields="video_tag")[1]["data"]["user_liked_videos"]
    assert {frozenset(v["video_tag"]) for v in queried if v} == {frozenset({"type", "number"})}
    keys = frozenset({"video_tag_type", "video_tag_number"})
    assert {frozenset(v["video_tag"]) for v in listed if v} == {keys}
