from typing import Any

import orjson
import pytest

from app.simulator.configuration import Knobs
from tests.simulator.caller import ALL, Caller, message, query


def condition(**changes: Any) -> dict[str, Any]:
    return {"query": {"and": [{**ALL, **changes}]}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"start_date": None}, "start_date"),
        ({"start_date": "2026-10-01"}, "start_date"),
        ({"end_date": "20261032"}, "end_date"),
        ({"end_date": "2026101"}, "end_date"),
        ({"start_date": "20261002", "end_date": "20261001"}, "must not be after"),
        ({"start_date": "20260930", "end_date": "20261031"}, "30 days"),
        ({"max_count": 0}, "max_count"),
        ({"max_count": 101}, "max_count"),
        ({"max_count": True}, "max_count"),
        ({"cursor": -1}, "Invalid count or cursor"),
        ({"cursor": 0.5}, "Invalid count or cursor"),
        ({"query": None}, "query"),
        ({"query": {}}, "at least one condition"),
        ({"query": {"and": [], "or": [], "not": []}}, "at least one condition"),
        ({"query": {"xor": [ALL]}}, "xor"),
        ({"query": {"and": ALL}}, "list"),
        ({"query": {"and": ["x"]}}, "object"),
        (condition(field_name="likes"), "likes"),
        (condition(operation="NE"), "NE"),
        (condition(field_values=[]), "field_values"),
        (condition(field_values=["1", "2"]), "exactly one value"),
        (condition(operation="EQ", field_values=["1", "2"]), "exactly one value"),
        (condition(field_values=["many"]), "whole number"),
        (condition(field_values=[["1"]]), "string"),
        (condition(field_values=[""]), "string"),
        (condition(field_name="region_code", operation="EQ", field_values=["XX"]), "XX"),
        (condition(field_name="region_code", operation="EQ", field_values=["us"]), "us"),
        (condition(field_name="video_length", operation="EQ", field_values=["TINY"]), "TINY"),
        (condition(field_name="create_date", operation="EQ", field_values=["1 May"]), "create_date"),
        ({"is_random": "perhaps"}, "is_random"),
    ],
)
def test_a_wrong_video_query_is_told_what_is_wrong(
    caller: Caller, changes: dict[str, Any], named: str
) -> None:
    assert named in message(caller.videos(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"cursor": None, "search_id": None},
        {"cursor": 0.0, "search_id": ""},
        {"cursor": ""},
        {"cursor": "0"},
        {"max_count": "20"},
        {"query": {"and": [ALL], "or": [], "not": []}},
        {"query": {"and": [{**ALL, "field_values": [0]}]}},
        {"is_random": False},
        {"is_random": "false"},
        {"unknown_key": 1},
    ],
)
def test_spellings_of_real_clients_mean_the_plain_first_page(caller: Caller, changes: dict[str, Any]) -> None:
    assert caller.page(**changes)["videos"] == caller.page()["videos"]


def test_thirty_days_after_the_start_is_the_last_good_end(caller: Caller) -> None:
    assert caller.videos(start_date="20261001", end_date="20261031").status_code == 200


def test_the_end_date_is_inclusive(caller: Caller) -> None:
    found = caller.page(start_date="20261015", end_date="20261015", max_count=100, fields="create_time")
    times = [video["create_time"] for video in found["videos"]]
    assert times
    assert all(1792022400 <= created < 1792022400 + 86_400 for created in times)


def test_the_end_date_can_be_made_exclusive() -> None:
    caller = Caller(knobs=Knobs(end_date_is_inclusive=False))
    assert caller.page(start_date="20261015", end_date="20261015")["videos"] == []
    two_days = caller.page(start_date="20261015", end_date="20261016", max_count=100, fields="create_time")
    assert {(video["create_time"] - 1792022400) // 86_400 for video in two_days["videos"]} == {0}


def test_the_last_day_of_the_calendar_is_a_good_end(caller: Caller) -> None:
    assert caller.page(start_date="99991220", end_date="99991231")["videos"] == []


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream"])
def test_a_json_body_is_read_whatever_its_content_type(caller: Caller, content_type: str) -> None:
    answer = caller.call("video/query", orjson.dumps(query()), **{"Content-Type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"query=1"])
def test_a_body_that_is_no_json_object_is_refused(caller: Caller, body: bytes) -> None:
    message(caller.call("video/query", body))


@pytest.mark.parametrize("fields", [None, "", " , "])
def test_fields_are_required(caller: Caller, fields: str | None) -> None:
    assert "fields" in message(caller.call("video/query", query(), fields=fields))


def test_an_unknown_field_is_refused_by_name(caller: Caller) -> None:
    assert "favourites_count" in message(caller.call("video/query", query(), fields="id,favourites_count"))


def test_only_asked_fields_come_back_and_blanks_are_trimmed(caller: Caller) -> None:
    page = caller.page(fields="id, create_time,  region_code")
    assert all(set(video) == {"id", "create_time", "region_code"} for video in page["videos"])


def test_absent_values_are_omitted_and_never_null(caller: Caller) -> None:
    videos = caller.page(fields="id,like_count,effect_ids,playlist_id,voice_to_text", max_count=100)["videos"]
    shapes = {frozenset(video) for video in videos}
    assert len(shapes) > 3
    assert all(value is not None for video in videos for value in video.values())


def test_success_and_failure_have_one_envelope(caller: Caller) -> None:
    good, bad = caller.videos().json(), caller.videos(max_count=0).json()
    assert set(good["error"]) == set(bad["error"]) == {"code", "message", "log_id"}
    assert (good["error"]["code"], good["error"]["message"], bad["data"]) == ("ok", "", {})
    assert len(good["error"]["log_id"]) == 34


def test_another_method_than_post_is_refused_in_the_envelope(caller: Caller) -> None:
    message(caller.send("GET", "/v2/research/video/query/"), status=405)
