"""Changes of limits found in the log, the newest first."""

from collections.abc import Callable
from typing import Final

from sqlalchemy.engine import Connection

from app.administration.limits_past import LIMIT_SET, LimitChange, LimitChanges
from app.audit.filters import Filter
from app.storage.searching import find_entries

MOST_SHOWN: Final = 50
MOST_LOOKED_AT: Final = 2_000
"""Changes that are read to find those of one limit."""
_AT_ONCE: Final = 200


def find_limit_changes(
    conn: Connection, told: LimitChanges, meets: Callable[[LimitChange], bool] = lambda _: True
) -> list[LimitChange]:
    """The newest changes that meet it: `MOST_SHOWN`, out of the newest `MOST_LOOKED_AT` of all limits."""
    found: list[LimitChange] = []
    before: int | None = None
    for _ in range(MOST_LOOKED_AT // _AT_ONCE):
        part = find_entries(conn, Filter(op=LIMIT_SET), before=before, limit=_AT_ONCE)
        changes = (told.told_by(each.entry) for each in part)
        found += [each for each in changes if each is not None and meets(each)]
        if len(part) < _AT_ONCE or len(found) >= MOST_SHOWN:
            break
        before = part[-1].index
    return found[:MOST_SHOWN]
