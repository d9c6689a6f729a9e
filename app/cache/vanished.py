"""What an answer of the platform says is there no longer, whatever is held of it: pure.

A look-up of videos by id says so of those that it does not bring, and a refusal to name an account of that account:
unknown, private, or kept back by the platform. Nothing else counts: a search may leave out what it pleases.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Final

from app.provider import spelling
from app.provider.answers import Failure, FailureKind, Success
from app.provider.endpoint import Endpoint
from app.provider.naming import author, plain, record
from app.provider.spans import INDEX_DELAY_S
from app.query import ResearchQuery

_NO_ACCOUNT: Final = ("cannot find the user", "cannot return this user's information", "is private")
"""Parts of the messages under which accounts are kept back (seen by clients; facts, section 3.3)."""
_DAY_S: Final = 86_400
_NEVER_LATER_S: Final = 120
"""A video's creation follows the moment in its id by 22 to 92 seconds (as sampled by clients); a few more."""


def vanished(
    endpoint: Endpoint, sent: ResearchQuery, outcome: object, *, now_s: int, counts_last_day: bool
) -> frozenset[str]:
    """The names (`app.provider.naming`) of what the platform says at `now_s` it does not have, in answer to `sent`.

    `counts_last_day` says whether it has been seen to search last days, on which the documents disagree.
    """
    match outcome:
        case Success() if endpoint.name == "video/query":
            return _missing(sent, outcome, now_s=now_s, counts_last_day=counts_last_day)
        case Failure(kind=FailureKind.INVALID, message=message):
            username = sent.asked().get("username") if "username" in endpoint.body_keys else None
            is_kept_back = any(words in message for words in _NO_ACCOUNT)
            # The platform knows nobody by a name with an @ or in capitals, whoever has it otherwise.
            is_plain = isinstance(username, str) and plain("username", username) == username
            return frozenset({author(str(username))}) if is_kept_back and is_plain else frozenset()
        case _:
            return frozenset()


def _missing(sent: ResearchQuery, found: Success, *, now_s: int, counts_last_day: bool) -> frozenset[str]:
    """Videos asked for by id alone, made on days that were searched for sure, and not among all that came."""
    asked = sent.asked()
    wanted = _only_ids(asked.get("query"))
    if not wanted or asked.get("is_random") is True or sent.page.cursor or found.has_more:
        return frozenset()
    items = [item for item in _list(found.data.get("videos")) if isinstance(item, Mapping)]
    came = {str(item.get("id", item.get("video_id"))) for item in items}
    if items and "None" in came:
        return frozenset()
    begin_s = _midnight_s(spelling.day(str(asked["start_date"]), "start_date"))
    end_s = _midnight_s(spelling.day(str(asked["end_date"]), "end_date")) + counts_last_day * _DAY_S
    # A younger one may only not be searched yet.
    end_s = min(end_s, now_s - INDEX_DELAY_S)
    return frozenset(
        record(each)
        for each in wanted - came
        if begin_s <= int(each) >> 32 and (int(each) >> 32) + _NEVER_LATER_S < end_s
    )


def _only_ids(query: object) -> set[str]:
    """The ids, where the conditions are nothing but one list of them."""
    groups = query if isinstance(query, Mapping) else {}
    conditions = [each for group in groups.values() for each in _list(group)]
    if len(conditions) != 1 or not groups.get("and"):
        return set()
    condition = conditions[0]
    if condition.get("field_name") != "video_id" or condition.get("operation") not in {"EQ", "IN"}:
        return set()
    return {str(value) for value in _list(condition.get("field_values")) if str(value).isdigit()}


def _list(value: object) -> list[dict[str, object]]:
    return value if isinstance(value, list) else []


def _midnight_s(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())
