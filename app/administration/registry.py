"""The port through which administration reads and changes the directory."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from app.administration.changes import Actor, Plan
from app.administration.savings import Given
from app.administration.state import State
from app.quota.arithmetic import Use
from app.quota.mirror import Mirror

T = TypeVar("T")

CounterSlot = tuple[str, str, str]
"""Scope kind, scope id and dimension."""

EARLIER = dt.date.min
"""Stands for all days before the first that was asked for."""


@dataclass(frozen=True, slots=True)
class LogSize:
    """How many entries the head of the log counts, and how many there are."""

    by_head: int
    entries: int


class Registry(Protocol):
    """The directory, for people who change it. Everything here raises StoreUnavailable or NotReady.

    Where it `needs_second_person`, a plan that raises a credential's limit or roster, or weakens a rule of the terms,
    without a confirmation is refused; whoever plans holds it back as a proposal (`second_person`, `loosening`). So is one by which somebody signed in makes
    the account of a second person (`two_people`).
    """

    needs_second_person: bool

    async def state(self) -> State:
        """The whole directory, from one snapshot."""
        ...

    async def change(self, actor: Actor, decide: Callable[[State], tuple[Plan, T]]) -> T:
        """What `decide` says beside its plan, once the plan is carried out.

        One transaction holds the log's head while `decide` looks at the state, writes every record, logs
        one entry a change and makes decisions on the directory as it was invalid: all of it, durable on
        return and in effect everywhere, or nothing. Without changes nothing is written. `decide` must not
        wait for anything. Raises what `decide` raises, and Conflict where two records cannot both be.
        """
        ...

    async def uses(
        self, scope_ids: Collection[str], *, since: dt.date
    ) -> Mapping[CounterSlot, Mapping[dt.date, Use]]:
        """What these scopes used on each day from `since`, and at `EARLIER` the sum of all days before."""
        ...

    async def answers(self, project_ids: Collection[str], day: dt.date) -> Mapping[str, Mapping[str, Given]]:
        """By project and kind, the answers that were given on that day."""
        ...

    async def mirrors(self) -> Sequence[tuple[str, str, Mirror]]:
        """Credential id, family and mirror of every budget that the platform has called used up."""
        ...

    async def log_size(self) -> LogSize:
        """The length of the log by its head and by its entries; counts, so it takes seconds on a long log."""
        ...
