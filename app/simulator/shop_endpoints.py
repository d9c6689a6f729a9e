"""What the three shop endpoints answer (facts 2.10)."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.simulator import parsing
from app.simulator.answers import invalid_params
from app.simulator.calls import Call, Endpoint, Reply
from app.simulator.platform import Platform
from app.simulator.shops import PRODUCT_FIELDS, REVIEW_FIELDS, SHOP_FIELDS

LARGEST_PAGE = 10
"""The most shops, products or reviews in one answer; also the default, which is inferred (facts 2.10)."""


def query_shops(platform: Platform, call: Call) -> Reply:
    """The shops whose name has the asked text in it; how the platform matches is undocumented."""
    body = parsing.json_object(call.body)
    fields = _fields(call, body, SHOP_FIELDS)
    name = body.get("shop_name")
    if not isinstance(name, str) or not name.strip():
        raise invalid_params("The shop_name is required")
    limit = parsing.whole_between(body, "limit", 1, LARGEST_PAGE, default=LARGEST_PAGE)
    found = platform.shops.named_like(name.strip())[:limit]
    return _reply(platform, "shop_data", [platform.shops.shown(shop, fields) for shop in found])


def query_products(platform: Platform, call: Call) -> Reply:
    """A page of a shop's products; an unknown shop has none, which is inferred."""
    body = parsing.json_object(call.body)
    fields = _fields(call, body, PRODUCT_FIELDS)
    shop = platform.shops.find_shop(_identifier(body, "shop_id"))
    asked = _page(body)
    if shop is None:
        return _reply(platform, "product_data", [])
    numbers = range(platform.shops.product_count(shop))[asked]
    return _reply(platform, "product_data", [platform.shops.product(shop, n, fields) for n in numbers])


def query_reviews(platform: Platform, call: Call) -> Reply:
    """A page of a product's reviews; an unknown product has none, which is inferred."""
    body = parsing.json_object(call.body)
    fields = _fields(call, body, REVIEW_FIELDS)
    found = platform.shops.find_product(_identifier(body, "product_id"))
    asked = _page(body)
    if found is None:
        return _reply(platform, "review_data", [])
    shop, product = found
    numbers = range(platform.shops.review_count(shop, product))[asked]
    return _reply(platform, "review_data", [platform.shops.review(shop, product, n, fields) for n in numbers])


def _fields(call: Call, body: Mapping[str, Any], known: frozenset[str]) -> tuple[str, ...]:
    """The fields, from the query string as the tables have it or from the body as the samples do."""
    listed = body.get("fields")
    if isinstance(listed, list) and all(isinstance(name, str) for name in listed):
        listed = ",".join(listed)
    if listed is not None and not isinstance(listed, str):
        raise invalid_params("The fields must be a comma-separated string or a list of strings")
    return parsing.fields_of(call.fields or listed, known)


def _identifier(body: Mapping[str, Any], name: str) -> int:
    asked = parsing.identifier(body, name)
    if asked is None:
        raise invalid_params(f"The {name} is required")
    return asked


def _page(body: Mapping[str, Any]) -> slice:
    """The places on the asked page; pages are counted from 1."""
    page = parsing.whole_between(body, "page_start", 1, parsing.INT64_MAX, default=1)
    size = parsing.whole_between(body, "page_size", 1, LARGEST_PAGE, default=LARGEST_PAGE)
    return slice((page - 1) * size, page * size)


def _reply(platform: Platform, key: str, records: Sequence[Mapping[str, Any]]) -> Reply:
    data = {key: records}
    if platform.knobs.shop_without_error:
        return Reply(data=data, records=len(records), error=None)
    return Reply(data=data, records=len(records))


SHOP_ENDPOINTS = (
    Endpoint(name="tts/shop", answer=query_shops),
    Endpoint(name="tts/product", answer=query_products),
    Endpoint(name="tts/review", answer=query_reviews),
)
