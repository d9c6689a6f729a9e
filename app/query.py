"""A researcher's question: the body parsed once, and the one canonical form that everything else works on."""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import NoReturn, ParamSpec, TypeVar, cast
from urllib.parse import parse_qsl, quote

import orjson

from app import exact_json
from app.errors import InvalidParams

P = ParamSpec("P")
T = TypeVar("T")

API_VERSION = "v2"
RULE = "request"
"""The rule that a malformed request is refused under."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
UINT64_MAX = 2**64 - 1

_BLANKS = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_FORM_FIELDS = 64
_MOST_REMEMBERED, _MOST_REMEMBERED_CHARS = 1_024, 4_096
_OBJECTS = ("query", "filters")
"""What a form carries as JSON text, since only an object will do."""
# The closing quote is optional so that an unterminated string is one match: with a closing quote required,
# every further quote would start a new scan to the end, which is quadratic.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def malformed(message: str) -> InvalidParams:
    """The refusal to raise for a malformed request; `message` stands alone and names the mend."""
    return InvalidParams(message, rule=RULE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How large a request body may be before it is parsed at all."""

    max_bytes: int = 262_144
    max_depth: int = 32
    max_nodes: int = 5_000
    """Values, counted as opening brackets and commas plus one."""


DEFAULT_LIMITS = BodyLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of an answer is asked for."""

    cursor: int = 0
    size: int | None = None
    """Records a page; None where the endpoint does not page."""
    search_id: str | None = None
    """Decimal digits as the client sent them; None on a first page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResearchQuery:
    """One call in canonical form: two calls with the same meaning are equal."""

    endpoint: str
    """The endpoint's name, such as `video/query`."""
    question: str
    """The body without paging, as JSON with sorted keys and no blanks."""
    fields: tuple[str, ...]
    """Sorted, each once."""
    page: Page

    @property
    def question_digest(self) -> bytes:
        """32 bytes that identify the question, whatever the fields and the page."""
        return digest(API_VERSION, self.endpoint, self.question)

    def key(self, *, scope: str, search: str | None) -> bytes:
        """32 bytes that identify this very call inside `scope`, for `search` (Bursar's own, not a client's)."""
        size = None if self.page.size is None else str(self.page.size)
        page = (str(self.page.cursor), size, scope, search)
        return digest(API_VERSION, self.endpoint, self.question, str(len(self.fields)), *self.fields, *page)

    def asked(self) -> dict[str, object]:
        """The question as a value, for rules that look into it."""
        return cast("dict[str, object]", exact_json.loads(self.question.encode()))

    def query_string(self) -> str:
        """`fields=a,b`, or nothing where no fields were asked for."""
        return "fields=" + quote(",".join(self.fields), safe=",") if self.fields else ""


def remembered(work: Callable[P, T]) -> Callable[P, T]:
    """A computation that knows what it gave for short texts: scripts repeat a question for page after page."""
    kept = cast("Callable[P, T]", lru_cache(maxsize=_MOST_REMEMBERED)(work))

    @wraps(work)
    def found(*args: P.args, **kwargs: P.kwargs) -> T:
        chars = sum(len(each) for each in args if isinstance(each, (str, bytes)))
        return (kept if chars <= _MOST_REMEMBERED_CHARS else work)(*args, **kwargs)

    return found


def digest(*parts: str | None) -> bytes:
    """32 bytes that identify a list of texts."""
    # As `remembered`, without its look at kinds, which takes four times as long as this on every call's way.
    is_short = sum(map(len, filter(None, parts))) <= _MOST_REMEMBERED_CHARS
    return (_kept_digest if is_short else _digest)(*parts)


@lru_cache(maxsize=_MOST_REMEMBERED)
def _kept_digest(*parts: str | None) -> bytes:
    return _digest(*parts)


def _digest(*parts: str | None) -> bytes:
    # Each part carries its length, and None differs from "", so no two lists of parts read alike.
    encoded = (b"-," if part is None else b"%d:%b," % (len(raw := part.encode()), raw) for part in parts)
    return hashlib.sha256(b"".join(encoded)).digest()


def parse_body(body: bytes, limits: BodyLimits = DEFAULT_LIMITS) -> dict[str, object]:
    """The request body as a dictionary, whatever its content type said.

    Good: `{"username": "alice"}`, `username=alice`, `query=%7B...%7D&start_date=20260301&max_count=100`.
    Bad: `[1]`, `{"a": 1, "a": 2}`, `{"a": NaN}`. Size, depth and count are checked before parsing.
    Raises InvalidParams and nothing else.
    """
    if len(body) > limits.max_bytes:
        raise malformed(f"The request body has {len(body)} bytes; at most {limits.max_bytes} are accepted.")
    trimmed = body.strip(_BLANKS).removeprefix(_BYTE_ORDER_MARK).lstrip(_BLANKS)
    if not trimmed:
        raise malformed("The request body is empty; send the parameters as a JSON object.")
    if trimmed.startswith(b"{"):
        return cast("dict[str, object]", _parse_json(trimmed, limits))
    # A form with files has an = as well; it begins with its boundary.
    if b"=" in trimmed and trimmed[:1] not in b'["' and not trimmed.startswith(b"--"):
        return _parse_form(trimmed, limits)
    raise malformed('The request body must be a JSON object such as {"username": "alice"}.')


def _parse_form(body: bytes, limits: BodyLimits) -> dict[str, object]:
    if _BROKEN_ESCAPE.search(body) is not None:
        raise malformed("The request body holds a % without two hexadecimal digits; send a JSON object.")
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FORM_FIELDS,
        )
    except ValueError:
        raise malformed(
            "The request body is neither a JSON object nor form-encoded UTF-8; send a JSON object."
        ) from None
    form = _without_duplicates([*pairs])
    for name in _OBJECTS:
        text = form.get(name)
        if isinstance(text, str):
            form[name] = _parse_json(text.encode("utf-8"), limits)
    return form


def _parse_json(data: bytes, limits: BodyLimits) -> object:
    _check_structure(data, limits)
    try:
        value: object = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise malformed("The request body is not valid UTF-8; encode it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise malformed(
            f"The request body is not valid JSON: {error.msg} at character {error.pos}."
        ) from None
    if b"\\u" in data:
        _check_strings(value)
    return value


def _check_structure(data: bytes, limits: BodyLimits) -> None:
    """Return when `data` is neither too deep nor too wide; never recurses."""
    opened = data.count(b"{") + data.count(b"[")
    # Counting inside strings as well can only overcount, so a small count settles the usual body at once.
    if opened <= limits.max_depth and opened + data.count(b",") < limits.max_nodes:
        return
    bare = _STRING.sub(b"", data)
    nodes = 1 + bare.count(b"{") + bare.count(b"[") + bare.count(b",")
    if nodes > limits.max_nodes:
        raise malformed(
            f"The request body holds more than {limits.max_nodes} values; split it into several calls."
        )
    brackets = bare.translate(None, _NOT_BRACKETS)
    depths = itertools.accumulate(map(_STEP.__getitem__, brackets))
    if any(depth > limits.max_depth for depth in depths):
        raise malformed(f"The request body is nested more than {limits.max_depth} levels deep; flatten it.")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # Parsers differ on which duplicate wins, so what was checked might not be what is answered.
        raise malformed("The request body names a key twice in one object; give each key once.")
    return members


def _integer(token: str) -> int:
    # Measured by length first: Python refuses to convert more than 4,300 digits.
    # Above int64 only a task's id is meant; every other reader looks for itself.
    if len(token) > 20 or not INT64_MIN <= (number := int(token)) <= UINT64_MAX:
        raise malformed("The request body holds an integer outside 64 bits; give ids as they were received.")
    return number


def _finite(token: str) -> float:
    number = float(token)
    if not math.isfinite(number):
        raise malformed("The request body holds a number too large to represent.")
    return number


def _refuse_constant(token: str) -> NoReturn:
    raise malformed(f"The request body holds {token}, which is not JSON; leave the key out instead.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=cast("Callable[[list[tuple[str, object]]], object]", _without_duplicates),
    parse_int=_integer,
    parse_float=_finite,
    parse_constant=_refuse_constant,
)


def _check_strings(value: object) -> None:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise malformed(
            "The request body holds half of a surrogate pair (\\ud800 to \\udfff); send whole characters."
        ) from None
