"""What an entry of the log is, before and after it has its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.ids import EntryId, new_entry_id

Value = str | int | bool | None | Sequence["Value"] | Mapping[str, "Value"]

ENTRY_VERSION = 1
"""Value of an entry's `v`; it changes when a field changes its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptQuestion:
    """What of a sealed question found no room in its entry: the ciphertext, tags, or both; never in the clear."""

    nonce: bytes = b""
    ct: bytes = field(default=b"", repr=False)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry that has not yet been placed: the log adds version, time, boot and sequence.

    `type` is one of intent, outcome, decision, admin, auth, audit_read, heartbeat, reject_batch. `fields` holds only what
    `canonical.encode` takes, and never a secret, a token, a raw address or a request body.
    """

    type: str
    fields: Mapping[str, Value]
    id: EntryId = field(default_factory=new_entry_id)
    kept: KeptQuestion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """An entry's place in the log of `origin`: leaf number `index` of a tree that then had `size` leaves."""

    id: EntryId
    index: int
    size: int
    leaf_hash: bytes
    ts_us: int
    origin: str
