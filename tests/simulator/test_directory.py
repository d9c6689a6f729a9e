"""`GET /_sim/accounts` names things that exist."""

from typing import Any

import pytest

from tests.simulator.caller import Caller


def directory(caller: Caller) -> dict[str, list[Any]]:
    answer = caller.send("GET", "/_sim/accounts")
    assert answer.status_code == 200
    named: dict[str, list[Any]] = answer.json()
    return named


@pytest.mark.parametrize(
    ("kind", "endpoint", "key", "field", "listed"),
    [
        ("shop_names", "tts/shop", "shop_name", "shop_id", "shop_data"),
        ("shop_ids", "tts/product", "shop_id", "product_id", "product_data"),
        ("product_ids", "tts/review", "product_id", "review_text", "review_data"),
        ("advertiser_names", "adlib/advertiser/query", "search_term", "business_id", "advertisers"),
    ],
)
def test_each_shop_product_and_advertiser_has_something_to_show(
    caller: Caller, kind: str, endpoint: str, key: str, field: str, listed: str
) -> None:
    named = directory(caller)[kind]
    assert len(set(named)) == 20
    for one in named:
        assert caller.call(endpoint, {key: one}, fields=field).json()["data"][listed]


def test_each_ad_has_details(caller: Caller) -> None:
    for ad_id in directory(caller)["ad_ids"]:
        assert caller.call("adlib/ad/detail", {"ad_id": ad_id}, fields="ad.id").status_code == 200


@pytest.mark.parametrize(
    ("kind", "endpoint", "day_range", "key", "field", "listed"),
    [
        (
            "advertiser_ids",
            "adlib/ad/query",
            "ad_published_date_range",
            "advertiser_business_ids",
            "ad.id",
            "ads",
        ),
        (
            "content_creators",
            "adlib/commercial_content/query",
            "content_published_date_range",
            "creator_usernames",
            "id",
            "commercial_contents",
        ),
    ],
)
def test_each_advertiser_has_ads_and_each_creator_has_content(
    caller: Caller, kind: str, endpoint: str, day_range: str, key: str, field: str, listed: str
) -> None:
    for one in directory(caller)[kind]:
        filters = {day_range: {"min": "20250901", "max": "20261031"}, key: [one]}
        answer = caller.call(endpoint, {"filters": filters}, fields=field)
        assert answer.json()["data"][listed]


def test_a_creator_who_was_deleted_is_no_longer_named(caller: Caller) -> None:
    name = directory(caller)["content_creators"][0]
    caller.control("delete", users=[name])
    assert name not in directory(caller)["content_creators"]
