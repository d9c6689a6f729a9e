"""Limits that count for less than a day: the rolling minute, and calls under way at once.

They are a courtesy among people who share a credential, not a budget: what they count may be lost with the
process or the server that counts it, and comes back within a minute. Budgets of days are the ledger's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType, TracebackType
from typing import Final, Protocol, Self

from app.quota.arithmetic import Dimension, Exhausted, Limit, Room, Standing, limit_name

MINUTE_S: Final = 60.0

Amounts = Mapping[Dimension, int]
"""How much of each dimension a call takes, or came to."""

Wanted = Mapping[Limit, int]
"""What a call takes of each short limit that it is held to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Nothing was taken, because at least one limit had too little room.

    Of several it is the one that frees last; `frees_in_s` is when it will have room for this call if nobody
    else takes it, None where nobody can know. `standings` are those of every short limit of the call.
    """

    exhausted: Exhausted
    frees_in_s: float | None
    standings: tuple[Standing, ...]


class Hold:
    """What a call has taken of its short limits; leave it once, as a context.

    Whoever leaves without `keep` gives everything back, whatever the reason. Calls under way are given back
    in any case. Leaving does not wait, so it can be done while a task is being cancelled.
    """

    __slots__ = ("_kept", "_release", "_wanted", "standings")

    def __init__(
        self,
        wanted: Wanted,
        standings: tuple[Standing, ...],
        release: Callable[[Wanted], None],
    ) -> None:
        self._wanted = wanted
        self._release = release
        self._kept: Amounts = _NOTHING
        self.standings = standings
        """Where the limits stand with this call in them."""

    def keep(self, amounts: Amounts) -> None:
        """Leave what the call came to in the windows of a minute, and give the rest back."""
        self._kept = amounts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wanted:
            kept = {limit: _kept_of(limit, self._kept) for limit in self._wanted}
            if kept != self._wanted:
                self._release(kept)


class ShortWindows(Protocol):
    """Counts short limits for every process that shares them."""

    async def take(self, wanted: Wanted) -> Hold | Busy:
        """Take every amount of every limit, or none, in one step that all processes see.

        A minute is rolling: at no time do the last sixty seconds hold more than the limit. What a process
        that died held is given back without it. Never raises and never waits for long: an adapter whose
        server is away counts on its own, for this process's share.
        """
        ...


def wanted_of(limits: Iterable[Limit], amounts: Amounts) -> Wanted:
    """What a call that takes `amounts` takes of each of the short limits."""
    return {limit: amounts[limit.dimension] for limit in limits if amounts.get(limit.dimension)}


def refusal(rooms: Sequence[tuple[Room, float | None]], wanted: Wanted) -> tuple[Exhausted, float | None]:
    """Which limit to name of those that have too little room, and when it frees; see `Busy`."""
    short = [each for each in rooms if each[0].left < wanted[each[0].limit]]
    last, frees_in_s = max(short, key=lambda each: -1.0 if each[1] is None else each[1])
    others = tuple(room for room, _ in rooms if room is not last)
    return (
        Exhausted(limit=last.limit, wanted=wanted[last.limit], left=last.left, others=others),
        frees_in_s,
    )


def explain_busy(busy: Busy, elsewhere: Iterable[Standing]) -> str:
    """For the caller: which short limit has no room, when it comes back, and what is left elsewhere."""
    exhausted = busy.exhausted
    limit = exhausted.limit
    left = [f"{limit_name(room.limit)} {room.left}" for room in exhausted.others]
    left += [f"{limit_name(each.limit)} {each.left}" for each in elsewhere]
    if limit.window is None:
        said = (
            f"Too many calls at once: limit {limit_name(limit)} is {limit.amount}, and as many are under way. "
            "It comes back as soon as one of them is answered."
        )
    else:
        seconds = ceil(MINUTE_S if busy.frees_in_s is None else busy.frees_in_s)
        said = (
            f"Too fast: limit {limit_name(limit)} of {limit.amount} has {exhausted.left} left and this call needs "
            f"{exhausted.wanted}. It comes back in {max(1, seconds)} s."
        )
    return said + (f" Left in other limits: {', '.join(left)}." if left else "")


def _kept_of(limit: Limit, kept: Amounts) -> int:
    return 0 if limit.window is None else kept.get(limit.dimension, 0)


_NOTHING: Final[Amounts] = MappingProxyType({})
_NO_WANTS: Final[Wanted] = MappingProxyType({})

NOT_HELD: Final = Hold(_NO_WANTS, (), lambda _: None)
"""For a call without short limits."""
