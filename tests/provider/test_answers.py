"""Whatever the platform sends becomes a success in the one shape that clients need, or a failure of one kind."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import exact_json
from app.provider.answers import Failure, FailureKind, Success, UpstreamReply, read_reply
from app.provider.endpoint import Endpoint
from app.provider.endpoints import ENDPOINTS
from app.query import Page, ResearchQuery

VIDEOS, USER, COMMENTS = (ENDPOINTS[name] for name in ("video/query", "user/info", "video/comment/list"))
LOG_ID = "20260310101500A1B2C3D4E5F6A7B8C9D0"
FINE = {"code": "ok", "message": "", "log_id": LOG_ID}
HTML = b"<html><body><h1>504 Gateway Time-out</h1></body></html>"


def _query(endpoint: str = "video/query", page: Page | None = None) -> ResearchQuery:
    return ResearchQuery(
        endpoint=endpoint, question="{}", fields=("id",), page=page or Page(cursor=100, size=100)
    )


def _read(body: object, *, status: int = 200, endpoint: str = "video/query") -> Success | Failure:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = UpstreamReply(status=status, body=raw, content_type="application/json", elapsed_ms=12)
    return read_reply(ENDPOINTS[endpoint], _query(endpoint), reply)


def _success(data: object, *, status: int = 200, endpoint: str = "video/query") -> Success:
    answer = _read({"data": data, "error": FINE}, status=status, endpoint=endpoint)
    assert isinstance(answer, Success), answer
    return answer


def _failure(body: object, *, status: int = 200, endpoint: str = "video/query") -> Failure:
    answer = _read(body, status=status, endpoint=endpoint)
    assert isinstance(answer, Failure), answer
    return answer


def _error(code: str, message: str = "why") -> dict[str, object]:
    return {"data": {}, "error": {"code": code, "message": message, "log_id": LOG_ID}}


def test_a_full_page_is_kept_as_it_came() -> None:
    data = {
        "videos": [{"id": 7612345678901234567, "view_count": None, "video_description": "a\0b"}, {"id": 2}],
        "cursor": 200,
        "has_more": True,
        "search_id": "7612400000000000001",
        "unknown": {"kept": [1.5]},
    }
    answer = _success(data)
    assert answer == Success(
        data=data,
        records=2,
        cursor=200,
        has_more=True,
        search_id="7612400000000000001",
        status=200,
        message="",
        log_id=LOG_ID,
    )


@pytest.mark.parametrize(
    "data", [{}, None, {"videos": None}, {"videos": [], "cursor": None, "has_more": None}]
)
def test_missing_keys_are_added_and_nothing_else(data: object) -> None:
    answer = _success(data)
    assert answer.data == {"videos": [], "cursor": 200, "has_more": False}
    assert (answer.records, answer.cursor, answer.has_more, answer.search_id) == (0, 200, False, None)


def test_a_search_without_hits_gets_no_invented_search_id() -> None:
    assert "search_id" not in _success({"videos": [], "cursor": 100, "has_more": False}).data


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("7612400000000000001", "7612400000000000001"),
        (7612400000000000001, "7612400000000000001"),
        (None, None),
        ("", None),
        ("x1", None),
        ("\u0661\u0662", None),
        (True, None),
        (["1"], None),
        ("1" * 21, None),
    ],
)
def test_a_search_id_is_digits_in_a_string_or_absent(sent: object, kept: str | None) -> None:
    answer = _success({"videos": [], "search_id": sent})
    assert answer.search_id == kept
    assert answer.data.get("search_id") == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(300, 300), ("300", 300), ("soon", 200), (-1, 200), (True, 200), (1.5, 200), ([], 200), (2**70, 200)],
)
def test_an_unusable_index_cursor_is_worked_out(sent: object, kept: int) -> None:
    answer = _success({"videos": [{"id": 1}], "cursor": sent, "has_more": True})
    assert answer.cursor == answer.data["cursor"] == kept


def test_a_user_is_one_record_and_gains_no_keys() -> None:
    answer = _success({"display_name": "Sim 17", "bio_url": None}, endpoint="user/info")
    assert answer.data == {"display_name": "Sim 17", "bio_url": None}
    assert (answer.records, answer.cursor, answer.has_more) == (1, None, False)
    assert _success({}, endpoint="user/info").records == 0


def test_comments_have_no_search_id() -> None:
    answer = _success({"comments": [{"id": 1}]}, endpoint="video/comment/list")
    assert answer.data == {"comments": [{"id": 1}], "cursor": 200, "has_more": False}


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_whose_body_says_ok_is_a_success(status: int) -> None:
    answer = _success({"videos": [{"id": 1}]}, status=status)
    assert (answer.status, answer.records) == (status, 1)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "access_token_invalid", FailureKind.TOKEN_REJECTED),
        (401, "invalid_token", FailureKind.TOKEN_REJECTED),
        (401, "something_new", FailureKind.TOKEN_REJECTED),
        (401, "scope_not_authorized", FailureKind.SCOPE),
        (403, "scope_not_authorized", FailureKind.SCOPE),
        (400, "scope_permission_missed", FailureKind.SCOPE),
        (429, "daily_quota_limit_exceeded", FailureKind.QUOTA),
        (429, "rate_limit_exceeded", FailureKind.THROTTLED),
        (429, "something_new", FailureKind.THROTTLED),
        (400, "invalid_params", FailureKind.INVALID),
        (400, "something_new", FailureKind.INVALID),
        (403, "something_new", FailureKind.INVALID),
        (404, "something_new", FailureKind.INVALID),
        (400, "internal_error", FailureKind.BROKEN),
        (500, "internal_error", FailureKind.BROKEN),
        (503, "something_new", FailureKind.BROKEN),
        (200, "invalid_params", FailureKind.INVALID),
        (302, "something_new", FailureKind.BROKEN),
    ],
)
def test_each_refusal_of_the_platform_has_its_kind(status: int, code: str, kind: FailureKind) -> None:
    answer = _failure(_error(code), status=status)
    assert answer == Failure(kind=kind, status=status, code=code, message="why", log_id=LOG_ID)


@pytest.mark.parametrize(
    "message",
    [
        "Search Id 7612400000000000001 is invalid or expired",
        "Invalid count or cursor",
        "username alice is invalid: cannot find the user",
        "API cannot return this user's information",
        "Something is wrong. Please try again later.",
    ],
)
def test_the_platform_s_messages_pass_verbatim(message: str) -> None:
    assert _failure(_error("invalid_params", message), status=400).message == message


@pytest.mark.parametrize(
    ("body", "status", "kind", "code"),
    [
        (HTML, 504, FailureKind.BROKEN, "internal_error"),
        (HTML, 200, FailureKind.BROKEN, "internal_error"),
        (HTML, 400, FailureKind.BROKEN, "internal_error"),
        (HTML, 429, FailureKind.THROTTLED, "rate_limit_exceeded"),
        (b"", 401, FailureKind.TOKEN_REJECTED, "access_token_invalid"),
        (b"", 200, FailureKind.BROKEN, "internal_error"),
        (b'{"data":{"videos":[{"id":76123', 200, FailureKind.BROKEN, "internal_error"),
        (b"[]", 200, FailureKind.BROKEN, "internal_error"),
        (b"null", 200, FailureKind.BROKEN, "internal_error"),
        (b'{"data":{"videos":[]}}', 200, FailureKind.BROKEN, "internal_error"),
        (b'{"data":{"videos":[]},"error":"ok"}', 200, FailureKind.BROKEN, "internal_error"),
        (b'{"error":{"code":7,"message":[],"log_id":null}}', 400, FailureKind.INVALID, "invalid_params"),
        (b'{"error":{"code":"ok"}}', 400, FailureKind.INVALID, "invalid_params"),
        (b'{"a":' + b"[" * 90 + b"]" * 90 + b"}", 200, FailureKind.BROKEN, "internal_error"),
        (b"[" * 100_000, 200, FailureKind.BROKEN, "internal_error"),
    ],
)
def test_a_body_that_says_nothing_is_judged_by_its_status(
    body: bytes, status: int, kind: FailureKind, code: str
) -> None:
    answer = _failure(body, status=status)
    assert (answer.kind, answer.code, answer.status) == (kind, code, status)
    assert answer.message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "data is not an object"),
        ("x", "data is not an object"),
        ({"videos": {}}, "videos is not a list of objects"),
        ({"videos": "x"}, "videos is not a list of objects"),
        ({"videos": [1]}, "videos is not a list of objects"),
        ({"videos": [], "has_more": "true"}, "has_more"),
        ({"videos": [], "has_more": 1}, "has_more"),
    ],
)
def test_a_wrong_shape_is_the_platform_s_fault_and_says_where(data: object, says: str) -> None:
    answer = _failure({"data": data, "error": FINE})
    assert (answer.kind, answer.log_id) == (FailureKind.BROKEN, LOG_ID)
    assert says in answer.message


def test_untrusted_texts_are_bounded_and_can_be_encoded() -> None:
    answer = _failure(
        {"error": {"code": "c" * 500, "message": "\ud800" * 5000, "log_id": "l" * 500}}, status=400
    )
    assert answer.message == "?" * 2000
    assert (len(answer.code), len(answer.log_id)) == (128, 128)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=8,
)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "data": ANY_JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "videos": ANY_JSON
                | st.lists(st.dictionaries(st.text(max_size=2), ANY_JSON, max_size=2), max_size=2),
                "cursor": ANY_JSON,
                "has_more": st.booleans() | ANY_JSON,
                "search_id": ANY_JSON,
            },
        ),
        "error": ANY_JSON
        | st.fixed_dictionaries(
            {}, optional={"code": st.just("ok") | ANY_JSON, "message": ANY_JSON, "log_id": ANY_JSON}
        ),
    },
)


def _holds(answer: Success | Failure, endpoint: Endpoint) -> None:
    for text in (answer.message, answer.log_id):
        assert isinstance(text.encode(), bytes)
    if isinstance(answer, Success):
        assert exact_json.loads(exact_json.dumps(answer.data)) == answer.data
        assert answer.records >= 0
        paging = endpoint.paging
        if paging is not None and paging.answers_cursor:
            assert type(answer.data["cursor"]) is int
        if paging is not None and paging.answers_has_more:
            assert type(answer.data["has_more"]) is bool
        if endpoint.list_key is not None:
            assert type(answer.data[endpoint.list_key]) is list
    else:
        assert answer.code != "ok"
        assert answer.code


@given(st.binary(), st.integers(100, 599), st.sampled_from([*ENDPOINTS.values()]))
def test_no_bytes_whatever_raise(body: bytes, status: int, endpoint: Endpoint) -> None:
    reply = UpstreamReply(status=status, body=body)
    _holds(read_reply(endpoint, _query(), reply), endpoint)


@given(
    ENVELOPES, st.sampled_from([200, 400, 401, 403, 429, 500, 504]), st.sampled_from([*ENDPOINTS.values()])
)
def test_no_json_whatever_raises(envelope: object, status: int, endpoint: Endpoint) -> None:
    reply = UpstreamReply(status=status, body=json.dumps(envelope).encode())
    _holds(read_reply(endpoint, _query(), reply), endpoint)


# Endpoint, what the platform sends in `data`, what its client gets, records counted.
SHAPES: list[tuple[str, dict[str, object], dict[str, object], int]] = [
    (
        "user/liked_videos",
        {"user_liked_videos": [{"id": 1}], "cursor": 1706684400000, "has_more": True},
        {"user_liked_videos": [{"id": 1}], "cursor": 1706684400000, "has_more": True},
        1,
    ),
    ("user/liked_videos", {}, {"user_liked_videos": [], "cursor": 200, "has_more": False}, 0),
    ("user/pinned_videos", {"pinned_videos_list": None}, {"pinned_videos_list": []}, 0),
    (
        "user/reposted_videos",
        {"user_reposted_videos": [{"id": 1}, {"id": 2}], "cursor": 200, "has_more": False},
        {
            "user_reposted_videos": [{"id": 1}, {"id": 2}],
            "reposted_videos": [{"id": 1}, {"id": 2}],
            "cursor": 200,
            "has_more": False,
        },
        2,
    ),
    ("user/followers", {"has_more": False}, {"user_followers": [], "cursor": 200, "has_more": False}, 0),
    (
        "playlist/info",
        {"playlist_id": 7, "playlist_video_ids": [2**62, 5], "cursor": 200, "has_more": False},
        {"playlist_id": 7, "playlist_video_ids": [2**62, 5], "cursor": 200, "has_more": False},
        2,
    ),
    ("tts/shop", {"shop_data": [{"shop_id": 1}]}, {"shop_data": [{"shop_id": 1}]}, 1),
    ("tts/product", {}, {"product_data": []}, 0),
    ("tts/review", {"review_data": [{}, {}]}, {"review_data": [{}, {}]}, 2),
    ("validation_task/create", {"task_id": 2**64 - 1}, {"task_id": 2**64 - 1}, 0),
    ("validation_task_status/get", {"task_status": "Completed"}, {"task_status": "Completed"}, 0),
    (
        "adlib/ad/query",
        {"ads": [{"ad": {"id": 1}}], "has_more": True, "search_id": "eyJsYXN0X3NvcnQiOlsx"},
        {"ads": [{"ad": {"id": 1}}], "has_more": True, "search_id": "eyJsYXN0X3NvcnQiOlsx"},
        1,
    ),
    ("adlib/ad/query", {"search_id": "not\nsent back"}, {"ads": [], "has_more": False}, 0),
    ("adlib/ad/detail", {"ad": {"id": 1}}, {"ad": {"id": 1}}, 1),
    ("adlib/advertiser/query", {}, {"advertisers": []}, 0),
    ("adlib/commercial_content/query", {}, {"commercial_contents": [], "has_more": False}, 0),
]


@pytest.mark.parametrize(("endpoint", "sent", "received", "records"), SHAPES)
def test_every_endpoint_has_its_own_keys_and_no_others(
    endpoint: str, sent: dict[str, object], received: dict[str, object], records: int
) -> None:
    answer = _success(sent, endpoint=endpoint)
    assert (answer.data, answer.records) == (received, records)


def test_a_page_without_the_moment_to_go_on_from_is_broken() -> None:
    endless = {"data": {"user_followers": [{"username": "a"}], "has_more": True}, "error": FINE}
    assert _failure(endless, endpoint="user/followers").kind is FailureKind.BROKEN


@pytest.mark.parametrize("items", [[1.5], ["a", {}], {}, [[7]]])
def test_a_playlist_lists_ids_alone(items: object) -> None:
    wrong = {"data": {"playlist_video_ids": items}, "error": FINE}
    assert _failure(wrong, endpoint="playlist/info").kind is FailureKind.BROKEN


@pytest.mark.parametrize("task_id", [None, True, -1, 1.5, "abc", 2**64])
def test_a_task_without_a_usable_id_is_broken(task_id: object) -> None:
    wrong = {"data": {"task_id": task_id}, "error": FINE}
    assert _failure(wrong, endpoint="validation_task/create").kind is FailureKind.BROKEN


def test_a_task_is_known_by_its_digits() -> None:
    answer = _success({"task_id": 12345678910987654321}, endpoint="validation_task/create")
    assert answer.task_id == "12345678910987654321"


def test_a_shop_answer_needs_no_error_object() -> None:
    answer = _read({"data": {"shop_data": [{"shop_id": 1}]}}, endpoint="tts/shop")
    assert isinstance(answer, Success)
    assert _failure({"data": {"videos": []}}).kind is FailureKind.BROKEN
    assert _failure({"data": {}}, endpoint="tts/shop").kind is FailureKind.BROKEN


@pytest.mark.parametrize("error", [FINE, {"message": ""}, {}, None])
def test_a_500_that_brings_records_and_no_complaint_is_a_success(error: object) -> None:
    body = {"data": {"playlist_id": 7, "playlist_video_ids": [1]}, "error": error}
    assert isinstance(_read(body, status=500, endpoint="playlist/info"), Success)


@pytest.mark.parametrize(
    "body", [{"data": {}, "error": {}}, {"error": {"message": "Server Internal Error"}}, {"data": {}}, {}]
)
def test_any_other_500_is_the_platforms_fault(body: object) -> None:
    assert _failure(body, status=500, endpoint="playlist/info").kind is FailureKind.BROKEN


@pytest.mark.parametrize("file", [b"7612345678901234567\n7612345678901234568\n", b"7612345678901234567", b""])
def test_a_download_is_the_file_to_the_letter(file: bytes) -> None:
    answer = _read(file, endpoint="validation_task/download")
    assert isinstance(answer, Success)
    assert (answer.file, answer.records, answer.data) == (file, 0, {})


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (json.dumps(_error("invalid_params")).encode(), 200, FailureKind.INVALID),
        (json.dumps(_error("ok")).encode(), 200, FailureKind.BROKEN),
        (b"7612345678901234567\n", 500, FailureKind.BROKEN),
        (b"7612345678901234567\n", 401, FailureKind.TOKEN_REJECTED),
        (HTML, 200, FailureKind.BROKEN),
    ],
)
def test_what_is_no_file_is_not_passed_off_as_one(body: bytes, status: int, kind: FailureKind) -> None:
    assert _failure(body, status=status, endpoint="validation_task/download").kind is kind
