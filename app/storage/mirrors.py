"""What the platform says of its own budget, inside a transaction of the books."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import days_at
from app.quota.mirror import Closed, Mirror, Open, Probe, believed, look
from app.storage.prepared import DIALECTS, Prepared, PreparedForIds, upsert
from app.storage.tables import MirrorRow, table

_mirror = table(MirrorRow)

_MIRRORS = PreparedForIds(lambda ids: sa.select(_mirror).where(_mirror.c.credential_id.in_(ids)))
_KEEP = {dialect: Prepared(upsert(dialect, _mirror)) for dialect in DIALECTS}
_DROP = Prepared(
    sa.delete(_mirror).where(
        _mirror.c.credential_id == sa.bindparam("credential"), _mirror.c.family == sa.bindparam("of_family")
    )
)


class Mirrors:
    """The mirrors of the credentials that a transaction touches."""

    def __init__(self, conn: Connection, dialect: str, now: dt.datetime) -> None:
        self._conn = conn
        self._dialect = dialect
        self._now = now
        self._known: dict[tuple[str, str], Mirror] = {}
        self._changed: set[tuple[str, str]] = set()

    def load(self, owners: set[str]) -> None:
        """Read those of every credential among these ids."""
        for row in _MIRRORS.rows(self._conn, owners):
            credential, family, *values = row
            self._known[credential, family] = _mirror_of(values)

    def look(self, credential: str, family: QuotaFamily) -> Open | Probe | Closed:
        """Whether a call may go now."""
        return look(self._known.get((credential, family)), days=days_at(self._now), now=self._now)

    def keep(self, credential: str, family: QuotaFamily, mirror: Mirror) -> None:
        """Have this hold from now on."""
        self._known[credential, family] = mirror
        self._changed.add((credential, family))

    def believe(
        self, credential: str, family: QuotaFamily, *, day: dt.date, calls: int, records: int
    ) -> None:
        """The platform has called the day used up, when Bursar had counted so much."""
        if (credential, family) not in self._known:
            self.load({credential})
        known = self._known.get((credential, family))
        mirror = believed(known, day=day, now=self._now, counted_calls=calls, counted_records=records)
        self.keep(credential, family, mirror)

    def drop(self, credential: str, family: QuotaFamily) -> None:
        """The platform answers again."""
        self._known.pop((credential, family), None)
        self._changed.discard((credential, family))
        _DROP.run(self._conn, {"credential": credential, "of_family": family.value})

    def flush(self) -> None:
        """Write what changed."""
        if self._changed:
            rows = [_row(*slot, self._known[slot]) for slot in sorted(self._changed)]
            _KEEP[self._dialect].run(self._conn, *rows)


def read_mirrors(conn: Connection) -> list[tuple[str, str, Mirror]]:
    """Credential, family and mirror of everything that the platform has called used up."""
    rows = conn.execute(sa.select(_mirror)).all()
    return [(row[0], row[1], _mirror_of(row[2:])) for row in rows]


def _mirror_of(values: Sequence[Any]) -> Mirror:
    day, said_us, calls, records, probes, next_probe_us = values
    return Mirror(
        day=day,
        said_at=_moment(said_us),
        counted_calls=calls,
        counted_records=records,
        probes=probes,
        next_probe_at=_moment(next_probe_us),
    )


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)


def _us(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def _row(credential: str, family: str, mirror: Mirror) -> dict[str, object]:
    return {
        "credential_id": credential,
        "family": str(family),
        "day": mirror.day,
        "said_us": _us(mirror.said_at),
        "counted_calls": mirror.counted_calls,
        "counted_records": mirror.counted_records,
        "probes": mirror.probes,
        "next_probe_us": _us(mirror.next_probe_at),
    }
