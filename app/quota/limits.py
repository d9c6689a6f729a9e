"""Which limits hold for one caller, from those that people have set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, TypedDict, Unpack

from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import (
    Dimension,
    Exhausted,
    Limit,
    Scope,
    ScopeKind,
    Standing,
    Want,
    Window,
    limit_name,
    resets_at,
)
from app.quota.mirror import Mirror

EACH_MEMBER = "each_member"
"""Scope kind of a project's limit for every member, which a limit of the member itself replaces."""


DIMENSIONS: Mapping[QuotaFamily, tuple[Dimension, Dimension]] = MappingProxyType(
    {
        QuotaFamily.MAIN: (Dimension.REQUESTS, Dimension.RECORDS),
        QuotaFamily.GRAPH: (Dimension.FOLLOWER_CALLS, Dimension.FOLLOWER_RECORDS),
        QuotaFamily.ADS: (Dimension.AD_CALLS, Dimension.AD_RECORDS),
    }
)
"""What calls and records of each of the platform's counters are called here."""

FLOOR = "floor"
"""Scope kind of a project's share of its credential's day, which other projects cannot take."""

OWN = frozenset({Dimension.CALLS, Dimension.DELIVERED})
"""What Bursar counts and the platform does not; a budget on it is the only reason to count it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLimit:
    """A limit as people set it: for a credential, project, member or key, or for each member of a project."""

    scope_kind: str
    scope_id: str
    dimension: Dimension
    window: Window | None
    amount: int

    @property
    def is_short(self) -> bool:
        """Whether it counts a minute or what is under way; the others are budgets, which the ledger keeps."""
        return self.window in {None, Window.MINUTE}


LimitSlot = tuple[str, str, Dimension, Window | None]
"""Scope kind, scope id, dimension and window: what a limit is told apart by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """An amount on top of a limit from one moment to another; `granted_by` is who acted, by an id.

    For a limit of every member it raises each; for a member whose limit is the project's, theirs alone.
    """

    id: str
    scope_kind: str
    scope_id: str
    dimension: Dimension
    window: Window | None
    amount: int
    from_us: int
    until_us: int
    reason: str
    granted_by: str
    created_us: int
    retired_us: int | None = None

    def holds_at(self, now_us: int) -> bool:
        """Whether it counts at that moment."""
        return self.retired_us is None and self.from_us <= now_us < self.until_us


def raised_by(raises: Iterable[Raise], *, now_us: int) -> Mapping[LimitSlot, int]:
    """How much every limit is raised by at that moment, by what the limit is told apart by."""
    found: dict[LimitSlot, int] = {}
    for each in raises:
        if each.holds_at(now_us):
            slot = (each.scope_kind, each.scope_id, each.dimension, each.window)
            found[slot] = found.get(slot, 0) + each.amount
    return found


_NOT_RAISED: Mapping[LimitSlot, int] = MappingProxyType({})


class Owners(TypedDict):
    """Ids of the four scopes that a call is counted against, from the widest to the narrowest."""

    credential: str
    project: str
    membership: str
    key: str


def owner_ids(owners: Owners) -> set[str]:
    """The four ids."""
    return {owners["credential"], owners["project"], owners["membership"], owners["key"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTo:
    """The limits that one caller is held to: short ones, and budgets on what the platform does not count."""

    short: tuple[Limit, ...] = ()
    own_budgets: tuple[Limit, ...] = ()


class LimitSource(Protocol):
    """The limits in force, for what is decided outside the books' transaction. Raises StoreUnavailable."""

    async def held_to(self, owners: Owners, *, revision: int) -> HeldTo:
        """What the caller is held to, from memory where the directory is still at `revision`.

        The books refuse what was decided on an older directory, so an answer that is out of date is harmless.
        """
        ...


def effective_limits(
    stored: Iterable[StoredLimit], raised: Mapping[LimitSlot, int] = _NOT_RAISED, **owners: Unpack[Owners]
) -> tuple[Limit, ...]:
    """The limits that a call of this key is counted against, in no particular order.

    `raised` is on top of them, as `raised_by` gives it.
    """
    ids = {
        ScopeKind.CREDENTIAL.value: owners["credential"],
        ScopeKind.PROJECT.value: owners["project"],
        ScopeKind.MEMBER.value: owners["membership"],
        ScopeKind.KEY.value: owners["key"],
    }
    own: dict[tuple[ScopeKind, Dimension, Window | None], Limit] = {}
    inherited: dict[tuple[ScopeKind, Dimension, Window | None], Limit] = {}
    for each in stored:
        amount = each.amount + raised.get((each.scope_kind, each.scope_id, each.dimension, each.window), 0)
        if each.scope_kind == EACH_MEMBER and each.scope_id == owners["project"]:
            slot = (ScopeKind.MEMBER, each.dimension, each.window)
            scope = Scope(ScopeKind.MEMBER, owners["membership"])
            amount += raised.get((scope.kind.value, scope.id, each.dimension, each.window), 0)
            inherited[slot] = Limit(scope, each.dimension, each.window, amount)
        elif ids.get(each.scope_kind) == each.scope_id:
            kind = ScopeKind(each.scope_kind)
            own[kind, each.dimension, each.window] = Limit(
                Scope(kind, each.scope_id), each.dimension, each.window, amount
            )
    return tuple({**inherited, **own}.values())


def wants_of(
    family: QuotaFamily, *, requests: int, records: int, **owners: Unpack[Owners]
) -> tuple[Want, ...]:
    """What one call asks of every scope that it belongs to, on the counters of its family."""
    scopes = (
        Scope(ScopeKind.CREDENTIAL, owners["credential"]),
        Scope(ScopeKind.PROJECT, owners["project"]),
        Scope(ScopeKind.MEMBER, owners["membership"]),
        Scope(ScopeKind.KEY, owners["key"]),
    )
    amounts = tuple(zip(DIMENSIONS[family], (requests, records), strict=True))
    return tuple(Want(scope, dimension, amount) for scope in scopes for dimension, amount in amounts)


def amounts_at_door(*, delivered: int) -> dict[Dimension, int]:
    """What every answered call takes of the short limits, wherever its answer comes from."""
    return {Dimension.CALLS: 1, Dimension.CONCURRENT: 1, Dimension.DELIVERED: delivered}


def amounts_upstream(family: QuotaFamily, *, requests: int, records: int) -> dict[Dimension, int]:
    """What a call to the platform takes of the short limits beside that."""
    return dict(zip(DIMENSIONS[family], (requests, records), strict=True))


def own_wants(held_to: HeldTo, *, calls: int, delivered: int) -> tuple[Want, ...]:
    """What a call asks of every scope that has a budget on gateway calls or on delivered records."""
    amounts = {Dimension.CALLS: calls, Dimension.DELIVERED: delivered}
    slots = dict.fromkeys((limit.scope, limit.dimension) for limit in held_to.own_budgets)
    return tuple(Want(scope, dimension, amounts[dimension]) for scope, dimension in slots)


def explain(exhausted: Exhausted, now: datetime, *, short: Iterable[Standing] = ()) -> str:
    """For the caller: which limit ran out, when it comes back, and what is left elsewhere, `short` included."""
    limit = exhausted.limit
    comes_back = resets_at(limit.window, now)
    until = (
        "It does not come back by itself"
        if comes_back is None
        else f"It comes back at {comes_back:%Y-%m-%d %H:%M} UTC"
    )
    kept = (
        f" {exhausted.kept} more are kept for other projects until they use them or the day ends."
        if exhausted.kept
        else ""
    )
    left = [(room.limit, room.left) for room in exhausted.others] + [
        (each.limit, each.left) for each in short
    ]
    elsewhere = ", ".join(f"{limit_name(limit)} {amount}" for limit, amount in left)
    return (
        f"Quota used up: limit {limit_name(limit)} of {limit.amount} has {exhausted.left} left and this call needs "
        f"{exhausted.wanted}.{kept} {until}." + (f" Left in other limits: {elsewhere}." if elsewhere else "")
    )


def platform_says(mirror: Mirror, family: QuotaFamily, now: datetime) -> str:
    """For the caller: that the platform itself calls the day used up, and what Bursar does about it."""
    return (
        f"The platform says that the day's {family} quota of this credential is used up, since "
        f"{mirror.said_at:%H:%M} UTC; Bursar had counted {mirror.counted_calls} calls and "
        f"{mirror.counted_records} records. Nothing was sent. It comes back at "
        f"{resets_at(Window.DAY, now):%Y-%m-%d %H:%M} UTC at the latest; Bursar asks again at "
        f"{mirror.next_probe_at:%H:%M} UTC."
    )
