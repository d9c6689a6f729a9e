from collections.abc import Iterator
from typing import Any

import pytest

from app.simulator.configuration import Knobs
from app.simulator.shops import PRODUCT_FIELDS, REVIEW_FIELDS, SHOP_COUNT, SHOP_FIELDS
from tests.simulator.caller import Caller, message

SHOP, PRODUCT, REVIEW = "tts/shop", "tts/product", "tts/review"
FIELDS = {SHOP: SHOP_FIELDS, PRODUCT: PRODUCT_FIELDS, REVIEW: REVIEW_FIELDS}
KEYS = {SHOP: "shop_data", PRODUCT: "product_data", REVIEW: "review_data"}
REQUIRED: dict[str, dict[str, object]] = {
    SHOP: {"shop_name": "sim"},
    PRODUCT: {"shop_id": 1},
    REVIEW: {"product_id": 1},
}


def records(caller: Caller, endpoint: str, **body: Any) -> list[dict[str, Any]]:
    """What stands in `data`, which holds nothing else."""
    answer = caller.call(endpoint, body, fields=",".join(sorted(FIELDS[endpoint])))
    assert answer.status_code == 200, answer.text
    assert set(answer.json()["data"]) == {KEYS[endpoint]}
    found: list[dict[str, Any]] = answer.json()["data"][KEYS[endpoint]]
    return found


def pages(caller: Caller, endpoint: str, **body: Any) -> Iterator[list[dict[str, Any]]]:
    """The pages up to the first short one, walked as clients must: there is no has_more."""
    for number in range(1, 20):
        page = records(caller, endpoint, page_start=number, **body)
        yield page
        if len(page) < 10:
            return


def shop_with(caller: Caller, products: int) -> int:
    """The id of the first shop with exactly so many products."""
    shops = caller.platform.shops
    return shops.shop_id(next(n for n in range(SHOP_COUNT) if shops.product_count(n) == products))


def test_a_shop_is_found_by_a_part_of_its_name_whatever_the_case(caller: Caller) -> None:
    found = records(caller, SHOP, shop_name="FREE mead")
    assert [shop["shop_name"] for shop in found][:2] == [
        "Sim Free Meadow Ireland",
        "Sim Free Meadow Deutschland",
    ]
    assert len(found) == 8
    assert all(shop["shop_id"] > 2**53 for shop in found)
    assert len({shop["shop_id"] for shop in found}) == 8
    assert all(isinstance(shop["shop_rating"], str) for shop in found if shop["shop_review_count"])


def test_a_name_that_no_shop_has_gives_an_empty_list(caller: Caller) -> None:
    assert records(caller, SHOP, shop_name="no such shop") == []


def test_ten_shops_are_the_most_and_the_default(caller: Caller) -> None:
    assert len(records(caller, SHOP, shop_name="sim")) == 10
    assert len(records(caller, SHOP, shop_name="sim", limit=3)) == 3
    assert len(records(caller, SHOP, shop_name="sim", limit="4")) == 4


@pytest.mark.parametrize("spelling", ["shop_name, shop_id", ["shop_name", "shop_id"]])
def test_fields_may_stand_in_the_body_as_text_or_as_a_list(caller: Caller, spelling: object) -> None:
    answer = caller.call(SHOP, {"shop_name": "sim", "limit": 1, "fields": spelling}, fields=None)
    assert [set(shop) for shop in answer.json()["data"]["shop_data"]] == [{"shop_name", "shop_id"}]


def test_the_query_string_wins_over_the_body(caller: Caller) -> None:
    body = {"shop_name": "sim", "limit": 1, "fields": "shop_name"}
    answer = caller.call(SHOP, body, fields="shop_id")
    assert [set(shop) for shop in answer.json()["data"]["shop_data"]] == [{"shop_id"}]


@pytest.mark.parametrize("endpoint", KEYS)
def test_fields_are_required_and_known(caller: Caller, endpoint: str) -> None:
    body = REQUIRED[endpoint]
    assert "required" in message(caller.call(endpoint, body, fields=None))
    assert "username" in message(caller.call(endpoint, body, fields="username"))
    assert "username" in message(caller.call(endpoint, {**body, "fields": ["username"]}, fields=None))
    assert "fields" in message(caller.call(endpoint, {**body, "fields": 7}, fields=None))


@pytest.mark.parametrize(
    ("endpoint", "body", "said"),
    [
        (SHOP, {}, "shop_name"),
        (SHOP, {"shop_name": " "}, "shop_name"),
        (SHOP, {"shop_name": "sim", "limit": 11}, "limit"),
        (SHOP, {"shop_name": "sim", "limit": 0}, "limit"),
        (PRODUCT, {}, "shop_id"),
        (PRODUCT, {"shop_id": "x"}, "shop_id"),
        (PRODUCT, {"shop_id": 1, "page_start": 0}, "page_start"),
        (PRODUCT, {"shop_id": 1, "page_size": 11}, "page_size"),
        (REVIEW, {}, "product_id"),
        (REVIEW, {"product_id": 1.5}, "product_id"),
        (REVIEW, {"product_id": 1, "page_size": 0}, "page_size"),
    ],
)
def test_what_is_wrong_is_named(caller: Caller, endpoint: str, body: dict[str, object], said: str) -> None:
    assert said in message(caller.call(endpoint, body, fields=",".join(FIELDS[endpoint])))


def test_products_come_in_pages_that_end_with_a_short_one(caller: Caller) -> None:
    shops = caller.platform.shops
    number = next(n for n in range(SHOP_COUNT) if shops.product_count(n) > 20 and shops.product_count(n) % 10)
    found = [p for page in pages(caller, PRODUCT, shop_id=shops.shop_id(number)) for p in page]
    assert len({product["product_id"] for product in found}) == len(found) == shops.product_count(number)
    assert all(product["product_id"] > 2**53 for product in found)
    assert len({product["shop_name"] for product in found}) == 1
    assert all(product["product_price"][0].split()[1] in {"EUR", "PLN", "SEK"} for product in found)
    shown = records(caller, SHOP, shop_name=found[0]["shop_name"])[0]
    assert shown["item_sold_count"] == sum(product["product_sold_count"] for product in found)
    assert shown["shop_review_count"] == sum(product["product_review_count"] for product in found)


def test_a_shop_whose_products_fill_their_pages_ends_with_an_empty_page(caller: Caller) -> None:
    assert [len(page) for page in pages(caller, PRODUCT, shop_id=shop_with(caller, 20))] == [10, 10, 0]


def test_a_shop_may_have_no_products(caller: Caller) -> None:
    assert records(caller, PRODUCT, shop_id=shop_with(caller, 0)) == []


def test_pages_of_another_size_fit_together(caller: Caller) -> None:
    shop = shop_with(caller, 20)
    whole = [p for page in pages(caller, PRODUCT, shop_id=shop) for p in page]
    third = records(caller, PRODUCT, shop_id=str(shop), page_start=3, page_size=4)
    assert third == whole[8:12]


@pytest.mark.parametrize("spelling", [int, str])
def test_reviews_of_a_product_are_asked_for_by_a_number_or_by_digits(caller: Caller, spelling: type) -> None:
    products = records(caller, PRODUCT, shop_id=shop_with(caller, 20))
    product = max(products, key=lambda p: int(p["product_review_count"]))
    found = [r for page in pages(caller, REVIEW, product_id=spelling(product["product_id"])) for r in page]
    assert len(found) == product["product_review_count"] > 10
    assert {review["product_name"] for review in found} == {product["product_name"]}
    assert sum(review["review_rating"] == "FIVE" for review in found) == product["product_rating_5_count"]
    assert all(1e12 < review["create_time"] < 1e13 for review in found)
    assert found == sorted(found, key=lambda r: int(r["create_time"]), reverse=True)


def test_unknown_shops_and_products_have_nothing(caller: Caller) -> None:
    assert records(caller, PRODUCT, shop_id=1) == []
    assert records(caller, REVIEW, product_id=1) == []


def test_a_product_without_reviews_has_no_rating(caller: Caller) -> None:
    shops = (caller.platform.shops.shop_id(n) for n in range(SHOP_COUNT))
    products = (p for shop in shops for p in records(caller, PRODUCT, shop_id=shop))
    unrated = next(p for p in products if not p["product_review_count"])
    assert "product_rating" not in unrated
    assert unrated["product_rating_5_count"] == 0


@pytest.mark.parametrize("endpoint", KEYS)
def test_the_error_object_is_there_unless_the_knob_leaves_it_out(caller: Caller, endpoint: str) -> None:
    body, fields = REQUIRED[endpoint], ",".join(FIELDS[endpoint])
    assert set(caller.call(endpoint, body, fields=fields).json()) == {"data", "error"}
    bare = Caller(videos=10, knobs=Knobs(shop_without_error=True))
    answer = bare.call(endpoint, body, fields=fields)
    assert answer.status_code == 200
    assert set(answer.json()) == {"data"}
    message(bare.call(endpoint, {}, fields=fields))


def test_every_item_is_a_record_of_the_main_family(caller: Caller) -> None:
    records(caller, SHOP, shop_name="sim", limit=7)
    records(caller, PRODUCT, shop_id=1)
    stats = caller.stats()
    assert stats["endpoints"] == {SHOP: {"requests": 1, "records": 7}, PRODUCT: {"requests": 1, "records": 0}}
    assert (stats["requests"], stats["records"]) == (2, 7)


def test_one_seed_gives_the_same_shops_and_another_gives_others() -> None:
    first, again, other = (Caller(seed=seed, videos=10) for seed in (7, 7, 8))
    shown = [records(caller, SHOP, shop_name="sim") for caller in (first, again, other)]
    assert shown[0] == shown[1] != shown[2]
    assert [shop["shop_name"] for shop in shown[0]] == [shop["shop_name"] for shop in shown[2]]
