"""Table 2: what Bursar turns down by itself. Every line costs nothing, and is one entry in the log.

The items are the numbers of the list of what the gateway must do.
"""

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.journey.questions import (
    ACCOUNTS,
    DOWNLOAD,
    EVERY,
    HELD,
    JSON,
    SEARCHED,
    STATUS,
    UPLOAD,
    Question,
    about_nothing,
    multipart,
)
from tests.journey.spellings import COMMENTS, PAGED, SIZED, VIDEOS, WITH_FIELDS, same, without_fields

_number = count()
BY_QUOTA, BY_THROTTLE = (1, 300), (1, 60)
"""Seconds of a Retry-After: at least, and at most (12)."""
WITH_NUMBERS = (*COMMENTS, "playlist/info", "tts/product", "adlib/ad/detail")
AN_ID = ("video_id", "playlist_id", "shop_id", "ad_id")
ROUND = ("start_date", "end_date")
NOBODYS_KEY = f"Bearer bsr_live_AAAAAAAAAAAA_{'a' * 43}_000000"
NOBODYS_SEARCH, NOBODYS_TASK = "4611686018427387905", 9_223_372_036_854_775_809
BLOB = gzip.compress(b'{"username":"alice"}', mtime=0)


def unasked(question: Question) -> Question:
    """About a thing that nobody has asked about before."""
    return about_nothing(question, next(_number))


def anything(question: Question) -> Question:
    return question


def but(**values: Any) -> Callable[[Question], Question]:
    return lambda question: question.but(**values)


def with_id(value: object) -> Callable[[Question], Question]:
    return lambda question: question.but(**{name: value for name in AN_ID if name in question.body})


def condition(**changes: Any) -> Callable[[Question], Question]:
    usual = {"field_name": "username", "operation": "IN", "field_values": ["alice"]}
    return but(query={"and": [{**usual, **changes}]})


def known_by(**headers: str | None) -> Mapping[str, str | None]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One line: on which endpoints, what is sent, and what is answered."""

    item: str
    says: str
    where: Sequence[str]
    message: str
    """A part of it."""
    status: int = 400
    code: str = "invalid_params"
    asks: Callable[[Question], Question] = unasked
    method: str = "POST"
    path: Callable[[str], str] = same
    body: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    project: str = "elections"
    wait: tuple[int, int] | None = None


# fmt: off
REFUSALS = (
    Refusal("1", "another path", VIDEOS, "Unsupported path", 404, path=lambda path: path.replace("query", "queries")),
    Refusal("1", "two slashes at the end", VIDEOS, "Unsupported path", 404, path=lambda path: path.replace("/?", "//?")),
    Refusal("2", "GET", EVERY, "Use POST for /v2/research/", 405, method="GET"),
    Refusal("2", "PUT", EVERY, "Use POST for /v2/research/", 405, method="PUT"),
    Refusal("2", "DELETE", EVERY, "Use POST for /v2/research/", 405, method="DELETE"),
    Refusal("2", "OPTIONS", EVERY, "Use POST for /v2/research/", 405, method="OPTIONS"),
    Refusal("2", "600 kB", EVERY, "The request body is larger than", 413, body=b" " * 600_000),
    Refusal("2", "an empty body", JSON, "The request body is empty; send the parameters as a JSON object", body=b""),
    Refusal("2", "no JSON", JSON, "must be a JSON object such as", body=b"hello"),
    Refusal("2", "cut JSON", JSON, "The request body is not valid JSON", body=b'{"username":'),
    Refusal("2", "a list", JSON, "must be a JSON object such as", body=b"[]"),
    Refusal("2", "one key twice", JSON, "names a key twice", body=b'{"username":"a","username":"b"}'),
    Refusal("2", "UTF-16", JSON, "JSON object", body='{"username":"alice"}'.encode("utf-16")),
    Refusal("2", "a form with a file", JSON, "must be a JSON object such as", body=multipart({"username": "alice"})),
    Refusal("2", "nothing for a form with a file", (UPLOAD,), "must be a form with file_data", body=b""),
    Refusal("2", "JSON for a form with a file", (UPLOAD,), "must be a form with file_data", body=b"{}"),
    Refusal("3", "a list inside field_values", VIDEOS,
            "query.and[0].field_values holds a list inside the list; flatten it to one list of strings.",
            asks=condition(field_values=[["alice", "bob"]])),
    Refusal("3", "no field_values", VIDEOS, "must be a list with at least one value", asks=condition(field_values=[])),
    Refusal("3", "an unknown field_name", VIDEOS, "field_name is 'author'; use one of", asks=condition(field_name="author")),
    Refusal("3", "an unknown operation", VIDEOS, "operation is 'LIKE'; use one of", asks=condition(operation="LIKE")),
    Refusal("3", "only empty groups", VIDEOS, "query has no conditions", asks=but(query={"and": [], "or": [], "not": []})),
    Refusal("3", "31 days", VIDEOS, "the platform allows at most 30", asks=but(start_date="20260901", end_date="20261002")),
    Refusal("3", "30 February", VIDEOS, "an existing UTC date written YYYYMMDD", asks=but(start_date="20260230")),
    Refusal("3", "an unknown field", WITH_FIELDS, "fields holds 'no_such', unknown for", path=lambda path: f"{path},no_such"),
    Refusal("3", "no fields", WITH_FIELDS, "fields is missing; name the fields you need", path=without_fields),
    Refusal("3", "max_count 0", SIZED, "max_count is 0; it must be between 1 and", asks=but(max_count=0)),
    Refusal("3", "max_count 101", SIZED, "max_count is 101; it must be between 1 and", asks=but(max_count=101)),
    Refusal("3", "max_count 1.5", SIZED, "max_count is 1.5; it must be a whole number", asks=but(max_count=1.5)),
    Refusal("3", "a cursor in words", PAGED, "cursor is 'next'; it must be a whole number", asks=but(cursor="next")),
    Refusal("3", "a cursor below 0", PAGED, "cursor is -1; it must not be negative", asks=but(cursor=-1)),
    Refusal("3", "no username", ACCOUNTS, "username is missing", asks=but(username=None)),
    Refusal("3", "no id", WITH_NUMBERS, "_id", asks=with_id(None)),
    Refusal("3", "both ids", COMMENTS, "Give exactly one of video_id", asks=but(comment_id=7)),
    Refusal("4", "an id above int64", WITH_NUMBERS, "must be a whole number inside 64 bits", asks=with_id(2**63)),
    Refusal("4", "an id of 100 digits", WITH_NUMBERS, "an integer outside 64 bits", asks=with_id(10**99)),
    Refusal("4", "an id that lost its digits", WITH_NUMBERS, "send it as a digit string", asks=with_id(7.6e18)),
    Refusal("4", "a search id of letters", (*VIDEOS, *SEARCHED), "search_id is 'abc'", asks=but(search_id="abc")),
    Refusal("4", "gzip", EVERY, "without Content-Encoding", body=BLOB, headers=known_by(Content_Encoding="gzip")),
    Refusal("4", "zstd", EVERY, "without Content-Encoding", headers=known_by(Content_Encoding="zstd")),
    Refusal("8", "a search of nobody's", (*VIDEOS, *SEARCHED), f"Search Id {NOBODYS_SEARCH} is invalid or expired",
            asks=but(search_id=NOBODYS_SEARCH)),
    Refusal("8", "a task of nobody's", (STATUS, DOWNLOAD), f"task_id {NOBODYS_TASK} is invalid or expired",
            asks=but(task_id=NOBODYS_TASK)),
    Refusal("10", "no token", EVERY, "access token", 401, "access_token_invalid", headers=known_by(Authorization=None)),
    Refusal("10", "an empty token", EVERY, "access token", 401, "access_token_invalid", headers=known_by(Authorization="Bearer ")),
    Refusal("10", "a token of the platform's", EVERY, "access token", 401, "access_token_invalid",
            headers=known_by(Authorization="Bearer clt.2.abcdef")),
    Refusal("10", "a key of nobody's", EVERY, "access token", 401, "access_token_invalid",
            headers=known_by(Authorization=NOBODYS_KEY)),
    Refusal("11", "an approval that is over", EVERY,
            "Refused by rule approval-in-force/1: approval R-2025-001 ended on 2026-01-31 (UTC). Ask your project lead",
            project="over"),
    Refusal("11", "an approval to come", EVERY,
            "Refused by rule approval-in-force/1: approval R-2031-001 begins on 2031-01-01 (UTC). Try again on that day.",
            project="to-come"),
    Refusal("11", "an endpoint that was not approved", EVERY, "is not approved for project elsewhere; approved are none.",
            project="elsewhere"),
    Refusal("12", "no quota left", HELD, "Quota used up: limit project-", 429, "daily_quota_limit_exceeded",
            project="spent", wait=BY_QUOTA),
    Refusal("12", "too many calls a minute", (*HELD, UPLOAD), "limit project-calls-minute of 0", 429, "rate_limit_exceeded",
            asks=anything, project="hasty", wait=BY_THROTTLE),
)
# fmt: on
