"""A database with a project in force, and pages that are put into it as if they had been fetched."""

import datetime as dt
import os
from typing import Any

import sqlalchemy as sa

from app import exact_json
from app.administration.acts import apply_state
from app.administration.changes import Actor, local_operator
from app.administration.minting import Mint
from app.administration.wanted import read_state_file
from app.cache.pages import HeldPage
from app.clock import SystemClock
from app.ids import held_scope
from app.sealing import MasterKey
from app.storage.directory import SqlDirectory
from app.storage.engines import Database
from app.storage.pages import SqlPages
from app.storage.pages import hold as keep
from app.storage.registry import SqlRegistry
from app.storage.tables import EntryRow, HeldPageRow, table
from tests.administration.scene import Scene
from tests.signing import boot

ACTOR: Actor = local_operator(7)
DAY = dt.timedelta(days=1)


class Store:
    """A database with one project in force, and pages that it holds."""

    def __init__(self, database: Database, scene: Scene) -> None:
        self.database = database
        self.scene = scene
        self.master = MasterKey(bytes(range(32)))
        self.boot = boot()
        self.registry = SqlRegistry(database=database, boot=self.boot)
        self.pages = self.fresh_pages()

    def fresh_pages(self) -> SqlPages:
        """Pages as another process sees them, with nothing in memory."""
        return SqlPages(
            database=self.database, master=self.master, clock=SystemClock(), max_memory_bytes=1_000_000
        )

    async def apply(self) -> None:
        mint = Mint(master=self.master, pepper=b"p" * 32)
        await apply_state(self.registry, mint, ACTOR, read_state_file(self.scene.path, {}))
        self.pages.forget()

    async def end_project(self, until: dt.date) -> None:
        old = (await self.registry.state()).projects[0].approved_until
        self.scene.edit(f"until: {old}", f"until: {until}")
        await self.apply()

    async def hold(
        self, name: str, *, scope: str, age: dt.timedelta, endpoint: str = "video/query", size: int = 2
    ) -> HeldPage:
        """Have a page be held that was fetched so long ago and takes so many bytes, at least."""
        fetched = int((dt.datetime.now(dt.UTC) - age).timestamp() * 1_000_000)
        page = HeldPage(
            key=name.encode().ljust(32),
            scope=scope,
            endpoint=endpoint,
            data=b"{}" if size == 2 else os.urandom(size),
            records=3,
            fetched_us=fetched,
            expires_us=fetched + 40 * 86_400_000_000,
        )
        holding = await self.pages.seal(page)
        assert holding is not None
        await self.database.write(lambda conn: keep(conn, [holding]))
        self.pages.remember(page, since=self.pages.round)
        return page

    async def held(self) -> list[str]:
        keys = await self.database.read(
            lambda conn: conn.execute(sa.select(table(HeldPageRow).c.key)).scalars().all()
        )
        return sorted(bytes(key).decode().strip() for key in keys)

    async def entries(self) -> list[dict[str, Any]]:
        entry = table(EntryRow)
        leaves = await self.database.read(
            lambda conn: conn.execute(sa.select(entry.c.leaf).order_by(entry.c.ix)).scalars().all()
        )
        found = [exact_json.loads(bytes(leaf)) for leaf in leaves]
        return [each for each in found if isinstance(each, dict)]

    async def deletions(self) -> list[dict[str, Any]]:
        return [each for each in await self.entries() if each.get("op") == "held.deleted"]

    async def scope(self) -> str:
        project = (await self.registry.state()).projects[0]
        return held_scope("project", project.id, project.held_era)

    async def scope_of_caller(self) -> str:
        """Where answers for the project's people are held: its own scope, or its credential's."""
        project = (await self.registry.state()).projects[0].id
        caller = await SqlDirectory(self.database).caller_in(project, None)
        assert caller is not None
        return caller.reuse_scope
