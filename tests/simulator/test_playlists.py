from typing import Any

import pytest

from tests.simulator.caller import Caller, message


def page(caller: Caller, **body: Any) -> dict[str, Any]:
    answer = caller.call("playlist/info", body, fields="playlist_id")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def longest(caller: Caller) -> int:
    found: int = caller.send("GET", "/_sim/accounts").json()["playlists"][0]
    return found


def test_a_playlist_has_its_name_its_size_and_its_videos(caller: Caller) -> None:
    playlist_id = longest(caller)
    got = page(caller, playlist_id=playlist_id)
    assert set(got) == {
        "playlist_id", "playlist_name", "playlist_item_total", "playlist_last_updated", "playlist_video_ids",
        "cursor", "has_more",
    }  # fmt: skip
    assert got["playlist_id"] == playlist_id > 2**53
    assert len(got["playlist_video_ids"]) == got["cursor"] == 20
    assert got["has_more"] is (got["playlist_item_total"] > 20)


def test_paging_gives_every_video_of_a_playlist_once(caller: Caller) -> None:
    playlist_id = longest(caller)
    got = page(caller, playlist_id=playlist_id, max_count=5)
    found, pages = list(got["playlist_video_ids"]), 1
    while got["has_more"]:
        got = page(caller, playlist_id=str(playlist_id), max_count="5", cursor=got["cursor"])
        found += got["playlist_video_ids"]
        pages += 1
    assert len(set(found)) == len(found) == got["playlist_item_total"]
    assert pages > 2
    videos = caller.platform.videos
    positions = [caller.platform.dataset.position(video) for video in found]
    shown = [videos.shown(p, ["playlist_id"]) for p in positions if p is not None]
    assert shown == [{"playlist_id": playlist_id}] * len(found)


def test_the_playlist_of_every_video_that_has_one_can_be_asked_for(caller: Caller) -> None:
    videos = caller.page(fields="id,username,playlist_id", max_count=100)["videos"]
    inside = [video for video in videos if "playlist_id" in video]
    assert inside
    for video in inside:
        assert (
            video["id"] in page(caller, playlist_id=video["playlist_id"], max_count=100)["playlist_video_ids"]
        )


@pytest.mark.parametrize("fields", [None, "playlist_id", "anything"])
def test_fields_change_nothing(caller: Caller, fields: str | None) -> None:
    body = {"playlist_id": longest(caller)}
    answer = caller.call("playlist/info", body, fields=fields)
    assert answer.json()["data"] == page(caller, **body)


@pytest.mark.parametrize("body", [{}, {"playlist_id": "x"}, {"playlist_id": 5}, {"playlist_id": 2**62}])
def test_a_playlist_that_is_not_there_is_refused(caller: Caller, body: dict[str, Any]) -> None:
    assert "laylist" in message(caller.call("playlist/info", body))


def test_a_deleted_video_leaves_its_playlist_and_the_last_one_takes_it_along(caller: Caller) -> None:
    playlist_id = longest(caller)
    before = page(caller, playlist_id=playlist_id, max_count=100)
    ids = before["playlist_video_ids"]
    caller.control("delete", videos=ids[:1])
    after = page(caller, playlist_id=playlist_id, max_count=100)
    assert after["playlist_video_ids"] == ids[1:]
    assert after["playlist_item_total"] == before["playlist_item_total"] - 1
    caller.control("delete", videos=ids)
    message(caller.call("playlist/info", {"playlist_id": playlist_id}))


def test_the_records_of_a_playlist_are_its_video_ids(caller: Caller) -> None:
    page(caller, playlist_id=longest(caller), max_count=5)
    assert caller.stats()["endpoints"]["playlist/info"] == {"requests": 1, "records": 5}
