"""Which limits hold for one caller, from those that people have set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TypedDict, Unpack

from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import (
    Dimension,
    Exhausted,
    Limit,
    Scope,
    ScopeKind,
    Want,
    Window,
    limit_name,
    resets_at,
)

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

COUNTED = frozenset(dimension for both in DIMENSIONS.values() for dimension in both)
"""Dimensions that the ledger counts; limits on others are kept, and hold nobody back yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLimit:
    """A limit as people set it: for a credential, project, member or key, or for each member of a project."""

    scope_kind: str
    scope_id: str
    dimension: Dimension
    window: Window | None
    amount: int

    @property
    def is_enforced(self) -> bool:
        """Whether the ledger holds calls to this limit: budgets of days, on what it counts."""
        return self.dimension in COUNTED and self.window not in {None, Window.MINUTE}


class Owners(TypedDict):
    """Ids of the four scopes that a call is counted against, from the widest to the narrowest."""

    credential: str
    project: str
    membership: str
    key: str


def owner_ids(owners: Owners) -> set[str]:
    """The four ids."""
    return {owners["credential"], owners["project"], owners["membership"], owners["key"]}


def effective_limits(stored: Iterable[StoredLimit], **owners: Unpack[Owners]) -> tuple[Limit, ...]:
    """The limits that a call of this key is counted against, in no particular order."""
    ids = {
        ScopeKind.CREDENTIAL.value: owners["credential"],
        ScopeKind.PROJECT.value: owners["project"],
        ScopeKind.MEMBER.value: owners["membership"],
        ScopeKind.KEY.value: owners["key"],
    }
    own: dict[tuple[ScopeKind, Dimension, Window | None], Limit] = {}
    inherited: dict[tuple[ScopeKind, Dimension, Window | None], Limit] = {}
    for each in stored:
        if each.scope_kind == EACH_MEMBER and each.scope_id == owners["project"]:
            slot = (ScopeKind.MEMBER, each.dimension, each.window)
            scope = Scope(ScopeKind.MEMBER, owners["membership"])
            inherited[slot] = Limit(scope, each.dimension, each.window, each.amount)
        elif ids.get(each.scope_kind) == each.scope_id:
            kind = ScopeKind(each.scope_kind)
            own[kind, each.dimension, each.window] = Limit(
                Scope(kind, each.scope_id), each.dimension, each.window, each.amount
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


def explain(exhausted: Exhausted, now: datetime) -> str:
    """For the caller: which limit ran out, when it comes back, and what is left elsewhere."""
    limit = exhausted.limit
    comes_back = resets_at(limit.window, now)
    until = (
        "It does not come back by itself"
        if comes_back is None
        else f"It comes back at {comes_back:%Y-%m-%d %H:%M} UTC"
    )
    elsewhere = ", ".join(f"{limit_name(room.limit)} {room.left}" for room in exhausted.others)
    return (
        f"Quota used up: limit {limit_name(limit)} of {limit.amount} has {exhausted.left} left and this call needs "
        f"{exhausted.wanted}. {until}." + (f" Left in other limits: {elsewhere}." if elsewhere else "")
    )
