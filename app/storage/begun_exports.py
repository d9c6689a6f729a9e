"""Exports that people began in the console, each person's own, and how much of each has been sent, over SQL.

The file itself goes from the log to the browser and is kept nowhere; any replica may send it, and any tell how far it is.
"""

import json
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.filters import Filter
from app.ids import new_object_id
from app.storage.engines import Database
from app.storage.tables import ExportRow, table

_row = table(ExportRow)
_QUIET_US: Final = 60_000_000
"""After so long without a further entry nothing is awaited any more."""
_KEPT_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunExport:
    """One export; `whole` is how many entries it has, once the file was asked for."""

    id: str
    form: str
    wanted: Filter
    done: int
    whole: int
    is_asked_for: bool
    is_quiet: bool
    ended_us: int | None
    sha256: str | None

    @property
    def is_under_way(self) -> bool:
        """Whether it will soon say more."""
        return self.ended_us is None and not self.is_quiet


class SqlBegunExports:
    """Keeps what is told of them, for a day. Raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, person: str, form: str, wanted: Filter) -> str:
        """The id of a new one."""
        export = new_object_id()

        def work(conn: Connection) -> None:
            now_us = self._database.now_us(conn)
            is_old = sa.and_(_row.c.person_id == person, _row.c.begun_us < now_us - _KEPT_US)
            conn.execute(sa.delete(_row).where(is_old))
            row = {"id": export, "person_id": person, "form": form, "wanted": json.dumps(wanted.said())}
            conn.execute(sa.insert(_row).values(**row, begun_us=now_us, done=0, whole=0))

        await self._database.write(work)
        return export

    async def find(self, person: str, export: str) -> BegunExport | None:
        """One of that person's."""

        def work(conn: Connection) -> BegunExport | None:
            asked = sa.select(_row).where(_row.c.id == export, _row.c.person_id == person)
            row = conn.execute(asked).one_or_none()
            if row is None:
                return None
            last_us = row.begun_us if row.seen_us is None else row.seen_us
            return BegunExport(
                id=row.id,
                form=row.form,
                wanted=Filter(**json.loads(row.wanted)),
                done=row.done,
                whole=row.whole,
                is_asked_for=row.seen_us is not None,
                is_quiet=self._database.now_us(conn) - last_us > _QUIET_US,
                ended_us=row.ended_us,
                sha256=row.sha256,
            )

        return await self._database.read(work)

    async def tell(self, export: str, done: int, whole: int, *, sha256: str | None = None) -> None:
        """Say how many entries have been sent; with the file's digest that all of it has."""

        def work(conn: Connection) -> None:
            now_us = self._database.now_us(conn)
            values = {"seen_us": now_us, "done": done, "whole": whole, "sha256": sha256}
            change = sa.update(_row).where(_row.c.id == export)
            conn.execute(change.values(**values, ended_us=None if sha256 is None else now_us))

        await self._database.write(work)
