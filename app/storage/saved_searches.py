"""Searches of the log that people have given a name, each person's own, over SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.errors import Conflict
from app.ids import new_object_id
from app.storage.engines import Database
from app.storage.tables import SavedSearchRow, table

_saved = table(SavedSearchRow)
MOST: Final = 50
"""Searches that one person may keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSearch:
    """What somebody looks for again and again; `query` is that of the page's address."""

    id: str
    name: str
    query: str


class SqlSavedSearches:
    """Keeps them. Raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, person: str) -> Sequence[SavedSearch]:
        """That person's, by name."""
        asked = sa.select(_saved).where(_saved.c.person_id == person).order_by(_saved.c.name, _saved.c.id)
        return await self._database.read(
            lambda conn: [
                SavedSearch(id=row.id, name=row.name, query=row.query) for row in conn.execute(asked)
            ]
        )

    async def save(self, person: str, *, name: str, query: str) -> SavedSearch:
        """Keep one under that name, in the place of an older one of the same. Raises Conflict for too many."""

        def work(conn: Connection) -> SavedSearch:
            mine = _saved.c.person_id == person
            conn.execute(sa.delete(_saved).where(mine, _saved.c.name == name))
            if conn.execute(sa.select(sa.func.count()).where(mine)).scalar_one() >= MOST:
                raise Conflict(f"You have {MOST} saved searches; forget one first.")
            saved = SavedSearch(id=new_object_id(), name=name, query=query)
            row = {"id": saved.id, "person_id": person, "name": name, "query": query}
            conn.execute(sa.insert(_saved).values(**row, saved_us=self._database.now_us(conn)))
            return saved

        return await self._database.write(work)

    async def forget(self, person: str, search: str) -> bool:
        """Drop one of that person's; False where it is not."""
        gone = sa.delete(_saved).where(_saved.c.id == search, _saved.c.person_id == person)
        return await self._database.write(lambda conn: conn.execute(gone).rowcount) == 1
