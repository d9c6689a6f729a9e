"""Changes of limits found in the log, the newest first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection

from app.administration.limits_past import LIMIT_SET, LimitChange, LimitChanges
from app.audit.filters import Filter
from app.storage.searching import find_entries

MOST_LOOKED_AT: Final = 2_000
"""Changes that are read at once to find those of one limit."""
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChanges:
    """Some changes, newest first; `onward` is the index before which to look for more, None where there is nothing."""

    changes: Sequence[LimitChange]
    onward: int | None


def find_limit_changes(
    conn: Connection,
    told: LimitChanges,
    meets: Callable[[LimitChange], bool] = lambda _: True,
    *,
    before: int | None = None,
    limit: int = 50,
) -> FoundChanges:
    """The newest changes that meet it before that index: `limit` at most, out of `MOST_LOOKED_AT` of all limits."""
    found: list[tuple[int, LimitChange]] = []
    for _ in range(MOST_LOOKED_AT // _AT_ONCE):
        part = find_entries(conn, Filter(op=LIMIT_SET), before=before, limit=_AT_ONCE)
        changes = ((each.index, told.told_by(each.entry)) for each in part)
        found += [(index, each) for index, each in changes if each is not None and meets(each)]
        if len(found) > limit:
            return FoundChanges(changes=[each for _, each in found[:limit]], onward=found[limit - 1][0])
        before = part[-1].index if len(part) == _AT_ONCE else None
        if before is None:
            break
    return FoundChanges(changes=[each for _, each in found], onward=before)
