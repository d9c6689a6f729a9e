"""The limits in force over SQL, kept in memory for as long as the directory's revision stands."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.clock import Clock
from app.quota.arithmetic import Dimension, Window
from app.quota.limits import (
    FLOOR,
    OWN,
    HeldTo,
    LimitSlot,
    Owners,
    StoredLimit,
    effective_limits,
    owner_ids,
)
from app.storage.engines import Database
from app.storage.tables import HeadRow, LimitRow, RaiseRow, table

_MOST_KEPT = 10_000
_FOR_EVER_US = 1 << 62

_limit, _raise = table(LimitRow), table(RaiseRow)
_LIMITS = sa.select(_limit).where(
    _limit.c.scope_id.in_(sa.bindparam("ids", expanding=True)), _limit.c.scope_kind != FLOOR
)
_RAISES = sa.select(_raise).where(
    _raise.c.scope_id.in_(sa.bindparam("ids", expanding=True)),
    _raise.c.retired_us.is_(None),
    _raise.c.until_us > sa.bindparam("now_us"),
)
_REVISION = sa.select(table(HeadRow).c.revision)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What held when it was read; `until_us` is when a raise next begins or ends."""

    held_to: HeldTo
    revision: int
    until_us: int


class SqlLimits:
    """The port over SQL; a change of any limit is a change of the directory."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def held_to(self, owners: Owners, *, revision: int) -> HeldTo:
        """What the caller is held to; see `LimitSource`."""
        kept = self._kept.get(owners["key"])
        if kept is not None and kept.revision == revision and not self._has_ended(kept):
            return kept.held_to
        now_us = self._now_us()
        found = await self._database.read(lambda conn: _load(conn, owners, now_us))
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[owners["key"]] = found
        return found.held_to

    def _has_ended(self, kept: _Kept) -> bool:
        return kept.until_us != _FOR_EVER_US and self._now_us() >= kept.until_us

    def _now_us(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)


def _load(conn: Connection, owners: Owners, now_us: int) -> _Kept:
    ids = sorted(owner_ids(owners))
    stored = [
        StoredLimit(
            scope_kind=row.scope_kind,
            scope_id=row.scope_id,
            dimension=Dimension(row.dimension),
            window=Window(row.window) if row.window else None,
            amount=row.amount,
        )
        for row in conn.execute(_LIMITS, {"ids": ids})
    ]
    raised: dict[LimitSlot, int] = {}
    until_us = _FOR_EVER_US
    for row in conn.execute(_RAISES, {"ids": ids, "now_us": now_us}):
        has_begun = row.from_us <= now_us
        until_us = min(until_us, row.until_us if has_begun else row.from_us)
        if has_begun:
            window = Window(row.window) if row.window else None
            slot = (row.scope_kind, row.scope_id, Dimension(row.dimension), window)
            raised[slot] = raised.get(slot, 0) + row.amount
    limits = effective_limits(stored, raised, **owners)
    return _Kept(
        held_to=HeldTo(
            short=tuple(each for each in limits if each.window in {None, Window.MINUTE}),
            own_budgets=tuple(
                each for each in limits if each.dimension in OWN and each.window not in {None, Window.MINUTE}
            ),
        ),
        revision=conn.execute(_REVISION).scalar_one(),
        until_us=until_us,
    )
