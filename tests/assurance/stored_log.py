"""A log that an installation has written, taken out of its database to be tampered with in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.engine import Connection

from app.audit.offline import (
    Columns,
    Copied,
    Evidence,
    Head,
    Report,
    Row,
    Verification,
    facts_of,
    leaf_hash,
    read_entry,
    tags_of,
)
from app.storage.auditing import stored_head, stored_rows
from app.storage.engines import open_database


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    """Rows and head as they are stored, and the public key; `known` are leaf hashes that somebody copied."""

    rows: Sequence[Row]
    head: Head
    key: bytes
    known: Sequence[bytes] = field(default=())

    def having(self, rows: Sequence[Row], head: Head | None = None) -> "StoredLog":
        return replace(self, rows=tuple(rows), head=head or self.head)

    def verified(self, evidence: Evidence | None = None) -> Report:
        evidence = evidence or Evidence()
        if self.known:
            evidence.copies.append(Copied("a copy", iter(self.known)))
        verification = Verification(self.head, [self.key], evidence)
        verification.take_all(sorted(self.rows, key=lambda row: row.ix))
        return verification.finish()


async def read_log(database_url: str, key: bytes) -> StoredLog:
    """The log as it is now."""
    database = open_database(database_url)

    def work(conn: Connection) -> StoredLog:
        report = Report()
        rows = tuple(stored_rows(conn, report))
        assert report.problems == []
        return StoredLog(rows=rows, head=stored_head(conn), key=key)

    try:
        return await database.read(work)
    finally:
        await database.close()


def row_of(index: int, leaf: bytes) -> Row:
    """A row that agrees with itself."""
    entry: dict[str, Any] = read_entry(leaf)
    columns = Columns(entry["id"], entry["type"], entry["ts_us"], facts_of(entry), tags_of(entry))
    return Row(index, leaf, leaf_hash(leaf), columns)


def named(report: Report) -> set[int]:
    """The entries that a report names."""
    return {problem.ix for problem in report.problems if problem.ix is not None}
