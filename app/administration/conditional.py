"""Changes on a condition: that the object is still what whoever changes it has seen.

The condition is looked at inside of the transaction that changes, under the lock of the log's head. Of two people
who read the same and then change it, one succeeds and the other is told.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from app.administration.changes import Actor, Plan
from app.administration.registry import CounterSlot, LogSize, Registry
from app.administration.savings import Given
from app.administration.state import State
from app.quota.arithmetic import Use
from app.quota.mirror import Mirror

T = TypeVar("T")

_VERSION_CHARS: Final = 32
"""128 bits: nobody chooses contents so that two have one version and gains by it."""


def version_of(content: Mapping[str, Any]) -> str:
    """What tells a content from every other one; the order of its keys does not matter."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_CHARS]


class Conditional:
    """A registry through which something is changed only if `check` lets the state as it is then pass."""

    def __init__(self, registry: Registry, check: Callable[[State], None]) -> None:
        self._registry = registry
        self._check = check
        self.needs_second_person = registry.needs_second_person

    async def state(self) -> State:
        """The whole directory; whether the condition holds is looked at when something is changed."""
        return await self._registry.state()

    async def change(self, actor: Actor, decide: Callable[[State], tuple[Plan, T]]) -> T:
        """As the registry's own; raises what `check` raises before `decide` is asked."""

        def decide_if_so(state: State) -> tuple[Plan, T]:
            self._check(state)
            return decide(state)

        return await self._registry.change(actor, decide_if_so)

    async def uses(
        self, scope_ids: Collection[str], *, since: dt.date
    ) -> Mapping[CounterSlot, Mapping[dt.date, Use]]:
        """As the registry's own."""
        return await self._registry.uses(scope_ids, since=since)

    async def answers(self, project_ids: Collection[str], day: dt.date) -> Mapping[str, Mapping[str, Given]]:
        """As the registry's own."""
        return await self._registry.answers(project_ids, day)

    async def mirrors(self) -> Sequence[tuple[str, str, Mirror]]:
        """As the registry's own."""
        return await self._registry.mirrors()

    async def log_size(self) -> LogSize:
        """As the registry's own."""
        return await self._registry.log_size()
