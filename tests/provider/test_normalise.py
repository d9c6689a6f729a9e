"""What real clients send becomes one canonical request, or a refusal that names the mend."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidParams
from app.provider.endpoint import Endpoint
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.query import Page, ResearchQuery

VIDEOS, USER, COMMENTS = (ENDPOINTS[name] for name in ("video/query", "user/info", "video/comment/list"))
US: dict[str, object] = {"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}
TAGS: dict[str, object] = {"field_name": "hashtag_name", "operation": "IN", "field_values": ["tea", "coffee"]}
SEARCH = {"query": {"and": [US, TAGS]}, "start_date": "20260301", "end_date": "20260307"}
LONG_ID = 7612345678901234567


def _search(changes: dict[str, object], query_string: str = "fields=id") -> ResearchQuery:
    return read_request(VIDEOS, query_string, json.dumps(SEARCH | changes).encode())


def _videos(query_string: str = "fields=id", **changes: object) -> ResearchQuery:
    return _search(changes, query_string)


def _comments(**body: object) -> ResearchQuery:
    return read_request(COMMENTS, "fields=id,text", json.dumps(body).encode())


def _condition(**changes: object) -> dict[str, object]:
    return {"query": {"and": [US | changes]}}


def test_a_plain_search_reads_as_documented() -> None:
    query = _videos("fields=username,id", max_count=100, cursor=200, search_id="7612400000000000001")
    assert query == ResearchQuery(
        endpoint="video/query",
        question=(
            '{"end_date":"20260307","query":{"and":['
            '{"field_name":"hashtag_name","field_values":["coffee","tea"],"operation":"IN"},'
            '{"field_name":"region_code","field_values":["US"],"operation":"EQ"}]},"start_date":"20260301"}'
        ),
        fields=("id", "username"),
        page=Page(cursor=200, size=100, search_id="7612400000000000001"),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"cursor": None},
        {"cursor": 0},
        {"cursor": 0.0},
        {"cursor": "0"},
        {"cursor": ""},
        {"search_id": None},
        {"search_id": ""},
        {"max_count": None},
        {"max_count": 20},
        {"max_count": "20"},
        {"max_count": 20.0},
        {"max_count": "20.0"},
        {"is_random": False},
        {"is_random": "false"},
        {"is_random": "FALSE"},
        {"is_random": None},
        {"start_date": 20260301, "end_date": 20260307},
        {"start_date": "2026-03-01", "end_date": "2026-03-07"},
        {"start_date": 20260301.0},
        {"query": {"and": [US, TAGS], "or": [], "not": []}},
        {"query": {"and": [US, TAGS], "or": None, "not": {}}},
        {"query": {"and": [TAGS, US]}},
        {"query": {"and": [US, TAGS, US]}},
        {"query": {"and": [US, TAGS | {"field_values": ["coffee", "tea", "coffee"]}]}},
        {"query": {"and": [US | {"operation": "IN"}, TAGS]}},
        {"query": {"and": [US | {"operation": "IN", "field_values": ["US", "US"]}, TAGS]}},
        {"fields": "id"},
        {"fields": ["id"]},
        {"fields": []},
        {"fields": None},
    ],
)
def test_other_spellings_of_one_search_are_the_same_request(changes: dict[str, object]) -> None:
    assert _search(changes) == _videos()


@pytest.mark.parametrize(
    "query_string",
    [
        "fields=create_time,id,region_code",
        "fields=id%2Ccreate_time%2Cregion_code",
        "fields=create_time,%20region_code,%20id",
        "fields=create_time, region_code, id",
        "fields=create_time,+region_code,+id",
        "fields=id&fields=create_time&fields=region_code",
        "fields=id,id,create_time,region_code,,",
        "%66ields=id,create_time,region_code",
        "other=1&fields=id,create_time,region_code",
    ],
)
def test_fields_are_a_set_however_they_are_spelled(query_string: str) -> None:
    assert _videos(query_string).fields == ("create_time", "id", "region_code")


@pytest.mark.parametrize("in_body", ["create_time, id", ["create_time", "id"], ["create_time,id"], ["id"]])
def test_fields_in_the_body_are_merged(in_body: object) -> None:
    query = _videos("fields=create_time", fields=in_body)
    assert query.fields == ("create_time", "id")
    assert "fields" not in query.asked()


def test_fields_may_come_in_the_body_alone() -> None:
    assert _videos("", fields="id,username").fields == ("id", "username")


@pytest.mark.parametrize("name", ["favorites_count", "favourites_count"])
def test_both_documented_spellings_of_favourites_are_known(name: str) -> None:
    assert _videos(f"fields={name}").fields == (name,)


@pytest.mark.parametrize("cursor", [1672531200.0, 1672531200, "1672531200"])
def test_a_cursor_is_an_integer_however_it_was_sent(cursor: object) -> None:
    assert _videos(cursor=cursor).page.cursor == 1672531200
    assert type(_videos(cursor=cursor).page.cursor) is int


@pytest.mark.parametrize("search_id", ["7612400000000000001", 7612400000000000001])
def test_a_search_id_is_kept_as_its_digits(search_id: object) -> None:
    assert _videos(search_id=search_id).page.search_id == "7612400000000000001"


@pytest.mark.parametrize("flag", [True, "true", "TRUE", "True"])
def test_random_sampling_is_a_question_of_its_own(flag: object) -> None:
    assert _videos(is_random=flag).asked()["is_random"] is True


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ({"field_name": "view_count", "operation": "GT", "field_values": [10000]}, ["10000"]),
        ({"field_name": "view_count", "operation": "GT", "field_values": [10000.0]}, ["10000"]),
        ({"field_name": "view_count", "operation": "GT", "field_values": ["010000"]}, ["10000"]),
        (
            {"field_name": "video_id", "operation": "IN", "field_values": [LONG_ID, str(LONG_ID)]},
            [str(LONG_ID)],
        ),
        ({"field_name": "hashtag_name", "operation": "EQ", "field_values": [2026]}, ["2026"]),
        ({"field_name": "create_date", "operation": "GTE", "field_values": ["2026-03-02"]}, ["20260302"]),
        ({"field_name": "create_date", "operation": "GTE", "field_values": [20260302]}, ["20260302"]),
        ({"field_name": "keyword", "operation": "EQ", "field_values": ["a\0b"]}, ["a\0b"]),
        ({"field_name": "username", "operation": "EQ", "field_values": ["@Alice"]}, ["@Alice"]),
        (
            {"field_name": "video_length", "operation": "IN", "field_values": ["SHORT", "MID"]},
            ["MID", "SHORT"],
        ),
    ],
)
def test_condition_values_are_always_strings(condition: dict[str, object], values: list[str]) -> None:
    asked = _videos(query={"or": [condition]}).asked()
    assert asked["query"]["or"][0]["field_values"] == values  # type: ignore[index]


def test_one_value_in_a_list_stays_apart_where_matching_may_be_approximate() -> None:
    one = TAGS | {"field_values": ["tea"]}
    assert _videos(query={"and": [one]}) != _videos(query={"and": [one | {"operation": "EQ"}]})


def test_a_form_encoded_search_is_the_same_request() -> None:
    form = {"query": json.dumps(SEARCH["query"]), "start_date": "20260301", "end_date": "20260307"}
    form |= {"max_count": "100", "is_random": "FALSE", "cursor": "", "search_id": ""}
    assert read_request(VIDEOS, "fields=id", urlencode(form).encode()) == _videos(max_count=100)


def test_a_form_encoded_user_is_the_same_request() -> None:
    as_json = read_request(USER, "fields=display_name", b'{"username": "alice"}')
    assert read_request(USER, "fields=display_name", b"username=alice") == as_json
    assert as_json.question == '{"username":"alice"}'
    assert as_json.page == Page(cursor=0, size=None, search_id=None)


@pytest.mark.parametrize("video_id", [LONG_ID, str(LONG_ID)])
def test_comment_ids_are_sent_as_numbers(video_id: object) -> None:
    assert _comments(video_id=video_id).question == f'{{"video_id":{LONG_ID}}}'


def test_paging_keys_that_an_endpoint_has_not_are_dropped() -> None:
    assert _comments(video_id=1, search_id="", cursor=None) == _comments(video_id=1)
    assert _comments(video_id=1, search_id="nonsense", comment_id=None) == _comments(video_id=1)
    with_paging = b'{"username":"alice","cursor":0,"max_count":1000,"search_id":"x"}'
    plain = read_request(USER, "fields=bio_url", b'{"username":"alice"}')
    assert read_request(USER, "fields=bio_url", with_paging) == plain


def test_the_documented_page_sizes_are_made_explicit() -> None:
    assert _videos().page.size == 20
    assert _comments(video_id=1).page.size == 10


def test_unknown_body_keys_pass_through() -> None:
    assert _videos(sort={"by": ["likes"]}).asked()["sort"] == {"by": ["likes"]}
    assert _videos(sort="likes") != _videos()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"query": None}, "query is missing"),
        ({"query": []}, "query is missing or not an object"),
        ({"query": {}}, "no conditions"),
        ({"query": {"and": [], "or": [], "not": []}}, "no conditions"),
        ({"query": {"AND": [US]}}, "'AND'; only and, or, not"),
        ({"query": {"and": US}}, "must be a list of conditions"),
        ({"query": {"and": ["US"]}}, r"query.and\[0\] must be an object"),
        (_condition(field_name="region"), "field_name is 'region'; use one of create_date, username"),
        (_condition(field_name=None), "field_name is None"),
        (_condition(field_name=["region_code"]), "field_name is"),
        (_condition(operation="eq"), "operation is 'eq'; use one of EQ, GT, GTE, IN, LT, LTE"),
        (_condition(operation=None), "operation is None"),
        (_condition(field_value=["US"]), "holds the key 'field_value'"),
        (_condition(field_values=[]), "at least one value"),
        (_condition(field_values="US"), "must be a list"),
        (_condition(field_values=[["US", "CA"]]), "flatten it"),
        (_condition(field_values=["US", "CA"]), "EQ takes exactly one. Use IN"),
        (_condition(field_values=["US", "US"]), "EQ takes exactly one"),
        (_condition(operation="GT", field_values=["US", "CA"]), "GT takes exactly one"),
        (_condition(field_values=["us"]), "upper-case region code"),
        (_condition(field_values=["UK"]), "region code"),
        (_condition(field_values=[None]), "non-empty string"),
        (_condition(field_values=[True]), "non-empty string"),
        (_condition(field_values=[""]), "non-empty string"),
        (_condition(field_name="video_length", field_values=["short"]), "SHORT, MID, LONG or EXTRA_LONG"),
        (_condition(field_name="view_count", field_values=["many"]), "whole number"),
        (_condition(field_name="video_id", field_values=[7.6e18]), "has lost digits"),
        (_condition(field_name="video_id", field_values=["-5"]), "must not be negative"),
        (_condition(field_name="create_date", field_values=["20260230"]), "YYYYMMDD"),
        ({"start_date": None}, "start_date is missing"),
        ({"end_date": ""}, "end_date is missing"),
        ({"start_date": "1/3/2026"}, "start_date is '1/3/2026'; it must be an existing UTC date"),
        ({"start_date": "20260230"}, "existing UTC date"),
        ({"start_date": "2026-0301"}, "existing UTC date"),
        ({"start_date": "\uff12\uff10\uff12\uff160301"}, "existing UTC date"),
        ({"start_date": True}, "existing UTC date"),
        ({"start_date": "20260308"}, "start_date 20260308 is after end_date 20260307; swap"),
        ({"end_date": "20260401"}, "31 days after start_date; the platform allows at most 30. Split"),
        ({"max_count": 0}, "between 1 and 100"),
        ({"max_count": 101}, "between 1 and 100"),
        ({"max_count": "ten"}, "max_count is 'ten'"),
        ({"max_count": 1.5}, "whole number"),
        ({"max_count": True}, "whole number"),
        ({"cursor": -1}, "must not be negative"),
        ({"cursor": 1e19}, "inside 64 bits"),
        ({"cursor": [0]}, "whole number"),
        ({"search_id": "abc"}, "search_id is 'abc'"),
        ({"search_id": "9223372036854775808"}, "search_id"),
        ({"search_id": -5}, "search_id"),
        ({"search_id": True}, "search_id"),
        ({"is_random": "yes"}, "true or false"),
        ({"is_random": 1}, "true or false"),
        ({"fields": 5}, "list of names"),
        ({"fields": ["id", 5]}, "list of names"),
        ({"fields": ["nonsense"]}, "holds 'nonsense', unknown for video/query. Known are"),
        ({"Max_Count": 100}, "write it max_count"),
        ({"\u017fearch_id": "1"}, "write it search_id"),
        ({"Query": {}}, "write it query"),
    ],
)
def test_what_the_platform_documents_as_invalid_is_refused_here(
    changes: dict[str, object], says: str
) -> None:
    with pytest.raises(InvalidParams, match=says) as refusal:
        _search(changes)
    assert refusal.value.rule == "request"
    assert len(refusal.value.message) < 900


@pytest.mark.parametrize(
    ("query_string", "says"),
    [
        ("", "fields is missing"),
        ("fields=", "fields is missing"),
        ("field=id", "fields is missing"),
        ("fields=,%20,", "fields is missing"),
        ("fields=id,Username", "'Username', unknown"),
        ("fields=id%ff", "percent-encoded UTF-8"),
        ("fields=id%00", "unknown"),
        ("&".join(["fields=id"] * 100), "percent-encoded"),
        ("fields=" + "id," * 5000, "longer than 8192"),
    ],
)
def test_missing_or_unknown_fields_are_refused(query_string: str, says: str) -> None:
    with pytest.raises(InvalidParams, match=says):
        _videos(query_string)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "exactly one"),
        ({"video_id": 1, "comment_id": 2}, "exactly one"),
        ({"video_id": None, "comment_id": ""}, "exactly one"),
        ({"video_id": 0}, "must be the id"),
        ({"video_id": -4}, "negative"),
        ({"video_id": "abc"}, "whole number"),
        ({"video_id": [1]}, "whole number"),
        ({"video_id": 7.6e18}, "lost digits"),
        ({"video_id": True}, "whole number"),
        ({"video_id": 1, "max_count": 101}, "between 1 and 100"),
    ],
)
def test_comments_need_exactly_one_id(body: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidParams, match=says):
        _comments(**body)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"username":""}', b'{"username":"  "}', b'{"username":["a"]}', b"username="]
)
def test_a_user_needs_a_name(body: bytes) -> None:
    with pytest.raises(InvalidParams, match="username is missing"):
        read_request(USER, "fields=bio_url", body)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["and", "field_name", "operation", "field_values", "x"]), children, max_size=3
        )
    ),
    max_leaves=8,
)
KEYS = [
    "query",
    "start_date",
    "end_date",
    "is_random",
    "max_count",
    "cursor",
    "search_id",
    "fields",
    "username",
]


@given(st.sampled_from([VIDEOS, USER, COMMENTS]), st.text(max_size=20), st.data())
def test_any_body_is_read_or_refused(endpoint: Endpoint, query_string: str, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from([*KEYS, "video_id", "comment_id"]), unique=True))
    body = SEARCH | {key: data.draw(ANYTHING) for key in chosen}
    for text in (query_string, "fields=id"):
        try:
            read_request(endpoint, text, json.dumps(body).encode())
        except InvalidParams:
            continue
