"""Whom and what the simulator's data holds that is worth asking about; found once, by asking it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import requests

from tests.clients.errands import ELECTION, Errand, Search
from tests.clients.sides import Side
from tests.clients.wire import TOKEN_PATH
from tests.servers.bursar import Installation, call

_FEW_DAYS = Search(regions=("DE",), hashtag="election", start="20261001", end="20261004")
_NO_ID = 7_000_000_000_000_000_001
_SEVERAL_PAGES = 500
"""Followers, of whom public accounts alone are listed."""

_SEPTEMBER = Search(regions=(), hashtag="", start="20260901", end="20260930")


class Subjects:
    """Errands for every endpoint; where it pages, one has three pages or more."""

    def __init__(self, installation: Installation, direct: Side) -> None:
        self._direct = direct
        self._token = self.fresh_token()
        named = json.loads(call(installation.simulator_port, "GET", "/_sim/accounts")[2])
        self.accounts: Mapping[str, list[Any]] = named
        videos = self._ask("video/query", "id", _body(_FEW_DAYS))["videos"]
        self.discussed: int = self._ask("video/query", "id", _discussed())["videos"][0]["id"]
        shops = self._ask("tts/shop", "shop_id,shop_review_count", {"shop_name": "Sim"})["shop_data"]
        shop: int = max(shops, key=lambda each: each["shop_review_count"])["shop_id"]
        products = self._ask("tts/product", "product_id,product_review_count", {"shop_id": shop})
        product: int = max(products["product_data"], key=lambda each: each["product_review_count"])[
            "product_id"
        ]
        little_known = self._with_few("follower_count", self.accounts["with_pins"])
        showing = [name for name in self.accounts["with_pins"] if self._shows_following(name)]
        few_follows = self._with_few("following_count", showing)
        ids = [*(video["id"] for video in videos[:20]), _NO_ID]
        self.errands: Mapping[str, Sequence[Errand]] = {
            "video/query": [
                Errand(endpoint="video/query", subject=ELECTION),
                Errand(endpoint="video/query", subject=_FEW_DAYS, page=20),
            ],
            "video/comment/list": [Errand(endpoint="video/comment/list", subject=self.discussed, page=50)],
            "user/info": self._of("user/info", "with_followers", 10),
            "user/liked_videos": self._of("user/liked_videos", "likes_public", 1),
            "user/pinned_videos": self._of("user/pinned_videos", "with_pins", 3),
            "user/reposted_videos": self._of("user/reposted_videos", "reposts_public", 1),
            "user/followers": [
                *self._of("user/followers", "with_followers", 1),
                Errand(endpoint="user/followers", subject=little_known),
            ],
            "user/following": [
                *self._of("user/following", "following_public", 1),
                Errand(endpoint="user/following", subject=few_follows),
            ],
            "playlist/info": [Errand(endpoint="playlist/info", subject=named["playlists"][0], page=50)],
            "tts/shop": [Errand(endpoint="tts/shop", subject="Sim", page=10)],
            "tts/product": [Errand(endpoint="tts/product", subject=shop, page=10)],
            "tts/review": [Errand(endpoint="tts/review", subject=product, page=10)],
            "validation_task/create": [
                Errand(endpoint="validation_task/create", subject=",".join(map(str, ids)))
            ],
            "adlib/ad/query": [Errand(endpoint="adlib/ad/query", subject=_SEPTEMBER, page=20)],
            "adlib/ad/detail": [Errand(endpoint="adlib/ad/detail", subject=named["ad_ids"][0])],
            "adlib/ad/report": [Errand(endpoint="adlib/ad/report", subject=_SEPTEMBER)],
            "adlib/advertiser/query": [
                Errand(
                    endpoint="adlib/advertiser/query", subject=self.accounts["advertiser_names"][0], page=10
                )
            ],
            "adlib/commercial_content/query": [
                Errand(endpoint="adlib/commercial_content/query", subject=_SEPTEMBER, page=10)
            ],
        }

        self.empty: Mapping[str, Errand] = {
            "video/query": Errand(
                endpoint="video/query", subject=replace(_FEW_DAYS, hashtag="nobodyusesthis")
            ),
            "video/comment/list": Errand(endpoint="video/comment/list", subject=_NO_ID),
            "user/pinned_videos": Errand(endpoint="user/pinned_videos", subject=self._without_pins()),
            "tts/shop": Errand(endpoint="tts/shop", subject="no shop is called so", page=10),
            "tts/product": Errand(endpoint="tts/product", subject=_NO_ID, page=10),
            "tts/review": Errand(endpoint="tts/review", subject=_NO_ID, page=10),
            "validation_task/create": Errand(endpoint="validation_task/create", subject=str(_NO_ID)),
            "adlib/advertiser/query": Errand(endpoint="adlib/advertiser/query", subject="nobody", page=10),
        }
        """Errands that find nothing, where that is no refusal."""

    def short(self, endpoint: str) -> Errand:
        """The errand for this endpoint with the fewest pages."""
        return self.errands[endpoint][-1]

    def fresh_token(self) -> str:
        """A token of the platform's stand-in, as Bursar gets them."""
        pair = {"client_key": self._direct.client_key, "client_secret": self._direct.client_secret}
        form = {**pair, "grant_type": "client_credentials"}
        answer = requests.post(self._direct.base_url + TOKEN_PATH, data=form, timeout=60)
        token: str = answer.json()["access_token"]
        return token

    def _with_few(self, count: str, handles: Sequence[str]) -> str:
        """Who of them has the fewest, but enough for several pages."""
        counts = {name: self._ask("user/info", count, {"username": name})[count] for name in handles}
        return min((name for name in handles if counts[name] > _SEVERAL_PAGES), key=counts.__getitem__)

    def _without_pins(self) -> str:
        others: Sequence[str] = [
            name for name in self.accounts["likes_hidden"] if name not in self.accounts["with_pins"]
        ]
        return next(
            name
            for name in others
            if not self._ask("user/pinned_videos", "id", {"username": name})["pinned_videos_list"]
        )

    def _shows_following(self, handle: str) -> bool:
        return "user_following" in self._ask("user/following", "", {"username": handle})

    def _of(self, endpoint: str, kind: str, count: int) -> list[Errand]:
        # The last of the twenty that are named have the shortest lists.
        return [Errand(endpoint=endpoint, subject=name) for name in self.accounts[kind][-count:]]

    def _ask(self, endpoint: str, fields: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = requests.post(
            f"{self._direct.base_url}/v2/research/{endpoint}/?fields={fields}",
            json=body,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=60,
        )
        data: dict[str, Any] = answer.json()["data"]
        return data


def _body(search: Search) -> dict[str, Any]:
    tag = {"field_name": "hashtag_name", "operation": "EQ", "field_values": [search.hashtag]}
    return {"query": {"and": [tag]}, "start_date": search.start, "end_date": search.end, "max_count": 100}


def _discussed() -> dict[str, Any]:
    """A query for videos whose comments fill several pages of 100, of which one client has no smaller ones."""
    bounds = [("GTE", "250"), ("LTE", "350")]
    some = [{"field_name": "comment_count", "operation": how, "field_values": [many]} for how, many in bounds]
    return {"query": {"and": some}, "start_date": _FEW_DAYS.start, "end_date": _FEW_DAYS.end, "max_count": 1}
