import base64
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from app.simulator.adlib import AD_FIELDS, ADVERTISER_FIELDS, CONTENT_FIELDS, COUNTRIES, DETAIL_FIELDS
from app.simulator.configuration import ADLIB_SCOPE, BASIC_SCOPE, Client, Knobs
from app.simulator.dataset import username
from tests.simulator.caller import Caller, message

ADS, DETAIL, REPORT = "adlib/ad/query", "adlib/ad/detail", "adlib/ad/report"
ADVERTISERS, CONTENTS = "adlib/advertiser/query", "adlib/commercial_content/query"
SERIES = "count_time_series_by_country"
FIELDS: dict[str, set[str] | frozenset[str]] = {
    ADS: AD_FIELDS,
    DETAIL: DETAIL_FIELDS,
    REPORT: {SERIES},
    ADVERTISERS: ADVERTISER_FIELDS,
    CONTENTS: CONTENT_FIELDS,
}
FALSE_PLACES = (b"{}", b"[]", b'{"last_sort":[1]}', b'{"last_sort":["a",2]}', b"no JSON")
OCTOBER = {"min": "20261001", "max": "20261031"}
WHOLE = {"min": "20250901", "max": "20261031"}


def ads(**filters: Any) -> dict[str, Any]:
    return {"filters": {"ad_published_date_range": OCTOBER, **filters}}


def contents(**filters: Any) -> dict[str, Any]:
    return {"filters": {"content_published_date_range": OCTOBER, **filters}}


GOOD: dict[str, dict[str, Any]] = {
    ADS: ads(),
    DETAIL: {"ad_id": 1},
    REPORT: ads(),
    ADVERTISERS: {"search_term": "sim"},
    CONTENTS: contents(),
}


def data(caller: Caller, endpoint: str, body: dict[str, Any], fields: str | None = None) -> dict[str, Any]:
    answer = caller.call(endpoint, body, fields=fields or ",".join(sorted(FIELDS[endpoint])))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def pages(caller: Caller, endpoint: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All pages, each asked for with the search id of the one before."""
    page = data(caller, endpoint, body)
    yield page
    while page["has_more"]:
        page = data(caller, endpoint, {**body, "search_id": page["search_id"]})
        yield page


def walk(caller: Caller, endpoint: str, key: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    return [record for page in pages(caller, endpoint, {"max_count": 50, **body}) for record in page[key]]


def walk_ads(caller: Caller, **filters: Any) -> list[dict[str, Any]]:
    return walk(caller, ADS, "ads", ads(**filters))


def test_ads_nest_the_ad_and_its_advertiser(caller: Caller) -> None:
    page = data(caller, ADS, ads())
    assert set(page) == {"ads", "has_more", "search_id"}
    assert (len(page["ads"]), page["has_more"]) == (10, True)
    for record in page["ads"]:
        assert set(record) == {"ad", "advertiser"}
        assert record["ad"]["id"] > 2**53
        assert 20261001 <= record["ad"]["first_shown_date"] <= record["ad"]["last_shown_date"] <= 20261031
        assert record["advertiser"]["business_name"].startswith("Sim ")


def test_values_that_an_ad_does_not_have_are_absent(caller: Caller) -> None:
    found = walk_ads(caller, ad_published_date_range=WHOLE)
    assert len(found) == 1_500
    for name, parent in (("videos", "ad"), ("image_urls", "ad"), ("paid_for_by", "advertiser")):
        assert 0 < sum(name in record[parent] for record in found) < len(found)
    statuses = {record["ad"]["status"] for record in found}
    assert statuses == {"active", "inactive", "expired", "deleted_by_advertiser", "removed_by_tiktok"}


def test_pages_go_on_at_the_place_that_their_search_id_names(caller: Caller) -> None:
    one_by_one = list(pages(caller, ADS, {**ads(), "max_count": 7}))
    ids = [record["ad"]["id"] for page in one_by_one for record in page["ads"]]
    assert ids == [record["ad"]["id"] for record in walk_ads(caller)]
    assert len(set(ids)) == len(ids) > 50
    assert len({page["search_id"] for page in one_by_one}) == len(one_by_one)
    for page in one_by_one:
        last = page["ads"][-1]["ad"]
        place = json.loads(base64.b64decode(page["search_id"]))
        assert place == {"last_sort": [last["first_shown_date"], last["id"]]}


def test_a_query_without_hits_gives_no_search_id(caller: Caller) -> None:
    page = data(caller, ADS, {**ads(), "search_term": "no such ad"})
    assert page == {"ads": [], "has_more": False}
    assert data(caller, CONTENTS, contents(creator_usernames=["nobody"])) == {
        "commercial_contents": [],
        "has_more": False,
    }


@pytest.mark.parametrize("endpoint", [ADS, CONTENTS])
@pytest.mark.parametrize(
    "search_id",
    ["x", "é", 7, *(base64.b64encode(place).decode() for place in FALSE_PLACES)],
)
def test_a_search_id_that_was_never_given_out_is_refused(
    caller: Caller, endpoint: str, search_id: object
) -> None:
    body = {**GOOD[endpoint], "search_id": search_id}
    answer = caller.call(endpoint, body, fields=",".join(FIELDS[endpoint]))
    assert message(answer) == f"Search Id {search_id} is invalid or expired"


@pytest.mark.parametrize("search_id", [None, ""])
def test_an_empty_search_id_asks_for_the_first_page(caller: Caller, search_id: object) -> None:
    assert data(caller, ADS, {**ads(), "search_id": search_id}) == data(caller, ADS, ads())


def test_fields_are_dotted_names_or_whole_parents(caller: Caller) -> None:
    page = data(caller, ADS, ads(), fields="ad.id, advertiser.business_name")
    assert all(set(record["ad"]) == {"id"} for record in page["ads"])
    assert all(set(record["advertiser"]) == {"business_name"} for record in page["ads"])
    assert all(set(record) == {"ad"} for record in data(caller, ADS, ads(), fields="ad.status")["ads"])
    assert data(caller, ADS, ads(), fields="ad,advertiser")["ads"] == data(caller, ADS, ads())["ads"]
    ad_id = page["ads"][0]["ad"]["id"]
    assert set(data(caller, DETAIL, {"ad_id": ad_id}, fields="ad_group,ad.id")) == {"ad", "ad_group"}


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        (ADS, None),
        (ADS, "id"),
        (ADS, "ad.title"),
        (ADS, "ad_group"),
        (DETAIL, "ad.nothing"),
        (REPORT, "ad.id"),
        (ADVERTISERS, "advertiser.business_id"),
        (CONTENTS, "ad.id"),
    ],
)
def test_fields_are_required_and_known(caller: Caller, endpoint: str, fields: str | None) -> None:
    assert "field" in message(caller.call(endpoint, GOOD[endpoint], fields=fields))


@pytest.mark.parametrize(
    "filters",
    [
        {"country_code": "DE"},
        {"country_code": ["DE"]},
        {"country_code_list": ["DE"]},
        {"country": "DE"},
        {"country": ["DE"], "country_code_list": []},
    ],
)
def test_a_country_may_be_named_in_each_of_the_documented_ways(
    caller: Caller, filters: dict[str, object]
) -> None:
    found = {record["ad"]["id"] for record in walk_ads(caller, **filters)}
    library = caller.platform.adlib
    assert found == {ad.id for ad in library.ads if ad.first_shown >= 20261001 and "DE" in ad.countries}
    assert 0 < len(found) < len(walk_ads(caller))


@pytest.mark.parametrize("everywhere", ["ALL", ["ALL"], ["DE", "ALL"], "", []])
def test_all_countries_are_the_default(caller: Caller, everywhere: object) -> None:
    assert walk_ads(caller, country_code=everywhere) == walk_ads(caller)


@pytest.mark.parametrize("spelling", [int, str])
def test_advertisers_are_named_by_numbers_or_digits(caller: Caller, spelling: type) -> None:
    business = data(caller, ADS, ads())["ads"][0]["advertiser"]["business_id"]
    found = walk_ads(caller, advertiser_business_ids=[spelling(business)])
    assert {record["advertiser"]["business_id"] for record in found} == {business}


def test_a_search_term_looks_for_the_phrase_or_for_its_words_and_overrules_the_advertisers(
    caller: Caller,
) -> None:
    body = ads(advertiser_business_ids=[1], ad_published_date_range=WHOLE)
    assert walk(caller, ADS, "ads", body) == []
    assert walk(caller, ADS, "ads", {**body, "search_term": "sim BAKERY"})
    swapped = {**body, "search_term": "bakery sim"}
    assert walk(caller, ADS, "ads", swapped) == []
    found = walk(caller, ADS, "ads", {**swapped, "search_type": "fuzzy_phrase"})
    assert found == walk(caller, ADS, "ads", {**body, "search_term": "sim bakery"})
    assert all("Bakery" in record["advertiser"]["business_name"] for record in found)


@pytest.mark.parametrize("spelling", [int, str])
def test_days_are_text_or_numbers(caller: Caller, spelling: type) -> None:
    day = {"min": spelling("20261005"), "max": spelling("20261005")}
    found = walk_ads(caller, ad_published_date_range=day)
    assert {record["ad"]["first_shown_date"] for record in found} == {20261005}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "filters"),
        ({"filters": []}, "filters"),
        ({"filters": {}}, "ad_published_date_range"),
        (ads(ad_published_date_range={"min": "20261001"}), "max"),
        (ads(ad_published_date_range={"min": "2026-10-01", "max": "20261031"}), "min"),
        (ads(ad_published_date_range={"min": "20261001", "max": "20260931"}), "max"),
        (ads(ad_published_date_range={"min": "20261002", "max": "20261001"}), "after"),
        (ads(ad_published_date_range={"min": "20220930", "max": "20261001"}), "20221001"),
        (ads(ad_published_date_range={"min": True, "max": "20261001"}), "min"),
        (ads(country_code="US"), "US"),
        (ads(country_code_list=["de"]), "de"),
        (ads(country=7), "country"),
        (ads(advertiser_business_ids=5), "advertiser_business_ids"),
        (ads(advertiser_business_ids=["x"]), "advertiser_business_ids"),
        (ads(advertiser_business_ids=[""]), "advertiser_business_ids"),
        ({**ads(), "search_term": "x" * 51}, "search_term"),
        ({**ads(), "search_term": 5}, "search_term"),
        ({**ads(), "search_type": "regex"}, "search_type"),
        ({**ads(), "max_count": 0}, "max_count"),
        ({**ads(), "max_count": 51}, "max_count"),
    ],
)
def test_what_is_wrong_with_a_query_is_named(caller: Caller, body: dict[str, Any], said: str) -> None:
    assert said in message(caller.call(ADS, body, fields="ad.id"))


@pytest.mark.parametrize(
    ("endpoint", "body", "said"),
    [
        (DETAIL, {}, "ad_id"),
        (DETAIL, {"ad_id": "x"}, "ad_id"),
        (DETAIL, {"ad_id": 1}, "cannot find the ad"),
        (REPORT, {}, "filters"),
        (REPORT, {"filters": {}}, "ad_published_date_range"),
        (ADVERTISERS, {}, "search_term"),
        (ADVERTISERS, {"search_term": " "}, "search_term"),
        (ADVERTISERS, {"search_term": "x" * 51}, "search_term"),
        (ADVERTISERS, {"search_term": "sim", "max_count": 51}, "max_count"),
        (CONTENTS, {}, "filters"),
        (CONTENTS, {"filters": {}}, "content_published_date_range"),
        (CONTENTS, contents(creator_country_code="US"), "US"),
        (CONTENTS, contents(creator_usernames=[7]), "creator_usernames"),
        (CONTENTS, {**contents(), "max_count": 51}, "max_count"),
    ],
)
def test_what_is_wrong_elsewhere_is_named(
    caller: Caller, endpoint: str, body: dict[str, Any], said: str
) -> None:
    assert said in message(caller.call(endpoint, body, fields=",".join(FIELDS[endpoint])))


def test_the_largest_page_is_a_knob() -> None:
    caller = Caller(videos=2_000, knobs=Knobs(ad_max_count=10))
    assert len(data(caller, ADS, {**ads(), "max_count": 10})["ads"]) == 10
    for endpoint in (ADS, ADVERTISERS, CONTENTS):
        answer = caller.call(endpoint, {**GOOD[endpoint], "max_count": 11}, fields=",".join(FIELDS[endpoint]))
        assert "max_count" in message(answer)


def test_how_far_back_ads_reach_is_a_knob() -> None:
    caller = Caller(videos=2_000, knobs=Knobs(ads_of_a_year=True))
    assert "min" in message(caller.call(ADS, ads(ad_published_date_range=WHOLE), fields="ad.id"))
    assert data(caller, ADS, ads())["ads"]


@pytest.mark.parametrize("spelling", [int, str])
def test_details_tell_more_of_the_ad_that_the_query_shows(caller: Caller, spelling: type) -> None:
    listed = data(caller, ADS, ads())["ads"]
    for record in listed:
        shown = data(caller, DETAIL, {"ad_id": spelling(record["ad"]["id"])})
        assert set(shown) == {"ad", "advertiser", "ad_group"}
        assert shown["ad"].items() >= record["ad"].items()
        assert shown["advertiser"].items() >= record["advertiser"].items()
        assert {"title", "call_to_action", "advertising_objective"} <= set(shown["ad"])
        assert {"country_code", "profile_url", "follower_count"} <= set(shown["advertiser"])
        assert set(shown["ad_group"]) == {"targeting_info"}


def test_only_a_removed_ad_says_why(caller: Caller) -> None:
    library = caller.platform.adlib
    for ad in library.ads[:200]:
        shown = data(caller, DETAIL, {"ad_id": ad.id}, fields="ad.rejection_info,ad.status")["ad"]
        assert ("rejection_info" in shown) == (shown["status"] == "removed_by_tiktok")


def test_a_report_counts_what_the_query_finds(caller: Caller) -> None:
    report = data(caller, REPORT, ads(country_code_list=["DE", "FR"]))
    assert set(report) == {SERIES}
    assert set(report[SERIES]) == {"DE", "FR"}
    for country, series in report[SERIES].items():
        days = Counter(str(ad["ad"]["first_shown_date"]) for ad in walk_ads(caller, country_code=country))
        assert series == [{"date": day, "count": count} for day, count in sorted(days.items())]
    assert set(data(caller, REPORT, ads(ad_published_date_range=WHOLE))[SERIES]) == COUNTRIES


def test_advertisers_are_found_by_a_part_of_their_name(caller: Caller) -> None:
    page = data(caller, ADVERTISERS, {"search_term": "BIKES"})
    assert set(page) == {"advertisers"}
    assert len(page["advertisers"]) == 9
    assert all(
        set(one) == ADVERTISER_FIELDS and "Bikes" in one["business_name"] for one in page["advertisers"]
    )
    assert len(data(caller, ADVERTISERS, {"search_term": "sim"})["advertisers"]) == 10
    assert len(data(caller, ADVERTISERS, {"search_term": "sim", "max_count": 50})["advertisers"]) == 50
    assert data(caller, ADVERTISERS, {"search_term": "nobody"}) == {"advertisers": []}
    business = page["advertisers"][0]["business_id"]
    assert walk_ads(caller, advertiser_business_ids=[business], ad_published_date_range=WHOLE)


def test_commercial_content_is_walked_from_the_latest_on(caller: Caller) -> None:
    found = walk(caller, CONTENTS, "commercial_contents", contents())
    assert len(found) > 20
    assert found == sorted(found, key=lambda content: int(content["create_timestamp"]), reverse=True)
    for content in found:
        assert set(content) | {"brand_names"} == CONTENT_FIELDS
        assert content["id"] > 2**53
        assert content["create_date"].startswith("202610")
        assert content["creator"]["username"].startswith("sim_user_")


def test_commercial_content_is_filtered_by_country_and_by_creator(caller: Caller) -> None:
    everything = walk(caller, CONTENTS, "commercial_contents", contents())
    german = walk(caller, CONTENTS, "commercial_contents", contents(creator_country_code="DE"))
    assert german == [content for content in everything if content["creator"]["country_code"] == "DE"]
    name = everything[0]["creator"]["username"]
    own = walk(caller, CONTENTS, "commercial_contents", contents(creator_usernames=[name.upper()]))
    assert own == [content for content in everything if content["creator"]["username"] == name]


def test_a_deleted_creator_takes_commercial_content_along(caller: Caller) -> None:
    first = caller.platform.adlib.contents[0]
    caller.control("delete", users=[username(first.creator)])
    found = walk(caller, CONTENTS, "commercial_contents", contents())
    assert first.id not in {content["id"] for content in found}


@pytest.mark.parametrize("endpoint", GOOD)
def test_the_ads_library_takes_a_scope_of_its_own(endpoint: str) -> None:
    basic = Client(key="basic", secret="s", scopes=frozenset({BASIC_SCOPE}))
    ads_alone = Client(key="ads", secret="s", scopes=frozenset({ADLIB_SCOPE}))
    caller = Caller(videos=100, clients=(basic, ads_alone))
    caller.log_in(basic)
    fields = ",".join(FIELDS[endpoint])
    message(caller.call(endpoint, GOOD[endpoint], fields=fields), status=401, code="scope_not_authorized")
    assert caller.stats()["requests"] == 0
    caller.log_in(ads_alone)
    assert caller.call(endpoint, GOOD[endpoint], fields=fields).status_code in {200, 400}
    message(caller.videos(), status=401, code="scope_not_authorized")


def test_every_item_is_a_record(caller: Caller) -> None:
    page = data(caller, ADS, {**ads(), "max_count": 7})
    data(caller, DETAIL, {"ad_id": page["ads"][0]["ad"]["id"]})
    data(caller, REPORT, ads())
    data(caller, ADVERTISERS, {"search_term": "sim", "max_count": 5})
    data(caller, CONTENTS, {**contents(), "max_count": 3})
    endpoints = caller.stats()["endpoints"]
    assert [endpoints[name]["records"] for name in GOOD] == [7, 1, 1, 5, 3]
    assert all(endpoints[name]["requests"] == 1 for name in GOOD)


def test_the_ads_library_leaves_the_other_quotas_alone(caller: Caller) -> None:
    data(caller, ADS, {**ads(), "max_count": 7})
    stats = caller.stats()
    assert (stats["requests"], stats["records"]) == (0, 0)
    assert (stats["ad_requests"], stats["ad_records"]) == (1, 7)


def test_one_seed_gives_the_same_library_and_another_gives_another() -> None:
    first, again, other = (Caller(seed=seed, videos=100) for seed in (7, 7, 8))
    shown = [[data(caller, name, GOOD[name]) for name in (ADS, CONTENTS)] for caller in (first, again, other)]
    assert shown[0] == shown[1]
    assert all(one != two for one, two in zip(shown[0], shown[2], strict=True))
