"""Which calls to the platform are under way in any process, so that who asks the same waits for the answer.

A row is written with the intent of a call and marked as landed with its outcome, under the lock of the head; so of
identical calls in any number of processes exactly one is let through. A process says every few seconds that its calls
are still under way. One that is not heard of counts as dead, and the next who asks goes instead.
"""

from collections.abc import Collection, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.books import UnderWay
from app.storage.engines import Database
from app.storage.prepared import DIALECTS, Prepared, PreparedForIds, upsert
from app.storage.tables import FlightRow, table

RENEW_EVERY_S: Final = 2.0
_LEASE_US: Final = 6_000_000
"""For how long a call counts as under way without a word of its process."""
_LANDED_LASTS_US: Final = 10_000_000
"""For how long whoever looked before a call landed may be told that it has."""

_flight = table(FlightRow)
_COLUMNS = (_flight.c.key, _flight.c.reservation, _flight.c.until_us, _flight.c.landed_ix)
_BY_KEY = PreparedForIds(lambda ids: sa.select(*_COLUMNS).where(_flight.c.key.in_(ids)))
_BEGIN = {dialect: Prepared(upsert(dialect, _flight)) for dialect in DIALECTS}
_LAND = Prepared(
    sa.update(_flight)
    .where(_flight.c.reservation == sa.bindparam("of"))
    .values(landed_ix=sa.bindparam("ix"), until_us=sa.bindparam("at_us"))
)


class Flights:
    """The flights that a transaction touches; the lock that it holds keeps others out."""

    def __init__(self, conn: Connection, now_us: int) -> None:
        self._conn = conn
        self._now_us = now_us
        self._known: dict[str, tuple[int, int | None]] = {}
        self._begun: dict[str, dict[str, object]] = {}
        self._landed: list[dict[str, object]] = []

    def load(self, keys: Collection[str]) -> None:
        """Read what is known of these."""
        for key, _, until_us, landed_ix in _BY_KEY.rows(self._conn, keys):
            self._known[key] = (until_us, landed_ix)

    def look(self, key: str, *, seen: int) -> UnderWay | None:
        """The flight that a call need not repeat; `seen` is the landing that its caller knows of."""
        until_us, landed_ix = self._known.get(key, (0, None))
        if landed_ix is None:
            return UnderWay(flight=key, landed_ix=None) if until_us > self._now_us else None
        is_news = landed_ix > seen and until_us > self._now_us - _LANDED_LASTS_US
        return UnderWay(flight=key, landed_ix=landed_ix) if is_news else None

    def begin(self, key: str, reservation: str) -> None:
        """A call is let through."""
        until_us = self._now_us + _LEASE_US
        self._known[key] = (until_us, None)
        self._begun[key] = {"key": key, "reservation": reservation, "until_us": until_us, "landed_ix": None}

    def land(self, reservation: str, ix: int) -> None:
        """Its outcome stands at `ix`."""
        self._landed.append({"of": reservation, "ix": ix, "at_us": self._now_us})

    def flush(self, dialect: str) -> None:
        """Write what changed."""
        if self._begun:
            _BEGIN[dialect].run(self._conn, *self._begun.values())
        if self._landed:
            _LAND.run(self._conn, *self._landed)


def landing(conn: Connection, database: Database, key: str) -> tuple[bool, int | None]:
    """Whether a flight is over, and where its outcome stands; None where its process died."""
    rows = _BY_KEY.rows(conn, [key])
    if not rows:
        return True, None
    _, _, until_us, landed_ix = rows[0]
    return landed_ix is not None or until_us <= database.now_us(conn), landed_ix


def renew(conn: Connection, database: Database, reservations: Sequence[str]) -> None:
    """Say that these calls are still under way."""
    conn.execute(
        sa.update(_flight)
        .where(_flight.c.reservation.in_(reservations), _flight.c.landed_ix.is_(None))
        .values(until_us=database.now_us(conn) + _LEASE_US)
    )


def forget_flights(conn: Connection, now_us: int) -> None:
    """Drop those that nobody can be told of any more."""
    conn.execute(sa.delete(_flight).where(_flight.c.until_us <= now_us - 6 * _LANDED_LASTS_US))
