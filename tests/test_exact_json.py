"""JSON goes in and comes out without loss."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import exact_json

ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None)),
    lambda children: (
        st.lists(children, max_size=5)
        | st.dictionaries(st.text(st.characters(codec=None)), children, max_size=5)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "number",
    [0, 2**53 + 1, 7612345678901234567, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400],
)
def test_integers_survive_however_long(number: int) -> None:
    assert exact_json.loads(b'{"id":%d}' % number) == {"id": number}
    assert exact_json.loads(exact_json.dumps([number])) == [number]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x\udfff", "é\u202e😀", "1" * 25])
def test_strings_survive_nul_and_lone_surrogates_included(text: str) -> None:
    spelled = json.dumps({"text": text}).encode()
    assert exact_json.loads(spelled) == {"text": text}
    assert exact_json.loads(exact_json.dumps({"text": text})) == {"text": text}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"[1e999, 123456789012345678901]",
        b"[NaN, 123456789012345678901]",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"{'a':1}",
        b"[1,]",
        b"1" * 4301,
        b"[" * 100_000,
        b'["\\ud800",' + b"[" * 100_000,
        b"[123456789012345678901," + b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        exact_json.loads(data)


def test_nan_is_never_written() -> None:
    with pytest.raises(ValueError):
        exact_json.dumps([math.inf, 2**70])


def test_a_foreign_type_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        exact_json.dumps({1, 2})


def test_keys_can_be_sorted_on_either_path() -> None:
    assert exact_json.dumps({"b": 1, "a": 2}, sort_keys=True) == b'{"a":2,"b":1}'
    assert exact_json.dumps({"b": 2**70, "a": 2}, sort_keys=True) == b'{"a":2,"b":%d}' % 2**70


@given(ANY_JSON)
def test_reading_what_was_written_gives_the_same_value(value: object) -> None:
    assert exact_json.loads(exact_json.dumps(value)) == value


@given(ANY_JSON, st.booleans())
def test_reading_agrees_with_the_standard_library(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = json.dumps(value).encode()
    assert exact_json.loads(data) == json.loads(data)
