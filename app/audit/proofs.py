"""Proofs of RFC 6962: that a leaf is in a tree (2.1.1), and that one tree begins another (2.1.2).

A proof is made of the roots of subtrees. Those of 256, 65,536, ... leaves are kept, so that a proof in a log
of ten million leaves reads about a thousand hashes instead of all.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from app.audit.tree import EMPTY_ROOT, node_hash

TILE_LEVELS = 8
"""Subtrees of 2^8, 2^16, ... leaves are kept, as C2SP tlog-tiles cuts its tiles."""


class Hashes(Protocol):
    """Stored hashes; all that is asked for is there, since proofs are made of trees that were signed."""

    def nodes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """The roots of complete subtrees of 2^level leaves, numbered from `start` to before `end`.

        `level` is a multiple of 8; level 0 are the leaf hashes.
        """
        ...


def root_of(hashes: Hashes, start: int, end: int) -> bytes:
    """The root of the tree over leaves `start` to before `end`: MTH of section 2.1 over that range."""
    count = end - start
    if count == 0:
        return EMPTY_ROOT
    level = _kept_level(start, end)
    if level is None:
        split = _split(count)
        return node_hash(root_of(hashes, start, start + split), root_of(hashes, start + split, end))
    row = list(hashes.nodes(level, start >> level, end >> level))
    return _joined(row)


def inclusion(hashes: Hashes, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of section 2.1.1, the nearest hash first. Raises ValueError outside the tree."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has none of number {index}")
    return [root_of(hashes, start, end) for start, end in _beside(index, 0, size)]


def consistency(hashes: Hashes, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]) of section 2.1.2; empty where one of the trees is empty or both are the same.

    Raises ValueError where the older tree is the larger.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {old} leaves does not begin one of {new}")
    if old in {0, new}:
        return []
    return [root_of(hashes, start, end) for start, end in _between(old, 0, new, is_whole=True)]


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _kept_level(start: int, end: int) -> int | None:
    """The highest kept level of which the range is a row that makes one perfect subtree; None: split it."""
    count = end - start
    if count & (count - 1) or start % count:
        return None
    height = count.bit_length() - 1
    return height - height % TILE_LEVELS


def _joined(row: list[bytes]) -> bytes:
    while len(row) > 1:
        row = [node_hash(row[place], row[place + 1]) for place in range(0, len(row), 2)]
    return row[0]


def _beside(index: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The ranges beside the way from the leaf to the root, the nearest first."""
    if end - start == 1:
        return
    middle = start + _split(end - start)
    if index < middle:
        yield from _beside(index, start, middle)
        yield middle, end
    else:
        yield from _beside(index, middle, end)
        yield start, middle


def _between(old: int, start: int, end: int, *, is_whole: bool) -> Iterator[tuple[int, int]]:
    """The ranges of SUBPROOF; `is_whole` while the old tree's own root is known to whoever checks."""
    if old == end:
        if not is_whole:
            yield start, end
        return
    middle = start + _split(end - start)
    if old <= middle:
        yield from _between(old, start, middle, is_whole=is_whole)
        yield middle, end
    else:
        yield from _between(old, middle, end, is_whole=False)
        yield start, middle
