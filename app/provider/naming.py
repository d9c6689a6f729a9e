"""Which people and things a question names: accounts, videos, comments and what else the platform numbers.

Values come in one spelling, so that whoever looks for them later need not know how they were written.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from app.provider.endpoint import Endpoint

KINDS: Final = (
    "username",
    "user_id",
    "video_id",
    "comment_id",
    "playlist_id",
    "shop_id",
    "product_id",
    "ad_id",
    "business_id",
)
"""What can be looked for. A key of a body, or a field of a search's condition, of that name names one."""
_KINDS: Final = frozenset(KINDS)
_LISTS: Final[Mapping[str, str]] = MappingProxyType(
    {"creator_usernames": "username", "advertiser_business_ids": "business_id"}
)
"""Lists among the filters of the ads library, which name several."""
_IN_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {"video": "video_id", "comment": "comment_id", "user": "username"}
)
"""What the lines of a file for batch compliance are, by its category."""

_IDS_OF_RECORDS: Final = _KINDS | {"id", "parent_comment_id"}
NO_RECORD: Final = "record:"
NO_AUTHOR: Final = "author:"


def named_in(asked: Mapping[str, object]) -> frozenset[tuple[str, str]]:
    """The kinds and values that a canonical question names; see `plain` for their spelling."""
    found = ((kind, plain(kind, value)) for kind, value in _named(asked))
    return frozenset((kind, value) for kind, value in found if value)


def plain(kind: str, value: str) -> str:
    """The one spelling of an identifier: digits without zeros before them; names in lower case without the @."""
    if value.isdigit() and value[0] != "0" and value.isascii() and len(value) <= 40:
        return value  # most identifiers are, and a page has hundreds
    text = (value if value.isascii() else unicodedata.normalize("NFKC", value)).strip()
    if kind == "username":
        return text.removeprefix("@").casefold()
    return str(int(text)) if text.isascii() and text.isdigit() and len(text) <= 40 else text


def record(value: str) -> str:
    """The name of a record by its id, whatever it is: no two kinds of record share one."""
    return f"record:{plain('', value)}"


def author(username: str) -> str:
    """The name of an account."""
    return f"author:{plain('username', username)}"


def names_in(endpoint: Endpoint, asked: Mapping[str, object], data: Mapping[str, object]) -> frozenset[str]:
    """Whom and what an answer to the question is about: its records, their authors, and what the question names.

    Where a record has no id or no author although its endpoint knows such a field, `NO_RECORD` or `NO_AUTHOR` says so.
    """
    # The conditions of a search say whom its records are about, and these say so themselves.
    outside = {name: value for name, value in asked.items() if name != "query"}
    found = {_name(kind, value) for kind, value in named_in(outside)}
    listed = data.get(endpoint.list_key) if endpoint.list_key is not None else [data]
    has_id, has_author = "id" in endpoint.fields, "username" in endpoint.fields
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            _add_names(item, found)
            if has_id and "id" not in item and "video_id" not in item:
                found.add(NO_RECORD)
            if has_author and "username" not in item:
                found.add(NO_AUTHOR)
        elif isinstance(item, (str, int)):
            found.add(record(str(item)))
    return frozenset(found)


def _add_names(item: Mapping[str, object], found: set[str]) -> None:
    for key, value in item.items():
        if key in _IDS_OF_RECORDS and isinstance(value, (str, int)):
            found.add(_name(key, str(value)))
        elif isinstance(value, dict):
            # Advertisements and their advertisers are objects inside a record.
            _add_names(value, found)


def _name(kind: str, value: str) -> str:
    return author(value) if kind == "username" else record(value)


def _named(asked: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for kind in asked.keys() & _KINDS:
        yield from _texts(kind, asked[kind])
    groups = asked.get("query")
    if isinstance(groups, dict):
        for group in groups.values():
            for condition in group if isinstance(group, list) else ():
                if isinstance(condition, dict) and condition.get("field_name") in _KINDS:
                    yield from _texts(str(condition["field_name"]), condition.get("field_values"))
    filters = asked.get("filters")
    if isinstance(filters, dict):
        for name, kind in _LISTS.items():
            yield from _texts(kind, filters.get(name))
    kind_of_lines = _IN_FILES.get(str(asked.get("category")))
    text = asked.get("file_data")
    if kind_of_lines is not None and isinstance(text, str):
        yield from ((kind_of_lines, line) for line in text.splitlines())


def _texts(kind: str, value: object) -> Iterator[tuple[str, str]]:
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, (str, int)) and not isinstance(each, bool):
            yield kind, str(each)
