"""Table 4: good answers of the platform in shapes beside the documented one, and the `data` that clients get.

The items are the numbers of the list of what the gateway must do.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.journey.questions import COMPLIANCE, COUNTED, EVERY, LIST_KEYS, SEARCHED, SHOPS
from tests.journey.spellings import PAGED
from tests.servers.scripted import Said

PLAIN = tuple(name for name in EVERY if name not in COMPLIANCE)
LISTS = tuple(LIST_KEYS)
INDEXED = tuple(name for name in COUNTED if name != "video/query")
OK: Mapping[str, Any] = {"code": "ok", "message": "", "log_id": "20261001000000A1B2C3D4E5F6A7B8C9D0"}
BEYOND_DOUBLE, BIGGEST, BEYOND_64_BITS = 2**53 + 1, 2**63 - 1, 2**64 + 1

Data = dict[str, Any] | None
Of = Callable[[str], Data]
"""What `data` is, by endpoint."""


def holding(**values: Any) -> Of:
    """One record of these values; where records are bare ids, the first value."""

    def of(name: str) -> Data:
        if name not in LIST_KEYS:
            return values
        record = next(iter(values.values())) if name == "playlist/info" else values
        return {**_nothing(name), LIST_KEYS[name]: [record]}

    return of


def empty(**changes: Any) -> Of:
    """No records, and whatever an endpoint says of its next page, with some of it changed or, by ..., left out."""

    def of(name: str) -> Data:
        given = {**_nothing(name), **{key: value for key, value in changes.items() if key in _nothing(name)}}
        return {key: value for key, value in given.items() if value is not ...}

    return of


def no_list(value: object) -> Of:
    return lambda name: {**_nothing(name), LIST_KEYS[name]: value}


def always(data: Data) -> Of:
    return lambda _: data


def made_up(name: str) -> Data:
    """What is put in where the platform gave nothing: the list, the place behind the page, the end."""
    size = {"video/comment/list": 100, "user/reposted_videos": 50, "playlist/info": 5}.get(name, 100)
    return {**_nothing(name), **({"cursor": size} if name in PAGED else {})}


def _nothing(name: str) -> dict[str, Any]:
    data: dict[str, Any] = {LIST_KEYS[name]: []} if name in LIST_KEYS else {}
    if name in PAGED:
        data["cursor"] = 40
    if name in (*PAGED, *SEARCHED):
        data["has_more"] = False
    return data


@dataclass(frozen=True, slots=True)
class Oddity:
    """One line: on which endpoints, what the platform says, and the `data` that the client gets."""

    item: str
    says: str
    where: Sequence[str]
    told: Of
    got: Of | None = None
    """None where it is what was told."""
    error: Mapping[str, Any] | None = None
    status: int = 200

    def answer(self, name: str) -> Said:
        """The platform's answer."""
        told: dict[str, Any] = {"data": self.told(name)}
        if self.error is not None:
            told["error"] = self.error
        return Said(json.dumps(told).encode(), self.status)


# fmt: off
ODDITIES = (
    Oddity("5", "a message, and the status again", PLAIN, holding(id=1), error={**OK, "message": "ok.", "http_status_code": 200}),
    Oddity("5", "no message and no id", PLAIN, holding(id=1), error={"code": "ok"}),
    Oddity("5", "no error object", SHOPS, holding(shop_id=1)),
    Oddity("5", "values that are null", PLAIN, holding(id=1, like_count=None, effect_ids=None), error=OK),
    Oddity("5", "lists and objects that are empty", PLAIN, holding(id=1, hashtag_names=[], video_label={}), error=OK),
    Oddity("5", "keys that nobody knows", PLAIN, holding(id=1, brand_new={"a": [{"b": None}]}), error=OK),
    Oddity("6", "no data", LISTS, always({}), made_up, error=OK),
    Oddity("6", "data that is null", LISTS, always(None), made_up, error=OK),
    Oddity("6", "no list", LISTS, no_list(None), empty(), error=OK),
    Oddity("6", "no has_more", PAGED, empty(has_more=...), empty(), error=OK),
    Oddity("6", "has_more null", PAGED, empty(has_more=None), empty(), error=OK),
    Oddity("6", "no cursor on the last page", PAGED, empty(cursor=...), made_up, error=OK),
    Oddity("6", "the other name of the list", ("user/reposted_videos",),
           always({"user_reposted_videos": [{"id": 1}], "cursor": 1, "has_more": False}),
           always({"user_reposted_videos": [{"id": 1}], "cursor": 1, "has_more": False, "reposted_videos": [{"id": 1}]}), error=OK),
    Oddity("4", "a cursor as text", PAGED, empty(cursor=str(BEYOND_DOUBLE)), empty(cursor=BEYOND_DOUBLE), error=OK),
    Oddity("4", "a number that no double holds", PLAIN, holding(id=BEYOND_DOUBLE), error=OK),
    Oddity("4", "the greatest number", PLAIN, holding(id=BIGGEST), error=OK),
    Oddity("4", "a number above 64 bits", PLAIN, holding(id=BEYOND_64_BITS), error=OK),
    Oddity("7", "a NUL", PLAIN, holding(text="a\x00b\\u0000"), error=OK),
    Oddity("7", "half a character", PLAIN, holding(text="a\ud83db"), error=OK),
    Oddity("15", "500 and code ok", PLAIN, holding(id=1), error=OK, status=500),
    Oddity("15", "500 with data and an empty error", PLAIN, holding(id=1), error={}, status=500),
    Oddity("15", "500 with data and no error", PLAIN, holding(id=1), status=500),
)
# fmt: on
