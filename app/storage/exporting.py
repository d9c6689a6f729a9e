"""Exports of the log: read in parts, written so that a broken run goes on where it stopped, and signed.

Every part is read in a snapshot of its own, all below one size that is fixed at the start: entries never
change, so the parts fit together. What was exported, and how much, is an entry before and another after.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.changes import Actor
from app.administration.reading import reading
from app.audit.entries import Value
from app.audit.exports import (
    FORMATS,
    TILE,
    Manifest,
    bundle,
    columns_line,
    entry_line,
    sign_manifest,
    tile_path,
    tiles_of,
)
from app.audit.filters import Filter
from app.audit.notes import Checkpoint, Signer, text_of
from app.audit.offline import Row
from app.audit.sheets import entry_row, header_line
from app.errors import BadSetting, Conflict, InvalidParams, StoreUnavailable
from app.storage.auditing import StoredRows
from app.storage.engines import Database
from app.storage.log import Boot, append
from app.storage.searching import find_places, index_at
from app.storage.tables import EntryRow, FactRow, HeadRow, TreeNodeRow, table

Progress = Callable[[int, int], None]

RENEWED: Final = "log_key.renewed"
"""What an entry is called that holds a note by which a key of the log vouches for the next one."""

_AT_ONCE: Final = 16 * TILE
"""Entries in one part: with sealed questions some 5 MB."""
_UNFINISHED: Final = "export.part.json"
_NOT_SIGNED: Final = frozenset({"anchors", "receipts", "export.json", "export.note", _UNFINISHED})
_head, _entry, _node, _fact = table(HeadRow), table(EntryRow), table(TreeNodeRow), table(FactRow)
_HASHES: Final = (
    sa.select(_entry.c.ix, _entry.c.leaf_hash)
    .where(_entry.c.ix >= sa.bindparam("first"), _entry.c.ix < sa.bindparam("end"))
    .order_by(_entry.c.ix)
)
_RENEWALS: Final = (
    sa.select(_entry.c.leaf)
    .join(_fact, _fact.c.ix == _entry.c.ix)
    .where(_fact.c.op == RENEWED)
    .order_by(_entry.c.ix)
)
_NODES: Final = (
    sa.select(_node.c.ix, _node.c.hash)
    .where(
        _node.c.level == sa.bindparam("level"),
        _node.c.ix >= sa.bindparam("first"),
        _node.c.ix < sa.bindparam("end"),
    )
    .order_by(_node.c.ix)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries: all that meet the filter in the log as `note` signs it; `places` where it is no range."""

    note: bytes
    min_index: int
    first: int
    end: int
    places: Sequence[int] | None

    @property
    def checkpoint(self) -> Checkpoint:
        """The log's size and root when the export began."""
        return Checkpoint.parse(text_of(self.note))

    @property
    def count(self) -> int:
        """How many entries there are to export."""
        return self.end - self.first if self.places is None else len(self.places)


def select(conn: Connection, wanted: Filter) -> Selection:
    """The entries of the log as it is now that meet the filter. Raises StoreUnavailable before the first."""
    head = conn.execute(sa.select(_head.c.checkpoint, _head.c.min_index)).one()
    if not head.checkpoint:
        raise StoreUnavailable("The log has not been signed yet; its next entry will sign it.")
    return select_of(conn, wanted, note=bytes(head.checkpoint), min_index=head.min_index)


def select_of(conn: Connection, wanted: Filter, *, note: bytes, min_index: int) -> Selection:
    """The entries that met the filter when the log was what `note` signs."""
    size = Checkpoint.parse(text_of(note)).size
    first = 0 if wanted.since_us is None else index_at(conn, wanted.since_us, size)
    end = size if wanted.until_us is None else index_at(conn, wanted.until_us, size)
    places: list[int] | None = None
    if replace(wanted, since_us=None, until_us=None) != Filter():
        places, before = [], size
        while part := find_places(conn, wanted, before=before, limit=_AT_ONCE):
            places += part
            before = part[-1]
        places.reverse()
    return Selection(note=note, min_index=min_index, first=first, end=max(first, end), places=places)


def part_of(conn: Connection, selection: Selection, done: int) -> list[Row]:
    """The next entries of a selection of which so many have been taken; none at its end."""
    stored = StoredRows(conn)
    if selection.places is not None:
        return stored.at(selection.places[done : done + _AT_ONCE])
    first = selection.first + done
    end = min(first + _AT_ONCE, selection.end)
    rows, _ = stored.between(first - 1, end - 1, limit=_AT_ONCE)
    there = {row.ix: row for row in rows}
    # A row that is lost leaves its place empty, and whoever verifies the export is told so.
    return [there.get(index) or Row(index, b"", bytes(32), None) for index in range(first, end)]


async def lines_of(database: Database, selection: Selection, kind: str) -> AsyncIterator[tuple[int, bytes]]:
    """The selection as `jsonl` or `csv`, part by part, each with how many entries there have been after it."""
    if kind == "csv":
        yield 0, header_line()
    done = 0
    while done < selection.count:
        part = await database.read(lambda conn, at=done: _lines(part_of(conn, selection, at), kind))  # type: ignore[misc]
        done = min(done + _AT_ONCE, selection.count)
        yield done, part


def _lines(rows: Sequence[Row], kind: str) -> bytes:
    write = entry_row if kind == "csv" else entry_line
    return b"".join(write(row) for row in rows if row.columns is not None)


def said(kind: str, wanted: Filter, **more: Value) -> dict[str, Value]:
    """What an `audit_read` entry tells of an export."""
    return {"format": kind, **wanted.said(), **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A finished export; `manifest_sha256` is what its note vouches for."""

    entries: int
    size: int
    manifest_sha256: str
    has_resumed: bool


async def export_log(
    database: Database,
    boot: Boot,
    actor: Actor,
    to: Path,
    *,
    kind: str,
    wanted: Filter,
    progress: Progress,
) -> Exported:
    """Write an export into the directory `to`, or go on with the one that was broken off there.

    Raises InvalidParams for a format that is none, or a filter on tiles, which are the whole log; Conflict
    where something else is there; NotPermitted, NotReady, StoreUnavailable.
    """
    if kind not in FORMATS:
        raise InvalidParams(f"The format is one of {', '.join(FORMATS)}, not {kind!a}.", rule="request")
    if kind == "tiles" and wanted != Filter():
        raise InvalidParams("Tiles are the whole log; filter jsonl or csv.", rule="request")
    if boot.signer is None:
        raise BadSetting("The log's key is not at hand, so an export cannot be signed.")
    unfinished = _unfinished(to, kind, wanted)
    draft = reading(actor, "audit.export", said(kind, wanted, resumed=unfinished is not None))
    await append(database, boot, [draft])
    if unfinished is None:
        selection = await database.read(lambda conn: select(conn, wanted))
    else:
        note, min_index = str(unfinished["note"]).encode(), int(unfinished["min_index"])
        selection = await database.read(lambda conn: select_of(conn, wanted, note=note, min_index=min_index))
    writing = _Writing(
        database=database, to=to, kind=kind, wanted=wanted, selection=selection, progress=progress
    )
    await writing.write(unfinished or {})
    exported = await writing.sign(boot.signer)
    exported = replace(exported, has_resumed=unfinished is not None)
    more = said(kind, wanted, entries=exported.entries, manifest_sha256=exported.manifest_sha256)
    await append(database, boot, [reading(actor, "audit.exported", more)])
    return exported


def renewals_of(conn: Connection) -> list[str]:
    """The notes by which keys of the log vouched for the next one, the oldest first; those that were pruned are gone."""
    leaves = (bytes(leaf) for (leaf,) in conn.execute(_RENEWALS) if leaf)
    return [str(json.loads(leaf)["renewed"]["note"]) for leaf in leaves]


def _unfinished(to: Path, kind: str, wanted: Filter) -> Mapping[str, Any] | None:
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return None
    try:
        found: dict[str, Any] = json.loads((to / _UNFINISHED).read_bytes())
    except (OSError, ValueError) as error:
        raise Conflict(f"{to} exists already and is no export that could be gone on with.") from error
    if (found.get("format"), found.get("filter")) != (kind, dict(wanted.said())):
        raise Conflict(
            f"{to} holds the beginning of another export: give its format and filters, or another place."
        )
    return found


class _Writing:
    """Writes one export; what has been written is noted after each part."""

    def __init__(
        self,
        *,
        database: Database,
        to: Path,
        kind: str,
        wanted: Filter,
        selection: Selection,
        progress: Progress,
    ) -> None:
        self._database = database
        self._to = to
        self._kind = kind
        self._wanted = wanted
        self._selection = selection
        self._progress = progress
        self._lines_name = "columns.jsonl" if kind == "tiles" else f"entries.{kind}"

    async def write(self, unfinished: Mapping[str, Any]) -> None:
        """Write all but the manifest."""
        self._to.mkdir(parents=True, exist_ok=True)
        if not unfinished:
            self._keep(0, 0)
        await self._hashes()
        await self._entries(int(unfinished.get("done", 0)), int(unfinished.get("bytes", 0)))

    def _keep(self, done: int, written: int) -> None:
        state = {
            "format": self._kind,
            "filter": self._wanted.said(),
            "note": self._selection.note.decode(),
            "min_index": self._selection.min_index,
            "done": done,
            "bytes": written,
        }
        _replace(self._to / _UNFINISHED, json.dumps(state).encode())

    async def _hashes(self) -> None:
        size = self._selection.checkpoint.size
        level = 0
        while size >> (8 * level):
            for number, width in tiles_of(size, level):
                path = self._to / tile_path(level, number, width)
                if not path.exists():
                    first = number * TILE
                    data = await self._database.read(
                        lambda conn, at=(level, first, first + width): _tile(conn, *at)  # type: ignore[misc]
                    )
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _replace(path, data)
            level += 1

    async def _entries(self, done: int, written: int) -> None:
        selection = self._selection
        with (self._to / self._lines_name).open("ab") as lines:
            lines.truncate(written)
            lines.seek(written)
            if not written and self._kind == "csv":
                lines.write(header_line())
            while done < selection.count:
                rows = await self._database.read(lambda conn, at=done: part_of(conn, selection, at))  # type: ignore[misc]
                await asyncio.to_thread(self._write_part, lines, rows)
                done += len(rows)
                self._keep(done, lines.tell())
                self._progress(done, selection.count)

    def _write_part(self, lines: BinaryIO, rows: Sequence[Row]) -> None:
        if self._kind == "tiles":
            for start in range(0, len(rows), TILE):
                self._write_bundle(rows[start : start + TILE])
            lines.writelines(columns_line(row) for row in rows if row.columns is not None)
        else:
            lines.write(_lines(rows, self._kind))
        lines.flush()
        os.fsync(lines.fileno())

    def _write_bundle(self, rows: Sequence[Row]) -> None:
        if rows[-1].ix < self._selection.min_index:
            return
        path = self._to / tile_path("entries", rows[0].ix // TILE, len(rows))
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, bundle([row.leaf or b"" for row in rows]))

    async def sign(self, signer: Signer) -> Exported:
        """Write the checkpoint, the key and the signed manifest over all files; the export is whole then."""
        selection = self._selection
        checkpoint = selection.checkpoint
        now_us, min_index = await self._database.read(
            lambda conn: (
                self._database.now_us(conn),
                conn.execute(sa.select(_head.c.min_index)).scalar_one(),
            )
        )
        if min_index != selection.min_index:
            raise Conflict("The log was pruned while it was exported. Remove the directory and begin anew.")
        (self._to / "checkpoint").write_bytes(selection.note)
        keys = signer.known(checkpoint.origin)
        (self._to / "log.vkey").write_text("".join(f"{each.vkey}\n" for each in keys))
        renewals = await self._database.read(renewals_of)
        if renewals:
            (self._to / "renewals.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in renewals))
        files = await asyncio.to_thread(_digests, self._to)
        manifest = Manifest(
            format=self._kind,
            note=selection.note,
            min_index=selection.min_index,
            filter=self._wanted.said(),
            entries=selection.count,
            created_us=now_us,
            files=files,
        ).encoded()
        (self._to / "export.note").write_bytes(sign_manifest(manifest, signer, checkpoint.origin))
        _replace(self._to / "export.json", manifest)
        for name in ("anchors", "receipts"):
            (self._to / name).mkdir(exist_ok=True)
        (self._to / _UNFINISHED).unlink()
        return Exported(
            entries=selection.count,
            size=checkpoint.size,
            manifest_sha256=hashlib.sha256(manifest).hexdigest(),
            has_resumed=False,
        )


def _tile(conn: Connection, level: int, first: int, end: int) -> bytes:
    asked: dict[str, int] = {"first": first, "end": end}
    if level:
        rows = conn.execute(_NODES, {**asked, "level": 8 * level}).all()
    else:
        rows = conn.execute(_HASHES, asked).all()
    there = {row[0]: bytes(row[1]) for row in rows}
    return b"".join((there.get(index, b"") + bytes(32))[:32] for index in range(first, end))


def _replace(path: Path, data: bytes) -> None:
    """Have the file there as a whole, or not at all."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(data)
    fresh.replace(path)


def _digests(place: Path) -> dict[str, str]:
    found = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if path.is_file() and name.partition("/")[0] not in _NOT_SIGNED:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
