"""What an entry can be found by, read off the entry itself and nothing else.

The log's search tables hold these beside each entry. They are written in the entry's own transaction, can be
made again from the leaves at any time, and a verifier derives them anew from the leaf:

| fact | of the entry |
| --- | --- |
| person, project, key_id, credential | `actor.principal`, `actor.project`, `actor.key_id`, `actor.credential` |
| op | `op` |
| verdict, rule | `decision.verdict`, `decision.rule` |
| code | the first that is there of `decision.code`, `upstream.code`, `err` |
| requests, records | `quota.charged`: the sum over the platform's counters, of calls and of records |
| cache | `cache.state` |
| upstream_log_id | `upstream.log_id` |

A text that is no string of 1 to 200 characters, or that holds a NUL, is no fact (null). Requests and records are sums of
what is an integer there, 0 where none is, and null where there is no object `quota.charged` or the sum is outside 0 to
2^53 - 1. Tags are the strings of the list `about`, each once, under the same bound.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from app.audit.canonical import MAX_EXACT_INT, as_written
from app.audit.entries import Value

MOST_CHARS: Final = 200
REQUESTS: Final = ("requests", "follower_calls", "ad_calls")
"""What `quota.charged` calls the platform's counters of calls."""
RECORDS: Final = ("records", "follower_records", "ad_records")
_NOTHING: Final[Mapping[str, Value]] = MappingProxyType({})


class Facts(NamedTuple):
    """One entry's row of search columns; None where the entry says nothing of it."""

    person: str | None
    project: str | None
    key_id: str | None
    credential: str | None
    op: str | None
    verdict: str | None
    rule: str | None
    code: str | None
    requests: int | None
    records: int | None
    cache: str | None
    upstream_log_id: str | None


FACT_NAMES: Final = Facts._fields


def facts_of(entry: Mapping[str, Value]) -> Facts:
    """What the entry can be found by; the same from a draft's fields and from the parsed leaf."""
    actor, decision, upstream = (_object(entry, name) for name in ("actor", "decision", "upstream"))
    charged = _object(entry, "quota").get("charged")
    codes = (decision.get("code"), upstream.get("code"), entry.get("err"))
    return Facts(
        person=_text(actor.get("principal")),
        project=_text(actor.get("project")),
        key_id=_text(actor.get("key_id")),
        credential=_text(actor.get("credential")),
        op=_text(entry.get("op")),
        verdict=_text(decision.get("verdict")),
        rule=_text(decision.get("rule")),
        code=next((found for code in codes if (found := _text(code)) is not None), None),
        requests=_sum(charged, REQUESTS),
        records=_sum(charged, RECORDS),
        cache=_text(_object(entry, "cache").get("state")),
        upstream_log_id=_text(upstream.get("log_id")),
    )


def tags_of(entry: Mapping[str, Value]) -> tuple[str, ...]:
    """The keyed hashes of what the entry's question names, sorted, each once."""
    about = entry.get("about")
    if not isinstance(about, (list, tuple)):
        return ()
    return tuple(sorted({text for each in about if (text := _text(each)) is not None}))


def _object(entry: Mapping[str, Value], name: str) -> Mapping[str, Value]:
    value = entry.get(name)
    # The exact type first: asking whether something is a Mapping at all takes several times as long.
    if type(value) is dict:
        return value
    return value if value is not None and isinstance(value, Mapping) else _NOTHING


def _text(value: Value) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= MOST_CHARS or "\0" in value:
        return None
    return value if value.isascii() else as_written(value)


def _sum(charged: Value, names: tuple[str, ...]) -> int | None:
    if charged is None or not isinstance(charged, Mapping):
        return None
    total = sum(_number(charged.get(name)) for name in names)
    return total if 0 <= total <= MAX_EXACT_INT else None


def _number(value: Value) -> int:
    # Beyond these bounds the entry's bytes carry digits in a string.
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if -MAX_EXACT_INT <= value <= MAX_EXACT_INT else 0
