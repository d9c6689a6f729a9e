"""Proofs against the definitions of RFC 6962, read off the standard one by one."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.proofs import consistency, inclusion, root_of
from app.audit.tree import Frontier, leaf_hash


def mth(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _k(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = _k(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], *, b: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if b else [mth(leaves)]
    k = _k(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], b=b), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], b=False), mth(leaves[:k])]


def _k(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


class Kept:
    """What the log keeps: leaf hashes, and the subtrees that appending completed."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.rows: dict[tuple[int, int], bytes] = {(0, place): leaf for place, leaf in enumerate(leaves)}
        self.read = 0
        Frontier().extend(leaves, keep=lambda level, place, root: self.rows.update({(level, place): root}))

    def nodes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        self.read += end - start
        return [self.rows[level, place] for place in range(start, end)]


LEAVES = [leaf_hash(b"%d" % number) for number in range(70_000)]


@given(st.integers(1, 700), st.data())
def test_an_inclusion_proof_is_the_path_of_the_standard(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    assert inclusion(Kept(LEAVES[:size]), index, size) == path(index, LEAVES[:size])


@given(st.integers(1, 700), st.data())
def test_a_consistency_proof_is_the_one_of_the_standard(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    expected = [] if old == size else subproof(old, LEAVES[:size], b=True)
    assert consistency(Kept(LEAVES[:size]), old, size) == expected


def test_proofs_in_an_older_tree_can_be_made_of_a_newer_ones_hashes() -> None:
    kept = Kept(LEAVES[:700])
    for size in (1, 2, 255, 256, 257, 511, 512, 513, 699):
        assert root_of(kept, 0, size) == Frontier().extend(LEAVES[:size]).root() == mth(LEAVES[:size])
        assert inclusion(kept, size - 1, size) == path(size - 1, LEAVES[:size])


def test_a_proof_in_a_long_log_reads_few_hashes() -> None:
    kept = Kept(LEAVES)
    assert root_of(kept, 0, len(LEAVES)) == Frontier().extend(LEAVES).root()
    kept.read = 0
    inclusion(kept, 12_345, len(LEAVES))
    assert kept.read < 1_000


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 5), (5, 5)])
def test_there_is_no_proof_for_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="leaves"):
        inclusion(Kept(LEAVES[:5]), index, size)


def test_trees_that_say_nothing_of_each_other_have_empty_proofs() -> None:
    kept = Kept(LEAVES[:5])
    assert consistency(kept, 0, 5) == consistency(kept, 5, 5) == []
    for old in (6, -1):
        with pytest.raises(ValueError, match="does not begin"):
            consistency(kept, old, 5)


def test_a_log_of_nothing_has_the_root_of_nothing() -> None:
    assert root_of(Kept(()), 0, 0) == mth(())
