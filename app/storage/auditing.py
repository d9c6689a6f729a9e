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
    Beside,
    Columns,
    Evidence,
    Facts,
    Head,
    NotAsItShouldBe,
    Report,
    Row,
    Verification,
    Vkey,
    read_checkpoint,
    read_evidence,
    verify_export,
)
from app.errors import BadSetting, LogBroken, NotReady, Unavailable
from app.identity.roles import Act
from app.storage.engines import Database
from app.storage.log import Boot, append
from app.storage.tables import (
    AboutRow,
    EntryRow,
    FactRow,
    FurtherAboutRow,
    HeadRow,
    SealedQuestionRow,
    TreeNodeRow,
    table,
)

_AT_ONCE: Final = 5_000
"""Rows that are read with one statement: the database waits for the next no longer than it allows."""
_head, _entry, _fact, _about, _node = (
    table(row) for row in (HeadRow, EntryRow, FactRow, AboutRow, TreeNodeRow)
)
_further, _question = table(FurtherAboutRow), table(SealedQuestionRow)
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
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
    stored = StoredRows(conn)
    last = _LOWEST
    while True:
        rows, orphans = stored.between(last, _HIGHEST, limit=_AT_ONCE)
        _name_orphans(report, orphans)
        if not rows:
            return
        last = rows[-1].ix
        yield from rows


class StoredRows:
    """Reads entries with their search columns and tags, as they are."""

    def __init__(self, conn: Connection) -> None:
        self._entries = _Columns(conn, _entry, ("ix", "id", "type", "ts_us", "leaf", "leaf_hash"))
        self._facts = _Columns(conn, _fact, ("ix", *FACT_NAMES))
        self._tags = _Columns(conn, _about, ("ix", "tag"))
        self._more = _Columns(conn, _further, ("ix", "tag"))
        self._questions = _Columns(conn, _question, ("ix", "nonce", "ct"))

    def between(self, after: int, until: int, *, limit: int) -> tuple[list[Row], list[int]]:
        """At most so many entries above one index, up to and with another; and indexes that have columns alone."""
        entries = self._entries.between(after, until, limit=limit)
        # The last part looks beyond the last entry, where nothing should be.
        until = entries[-1][0] if len(entries) == limit else until
        beside = (self._facts, self._tags, self._more, self._questions)
        return _joined(entries, *(each.between(after, until) for each in beside))

    def at(self, places: Sequence[int]) -> list[Row]:
        """The entries of these indexes, by rising index."""
        beside = (self._facts, self._tags, self._more, self._questions)
        rows, _ = _joined(self._entries.at(places), *(each.at(places) for each in beside))
        return rows


def _joined(
    entries: Sequence[Any],
    facts_rows: Sequence[Any],
    tag_rows: Sequence[Any],
    more_rows: Sequence[Any],
    questions: Sequence[Any],
) -> tuple[list[Row], list[int]]:
    facts: dict[int, Facts] = {row[0]: tuple(map(_text, row[1:])) for row in facts_rows}
    tags, more = _by_index(tag_rows), _by_index(more_rows)
    sealed = {ix: bytes(nonce) + bytes(ct) for ix, nonce, ct in questions}
    rows = []
    for index, entry_id, kind, ts_us, leaf, leaf_hash in entries:
        beside = Beside(sealed.pop(index, None), tuple(more.pop(index, ())))
        about = tuple(sorted(tags.pop(index, ())))
        columns = Columns(_text(entry_id), _text(kind), ts_us, facts.pop(index, None), about, beside)
        rows.append(Row(index, bytes(leaf or b""), bytes(leaf_hash or b""), columns))
    return rows, [*facts, *tags, *more, *sealed]


def _by_index(rows: Sequence[Any]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for index, tag in rows:
        found.setdefault(index, []).append(str(_text(tag)))
    return found


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
    keys = [Vkey(origin, each.public) for each in boot.signer.verifiers(origin)]
    known = [Vkey(origin, each.public) for each in boot.signer.known(origin)]
    if kept.export is not None:
        report = verify_export(
            kept.export,
            keys=known,
            receipts=kept.receipts,
            anchors=kept.anchors,
            lease_s=lease_s,
            progress=progress,
        )
    else:
        early = Report()
        publics = [each.public for each in known]
        evidence = read_evidence(publics, early, receipts=kept.receipts, anchors=kept.anchors)
        report = await database.read(
            lambda conn: verify_stored(
                conn, keys, evidence, early, former=known[len(keys) :], lease_s=lease_s, progress=progress
            )
        )
    if note is not None:
        report.notes.append(note)
    return report


def verify_stored(
    conn: Connection,
    keys: Sequence[Vkey],
    evidence: Evidence,
    early: Report,
    *,
    former: Sequence[Vkey] = (),
    lease_s: int,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """What the stored log comes to, beside what others kept of it; `early` is what was found in reading that.

    One of `keys` must have signed the head; `former` ones count for what is older.
    """
    head = stored_head(conn)
    publics = [each.public for each in (*keys, *former)]
    verification = Verification(head, publics, evidence, lease_s=lease_s)
    report = verification.report
    report.keys, report.key_source = [each.text for each in keys], "log.key"
    report.take_over(early)
    if former and verification.checkpoint is not None:
        try:
            read_checkpoint(head.note, publics[: len(keys)])
        except NotAsItShouldBe:
            report.add("signature", None, "the head of the log is signed by a former key alone")
    verification.take_all(stored_rows(conn, report), progress)
    return verification.finish()


def _name_orphans(report: Report, indexes: Sequence[int]) -> None:
    for index in sorted(set(indexes)):
        report.add("columns", index, "there are search columns for an entry that is not there")


class _Columns:
    """Reads some columns of one table by its index; on SQLite texts come as bytes."""

    def __init__(self, conn: Connection, source: sa.Table, names: Sequence[str]) -> None:
        self._conn = conn
        self._ix = source.c.ix
        is_bytes = conn.dialect.name == "sqlite"
        shown = [
            sa.cast(source.c[name], sa.LargeBinary) if is_bytes and name not in _NUMBERS else source.c[name]
            for name in names
        ]
        self._asked = sa.select(*shown).order_by(self._ix)
        self._between = self._asked.where(self._ix > sa.bindparam("after"), self._ix <= sa.bindparam("until"))

    def between(self, after: int, until: int, *, limit: int | None = None) -> Sequence[Any]:
        asked = self._between if limit is None else self._between.limit(limit)
        return self._conn.execute(asked, {"after": after, "until": until}).all()

    def at(self, places: Sequence[int]) -> Sequence[Any]:
        return self._conn.execute(self._asked.where(self._ix.in_(places))).all()


def _text(value: object) -> Any:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
