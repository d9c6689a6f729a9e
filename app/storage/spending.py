"""What people look at in a browser: the calls of one person, and one day's spend, refusals and reuse.

Nothing here counts a whole log: a day's spend is bounded by the budgets of the credentials, and of refusals and
answers from what is held no more than `MOST_COUNTED` are looked at, the newest.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.searching import FoundEntry, entries_at, index_at
from app.storage.tables import EntryRow, FactRow, HeadRow, table

_entry, _fact, _head = table(EntryRow), table(FactRow), table(HeadRow)
MOST_COUNTED: Final = 5_000
SLOT_S: Final = 900
"""Spend is told by quarters of an hour."""
_MOST_SPENDING: Final = 100_000
_FREE: Final = ("hit", "collapsed")
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

    @property
    def is_capped(self) -> bool:
        """Whether there were more refusals or free answers than were looked at."""
        return max(sum(self.refused.values()), sum(self.reused.values())) >= MOST_COUNTED


def read_day(conn: Connection, *, since_us: int) -> DaySeen:
    """The log from that moment on."""
    size = int(conn.execute(sa.select(_head.c.size)).scalar_one())
    first = index_at(conn, since_us, size)
    # Each by one value, so that an index gives them newest first and nothing has to be sorted.
    reused: Counter[tuple[str | None, ...]] = Counter()
    for state in _FREE:
        reused += _newest(conn, (_fact.c.project,), _fact.c.cache == state, first)
    # Said twice, since SQLite takes the index of what is not allowed only for a query that says just that.
    is_refused = sa.and_(_fact.c.verdict == "refused", _fact.c.verdict != sa.literal_column("'allowed'"))
    refused = _newest(conn, (_fact.c.rule, _fact.c.code), is_refused, first)
    return DaySeen(
        spent=_spent(conn, first),
        refused=Counter({(row[0] or "", row[1] or ""): count for row, count in refused.items()}),
        reused=Counter({row[0] or "": count for row, count in reused.items()}),
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
) -> Counter[tuple[str | None, ...]]:
    asked = (
        sa.select(*columns)
        .where(condition, _fact.c.ix >= first)
        .order_by(_fact.c.ix.desc())
        .limit(MOST_COUNTED)
    )
    return Counter(tuple(row) for row in conn.execute(asked))


def _spent(conn: Connection, first: int) -> Sequence[Spent]:
    costly = (
        sa.select(
            (_entry.c.ts_us // (SLOT_S * 1_000_000)).label("slot"),
            sa.func.coalesce(_fact.c.credential, "").label("credential"),
            sa.func.coalesce(_fact.c.project, "").label("project"),
            _fact.c.requests,
            _fact.c.records,
        )
        .join(_entry, _entry.c.ix == _fact.c.ix)
        .where(_fact.c.requests > sa.literal_column("0"), _fact.c.ix >= first)
        .order_by(_fact.c.ix)
        .limit(_MOST_SPENDING)
        .subquery()
    )
    group = (costly.c.slot, costly.c.credential, costly.c.project)
    sums = (sa.func.sum(costly.c.requests), sa.func.sum(sa.func.coalesce(costly.c.records, 0)))
    return [
        # PostgreSQL sums big integers into a decimal.
        Spent(slot=slot, credential=credential, project=project, requests=int(requests), records=int(records))
        for slot, credential, project, requests, records in conn.execute(
            sa.select(*group, *sums).group_by(*group)
        )
    ]
