"""The log against every checkpoint of it that is known, and the new epoch of a log that lost entries."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app import exact_json
from app.audit.entries import Draft, Receipt, Value
from app.audit.epochs import EPOCH, Epoch, History, Name, lost_since, next_epoch, objection, order_of
from app.audit.notes import Checkpoint, Kept, Signer, open_checkpoint, text_of
from app.audit.proofs import root_of
from app.audit.receipts import ProvenGrowth
from app.audit.tree import leaf_hash
from app.errors import Conflict, LogBroken, NotReady
from app.storage.engines import Database
from app.storage.log import Boot, LockedHead, lock_any_head
from app.storage.proving import StoredHashes, read_growth
from app.storage.tables import EntryRow, EpochRow, HeadRow, table

_head, _entry, _epoch = table(HeadRow), table(EntryRow), table(EpochRow)
_EPOCHS: Final = (
    sa.select(_epoch, _entry.c.leaf, _entry.c.leaf_hash)
    .join(_entry, _entry.c.ix == _epoch.c.ix, isouter=True)
    .order_by(_epoch.c.number)
)


def read_history(conn: Connection) -> History:
    """The log as it is now. Raises LogBroken where an epoch is not what its first entry says, NotReady."""
    head = conn.execute(sa.select(_head.c.origin, _head.c.size)).one_or_none()
    if head is None:
        raise NotReady("the database has no log yet: run `bursar init`")
    epochs = tuple(_told(row) for row in conn.execute(_EPOCHS))
    begun = epochs[-1].origin if epochs else Name(Name.parse(head.origin).base, 1).origin
    if begun != head.origin:
        raise LogBroken(f"The log is called {head.origin}, and the last epoch that was begun is {begun}.")
    hashes = StoredHashes(conn)
    return History(
        origin=head.origin, size=head.size, epochs=epochs, root_at=lambda size: root_of(hashes, 0, size)
    )


def first_objection(history: History, known: Sequence[Kept]) -> str | None:
    """What the newest checkpoint that does not agree says; None where all agree."""
    newest_first = sorted((each.checkpoint for each in known), key=order_of, reverse=True)
    return next((found for each in newest_first if (found := objection(each, history)) is not None), None)


def continues(
    conn: Connection, note: bytes, signer: Signer | None, *, new: int | None = None
) -> tuple[ProvenGrowth | None, str]:
    """That the log continues the checkpoint in `note`; None and why where it does not.

    `signer` is the log's key, which must have signed the note. Raises InvalidParams where `new` is no size of
    the log that came later.
    """
    try:
        then = Checkpoint.parse(text_of(note))
        if signer is not None:
            open_checkpoint(note, signer.known(then.origin))
    except LogBroken as error:
        return None, error.message
    history = read_history(conn)
    found = objection(then, history)
    lost = lost_since(then, history) if found is None else None
    if lost is not None:
        found = (
            f"the entries from {lost.agreed} to {lost.known - 1} of the time before epoch {lost.number} are lost, as "
            f"entry {lost.ix} tells, and the checkpoint has {then.size}"
        )
    if found is not None:
        return None, f"{found[0].upper()}{found[1:]}."
    return read_growth(conn, old=then.size, new=new), ""


async def open_epoch(
    database: Database, boot: Boot, known: Sequence[Kept], *, told: Mapping[str, Value]
) -> tuple[Epoch, Receipt]:
    """The new epoch of a log that lost entries, durable on return, and the place of its first entry.

    `told` goes into that entry: who opens it, and why. Raises Conflict where the log holds all that is known.
    """

    def work(conn: Connection) -> tuple[LockedHead, Epoch, Receipt]:
        head = lock_any_head(conn, database, boot)
        history = read_history(conn)
        epoch = next_epoch(history, [each.checkpoint for each in known])
        if epoch is None:
            raise Conflict("The log continues every checkpoint that is known, so no new epoch is needed.")
        base = Name.parse(history.origin).base
        of_it = [each for each in known if Name.parse(each.checkpoint.origin).base == base]
        newest = max(of_it, key=lambda each: order_of(each.checkpoint))
        fields: dict[str, Value] = {
            **told,
            "op": "audit.new-epoch",
            "epoch": {**epoch.told(), "old_origin": history.origin, "checkpoint": newest.note.decode()},
        }
        conn.execute(sa.update(_head).values(origin=epoch.origin))
        head.origin = epoch.origin
        receipt = head.stage(Draft(type=EPOCH, fields=fields))
        conn.execute(
            sa.insert(_epoch).values(
                number=epoch.number,
                origin=epoch.origin,
                ix=epoch.ix,
                agreed=epoch.agreed,
                known=epoch.known,
                beyond=dict(epoch.beyond),
            )
        )
        head.write()
        return head, epoch, receipt

    _, epoch, receipt = await database.write(work, committed=lambda done: done[0].committed())
    boot.trouble = None
    return epoch, receipt


def _told(row: sa.Row[Any]) -> Epoch:
    names = ("number", "origin", "ix", "agreed", "known", "beyond")
    epoch = Epoch(**{name: getattr(row, name) for name in names})
    if row.leaf is None:
        raise LogBroken(f"The first entry of epoch {epoch.number} is missing.")
    # Of a pruned entry there is the hash, which the signed root covers, and nothing to compare.
    if row.leaf:
        leaf = bytes(row.leaf)
        entry = cast("dict[str, Any]", exact_json.loads(leaf))
        said = entry.get("epoch", {})
        is_so = entry.get("type") == EPOCH and epoch.told().items() <= said.items()
        if not is_so or leaf_hash(leaf) != bytes(row.leaf_hash):
            raise LogBroken(f"Epoch {epoch.number} is not what entry {epoch.ix} of the log says.")
    return epoch
