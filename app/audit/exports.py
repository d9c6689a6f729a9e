"""What an export consists of: the files of C2SP tlog-tiles, lines of columns and entries, and a signed manifest.

`docs/audit-format.md` describes the whole for readers; `app.audit.offline` reads it, sharing nothing with this.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.audit.canonical import encode
from app.audit.entries import Value
from app.audit.facts import FACT_NAMES
from app.audit.notes import Checkpoint, Signer, text_of
from app.audit.offline import Row

TILE: Final = 256
"""Hashes in a tile, and entries in a bundle."""
FORMATS: Final = ("tiles", "jsonl", "csv")
MANIFEST_LINE: Final = b"bursar-export/v1\n"
"""First line of the note that signs a manifest, so that it can be taken for no checkpoint."""


def tile_path(level: int | str, number: int, width: int = TILE) -> str:
    """Where a tile lies below the export; `level` may be `entries` (C2SP tlog-tiles: three digits a part)."""
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.insert(0, f"x{number % 1000:03d}")
    partial = "" if width == TILE else f".p/{width}"
    return f"tile/{level}/{'/'.join(parts)}{partial}"


def tiles_of(size: int, level: int) -> Iterator[tuple[int, int]]:
    """Number and width of every tile of a level, in a tree of `size` leaves."""
    full, rest = divmod(size >> (8 * level), TILE)
    yield from ((number, TILE) for number in range(full))
    if rest:
        yield full, rest


def bundle(leaves: Sequence[bytes]) -> bytes:
    """Entries one after the other, each after its length in two bytes; a pruned one has length 0."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def columns_line(row: Row) -> bytes:
    """The line of `columns.jsonl` for one entry."""
    columns = row.columns
    if columns is None:
        raise ValueError(f"entry {row.ix} was read without its columns")
    facts = (
        None
        if columns.facts is None
        else {name: fact for name, fact in zip(FACT_NAMES, columns.facts, strict=True) if fact is not None}
    )
    said: dict[str, object] = {
        "ix": row.ix,
        "id": columns.id,
        "type": columns.type,
        "ts_us": columns.ts_us,
        "leaf_hash": row.leaf_hash.hex(),
        "facts": facts,
        "about": columns.tags,
    }
    question, tags = columns.beside
    if question is not None:
        said["question"] = base64.b64encode(question).decode()
    if tags:
        said["about_more"] = tags
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def entry_line(row: Row) -> bytes:
    """The line of an entry: its index, its leaf hash, and the very bytes that were hashed (null: pruned)."""
    head = b'{"ix":%d,"leaf_hash":"%s","entry":' % (row.ix, row.leaf_hash.hex().encode())
    return head + (row.leaf or b"null") + b"}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an export holds; `files` are SHA-256 digests in hexadecimal by path."""

    format: str
    note: bytes
    min_index: int
    filter: Mapping[str, Value]
    entries: int
    created_us: int
    files: Mapping[str, str]

    def encoded(self) -> bytes:
        """The manifest's own bytes, canonical JSON."""
        checkpoint = Checkpoint.parse(text_of(self.note))
        said: dict[str, Value] = {
            "v": 1,
            "format": self.format,
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "min_index": self.min_index,
            "filter": self.filter,
            "entries": self.entries,
            "created_us": self.created_us,
        }
        # The list of files may be longer than an entry may be, so it is spelled by itself: its names are ASCII.
        files = json.dumps(dict(self.files), sort_keys=True, separators=(",", ":"))
        return encode(said)[:-1] + b',"files":' + files.encode() + b"}"


def sign_manifest(manifest: bytes, signer: Signer, origin: str) -> bytes:
    """The note in which the log's key vouches for a manifest."""
    return signer.sign(MANIFEST_LINE + hashlib.sha256(manifest).hexdigest().encode() + b"\n", origin)
