"""Epochs: whatever was signed is still held, is told to be lost, or is found to be missing."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.epochs import Epoch, History, Name, lost_since, next_epoch, objection, order_of
from app.audit.notes import Checkpoint
from app.audit.tree import Frontier, leaf_hash

BASE = "example.edu/bursar/1a2b3c4d"


@dataclass
class Log:
    """A log that can be restored, and everything that it ever signed."""

    leaves: list[bytes] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    backups: list[tuple[list[bytes], list[Epoch]]] = field(default_factory=list)
    signed: list[tuple[Checkpoint, tuple[bytes, ...]]] = field(default_factory=list)
    count: int = 0

    @property
    def origin(self) -> str:
        return self.epochs[-1].origin if self.epochs else BASE

    @property
    def history(self) -> History:
        return History(
            origin=self.origin,
            size=len(self.leaves),
            epochs=tuple(self.epochs),
            root_at=lambda size: Frontier().extend(self.leaves[:size]).root(),
        )

    @property
    def known(self) -> list[Checkpoint]:
        return [checkpoint for checkpoint, _ in self.signed]

    def append(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            self.leaves.append(leaf_hash(b"%d" % self.count))
            root = Frontier().extend(self.leaves).root()
            self.signed.append((Checkpoint(self.origin, len(self.leaves), root), tuple(self.leaves)))

    def back_up(self) -> None:
        self.backups.append((list(self.leaves), list(self.epochs)))

    def restore(self, backup: int) -> None:
        leaves, epochs = self.backups[backup % len(self.backups)]
        self.leaves, self.epochs = list(leaves), list(epochs)

    def reopen(self) -> Epoch | None:
        epoch = next_epoch(self.history, self.known)
        if epoch is not None:
            self.epochs.append(epoch)
            self.append(1)
        return epoch


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("back up"), st.just(0)),
        st.tuples(st.just("restore"), st.integers(0, 5)),
        st.tuples(st.just("restore and go on unseen"), st.integers(0, 5)),
    ),
    max_size=14,
)


@given(STEPS)
def test_every_signed_tree_is_held_or_told_to_be_lost_or_missed(steps: list[tuple[str, int]]) -> None:
    log = Log()
    log.append(1)
    log.back_up()
    for what, number in steps:
        if what == "append":
            log.append(number)
        elif what == "back up":
            log.back_up()
        else:
            log.restore(number)
            if what != "restore":
                log.append(2)  # as somebody does who knows nothing of what was signed before
        missing = [tree for tree in log.signed if tree[1] != tuple(log.leaves[: len(tree[1])])]
        unexcused = [each for each, _ in missing if lost_since(each, log.history) is None]
        found = [each for each in log.known if objection(each, log.history) is not None]
        if unexcused:
            assert found
        epoch = log.reopen()
        assert (epoch is None) == (not found)
        for checkpoint, leaves in log.signed:
            assert objection(checkpoint, log.history) is None
            if lost_since(checkpoint, log.history) is None:
                assert tuple(log.leaves[: checkpoint.size]) == leaves


@given(STEPS)
def test_no_origin_signs_two_trees_of_one_size_unless_somebody_went_on_unseen(
    steps: list[tuple[str, int]],
) -> None:
    log = Log()
    log.append(1)
    log.back_up()
    for what, number in steps:
        if what == "append":
            log.append(number)
        elif what == "back up":
            log.back_up()
        else:
            log.restore(number)
            log.reopen()
    roots: dict[tuple[str, int], bytes] = {}
    for checkpoint in log.known:
        assert roots.setdefault((checkpoint.origin, checkpoint.size), checkpoint.root) == checkpoint.root


def test_an_epoch_excuses_no_more_than_was_known_when_it_began() -> None:
    log = Log()
    log.append(10)
    log.back_up()
    log.append(10)
    known, unknown = log.known[14], log.known[19]
    log.restore(0)
    epoch = next_epoch(log.history, [known])
    assert epoch is not None
    assert (epoch.number, epoch.origin, epoch.agreed, epoch.known) == (2, f"{BASE}/2", 10, 15)
    assert epoch.told()["lost"] == 5
    log.epochs.append(epoch)
    log.append(30)
    assert objection(known, log.history) is None
    assert "no epoch tells" in (objection(unknown, log.history) or "")
    second = next_epoch(log.history, [known, unknown])
    assert second is not None
    assert (second.number, second.agreed, second.known, second.beyond) == (3, 40, 40, {BASE: 20})
    log.epochs.append(second)
    log.append(1)
    assert [objection(each, log.history) for each in (known, unknown)] == [None, None]


@pytest.mark.parametrize(
    ("origin", "says"),
    [(f"{BASE}/2", "an earlier epoch"), ("example.edu/bursar/ffffffff", "another log")],
)
def test_a_checkpoint_of_elsewhere_is_objected_to(origin: str, says: str) -> None:
    log = Log()
    log.append(3)
    assert says in (objection(Checkpoint(origin, 1, bytes(32)), log.history) or "")


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        (BASE, Name(BASE, 1)),
        (f"{BASE}/2", Name(BASE, 2)),
        (f"{BASE}/12", Name(BASE, 12)),
        ("localhost/bursar/12345678", Name("localhost/bursar/12345678", 1)),
        ("example.edu/log/1", Name("example.edu/log/1", 1)),
        ("example.edu/log/02", Name("example.edu/log/02", 1)),
        ("example.edu/log/10000", Name("example.edu/log/10000", 1)),
    ],
)
def test_an_origin_is_a_name_and_an_epoch(origin: str, name: Name) -> None:
    assert Name.parse(origin) == name
    assert name.origin == origin


def test_checkpoints_are_ordered_as_they_were_signed() -> None:
    early, late = Checkpoint(BASE, 100, bytes(32)), Checkpoint(f"{BASE}/2", 80, bytes(32))
    assert order_of(early) < order_of(late)
