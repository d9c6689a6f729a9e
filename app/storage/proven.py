"""Fields that a credential has been given, in SQL and for a minute in memory."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.cache.proven import Proven
from app.clock import Clock
from app.storage.engines import Database
from app.storage.prepared import DIALECTS, Prepared, upsert
from app.storage.tables import ProvenFieldRow, table

_KEPT_S = 60.0

_proven = table(ProvenFieldRow)
_FIND = Prepared(
    sa.select(_proven.c.field, _proven.c.is_refused).where(
        _proven.c.credential_id == sa.bindparam("credential"), _proven.c.endpoint == sa.bindparam("endpoint")
    )
)
_KEEP = {dialect: Prepared(upsert(dialect, _proven)) for dialect in DIALECTS}


class SqlProvenFields:
    """The port over SQL; see `ProvenFields`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[float, Proven]] = {}

    async def of(self, credential: str, endpoint: str) -> Proven:
        """What is known of the fields of one endpoint."""
        kept = self._kept.get((credential, endpoint))
        if kept is not None and self._clock.monotonic_s() < kept[0]:
            return kept[1]
        wanted = {"credential": credential, "endpoint": endpoint}
        rows = await self._database.read(lambda conn: _FIND.rows(conn, wanted))
        return self._keep(
            credential,
            endpoint,
            Proven(
                good=frozenset(field for field, is_refused in rows if not is_refused),
                refused=frozenset(field for field, is_refused in rows if is_refused),
            ),
        )

    async def learn(
        self,
        credential: str,
        endpoint: str,
        *,
        good: frozenset[str] = frozenset(),
        refused: frozenset[str] = frozenset(),
    ) -> None:
        """Have this be known; what was known already costs nothing."""
        known = await self.of(credential, endpoint)
        news = {**dict.fromkeys(good - known.good, False), **dict.fromkeys(refused - known.refused, True)}
        if not news:
            return
        rows: list[dict[str, object]] = [
            {"credential_id": credential, "endpoint": endpoint, "field": field, "is_refused": is_refused}
            for field, is_refused in sorted(news.items())
        ]
        await self._database.write(lambda conn: _write(conn, self._database.dialect, rows))
        is_bad = {field for field, is_refused in news.items() if is_refused}
        is_good = news.keys() - is_bad
        self._keep(
            credential, endpoint, Proven(known.good - is_bad | is_good, known.refused - is_good | is_bad)
        )

    def _keep(self, credential: str, endpoint: str, proven: Proven) -> Proven:
        self._kept[credential, endpoint] = (self._clock.monotonic_s() + _KEPT_S, proven)
        return proven


def _write(conn: Connection, dialect: str, rows: list[dict[str, object]]) -> None:
    _KEEP[dialect].run(conn, *rows)
