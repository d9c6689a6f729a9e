"""The stored log as the verifier reads it: every row as it is, whatever it may have become.

On SQLite texts are read as bytes, since a changed byte may leave something that is no text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.changes import Actor
from app.administration.reading import reading
from app.audit.facts import FACT_NAMES
from app.audit.offline import (
    Columns,
    Evidence,
    Facts,
    Head,
    Report,
    Row,
    Verification,
    Vkey,
    read_evidence,
    verify_export,
)
from app.errors import BadSetting, LogBroken, NotReady, Unavailable
from app.identity.roles import Act
from app.storage.engines import Database
from app.storage.log import Boot, append
from app.storage.tables import AboutRow, EntryRow, FactRow, HeadRow, TreeNodeRow, table

_AT_ONCE: Final = 5_000
"""Rows that are read with one statement: the database waits for the next no longer than it allows."""
_head, _entry, _fact, _about, _node = (
    table(row) for row in (HeadRow, EntryRow, FactRow, AboutRow, TreeNodeRow)
)
_NUMBERS: Final = frozenset({"ix", "ts_us", "requests", "records"})


def stored_head(conn: Connection) -> Head:
    """What the log says of itself. Raises NotReady."""
    row = conn.execute(sa.select(_head.c.checkpoint, _head.c.min_index)).one_or_none()
    if row is None:
        raise NotReady("The database has no log yet: run `bursar init`.")
    nodes = {(each.level, each.ix): bytes(each.hash) for each in conn.execute(sa.select(_node))}
    return Head(bytes(row.checkpoint), row.min_index, nodes, has_nodes=True)


def stored_rows(conn: Connection, report: Report) -> Iterator[Row]:
    """Every entry, by rising index, with its search columns; those of no entry are problems."""
    facts_of = _reader(conn, _fact, ("ix", *FACT_NAMES))
    tags_of = _reader(conn, _about, ("ix", "tag"))
    entries_after = _reader(conn, _entry, ("ix", "id", "type", "ts_us", "leaf", "leaf_hash"), limit=_AT_ONCE)
    last = -(2**63)
    while rows := entries_after(last, 2**63 - 1):
        first, last = last, rows[-1][0]
        facts = {row[0]: row[1:] for row in facts_of(first, last)}
        tags: dict[int, list[object]] = {}
        for index, tag in tags_of(first, last):
            tags.setdefault(index, []).append(tag)
        for index, entry_id, kind, ts_us, leaf, leaf_hash in rows:
            about = tuple(sorted(map(str, tags.pop(index, ()))))
            mine: Facts | None = facts.pop(index, None)
            columns = Columns(_text(entry_id), _text(kind), ts_us, mine, about)
            yield Row(index, bytes(leaf or b""), bytes(leaf_hash or b""), columns)
        _name_orphans(report, [*facts, *tags])
    for rest in (facts_of, tags_of):
        _name_orphans(report, [row[0] for row in rest(last, 2**63 - 1)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is to be looked at beside the database, or in its place."""

    export: Path | None = None
    receipts: Path | None = None
    anchors: tuple[Path, ...] = ()

    def named(self) -> dict[str, bool | int]:
        """What of it there is, as the log keeps it: no path, which may name people."""
        return {
            "export": self.export is not None,
            "receipts": self.receipts is not None,
            "anchors": len(self.anchors),
        }


async def verify_log(
    database: Database,
    boot: Boot,
    actor: Actor,
    kept: Kept,
    *,
    lease_s: int,
    progress: Callable[[int, int], None],
) -> Report:
    """What the stored log comes to, or an export of it; that it was looked at is an entry first.

    A log that can no longer be appended to is verified all the same, and the report says so. `progress` is
    told how many entries of how many are done. Raises NotPermitted, NotReady, BadSetting, Unreadable.
    """
    draft = reading(actor, "audit.verify", kept.named(), act=Act.VERIFY_LOG)
    note = None
    try:
        await append(database, boot, [draft])
    except (LogBroken, Unavailable) as error:
        note = f"this verification could not be logged: {error.message}"
    origin = await database.read(lambda conn: conn.execute(sa.select(_head.c.origin)).scalar_one_or_none())
    if boot.signer is None or origin is None:
        raise BadSetting("The log's key is not at hand, so its signature cannot be checked.")
    mine = Vkey(origin, boot.signer.verifier(origin).public)
    if kept.export is not None:
        report = verify_export(
            kept.export,
            keys=[mine],
            receipts=kept.receipts,
            anchors=kept.anchors,
            lease_s=lease_s,
            progress=progress,
        )
    else:
        early = Report()
        evidence = read_evidence([mine.public], early, receipts=kept.receipts, anchors=kept.anchors)
        report = await database.read(
            lambda conn: verify_stored(conn, mine, evidence, early, lease_s=lease_s, progress=progress)
        )
    if note is not None:
        report.notes.append(note)
    return report


def verify_stored(
    conn: Connection,
    key: Vkey,
    evidence: Evidence,
    early: Report,
    *,
    lease_s: int,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """What the stored log comes to, beside what others kept of it; `early` is what was found in reading that."""
    verification = Verification(stored_head(conn), [key.public], evidence, lease_s=lease_s)
    report = verification.report
    report.keys, report.key_source = [key.text], "log.key"
    report.take_over(early)
    verification.take_all(stored_rows(conn, report), progress)
    return verification.finish()


def _name_orphans(report: Report, indexes: Sequence[int]) -> None:
    for index in sorted(set(indexes)):
        report.add("columns", index, "there are search columns for an entry that is not there")


Reader = Callable[[int, int], Sequence[Any]]


def _reader(conn: Connection, source: sa.Table, names: Sequence[str], *, limit: int | None = None) -> Reader:
    """Reads the rows whose index is above one and at most another, by rising index, texts decoded."""
    columns = [source.c[name] for name in names]
    is_bytes = conn.dialect.name == "sqlite"
    shown = [
        sa.type_coerce(sa.cast(each, sa.LargeBinary), sa.LargeBinary)
        if is_bytes and each.name not in _NUMBERS
        else each
        for each in columns
    ]
    asked = (
        sa.select(*shown)
        .where(source.c.ix > sa.bindparam("after"), source.c.ix <= sa.bindparam("until"))
        .order_by(source.c.ix)
    )
    if limit is not None:
        asked = asked.limit(limit)

    def read(after: int, until: int) -> Sequence[Any]:
        rows = conn.execute(asked, {"after": after, "until": until}).all()
        if source is _entry or not is_bytes:
            return rows
        return [tuple(_text(each) for each in row) for row in rows]

    return read


def _text(value: object) -> Any:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
