"""Floors: what a project may count on of its credential's day, what is used of it, and that they fit into it together."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from app.administration.registry import CounterSlot
from app.administration.state import Credential, Project, State
from app.errors import InvalidParams
from app.quota.arithmetic import Dimension, Floor, Limit, ScopeKind, Use, Window, use_at
from app.quota.limits import DIMENSIONS, FLOOR, StoredLimit

Uses = Mapping[CounterSlot, Mapping[dt.date, Use]]
"""What counts, by counter and day."""

_KEEPABLE = frozenset(dimension for both in DIMENSIONS.values() for dimension in both)


def check_floors(
    *, credentials: Iterable[Credential], projects: Iterable[Project], limits: Iterable[StoredLimit]
) -> None:
    """Return when every floor is a share of a day that its credential has; raises InvalidParams."""
    limits = list(limits)
    names = {each.id: each.name for each in credentials if each.retired_us is None}
    homes = {each.id: each for each in projects if each.retired_us is None}
    days = {
        (each.scope_id, each.dimension): each.amount
        for each in limits
        if each.scope_kind == ScopeKind.CREDENTIAL and each.window is Window.DAY
    }
    kept: dict[tuple[str, Dimension], int] = {}
    for floor in limits:
        project = homes.get(floor.scope_id) if floor.scope_kind == FLOOR else None
        if project is None:
            continue
        if floor.window is not Window.DAY or floor.dimension not in _KEEPABLE:
            raise InvalidParams(
                f"floor:{project.name}: a floor is a share of a day, such as requests/day.", rule="state-file"
            )
        slot = (project.credential_id, floor.dimension)
        if slot not in days:
            raise InvalidParams(
                f"floor:{project.name}: credential {names.get(slot[0], slot[0])} has no limit "
                f"{floor.dimension}/day of which a share could be kept; set that first.",
                rule="state-file",
            )
        kept[slot] = kept.get(slot, 0) + floor.amount
    for (credential, dimension), amount in kept.items():
        if amount > days[credential, dimension]:
            raise InvalidParams(
                f"The floors of credential {names.get(credential, credential)}'s projects come to {amount} "
                f"{dimension} a day, more than its limit of {days[credential, dimension]}. Lower some of them.",
                rule="state-file",
            )


def after(
    limits: Iterable[StoredLimit], *, puts: Iterable[object], dropped: Iterable[object]
) -> list[StoredLimit]:
    """The limits as they will be."""
    ended = {_slot(each) for each in dropped if isinstance(each, StoredLimit)}
    found = {_slot(each): each for each in limits if _slot(each) not in ended}
    found |= {_slot(each): each for each in puts if isinstance(each, StoredLimit)}
    return list(found.values())


def floors_beside(state: State, credential: str, today: dt.date) -> Sequence[StoredLimit]:
    """Floors of the projects on the credential that are approved today."""
    projects = {
        each.id
        for each in state.projects
        if each.credential_id == credential
        and each.retired_us is None
        and each.approved_from <= today <= each.approved_until
    }
    return [each for each in state.limits if each.scope_kind == FLOOR and each.scope_id in projects]


def use_on(day: dt.date, limit: Limit, uses: Uses) -> Use:
    """What counts against the limit on that day, in its window."""
    slot = (limit.scope.kind.value, limit.scope.id, limit.dimension.value)
    return use_at(limit.window or Window.DAY, uses.get(slot, {}), (day,))


def floor_on(day: dt.date, credential: str, stored: StoredLimit, uses: Uses) -> Floor:
    """The floor with what its project has used of it on that day."""
    rows = uses.get((ScopeKind.PROJECT.value, stored.scope_id, stored.dimension.value), {})
    return Floor(credential, stored.scope_id, stored.dimension, stored.amount, rows.get(day, Use()))


def _slot(limit: StoredLimit) -> tuple[object, ...]:
    return limit.scope_kind, limit.scope_id, limit.dimension, limit.window
