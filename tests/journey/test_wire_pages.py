"""Whole crawls, page by page to the end, through Bursar and directly: the same JSON values, and nothing added."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.journey.exchange import Outcome, assert_sound
from tests.journey.people import Cast
from tests.journey.questions import (
    ACCOUNTS,
    COUNTED,
    DOWNLOAD,
    EVERY,
    HELD,
    LIST_KEYS,
    SEARCHED,
    STATUS,
    TIMED,
    UPLOAD,
    Question,
    about_nothing,
)

PAGES = {"video/query": 4, "user/liked_videos": 3, "user/followers": 3, "tts/review": 3, "adlib/ad/query": 3}
"""How many pages a crawl has at the least, where several are to be had."""
QUIRKS: Mapping[str, Any] = {
    "nul_p": 1.0,
    "extra_keys": True,
    "video_id_for_id": True,
    "liked_cursor_in_seconds": True,
    "playlist_500": True,
    "shop_without_error": True,
}
"""Oddities of the platform that are the same at every call."""
PLAIN, ODD = "crawls", "climate"


@pytest.fixture(params=[PLAIN, ODD])
def project(request: pytest.FixtureRequest, cast: Cast) -> Iterator[str]:
    """One project with a platform that behaves, and another with one that does not."""
    name: str = request.param
    simulator = cast.wire.installation
    before = simulator.control("GET", "knobs")
    if name == ODD:
        simulator.control("POST", "knobs", **QUIRKS)
    yield name
    simulator.control("POST", "knobs", **{knob: before[knob] for knob in QUIRKS})


def onward(question: Question, data: Mapping[str, Any]) -> Question | None:
    """What a client asks next; None behind the last page."""
    match question.endpoint:
        case name if name in (*COUNTED, *TIMED):
            more = {"cursor": data["cursor"]}
            if name == "video/query":
                more["search_id"] = data["search_id"]
            return question.but(**more) if data["has_more"] else None
        case name if name in SEARCHED:
            return question.but(search_id=data["search_id"]) if data["has_more"] else None
        case "tts/product" | "tts/review" as name:
            is_full = len(data[LIST_KEYS[name]]) == question.body["page_size"]
            return question.but(page_start=question.body.get("page_start", 1) + 1) if is_full else None
        case _:
            return None


def comparable(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` without the one value that is Bursar's own."""
    return {name: "Bursar's own" if name == "search_id" else value for name, value in data.items()}


@pytest.mark.parametrize("name", [name for name in EVERY if name not in {UPLOAD, DOWNLOAD}])
def test_every_page_holds_what_a_direct_call_gives_and_is_held(cast: Cast, project: str, name: str) -> None:
    through: Question | None = cast.question(name, project=project)
    direct: Question | None = through
    pages, searches = 0, set[str]()
    while through is not None and direct is not None:
        pages += 1
        told = json.loads(cast.direct.ask(direct)[1])["data"]
        found = cast.ask(through, project=project)
        assert found.status == 200, found.body
        assert_sound(found)
        assert comparable(found.data) == comparable(told)
        assert_told_right(name, found.data, searches)
        if name in HELD:
            assert (found.cache, found.cost, found.kinds) == ("fwd=miss", 1, "intent outcome")
            assert_held(cast.ask(through, project=project), found)
        direct, through = onward(direct, told), onward(through, found.data)
    assert (direct, through) == (None, None)
    assert pages >= PAGES.get(name, 1)
    assert len(searches) == (pages if name in SEARCHED else 1 if name == "video/query" else 0)


def assert_told_right(name: str, data: Mapping[str, Any], searches: set[str]) -> None:
    """The keys that clients page by are there, and of the types that they expect (4, 6)."""
    assert (LIST_KEYS[name] in data) if name in LIST_KEYS else True
    if name in (*COUNTED, *TIMED):
        assert type(data["cursor"]) is int
    if name in (*COUNTED, *TIMED, *SEARCHED):
        assert type(data["has_more"]) is bool
    if "search_id" in data:
        assert type(data["search_id"]) is str
        assert data["search_id"].isdigit()
        assert 0 < int(data["search_id"]) < 2**63
        searches.add(data["search_id"])


def assert_held(again: Outcome, first: Outcome) -> None:
    assert_sound(again)
    assert (again.cache, again.cost, again.kinds) == ("hit", 0, "decision")
    assert again.data == first.data
    assert again.envelope["error"]["log_id"] != first.envelope["error"]["log_id"]


def test_a_crawl_goes_on_where_pages_are_held_and_where_they_are_not(cast: Cast) -> None:
    asked = cast.questions["video/query"].but(max_count=90)
    first = cast.ask(asked)
    held = cast.ask(asked)
    assert (first.cache, held.cache) == ("fwd=miss", "hit")
    second = onward(asked, held.data)
    assert second is not None
    found = cast.ask(second)
    assert (found.cache, found.data["cursor"], found.data["search_id"]) == (
        "fwd=miss",
        180,
        held.data["search_id"],
    )
    assert not {video["id"] for video in found.data["videos"]} & {
        video["id"] for video in held.data["videos"]
    }


def test_a_walk_through_windows_with_a_stale_search_id_is_told_so_in_the_platforms_words(cast: Cast) -> None:
    asked = cast.questions["video/query"].but(max_count=80)
    found = cast.ask(asked).data
    stale = asked.but(
        start_date="20261008", end_date="20261014", cursor=found["cursor"], search_id=found["search_id"]
    )
    refused = cast.ask(stale)
    assert_sound(refused)
    assert (refused.status, refused.code, refused.cost) == (400, "invalid_params", 0)
    assert refused.message == f"Search Id {found['search_id']} is invalid or expired"
    assert cast.ask(stale.but(cursor=0, search_id="")).status == 200


@pytest.mark.parametrize("name", LIST_KEYS)
def test_an_answer_without_records_has_all_its_keys(cast: Cast, name: str) -> None:
    question = cast.questions[name]
    match name:
        case "user/pinned_videos":
            question = _without_its_pins(cast, question)
        case "user/reposted_videos":
            question = question.but(cursor=1_000_000)
        case _ if name in ACCOUNTS:
            question = question.but(cursor=1)
        case "playlist/info":
            question = question.but(cursor=1_000_000)
        case _:
            question = about_nothing(question, 1)
    told, found = cast.direct.data(question), cast.ask(question)
    assert_sound(found)
    assert found.data == told
    assert found.data[LIST_KEYS[name]] == []
    assert ("cursor" in found.data) == (name in (*COUNTED, *TIMED))
    assert found.data.get("has_more") is (False if name in (*COUNTED, *TIMED, *SEARCHED) else None)
    assert "search_id" not in found.data


def _without_its_pins(cast: Cast, question: Question) -> Question:
    """The question about another account, whose pinned videos have vanished."""
    simulator = cast.wire.installation
    other = question.but(username=simulator.control("GET", "accounts")["with_pins"][1])
    pinned = cast.direct.data(other)["pinned_videos_list"]
    simulator.control("POST", "delete", videos=[video["id"] for video in pinned])
    return other


def test_a_check_of_ids_is_begun_watched_and_downloaded(cast: Cast) -> None:
    asked = cast.questions[UPLOAD]
    begun = cast.ask(asked)
    assert_sound(begun)
    assert list(begun.data) == ["task_id"]
    task = begun.data["task_id"]
    assert type(task) is int
    assert 2**63 < task < 2**64
    assert b'"task_id":%d' % task in begun.body
    status, download = (Question(name, {"task_id": task}) for name in (STATUS, DOWNLOAD))
    assert cast.ask(status).data == cast.direct.data(status) == {"task_status": "Completed"}
    file = cast.ask(download)
    assert_sound(file, is_file=True)
    assert (file.status, file.body) == cast.direct.ask(download)
    assert file.body.decode() == asked.body["file_data"]
    assert cast.ask(asked).data["task_id"] != task  # asking again begins another


def test_another_project_cannot_see_the_check(cast: Cast) -> None:
    task = cast.question(STATUS)
    refused = cast.ask(task, project="climate")
    assert_sound(refused)
    assert (refused.status, refused.cost) == (400, 0)
    assert "it names no task that your project began here" in refused.message


@pytest.mark.parametrize("spelt", [True, "true", "TRUE"])
def test_a_random_sample_is_fetched_anew_each_time_however_it_is_asked_for(cast: Cast, spelt: object) -> None:
    asked = cast.questions["video/query"].but(is_random=spelt, max_count=7)
    for _ in range(2):
        found = cast.ask(asked)
        assert_sound(found)
        assert (found.status, found.cache, found.cost) == (200, "fwd=bypass", 1)
        assert len(found.data["videos"]) == 7


def test_numbers_pass_digit_by_digit(cast: Cast) -> None:
    asked = cast.questions["video/query"].but(max_count=70)
    _, direct = cast.direct.ask(asked)
    found = cast.ask(asked)
    ids = [video["id"] for video in json.loads(direct)["data"]["videos"]]
    assert len(ids) == 70
    assert min(ids) > 2**53
    assert all(b'"id":%d' % each in found.body for each in ids)
