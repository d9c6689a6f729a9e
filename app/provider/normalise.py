"""From what a client sent to one canonical request, or a refusal that costs nothing.

Two calls with the same meaning give equal queries: key order, blanks, the order of conditions and values,
duplicates, the order of fields, explicit defaults and the spelling of numbers and dates do not matter.
"""

from functools import lru_cache
from urllib.parse import parse_qsl

from app import exact_json
from app.provider import spelling
from app.provider.endpoint import BodyForm, Endpoint, Paging
from app.provider.uploads import parse_upload
from app.query import (
    DEFAULT_LIMITS,
    BodyLimits,
    Page,
    ResearchQuery,
    malformed,
    parse_body,
    remembered,
)

_PAGING_KEYS = frozenset({"cursor", "max_count", "search_id"})
"""Sent by clients to endpoints that have none of them, too; there they mean nothing."""
_MAX_QUERY_STRING_CHARS = 8_192
_MAX_QUERY_PARAMETERS = 64


@remembered
def read_request(
    endpoint: Endpoint, query_string: str, body: bytes, limits: BodyLimits = DEFAULT_LIMITS
) -> ResearchQuery:
    """The one canonical request that this query string and body spell for `endpoint`.

    Raises InvalidParams, and nothing else, for what the platform documents as invalid; `query_string` is
    still percent-encoded and has no question mark.
    """
    given = parse_upload(body) if endpoint.sends is BodyForm.UPLOAD else parse_body(body, limits)
    paging_keys = _paging_keys(endpoint)
    _refuse_other_cases(given, known=endpoint.body_keys | paging_keys | {"fields"})
    fields = _fields(endpoint, query_string, given.pop("fields", None))
    paging = {name: given.pop(name, None) for name in paging_keys}
    question = endpoint.normalise(given)
    return ResearchQuery(
        endpoint=endpoint.name,
        question=exact_json.dumps(question, sort_keys=True).decode(),
        fields=fields,
        page=_page(endpoint, paging),
    )


def _paging_keys(endpoint: Endpoint) -> frozenset[str]:
    if endpoint.paging is None:
        return _PAGING_KEYS
    own = {endpoint.paging.size_key, endpoint.paging.cursor_key or "cursor"}
    return _PAGING_KEYS | own


def _page(endpoint: Endpoint, given: dict[str, object]) -> Page:
    paging = endpoint.paging
    if paging is None:
        return Page()
    return Page(
        cursor=_cursor(paging, given),
        size=_size(paging, given[paging.size_key]),
        search_id=spelling.search_id(given["search_id"]) if endpoint.has_search_id else None,
    )


def _cursor(paging: Paging, given: dict[str, object]) -> int:
    name = paging.cursor_key
    if name is None:
        return 0
    value = given[name]
    # A moment of 0 is a first page too: clients begin with it and are answered (facts, section 2.8).
    cursor = paging.first if value is None or value == "" else spelling.whole_number(value, name)
    if cursor < paging.first:
        raise malformed(f"{name} is {cursor}; it counts from {paging.first}.")
    return cursor


def _size(paging: Paging, value: object) -> int:
    if value is None or value == "":
        return paging.default
    size = spelling.whole_number(value, paging.size_key)
    if not 1 <= size <= paging.most:
        raise malformed(f"{paging.size_key} is {size}; it must be between 1 and {paging.most}.")
    return size


def _refuse_other_cases(given: dict[str, object], *, known: frozenset[str]) -> None:
    """Return when no unknown key is a known one in other letters."""
    for key in given.keys() - known:
        # A server may match keys without regard to case, so `Max_Count` could override the `max_count`
        # that was checked and reserved for. casefold also catches look-alikes such as the long s.
        if key.casefold() in known:
            raise malformed(
                f"The request body holds the key {spelling.shown(key)}; write it {key.casefold()}."
            )


def _fields(endpoint: Endpoint, query_string: str, in_body: object) -> tuple[str, ...]:
    if not endpoint.fields:
        return ()
    fields = _fields_of_query_string(endpoint, query_string)
    if in_body not in (None, "", []):
        fields = tuple(sorted({*fields, *_fields_of_body(endpoint, in_body)}))
    if not fields:
        raise malformed(
            "fields is missing; name the fields you need in the query string, such as "
            f"?fields={','.join(sorted(endpoint.fields)[:3])}. Known are {_known(endpoint)}."
        )
    return fields


def _fields_of_body(endpoint: Endpoint, value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) != len(names):
        raise malformed(
            f"fields is {spelling.shown(value)}; it must be a list of names or one text with commas."
        )
    return _checked(endpoint, texts)


@lru_cache(maxsize=1024)
def _fields_of_query_string(endpoint: Endpoint, query_string: str) -> tuple[str, ...]:
    # A client sends the same few query strings all day; decoding one takes longer than parsing the body.
    if len(query_string) > _MAX_QUERY_STRING_CHARS:
        raise malformed(
            f"The query string is longer than {_MAX_QUERY_STRING_CHARS} characters; name each field once."
        )
    try:
        pairs = parse_qsl(query_string, errors="strict", max_num_fields=_MAX_QUERY_PARAMETERS)
    except ValueError:
        raise malformed(
            "The query string is not percent-encoded UTF-8; send it as ?fields=id,username."
        ) from None
    return _checked(endpoint, [value for name, value in pairs if name == "fields"])


def _checked(endpoint: Endpoint, texts: list[str]) -> tuple[str, ...]:
    names = {name.strip() for text in texts for name in text.split(",")} - {""}
    unknown = sorted(names - endpoint.fields)
    if unknown:
        shown = ", ".join(spelling.shown(name) for name in unknown[:3])
        raise malformed(f"fields holds {shown}, unknown for {endpoint.name}. Known are {_known(endpoint)}.")
    return tuple(sorted(names))


def _known(endpoint: Endpoint) -> str:
    return ", ".join(sorted(endpoint.fields))
