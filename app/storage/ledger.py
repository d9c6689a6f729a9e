"""The quota ledger inside a transaction: counters and limits, read, decided on and written under one lock."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.quota.arithmetic import (
    Dimension,
    Exhausted,
    Floor,
    Limit,
    ScopeKind,
    Standing,
    Use,
    Want,
    Window,
    counts_until,
    days_at,
    decide,
    first_day,
    kept_from,
    standing,
    thresholds_crossed,
    use_at,
)
from app.quota.limits import FLOOR, LimitSlot, Owners, StoredLimit, effective_limits
from app.storage.prepared import DIALECTS, Prepared, PreparedForIds, upsert
from app.storage.tables import CounterRow, LimitRow, ProjectRow, RaiseRow, table

_BEFORE = dt.date.min
"""Stands for all days before those that were read one by one."""

_counter, _limit, _project, _raise = table(CounterRow), table(LimitRow), table(ProjectRow), table(RaiseRow)

_RAISED = "raise:"


def _limits_raises_and_floors(ids: Sequence[sa.BindParameter[str]]) -> sa.Executable:
    """What binds the scopes: their limits, what raises these now, and floors of projects beside them.

    The last column is the credential of a floor's project, empty for the others.
    """
    no_credential: sa.ColumnElement[str] = sa.literal_column("''")
    now_us, today = sa.bindparam("now_us", type_=sa.BigInteger()), sa.bindparam("today", type_=sa.Date())
    columns = (_limit.c.scope_kind, _limit.c.scope_id, _limit.c.dimension, _limit.c.window, _limit.c.amount)
    limits = sa.select(*columns, no_credential).where(
        _limit.c.scope_id.in_(ids), _limit.c.scope_kind != FLOOR
    )
    raises = sa.select(
        sa.literal_column(f"'{_RAISED}'").op("||")(_raise.c.scope_kind),
        _raise.c.scope_id,
        _raise.c.dimension,
        _raise.c.window,
        _raise.c.amount,
        no_credential,
    ).where(
        _raise.c.scope_id.in_(ids),
        _raise.c.retired_us.is_(None),
        _raise.c.from_us <= now_us,
        _raise.c.until_us > now_us,
    )
    floors = (
        sa.select(*columns, _project.c.credential_id)
        .join(_project, _project.c.id == _limit.c.scope_id)
        .where(
            _project.c.credential_id.in_(ids),
            _project.c.retired_us.is_(None),
            _project.c.approved_from <= today,
            _project.c.approved_until >= today,
            _limit.c.scope_kind == FLOOR,
        )
    )
    return sa.union_all(limits, raises, floors)


_LIMITS = PreparedForIds(_limits_raises_and_floors)
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


@dataclass(frozen=True, slots=True)
class Crossing:
    """A limit of which so many percent are taken now; `since` names the window, as its first day."""

    limit: Limit
    percent: int
    taken: int
    since: str


class Ledger:
    """Counters and limits of the scopes that a transaction touches."""

    def __init__(self, conn: Connection, now: dt.datetime) -> None:
        self._conn = conn
        self._now = now
        self._days = days_at(now)
        self._limits: list[StoredLimit] = []
        self._floors: list[tuple[str, StoredLimit]] = []
        self._raised: dict[LimitSlot, int] = {}
        self._rows: dict[Slot, dict[dt.date, Use]] = {}
        self._changed: set[tuple[Slot, dt.date]] = set()
        self.crossings: list[Crossing] = []

    def load(self, scope_ids: set[str], *, limits_of: set[str], days: Iterable[dt.date] = ()) -> None:
        """Read what is needed to settle for these scopes on `days`, and to decide for some of them today."""
        self._load_limits(limits_of)
        ids = sorted(scope_ids | {floor.scope_id for _, floor in self._floors})
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

    def _load_limits(self, owners: set[str]) -> None:
        now_us = int(self._now.timestamp() * 1_000_000)
        found = _LIMITS.rows(self._conn, owners, now_us=now_us, today=self._days[0])
        for kind, scope_id, dimension_name, window_name, amount, credential in found:
            dimension, window = Dimension(dimension_name), Window(window_name) if window_name else None
            if kind.startswith(_RAISED):
                slot = (kind.removeprefix(_RAISED), scope_id, dimension, window)
                self._raised[slot] = self._raised.get(slot, 0) + amount
                continue
            limit = StoredLimit(
                scope_kind=kind, scope_id=scope_id, dimension=dimension, window=window, amount=amount
            )
            if kind == FLOOR:
                self._floors.append((credential, limit))
            else:
                self._limits.append(limit)

    def limits_of(self, owners: Owners) -> tuple[Limit, ...]:
        """The budgets that hold for one caller, raises included."""
        budgets = (limit for limit in self._limits if not limit.is_short)
        return effective_limits(budgets, self._raised, **owners)

    def decide(self, limits: Sequence[Limit], wants: Sequence[Want], *, project: str) -> Exhausted | None:
        """What stands in the way of taking all wants for a call of `project`; None when they were all taken."""
        before = {limit: self._use(limit) for limit in limits}
        kept = self._kept(limits, project)
        verdict = decide(limits, before, wants, days=self._days, kept=kept)
        if isinstance(verdict, Exhausted):
            # Nothing crosses the mark of a limit that was lowered to what is taken, so whom it refuses first tells.
            self.crossings += [
                Crossing(limit, 100, use.taken, self._window_of(limit))
                for limit, use in before.items()
                if use.taken >= max(1, limit.amount)
            ]
            return verdict
        for want in wants:
            for day in self._days:
                self.add((want.scope.kind, want.scope.id, want.dimension), day, used=0, reserved=want.amount)
        for limit in limits:
            after = self._use(limit)
            self.crossings += [
                Crossing(limit, percent, after.taken, self._window_of(limit))
                for percent in thresholds_crossed(limit, before=before[limit], after=after)
            ]
        return None

    def _kept(self, limits: Sequence[Limit], project: str) -> dict[Limit, int]:
        """What a call of `project` must leave of each limit; empty where no project has a floor."""
        if not self._floors:
            return {}
        floors = [self._floor(*each) for each in self._floors]
        return {limit: kept_from(project, limit, floors) for limit in limits}

    def _window_of(self, limit: Limit) -> str:
        since = first_day(limit.window, self._now)
        return "" if since is None else since.isoformat()

    def _floor(self, credential: str, stored: StoredLimit) -> Floor:
        rows = self._rows.get((ScopeKind.PROJECT, stored.scope_id, stored.dimension), {})
        # At midnight the day of which less is used counts, since more of it is still to be kept.
        use = min((rows.get(day, Use()) for day in self._days), key=lambda each: each.taken)
        return Floor(credential, stored.scope_id, stored.dimension, stored.amount, use)

    def charged(self, credential: str, dimension: Dimension, day: dt.date) -> int:
        """What the credential's counter has of one dimension on one day, reservations included."""
        rows = self._rows.get((ScopeKind.CREDENTIAL, credential, dimension), {})
        return rows.get(day, Use()).taken

    def days_left_s(self) -> float:
        """Seconds for which a call that is granted now counts on its days and on no other."""
        return (counts_until(self._days) - self._now).total_seconds()

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

    def standings(self, limits: Sequence[Limit], *, project: str) -> tuple[Standing, ...]:
        """Where these limits stand now for a call of `project`, which leaves other projects their floors."""
        kept = self._kept(limits, project)
        return tuple(
            standing(limit, self._use(limit), self._now, kept=kept.get(limit, 0)) for limit in limits
        )

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
