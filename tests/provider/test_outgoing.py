"""What goes out to the platform: written from the canonical form, in each endpoint's own keys."""

import io
import json
from typing import Any

import pytest
from python_multipart import parse_form

from app import exact_json
from app.errors import InvalidParams
from app.provider.endpoint import Endpoint
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.provider.outgoing import outgoing

DATES = {"min": "20260901", "max": "20260930"}


def _sent(name: str, body: dict[str, object], fields: str = "", search_id: str | None = None) -> object:
    endpoint = ENDPOINTS[name]
    query = read_request(endpoint, fields, json.dumps(body).encode())
    out = outgoing(endpoint, query, search_id=search_id)
    assert out.content_type == "application/json"
    return exact_json.loads(out.content)


# Endpoint, what a client sends, what the platform gets.
CASES: list[tuple[str, str, dict[str, object], dict[str, object]]] = [
    ("user/info", "fields=bio_url", {"username": "alice"}, {"username": "alice"}),
    ("user/info", "fields=bio_url", {"username": "a", "cursor": 3, "max_count": 9}, {"username": "a"}),
    ("user/liked_videos", "fields=id", {"username": "a"}, {"username": "a", "max_count": 20}),
    (
        "user/liked_videos",
        "fields=id",
        {"username": "a", "cursor": "1706684400000", "max_count": "100"},
        {"username": "a", "cursor": 1706684400000, "max_count": 100},
    ),
    ("user/pinned_videos", "fields=id", {"username": "a", "cursor": 0, "max_count": 20}, {"username": "a"}),
    (
        "user/reposted_videos",
        "fields=id",
        {"username": "a", "cursor": 20.0},
        {"username": "a", "cursor": 20, "max_count": 20},
    ),
    (
        "user/followers",
        "",
        {"username": "a", "cursor": 0, "max_count": 100},
        {"username": "a", "max_count": 100},
    ),
    ("user/following", "fields=id", {"username": "a", "cursor": None}, {"username": "a", "max_count": 20}),
    (
        "playlist/info",
        "fields=playlist_id",
        {"playlist_id": "7200000000000000001", "cursor": 20},
        {"playlist_id": 7200000000000000001, "cursor": 20, "max_count": 20},
    ),
    (
        "tts/shop",
        "",
        {"shop_name": "Example", "fields": "shop_name, shop_id", "limit": 5},
        {"shop_name": "Example", "limit": 5, "fields": "shop_id,shop_name"},
    ),
    (
        "tts/product",
        "fields=product_id",
        {"shop_id": "7495514739648989419", "page_start": 2},
        {"shop_id": 7495514739648989419, "page_start": 2, "page_size": 10, "fields": "product_id"},
    ),
    (
        "tts/review",
        "",
        {"product_id": 1729384756, "fields": ["review_text"]},
        {"product_id": "1729384756", "page_start": 1, "page_size": 10, "fields": "review_text"},
    ),
    (
        "validation_task_status/get",
        "",
        {"task_id": "12345678910987654321"},
        {"task_id": 12345678910987654321},
    ),
    ("validation_task/download", "", {"task_id": 12345678910987654321}, {"task_id": 12345678910987654321}),
    (
        "adlib/ad/query",
        "fields=ad.id",
        {
            "filters": {"ad_published_date_range": {"min": 20260901, "max": "20260930"}, "country": "IT"},
            "max_count": 50,
        },
        {"filters": {"ad_published_date_range": DATES, "country": "IT"}, "max_count": 50},
    ),
    ("adlib/ad/detail", "fields=ad,ad_group", {"ad_id": "104001"}, {"ad_id": 104001}),
    (
        "adlib/ad/report",
        "fields=count_time_series_by_country",
        {"filters": {"ad_published_date_range": DATES}, "cursor": 4},
        {"filters": {"ad_published_date_range": DATES}},
    ),
    (
        "adlib/advertiser/query",
        "fields=business_id",
        {"search_term": "awe"},
        {"search_term": "awe", "max_count": 10},
    ),
    (
        "adlib/commercial_content/query",
        "fields=id",
        {"filters": {"content_published_date_range": DATES}},
        {"filters": {"content_published_date_range": DATES}, "max_count": 10},
    ),
]


@pytest.mark.parametrize(("name", "query_string", "body", "expected"), CASES)
def test_the_platform_gets_its_own_spelling(
    name: str, query_string: str, body: dict[str, object], expected: dict[str, object]
) -> None:
    assert _sent(name, body, query_string) == expected


@pytest.mark.parametrize(("name", "query_string", "body", "expected"), CASES)
def test_unknown_keys_pass_through(
    name: str, query_string: str, body: dict[str, object], expected: dict[str, object]
) -> None:
    more = {"new_key": {"deep": [1, 2**63, None]}}
    assert _sent(name, {**body, **more}, query_string) == {**expected, **more}


def test_a_search_goes_on_with_the_platforms_own_id() -> None:
    body: dict[str, object] = {
        "filters": {"ad_published_date_range": DATES},
        "search_id": "5000000000000000001",
    }
    expected = {"filters": {"ad_published_date_range": DATES}, "max_count": 10, "search_id": "eyJsYXN0In0="}
    assert _sent("adlib/ad/query", body, "fields=ad.id", search_id="eyJsYXN0In0=") == expected


def _refusal(name: str, body: object, query_string: str = "fields=id") -> str:
    with pytest.raises(InvalidParams) as refused:
        read_request(ENDPOINTS[name], query_string, json.dumps(body).encode())
    return refused.value.message


@pytest.mark.parametrize(
    ("name", "query_string", "body", "says"),
    [
        ("user/followers", "", {"username": ""}, "username is missing"),
        ("user/followers", "", {"username": "a", "max_count": 101}, "max_count is 101"),
        ("user/followers", "", {"username": "a", "cursor": -1}, "cursor is -1"),
        ("user/followers", "", {"username": "a", "cursor": 2**63}, "inside 64 bits"),
        ("user/liked_videos", "", {"username": "a"}, "fields is missing"),
        ("playlist/info", "", {}, "playlist_id is missing"),
        ("playlist/info", "", {"playlist_id": 7.2e18}, "lost digits"),
        ("tts/shop", "fields=shop_id", {"shop_name": 5}, "shop_name is missing"),
        ("tts/shop", "fields=shop_id", {"shop_name": "x", "limit": 11}, "limit is 11"),
        ("tts/product", "fields=product_id", {"shop_id": 1, "page_start": 0}, "counts from 1"),
        ("tts/product", "fields=product_id", {"shop_id": 1, "page_size": 11}, "page_size is 11"),
        ("tts/product", "fields=product_id", {"shop_id": 1, "Page_Size": 1}, "write it page_size"),
        ("tts/review", "fields=review_text", {}, "product_id is missing"),
        ("validation_task_status/get", "", {}, "task_id is missing"),
        ("validation_task_status/get", "", {"task_id": -5}, "task_id is -5"),
        ("validation_task_status/get", "", {"task_id": "1" * 21}, "task_id is"),
        ("adlib/ad/query", "fields=ad.id", {}, "filters is missing"),
        ("adlib/ad/query", "fields=ad.id", {"filters": {"country_code": "FR"}}, "date_range is missing"),
        (
            "adlib/ad/query",
            "fields=ad.id",
            {"filters": {"ad_published_date_range": {"min": "20260930", "max": "20260901"}}},
            "after its max",
        ),
        (
            "adlib/ad/query",
            "fields=ad.id",
            {"filters": {"ad_published_date_range": DATES}, "search_term": "x" * 51},
            "at most 50 characters",
        ),
        ("adlib/ad/detail", "fields=ad", {}, "ad_id is missing"),
        ("adlib/ad/detail", "fields=ad.secret", {"ad_id": 1}, "unknown for adlib/ad/detail"),
        ("adlib/advertiser/query", "fields=business_id", {}, "search_term is missing"),
        (
            "adlib/commercial_content/query",
            "fields=id",
            {"filters": {"content_published_date_range": {"min": "soon", "max": "later"}}},
            "existing UTC date",
        ),
    ],
)
def test_what_would_be_spent_in_vain_is_refused_before(
    name: str, query_string: str, body: object, says: str
) -> None:
    assert says in _refusal(name, body, query_string)


CREATE = ENDPOINTS["validation_task/create"]


def form(parts: list[tuple[str, bytes]], boundary: str = "----b1") -> bytes:
    whole = b""
    for name, data in parts:
        whole += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if name == "file_data":
            whole += b'; filename="../../etc/passwd"\r\nContent-Type: application/x-evil'
        whole += b"\r\n\r\n" + data + b"\r\n"
    return whole + f"--{boundary}--\r\n".encode()


def _parts(endpoint: Endpoint, body: bytes) -> tuple[dict[str, bytes], dict[str, Any]]:
    out = outgoing(endpoint, read_request(endpoint, "", body))
    fields: dict[str, bytes] = {}
    files: dict[str, Any] = {}

    def keep_field(field: Any) -> None:
        fields[field.field_name.decode()] = field.value

    def keep_file(file: Any) -> None:
        file.file_object.seek(0)
        files[file.field_name.decode()] = (file.file_name, file.file_object.read())

    headers = {"Content-Type": out.content_type.encode(), "Content-Length": str(len(out.content)).encode()}
    parse_form(headers, io.BytesIO(out.content), keep_field, keep_file)
    return fields, files


def test_an_upload_goes_out_as_a_form_of_bursars_own() -> None:
    ids = b"7612345678901234567\r\n7612345678901234568\n"
    body = form([("file_data", ids), ("category", b"video"), ("note", "für später".encode())])
    fields, files = _parts(CREATE, body)
    assert fields == {"category": b"video", "note": "für später".encode()}
    assert files == {"file_data": (b"ids.txt", ids)}
    assert b"passwd" not in outgoing(CREATE, read_request(CREATE, "", body)).content


def test_a_form_of_bursars_own_can_be_read_like_any_other() -> None:
    body = form([("file_data", b"1\n2\n"), ("category", b"video")])
    query = read_request(CREATE, "", body)
    # Its boundary has to keep to RFC 2046 as well: at most 70 characters.
    assert read_request(CREATE, "", outgoing(CREATE, query).content) == query


def test_two_spellings_of_one_upload_are_one_question() -> None:
    one = form([("file_data", b"1\n2\n"), ("category", b"video")])
    other = form([("category", b"video"), ("file_data", b"1\n2\n")], boundary="x")
    assert read_request(CREATE, "", one) == read_request(CREATE, "", other)


def test_a_boundary_inside_the_file_breaks_nothing() -> None:
    body = form([("file_data", b"--bursar-0\r\n--b1x\r\n12\n"), ("category", b"comment")], boundary="b2")
    _, files = _parts(CREATE, body)
    assert files["file_data"][1] == b"--bursar-0\r\n--b1x\r\n12\n"


GOOD = [("file_data", b"1\n"), ("category", b"video")]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "must be a form"),
        (b'{"file_data": "1", "category": "video"}', "must be a form"),
        (b"--" + b"b" * 71 + b"\r\n", "must be a form"),
        (form(GOOD)[:-10], "cut off"),
        (form(GOOD).replace(b"Content-Disposition", b"Content Disposition"), "not a well-formed"),
        (form([*GOOD, ("category", b"comment")]), "a name of its own"),
        (form([("", b"1"), *GOOD]), "a name of its own"),
        (form([("file_data", b"\xff\xfe1"), ("category", b"video")]), "not text in UTF-8"),
        (form([("file_data", b" \r\n"), ("category", b"video")]), "file_data is missing or empty"),
        (form([("category", b"video")]), "file_data is missing or empty"),
        (form([("file_data", b"1\n")]), "category is None"),
        (form([("file_data", b"1\n"), ("category", b"song")]), "category is 'song'"),
        (form([("file_data", b"1\n" * 10_001), ("category", b"video")]), "10001 lines"),
        (form([*GOOD, *((f"x{n}", b"1") for n in range(20))]), "more than 16 parts"),
        (form([("File_Data", b"1\n"), ("category", b"video")]), "write it file_data"),
    ],
)
def test_a_form_that_would_be_spent_in_vain_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        read_request(CREATE, "", body)
    assert says in refused.value.message


def test_ten_thousand_ids_fit() -> None:
    ids = b"".join(b"%d\r\n" % (7_600_000_000_000_000_000 + n) for n in range(10_000))
    body = form([("file_data", ids), ("category", b"video")])
    assert len(body) < CREATE.most_body_bytes
    assert _parts(CREATE, body)[1]["file_data"][1] == ids
