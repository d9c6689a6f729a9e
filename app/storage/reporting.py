"""What compliance reports: data held by project and age, and what happened in a period, by counts.

Each count is a range of one index. A report over a year reads that much of an index, and no entry.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.reporting import Happened, HeldByAge
from app.storage.engines import Database
from app.storage.searching import index_at
from app.storage.tables import EntryRow, FactRow, HeadRow, HeldPageRow, table

_held, _entry, _fact, _head = table(HeldPageRow), table(EntryRow), table(FactRow), table(HeadRow)
_DAY_US: Final = 86_400_000_000
_MOST_REFUSED: Final = 200_000
"""Refusals are told apart by rule and code, for which each is looked at."""


class SqlCounts:
    """The port `Counts` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def happened(self, *, since_us: int, until_us: int) -> Happened:
        """What the log says of a time."""
        return await self._database.read(lambda conn: happened(conn, since_us=since_us, until_us=until_us))

    async def held_by_age(self, *, now_us: int) -> Sequence[HeldByAge]:
        """Everything that is held."""
        return await self._database.read(lambda conn: held_by_age(conn, now_us=now_us))


def held_by_age(conn: Connection, *, now_us: int) -> Sequence[HeldByAge]:
    """Everything that is held, the oldest first."""
    days = (sa.literal(now_us, sa.BigInteger) - _held.c.fetched_us) // _DAY_US
    asked = (
        sa.select(
            _held.c.scope,
            days.label("days"),
            sa.func.count().label("pages"),
            sa.func.sum(_held.c.records).label("records"),
            sa.func.min(_held.c.fetched_us).label("oldest_us"),
        )
        .group_by(_held.c.scope, sa.literal_column("days"))
        .order_by(sa.literal_column("oldest_us"))
    )
    return [
        HeldByAge(
            scope=row.scope,
            days=max(0, int(row.days)),
            pages=int(row.pages),
            records=int(row.records),
            oldest_us=int(row.oldest_us),
        )
        for row in conn.execute(asked)
    ]


def happened(conn: Connection, *, since_us: int, until_us: int) -> Happened:
    """What the log says of the time from `since_us` to before `until_us`."""
    size = int(conn.execute(sa.select(_head.c.size)).scalar_one())
    first, end = index_at(conn, since_us, size), index_at(conn, until_us, size)
    # Said twice, since SQLite takes the index of what is not allowed only for a query that says just that.
    is_refused = sa.and_(_fact.c.verdict == "refused", _fact.c.verdict != sa.literal_column("'allowed'"))
    newest = (
        sa.select(_fact.c.rule, _fact.c.code)
        .where(is_refused, _fact.c.ix >= first, _fact.c.ix < end)
        .order_by(_fact.c.ix.desc())
        .limit(_MOST_REFUSED)
        .subquery()
    )
    refused = conn.execute(
        sa.select(newest.c.rule, newest.c.code, sa.func.count()).group_by(newest.c.rule, newest.c.code)
    )
    by_reason = {(rule or "", code or ""): int(count) for rule, code, count in refused}
    return Happened(
        first=first,
        end=end,
        by_type=_counted(conn, _entry.c.type, _entry.c.ix, first, end),
        by_act=_counted(conn, _fact.c.op, _fact.c.ix, first, end),
        by_project=_counted(conn, _fact.c.project, _fact.c.ix, first, end),
        refused=by_reason,
        is_capped=sum(by_reason.values()) >= _MOST_REFUSED,
    )


def pruned_before(conn: Connection) -> tuple[int, int | None]:
    """How many entries have been emptied by pruning, and when the first that is whole was written."""
    min_index, size = conn.execute(sa.select(_head.c.min_index, _head.c.size)).one()
    since = conn.execute(sa.select(_entry.c.ts_us).where(_entry.c.ix == min_index)).scalar_one_or_none()
    return int(min_index), None if min_index >= size or since is None else int(since)


def _counted(
    conn: Connection, column: sa.ColumnElement[str | None], ix: sa.ColumnElement[int], first: int, end: int
) -> dict[str, int]:
    """How often each value stands in the span: value by value, so that only the span's part of an index is read."""
    following = sa.select(sa.func.min(column)).where(column > sa.bindparam("after"))
    counting = sa.select(sa.func.count()).where(column == sa.bindparam("name"), ix >= first, ix < end)
    found: dict[str, int] = {}
    name = conn.execute(following, {"after": ""}).scalar_one()
    while name is not None:
        count = conn.execute(counting, {"name": name}).scalar_one()
        if count:
            found[name] = count
        name = conn.execute(following, {"after": name}).scalar_one()
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))
