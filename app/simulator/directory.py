"""Who there is to ask about: the answer of `GET /_sim/accounts`, for tests and people who practise."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from app.simulator.accounts import follower_count, following_count
from app.simulator.dataset import is_minor, is_private, username
from app.simulator.platform import Platform
from app.simulator.playlists import members_of, playlists_of
from app.simulator.shops import SHOP_COUNT, shop_name

_NAMED = 20


def accounts(platform: Platform) -> dict[str, Any]:
    """Up to twenty of each kind: usernames, those with the longest list first, names and ids of other things."""
    dataset, of = platform.dataset, platform.accounts
    everybody = [n for n in range(1, dataset.author_count + 1) if not platform.has_left(n)]
    public = [n for n in everybody if not is_private(n) and not is_minor(n)]
    with_playlists = list(islice((n for n in public if playlists_of(dataset, n)), _NAMED))
    playlists = sorted(
        (i for n in with_playlists for i in playlists_of(dataset, n)),
        key=lambda i: -len(members_of(dataset, i)),
    )
    return {
        "likes_public": _longest(filter(of.shows_likes, public), of.like_count),
        "reposts_public": _longest(filter(of.shows_reposts, public), of.repost_count),
        "following_public": _longest(
            filter(of.shows_following, public), lambda n: following_count(dataset.seed, n)
        ),
        "with_followers": _longest(public, lambda n: follower_count(dataset.seed, n)),
        "with_pins": _longest(public, lambda n: len(of.pins(n))),
        "with_playlists": list(map(username, with_playlists)),
        "likes_hidden": _names(n for n in public if not of.shows_likes(n)),
        "reposts_hidden": _names(n for n in public if not of.shows_reposts(n)),
        "following_hidden": _names(n for n in public if not of.shows_following(n)),
        "private": _names(filter(is_private, everybody)),
        "minor": _names(filter(is_minor, everybody)),
        "playlists": playlists[:_NAMED],
        **_shops(platform),
        **_ads_library(platform),
    }


def _shops(platform: Platform) -> dict[str, Any]:
    """Shops with the most products first, products with the most reviews first."""
    of = platform.shops
    shops = sorted(range(SHOP_COUNT), key=lambda n: -of.product_count(n))
    products = sorted(
        ((shop, number) for shop in shops for number in range(of.product_count(shop))),
        key=lambda place: -of.review_count(*place),
    )
    return {
        "shop_names": [shop_name(n) for n in shops[:_NAMED]],
        "shop_ids": [of.shop_id(n) for n in shops[:_NAMED]],
        "product_ids": [of.product_id(*place) for place in products[:_NAMED]],
    }


def _ads_library(platform: Platform) -> dict[str, Any]:
    """The latest ads and commercial content, and the advertisers with the most ads first."""
    of = platform.adlib
    advertisers = [number for number, _ in Counter(ad.advertiser for ad in of.ads).most_common(_NAMED)]
    creators = (content.creator for content in of.contents if not platform.has_left(content.creator))
    return {
        "ad_ids": [ad.id for ad in of.ads[:_NAMED]],
        "advertiser_ids": [of.business_id(n) for n in advertisers],
        "advertiser_names": [of.business_name(n) for n in advertisers],
        "content_creators": list(map(username, islice(dict.fromkeys(creators), _NAMED))),
    }


def _longest(numbers: Iterable[int], length: Callable[[int], int]) -> list[str]:
    """Names by falling length, without those whose list is empty."""
    ordered = sorted(((length(n), -n) for n in numbers), reverse=True)[:_NAMED]
    return [username(-negated) for size, negated in ordered if size]


def _names(numbers: Iterable[int]) -> list[str]:
    return [username(n) for n in islice(numbers, _NAMED)]
