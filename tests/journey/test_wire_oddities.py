"""What the platform may answer beside the documented shape, word for word, and what it is sent in turn."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.journey.exchange import Outcome, Sent, assert_sound
from tests.journey.oddities import INDEXED, ODDITIES, OK, PLAIN, Oddity
from tests.journey.people import Cast, opened_wire
from tests.journey.questions import (
    DOWNLOAD,
    EVERY,
    LIST_KEYS,
    STATUS,
    UPLOAD,
    Question,
)
from tests.journey.refusals import unasked
from tests.servers.scripted import Said, ScriptedPlatform

TASK = 12345678910987654321
"""The documents' own sample, above 2^63."""
PLATFORMS_SEARCH = "7612400000000000001"
WAITS: Mapping[str, tuple[str | None, str]] = {
    "nothing": (None, "10"),
    "three seconds": ("3", "3"),
    "no time": ("0", "10"),
    "three quarters of a minute": ("45", "45"),
    "a day": ("86400", "60"),
    "in words": ("soon", "10"),
}
"""What the platform says of how long to wait, and what the client hears: seconds."""
HTML = b"<!doctype html><html><head><title>Bad</title></head><body>no</body></html>"


@dataclass(frozen=True, slots=True)
class Script:
    """The running pieces: who asks, and the platform that says what it is told to."""

    cast: Cast
    platform: ScriptedPlatform

    def ask(self, question: Question, *answers: Said, project: str = "elections") -> Outcome:
        self.platform.says(*answers)
        return self.cast.ask(question, project=project)

    def begin_task(self) -> int:
        begun = self.ask(self.cast.questions[UPLOAD], _good({"task_id": TASK}))
        task: int = begun.data["task_id"]
        return task


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Script]:
    with (
        ScriptedPlatform() as platform,
        opened_wire(tmp_path_factory.mktemp("wire"), upstream_url=platform.url, more=WAITS) as opened,
    ):
        yield Script(opened, platform)


def _good(data: object) -> Said:
    return Said(json.dumps({"data": data, "error": OK}).encode())


def _bad(status: int, message: str) -> Said:
    return Said(
        json.dumps({"error": {"code": "invalid_params", "message": message, "log_id": "x"}}).encode(), status
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        pytest.param(line, name, id=f"{line.item}. {line.says}: {name}")
        for line in ODDITIES
        for name in line.where
    ],
)
def test_a_good_answer_in_another_shape_is_passed_on_with_nothing_lost(
    script: Script, line: Oddity, name: str
) -> None:
    question = unasked(script.cast.questions[name])
    found = script.ask(question, line.answer(name))
    assert found.status == 200, found.body
    assert_sound(found)
    assert found.data == (line.got or line.told)(name)
    assert (found.cache, len(script.platform.heard)) == ("fwd=miss", 1)
    again = script.ask(question)
    assert_sound(again)
    assert (again.cache, script.platform.heard) == ("hit", [])
    assert again.data == found.data


@pytest.mark.parametrize("name", [name for name in EVERY if name not in {STATUS, DOWNLOAD}])
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Said(HTML, 200, "text/html"), 502),
        (Said(HTML, 200, "application/json"), 502),
        (Said(b"", 200), 502),
        (Said(b"", 500), 500),
        (Said(b'{"data":{"vid', 200), 502),
        (Said(b"[]", 200), 502),
        (Said(b'{"data":[],"error":{"code":"ok"}}', 200), 502),
        (Said(b'{"data":{},"error":"ok"}', 200), 502),
        (Said(b'{"data":{"a":NaN},"error":{"code":"ok"}}', 200), 502),
        (Said(b"[" * 100_000, 200), 502),
        (Said(HTML, 302, "text/html", {"Location": "/v2/research/user/info/"}), 502),
        (Said(HTML, 404, "text/html"), 502),
        (Said(HTML, 503, "text/html", {"Retry-After": "86400"}), 503),
    ],
)
def test_an_answer_that_cannot_be_read_is_told_in_json_and_not_kept(
    script: Script, name: str, answer: Said, status: int
) -> None:
    question = unasked(script.cast.questions[name])
    found = script.ask(question, answer)
    assert (found.status, found.code) == (status, "internal_error")
    assert_sound(found)
    assert found.message.startswith("The platform")
    assert found.message.endswith("Please try again later.")
    assert len(script.platform.heard) == 1
    assert script.ask(question, _bad(400, "no more")).message == "no more"


@pytest.mark.parametrize("wait", WAITS)
def test_a_throttles_wait_is_passed_on_within_a_minute(script: Script, wait: str) -> None:
    asked_s, told_s = WAITS[wait]
    throttled = {"code": "rate_limit_exceeded", "message": "Too many.", "log_id": ""}
    headers = {} if asked_s is None else {"Retry-After": asked_s}
    answer = Said(json.dumps({"error": throttled}).encode(), 429, headers=headers)
    # Each has a credential to itself, since a throttled one pauses.
    found = script.ask(unasked(script.cast.questions["user/info"]), answer, project=wait)
    assert_sound(found)
    assert (found.status, found.headers["retry-after"]) == (429, told_s)


def test_a_refused_search_is_named_as_the_client_knows_it(script: Script) -> None:
    asked = unasked(script.cast.questions["video/query"])
    first = script.ask(
        asked, _good({"videos": [{"id": 1}], "cursor": 100, "has_more": True, "search_id": PLATFORMS_SEARCH})
    )
    own = first.data["search_id"]
    assert own != PLATFORMS_SEARCH
    onward = asked.but(cursor=100, search_id=own)
    for words in ("Search Id {} is invalid or expired", "Search Id {}: Invalid count or cursor"):
        found = script.ask(onward, _bad(400, words.format(PLATFORMS_SEARCH)))
        assert_sound(found)
        assert (found.status, found.message) == (400, words.format(own))
        assert script.platform.heard[0].json["search_id"] == PLATFORMS_SEARCH


def test_a_page_of_a_search_that_lacks_the_id_goes_on_under_the_clients_own(script: Script) -> None:
    asked = unasked(script.cast.questions["video/query"])
    page = {"videos": [{"id": 1}], "cursor": 100, "has_more": True}
    first = script.ask(asked, _good({**page, "search_id": int(PLATFORMS_SEARCH)}))
    onward = asked.but(cursor=100, search_id=first.data["search_id"])
    second = script.ask(onward, _good({**page, "cursor": 200}))
    assert second.data == {**page, "cursor": 200, "search_id": first.data["search_id"]}
    third = script.ask(
        onward.but(cursor=200), _good({**page, "cursor": 300, "search_id": "7612400000000000009"})
    )
    assert third.data["search_id"] == first.data["search_id"]
    assert script.platform.heard[0].json["search_id"] == PLATFORMS_SEARCH
    script.ask(onward.but(cursor=300), _good(page))
    assert script.platform.heard[0].json["search_id"] == "7612400000000000009"


@pytest.mark.parametrize("name", INDEXED)
def test_a_page_that_lacks_its_cursor_goes_on_behind_it(script: Script, name: str) -> None:
    asked = unasked(script.cast.questions[name]).but(cursor=7)
    found = script.ask(asked, _good({LIST_KEYS[name]: [], "has_more": True}))
    assert found.data == {LIST_KEYS[name]: [], "has_more": True, "cursor": 7 + asked.body["max_count"]}


def test_a_task_above_2_63_is_exact_in_both_directions(script: Script) -> None:
    task = script.begin_task()
    assert task == TASK
    for spelt in (TASK, str(TASK)):
        for name in (STATUS, DOWNLOAD):
            script.ask(Question(name, {"task_id": spelt}), _good({"task_status": "Processing"}))
            assert script.platform.heard[0].body == b'{"task_id":%d}' % TASK


@pytest.mark.parametrize("file", [b"", b"1\n2\n", b"7612345678901234567", b"\x00\xff\n"])
def test_a_file_is_passed_on_byte_by_byte(script: Script, file: bytes) -> None:
    script.begin_task()
    found = script.ask(Question(DOWNLOAD, {"task_id": TASK}), Said(file, content_type="text/plain"))
    assert_sound(found, is_file=True)
    assert (found.status, found.body) == (200, file)


def test_a_page_of_html_is_no_file(script: Script) -> None:
    script.begin_task()
    found = script.ask(Question(DOWNLOAD, {"task_id": TASK}), Said(HTML, content_type="text/html"))
    assert_sound(found)
    assert (found.status, found.code) == (502, "internal_error")


WEEK = {"start_date": "20261001", "end_date": "20261007"}
US = {"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}
VIDEOS, SHOPS = "video/query/?fields=id,username", "tts/shop/?fields=shop_id,shop_name"
# fmt: off
HEARD: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    (VIDEOS, {"query": {"and": [US], "or": [], "not": []}, **WEEK}, {"query": {"and": [US]}, **WEEK, "max_count": 20}),
    (VIDEOS, {"query": {"not": [US], "and": None}, **WEEK}, {"query": {"not": [US]}, **WEEK, "max_count": 20}),
    (VIDEOS, {"query": {"and": [{**US, "operation": "IN", "field_values": ["US", "DE", "US"]}]}, **WEEK},
     {"query": {"and": [{**US, "operation": "IN", "field_values": ["DE", "US"]}]}, **WEEK, "max_count": 20}),
    (VIDEOS, {"query": {"and": [{**US, "field_name": "music_id", "field_values": [2**62 + 1]}]}, **WEEK},
     {"query": {"and": [{**US, "field_name": "music_id", "field_values": [str(2**62 + 1)]}]}, **WEEK, "max_count": 20}),
    (VIDEOS, {"query": {"and": [US]}, **WEEK, "cursor": 0, "search_id": "", "is_random": "FALSE", "max_count": 100.0},
     {"query": {"and": [US]}, **WEEK, "max_count": 100}),
    (VIDEOS, {"query": {"and": [US]}, **WEEK, "cursor": "7", "is_random": "TRUE", "max_count": "9"},
     {"query": {"and": [US]}, **WEEK, "cursor": 7, "is_random": True, "max_count": 9}),
    (VIDEOS, {"query": {"and": [US]}, "start_date": 20261001, "end_date": "2026-10-07", "brand_new": [{"a": None}]},
     {"query": {"and": [US]}, **WEEK, "max_count": 20, "brand_new": [{"a": None}]}),
    ("video/comment/list/?fields=id", {"video_id": "6000000000000000007", "comment_id": None, "search_id": "1"},
     {"video_id": 6000000000000000007, "max_count": 10}),
    ("user/info/?fields=bio_url", {"username": "alice", "cursor": 0, "max_count": 100, "search_id": None}, {"username": "alice"}),
    ("user/followers/", {"username": "alice", "cursor": 1672531200.0}, {"username": "alice", "cursor": 1672531200, "max_count": 20}),
    ("playlist/info/?fields=playlist_id", {"playlist_id": "7200000000000000001"}, {"playlist_id": 7200000000000000001, "max_count": 20}),
    (SHOPS, {"shop_name": "a", "limit": None}, {"shop_name": "a", "limit": 10, "fields": "shop_id,shop_name"}),
    ("tts/review/?fields=review_text", {"product_id": 1729, "page_start": 2.0, "page_size": "5"},
     {"product_id": "1729", "page_start": 2, "page_size": 5, "fields": "review_text"}),
    ("adlib/ad/detail/?fields=ad.id,advertiser", {"ad_id": "17"}, {"ad_id": 17}),
    ("adlib/advertiser/query/?fields=business_id", {"search_term": "tea", "max_count": "5"}, {"search_term": "tea", "max_count": 5}),
)
"""What a client sends, and what of it reaches the platform."""
# fmt: on


@pytest.mark.parametrize(("path", "sent", "heard"), HEARD)
def test_the_platform_hears_one_spelling_whatever_the_client_wrote(
    script: Script, path: str, sent: dict[str, Any], heard: dict[str, Any]
) -> None:
    script.platform.says(_good({}))
    endpoint, _, fields = path.partition("?")
    blanks = fields.replace(",", ",%20")
    found = script.cast.wire.send(
        Sent(
            path=f"/v2/research/{endpoint.rstrip('/')}?{blanks}",
            body=json.dumps(sent).encode(),
            headers={"Authorization": f"Bearer {script.cast.keys['elections']}"},
        )
    )
    assert found.status == 200, found.body
    assert len(script.platform.heard) == 1
    asked_with = "" if fields in {"", "fields=playlist_id"} else f"?{fields}"
    assert script.platform.heard[0].path == f"/v2/research/{endpoint}{asked_with}"
    assert script.platform.heard[0].json == heard


@pytest.mark.parametrize("name", PLAIN)
def test_nothing_of_the_clients_own_headers_reaches_the_platform(script: Script, name: str) -> None:
    question = unasked(script.cast.questions[name])
    mark = "canary-1d0f"
    script.platform.says(_good({}))
    script.cast.wire.send(
        Sent(
            path=question.path,
            body=question.encoded,
            headers={
                "Authorization": f"bearer {script.cast.keys['elections']}",
                "Cookie": f"a={mark}",
                "User-Agent": mark,
                "X-Forwarded-For": "192.0.2.1",
                "Forwarded": f"for={mark}",
                "Referer": f"https://{mark}/",
                "Accept-Language": mark,
                "Connection": f"keep-alive, {mark}",
            },
        )
    )
    headers = script.platform.heard[0].headers
    assert headers["authorization"] == "Bearer clt.scripted"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert set(headers) == {
        "host", "accept", "accept-encoding", "connection", "user-agent", "authorization", "content-type", "content-length",
    }  # fmt: skip
    assert mark not in str(headers)
