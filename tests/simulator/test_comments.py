from typing import Any

import pytest

from app.simulator.comments import COMMENT_FIELDS
from app.simulator.configuration import Knobs
from tests.simulator.caller import Caller, message

LIST = "video/comment/list"
FIELDS = ",".join(sorted(COMMENT_FIELDS))


def with_comments(caller: Caller, least: int) -> tuple[int, int]:
    """The first video with at least so many comments, and their number."""
    data = caller.platform.dataset
    at = next(p for p in range(len(data)) if data.comments[p] >= least)
    return data.ids[at], data.comments[at]


def page(caller: Caller, **body: Any) -> dict[str, Any]:
    answer = caller.call(LIST, body, fields=FIELDS)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def walk(caller: Caller, **body: Any) -> list[dict[str, Any]]:
    got = page(caller, max_count=100, **body)
    found = list(got["comments"])
    while got["has_more"]:
        got = page(caller, max_count=100, cursor=got["cursor"], **body)
        found += got["comments"]
    return found


def test_paging_gives_every_comment_of_a_video_once(caller: Caller) -> None:
    video, count = with_comments(caller, 250)
    found = walk(caller, video_id=video)
    assert len({comment["id"] for comment in found}) == len(found) == count
    assert all(comment["video_id"] == comment["parent_comment_id"] == video for comment in found)
    assert all(set(comment) == COMMENT_FIELDS for comment in found)


def test_a_page_has_ten_comments_unless_asked_otherwise(caller: Caller) -> None:
    video, _ = with_comments(caller, 50)
    got = page(caller, video_id=str(video))
    assert (len(got["comments"]), got["cursor"], got["has_more"]) == (10, 10, True)


def test_replies_are_listed_under_their_comment(caller: Caller) -> None:
    video, _ = with_comments(caller, 250)
    comments = walk(caller, video_id=video)
    parents = [comment for comment in comments if comment["reply_count"]]
    assert parents
    seen = {comment["id"] for comment in comments}
    for parent in parents[:5]:
        replies = walk(caller, comment_id=parent["id"])
        assert len(replies) == parent["reply_count"]
        assert {reply["parent_comment_id"] for reply in replies} == {parent["id"]}
        assert not seen & {reply["id"] for reply in replies}
        seen |= {reply["id"] for reply in replies}


@pytest.mark.parametrize("body", [{}, {"video_id": 1, "comment_id": 2}, {"video_id": "x"}, {"video_id": -1}])
def test_exactly_one_good_id_is_asked_for(caller: Caller, body: dict[str, Any]) -> None:
    message(caller.call(LIST, body))


def test_an_unknown_video_has_no_comments(caller: Caller) -> None:
    assert page(caller, video_id=1) == {"comments": [], "cursor": 10, "has_more": False}


def test_comments_end_at_a_thousand() -> None:
    caller = Caller(videos=20_000)
    video, _ = with_comments(caller, 1_100)
    assert len(walk(caller, video_id=video)) == 1_000
    answer = caller.call(LIST, {"video_id": video, "cursor": 950, "max_count": 100})
    assert message(answer) == "Invalid count or cursor"


def test_the_cap_can_be_switched_off() -> None:
    caller = Caller(videos=20_000, knobs=Knobs(comment_cap=None))
    video, count = with_comments(caller, 1_100)
    assert len(walk(caller, video_id=video)) == count


def test_deleted_comments_vanish_and_deleted_videos_take_theirs_along(caller: Caller) -> None:
    video, count = with_comments(caller, 50)
    comments = walk(caller, video_id=video)
    parent = next(comment for comment in comments if comment["reply_count"])
    caller.control("delete", comments=[parent["id"]])
    assert len(walk(caller, video_id=video)) == count - 1
    assert walk(caller, comment_id=parent["id"]) == []
    caller.control("delete", videos=[video])
    assert walk(caller, video_id=video) == []


def test_records_are_the_comments_returned(caller: Caller) -> None:
    video, _ = with_comments(caller, 50)
    page(caller, video_id=video, max_count=37)
    assert caller.stats()["endpoints"][LIST] == {"requests": 1, "records": 37}
