"""Which notices people chose not to get by mail, each for themselves, over SQL."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.notices import Kind
from app.storage.engines import Database
from app.storage.tables import MutedNoticeRow, table

_muted = table(MutedNoticeRow)


def who_mutes(conn: Connection, kind: str) -> frozenset[str]:
    """Ids of those who do not want that kind by mail."""
    asked = sa.select(_muted.c.person_id).where(_muted.c.kind == kind)
    return frozenset(conn.execute(asked).scalars())


class SqlMuted:
    """Keeps the choices. Raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, person: str) -> frozenset[str]:
        """The kinds that this person does not want."""
        asked = sa.select(_muted.c.kind).where(_muted.c.person_id == person)
        return await self._database.read(lambda conn: frozenset(conn.execute(asked).scalars()))

    async def choose(self, person: str, *, among: Collection[Kind], muted: Collection[Kind]) -> None:
        """Have `muted` be those of `among` that this person does not want; their choice of others stays."""

        def work(conn: Connection) -> int:
            # In the same order everywhere, so that two choices at once wait for each other.
            kinds = sorted(each.value for each in among)
            gone = sa.delete(_muted).where(_muted.c.person_id == person, _muted.c.kind.in_(kinds))
            count = conn.execute(gone).rowcount
            rows = [{"person_id": person, "kind": each} for each in kinds if each in set(muted)]
            if rows:
                conn.execute(sa.insert(_muted), rows)
            return count

        await self._database.write(work)
