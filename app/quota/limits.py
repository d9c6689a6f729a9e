"""Which limits hold for one caller, from those that people have set."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.quota.arithmetic import Dimension, Limit, Scope, ScopeKind, Want, Window

EACH_MEMBER = "each_member"
"""Scope kind of a project's limit for every member, which a limit of the member itself replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLimit:
    """A limit as people set it: for a credential, project, member or key, or for each member of a project."""

    scope_kind: str
    scope_id: str
    dimension: Dimension
    window: Window | None
    amount: int


def effective_limits(
    stored: Iterable[StoredLimit], *, credential: str, project: str, member: str, key: str
) -> tuple[Limit, ...]:
    """The limits that a call of this key is counted against, in no particular order."""
    ids = {
        ScopeKind.CREDENTIAL.value: credential,
        ScopeKind.PROJECT.value: project,
        ScopeKind.MEMBER.value: member,
        ScopeKind.KEY.value: key,
    }
    own: dict[tuple[ScopeKind, Dimension, Window | None], Limit] = {}
    inherited: dict[tuple[ScopeKind, Dimension, Window | None], Limit] = {}
    for each in stored:
        if each.scope_kind == EACH_MEMBER and each.scope_id == project:
            slot = (ScopeKind.MEMBER, each.dimension, each.window)
            scope = Scope(ScopeKind.MEMBER, member)
            inherited[slot] = Limit(scope, each.dimension, each.window, each.amount)
        elif ids.get(each.scope_kind) == each.scope_id:
            kind = ScopeKind(each.scope_kind)
            own[kind, each.dimension, each.window] = Limit(
                Scope(kind, each.scope_id), each.dimension, each.window, each.amount
            )
    return tuple({**inherited, **own}.values())


def wants_of(
    *, credential: str, project: str, member: str, key: str, requests: int, records: int
) -> tuple[Want, ...]:
    """What one call asks of every scope that it belongs to."""
    scopes = (
        Scope(ScopeKind.CREDENTIAL, credential),
        Scope(ScopeKind.PROJECT, project),
        Scope(ScopeKind.MEMBER, member),
        Scope(ScopeKind.KEY, key),
    )
    amounts = ((Dimension.REQUESTS, requests), (Dimension.RECORDS, records))
    return tuple(Want(scope, dimension, amount) for scope in scopes for dimension, amount in amounts)
