"""What people look at in a browser: the calls of one person, and one day's spend, refusals and reuse.

Nothing here counts a whole log: a day's spend is bounded by the budgets of the credentials, and of refusals and
answers from what is held no more than `MOST_COUNTED` are looked at in one go, the newest. Entries do not change, so a
day that was read before is read on from where that ended.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.searching import FoundEntry, entries_at, index_at, time_at
from app.storage.tables import EntryRow, FactRow, HeadRow, table

_entry, _fact, _head = table(EntryRow), table(FactRow), table(HeadRow)
MOST_COUNTED: Final = 5_000
SLOT_S: Final = 900
"""Spend is told by quarters of an hour."""
_SLOT_US: Final = SLOT_S * 1_000_000
_FREE: Final = ("hit", "stale", "collapsed")
_ENDS: Final = ("outcome", "decision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was charged in the quarter of an hour from `slot` on, which is a number of them since 1970."""

    slot: int
    credential: str
    project: str
    requests: int
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySeen:
    """One day of the log."""

    spent: Sequence[Spent]
    refused: Mapping[tuple[str, str], int]
    """How often, by rule and code."""
    reused: Mapping[str, int]
    """How many answers cost nothing, by project."""
    is_capped: bool
    """Whether there were more refusals or free answers than were looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What is known of a day: spend up to the quarter of an hour `slot`, everything else up to entry `end`."""

    since_us: int
    slot: int
    first: int
    """Where that quarter of an hour begins in the log."""
    end: int
    spent: tuple[Spent, ...] = ()
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    reused: Counter[str] = field(default_factory=Counter)
    is_capped: bool = False


class Days:
    """Reads the same day again and again, each time what is new of it alone."""

    def __init__(self) -> None:
        self._known: _Read | None = None

    def read(self, conn: Connection, *, since_us: int) -> DaySeen:
        """The log from that moment on. Threads may come at once: each leaves a whole answer behind."""
        size, last_us = conn.execute(sa.select(_head.c.size, _head.c.last_ts_us)).one()
        known = self._known
        if known is None or known.since_us != since_us or known.end > size:
            first = index_at(conn, since_us, size)
            known = _Read(since_us=since_us, slot=since_us // _SLOT_US, first=first, end=first)
        known = _counted_on(conn, known, size)
        known, latest = _spent_on(conn, known, size, last_slot=last_us // _SLOT_US)
        self._known = known
        return DaySeen(
            spent=(*known.spent, *latest),
            refused=known.refused,
            reused=known.reused,
            is_capped=known.is_capped,
        )


def find_calls(conn: Connection, person: str, *, before: int | None, limit: int) -> Sequence[FoundEntry]:
    """The newest calls of a person with keys of theirs, each by the entry that ended it."""
    is_call = sa.or_(_fact.c.op.is_not(None), _fact.c.verdict == "refused")
    asked = (
        sa.select(_fact.c.ix)
        .join(_entry, _entry.c.ix == _fact.c.ix)
        .where(_fact.c.person == person, _fact.c.project.is_not(None), is_call, _entry.c.type.in_(_ENDS))
        .order_by(_fact.c.ix.desc())
        .limit(limit)
    )
    if before is not None:
        asked = asked.where(_fact.c.ix < before)
    return entries_at(conn, list(conn.execute(asked).scalars()))


def _newest(
    conn: Connection,
    columns: tuple[sa.ColumnElement[str | None], ...],
    condition: sa.ColumnElement[bool],
    first: int,
    end: int,
) -> Counter[tuple[str | None, ...]]:
    asked = (
        sa.select(*columns)
        .where(condition, _fact.c.ix >= first, _fact.c.ix < end)
        .order_by(_fact.c.ix.desc())
        .limit(MOST_COUNTED)
    )
    return Counter(tuple(row) for row in conn.execute(asked))


def _counted_on(conn: Connection, known: _Read, size: int) -> _Read:
    """With the refusals and free answers of entries that are new."""
    reused, refused, is_capped = Counter(known.reused), Counter(known.refused), known.is_capped
    # Each by one value, so that an index gives them newest first and nothing has to be sorted.
    for state in _FREE:
        found = _newest(conn, (_fact.c.project,), _fact.c.cache == state, known.end, size)
        is_capped |= found.total() >= MOST_COUNTED
        reused.update({row[0] or "": count for row, count in found.items()})
    # Said twice, since SQLite takes the index of what is not allowed only for a query that says just that.
    is_refused = sa.and_(_fact.c.verdict == "refused", _fact.c.verdict != sa.literal_column("'allowed'"))
    found = _newest(conn, (_fact.c.rule, _fact.c.code), is_refused, known.end, size)
    is_capped |= found.total() >= MOST_COUNTED
    for row, count in found.items():
        refused[row[0] or "", row[1] or ""] += count
    return replace(known, end=size, reused=reused, refused=refused, is_capped=is_capped)


def _spent_on(
    conn: Connection, known: _Read, size: int, *, last_slot: int
) -> tuple[_Read, tuple[Spent, ...]]:
    """With the quarters of an hour that are over by now; and the last, which is not."""
    slot, first, spent = known.slot, known.first, list(known.spent)
    while first < size:
        # Quarters without an entry are passed over.
        slot = time_at(conn, first) // _SLOT_US
        if slot >= last_slot:
            break
        following = index_at(conn, (slot + 1) * _SLOT_US, size, low=first)
        spent += _spent(conn, slot, first, following)
        slot, first = slot + 1, following
    latest = _spent(conn, slot, first, size) if first < size else ()
    return replace(known, slot=slot, first=first, spent=tuple(spent)), tuple(latest)


def _spent(conn: Connection, slot: int, first: int, end: int) -> Sequence[Spent]:
    """What the entries of one quarter of an hour cost."""
    group = (_fact.c.credential, _fact.c.project)
    sums = (sa.func.sum(_fact.c.requests), sa.func.sum(sa.func.coalesce(_fact.c.records, 0)))
    is_costly = _fact.c.requests > sa.literal_column("0")
    asked = sa.select(*group, *sums).where(is_costly, _fact.c.ix >= first, _fact.c.ix < end).group_by(*group)
    return [
        # PostgreSQL sums big integers into a decimal.
        Spent(
            slot=slot,
            credential=credential or "",
            project=project or "",
            requests=int(requests),
            records=int(records),
        )
        for credential, project, requests, records in conn.execute(asked)
    ]
