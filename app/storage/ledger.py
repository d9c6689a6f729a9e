"""The quota ledger inside a transaction: counters and limits, read, decided on and written under one lock."""

import datetime as dt
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.quota.arithmetic import (
    Dimension,
    Exhausted,
    Limit,
    Standing,
    Use,
    Want,
    Window,
    days_at,
    decide,
    standing,
    use_at,
)
from app.quota.limits import Owners, StoredLimit, effective_limits
from app.storage.prepared import DIALECTS, Prepared, PreparedForIds, upsert
from app.storage.tables import CounterRow, LimitRow, table

_BEFORE = dt.date.min
"""Stands for all days before those that were read one by one."""

_counter, _limit = table(CounterRow), table(LimitRow)

_LIMITS = PreparedForIds(
    lambda ids: sa.select(
        _limit.c.scope_kind, _limit.c.scope_id, _limit.c.dimension, _limit.c.window, _limit.c.amount
    ).where(_limit.c.scope_id.in_(ids))
)
_USES = PreparedForIds(
    lambda ids: sa.select(
        _counter.c.scope_kind,
        _counter.c.scope_id,
        _counter.c.dimension,
        _counter.c.day,
        _counter.c.used,
        _counter.c.reserved,
    ).where(_counter.c.scope_id.in_(ids), _counter.c.day >= sa.bindparam("since", type_=sa.Date()))
)
USES_SINCE = sa.select(_counter).where(
    _counter.c.scope_id.in_(sa.bindparam("ids", expanding=True)), _counter.c.day >= sa.bindparam("since")
)
"""The counters of scopes `ids`, one row a dimension and day, from day `since`."""
USES_BEFORE = (
    sa.select(
        _counter.c.scope_kind,
        _counter.c.scope_id,
        _counter.c.dimension,
        sa.func.sum(_counter.c.used).label("used"),
        sa.func.sum(_counter.c.reserved).label("reserved"),
    )
    .where(
        _counter.c.scope_id.in_(sa.bindparam("ids", expanding=True)), _counter.c.day < sa.bindparam("since")
    )
    .group_by(_counter.c.scope_kind, _counter.c.scope_id, _counter.c.dimension)
)
"""What these scopes used before that day, summed by dimension."""
_UPSERT = {dialect: Prepared(upsert(dialect, _counter)) for dialect in DIALECTS}

Slot = tuple[str, str, str]
"""Scope kind, scope id and dimension."""


class Ledger:
    """Counters and limits of the scopes that a transaction touches."""

    def __init__(self, conn: Connection, now: dt.datetime) -> None:
        self._conn = conn
        self._now = now
        self._days = days_at(now)
        self._limits: list[StoredLimit] = []
        self._rows: dict[Slot, dict[dt.date, Use]] = {}
        self._changed: set[tuple[Slot, dt.date]] = set()

    def load(self, scope_ids: set[str], *, limits_of: set[str], days: Iterable[dt.date] = ()) -> None:
        """Read what is needed to settle for these scopes on `days`, and to decide for some of them today."""
        ids = sorted(scope_ids)
        self._limits = [
            StoredLimit(
                scope_kind=kind,
                scope_id=scope_id,
                dimension=Dimension(dimension),
                window=Window(window) if window else None,
                amount=amount,
            )
            for kind, scope_id, dimension, window, amount in _LIMITS.rows(self._conn, limits_of)
        ]
        windows = {limit.window for limit in self._limits}
        since = min([*self._days, *days])
        if Window.MONTH in windows or Window.PROJECT in windows:
            since = min(since, self._days[0].replace(day=1))
        for kind, scope_id, dimension, day, used, reserved in _USES.rows(self._conn, ids, since=since):
            self._rows.setdefault((kind, scope_id, dimension), {})[day] = Use(used, reserved)
        if Window.PROJECT in windows:
            for row in self._conn.execute(USES_BEFORE, {"ids": ids, "since": since}):
                slot = (row.scope_kind, row.scope_id, row.dimension)
                self._rows.setdefault(slot, {})[_BEFORE] = Use(int(row.used), int(row.reserved))

    def limits_of(self, owners: Owners) -> tuple[Limit, ...]:
        """The limits that hold for one caller, of those that the ledger enforces."""
        return effective_limits((limit for limit in self._limits if limit.is_enforced), **owners)

    def decide(self, limits: Sequence[Limit], wants: Sequence[Want]) -> Exhausted | None:
        """What stands in the way of taking all wants; None when they were all taken."""
        uses = {limit: self._use(limit) for limit in limits}
        verdict = decide(limits, uses, wants, days=self._days)
        if isinstance(verdict, Exhausted):
            return verdict
        for want in wants:
            for day in self._days:
                self.add((want.scope.kind, want.scope.id, want.dimension), day, used=0, reserved=want.amount)
        return None

    def takings(self, wants: Sequence[Want]) -> list[list[object]]:
        """What `decide` took, as the reservation's row keeps it."""
        return [
            [want.scope.kind.value, want.scope.id, want.dimension.value, day.isoformat(), want.amount]
            for want in wants
            for day in self._days
        ]

    def add(self, slot: Slot, day: dt.date, *, used: int, reserved: int) -> None:
        """Change one counter; never below zero."""
        rows = self._rows.setdefault(slot, {})
        before = rows.get(day, Use())
        rows[day] = Use(before.used + used, before.reserved + reserved)
        self._changed.add((slot, day))

    def standings(self, limits: Sequence[Limit]) -> tuple[Standing, ...]:
        """Where these limits stand now."""
        return tuple(standing(limit, self._use(limit), self._now) for limit in limits)

    def flush(self, dialect: str) -> None:
        """Write every counter that changed."""
        if self._changed:
            rows = [
                {
                    "scope_kind": slot[0],
                    "scope_id": slot[1],
                    "dimension": slot[2],
                    "day": day,
                    "used": self._rows[slot][day].used,
                    "reserved": self._rows[slot][day].reserved,
                }
                for slot, day in sorted(self._changed)
            ]
            _UPSERT[dialect].run(self._conn, *rows)

    def _use(self, limit: Limit) -> Use:
        slot = (limit.scope.kind, limit.scope.id, limit.dimension)
        return use_at(limit.window or Window.DAY, self._rows.get(slot, {}), self._days)
