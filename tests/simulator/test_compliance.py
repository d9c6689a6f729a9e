import re
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from app.simulator.configuration import Knobs
from tests.simulator.caller import OTHER, Caller, message

CREATE, STATUS, DOWNLOAD = (
    "validation_task/create",
    "validation_task_status/get",
    "validation_task/download",
)


def upload(
    caller: Caller, file: bytes | None, category: str | None = "video", *, content_type: str = ""
) -> httpx.Response:
    """Hand a file in as a real HTTP client does; `content_type` replaces the right one."""
    sent = httpx.Request(
        "POST",
        "http://x",
        data={} if category is None else {"category": category},
        files=[("unrelated", b"")] if file is None else [("file_data", ("ids.txt", file, "text/plain"))],
    )
    headers = {"Content-Type": content_type or sent.headers["Content-Type"]}
    return caller.call(CREATE, sent.read(), fields=None, **headers)


def begin(caller: Caller, ids: Iterable[int], category: str = "video") -> int:
    """The id of a new task over these records."""
    answer = upload(caller, "\n".join(map(str, ids)).encode(), category)
    assert answer.status_code == 200, answer.text
    task_id = answer.json()["data"]["task_id"]
    assert isinstance(task_id, int)
    return task_id


def status(caller: Caller, task_id: object) -> str:
    answer = caller.call(STATUS, {"task_id": task_id}, fields=None)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()["data"]) == {"task_status"}
    found: str = answer.json()["data"]["task_status"]
    return found


def valid(caller: Caller, task_id: object) -> list[int]:
    answer = caller.call(DOWNLOAD, {"task_id": task_id}, fields=None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == "text/plain"
    return [int(line) for line in answer.text.splitlines()]


def video_ids(caller: Caller, count: int) -> list[int]:
    return list(caller.platform.dataset.ids[:count])


def test_a_created_task_is_answered_as_documented(caller: Caller) -> None:
    body = upload(caller, b"1\n2\n").json()
    assert set(body) == {"data", "error"}
    assert set(body["data"]) == {"task_id"}
    assert 2**63 <= body["data"]["task_id"] < 2**64
    log_id = body["error"].pop("log_id")
    assert re.fullmatch(r"[0-9]{14}[0-9A-F]{20}", log_id)
    assert body["error"] == {"code": "ok", "http_status_code": 200, "message": "ok."}


@pytest.mark.parametrize("spelling", [int, str])
def test_a_task_is_asked_about_by_a_number_or_by_digits(caller: Caller, spelling: type) -> None:
    ids = video_ids(caller, 3)
    task_id = spelling(begin(caller, ids))
    assert status(caller, task_id) == "Completed"
    assert valid(caller, task_id) == ids


def test_the_result_lacks_unknown_and_deleted_videos_and_those_of_deleted_users(caller: Caller) -> None:
    data = caller.platform.dataset
    ids = video_ids(caller, 50)
    caller.control("delete", videos=ids[:5], users=[data.usernames[data.authors[7]]])
    gone = {*ids[:5], *(ids[p] for p in range(50) if data.authors[p] == data.authors[7])}
    left = [video for video in ids if video not in gone]
    assert 5 < len(gone) < 50
    assert valid(caller, begin(caller, [1, *ids, 2])) == left


def test_the_result_lacks_deleted_comments_their_replies_and_those_of_deleted_videos(caller: Caller) -> None:
    data, comments = caller.platform.dataset, caller.platform.comments
    answered = [
        (p, i)
        for p in range(len(data))
        for i in range(data.comments[p])
        if data.comments[p] >= 5 and comments.reply_count(p, i) >= 3
    ]
    first, second = answered[0], next(place for place in answered if place[0] != answered[0][0])
    ids = [comments.comment_id(*place) for place in (first, second)]
    replies = [comments.reply_id(*place, n) for place in (first, second) for n in range(3)]
    asked = [*ids, *replies, 1, video_ids(caller, 1)[0]]
    assert valid(caller, begin(caller, asked, "comment")) == [*ids, *replies]
    caller.control("delete", comments=[replies[1]])
    assert valid(caller, begin(caller, asked, "comment")) == [*ids, replies[0], *replies[2:]]
    caller.control("delete", comments=[ids[0]])
    assert valid(caller, begin(caller, asked, "comment")) == [ids[1], *replies[3:]]
    caller.control("delete", videos=[data.ids[second[0]]])
    assert valid(caller, begin(caller, asked, "comment")) == []


def test_every_listed_comment_and_reply_exists_and_no_neighbouring_id_does(caller: Caller) -> None:
    platform = caller.platform
    position = next(p for p in range(len(platform.dataset)) if platform.dataset.comments[p] >= 250)
    for index in range(platform.comments.count(position)):
        found = {platform.comments.comment_id(position, index)}
        found |= {
            platform.comments.reply_id(position, index, n)
            for n in range(platform.comments.reply_count(position, index))
        }
        assert all(map(platform.has_comment, found))
        assert not any(platform.has_comment(known + step) for known in found for step in (1, 1 << 32))
        beyond = platform.comments.reply_id(position, index, platform.comments.reply_count(position, index))
        assert not platform.has_comment(beyond)


def test_the_same_task_gives_the_same_file_whatever_vanishes_later(caller: Caller) -> None:
    ids = video_ids(caller, 3)
    task_id = begin(caller, ids)
    caller.control("delete", videos=ids)
    assert valid(caller, task_id) == valid(caller, task_id) == ids


def test_a_category_finds_only_its_own_kind(caller: Caller) -> None:
    assert valid(caller, begin(caller, video_ids(caller, 3), "comment")) == []


def test_lines_may_end_as_they_like_and_blank_ones_do_not_count(caller: Caller) -> None:
    one, two, three = video_ids(caller, 3)
    answer = upload(caller, f"\ufeff{one}\r\n\r\n {two} \n{three}\r".encode())
    assert valid(caller, answer.json()["data"]["task_id"]) == [one, two, three]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data"])
def test_a_form_under_a_wrong_content_type_is_read_by_its_first_line(
    caller: Caller, content_type: str
) -> None:
    ids = video_ids(caller, 2)
    answer = upload(caller, "\n".join(map(str, ids)).encode(), content_type=content_type)
    assert valid(caller, answer.json()["data"]["task_id"]) == ids


def test_ten_thousand_ids_are_taken_and_one_more_is_not(caller: Caller) -> None:
    ids = video_ids(caller, 2_500) * 4
    assert valid(caller, begin(caller, ids)) == ids
    answer = upload(caller, "\n".join(map(str, [*ids, ids[0]])).encode())
    assert "10000" in message(answer, code="invalid_file_upload")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (None, "file_data"),
        (b"", "not 0"),
        (b"\n \n", "not 0"),
        (b"12\n\nabc\n", "Line 3"),
        (b"12,13\n", "Line 1"),
        (b"-5\n", "Line 1"),
        (b"9223372036854775808\n", "Line 1"),
        (b"\xff\xfe1\x00\n", "Line 1"),
    ],
)
def test_a_file_that_is_no_list_of_ids_is_refused(caller: Caller, file: bytes | None, said: str) -> None:
    assert said in message(upload(caller, file), code="invalid_file_upload")


@pytest.mark.parametrize("category", [None, "", "user", "VIDEO"])
def test_the_category_is_video_or_comment(caller: Caller, category: str | None) -> None:
    assert "category" in message(upload(caller, b"1\n", category))


@pytest.mark.parametrize("body", [b"", b"{}", b"1\n2\n", b"--\r\n"])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_a_body_that_is_no_form_is_refused(caller: Caller, body: bytes, content_type: str) -> None:
    answer = caller.call(CREATE, body, fields=None, **{"Content-Type": content_type})
    assert "multipart" in message(answer)


@pytest.mark.parametrize("endpoint", [STATUS, DOWNLOAD])
@pytest.mark.parametrize("task_id", [None, "", "x", 1.5, -1, True, 2**64, str(2**64), 12_345])
def test_an_unknown_or_impossible_task_is_refused(caller: Caller, endpoint: str, task_id: object) -> None:
    body = {"task_id": task_id} if task_id is not None else {}
    assert "task_id" in message(caller.call(endpoint, body, fields=None))


def test_a_task_belongs_to_its_client_rather_than_to_a_token(caller: Caller) -> None:
    task_id = begin(caller, video_ids(caller, 1))
    caller.log_in()
    assert status(caller, task_id) == "Completed"
    caller.log_in(OTHER)
    for endpoint in (STATUS, DOWNLOAD):
        message(caller.call(endpoint, {"task_id": task_id}, fields=None))


def test_a_knob_keeps_tasks_processing_for_simulated_seconds() -> None:
    caller = Caller(videos=500, knobs=Knobs(compliance_delay_s=60))
    ids = video_ids(caller, 3)
    task_id = begin(caller, ids)
    assert status(caller, task_id) == "Processing"
    answer = caller.call(DOWNLOAD, {"task_id": task_id}, fields=None)
    assert "Processing" in message(answer)
    caller.control("delete", videos=ids[:1])
    caller.control("clock", shift_s=59)
    assert status(caller, task_id) == "Processing"
    caller.control("clock", shift_s=61)
    assert status(caller, task_id) == "Completed"
    assert valid(caller, task_id) == ids[1:]


def test_a_knob_makes_tasks_fail() -> None:
    caller = Caller(videos=500, knobs=Knobs(compliance_delay_s=60, compliance_fails=True))
    task_id = begin(caller, video_ids(caller, 3))
    assert status(caller, task_id) == "Processing"
    caller.control("clock", shift_s=61)
    assert status(caller, task_id) == "Failed"
    assert "Failed" in message(caller.call(DOWNLOAD, {"task_id": task_id}, fields=None))


def test_a_failing_task_can_be_ordered_from_outside(caller: Caller) -> None:
    assert caller.control("knobs", compliance_fails=True).status_code == 200
    failing = begin(caller, video_ids(caller, 1))
    caller.control("knobs", compliance_fails=False)
    assert [status(caller, task) for task in (failing, begin(caller, video_ids(caller, 1)))] == [
        "Failed",
        "Completed",
    ]


def test_every_call_costs_a_request_and_no_records(caller: Caller) -> None:
    task_id = begin(caller, video_ids(caller, 40))
    status(caller, task_id)
    valid(caller, task_id)
    message(upload(caller, b"x"), code="invalid_file_upload")
    stats = caller.stats()
    assert (stats["requests"], stats["records"]) == (4, 0)
    assert stats["endpoints"][CREATE] == {"requests": 2, "records": 0}


def test_a_reset_forgets_the_tasks(caller: Caller) -> None:
    task_id = begin(caller, video_ids(caller, 1))
    caller.control("reset")
    caller.log_in()
    message(caller.call(STATUS, {"task_id": task_id}, fields=None))


def test_only_the_last_two_hundred_tasks_are_kept(caller: Caller) -> None:
    tasks = [begin(caller, [1]) for _ in range(201)]
    message(caller.call(STATUS, {"task_id": tasks[0]}, fields=None))
    assert status(caller, tasks[1]) == "Completed"


def test_faults_reach_the_download_too(caller: Caller) -> None:
    task_id = begin(caller, video_ids(caller, 1))
    order: dict[str, Any] = {"endpoint": DOWNLOAD, "status": 500, "next": 1}
    assert caller.control("faults", **order).status_code == 200
    message(caller.call(DOWNLOAD, {"task_id": task_id}, fields=None), status=500, code="internal_error")
    assert len(valid(caller, task_id)) == 1
