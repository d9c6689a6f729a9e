"""Deletes held data that the terms allow no longer: too old, or of a project that has ended.

The gateway serves none of it anyway, since the same rules are asked before each page is served. Every sweep
that deletes says so in the log, in the transaction that deletes, so that the log is the evidence.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.retention import deleted, destroy_keys_of_ended, keys_to_destroy
from app.audit.entries import Draft
from app.cache.pages import SEARCHES_KNOWN_S
from app.ids import held_scope
from app.policy.engine import Mode, mode_of
from app.policy.rules import NothingAfterEnd, RefreshInterval
from app.policy.values import REFRESH_INTERVAL_DAYS
from app.storage.directory import read_policy
from app.storage.engines import Database
from app.storage.flights import forget_flights
from app.storage.log import Boot, LockedHead, lock_head
from app.storage.registry import SqlRegistry
from app.storage.rounds import Rounds
from app.storage.tables import (
    CredentialRow,
    DeliveryRow,
    HeldPageRow,
    NoticeRow,
    ProjectRow,
    SearchRow,
    table,
)
from app.storage.tallies import forget_tallies
from app.storage.upkeep import empty_pruned

_EVERY_S: Final = 3_600
_MOST_AT_ONCE: Final = 500
"""Pages in one transaction: the head of the log is locked meanwhile."""
_DAY_US: Final = 86_400_000_000
_NOTICES_LAST_US: Final = 800 * _DAY_US
"""Longer than any access period (two years): what is told once in one must not be told twice."""

_held, _project, _credential = table(HeldPageRow), table(ProjectRow), table(CredentialRow)
_search, _notice, _delivery = table(SearchRow), table(NoticeRow), table(DeliveryRow)
_FACTS = sa.select(_held.c.key, _held.c.scope, _held.c.records, _held.c.fetched_us).limit(_MOST_AT_ONCE)


@dataclass(frozen=True, slots=True)
class _Doomed:
    """Pages that go, and the rule that says so."""

    rule: str
    pages: Sequence[sa.Row[Any, Any, Any, Any]]


class Retention:
    """Sweeps when it starts and every hour."""

    def __init__(self, *, database: Database, boot: Boot) -> None:
        self._database = database
        self._boot = boot
        self._registry = SqlRegistry(database=database, boot=boot)
        self.rounds = Rounds(self.sweep, every_s=_EVERY_S, failed="held data could not be deleted")

    async def sweep(self) -> int:
        """How many pages were deleted; the keys of ended projects are destroyed as well."""
        if keys_to_destroy(await self._registry.state()):
            await destroy_keys_of_ended(self._registry)
        deleted = 0
        while not self.rounds.is_ending:
            if await self._database.read(lambda conn: _doomed(conn, self._database.now_us(conn))) is None:
                break
            _, count = await self._database.write(
                lambda conn: _delete(conn, self._database, self._boot),
                committed=lambda done: done[0].committed(),
            )
            deleted += count
        await empty_pruned(self._database)
        await self._database.write(lambda conn: _tidy(conn, self._database.now_us(conn)))
        return deleted


def _delete(conn: Connection, database: Database, boot: Boot) -> tuple[LockedHead, int]:
    head = lock_head(conn, database, boot)
    count = 0
    doomed = _doomed(conn, head.now_us)
    if doomed is not None:
        keys = [row.key for row in doomed.pages]
        conn.execute(sa.delete(_held).where(_held.c.key.in_(keys)))
        count = len(keys)
        for scope in sorted({row.scope for row in doomed.pages}):
            head.stage(_entry(doomed.rule, scope, [row for row in doomed.pages if row.scope == scope]))
    head.write()
    return head, count


def _tidy(conn: Connection, now_us: int) -> None:
    """Drop what says nothing any more: none of it is the platform's data, so nothing is logged.

    Counts go with what they were counted of, search ids when they or their projects are over, notices when the event
    they are about cannot come again.
    """
    today = dt.datetime.fromtimestamp(now_us / 1_000_000, dt.UTC).date()
    is_enforced = mode_of(NothingAfterEnd.id, read_policy(conn)) is Mode.ENFORCE
    ended = _ended_scopes(conn, today, is_enforced=is_enforced)
    forget_tallies(conn, now_us=now_us, ended_scopes=ended)
    forget_flights(conn, now_us)
    is_over = _search.c.expires_us <= now_us - SEARCHES_KNOWN_S * 1_000_000
    conn.execute(sa.delete(_search).where(sa.or_(is_over, _search.c.scope.in_(ended))))
    old = sa.select(_notice.c.id).where(
        _notice.c.taken_up_us.is_not(None), _notice.c.created_us < now_us - _NOTICES_LAST_US
    )
    conn.execute(sa.delete(_delivery).where(_delivery.c.notice_id.in_(old)))
    conn.execute(sa.delete(_notice).where(_notice.c.id.in_(old)))


def _entry(rule: str, scope: str, pages: Sequence[sa.Row[Any, Any, Any, Any]]) -> Draft:
    return deleted(
        scope,
        rule=rule,
        pages=len(pages),
        records=sum(row.records for row in pages),
        oldest_us=min(row.fetched_us for row in pages),
    )


def _doomed(conn: Connection, now_us: int) -> _Doomed | None:
    """Pages that a rule ends, at most as many as one transaction takes; None where there are none."""
    policy, today = read_policy(conn), dt.datetime.fromtimestamp(now_us / 1_000_000, dt.UTC).date()
    conditions: list[tuple[str, sa.ColumnElement[bool]]] = []
    ended = _ended_scopes(conn, today, is_enforced=mode_of(NothingAfterEnd.id, policy) is Mode.ENFORCE)
    conditions.append((NothingAfterEnd.id, _held.c.scope.in_(ended)))
    if mode_of(RefreshInterval.id, policy) is Mode.ENFORCE:
        days = REFRESH_INTERVAL_DAYS.at(today, policy.amounts.get(REFRESH_INTERVAL_DAYS.name, ()))
        conditions.append((RefreshInterval.id, _held.c.fetched_us <= now_us - days * _DAY_US))
    for rule, condition in conditions:
        pages = conn.execute(_FACTS.where(condition)).all()
        if pages:
            return _Doomed(rule, pages)
    return None


def _ended_scopes(conn: Connection, today: dt.date, *, is_enforced: bool) -> list[str]:
    """Where nobody's calls are answered from: the eras before the one that each project and credential is in.

    And that one as well, where the end `is_enforced`, of projects that are over and credentials by which none shares.
    """
    projects, credentials = (conn.execute(sa.select(each)).all() for each in (_project, _credential))
    going_on = [each for each in projects if each.retired_us is None and each.approved_until >= today]
    kept = {each.id for each in going_on}
    kept |= {each.credential_id for each in going_on if each.cache_scope == "credential"}
    return [
        held_scope(kind, each.id, era)
        for kind, owners in (("project", projects), ("credential", credentials))
        for each in owners
        for era in range(each.held_era + (is_enforced and each.id not in kept))
    ]
