"""Laws of the canonical form: the same meaning gives the same key, another meaning another."""

import itertools
import json
import random
import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidParams
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.provider.outgoing import outgoing
from app.provider.questions import CONDITION_FIELDS, EXACT_FIELDS
from app.query import ResearchQuery

VIDEOS = ENDPOINTS["video/query"]
US: dict[str, object] = {"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}
TAGS: dict[str, object] = {"field_name": "hashtag_name", "operation": "IN", "field_values": ["tea", "coffee"]}

VALUES = {
    "create_date": st.dates().map(lambda day: day.isoformat().replace("-", "")),
    "region_code": st.sampled_from(["US", "CA", "DE", "FR", "IE"]),
    "video_length": st.sampled_from(["SHORT", "MID", "LONG", "EXTRA_LONG"]),
    **dict.fromkeys(("username", "hashtag_name", "keyword"), st.text('ab é,\0"', min_size=1, max_size=3)),
    **dict.fromkeys(
        ("video_id", "music_id", "effect_id", "view_count", "comment_count"),
        st.integers(0, 2**63 - 1).map(str) | st.integers(0, 3).map(str),
    ),
}


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, object]:
    field = draw(st.sampled_from(sorted(VALUES)))
    operation = draw(st.sampled_from(["EQ", "IN", "GT"]))
    values = draw(st.lists(VALUES[field], min_size=1, max_size=3 if operation == "IN" else 1))
    return {"field_name": field, "operation": operation, "field_values": values}


GROUPS = st.dictionaries(
    st.sampled_from(["and", "or", "not"]), st.lists(conditions(), min_size=1, max_size=3), min_size=1
)


def _read(question: object, query_string: str) -> ResearchQuery:
    return read_request(VIDEOS, query_string, json.dumps(question).encode())


def _respelled(groups: dict[str, list[dict[str, object]]], rng: random.Random) -> dict[str, object]:
    """The same question with everything in another order, values repeated and defaults written out."""

    def condition(given: dict[str, object]) -> dict[str, object]:
        values = [*given["field_values"]]  # type: ignore[misc]
        if given["operation"] == "IN":
            values.append(rng.choice(values))
        rng.shuffle(values)
        if given["field_name"] not in {"create_date", "region_code", "video_length"} and rng.random() < 0.5:
            values = [int(v) if given["field_name"] in {"video_id", "view_count"} else v for v in values]
        return shuffled(given | {"field_values": values})

    def shuffled(members: dict[str, object]) -> dict[str, object]:
        items = [*members.items()]
        rng.shuffle(items)
        return dict(items)

    query: dict[str, object] = {"and": [], "or": []}
    for name, group in groups.items():
        again = [condition(item) for item in [*group, rng.choice(group)]]
        rng.shuffle(again)
        query[name] = again
    defaults = {"cursor": rng.choice([0, None, "0", 0.0]), "max_count": rng.choice([20, "20", 20.0, None])}
    defaults |= {"is_random": rng.choice([False, "FALSE", None]), "search_id": rng.choice([None, ""])}
    dates = rng.choice(
        [{"start_date": 20260301, "end_date": "2026-03-07"}, {"start_date": "20260301", "end_date": 20260307}]
    )
    return shuffled({"query": shuffled(query), **defaults, **dates})


@given(GROUPS, st.lists(st.sampled_from(sorted(VIDEOS.fields)), min_size=1, max_size=4), st.integers())
def test_canonical_form_ignores_order_repetition_and_defaults(
    groups: dict[str, list[dict[str, object]]], fields: list[str], seed: int
) -> None:
    rng = random.Random(seed)
    plain = _read(
        {"query": groups, "start_date": "20260301", "end_date": "20260307"}, f"fields={','.join(fields)}"
    )
    rng.shuffle(fields)
    other = _read(_respelled(groups, rng), quote("fields") + "=" + quote(", ".join([*fields, fields[0]])))
    assert other == plain
    assert other.key(scope="p", search=None) == plain.key(scope="p", search=None)


def _meaning(groups: dict[str, list[dict[str, object]]]) -> object:
    """What the groups say, worked out apart from the code under test."""

    def one(condition: dict[str, object]) -> object:
        values = frozenset(condition["field_values"])  # type: ignore[call-overload]
        exact = condition["field_name"] in EXACT_FIELDS and len(values) == 1
        operation = "EQ" if exact and condition["operation"] == "IN" else condition["operation"]
        return (condition["field_name"], operation, values)

    return {name: frozenset(map(one, group)) for name, group in groups.items()}


@given(GROUPS, GROUPS)
def test_keys_are_equal_exactly_when_the_meaning_is(
    one: dict[str, list[dict[str, object]]], other: dict[str, list[dict[str, object]]]
) -> None:
    dates = {"start_date": "20260301", "end_date": "20260307"}
    keys = [
        _read({"query": groups, **dates}, "fields=id").key(scope="p", search=None) for groups in (one, other)
    ]
    assert (keys[0] == keys[1]) == (_meaning(one) == _meaning(other))


@given(GROUPS)
def test_canonical_form_is_a_fixed_point(groups: dict[str, list[dict[str, object]]]) -> None:
    query = _read({"query": groups, "start_date": "20260301", "end_date": "20260307"}, "fields=id")
    again = read_request(VIDEOS, query.query_string(), outgoing(VIDEOS, query).content)
    assert again == query


def test_every_condition_field_has_values_in_these_tests() -> None:
    assert set(VALUES) == set(CONDITION_FIELDS)


def _percent_encoded(text: str, rng: random.Random) -> str:
    """The text with any of its letters written as a percent sign and two digits of either case."""

    def spelled(letter: str) -> str:
        return rng.choice([letter, letter, f"%{ord(letter):02x}", f"%{ord(letter):02X}"])

    return "".join(map(spelled, text))


def _spellings(rng: random.Random) -> tuple[str, bytes]:
    """A query string and a body that spell one search in one of very many ways."""
    groups = {
        "and": [US, TAGS],
        "not": [US | {"field_name": "keyword", "field_values": ["caf\u00e9 \U0001f600"]}],
    }
    body = _respelled(groups, rng)
    names = ["id", "username", "like_count"]
    rng.shuffle(names)
    names = [_percent_encoded(name, rng) for name in [*names, rng.choice(names)]]
    field = _percent_encoded("fields", rng)
    query_string = rng.choice(
        [
            f"{field}=" + rng.choice([",", "%2C", ", ", "%20,", ",,", "%2c+"]).join(names),
            "&".join(f"{field}={name}" for name in names)
            + rng.choice(["&x=1", "&fields=", "&Fields=id", "&&"]),
        ]
    )
    if rng.random() < 0.3:
        return query_string, urlencode(
            {name: json.dumps(value) if name == "query" else value or "" for name, value in body.items()}
        ).encode()
    text = json.dumps(body, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1, 4]))
    if rng.random() < 0.3:
        text = re.sub('(?<=")[a-z]', lambda letter: rf"\u{ord(letter[0]):04X}", text)
    return query_string, rng.choice([b"", b" \r\n", b"\xef\xbb\xbf"]) + text.encode()


def test_five_thousand_spellings_of_one_search_share_one_key() -> None:
    rng = random.Random(41)
    keys = {read_request(VIDEOS, *_spellings(rng)).key(scope="p", search=None) for _ in range(5000)}
    assert len(keys) == 1


def test_more_than_five_thousand_different_searches_have_different_keys() -> None:
    # Composed and decomposed, of another case or width, with a blank or something that nobody sees, of another script.
    tags = ["caf\u00e9", "cafe\u0301", "CAFE", "cafe", "cafe ", "caf", "e", "\uff43afe", "cafe\0", 'caf","e']
    tags += ["cafe\u200b", "\u200fcafe", "caf\u0435", "ca\ufb00e", "caffe", "\\u0063afe", "%63afe", "c+afe"]
    variants = itertools.product(
        ["and", "or", "not"],
        ["EQ", "IN", "GT", "GTE"],
        ["keyword", "hashtag_name"],
        tags,
        ["20260301", "20260302", "20260303"],
        [0, 1, 20],
        [19, 100],
        ["id", "id,username", "username"],
    )
    keys = {
        _read(
            {
                "query": {group: [{"field_name": field, "operation": operation, "field_values": [tag]}]},
                "start_date": start,
                "end_date": "20260307",
                "cursor": cursor,
                "max_count": size,
            },
            f"fields={fields}",
        ).key(scope="p", search=None)
        for group, operation, field, tag, start, cursor, size, fields in itertools.islice(
            variants, 0, None, 4
        )
    }
    assert len(keys) == 3 * 4 * 2 * 18 * 3 * 3 * 2 * 3 // 4 > 5_000


def _doubled(member: dict[str, Any], at: int) -> str:
    """The object as JSON that names its key at that place twice, with two values."""
    pairs = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in member.items()]
    name = [*member][at]
    return "{" + ", ".join([*pairs, f"{json.dumps(name)}: 1"]) + "}"


def test_a_key_that_is_named_twice_is_refused_wherever_it_is() -> None:
    condition, dates = US, {"start_date": "20260301", "end_date": "20260307", "max_count": 20}
    whole = {"query": {"and": [condition]}, **dates}
    bodies = [_doubled(whole, at) for at in range(len(whole))]
    for at in range(len(condition)):
        spelled = json.dumps(whole).replace(json.dumps(condition), _doubled(condition, at))
        assert spelled != json.dumps(whole)
        bodies.append(spelled)
    bodies.append(json.dumps(whole).replace('"query": {', '"query": {"and": [], '))
    # Spelled in two ways it is the same key.
    bodies.append(json.dumps(whole).replace('"max_count"', r'"max_count": 5, "max\u005fcount"'))
    form = urlencode({**dates, "query": json.dumps(whole["query"])})
    bodies += [f"{form}&max_count=5", f"{form}&max%5Fcount=5", f"max_count=5&{form}"]
    assert read_request(VIDEOS, "fields=id", form.encode()) == _read(whole, "fields=id")
    for body in bodies:
        with pytest.raises(InvalidParams, match="twice"):
            read_request(VIDEOS, "fields=id", body.encode())
