"""The one spelling of an entry: RFC 8785 without floats, so that equal entries have equal bytes.

What is taken: ASCII keys, strings, integers, booleans, null, and lists and mappings of these. Within that,
sorted keys, no blanks and JSON's shortest escapes are exactly RFC 8785; the reference implementation is the
tests' oracle. Raw line ends cannot occur: JSON escapes every control character inside a string.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from app.audit.entries import Value
from app.errors import BursarError

MAX_ENTRY_BYTES: Final = 16 * 1024
"""Our cap for one entry; the format's own is 65,535 bytes (C2SP tlog-tiles, entry bundles)."""

MAX_EXACT_INT: Final = 2**53 - 1
"""Beyond this RFC 8785 readers that use doubles disagree (RFC 7493, section 2.2)."""

_MAX_INT_BITS: Final = 4096  # Python itself refuses to spell out integers of more than 4,300 digits
_MAX_DEPTH: Final = 32
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class EntryTooLarge(BursarError):
    """An entry does not fit the cap; keep its long parts elsewhere and log their HMAC."""


class NotAnEntry(TypeError):
    """The program, not a client, put something into an entry that entries cannot hold."""


def encode(entry: Mapping[str, Value]) -> bytes:
    """The entry's canonical bytes, which are stored and hashed as they are.

    Whatever a client sent comes out as some bytes: a lone surrogate, which UTF-8 cannot carry, becomes
    U+FFFD; an integer beyond 2^53 - 1 in either direction becomes the string of its decimal digits.
    Raises EntryTooLarge above 16 KiB, and NotAnEntry on a float, a key that is not an ASCII string,
    nesting beyond 32 levels or any other type, none of which a client can bring about.
    """
    data = _written_at_once(entry)
    if data is None:
        data = as_written(_ENCODER.encode(_mapping(entry, 0))).encode()
    if len(data) > MAX_ENTRY_BYTES:
        raise EntryTooLarge(f"An entry of {len(data)} bytes is over the cap of {MAX_ENTRY_BYTES}.")
    return data


def as_written(text: str) -> str:
    """The text as an entry's bytes carry it: U+FFFD for each lone surrogate."""
    return _SURROGATE.sub("\ufffd", text)


_ENCODER: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False, allow_nan=False
)


_PLAIN: Final = frozenset({str, int, bool, type(None)})
_AT_ONCE: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)


def _written_at_once(entry: Mapping[str, Value]) -> bytes | None:
    """The bytes of an entry that can be written as it is, as nearly all can, in a third of the time; otherwise None."""
    try:
        return orjson.dumps(entry, option=_AT_ONCE) if _is_plain(entry, 0) else None
    except TypeError:
        return None  # a key that is no text, a lone surrogate, an integer beyond 2^53 - 1


def _is_plain(value: Any, depth: int) -> bool:
    """Whether it is a list or mapping of JSON's own kinds alone, with ASCII keys, and nests no deeper than it may."""
    kind = type(value)
    if depth >= _MAX_DEPTH:
        return False
    inner: Iterable[Any] = value
    if kind is dict:
        if not all(map(str.isascii, value)):
            return False
        inner = value.values()
    elif kind is not list and kind is not tuple:
        return False
    return all(type(each) in _PLAIN or _is_plain(each, depth + 1) for each in inner)


def _mapping(entry: Mapping[str, Value], depth: int) -> dict[str, object]:
    if depth >= _MAX_DEPTH:
        raise NotAnEntry(f"An entry nests at most {_MAX_DEPTH} levels deep.")
    plain: dict[str, object] = {}
    for key, value in entry.items():
        if not isinstance(key, str) or not key.isascii():
            raise NotAnEntry(f"An entry's keys are ASCII strings, not {key!a}.")
        # Most values are strings; a call for each would double the time of the whole.
        plain[key] = value if type(value) is str else _value(value, depth + 1)
    return plain


def _value(value: Value, depth: int) -> object:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return int(value) if -MAX_EXACT_INT <= value <= MAX_EXACT_INT else _digits(value)
    # The exact type first: asking whether something is a Mapping at all takes several times as long.
    if type(value) is dict or isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, (list, tuple)):
        return _list(value, depth)
    raise NotAnEntry(f"An entry cannot hold a {type(value).__name__}.")


def _list(values: Sequence[Value], depth: int) -> list[object]:
    if depth >= _MAX_DEPTH:
        raise NotAnEntry(f"An entry nests at most {_MAX_DEPTH} levels deep.")
    return [_value(value, depth + 1) for value in values]


def _digits(value: int) -> str:
    if value.bit_length() > _MAX_INT_BITS:
        raise EntryTooLarge(f"An entry cannot hold an integer of more than {_MAX_INT_BITS} bits.")
    return str(int(value))
