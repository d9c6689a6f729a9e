"""Two credentials with three projects, and what a database says of their quota."""

import asyncio
import functools
import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.quota.limits import Owners as NamedOwners
from app.storage.engines import open_database
from app.storage.schema import migrate
from app.storage.tables import CounterRow, CredentialRow, EntryRow, ProjectRow, ReservationRow, table
from tests.quota import plain_ledger as plain
from tests.quota.plain_ledger import Counter, Owners

PROJECTS_OF = {"c1": ("p1", "p2"), "c2": ("p3",)}
CALLERS: tuple[Owners, ...] = tuple(
    dict(zip(plain.SCOPES, ids, strict=True))
    for ids in (
        ("c1", "p1", "m1", "k1"),
        ("c1", "p1", "m1", "k2"),
        ("c1", "p1", "m2", "k3"),
        ("c1", "p2", "m3", "k4"),
        ("c2", "p3", "m4", "k5"),
        ("c2", "p3", "m5", "k6"),
    )
)
KINDS = {**{scope: scope for scope in plain.SCOPES}, "each_member": "project", "floor": "project"}
"""Kinds of stored limits, and whose id each is kept under."""
CALLS = ("calls", *(calls for calls, _ in plain.FAMILIES.values()))


def named(owners: Owners) -> NamedOwners:
    """The owners as the application names them."""
    return {
        "credential": owners["credential"],
        "project": owners["project"],
        "membership": owners["member"],
        "key": owners["key"],
    }


@functools.cache
def empty_database() -> bytes:
    """A database of the newest schema with the projects in it."""

    async def make(path: Path) -> None:
        url = f"sqlite+aiosqlite:///{path}"
        await migrate(url)
        database = open_database(url)
        await database.write(lambda conn: fill(conn, PROJECTS_OF))
        await database.close()

    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "bursar.db"
        asyncio.run(make(path))
        return path.read_bytes()


def fill(conn: Connection, projects_of: Mapping[str, Sequence[str]]) -> None:
    """Put credentials and their projects into a database."""
    for credential, projects in projects_of.items():
        conn.execute(sa.insert(table(CredentialRow)).values(**_credential(credential)))
        for project in projects:
            conn.execute(sa.insert(table(ProjectRow)).values(**_project(project, credential)))


def _credential(name: str) -> dict[str, Any]:
    return {
        "id": name, "name": name, "base_url": "http://127.0.0.1", "wrapped_key": b"", "sealed_client_key": b"",
        "sealed_client_secret": b"", "secret_digest": b"", "roster_limit": 10, "permission": {}, "created_us": 0,
    }  # fmt: skip


def _project(name: str, credential: str) -> dict[str, Any]:
    return {
        "id": name, "name": name, "credential_id": credential, "approval_reference": "R", "lead_id": None,
        "approved_from": date(2000, 1, 1), "approved_until": date(2999, 1, 1), "cache_scope": "project",
        "allow": {}, "wrapped_data_key": b"", "created_us": 0,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """What the tables hold: counters that are not zero, ids of open reservations, and the newest leaves."""

    counters: dict[Counter, tuple[int, int]]
    promised: set[str]
    leaves: list[bytes]


def read_written(conn: Connection, *, since: int) -> Written:
    """Everything, and the leaves from index `since` on."""
    counter, reservation, entry = table(CounterRow), table(ReservationRow), table(EntryRow)
    counted = conn.execute(sa.select(counter).where((counter.c.used != 0) | (counter.c.reserved != 0)))
    leaves = conn.execute(sa.select(entry.c.leaf).where(entry.c.ix >= since).order_by(entry.c.ix))
    return Written(
        counters={
            (row.scope_kind, row.scope_id, row.dimension, row.day.toordinal()): (row.used, row.reserved)
            for row in counted
        },
        promised=set(conn.execute(sa.select(reservation.c.id)).scalars()),
        leaves=list(leaves.scalars()),
    )


@dataclass(slots=True)
class ToldByTheLog:
    """Counters of what the platform counts, and open calls, as the entries alone tell of them.

    Of calls and delivered records an entry does not say in which scopes they were counted.
    """

    size: int = 0
    newest_us: int = 0
    used: dict[Counter, int] = field(default_factory=lambda: defaultdict(int))
    intents: dict[int, dict[str, Any]] = field(default_factory=dict)

    def add(self, leaves: Sequence[bytes]) -> None:
        """The next leaves of the log."""
        for leaf in leaves:
            entry = json.loads(leaf)
            assert entry["ts_us"] >= self.newest_us
            self.newest_us = entry["ts_us"]
            if entry["type"] == "intent":
                self.intents[self.size] = entry
            elif entry["type"] == "outcome" and "late" not in entry["quota"]:
                intent = self.intents.pop(entry["intent_ix"])
                assert entry["quota"]["days"] == intent["quota"]["days"]
                for counter, amount in _told(intent, entry["quota"]["charged"]):
                    self.used[counter] += amount
            self.size += 1

    def counters(self) -> dict[Counter, tuple[int, int]]:
        """Used and reserved of everything that is not zero."""
        reserved: dict[Counter, int] = defaultdict(int)
        for intent in self.intents.values():
            for counter, amount in _told(intent, intent["quota"]["reserved"]):
                reserved[counter] += amount
        both = {each: (self.used.get(each, 0), reserved.get(each, 0)) for each in {*self.used, *reserved}}
        return {counter: pair for counter, pair in both.items() if pair != (0, 0)}

    def unclosed(self) -> set[str]:
        """Ids of the intents that have no outcome."""
        return {intent["id"] for intent in self.intents.values()}


def actor(owners: Owners) -> dict[str, str]:
    """Who acts, as entries say it; here each person is a member of one project."""
    return {
        "kind": "key",
        "key_id": owners["key"],
        "principal": owners["member"],
        "project": owners["project"],
        "credential": owners["credential"],
    }


def _told(intent: dict[str, Any], amounts: dict[str, int]) -> list[tuple[Counter, int]]:
    names = {"credential": "credential", "project": "project", "member": "principal", "key": "key_id"}
    return [
        ((scope, intent["actor"][name], dimension, date.fromisoformat(day).toordinal()), amount)
        for scope, name in names.items()
        for dimension, amount in amounts.items()
        if dimension not in plain.OWN
        for day in intent["quota"]["days"]
    ]
