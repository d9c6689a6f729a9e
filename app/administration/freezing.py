"""The switch that stops a credential, a project or a person at once, and lets them go on.

A freeze changes the directory, so every decision that was taken before it is invalid: the next call on any
replica is judged anew. Calls that have been sent by then end as they would have, since their cost is spent.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from app.administration import notices
from app.administration.changes import Actor, Change, Plan
from app.administration.finding import find_credential, find_person, find_project
from app.administration.minting import Mint
from app.administration.raising import MOST_REASON_CHARS
from app.administration.registry import Registry
from app.administration.state import Freeze, State
from app.errors import Conflict, InvalidParams
from app.identity.roles import Act


class Freezable(StrEnum):
    """What can be stopped."""

    CREDENTIAL = "credential"
    PROJECT = "project"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFreeze:
    """A freeze under names that people know; `frozen_by` is an address, or who ran a command."""

    id: str
    kind: Freezable
    name: str
    reason: str
    frozen_by: str
    since: dt.datetime
    until: dt.datetime | None
    lifted_by: str | None


async def freeze(
    registry: Registry, mint: Mint, actor: Actor, *, kind: Freezable, name: str, reason: str
) -> bool:
    """Stop it from the next call on, everywhere; False where it was stopped before, and then the reason stays.

    Raises NotFound, InvalidParams without a reason, Conflict for whoever would stop themselves, NotPermitted.
    """
    actor.require(Act.FREEZE)
    why = checked_reason(reason)

    def decide(state: State) -> tuple[Plan, bool]:
        object_id = _find(state, kind, name)
        if object_id == actor.principal:
            raise Conflict("You would lock yourself out. Let another administrator do that.")
        if state.freeze_of(object_id) is not None:
            return Plan(), False
        new = Freeze(
            id=mint.object_id(),
            kind=kind.value,
            object_id=object_id,
            reason=why,
            frozen_by=actor.principal,
            created_us=state.now_us,
        )
        change = _change(new, name, "frozen", why)
        return Plan(changes=(change,), puts=(new,), notices=(notices.frozen(new.id),)), True

    return await registry.change(actor, decide)


async def unfreeze(registry: Registry, actor: Actor, *, kind: Freezable, name: str) -> bool:
    """Let it go on from the next call on, everywhere; False where nothing stopped it.

    Raises NotFound, NotPermitted.
    """
    actor.require(Act.FREEZE)

    def decide(state: State) -> tuple[Plan, bool]:
        old = state.freeze_of(_find(state, kind, name))
        if old is None:
            return Plan(), False
        new = replace(old, retired_us=state.now_us, lifted_by=actor.principal)
        change = _change(new, name, "unfrozen", None)
        return Plan(changes=(change,), puts=(new,), notices=(notices.unfrozen(new.id),)), True

    return await registry.change(actor, decide)


def shown_freezes(state: State, *, with_lifted: bool = False) -> Sequence[ShownFreeze]:
    """Freezes in force, oldest first, and with `with_lifted` those that are over."""
    names: dict[str, str] = {each.id: each.email for each in state.people}
    actors = dict(names)
    names |= {each.id: each.name for each in state.projects}
    names |= {each.id: each.name for each in state.credentials}
    return [
        ShownFreeze(
            id=each.id,
            kind=Freezable(each.kind),
            name=names.get(each.object_id, each.object_id),
            reason=each.reason,
            frozen_by=actors.get(each.frozen_by, each.frozen_by),
            since=_moment(each.created_us),
            until=None if each.retired_us is None else _moment(each.retired_us),
            lifted_by=None if each.lifted_by is None else actors.get(each.lifted_by, each.lifted_by),
        )
        for each in sorted(state.freezes, key=lambda one: (one.created_us, one.id))
        if with_lifted or each.retired_us is None
    ]


def checked_reason(reason: str) -> str:
    """The reason, trimmed; raises InvalidParams for one that is empty, long or unprintable."""
    trimmed = reason.strip()
    if not trimmed or not trimmed.isprintable() or len(trimmed) > MOST_REASON_CHARS:
        raise InvalidParams(f"Give a reason: one line of at most {MOST_REASON_CHARS} characters.")
    return trimmed


def _find(state: State, kind: Freezable, name: str) -> str:
    match kind:
        case Freezable.CREDENTIAL:
            return find_credential(state, name).id
        case Freezable.PROJECT:
            return find_project(state, name).id
        case Freezable.PERSON:
            return find_person(state, name).id
        case never:
            assert_never(never)


def _change(each: Freeze, name: str, what: str, reason: str | None) -> Change:
    # The reason may name people, so the log has the freeze's id, under which the reason is kept.
    return Change(
        kind=each.kind,
        object=name,
        object_id=each.object_id,
        what=what,
        after=reason,
        logged={"freeze": each.id},
    )


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)
