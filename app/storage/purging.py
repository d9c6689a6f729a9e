"""Held pages counted, and deleted because somebody asks for it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.changes import Actor
from app.administration.purging import Doomed, HeldFigures, Purged, purged_entry
from app.audit.entries import Value
from app.ids import owner_of
from app.storage.engines import Database
from app.storage.held_room import stored_bytes
from app.storage.log import Boot, LockedHead, lock_head, lock_moment
from app.storage.pages import SqlPages
from app.storage.tables import HeldPageRow, PageTagsRow, table
from app.storage.tagged import count_pages, delete_pages, note_gone, tagged

_MOST_AT_ONCE: Final = 500
"""Pages in one transaction: the head of the log is locked meanwhile."""
_held, _tags = table(HeldPageRow), table(PageTagsRow)
_Tags = Sequence[Collection[bytes]]


class SqlHeld:
    """The port over SQL; `pages` know the keys that tags are made with."""

    def __init__(self, *, database: Database, boot: Boot, pages: SqlPages) -> None:
        self._database = database
        self._boot = boot
        self._pages = pages

    async def figures(self) -> Sequence[HeldFigures]:
        """What is held, by scope and endpoint."""
        return await self._database.read(_figures)

    async def stored_bytes(self) -> int:
        """What all of it takes in the database, about."""
        return await self._database.read(stored_bytes)

    async def count(self, doomed: Doomed) -> Mapping[str, Purged]:
        """What `purge` would delete now; see `Held`."""
        tags = await self._tags_of(doomed)

        def counted(conn: Connection) -> dict[str, Purged]:
            found: dict[str, Purged] = {}
            for scope, groups in tags.items():
                pages, records = count_pages(conn, _doomed_keys(conn, scope, doomed, groups, most=None))
                if pages:
                    found[scope] = Purged(pages=pages, records=records)
            return found

        return await self._database.read(counted)

    async def purge(self, doomed: Doomed, actor: Actor, told: Mapping[str, Value]) -> Purged:
        """Delete those pages in parts, each with its entries; see `Held`."""
        tags = await self._tags_of(doomed)
        # What is on its way with one of the names is not held either; the last group's are enough to know it by.
        named = {scope: groups[-1] for scope, groups in tags.items() if groups}
        await self._database.write(
            lambda conn: note_gone(conn, named, told_us=lock_moment(conn, self._database))
        )
        total = Purged(pages=0, records=0)
        while True:
            some = await self._purge_some(doomed, tags, actor, told, is_first=not total.pages)
            if not some.pages:
                return total
            total = Purged(pages=total.pages + some.pages, records=total.records + some.records)

    async def _tags_of(self, doomed: Doomed) -> dict[str, _Tags]:
        """By scope that is meant, the tags of which a page has to have one of each group."""
        scopes = await self._database.read(_scopes)
        return {
            scope: await self._pages.tags_of(scope, doomed.names)
            for scope in scopes
            if doomed.owners is None or owner_of(scope) in doomed.owners
        }

    async def _purge_some(
        self,
        doomed: Doomed,
        tags: Mapping[str, _Tags],
        actor: Actor,
        told: Mapping[str, Value],
        *,
        is_first: bool,
    ) -> Purged:
        """What one transaction deletes; if the first finds nothing, an entry says that as well."""

        def work(conn: Connection) -> tuple[LockedHead, Purged]:
            head = lock_head(conn, self._database, self._boot)
            done = _delete_some(conn, doomed, tags)
            if done:
                # Whatever is at hand in any process is read anew.
                head.change_directory()
            elif is_first:
                done = {"": Purged(pages=0, records=0)}
            for scope, of_scope in done.items():
                head.stage(purged_entry(actor, scope, told, of_scope))
            if done:
                head.write()
            all_of_it = done.values()
            return head, Purged(
                pages=sum(each.pages for each in all_of_it), records=sum(each.records for each in all_of_it)
            )

        return (await self._database.write(work, committed=lambda each: each[0].committed()))[1]


def _delete_some(conn: Connection, doomed: Doomed, tags: Mapping[str, _Tags]) -> dict[str, Purged]:
    """What was deleted of each scope, in all at most what one transaction takes."""
    done: dict[str, Purged] = {}
    left = _MOST_AT_ONCE
    for scope, groups in tags.items():
        keys = _doomed_keys(conn, scope, doomed, groups, most=_MOST_AT_ONCE)[:left]
        if keys:
            pages, records = delete_pages(conn, keys)
            done[scope] = Purged(pages=pages, records=records)
            left -= pages
        if left <= 0:
            break
    return done


def _doomed_keys(
    conn: Connection, scope: str, doomed: Doomed, groups: _Tags, *, most: int | None
) -> list[bytes]:
    """Keys of pages that are meant, each once; so many or a few more where there are as many."""
    of_scope = sa.select(_held.c.key).where(_held.c.scope == scope)
    if doomed.endpoint is not None:
        of_scope = of_scope.where(_held.c.endpoint == doomed.endpoint)
    if not groups:
        return list(conn.execute(of_scope.limit(most)).scalars())
    named = set(tagged(conn, scope, groups))
    # A page without tags is of an older release: nobody can say whom it is about.
    untagged = of_scope.where(_held.c.records > 0, _held.c.key.not_in(sa.select(_tags.c.key)))
    found = list(conn.execute(untagged.limit(most)).scalars())
    if doomed.endpoint is None:
        return [*found, *named]
    return [*found, *(key for key in conn.execute(of_scope).scalars() if key in named)]


def _scopes(conn: Connection) -> Sequence[str]:
    return conn.execute(sa.select(_held.c.scope).distinct().order_by(_held.c.scope)).scalars().all()


def _figures(conn: Connection) -> list[HeldFigures]:
    asked = sa.select(
        _held.c.scope,
        _held.c.endpoint,
        sa.func.count().label("pages"),
        sa.func.sum(_held.c.records).label("records"),
        sa.func.sum(_held.c.size).label("sealed_bytes"),
        sa.func.min(_held.c.fetched_us).label("oldest_us"),
        sa.func.max(_held.c.fetched_us).label("newest_us"),
    ).group_by(_held.c.scope, _held.c.endpoint)
    return [
        HeldFigures(
            scope=row.scope,
            endpoint=row.endpoint,
            pages=row.pages,
            records=int(row.records),
            sealed_bytes=int(row.sealed_bytes or 0),
            oldest_us=row.oldest_us,
            newest_us=row.newest_us,
        )
        for row in conn.execute(asked)
    ]
