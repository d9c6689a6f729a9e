import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.audit.tree import EMPTY_ROOT, Frontier, leaf_hash, node_hash
from app.errors import LogBroken

# The eight leaves that Certificate Transparency implementations have shared since RFC 6962.
KNOWN_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
# Published with them: the roots after each leaf.
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def merkle_tree_hash(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 6962, section 2.1 defines it, by recursion."""
    match len(leaves):
        case 0:
            return hashlib.sha256().digest()
        case 1:
            return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    halves = merkle_tree_hash(leaves[:split]) + merkle_tree_hash(leaves[split:])
    return hashlib.sha256(b"\x01" + halves).digest()


def grown(leaves: Sequence[bytes]) -> Frontier:
    return Frontier().extend(map(leaf_hash, leaves))


def test_the_empty_tree_has_the_published_root() -> None:
    published = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Frontier().root() == EMPTY_ROOT == bytes.fromhex(published)


def test_the_eight_known_leaves_have_their_published_roots() -> None:
    frontier = Frontier()
    for count, root in enumerate(KNOWN_ROOTS, start=1):
        frontier = frontier.append(leaf_hash(KNOWN_LEAVES[count - 1]))
        assert frontier.size == count
        assert frontier.root().hex() == root
        assert merkle_tree_hash(KNOWN_LEAVES[:count]).hex() == root


def test_every_size_up_to_300_has_the_root_that_the_definition_gives() -> None:
    leaves = [str(number).encode() for number in range(300)]
    frontier = Frontier()
    for size in range(301):
        assert frontier.root() == merkle_tree_hash(leaves[:size])
        if size < 300:
            frontier = frontier.append(leaf_hash(leaves[size]))


@given(st.lists(st.binary(max_size=5), max_size=300))
@settings(deadline=None)
def test_any_leaves_have_the_root_that_the_definition_gives(leaves: list[bytes]) -> None:
    assert grown(leaves).root() == merkle_tree_hash(leaves)


@given(st.lists(st.binary(max_size=3), max_size=80), st.data())
def test_however_the_leaves_are_batched_the_tree_is_the_same(
    leaves: list[bytes], data: st.DataObject
) -> None:
    frontier, done = Frontier(), 0
    while done < len(leaves):
        batch = data.draw(st.integers(1, len(leaves) - done))
        frontier = frontier.extend(map(leaf_hash, leaves[done : done + batch]))
        done += batch
    assert frontier == grown(leaves)


@given(st.integers(0, 2**64 - 1), st.randoms(use_true_random=False))
def test_a_frontier_of_any_size_survives_being_stored(size: int, random: object) -> None:
    hashes = tuple(hashlib.sha256(bytes([place])).digest() for place in range(size.bit_count()))
    frontier = Frontier(size, hashes)
    assert Frontier.from_bytes(frontier.to_bytes()) == frontier


def test_flipping_any_bit_of_a_stored_frontier_is_refused() -> None:
    stored = grown(KNOWN_LEAVES[:7]).to_bytes()
    for bit in range(len(stored) * 8):
        damaged = bytearray(stored)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LogBroken):
            Frontier.from_bytes(bytes(damaged))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_frontier(data: bytes) -> None:
    with pytest.raises(LogBroken):
        Frontier.from_bytes(data)


@pytest.mark.parametrize(
    "body", [b"", b"\0" * 7, b"\0" * 7 + b"\1", b"\0" * 8 + b"x" * 32, b"\0" * 7 + b"\1x"]
)
def test_a_right_sum_over_a_wrong_frontier_is_refused(body: bytes) -> None:
    with pytest.raises(LogBroken):
        Frontier.from_bytes(body + hashlib.sha256(body).digest())


def test_any_prefix_of_a_stored_frontier_is_refused() -> None:
    stored = grown(KNOWN_LEAVES).to_bytes()
    for length in range(len(stored)):
        with pytest.raises(LogBroken):
            Frontier.from_bytes(stored[:length])


@pytest.mark.parametrize(
    ("size", "hashes"),
    [
        (-1, ()),
        (-1, (bytes(32),)),
        (2**64, (bytes(32),)),
        (3, (bytes(32),)),
        (0, (bytes(32),)),
        (1, (bytes(31),)),
    ],
)
def test_a_frontier_that_no_tree_has_cannot_be_made(size: int, hashes: tuple[bytes, ...]) -> None:
    with pytest.raises(LogBroken):
        Frontier(size, hashes)


def test_appending_leaves_the_older_frontier_as_it_was() -> None:
    older = grown(KNOWN_LEAVES[:3])
    root = older.root()
    older.append(leaf_hash(b"more"))
    assert older.root() == root
    assert older.size == 3


def test_a_node_is_never_taken_for_a_leaf() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
