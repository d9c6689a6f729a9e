"""Epochs: what a log is called after it lost entries, and what then still holds.

A log that was restored from an old backup has fewer entries than it has signed for. Under its old origin it
must never sign again, since two trees of one size would then stand against each other. An operator opens a
new epoch: the tree goes on over the entries that were restored, under a new origin (`name`, then `name/2`,
`name/3`, ...), and its first entry says what was lost.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.audit.entries import Value
from app.audit.notes import Checkpoint

EPOCH: Final = "epoch"
"""The type of an epoch's first entry."""

# A deployment's own name ends in eight hexadecimal digits, so it is never taken for an epoch.
_NUMBERED: Final = re.compile(r"(.+)/([2-9]|[1-9][0-9]{1,3})")


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """An origin as the log's own name and the number of its epoch, the first being 1."""

    base: str
    epoch: int

    @classmethod
    def parse(cls, origin: str) -> "Name":
        """`example.edu/bursar/1a2b3c4d/2` is the second epoch of `example.edu/bursar/1a2b3c4d`."""
        found = _NUMBERED.fullmatch(origin)
        return cls(origin, 1) if found is None else cls(found[1], int(found[2]))

    @property
    def origin(self) -> str:
        """The name as checkpoints have it."""
        return self.base if self.epoch == 1 else f"{self.base}/{self.epoch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """The epoch of `origin`, begun by entry `ix`: of what was known up to `known` leaves, `agreed` are still there.

    Leaves from `agreed` on that the epoch before signed for are lost. `beyond` has, by origin, how many leaves
    older epochs had that no epoch had told of until then.
    """

    number: int
    origin: str
    ix: int
    agreed: int
    known: int
    beyond: Mapping[str, int] = field(default_factory=dict)

    def tells_of(self, checkpoint: Checkpoint) -> bool:
        """Whether it tells that a tree of an older epoch, which the log does not hold, was lost."""
        return self.agreed < checkpoint.size <= self.known or checkpoint.size <= self.beyond.get(
            checkpoint.origin, 0
        )

    def told(self) -> dict[str, Value]:
        """As the epoch's first entry has it."""
        return {
            "number": self.number,
            "origin": self.origin,
            "restored_size": self.ix,
            "agreed": self.agreed,
            "known": self.known,
            "lost": max(0, self.known - self.agreed),
            "beyond": dict(self.beyond),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A log as it is: its origin and size, its epochs, and the root that its first leaves have."""

    origin: str
    size: int
    epochs: Sequence[Epoch]
    root_at: Callable[[int], bytes]


def order_of(checkpoint: Checkpoint) -> tuple[int, int]:
    """By this, checkpoints of one log stand in the order in which they were signed."""
    return Name.parse(checkpoint.origin).epoch, checkpoint.size


def lost_since(checkpoint: Checkpoint, history: History) -> Epoch | None:
    """The epoch that says what became of a tree which the log does not hold any more; None where it holds it,
    or where no epoch tells of so many leaves."""
    if not _is_before_a_loss(checkpoint, history):
        return None
    later = _later(checkpoint, history)
    return next((each for each in later if each.tells_of(checkpoint)), None)


def objection(checkpoint: Checkpoint, history: History) -> str | None:
    """What stands between the log and a checkpoint that was once signed; None where nothing does.

    Nothing does where the log's first leaves are those of the checkpoint, or an epoch tells that they were lost.
    """
    then, now = Name.parse(checkpoint.origin), Name.parse(history.origin)
    found: str | None
    if then.base != now.base:
        found = f"the database holds another log, {history.origin}"
    elif then.epoch > now.epoch:
        found = f"the database holds an earlier epoch, {history.origin}"
    else:
        found = _against(checkpoint, history, is_of_this_epoch=then.epoch == now.epoch)
    told = f"a checkpoint of {checkpoint.size} entries under {checkpoint.origin} is known"
    return None if found is None else f"{told}, and {found}"


def _against(checkpoint: Checkpoint, history: History, *, is_of_this_epoch: bool) -> str | None:
    agreed = min((each.agreed for each in _later(checkpoint, history)), default=history.size)
    if checkpoint.size <= agreed:
        is_so = history.root_at(checkpoint.size) == checkpoint.root
        return None if is_so else f"the log's first {checkpoint.size} entries are others"
    if is_of_this_epoch:
        return f"the log has {history.size}: entries were lost"
    return None if lost_since(checkpoint, history) else "no epoch tells that so many were lost"


def next_epoch(history: History, known: Sequence[Checkpoint]) -> Epoch | None:
    """The epoch to open, given every checkpoint that is known; None where the log holds all of them.

    Those of another log count for nothing.
    """
    name = Name.parse(history.origin)
    known = [each for each in known if Name.parse(each.origin).base == name.base]
    against = [each for each in known if objection(each, history) is not None]
    if not against:
        return None
    untold = [each for each in against if _is_before_a_loss(each, history)]
    beyond: dict[str, int] = {}
    for each in untold:
        beyond[each.origin] = max(each.size, beyond.get(each.origin, 0))
    newer = [each for each in against if each not in untold]
    # Where a tree of the same size or less differs, the log is only known to agree with what is smaller.
    forked = [
        each.size for each in newer if each.size <= history.size and history.root_at(each.size) != each.root
    ]
    agreed = history.size
    if forked:
        held = (each.size for each in known if each not in against and not lost_since(each, history))
        agreed = max((size for size in held if size < min(forked)), default=0)
    number = 1 + max(name.epoch, *(Name.parse(each.origin).epoch for each in known))
    return Epoch(
        number=number,
        origin=Name(name.base, number).origin,
        ix=history.size,
        agreed=agreed,
        known=max([history.size, *(each.size for each in newer)]),
        beyond=beyond,
    )


def _is_before_a_loss(checkpoint: Checkpoint, history: History) -> bool:
    """Whether an epoch says that so many leaves of the checkpoint's epoch are not there any more."""
    return any(each.agreed < checkpoint.size for each in _later(checkpoint, history))


def _later(checkpoint: Checkpoint, history: History) -> list[Epoch]:
    epoch = Name.parse(checkpoint.origin).epoch
    return [each for each in history.epochs if each.number > epoch]
