"""Receipts: an entry with what shows, offline, that the log holds it.

Form of C2SP tlog-proof: the entry's index, the way from its leaf to the root, and a signed checkpoint. The
leaf's own bytes are its `extra` line, so that the one file is all that need be kept; a reader must not
believe them before they hash to the leaf that is proven.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from app import exact_json
from app.audit.entries import Value
from app.audit.notes import Checkpoint, text_of
from app.audit.proofs import Hashes, consistency, inclusion, root_of
from app.ids import EntryId

TLOG_PROOF: Final = "c2sp.org/tlog-proof@v1"
"""The first line of a proof, which names its form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEntry:
    """Leaf number `index`, and its inclusion in the tree of the checkpoint that `note` signs.

    `leaf` is empty where the entry's content was pruned: its hash and its proof stay.
    """

    id: EntryId
    index: int
    leaf: bytes
    leaf_hash: bytes
    path: Sequence[bytes]
    note: bytes

    @property
    def entry(self) -> Mapping[str, Any]:
        """What the leaf says; nothing where its content was pruned."""
        return cast("Mapping[str, Any]", exact_json.loads(self.leaf)) if self.leaf else {}

    @property
    def proof(self) -> str:
        """The receipt as a C2SP tlog-proof, for a file ending in `.tlog-proof`."""
        extra = [f"extra {_base64(self.leaf)}"] if self.leaf else []
        lines = [TLOG_PROOF, *extra, f"index {self.index}", *map(_base64, self.path)]
        return "\n".join(lines) + "\n\n" + self.note.decode()

    def shown(self) -> dict[str, Value]:
        """The receipt as the API and `--json` give it."""
        checkpoint = Checkpoint.parse(text_of(self.note))
        return {
            "id": self.id,
            "index": self.index,
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "leaf_hash": self.leaf_hash.hex(),
            "pruned": not self.leaf,
            "leaf": _base64(self.leaf) if self.leaf else None,
            "entry": self.entry if self.leaf else None,
            "proof": self.proof,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenGrowth:
    """That the tree of the first `new` leaves begins with the tree of the first `old` ones.

    `note` is the newest signed checkpoint, whose tree is of `new` leaves or more.
    """

    old: int
    new: int
    old_root: bytes
    new_root: bytes
    path: Sequence[bytes]
    note: bytes

    def shown(self) -> dict[str, Value]:
        """The proof as the API and `--json` give it; hashes in base64, in the order of RFC 9162, 2.1.4.2."""
        return {
            "from": self.old,
            "to": self.new,
            "from_root": _base64(self.old_root),
            "to_root": _base64(self.new_root),
            "proof": [_base64(each) for each in self.path],
            "checkpoint": self.note.decode(),
        }


def prove_entry(
    hashes: Hashes, *, entry: EntryId, index: int, leaf: bytes, leaf_hash: bytes, note: bytes
) -> ProvenEntry:
    """The entry with its proof under the checkpoint in `note`, whose tree `hashes` makes up.

    Raises ValueError where that tree has no such leaf.
    """
    size = Checkpoint.parse(text_of(note)).size
    path = inclusion(hashes, index, size)
    return ProvenEntry(id=entry, index=index, leaf=leaf, leaf_hash=leaf_hash, path=path, note=note)


def prove_growth(hashes: Hashes, *, old: int, new: int, note: bytes) -> ProvenGrowth:
    """That the log only grew from `old` to `new` leaves. Raises ValueError where it was not of these sizes."""
    size = Checkpoint.parse(text_of(note)).size
    if not 0 <= old <= new <= size:
        raise ValueError(f"the log has {size} leaves, and the first size must not be above the second")
    return ProvenGrowth(
        old=old,
        new=new,
        old_root=root_of(hashes, 0, old),
        new_root=root_of(hashes, 0, new),
        path=consistency(hashes, old, new),
        note=note,
    )


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
