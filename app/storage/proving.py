"""Proofs from the stored log: its hashes, its newest checkpoint, and receipts for its entries.

Every function is one of a connection, to be called in one `read`: head, entry and hashes are then of one
moment, and the checkpoint is of the very tree that the hashes make up.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.filters import Filter
from app.audit.receipts import ProvenEntry, ProvenGrowth, prove_entry, prove_growth
from app.errors import InvalidParams, LogBroken, NotFound, StoreUnavailable
from app.ids import EntryId
from app.storage.searching import find_places
from app.storage.tables import EntryRow, HeadRow, TreeNodeRow, table

_head, _entry, _node = table(HeadRow), table(EntryRow), table(TreeNodeRow)
_NOTE: Final = sa.select(_head.c.checkpoint)
_AT_ONCE: Final = 500
_ROW: Final = sa.select(_entry).where(_entry.c.ix == sa.bindparam("ix"))
_LEAF_HASHES: Final = (
    sa.select(_entry.c.leaf_hash)
    .where(_entry.c.ix >= sa.bindparam("since"), _entry.c.ix < sa.bindparam("until"))
    .order_by(_entry.c.ix)
)
_KEPT_ROOTS: Final = (
    sa.select(_node.c.hash)
    .where(
        _node.c.level == sa.bindparam("level"),
        _node.c.ix >= sa.bindparam("since"),
        _node.c.ix < sa.bindparam("until"),
    )
    .order_by(_node.c.ix)
)


class StoredHashes:
    """The hashes that proofs are made of, as the database keeps them; see `app.audit.proofs.Hashes`."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def nodes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """The roots of complete subtrees of 2^level leaves. Raises LogBroken where one is missing."""
        asked = {"since": start, "until": end}
        rows = (
            self._conn.execute(_LEAF_HASHES, asked)
            if level == 0
            else self._conn.execute(_KEPT_ROOTS, {**asked, "level": level})
        )
        found = [bytes(row[0]) for row in rows]
        if len(found) != end - start:
            raise LogBroken(f"The log has lost hashes of level {level} between {start} and {end}.")
        return found


def newest_note(conn: Connection) -> bytes:
    """The newest signed checkpoint, as a note. Raises StoreUnavailable while nothing has been signed yet."""
    note = conn.execute(_NOTE).scalar_one_or_none()
    if not note:
        raise StoreUnavailable("The log has not been signed yet; its next entry will sign it.")
    return bytes(note)


def read_receipt(conn: Connection, entry: str) -> ProvenEntry | None:
    """The receipt of the entry of that id under the newest checkpoint; None where there is no such entry."""
    asked = sa.select(_entry.c.ix, _entry.c.leaf, _entry.c.leaf_hash).where(_entry.c.id == entry)
    row = conn.execute(asked).one_or_none()
    if row is None:
        return None
    return prove_entry(
        StoredHashes(conn),
        entry=EntryId(entry),
        index=row.ix,
        leaf=bytes(row.leaf),
        leaf_hash=bytes(row.leaf_hash),
        note=newest_note(conn),
    )


def receipt_of(conn: Connection, entry: str) -> ProvenEntry:
    """As `read_receipt`; raises NotFound where there is no such entry."""
    found = read_receipt(conn, entry)
    if found is None:
        raise NotFound(f"The log has no entry {entry}.")
    return found


def receipts_of(conn: Connection, wanted: Filter) -> list[ProvenEntry]:
    """Receipts of all entries that meet the filter, the oldest first, under one checkpoint."""
    places: list[int] = []
    while part := find_places(conn, wanted, before=places[-1] if places else None, limit=_AT_ONCE):
        places += part
    note, hashes = newest_note(conn), StoredHashes(conn)
    found = []
    for place in reversed(places):
        row = conn.execute(_ROW, {"ix": place}).one()
        found.append(
            prove_entry(
                hashes,
                entry=EntryId(row.id),
                index=place,
                leaf=bytes(row.leaf),
                leaf_hash=bytes(row.leaf_hash),
                note=note,
            )
        )
    return found


def read_growth(conn: Connection, *, old: int, new: int | None) -> ProvenGrowth:
    """That the log only grew from `old` leaves to `new` (None: all there are). Raises InvalidParams."""
    note = newest_note(conn)
    size = int(conn.execute(sa.select(_head.c.size)).scalar_one())
    try:
        return prove_growth(StoredHashes(conn), old=old, new=size if new is None else new, note=note)
    except ValueError as error:
        raise InvalidParams(f"There is no such proof: {error}.", rule="request") from error
