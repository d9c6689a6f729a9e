"""Which people and things a question names: accounts, videos, comments and what else the platform numbers.

Values come in one spelling, so that whoever looks for them later need not know how they were written.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

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


def named_in(asked: Mapping[str, object]) -> frozenset[tuple[str, str]]:
    """The kinds and values that a canonical question names; see `plain` for their spelling."""
    found = ((kind, plain(kind, value)) for kind, value in _named(asked))
    return frozenset((kind, value) for kind, value in found if value)


def plain(kind: str, value: str) -> str:
    """The one spelling of an identifier: digits without zeros before them; names in lower case without the @."""
    text = (value if value.isascii() else unicodedata.normalize("NFKC", value)).strip()
    if kind == "username":
        return text.removeprefix("@").casefold()
    return str(int(text)) if text.isascii() and text.isdigit() and len(text) <= 40 else text


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
