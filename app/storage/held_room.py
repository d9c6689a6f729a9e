"""The room that held pages may take in the database: what is past its time goes first, then what was fetched longest ago.

What was fetched within the hour stays. Nobody waits for it: pages go in the background, some at a time, each time with an entry as for all that is deleted. A
page that is asked for afterwards is fetched again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.retention import deleted
from app.cache.lifetimes import UsualLifetimes, longest_s
from app.identity.callers import ReuseChoices
from app.ids import held_scope
from app.provider.endpoints import ENDPOINTS
from app.storage.directory import reuse_choices
from app.storage.engines import Database
from app.storage.log import Boot, LockedHead, lock_head
from app.storage.rounds import Rounds
from app.storage.tables import CredentialRow, HeldPageRow, PageTagsRow, ProjectRow, table
from app.storage.tagged import TAG_BYTES, delete_pages

HELD_ROOM: Final = "held-room/1"
_EVERY_S: Final = 60
_MEASURED_EVERY: Final = 60
"""Rounds from one measurement to the next, where this process has held little in between."""
_GROWTH: Final = 20
"""One part in so many of the room: what this process may hold before it measures again."""
_SPARED_S: Final = 3_600
"""What was fetched since then stays: somebody may be paging in it, and its room is what an hour's quota brings."""
_FULL: Final = 0.95
_MOST_AT_ONCE: Final = 500
"""Pages in one transaction: the head of the log is locked meanwhile."""
_BESIDE_BYTES: Final = 450
"""What a page takes beside its data, in rows and indexes: 441 and 455 measured on PostgreSQL and SQLite."""

_held, _tags = table(HeldPageRow), table(PageTagsRow)
_project, _credential = table(ProjectRow), table(CredentialRow)


@dataclass(frozen=True, slots=True)
class _Victim:
    """A page that is to go, as it was when that was decided."""

    is_fresh: bool
    fetched_us: int
    key: bytes
    size: int


def stored_bytes(conn: Connection) -> int:
    """What all held pages take in the database, about."""
    pages, sealed = conn.execute(sa.select(sa.func.count(), sa.func.sum(_held.c.size))).one()
    tags = conn.execute(sa.select(sa.func.sum(sa.func.length(_tags.c.tags)))).scalar_one()
    return int(sealed or 0) + int(tags or 0) + _BESIDE_BYTES * int(pages)


def is_short(conn: Connection, now_us: int, *, most_bytes: int, usual: UsualLifetimes) -> bool:
    """Whether answers go for want of room that an installation's usual times would still serve."""
    if not most_bytes or stored_bytes(conn) < most_bytes * _FULL:
        return False
    oldest_us = conn.execute(sa.select(sa.func.min(_held.c.fetched_us))).scalar_one()
    return oldest_us is not None and oldest_us > now_us - usual.settled_s * 1_000_000


class HeldRoom:
    """Looks every minute whether pages have to go, so that those held take `most_bytes` (0: as many as they want).

    `sealed` tells how many bytes of pages this process has sealed since it began: with little of it, and within the
    hour, nothing is measured.
    """

    def __init__(
        self,
        *,
        database: Database,
        boot: Boot,
        most_bytes: int,
        usual: UsualLifetimes,
        sealed: Callable[[], int],
    ) -> None:
        self._database = database
        self._boot = boot
        self._usual = usual
        self._sealed = sealed
        self._rounds_left = 0
        self._sealed_then = 0
        self.most_bytes = most_bytes
        self.stored_bytes: int | None = None
        """What the pages took when this process looked last."""
        self.evicted: dict[str, int] = {"over": 0, "fresh": 0}
        """Pages that this process has had go: those past their time, and those that were not."""
        self.rounds = Rounds(self._look, every_s=_EVERY_S, failed="held pages could not be made fewer")

    async def sweep(self) -> int:
        """How many pages went, since all of them took more than they may."""
        stored = await self._database.read(stored_bytes)
        went, surplus = 0, stored - self.most_bytes if self.most_bytes else 0
        while surplus > 0 and not self.rounds.is_ending:
            size, count = await self._make_room(surplus)
            if not size:
                break
            went += count
            surplus, stored = surplus - size, stored - size
        self.stored_bytes = stored
        return went

    async def _make_room(self, surplus: int) -> tuple[int, int]:
        """How many bytes are free now, and how many pages this process deleted for it."""
        victims = await self._database.read(lambda conn: self._victims(conn, surplus))
        if not victims:
            return 0, 0
        _, count = await self._database.write(
            lambda conn: self._delete(conn, victims), committed=lambda done: done[0].committed()
        )
        # What another process was faster with is gone as well.
        return sum(each.size for each in victims), count

    async def _look(self) -> None:
        grown, self._rounds_left = self._sealed() - self._sealed_then, self._rounds_left - 1
        if self._rounds_left >= 0 and (not self.most_bytes or grown < self.most_bytes // _GROWTH):
            return
        self._rounds_left, self._sealed_then = _MEASURED_EVERY, self._sealed_then + grown
        await self.sweep()

    def _victims(self, conn: Connection, surplus: int) -> Sequence[_Victim]:
        """Pages that go next: so many that they make up for the surplus, and no more than one transaction takes."""
        now_us = self._database.now_us(conn)
        choices = _choices(conn)
        scopes = conn.execute(sa.select(_held.c.scope).distinct()).scalars().all()
        over = {scope: self._is_over(choices.get(scope, [ReuseChoices()]), now_us) for scope in scopes}
        oldest = [each for scope in scopes for each in _oldest(conn, scope, over[scope], is_fresh=False)]
        if not oldest:
            may_go = _held.c.fetched_us <= now_us - _SPARED_S * 1_000_000
            oldest = [each for scope in scopes for each in _oldest(conn, scope, may_go, is_fresh=True)]
        return list(_enough(sorted(oldest, key=attrgetter("fetched_us"))[:_MOST_AT_ONCE], surplus))

    def _is_over(self, choices: Sequence[ReuseChoices], now_us: int) -> sa.ColumnElement[bool]:
        """Whether a page is served to none of those who chose so any more, unless nothing can be fetched."""
        lasting = defaultdict[int, list[str]](list)
        for name in ENDPOINTS:
            lasting[max(longest_s(name, each, self._usual) for each in choices)].append(name)
        return sa.or_(
            sa.false(),
            *(
                sa.and_(_held.c.endpoint.in_(names), _held.c.fetched_us <= now_us - seconds * 1_000_000)
                for seconds, names in lasting.items()
            ),
        )

    def _delete(self, conn: Connection, victims: Sequence[_Victim]) -> tuple[LockedHead, int]:
        head = lock_head(conn, self._database, self._boot)
        as_seen = {(each.key, each.fetched_us): each for each in victims}
        found = conn.execute(
            sa.select(_held.c.key, _held.c.fetched_us, _held.c.scope).where(
                _held.c.key.in_([each.key for each in victims])
            )
        ).all()
        # One that was fetched anew in the meantime is another.
        doomed = [row for row in found if (bytes(row.key), row.fetched_us) in as_seen]
        for scope in sorted({row.scope for row in doomed}):
            of_scope = [row for row in doomed if row.scope == scope]
            pages, records = delete_pages(conn, [row.key for row in of_scope])
            oldest_us = min(row.fetched_us for row in of_scope)
            head.stage(deleted(scope, rule=HELD_ROOM, pages=pages, records=records, oldest_us=oldest_us))
        if doomed:
            head.write()
        for row in doomed:
            is_fresh = as_seen[bytes(row.key), row.fetched_us].is_fresh
            self.evicted["fresh" if is_fresh else "over"] += 1
        return head, len(doomed)


def _choices(conn: Connection) -> Mapping[str, Sequence[ReuseChoices]]:
    """What those chose who share a scope, by scope."""
    found = defaultdict[str, list[ReuseChoices]](list)
    eras = {row.id: row.held_era for row in conn.execute(sa.select(_credential.c.id, _credential.c.held_era))}
    for row in conn.execute(sa.select(_project).where(_project.c.retired_us.is_(None))):
        credential = row.credential_id
        is_shared = row.cache_scope == "credential"
        own = held_scope("project", row.id, row.held_era)
        scope = held_scope("credential", credential, eras[credential]) if is_shared else own
        found[scope].append(reuse_choices(row.reuse))
    return found


def _oldest(
    conn: Connection, scope: str, condition: sa.ColumnElement[bool], *, is_fresh: bool
) -> Iterator[_Victim]:
    asked = (
        sa.select(_held.c.key, _held.c.fetched_us, _held.c.records, _held.c.size)
        .where(_held.c.scope == scope, condition)
        .order_by(_held.c.fetched_us)
        .limit(_MOST_AT_ONCE)
    )
    for key, fetched_us, records, sealed in conn.execute(asked):
        # A tag for a record and one for its author: to add them up exactly would mean to read them.
        size = (sealed or 0) + 2 * TAG_BYTES * records + _BESIDE_BYTES
        yield _Victim(is_fresh=is_fresh, fetched_us=fetched_us, key=bytes(key), size=size)


def _enough(oldest: Sequence[_Victim], surplus: int) -> Iterator[_Victim]:
    """The first of them that make up for the surplus together."""
    for each in oldest:
        if surplus <= 0:
            return
        surplus -= each.size
        yield each
