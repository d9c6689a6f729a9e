"""Held pages found by whom and what they are about.

Each page has one row of short keyed hashes, one after the other, and whoever looks for some of them reads the rows of
a scope: a row more is all that holding a page costs, and looking is rare. Two names meet in one tag of six bytes once
in 2^48; a page that goes for it is fetched again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.cache.pages import Holding
from app.ids import new_entry_id
from app.storage.prepared import Prepared
from app.storage.tables import GoneRow, HeldPageRow, PageTagsRow, table

TAG_BYTES: Final = 6
_MOST_IN_SQL: Final = 8
"""Tags that the database looks for itself; more of them are found faster in what it has."""
_AT_ONCE: Final = 500
_ON_ITS_WAY_US: Final = 3_600_000_000
"""For how long a call can have been under way, at the very most."""
_held, _tags, _gone = table(HeldPageRow), table(PageTagsRow), table(GoneRow)
_GONE = Prepared(
    sa.select(_gone.c.scope, _gone.c.tags, _gone.c.told_us).where(_gone.c.told_us >= sa.bindparam("since_us"))
)


@dataclass(frozen=True, slots=True)
class Gone:
    """What the platform said at `told_us` that it has no longer, as pages of a scope are tagged with it."""

    scope: str
    tags: frozenset[bytes]
    told_us: int

    def is_on(self, holding: Holding, *, opened_us: int) -> bool:
        """Whether the call that brought that page was opened before it said so, and has brought some of it."""
        is_older = opened_us <= self.told_us
        return is_older and self.scope == holding.scope and not self.tags.isdisjoint(_each(holding.tags))


def note_gone(conn: Connection, tags: Mapping[str, Collection[bytes]], *, told_us: int) -> None:
    """Keep from being held what the platform was asked for before `told_us` and has one of these tags, by scope.

    In a transaction that keeps others from writing into the log: a page lands before it, and is found, or after it.
    """
    conn.execute(sa.delete(_gone).where(_gone.c.told_us < told_us - _ON_ITS_WAY_US))
    rows = [
        {"id": new_entry_id(), "scope": scope, "tags": b"".join(some), "told_us": told_us}
        for scope, some in tags.items()
    ]
    if rows:
        conn.execute(sa.insert(_gone), rows)


def gone_since(conn: Connection, since_us: int, scopes: Collection[str]) -> Sequence[Gone]:
    """What was noted since, in these scopes."""
    rows = _GONE.rows(conn, {"since_us": since_us}) if scopes else ()
    return [Gone(scope, frozenset(_each(tags)), told_us) for scope, tags, told_us in rows if scope in scopes]


def tagged(conn: Connection, scope: str, groups: Sequence[Collection[bytes]]) -> list[bytes]:
    """The keys of the scope's pages that have a tag of each group."""
    of_scope = sa.select(_tags.c.key, _tags.c.tags).where(_tags.c.scope == scope)
    if sum(map(len, groups)) <= _MOST_IN_SQL:
        has = _has_in[conn.dialect.name]
        asked = of_scope.where(*(sa.or_(sa.false(), *map(has, group)) for group in groups))
        return [row.key for row in conn.execute(asked)]
    wanted = [frozenset(group) for group in groups]
    return [
        key
        for key, tags in conn.execute(of_scope)
        if all(not group.isdisjoint(_each(tags)) for group in wanted)
    ]


def count_pages(conn: Connection, keys: Sequence[bytes]) -> tuple[int, int]:
    """How many pages and records are held under these keys."""
    pages = records = 0
    for start in range(0, len(keys), _AT_ONCE):
        some = _held.c.key.in_(keys[start : start + _AT_ONCE])
        counted = conn.execute(sa.select(sa.func.count(), sa.func.sum(_held.c.records)).where(some)).one()
        pages, records = pages + int(counted[0]), records + int(counted[1] or 0)
    return pages, records


def delete_pages(conn: Connection, keys: Sequence[bytes]) -> tuple[int, int]:
    """How many pages and records were deleted; their tags go with them."""
    pages, records = count_pages(conn, keys)
    for start in range(0, len(keys), _AT_ONCE):
        conn.execute(sa.delete(_held).where(_held.c.key.in_(keys[start : start + _AT_ONCE])))
    return pages, records


def _each(tags: bytes) -> Iterator[bytes]:
    return (tags[start : start + TAG_BYTES] for start in range(0, len(tags), TAG_BYTES))


def _bytes(tag: bytes) -> sa.BindParameter[bytes]:
    return sa.literal(tag, sa.LargeBinary())


_has_in: Final = {
    "sqlite": lambda tag: sa.func.instr(_tags.c.tags, _bytes(tag)) > 0,
    "postgresql": lambda tag: sa.func.position(_bytes(tag).op("IN")(_tags.c.tags)) > 0,
}
