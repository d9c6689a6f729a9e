"""Whom and what the simulator's data holds that is worth asking about; found once, by asking it."""

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from tests.clients.errands import ELECTION, Errand, Search
from tests.clients.sides import Side
from tests.clients.wire import TOKEN_PATH

_WIDE = Search(regions=("US",), hashtag="election", start="20261001", end="20261030")
_FEW_DAYS = Search(regions=("DE",), hashtag="election", start="20261001", end="20261004")


class Subjects:
    """Errands for every endpoint; each has at least three pages where the endpoint pages."""

    def __init__(self, direct: Side) -> None:
        self._direct = direct
        self._token = self.fresh_token()
        videos = self._ask("video/query", "id,username,comment_count", _body(_WIDE))["videos"]
        self.discussed = max(videos, key=lambda video: video.get("comment_count", 0))["id"]
        self.people = sorted({video["username"] for video in videos})[:20]
        readable = [name for name in self.people if self._is_open(name)]
        self.errands: Mapping[str, Sequence[Errand]] = {
            "video/query": [
                Errand(endpoint="video/query", subject=ELECTION),
                Errand(endpoint="video/query", subject=_FEW_DAYS, page=20),
            ],
            "user/info": [Errand(endpoint="user/info", subject=name) for name in readable],
            "video/comment/list": [Errand(endpoint="video/comment/list", subject=self.discussed, page=20)],
        }

    def fresh_token(self) -> str:
        """A token of the platform's stand-in, as Bursar gets them."""
        pair = {"client_key": self._direct.client_key, "client_secret": self._direct.client_secret}
        form = {**pair, "grant_type": "client_credentials"}
        answer = requests.post(self._direct.base_url + TOKEN_PATH, data=form, timeout=60)
        token: str = answer.json()["access_token"]
        return token

    def _is_open(self, username: str) -> bool:
        return bool(self._ask("user/info", "display_name", {"username": username}))

    def _ask(self, endpoint: str, fields: str, body: Mapping[str, Any]) -> dict[str, Any]:
        url = f"{self._direct.base_url}/v2/research/{endpoint}/?fields={fields}"
        answer = requests.post(url, json=body, headers={"Authorization": f"Bearer {self._token}"}, timeout=60)
        data: dict[str, Any] = answer.json()["data"]
        return data


def _body(search: Search) -> dict[str, Any]:
    tag = {"field_name": "hashtag_name", "operation": "EQ", "field_values": [search.hashtag]}
    return {
        "query": {"and": [tag]},
        "start_date": search.start,
        "end_date": search.end,
        "max_count": 100,
    }
