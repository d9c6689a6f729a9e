import json
from enum import IntEnum, StrEnum
from random import Random
from types import MappingProxyType
from typing import cast

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from app.audit.canonical import MAX_ENTRY_BYTES, MAX_EXACT_INT, EntryTooLarge, NotAnEntry, encode
from app.audit.entries import Value

Entry = dict[str, Value]

any_text = st.text(alphabet=st.characters(), max_size=12)
any_key = st.text(alphabet=st.characters(max_codepoint=127), max_size=6)
any_number = st.one_of(
    st.integers(-MAX_EXACT_INT, MAX_EXACT_INT), st.sampled_from([0, -1, MAX_EXACT_INT, -MAX_EXACT_INT])
)
any_scalar = st.one_of(st.none(), st.booleans(), any_number, any_text)
any_value = st.recursive(
    any_scalar,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(any_key, inner, max_size=4)),
    max_leaves=12,
)
any_entry = st.dictionaries(any_key, any_value, max_size=6)


def without_surrogates(value: object) -> object:
    """What the oracle is given: the same value with each lone surrogate replaced."""
    match value:
        case str():
            return "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in value)
        case list():
            return [without_surrogates(item) for item in value]
        case dict():
            return {key: without_surrogates(item) for key, item in value.items()}
    return value


def holds_against_the_oracle(entry: Entry) -> None:
    data = encode(entry)
    assert data == rfc8785.dumps(cast("dict[str, object]", without_surrogates(entry)))  # type: ignore[arg-type]
    assert encode(json.loads(data)) == data


@given(any_entry)
@settings(max_examples=1000, deadline=None)
def test_any_entry_has_the_bytes_that_rfc_8785_gives(entry: Entry) -> None:
    holds_against_the_oracle(entry)


def drawn_value(random: Random, depth: int = 0) -> Value:
    """A random value, drawn fast enough for a million of them."""
    match random.randrange(9 if depth < 3 else 6):
        case 0:
            return random.choice((None, True, False))
        case 1:
            return random.randint(-MAX_EXACT_INT, MAX_EXACT_INT)
        case 2:
            return random.randint(-9, 9)
        case 3:
            return "".join(chr(random.randrange(0x110000)) for _ in range(random.randrange(6)))
        case 4:
            return "".join(chr(random.randrange(0x100)) for _ in range(random.randrange(12)))
        case 5:
            return "".join(
                random.choice('"\\/\b\f\n\r\t\x7f\u2028\ud800\udfff\ufffe')
                for _ in range(random.randrange(6))
            )
        case 6:
            return [drawn_value(random, depth + 1) for _ in range(random.randrange(4))]
    return drawn_entry(random, depth + 1)


def drawn_entry(random: Random, depth: int = 0) -> Entry:
    keys = (
        "".join(chr(random.randrange(128)) for _ in range(random.randrange(5)))
        for _ in range(random.randrange(5))
    )
    return {key: drawn_value(random, depth) for key in keys}


def test_entries_drawn_by_seed_have_the_bytes_that_rfc_8785_gives() -> None:
    random = Random("short")
    for _ in range(20_000):
        holds_against_the_oracle(drawn_entry(random))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_a_million_entries_drawn_by_seed_have_the_bytes_that_rfc_8785_gives(seed: int) -> None:
    random = Random(f"long {seed}")
    for _ in range(100_000):
        holds_against_the_oracle(drawn_entry(random))


def test_every_character_there_is_has_the_bytes_that_rfc_8785_gives() -> None:
    for start in range(0, 0x110000, 1024):
        holds_against_the_oracle({"c": "".join(map(chr, range(start, start + 1024)))})


@given(any_entry, st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(entry: Entry, random: object) -> None:
    assert encode(dict(reversed(entry.items()))) == encode(entry)


@given(any_entry)
def test_no_raw_control_character_can_appear(entry: Entry) -> None:
    assert not any(byte < 0x20 for byte in encode(entry))


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert encode({"q": json.loads('"\\ud800"')}) == b'{"q":"\xef\xbf\xbd"}'
    assert encode({"q": "a\udc00\ud800b"}) == '{"q":"a\ufffd\ufffdb"}'.encode()
    assert encode({"q": "\U0001f600"}) == '{"q":"\U0001f600"}'.encode()


@pytest.mark.parametrize("number", [2**53, -(2**53), 7_326_544_321_000_000_000, 10**1000, -(10**1000)])
def test_an_integer_that_doubles_cannot_hold_becomes_its_decimal_digits(number: int) -> None:
    assert encode({"n": [number]}) == b'{"n":["%d"]}' % number


def test_the_widest_exact_integers_stay_numbers() -> None:
    assert encode({"n": [MAX_EXACT_INT, -MAX_EXACT_INT]}) == b'{"n":[9007199254740991,-9007199254740991]}'


def test_an_integer_too_long_to_spell_is_too_large_an_entry() -> None:
    with pytest.raises(EntryTooLarge):
        encode({"n": 10**5000})


def test_an_entry_over_16_kib_is_refused_and_one_at_16_kib_is_not() -> None:
    room = MAX_ENTRY_BYTES - len(encode({"q": ""}))
    assert len(encode({"q": "x" * room})) == 16_384
    for text in ("x" * (room + 1), "\u00e9" * (room // 2 + 1), "\ud800" * (room // 3 + 1), "x" * 10_000_000):
        with pytest.raises(EntryTooLarge):
            encode({"q": text})


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        1.0,
        float("nan"),
        b"bytes",
        {1, 2},
        object(),
        {1: "x"},
        {"\u00e9": 1},
        {"a": 1, "\u00e9": 1},
        {None: 1},
        {"\ud800": 1},
    ],
)
def test_what_no_client_can_bring_about_is_a_programmers_error(value: object) -> None:
    with pytest.raises(NotAnEntry):
        encode({"v": cast("Value", value)})
    with pytest.raises(NotAnEntry):
        encode({"v": [cast("Value", value)]})


def test_nesting_without_end_is_a_programmers_error() -> None:
    endless: list[Value] = []
    endless.append(endless)
    for value in (endless, {"a": endless}):
        with pytest.raises(NotAnEntry):
            encode({"v": value})


def test_an_integer_of_4096_bits_is_spelled_out_and_a_longer_one_refused() -> None:
    assert encode({"v": 2**4096 - 1}) == f'{{"v":"{2**4096 - 1}"}}'.encode()
    for value in (2**4096, -(2**4096)):
        with pytest.raises(EntryTooLarge):
            encode({"v": value})


@pytest.mark.parametrize("at_once", [True, False], ids=["plain", "with an enumeration"])
def test_an_entry_nests_thirty_two_levels_and_not_one_more(at_once: bool) -> None:
    class Word(StrEnum):
        YES = "yes"

    value: Value = "yes" if at_once else Word.YES
    for level in range(31):
        value = [value] if level % 2 else {"a": value}
    assert encode({"v": value}).count(b"yes") == 1
    with pytest.raises(NotAnEntry, match="32 levels"):
        encode({"v": [value]})
    with pytest.raises(NotAnEntry, match="32 levels"):
        encode({"v": {"a": value}})


def test_enumerations_tuples_and_other_mappings_are_taken_for_what_they_are() -> None:
    class Word(StrEnum):
        YES = "yes"

    class Number(IntEnum):
        TWO = 2

    entry: Entry = {
        "w": Word.YES,
        "n": Number.TWO,
        "t": (1, "a"),
        "m": MappingProxyType({"b": True, "a": None}),
    }
    assert encode(entry) == b'{"m":{"a":null,"b":true},"n":2,"t":[1,"a"],"w":"yes"}'
