"""A log of two people over two years, with what looks after it."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from app.administration.changes import Actor
from app.administration.proposals import confirm
from app.administration.state import Proposal
from app.audit.entries import Draft
from app.ids import new_entry_id
from app.query import Page, ResearchQuery
from app.storage.engines import Database, open_database
from app.storage.log import append, name_log
from app.storage.registry import SqlRegistry
from app.storage.schema import migrate
from app.storage.seal_files import SealKeyFile
from app.storage.seals import SqlSeals
from app.storage.tables import PersonRow, table
from tests.signing import boot

ORIGIN = "example.edu/bursar/1"
OFFICER = Actor(kind="person", principal="dpo", roles=frozenset({"compliance"}))
IT = Actor(kind="person", principal="it", roles=frozenset({"admin"}))
DAY_S = 86_400


class Shifted:
    """A clock that is so many days behind."""

    def __init__(self, days: int) -> None:
        self.days = days

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) - dt.timedelta(days=self.days)

    def monotonic_s(self) -> float:
        return 0.0


@dataclass
class Kept:
    """The log, and who proposes, confirms and reads."""

    url: str
    directory: Path
    database: Database
    registry: SqlRegistry
    seals: SqlSeals

    @property
    def file(self) -> SealKeyFile:
        return SealKeyFile(self.directory / "seal.key")

    async def ask(
        self, person: str, questions: Sequence[Mapping[str, object]], *, days_ago: int = 0
    ) -> list[str]:
        """The ids of entries with these questions, asked so many days ago."""
        database = open_database(self.url, clock_offset_s=-days_ago * DAY_S)
        seals = SqlSeals(database=database, file=self.file, clock=Shifted(days_ago))
        try:
            keys = await seals.keys_for(person)
            drafts = []
            for question in questions:
                text = json.dumps(question, sort_keys=True, separators=(",", ":"))
                query = ResearchQuery(endpoint="user/info", question=text, fields=(), page=Page())
                entry = new_entry_id()
                sealed = keys.sealed(query, entry=entry, entry_type="decision")
                actor = {"kind": "key", "principal": person, "project": "j1"}
                fields = {
                    "actor": actor,
                    "op": "user/info",
                    "approval": "R-2026-014",
                    "decision": {"verdict": "allowed", "rule": "endpoint-approved/1"},
                    **sealed.fields,
                }
                drafts.append(Draft(type="decision", fields=fields, id=entry, kept=sealed.kept))
            for start in range(0, len(drafts), 200):
                await append(database, boot(run=new_entry_id()[:16]), drafts[start : start + 200])
        finally:
            await database.close()
        return [draft.id for draft in drafts]

    async def by_two(self, proposal: Proposal) -> None:
        """Have somebody else confirm it, and finish what follows."""
        await confirm(self.registry, IT, proposal_id=proposal.id)
        await self.registry.empty_pruned()


async def begun(url: str, directory: Path) -> Kept:
    """An empty log with two people in the directory."""
    directory.mkdir(exist_ok=True)
    await migrate(url)
    database = open_database(url)
    person = table(PersonRow)
    rows: list[dict[str, object]] = [
        {"id": name, "email": f"{name}@example.edu", "name": name, "roles": [], "created_us": 0}
        for name in ("ada", "bob")
    ]
    await database.write(lambda conn: conn.execute(sa.insert(person), rows))
    await database.write(lambda conn: name_log(conn, ORIGIN))
    file = SealKeyFile(directory / "seal.key")
    registry = SqlRegistry(database=database, boot=boot(run="f" * 16), seal_file=file)
    seals = SqlSeals(database=database, file=SealKeyFile(directory / "seal.key"), clock=Shifted(0))
    await seals.start()
    return Kept(url, directory, database, registry, seals)
