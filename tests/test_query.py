"""A body is read once, within bounds, and a query has one identity."""

import json
import time
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidParams
from app.query import BodyLimits, Page, ResearchQuery, parse_body

QUERY = ResearchQuery(
    endpoint="video/query",
    question='{"start_date":"20260301"}',
    fields=("id", "username"),
    page=Page(cursor=20, size=20, search_id="7612400000000000001"),
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"username":"alice"}', {"username": "alice"}),
        (b' \r\n\t{"username":"alice"}\n', {"username": "alice"}),
        (b'\xef\xbb\xbf{"username":"alice"}', {"username": "alice"}),
        (b"{}", {}),
        (b"username=alice", {"username": "alice"}),
        (b"username=a%20b+c&max_count=100", {"username": "a b c", "max_count": "100"}),
        (b"cursor=&search_id=", {"cursor": "", "search_id": ""}),
        (b'{"t":"a\\u0000b"}', {"t": "a\0b"}),
        (b'{"t":"\\ud83d\\ude00"}', {"t": "😀"}),
        (b'{"id":9223372036854775807,"low":-9223372036854775808}', {"id": 2**63 - 1, "low": -(2**63)}),
        (b'{"cursor":1672531200.0}', {"cursor": 1672531200.0}),
        (b'{"t":"' + b"[{," * 4000 + b'"}', {"t": "[{," * 4000}),
        (b'{"t":"' + b'\\"[{' * 4000 + b'"}', {"t": '"[{' * 4000}),
    ],
)
def test_a_body_is_read_by_looking_at_it(body: bytes, expected: dict[str, object]) -> None:
    assert parse_body(body) == expected


def test_a_form_carries_the_query_as_json_text() -> None:
    query = {"and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US"]}]}
    form = urlencode({"query": json.dumps(query), "start_date": "20260301", "max_count": "100"})
    assert parse_body(form.encode()) == {"query": query, "start_date": "20260301", "max_count": "100"}
    filters = {"ad_published_date_range": {"min": "20260901", "max": "20260930"}}
    assert parse_body(urlencode({"filters": json.dumps(filters)}).encode()) == {"filters": filters}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"[1]", "must be a JSON object"),
        (b'"a=b"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{", "not valid JSON"),
        (b'{"a":1}{"b":2}', "not valid JSON"),
        (b'{"a":1} trailing=1', "not valid JSON"),
        (b'{"a":"\x01"}', "not valid JSON"),
        (b'{"a":"\xff"}', "not valid UTF-8"),
        (b"a=%ff", "form-encoded UTF-8"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', "must be a JSON object"),
        (b"a=\xff", "form-encoded UTF-8"),
        (b"&".join(b"k%d=1" % n for n in range(100)), "form-encoded UTF-8"),
        (b"a=100%", "two hexadecimal digits"),
        (b"a=1&a=2", "twice"),
        (b'{"a":1,"a":1}', "twice"),
        (b'{"q":{"a":1,"\\u0061":2}}', "twice"),
        (b'query={"and":[],"and":[1]}', "twice"),
        (b"query=nonsense", "not valid JSON"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":18446744073709551616}', "64 bits"),
        (b'{"a":-9223372036854775809}', "64 bits"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b'query={"a":"\\ud800"}', "surrogate"),
    ],
)
def test_an_ambiguous_or_malformed_body_is_refused_with_a_reason(body: bytes, says: str) -> None:
    with pytest.raises(InvalidParams, match=says) as refusal:
        parse_body(body)
    assert refusal.value.rule == "request"


def _nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_depth_and_nodes_are_bounded_exactly() -> None:
    assert parse_body(_nested(32))
    with pytest.raises(InvalidParams, match="32 levels"):
        parse_body(_nested(33))
    members = b",".join(b'"%d":0' % n for n in range(4999))
    assert len(parse_body(b"{%b}" % members)) == 4999
    with pytest.raises(InvalidParams, match="5000 values"):
        parse_body(b'{%b,"x":0,"y":0}' % members)
    with pytest.raises(InvalidParams, match="at most 10 are"):
        parse_body(b'{"a": 12345}', BodyLimits(max_bytes=10))


FULL = BodyLimits().max_bytes
BOMBS = {
    "100,000 levels": b'{"a":' + b"[" * 100_000,
    "100,000 objects deep": (b'{"a":' * 50_000)[:FULL],
    "100,000 levels, closed": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a 4,301-digit integer": b'{"a":' + b"9" * 4301 + b"}",
    "an integer as long as the body": b'{"a":' + b"9" * (FULL - 6) + b"}",
    "100,000 keys": b"{" + b",".join(b'"%d":0' % n for n in range(100_000)) + b"}",
    "as many keys as fit": b'{"":0' + b',"":0' * ((FULL - 6) // 5) + b"}",
    "commas": b"{" + b"," * (FULL - 1),
    "closing brackets": b"{" + b"]" * (FULL - 1),
    "pairs of brackets": b'{"a":[' + b"[]" * ((FULL - 6) // 2),
    "quotes": b"{" + b'"' * (FULL - 1),
    "escaped quotes": b"{" + b'\\"' * ((FULL - 2) // 2) + b"[,",
    "backslashes in a string": b'{"' + b"\\" * (FULL - 3) + b"[",
    "brackets in strings": b'{"a":"' + b"[" * (FULL - 8) + b'"x',
    "escapes": b'{"a":"' + b"\\u0000" * ((FULL - 8) // 6) + b'"',
    "lone surrogates": b'{"a":"' + b"\\ud800" * ((FULL - 8) // 6) + b'"}',
    "blanks": b" " * FULL,
    "blanks inside": b"{" + b" " * (FULL - 1),
    "ampersands": b"a=" + b"&" * (FULL - 2),
    "percent signs": b"a=" + b"%" * (FULL - 2),
    "percent escapes": b"a=" + b"%41" * ((FULL - 2) // 3) + b"&a=",
    "a deep query in a form": b"query=" + b"[" * 200_000,
    "larger than allowed": b"{" * (FULL + 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_at_once(name: str) -> None:
    started = time.process_time()
    with pytest.raises(InvalidParams):
        parse_body(BOMBS[name])
    # 50 ms is the promise for a whole answer on an idle machine; each of these takes under 10.
    assert time.process_time() - started < 0.05


def test_a_fraction_as_long_as_the_body_is_one_cheap_number() -> None:
    started = time.process_time()
    assert parse_body(b'{"a":0.' + b"9" * (FULL - 8) + b"}") == {"a": 1.0}
    assert time.process_time() - started < 0.05


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=4), children, max_size=4)
    ),
    max_leaves=20,
)


def _never_fails_otherwise(body: bytes) -> None:
    try:
        value = parse_body(body)
    except InvalidParams as refusal:
        assert refusal.message.endswith(".")  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(value, dict)


@given(
    st.binary() | st.binary().map(lambda tail: b"{" + tail) | st.binary().map(lambda tail: b"query=" + tail)
)
def test_arbitrary_bytes_are_read_or_refused(body: bytes) -> None:
    _never_fails_otherwise(body)


@given(JSON_VALUES, st.booleans())
def test_arbitrary_json_is_read_or_refused(value: object, as_form: bool) -> None:
    text = json.dumps(value)
    _never_fails_otherwise(urlencode({"query": text}).encode() if as_form else text.encode())


@given(st.text('{}[]",:\\ 01ae', max_size=40))
def test_near_json_is_read_as_the_standard_library_reads_it(text: str) -> None:
    try:
        value = parse_body(text.encode())
    except InvalidParams:
        return
    if text.lstrip().startswith("{"):
        assert value == json.loads(text)


def test_a_key_tells_every_part_apart() -> None:
    variants = [
        QUERY,
        replace(QUERY, endpoint="user/info"),
        replace(QUERY, question='{"start_date":"20260302"}'),
        replace(QUERY, fields=("id",)),
        replace(QUERY, fields=("id", "username", "x")),
        replace(QUERY, fields=("id,username",)),
        replace(QUERY, page=replace(QUERY.page, cursor=40)),
        replace(QUERY, page=replace(QUERY.page, size=100)),
        replace(QUERY, page=replace(QUERY.page, size=None)),
    ]
    keys = {variant.key(scope="p", search="s") for variant in variants}
    keys |= {
        QUERY.key(scope="q", search="s"),
        QUERY.key(scope="p", search=None),
        QUERY.key(scope="p", search=""),
    }
    assert len(keys) == len(variants) + 3
    assert {len(key) for key in keys} == {32}


@given(*[st.text(max_size=3) for _ in range(6)])
def test_no_two_ways_to_cut_the_parts_share_a_key(a: str, b: str, c: str, d: str, e: str, f: str) -> None:
    page = Page(cursor=0, size=20, search_id=None)
    one = ResearchQuery(endpoint=a, question=b, fields=(c,), page=page)
    other = ResearchQuery(endpoint=d, question=e, fields=(f,), page=page)
    assert (one.key(scope=a, search=b) == other.key(scope=d, search=e)) == ((a, b, c) == (d, e, f))


def test_a_client_s_search_id_is_no_part_of_the_key_but_bursar_s_own_is() -> None:
    fresh = replace(QUERY, page=replace(QUERY.page, search_id=None))
    assert fresh.key(scope="p", search="s") == QUERY.key(scope="p", search="s")


def test_a_search_is_the_same_whatever_the_fields_and_the_page() -> None:
    other = replace(QUERY, fields=("id",), page=Page(cursor=0, size=100))
    assert other.question_digest == QUERY.question_digest
    assert replace(QUERY, endpoint="x").question_digest != QUERY.question_digest


def test_fields_go_into_the_query_string() -> None:
    assert QUERY.query_string() == "fields=id,username"
    assert replace(QUERY, fields=()).query_string() == ""


def test_the_question_can_be_looked_into() -> None:
    assert QUERY.asked() == {"start_date": "20260301"}
