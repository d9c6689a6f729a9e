"""Table 1: what clients send. Every line is one way to write a question that has been asked plainly before.

The items are those of the list of what real clients send (`sends 1` to `sends 8`), and of what the gateway must
do (a number).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.journey.questions import (
    COUNTED,
    DOWNLOAD,
    HELD,
    JSON,
    SEARCHED,
    SHOPS,
    STATUS,
    TIMED,
    Question,
    form,
)

WITH_FIELDS = tuple(
    name for name in HELD if name not in {"user/followers", "user/following", "playlist/info"}
)
PAGED = (*COUNTED, *TIMED)
SIZED = (*PAGED, *SEARCHED, "adlib/advertiser/query")
UNPAGED = ("user/info", "user/pinned_videos", "tts/shop", "adlib/ad/detail", "adlib/ad/report")
VIDEOS, COMMENTS = ("video/query",), ("video/comment/list",)
WITH_IDS = (*COMMENTS, "playlist/info", "tts/product", "adlib/ad/detail", STATUS, DOWNLOAD)
PRODUCTS = ("tts/product", "tts/review")

Change = Callable[[dict[str, Any]], dict[str, Any]]
FORM = "application/x-www-form-urlencoded"


def put(**values: Any) -> Change:
    return lambda body: {**body, **values}


def respelt(spell: Callable[[Any], Any], *names: str) -> Change:
    return lambda body: {name: spell(value) if name in names else value for name, value in body.items()}


def groups(**values: Any) -> Change:
    return lambda body: {**body, "query": {**body["query"], **values}}


def music(*values: Any) -> Change:
    condition = {"field_name": "music_id", "operation": "IN", "field_values": list(values)}
    return lambda body: {**body, "query": {"and": [condition]}}


def unchanged(body: dict[str, Any]) -> dict[str, Any]:
    return body


def as_today(question: Question) -> bytes:
    return question.encoded


def as_form(question: Question) -> bytes:
    return form(question.body)


def backwards(question: Question) -> bytes:
    return json.dumps(dict(reversed(list(question.body.items()))), indent=2).encode()


def fields_as_text(question: Question) -> bytes:
    return json.dumps({**question.body, "fields": question.fields}).encode()


def fields_as_list(question: Question) -> bytes:
    return json.dumps({**question.body, "fields": question.fields.split(",")}).encode()


def same(path: str) -> str:
    return path


def without_slash(path: str) -> str:
    return path.replace("/?", "?").rstrip("/")


def slash_before(path: str) -> str:
    return f"/{path}"


def without_fields(path: str) -> str:
    return path.partition("?")[0]


def fields_twice(path: str) -> str:
    before, _, names = path.partition("=")
    return f"{before}={','.join(reversed(names.split(',')))},{names}"


def commas(text: str) -> Callable[[str], str]:
    return lambda path: path.replace(",", text)


@dataclass(frozen=True, slots=True)
class Spelling:
    """One line: on which endpoints, how the question was asked plainly, and what is sent now."""

    item: str
    says: str
    where: Sequence[str]
    plain: Change = unchanged
    sent: Change = unchanged
    written: Callable[[Question], bytes] = as_today
    content_type: str | None = "application/json"
    scheme: str = "Bearer"
    path: Callable[[str], str] = same


REGIONS = {"field_name": "region_code", "operation": "IN", "field_values": ["DE", "US", "DE"]}

# fmt: off
SPELLINGS = (
    Spelling("sends 1", "JSON, and a slash at the end", JSON),
    Spelling("1", "no slash at the end", JSON, path=without_slash),
    Spelling("1", "a base URL with a slash at its end", JSON, path=slash_before),
    Spelling("sends 3", "bearer in lower case", JSON, scheme="bearer"),
    Spelling("sends 4", "JSON as text/plain", JSON, content_type="text/plain"),
    Spelling("sends 4", "JSON as a form", JSON, content_type=FORM),
    Spelling("2", "JSON without a content type", JSON, content_type=None),
    Spelling("2", "JSON as anything", JSON, content_type="image/png; charset=x"),
    Spelling("sends 4", "a form", JSON, written=as_form, content_type=FORM),
    Spelling("2", "a form as JSON", JSON, written=as_form),
    Spelling("sends 5", "fields with ,", WITH_FIELDS),
    Spelling("sends 5", "fields with %2C", WITH_FIELDS, path=commas("%2C")),
    Spelling("sends 5", "fields with blanks", WITH_FIELDS, path=commas(",%20")),
    Spelling("sends 5", "fields with blanks as plus signs", WITH_FIELDS, path=commas("+,+")),
    Spelling("sends 5", "fields twice, in another order", WITH_FIELDS, path=fields_twice),
    Spelling("sends 5", "fields in the body, as text", SHOPS, written=fields_as_text, path=without_fields),
    Spelling("sends 5", "fields in the body, as a list", SHOPS, written=fields_as_list, path=without_fields),
    Spelling("sends 5", "fields in both places", SHOPS, written=fields_as_list),
    Spelling("sends 6", "cursor null", PAGED, sent=put(cursor=None)),
    Spelling("sends 6", "cursor 0", PAGED, sent=put(cursor=0)),
    Spelling("sends 6", "cursor 0.0", PAGED, sent=put(cursor=0.0)),
    Spelling("sends 6", 'cursor ""', PAGED, sent=put(cursor="")),
    Spelling("sends 6", 'cursor "0"', PAGED, sent=put(cursor="0")),
    Spelling("sends 6", "cursor 1672531200.0", TIMED, put(cursor=1672531200), put(cursor=1672531200.0)),
    Spelling("sends 6", "page_start null", PRODUCTS, sent=put(page_start=None)),
    Spelling("sends 6", "page_start 1.0", PRODUCTS, sent=put(page_start=1.0)),
    Spelling("sends 6", "search_id null", (*VIDEOS, *SEARCHED), sent=put(search_id=None)),
    Spelling("sends 6", 'search_id ""', (*VIDEOS, *SEARCHED), sent=put(search_id="")),
    Spelling("sends 7", '"or": []', VIDEOS, sent=groups(**{"or": []})),
    Spelling("sends 7", '"or": null', VIDEOS, sent=groups(**{"or": None})),
    Spelling("sends 7", '"not": []', VIDEOS, put(query={"and": [REGIONS]}), put(query={"and": [REGIONS], "not": []})),
    Spelling("sends 7", "search_id for comments", COMMENTS, sent=put(search_id="12345")),
    Spelling("sends 7", "cursor and max_count without pages", UNPAGED, sent=put(cursor=0, max_count=100)),
    Spelling("sends 7", "is_random false", VIDEOS, sent=put(is_random=False)),
    Spelling("sends 7", 'is_random "false"', VIDEOS, sent=put(is_random="false")),
    Spelling("sends 7", 'is_random "FALSE"', VIDEOS, sent=put(is_random="FALSE")),
    Spelling("sends 7", "ids as digits", WITH_IDS,
             sent=respelt(str, "video_id", "playlist_id", "shop_id", "ad_id", "task_id")),
    Spelling("sends 7", "ids as numbers", ("tts/review",), sent=respelt(int, "product_id")),
    Spelling("sends 7", "numbers in field_values", VIDEOS,
             plain=music("6512345678901234567", "7"), sent=music(6512345678901234567, 7)),
    Spelling("3", "max_count as text", SIZED, sent=respelt(str, "max_count")),
    Spelling("3", "max_count as a float", SIZED, sent=respelt(float, "max_count")),
    Spelling("3", "page_size as a float", PRODUCTS, sent=respelt(float, "page_size")),
    Spelling("3", "dates as numbers", VIDEOS, sent=respelt(int, "start_date", "end_date")),
    Spelling("3", "dates with hyphens", VIDEOS, sent=put(start_date="2026-10-01", end_date="2026-10-07")),
    Spelling("8", "keys the other way round", JSON, written=backwards),
    Spelling("8", "conditions and values twice, in another order", VIDEOS, sent=groups(**{"and": [REGIONS, REGIONS]})),
)
# fmt: on
