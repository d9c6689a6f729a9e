"""The Merkle tree of RFC 6962, section 2.1 (unchanged in RFC 9162): leaves and nodes hash differently.

Only the frontier is kept: the roots of the perfect subtrees that the leaves so far make up, one for each
1 in the binary form of their number, so at most 64 hashes for any size.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from app.errors import LogBroken

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of a tree without leaves, MTH({}) of RFC 6962, section 2.1."""

_KEPT_LEVELS: Final = 8
_SIZE_BYTES: Final = 8
_SUM_BYTES: Final = 32


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 over 00 and the leaf's stored bytes (32 bytes)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 over 01 and the two children's hashes (32 bytes)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves, as the roots of its perfect subtrees from the largest to the smallest.

    Raises LogBroken when made from a number of hashes, or hashes of a length, that no tree has.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size < 1 << (8 * _SIZE_BYTES):
            raise LogBroken(f"A tree cannot have {self.size} leaves.")
        if len(self.hashes) != self.size.bit_count():
            raise LogBroken(f"A tree of {self.size} leaves cannot have {len(self.hashes)} subtrees.")
        if any(len(subtree) != HASH_BYTES for subtree in self.hashes):
            raise LogBroken(f"A hash of the tree does not have {HASH_BYTES} bytes.")

    def append(self, leaf: bytes) -> "Frontier":
        """The tree with one more leaf, given by its `leaf_hash`; this one stays as it is."""
        return self.extend((leaf,))

    def extend(
        self, leaves: Iterable[bytes], *, keep: Callable[[int, int, bytes], None] | None = None
    ) -> "Frontier":
        """The tree with these leaf hashes appended in order; this one stays as it is.

        `keep` is told of each subtree of 2^8, 2^16, ... leaves that this completes: its level, its number
        from the left, and its root.
        """
        size, stack = self.size, list(self.hashes)
        sha256 = hashlib.sha256
        for leaf in leaves:
            subtree = leaf
            # Each trailing 1 of the size is a perfect subtree of the same height, to be joined on the left.
            carried, level = size, 0
            while carried & 1:
                subtree = sha256(b"\x01" + stack.pop() + subtree).digest()
                carried >>= 1
                level += 1
                if keep is not None and level % _KEPT_LEVELS == 0:
                    keep(level, carried, subtree)
            stack.append(subtree)
            size += 1
        return Frontier(size, tuple(stack))

    def root(self) -> bytes:
        """The tree's root hash, MTH of RFC 6962, section 2.1 (32 bytes)."""
        if not self.hashes:
            return EMPTY_ROOT
        subtrees = reversed(self.hashes)
        root = next(subtrees)
        for left in subtrees:
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """The size in 8 bytes, the hashes, and a SHA-256 over both, for `from_bytes`."""
        body = self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.hashes)
        return body + hashlib.sha256(body).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The frontier that `to_bytes` wrote. Raises LogBroken if a single bit is not as it was written.

        The sum finds damage, not forgery: only a signed root shows that the tree is the right one.
        """
        body, found = data[:-_SUM_BYTES], data[-_SUM_BYTES:]
        if len(body) < _SIZE_BYTES or hashlib.sha256(body).digest() != found:
            raise LogBroken("The stored frontier of the log is damaged.")
        packed = body[_SIZE_BYTES:]
        hashes = tuple(packed[start : start + HASH_BYTES] for start in range(0, len(packed), HASH_BYTES))
        return cls(int.from_bytes(body[:_SIZE_BYTES], "big"), hashes)
