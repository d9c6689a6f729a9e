"""What the five endpoints of the ads library answer (facts 2.12)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from app.simulator import adlib_parsing, parsing
from app.simulator.adlib import (
    AD_FIELDS,
    ADVERTISER_COUNT,
    ADVERTISER_FIELDS,
    CONTENT_FIELDS,
    DETAIL_FIELDS,
    Ad,
    Content,
)
from app.simulator.adlib_parsing import FIRST_DAY, AdFilters, Phrase, Place
from app.simulator.answers import invalid_params
from app.simulator.calls import Call, Endpoint, Reply
from app.simulator.configuration import ADLIB_SCOPE
from app.simulator.dataset import username
from app.simulator.platform import Platform

_DEFAULT_PAGE = 10
_REPORT = "count_time_series_by_country"
_Record = TypeVar("_Record", Ad, Content)


def query_ads(platform: Platform, call: Call) -> Reply:
    """A page of ads, the latest first. An ad is published on the day on which it was first shown (inferred)."""
    fields = adlib_parsing.expanded(call.fields, AD_FIELDS)
    body = parsing.json_object(call.body)
    filters = adlib_parsing.ad_filters(body, earliest=_earliest(platform))
    found = _matching(platform, filters, adlib_parsing.phrase(body))
    page, rest = _page(platform, body, found, lambda ad: (ad.first_shown, ad.id))
    records = (platform.adlib.ad_record(ad) for ad in page)
    return Reply(data={"ads": [_nested(record, fields) for record in records], **rest}, records=len(page))


def show_ad(platform: Platform, call: Call) -> Reply:
    """All there is to one ad."""
    fields = adlib_parsing.expanded(call.fields, DETAIL_FIELDS)
    ad_id = parsing.identifier(parsing.json_object(call.body), "ad_id")
    if ad_id is None:
        raise invalid_params("The ad_id is required")
    ad = platform.adlib.ad(ad_id)
    if ad is None:
        raise invalid_params(f"The ad_id {ad_id} is invalid: cannot find the ad")
    return Reply(data=_nested(platform.adlib.ad_record(ad), fields), records=1)


def report_ads(platform: Platform, call: Call) -> Reply:
    """How many ads were published on each day in each country; days without any are left out (inferred)."""
    parsing.fields_of(call.fields, frozenset({_REPORT}))
    body = parsing.json_object(call.body)
    filters = adlib_parsing.ad_filters(body, earliest=_earliest(platform))
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for ad in _matching(platform, filters, None):
        for country in ad.countries if filters.countries is None else ad.countries & filters.countries:
            counts[country][ad.first_shown] += 1
    series = {
        country: [{"date": str(day), "count": count} for day, count in sorted(of.items())]
        for country, of in sorted(counts.items())
    }
    return Reply(data={_REPORT: series}, records=1)


def query_advertisers(platform: Platform, call: Call) -> Reply:
    """The advertisers whose name has the term in it; there is no further page."""
    fields = parsing.fields_of(call.fields, ADVERTISER_FIELDS)
    body = parsing.json_object(call.body)
    term, count = adlib_parsing.required_phrase(body), _count(platform, body)
    library = platform.adlib
    found = (n for n in range(ADVERTISER_COUNT) if term.is_in(library.business_name(n)))
    page = [_picked(library.advertiser(number), fields) for number in islice(found, count)]
    return Reply(data={"advertisers": page}, records=len(page))


def query_contents(platform: Platform, call: Call) -> Reply:
    """A page of commercial content, the latest first; that of a deleted account is gone."""
    fields = parsing.fields_of(call.fields, CONTENT_FIELDS)
    body = parsing.json_object(call.body)
    filters = adlib_parsing.content_filters(body)
    found = [
        content
        for content in platform.adlib.contents
        if content.created in filters.published
        and (filters.countries is None or content.country in filters.countries)
        and (filters.creators is None or username(content.creator) in filters.creators)
        and not platform.has_left(content.creator)
    ]
    page, rest = _page(platform, body, found, lambda content: (content.created_s, content.id))
    records = [_picked(platform.adlib.content_record(content), fields) for content in page]
    return Reply(data={"commercial_contents": records, **rest}, records=len(page))


def _matching(platform: Platform, filters: AdFilters, phrase: Phrase | None) -> list[Ad]:
    """Ads that fit; a search term looks at names and titles, and overrules the list of advertisers."""
    library = platform.adlib
    advertisers = filters.advertisers if phrase is None else None
    return [
        ad
        for ad in library.ads
        if ad.first_shown in filters.published
        and (filters.countries is None or ad.countries & filters.countries)
        and (advertisers is None or library.business_id(ad.advertiser) in advertisers)
        and (phrase is None or phrase.is_in(f"{library.business_name(ad.advertiser)} {ad.title}"))
    ]


def _page(
    platform: Platform,
    body: Mapping[str, Any],
    found: Sequence[_Record],
    place_of: Callable[[_Record], Place],
) -> tuple[list[_Record], dict[str, Any]]:
    """The records behind the place that the search id names, and the keys that stand beside the list."""
    count, after = _count(platform, body), adlib_parsing.place_of(body)
    left = found if after is None else [record for record in found if place_of(record) < after]
    page = list(left[:count])
    rest: dict[str, Any] = {"has_more": len(left) > count}
    if page:
        rest["search_id"] = adlib_parsing.search_id(place_of(page[-1]))
    return page, rest


def _count(platform: Platform, body: Mapping[str, Any]) -> int:
    return parsing.whole_between(body, "max_count", 1, platform.knobs.ad_max_count, default=_DEFAULT_PAGE)


def _earliest(platform: Platform) -> int:
    if not platform.knobs.ads_of_a_year:
        return FIRST_DAY
    a_year_ago = datetime.fromtimestamp(platform.clock.now_s(), UTC) - timedelta(days=366)
    return int(a_year_ago.strftime("%Y%m%d"))


def _picked(record: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    return {name: record[name] for name in fields if name in record}


def _nested(record: Mapping[str, Any], fields: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The asked fields, those of one parent in one object."""
    nested: dict[str, dict[str, Any]] = {}
    for name in fields:
        parent, _, child = name.partition(".")
        of_parent = nested.setdefault(parent, {})
        if name in record:
            of_parent[child] = record[name]
    return nested


ADLIB_ENDPOINTS = tuple(
    Endpoint(name=f"adlib/{name}", answer=answer, scope=ADLIB_SCOPE, family="ads")
    for name, answer in (
        ("ad/query", query_ads),
        ("ad/detail", show_ad),
        ("ad/report", report_ads),
        ("advertiser/query", query_advertisers),
        ("commercial_content/query", query_contents),
    )
)
