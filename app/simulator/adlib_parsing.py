"""Bodies of the ads library as values that cannot be wrong; everything else is `invalid_params` (facts 2.12)."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from app.simulator import parsing
from app.simulator.adlib import COUNTRIES
from app.simulator.answers import invalid_params
from app.simulator.searches import search_refused

FIRST_DAY = 20221001
"""No query for ads reaches further back (facts 2.12, older documentation)."""

LONGEST_TERM = 50
"""Characters of a search term (facts 2.12)."""

_DAY = re.compile(r"[0-9]{8}", re.ASCII)
_EVERYWHERE = "ALL"
_SEARCH_TYPES = ("exact_phrase", "fuzzy_phrase")

Place = tuple[int, int]
"""Where a record stands in its list: its time and its id; lists run from high to low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """A range of days as numbers YYYYMMDD; both ends belong to it, which is inferred."""

    first: int
    last: int

    def __contains__(self, day: int) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class AdFilters:
    """Which ads are looked for; None is no restriction."""

    published: Days
    countries: frozenset[str] | None
    advertisers: frozenset[int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFilters:
    """Which commercial content is looked for; None is no restriction."""

    published: Days
    countries: frozenset[str] | None
    creators: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A search term: as it stands, or, when fuzzy, its words in any order."""

    text: str
    is_fuzzy: bool = False

    def is_in(self, text: str) -> bool:
        """Whether a text has the phrase in it, whatever the case; what the platform searches is unknown."""
        parts = self.text.split() if self.is_fuzzy else [self.text]
        return all(part.casefold() in text.casefold() for part in parts)


def ad_filters(body: Mapping[str, Any], *, earliest: int = FIRST_DAY) -> AdFilters:
    """The filters of a query for ads or of a report. Raises ApiError that names the first thing wrong."""
    filters = _filters(body)
    return AdFilters(
        published=_days(filters, "ad_published_date_range", earliest=earliest),
        # Named country_code by the older pages, country_code_list by a later one, country by a sample.
        countries=_countries(filters, "country_code", "country_code_list", "country"),
        advertisers=_advertisers(filters.get("advertiser_business_ids")),
    )


def content_filters(body: Mapping[str, Any]) -> ContentFilters:
    """The filters of a query for commercial content. Raises ApiError."""
    filters = _filters(body)
    return ContentFilters(
        published=_days(filters, "content_published_date_range", earliest=0),
        countries=_countries(filters, "creator_country_code"),
        creators=_creators(filters.get("creator_usernames")),
    )


def phrase(body: Mapping[str, Any]) -> Phrase | None:
    """The search term of a query for ads, or None."""
    kind = body.get("search_type") or "exact_phrase"
    if kind not in _SEARCH_TYPES:
        raise invalid_params(f"The search_type must be one of {', '.join(_SEARCH_TYPES)}")
    text = _term(body)
    return Phrase(text=text, is_fuzzy=kind == _SEARCH_TYPES[1]) if text else None


def required_phrase(body: Mapping[str, Any]) -> Phrase:
    """The search term of a query for advertisers."""
    text = _term(body)
    if not text:
        raise invalid_params("The search_term is required")
    return Phrase(text=text)


def place_of(body: Mapping[str, Any]) -> Place | None:
    """Where to go on, out of a search id; None for a first page. Raises ApiError."""
    asked = body.get("search_id")
    if asked is None or asked == "":
        return None
    try:
        kept = orjson.loads(base64.b64decode(asked, validate=True))
        moment, record = kept["last_sort"]
    except (TypeError, KeyError, ValueError, binascii.Error) as error:
        raise search_refused(str(asked)) from error
    if type(moment) is not int or type(record) is not int:
        raise search_refused(asked)
    return moment, record


def search_id(place: Place) -> str:
    """The opaque text that stands for a place, another one for each page."""
    return base64.b64encode(orjson.dumps({"last_sort": place})).decode()


def expanded(asked: str | None, known: frozenset[str]) -> tuple[str, ...]:
    """Dotted field names, given as such or as whole parents: `ad.id, advertiser`. Raises ApiError."""
    parents = frozenset(name.partition(".")[0] for name in known)
    names = parsing.fields_of(asked, known | parents)
    whole = (
        [name] if name in known else sorted(k for k in known if k.startswith(f"{name}.")) for name in names
    )
    return tuple(dict.fromkeys(name for group in whole for name in group))


def _filters(body: Mapping[str, Any]) -> Mapping[str, Any]:
    filters = body.get("filters")
    if not isinstance(filters, dict):
        raise invalid_params("The filters are required and must be an object")
    return filters


def _days(filters: Mapping[str, Any], name: str, *, earliest: int) -> Days:
    asked = filters.get(name)
    if not isinstance(asked, dict):
        raise invalid_params(f"The {name} is required and must be an object with min and max")
    days = Days(first=_day(asked.get("min"), f"{name}.min"), last=_day(asked.get("max"), f"{name}.max"))
    if days.last < days.first:
        raise invalid_params(f"The {name}.min must not be after its max")
    if days.first < earliest:
        raise invalid_params(f"The {name}.min must not be before {earliest}")
    return days


def _day(value: Any, name: str) -> int:
    """A day, sent as text or as a number."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    # strptime alone would take fewer than eight digits.
    if isinstance(text, str) and _DAY.fullmatch(text):
        try:
            datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
        except ValueError:
            pass
        else:
            return int(text)
    raise invalid_params(f"The {name} must be a date of the form YYYYMMDD")


def _countries(filters: Mapping[str, Any], *names: str) -> frozenset[str] | None:
    asked = {code for name in names for code in _texts(filters.get(name), name)}
    for code in asked:
        if code != _EVERYWHERE and code not in COUNTRIES:
            raise invalid_params(f"The country code {code} is invalid")
    return None if not asked or _EVERYWHERE in asked else frozenset(asked)


def _creators(value: Any) -> frozenset[str] | None:
    return frozenset(name.casefold() for name in _texts(value, "creator_usernames")) or None


def _texts(value: Any, name: str) -> list[str]:
    """One text or a list of them; absent and "" are none."""
    listed = value if isinstance(value, list) else [] if value is None or value == "" else [value]
    if not all(isinstance(text, str) and text.strip() for text in listed):
        raise invalid_params(f"The {name} must be a string or a list of strings")
    return [text.strip() for text in listed]


def _advertisers(value: Any) -> frozenset[int] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise invalid_params("The advertiser_business_ids must be a list")
    name = "advertiser_business_ids"
    ids = [parsing.identifier({name: each}, name) for each in value]
    if None in ids:
        raise invalid_params(f"The {name} is invalid")
    return frozenset(each for each in ids if each is not None) or None


def _term(body: Mapping[str, Any]) -> str:
    text = body.get("search_term")
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > LONGEST_TERM:
        raise invalid_params(f"The search_term must be a string of at most {LONGEST_TERM} characters")
    return text.strip()
