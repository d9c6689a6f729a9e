"""What people are to be told once: written beside what happened, sent later by whoever sends."""

from collections.abc import Sequence

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from app.storage.ledger import Crossing
from app.storage.tables import NoticeRow, table

_notice = table(NoticeRow)


def tell(conn: Connection, dialect: str, crossings: Sequence[Crossing], *, now_us: int) -> None:
    """Note each threshold that was crossed, unless it has been noted before in the same window."""
    if not crossings:
        return
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(_notice)
    rows = [_row(each, now_us) for each in crossings]
    conn.execute(insert.on_conflict_do_nothing(index_elements=["id"]), rows)


def _row(each: Crossing, now_us: int) -> dict[str, object]:
    limit = each.limit
    window = limit.window.value if limit.window else ""
    about = {
        "scope": {"kind": limit.scope.kind.value, "id": limit.scope.id},
        "dimension": limit.dimension.value,
        "window": window,
        "since": each.since,
        "percent": each.percent,
        "amount": limit.amount,
        "taken": each.taken,
    }
    parts = (limit.scope.kind, limit.scope.id, limit.dimension, window, each.since, str(each.percent))
    return {
        "id": "threshold:" + ":".join(parts),
        "kind": "threshold",
        "created_us": now_us,
        "about": about,
        "done_us": None,
    }
