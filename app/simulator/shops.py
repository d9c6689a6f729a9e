"""Synthetic shops of the European Union, their products and reviews, computed from the seed.

A shop's number, a product's number inside its shop and a review's number inside its product name a record
inside this package; ids are far above 2^53, as are the platform's.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from app.simulator.dataset import DAY_S, REFERENCE_S, SPAN_S
from app.simulator.videos import mixed

SHOP_FIELDS = frozenset(
    {
        "shop_name", "shop_rating", "shop_review_count", "item_sold_count", "shop_id",
        "shop_performance_value",
    }
)  # fmt: skip
"""Facts 2.10; the last one stands in the object and the samples alone."""

PRODUCT_FIELDS = frozenset(
    {
        "product_id", "product_name", "product_description", "product_price", "product_sold_count",
        "product_review_count", "product_rating", "product_rating_1_count", "product_rating_2_count",
        "product_rating_3_count", "product_rating_4_count", "product_rating_5_count", "shop_name",
    }
)  # fmt: skip
"""Facts 2.10."""

REVIEW_FIELDS = frozenset(
    {"product_name", "review_text", "review_like_count", "create_time", "review_rating", "display_name"}
)
"""Facts 2.10; the last one stands in the samples alone."""

SHOP_COUNT = 64
_MOST_PRODUCTS = 48
_MOST_REVIEWS = 64
_SHOP_IDS = 7_490_000_000_000_000_000
_PRODUCT_IDS = 1_729_000_000_000_000_000
_SPREAD = (1 << 48) - 1
_STARS = ("ONE", "TWO", "THREE", "FOUR", "FIVE")
"""Facts 2.10 has FIVE from the sample; the others are inferred."""

_MARKETS = (
    ("Ireland", "EUR"), ("Deutschland", "EUR"), ("France", "EUR"), ("España", "EUR"), ("Italia", "EUR"),
    ("Polska", "PLN"), ("Sverige", "SEK"), ("Ελλάδα", "EUR"),
)  # fmt: skip
_FIRMS = (
    "Free Meadow",
    "Nordlicht",
    "Petit Atelier",
    "Casa Verde",
    "Old Mill",
    "Żubr",
    "Blue Kettle",
    "Lumen",
)
_ADJECTIVES = ("woollen", "folding", "organic", "tiny", "waterproof", "refurbished", "hand-made", "quiet")
_THINGS = (
    "scarf",
    "lamp",
    "tea",
    "backpack",
    "bicycle bell",
    "notebook",
    "kettle",
    "plant pot",
    "mug",
    "rug",
)
_OPINIONS = (
    "exactly as described", "arrived late but fine", "würde ich wieder kaufen", "très bien 👍", "not worth it",
    "mi ha sorpreso", "colour differs from the picture", "😍😍", "",
)  # fmt: skip


def shop_name(number: int) -> str:
    """A shop's name; the marker shows that it is synthetic."""
    firm, market = _FIRMS[number % len(_FIRMS)], _MARKETS[number // len(_FIRMS) % len(_MARKETS)][0]
    return f"Sim {firm} {market}"


class Shops:
    """All shops, the same for the same seed."""

    def __init__(self, *, seed: int) -> None:
        self._seed = seed

    def named_like(self, part: str) -> list[int]:
        """The shops whose name has `part` in it, whatever the case."""
        wanted = part.casefold()
        return [n for n in range(SHOP_COUNT) if wanted in shop_name(n).casefold()]

    def shop_id(self, number: int) -> int:
        """The id of a shop."""
        return _SHOP_IDS + (self._bits("shop", number) & _SPREAD)

    def product_id(self, shop: int, number: int) -> int:
        """The id of a product."""
        return _PRODUCT_IDS + (self._bits("product", shop * _MOST_PRODUCTS + number) & _SPREAD)

    def find_shop(self, shop_id: int) -> int | None:
        """The number of a shop, or None for an id that none has."""
        return self._shops.get(shop_id)

    def find_product(self, product_id: int) -> tuple[int, int] | None:
        """The numbers of a product and its shop, or None for an id that none has."""
        return self._products.get(product_id)

    def product_count(self, shop: int) -> int:
        """How many products a shop has: every eighth has none, every eighth exactly two full pages."""
        kind = self._bits("shop", shop) >> 50
        return {0: 0, 1: 20}.get(shop % 8, 1 + kind % _MOST_PRODUCTS)

    def review_count(self, shop: int, product: int) -> int:
        """How many reviews a product has; some have none."""
        bits = self._bits("product", shop * _MOST_PRODUCTS + product)
        return (bits >> 50) % _MOST_REVIEWS if bits >> 56 & 7 else 0

    def shown(self, shop: int, fields: Sequence[str]) -> dict[str, Any]:
        """The asked fields of a shop; one without reviews has no rating."""
        products = range(self.product_count(shop))
        ratings = [rating for product in products for rating in self._ratings(shop, product)]
        whole: dict[str, Any] = {
            "shop_name": shop_name(shop),
            "shop_review_count": len(ratings),
            "item_sold_count": sum(self._sold(shop, product) for product in products),
            "shop_id": self.shop_id(shop),
            "shop_performance_value": self._bits("shop", shop) >> 40 & 127,
        }
        if ratings:
            whole["shop_rating"] = _mean(ratings)
        return {name: whole[name] for name in fields if name in whole}

    def product(self, shop: int, number: int, fields: Sequence[str]) -> dict[str, Any]:
        """The asked fields of a product; one without reviews has no rating, and some have no description."""
        bits, ratings = self._bits("product", shop * _MOST_PRODUCTS + number), self._ratings(shop, number)
        whole: dict[str, Any] = {
            "product_id": self.product_id(shop, number),
            "product_name": self._product_name(shop, number),
            "product_price": self._prices(shop, bits),
            "product_sold_count": self._sold(shop, number),
            "product_review_count": len(ratings),
            "shop_name": shop_name(shop),
        }
        for stars in range(1, len(_STARS) + 1):
            whole[f"product_rating_{stars}_count"] = ratings.count(stars)
        if ratings:
            whole["product_rating"] = _mean(ratings)
        if bits >> 20 & 7:
            whole["product_description"] = f"[sim] {whole['product_name']}, sold by {shop_name(shop)} 🧪"
        return {name: whole[name] for name in fields if name in whole}

    def review(self, shop: int, product: int, number: int, fields: Sequence[str]) -> dict[str, Any]:
        """The asked fields of a review, newest first; its time is in milliseconds (facts 2.10, sample)."""
        bits = self._bits("review", self.product_id(shop, product) + number)
        written_s = REFERENCE_S - SPAN_S // _MOST_REVIEWS * number - bits % DAY_S
        whole: dict[str, Any] = {
            "product_name": self._product_name(shop, product),
            "review_text": _OPINIONS[(bits >> 20) % len(_OPINIONS)],
            "review_like_count": (bits >> 30 & 255) ** 2 >> 10,
            "create_time": written_s * 1_000 + (bits >> 40) % 1_000,
            "review_rating": _STARS[self._ratings(shop, product)[number] - 1],
            "display_name": f"s***{bits >> 50 & 15:x}",
        }
        return {name: whole[name] for name in fields}

    def _bits(self, kind: str, number: int) -> int:
        return mixed(mixed(self._seed << 16 ^ int.from_bytes(kind.encode())) ^ number)

    def _product_name(self, shop: int, number: int) -> str:
        bits = self._bits("product", shop * _MOST_PRODUCTS + number)
        return f"{_ADJECTIVES[bits >> 8 & 7]} {_THINGS[(bits >> 12) % len(_THINGS)]} no. {number + 1}"

    def _prices(self, shop: int, bits: int) -> list[str]:
        """One price, or one for each of two variants."""
        currency = _MARKETS[shop // len(_FIRMS) % len(_MARKETS)][1]
        cents = 199 + (bits >> 24 & 8_191)
        amounts = (cents, cents * 2) if bits >> 40 & 3 == 0 else (cents,)
        return [f"{amount // 100}.{amount % 100:02} {currency}" for amount in amounts]

    def _sold(self, shop: int, number: int) -> int:
        """Everyone who writes a review has bought."""
        bits = self._bits("product", shop * _MOST_PRODUCTS + number)
        return self.review_count(shop, number) + (bits >> 28 & 4_095)

    def _ratings(self, shop: int, product: int) -> list[int]:
        """Stars by review; better ones are more frequent."""
        first = self.product_id(shop, product)
        drawn = (self._bits("stars", first + n) for n in range(self.review_count(shop, product)))
        return [max(1, 5 - (bits & bits >> 8 & 7)) for bits in drawn]

    @cached_property
    def _shops(self) -> dict[int, int]:
        return {self.shop_id(number): number for number in range(SHOP_COUNT)}

    @cached_property
    def _products(self) -> dict[int, tuple[int, int]]:
        return {
            self.product_id(shop, number): (shop, number)
            for shop in range(SHOP_COUNT)
            for number in range(self.product_count(shop))
        }


def _mean(ratings: Sequence[int]) -> str:
    return f"{sum(ratings) / len(ratings):.1f}"
