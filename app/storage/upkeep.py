"""What two people agreed to do to the log: keys destroyed, content emptied; hashes and tree stay as they are.

The entry that says so, the keys and the head's `min_index` change in one transaction. Emptying leaves follows in
parts, since the head is locked meanwhile; whatever stands below `min_index` and still has content is found again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.changes import Actor, Erasure, Pruning, grounds_of
from app.audit.calls import versioned
from app.audit.entries import Draft, Value
from app.errors import Conflict
from app.sealing import MasterKey
from app.storage.engines import Database
from app.storage.log import LockedHead
from app.storage.seal_files import SealKeyFile
from app.storage.seals import all_keys, current, month_of, replace_keys, rewrapped
from app.storage.searching import index_at
from app.storage.tables import (
    AboutRow,
    EntryRow,
    FactRow,
    FurtherAboutRow,
    HeadRow,
    SealedQuestionRow,
    SealKeyRow,
    table,
)

_head, _entry, _seal = table(HeadRow), table(EntryRow), table(SealKeyRow)
_BESIDE: Final = tuple(table(row) for row in (FactRow, AboutRow, FurtherAboutRow, SealedQuestionRow))
_AT_ONCE: Final = 2_000
_KIDS_AN_ENTRY: Final = 300
_DAY_US: Final = 86_400_000_000


def prepare(
    conn: Connection, head: LockedHead, actor: Actor, upkeep: Erasure | Pruning, file: SealKeyFile
) -> Callable[[Connection], None]:
    """Stage the entries and change the keys; what is returned is to be called once the entries are written.

    When it is committed, `seals.settle` has the file follow. Raises Conflict where there is nothing to do, AuditUnavailable."""
    # The lock first: a key that is made meanwhile by another process would otherwise be missing among those kept.
    old = current(conn, file)
    keys, by = all_keys(conn), _By(actor, upkeep)
    if isinstance(upkeep, Erasure):
        doomed = [
            row for row in keys if row.get("person") == upkeep.person and upkeep.month in {None, row["month"]}
        ]
        if not doomed:
            raise Conflict(
                "There is no key of such questions: nothing was asked then, or it is erased already."
            )
        _destroy(conn, head, by, file=file, old=old, keys=keys, doomed=doomed)
        return lambda _: None
    before = conn.execute(sa.select(_head.c.min_index)).scalar_one()
    min_index = index_at(conn, upkeep.before_us, head.old_size)
    if min_index <= before:
        raise Conflict("There is no content of that age any more.")
    kept_since = conn.execute(sa.select(_entry.c.ts_us).where(_entry.c.ix == min_index)).scalar_one_or_none()
    # Whatever was sealed before the first entry that stays: a day apart, for the moments around midnight.
    last = month_of((kept_since if kept_since is not None else head.now_us) - _DAY_US)
    doomed = [row for row in keys if row["month"] < last]
    said: dict[str, Value] = {"min_index": min_index, "before_us": upkeep.before_us}
    head.stage(by.entry("prune", {"prune": said}))
    _destroy(conn, head, by, file=file, old=old, keys=keys, doomed=doomed)

    def finish(conn: Connection) -> None:
        if conn.dialect.name == "postgresql":
            conn.execute(sa.select(sa.func.audit_prune(min_index))).scalar_one()
        else:
            conn.execute(sa.update(_head).values(min_index=min_index))

    return finish


def erasable_months(conn: Connection, person: str) -> list[str]:
    """Of which months there are keys of that person's questions, the first one first: an erasure destroys these."""
    asked = sa.select(_seal.c.month).where(_seal.c.person == person).order_by(_seal.c.month)
    return list(conn.execute(asked).scalars())


def prunable_entries(conn: Connection, before_us: int) -> int:
    """How many entries a pruning would empty now that are older than that moment."""
    min_index, size = conn.execute(sa.select(_head.c.min_index, _head.c.size)).one()
    return max(0, index_at(conn, before_us, int(size)) - int(min_index))


async def empty_pruned(database: Database) -> int:
    """How many entries were emptied: all below `min_index` that still had content."""
    emptied = 0
    while count := await database.write(_empty_some):
        emptied += count
    return emptied


def _empty_some(conn: Connection) -> int:
    if conn.dialect.name == "postgresql":
        return int(conn.execute(sa.select(sa.func.audit_empty(_AT_ONCE))).scalar_one())
    end = int(conn.execute(sa.select(_head.c.min_index)).scalar_one())
    first = _first_with_content(conn, end)
    last = min(first + _AT_ONCE, end)
    if first >= last:
        return 0
    # What is deleted is overwritten in the file, and not only given up.
    conn.exec_driver_sql("PRAGMA secure_delete = ON")
    conn.execute(sa.update(_entry).where(_entry.c.ix >= first, _entry.c.ix < last).values(leaf=b""))
    for beside in _BESIDE:
        conn.execute(sa.delete(beside).where(beside.c.ix >= first, beside.c.ix < last))
    conn.exec_driver_sql("PRAGMA secure_delete = OFF")
    return last - first


def _first_with_content(conn: Connection, end: int) -> int:
    """The lowest index below `end` whose leaf is not empty, or `end`; leaves are emptied from the left."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        asked = sa.select(sa.func.length(_entry.c.leaf)).where(_entry.c.ix == middle)
        low, high = (middle + 1, high) if conn.execute(asked).scalar_one() == 0 else (low, middle)
    return low


def wrap_anew(
    conn: Connection, *, file: SealKeyFile, old: MasterKey, keys: Sequence[dict[str, Any]], now_us: int
) -> MasterKey:
    """Have these keys and no others, under a new key of the file, which is returned; `seals.settle` follows the commit."""
    # One that was destroyed a moment ago may have left its files as they were when it was committed.
    file.settle(old.fingerprint)
    new = file.prepare()
    wrapped = [rewrapped(row, old, new) for row in keys]
    file.prepare_wrapped(wrapped)
    replace_keys(conn, wrapped, kek=new.fingerprint, now_us=now_us)
    return new


def _destroy(
    conn: Connection,
    head: LockedHead,
    by: "_By",
    *,
    file: SealKeyFile,
    old: MasterKey,
    keys: Sequence[dict[str, Any]],
    doomed: Sequence[dict[str, Any]],
) -> None:
    """Wrap all keys but the doomed anew, and say in the log which these were."""
    if not doomed:
        return
    left = [row for row in keys if row not in doomed]
    new = wrap_anew(conn, file=file, old=old, keys=left, now_us=head.now_us)
    kids = sorted(row["kid"] for row in doomed if "kid" in row)
    months = sorted(row["month"] for row in doomed if "kid" not in row)
    for start in range(0, max(len(kids), 1), _KIDS_AN_ENTRY):
        said: dict[str, Value] = {
            "destroyed": {"kids": kids[start : start + _KIDS_AN_ENTRY], "months": [] if start else months},
            "wrapped_by": new.fingerprint,
        }
        if isinstance(by.upkeep, Erasure):
            said["person"] = by.upkeep.person
        head.stage(by.entry("key", said))


@dataclass(frozen=True, slots=True)
class _By:
    """Who does what, as its entries say it."""

    actor: Actor
    upkeep: Erasure | Pruning

    def entry(self, entry_type: str, said: Mapping[str, Value]) -> Draft:
        actor = self.actor
        fields: dict[str, Value] = {
            "actor": {"kind": actor.kind, "principal": actor.principal, "roles": sorted(actor.roles)},
            "op": "audit.erase" if isinstance(self.upkeep, Erasure) else "audit.prune",
            "decision": {"verdict": "allowed", "rule": versioned(grounds_of(actor))},
            "proposal": self.upkeep.proposal,
            "proposed_by": self.upkeep.proposed_by,
            **said,
        }
        return Draft(type=entry_type, fields=fields)
