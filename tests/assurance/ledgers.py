"""What the database of a stopped or running installation says, read beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.tree import leaf_hash
from app.storage.engines import open_database
from app.storage.log import check_log
from app.storage.tables import CounterRow, EntryRow, ReservationRow, table
from tests.servers.load import Told

_entry, _counter, _reservation = table(EntryRow), table(CounterRow), table(ReservationRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Entries by index, and what the credential was charged."""

    ids: dict[int, str]
    entries: list[dict[str, Any]]
    requests_used: int
    requests_reserved: int
    records_used: int
    records_reserved: int
    used_of_day: Mapping[str, int]
    """Requests of the credential by day, in ISO form."""
    open_reservations: int

    def unclosed(self) -> list[int]:
        """Indexes of intents without an outcome."""
        closed = {entry["intent_ix"] for entry in self.entries if entry["type"] == "outcome"}
        intents = (index for index, entry in enumerate(self.entries) if entry["type"] == "intent")
        return [index for index in intents if index not in closed]


def _read(conn: Connection) -> tuple[Sequence[Any], Sequence[Any], int]:
    """Entries, counters of the credential, and how many reservations there are.

    What takes time is done with them afterwards: a transaction in which nothing is asked for 5 s is ended.
    """
    check_log(conn)
    rows = conn.execute(sa.select(_entry).order_by(_entry.c.ix)).all()
    counted = conn.execute(sa.select(_counter).where(_counter.c.scope_kind == "credential")).all()
    waiting = conn.execute(sa.select(sa.func.count()).select_from(_reservation)).scalar_one()
    return rows, counted, int(waiting)


async def read_ledger(database_url: str) -> Ledger:
    """The ledger and the log as they are, once the log's tree has been checked."""
    database = open_database(database_url)
    try:
        rows, counted, waiting = await database.read(_read)
    finally:
        await database.close()
    assert [row.ix for row in rows] == list(range(len(rows)))
    assert all(leaf_hash(row.leaf) == row.leaf_hash for row in rows)
    requests = [row for row in counted if row.dimension == "requests"]
    records = [row for row in counted if row.dimension == "records"]
    return Ledger(
        ids={row.ix: row.id for row in rows},
        entries=[json.loads(row.leaf) for row in rows],
        requests_used=sum(row.used for row in requests),
        requests_reserved=sum(row.reserved for row in requests),
        records_used=sum(row.used for row in records),
        records_reserved=sum(row.reserved for row in records),
        used_of_day={row.day.isoformat(): row.used for row in requests},
        open_reservations=waiting,
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """How many callers were told what the platform said, that the day is spent, and to try again later.

    The last are few or none, but where too many share the machine: what takes too long is given up, the call's turn
    at the platform as well as its entry in the log. Such a call may have been sent, when it was its outcome that
    took too long to log.
    """

    sent: int
    spent: int
    unavailable: int


def counted(answers: Sequence[Told]) -> Counted:
    """What callers were told, which must be one of the three."""
    sent = spent = unavailable = 0
    for told in answers:
        match told.status, told.code:
            # Of the simulator's people some cannot be found, which costs a request all the same.
            case (200, "ok") | (400, "invalid_params"):
                sent += 1
            case (429, "daily_quota_limit_exceeded"):
                spent += 1
            case _:
                assert told.status in {503, 504}, told
                unavailable += 1
    print(f"{len(answers)} calls: {sent} sent, {spent} refused, {unavailable} told to try again later")
    return Counted(sent, spent, unavailable)
