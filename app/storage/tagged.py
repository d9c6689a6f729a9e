"""Held pages found by whom and what they are about.

Each page has one row of short keyed hashes, one after the other, and whoever looks for some of them reads the rows of
a scope: a row more is all that holding a page costs, and looking is rare. Two names meet in one tag of six bytes once
in 2^48; a page that goes for it is fetched again.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.tables import HeldPageRow, PageTagsRow, table

TAG_BYTES: Final = 6
_MOST_IN_SQL: Final = 8
"""Tags that the database looks for itself; more of them are found faster in what it has."""
_AT_ONCE: Final = 500
_held, _tags = table(HeldPageRow), table(PageTagsRow)


def scopes_with_tags(conn: Connection) -> Sequence[str]:
    """The scopes of which tagged pages are held."""
    return conn.execute(sa.select(_tags.c.scope).distinct().order_by(_tags.c.scope)).scalars().all()


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
