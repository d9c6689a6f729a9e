"""Duties that one process of a deployment does at a time, and another takes over when it is gone."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from app.storage.tables import LeaseRow, table

_lease: Final = table(LeaseRow)


def hold(conn: Connection, dialect: str, duty: str, owner: str, *, now_us: int, for_s: float) -> bool:
    """Whether `owner` has the duty for so long from now on: it had it, or nobody did any more."""
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(_lease)
    asked = insert.values(duty=duty, owner=owner, until_us=now_us + int(for_s * 1_000_000))
    is_free = sa.or_(_lease.c.until_us <= now_us, _lease.c.owner == owner)
    taken = conn.execute(
        asked.on_conflict_do_update(
            index_elements=["duty"],
            set_={"owner": asked.excluded.owner, "until_us": asked.excluded.until_us},
            where=is_free,
        )
    )
    return taken.rowcount == 1


def release(conn: Connection, duty: str, owner: str) -> None:
    """Let another process take the duty over at once."""
    conn.execute(sa.update(_lease).where(_lease.c.duty == duty, _lease.c.owner == owner).values(until_us=0))
