"""The bodies of the ads library: what is checked before a call is spent on it.

Countries and further filters are left to the platform, whose documents disagree on their names. Each
normaliser raises InvalidParams with a message that names the mend; unknown keys pass through unchanged.
"""

from collections.abc import Mapping

from app.provider import spelling
from app.query import malformed

MOST_TERM_CHARS = 50
"""The longest `search_term` (developers.tiktok.com, commercial content API, query ads)."""
_SEARCH_TYPES = frozenset({"exact_phrase", "fuzzy_phrase"})


def ad_search(body: Mapping[str, object]) -> dict[str, object]:
    """The question for advertisements."""
    question = dict(body)
    question["filters"] = _filters(body, "ad_published_date_range")
    _check_term(body, is_required=False)
    search_type = body.get("search_type")
    if search_type not in (None, "") and search_type not in _SEARCH_TYPES:
        raise malformed(
            f"search_type is {spelling.shown(search_type)}; it must be exact_phrase or fuzzy_phrase."
        )
    return question


def ad(body: Mapping[str, object]) -> dict[str, object]:
    """The question about one advertisement."""
    value = body.get("ad_id")
    if value is None or value == "":
        raise malformed("ad_id is missing; send the id as a number or as its digits.")
    return {**body, "ad_id": spelling.identifier(value, "ad_id")}


def ad_report(body: Mapping[str, object]) -> dict[str, object]:
    """The question for a count of advertisements."""
    return {**body, "filters": _filters(body, "ad_published_date_range")}


def advertisers(body: Mapping[str, object]) -> dict[str, object]:
    """The question for advertisers of a name."""
    _check_term(body, is_required=True)
    return dict(body)


def commercial_contents(body: Mapping[str, object]) -> dict[str, object]:
    """The question for commercial content of creators."""
    return {**body, "filters": _filters(body, "content_published_date_range")}


def _filters(body: Mapping[str, object], range_name: str) -> dict[str, object]:
    filters = body.get("filters")
    if not isinstance(filters, dict):
        raise malformed(f'filters is missing or not an object; send {{"{range_name}": {{...}}}}.')
    span = filters.get(range_name)
    if not isinstance(span, dict) or not {"min", "max"} <= span.keys():
        raise malformed(
            f'filters.{range_name} is missing; send {{"min": "20260901", "max": "20260930"}} with UTC dates.'
        )
    first, last = (spelling.day(span[name], f"filters.{range_name}.{name}") for name in ("min", "max"))
    if first > last:
        raise malformed(f"filters.{range_name}.min is after its max; swap them.")
    dates = {"min": spelling.compact(first), "max": spelling.compact(last)}
    return {**filters, range_name: {**span, **dates}}


def _check_term(body: Mapping[str, object], *, is_required: bool) -> None:
    term = body.get("search_term")
    if term in (None, ""):
        if is_required:
            raise malformed('search_term is missing; send words to look for, such as "coffee".')
        return
    if not isinstance(term, str) or len(term) > MOST_TERM_CHARS:
        raise malformed(f"search_term must be a string of at most {MOST_TERM_CHARS} characters.")
