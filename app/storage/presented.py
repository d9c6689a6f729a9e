"""A receipt that somebody presents, held to the log's key and to the log as it is now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app import exact_json
from app.audit.epochs import History, Name, lost_since, objection
from app.audit.notes import Checkpoint, Verifier, open_checkpoint, text_of
from app.audit.offline import NotAsItShouldBe, Proof, read_proof, root_by_inclusion
from app.audit.tree import leaf_hash
from app.errors import LogBroken
from app.storage.history import read_history
from app.storage.tables import EntryRow, table

Finding = Literal["holds", "unreadable", "foreign", "signature", "proof", "missing", "lost", "changed"]

MOST_CHARS: Final = 100_000
"""Of a receipt: an entry of 16 KiB, three times over in the form that the API gives, and its proof."""
_MOST_INDEX: Final = 2**63 - 1
_entry = table(EntryRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What came of it, and why. `id` is the entry that the log has at that place now, if it is the receipt's."""

    finding: Finding
    why: str
    origin: str | None = None
    index: int | None = None
    size: int | None = None
    id: str | None = None

    @property
    def holds(self) -> bool:
        """Whether this log signed it and has that entry at that place."""
        return self.finding == "holds"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    proof: Proof
    checkpoint: Checkpoint
    leaf: bytes | None


def check_receipt(conn: Connection, text: str, known: Callable[[str], list[Verifier]]) -> Presented:
    """Whether a receipt, as a tlog-proof or as the API's JSON, is this log's and its entry still there.

    `known` has every key that ever signed under an origin. Raises LogBroken and NotReady where the log itself cannot be
    read.
    """
    try:
        read = _read(text)
    except (LogBroken, ValueError) as error:
        said = error.message if isinstance(error, LogBroken) else f"{error}."
        return Presented(finding="unreadable", why=f"This is no receipt: {said[0].lower()}{said[1:]}")
    history = read_history(conn)
    row = conn.execute(
        sa.select(_entry.c.id, _entry.c.leaf_hash).where(_entry.c.ix == read.proof.ix)
    ).one_or_none()
    stored = None if row is None else bytes(row.leaf_hash)
    judged = _against_itself(read, history, known, stored) or _against_log(read, history, stored)
    finding, why = judged or ("holds", "The log signed it and has this entry at this place.")
    return Presented(
        finding=finding,
        why=why,
        origin=read.checkpoint.origin,
        index=read.proof.ix,
        size=read.checkpoint.size,
        id=str(row.id) if row is not None and judged is None else None,
    )


def _read(text: str) -> _Read:
    if text.lstrip().startswith("{"):
        said: Any = exact_json.loads(text.encode())
        text = str(said.get("proof", "")) if isinstance(said, dict) else ""
    lines = (each.strip() for each in text.strip().splitlines())
    proof = read_proof(("\n".join(lines) + "\n").encode())
    if proof.ix > _MOST_INDEX:
        raise NotAsItShouldBe("no log has an entry of that number")
    checkpoint = Checkpoint.parse(text_of(proof.note))
    # Without its content, as of an entry that was pruned, it can only be of the hash that the log has there.
    return _Read(proof=proof, checkpoint=checkpoint, leaf=leaf_hash(proof.extra) if proof.extra else None)


def _against_itself(
    read: _Read, history: History, known: Callable[[str], list[Verifier]], stored: bytes | None
) -> tuple[Finding, str] | None:
    """What is wrong with its origin, its signature or its proof."""
    proof, checkpoint = read.proof, read.checkpoint
    if Name.parse(checkpoint.origin).base != Name.parse(history.origin).base:
        return "foreign", f"It is of another log, {checkpoint.origin}; this one is {history.origin}."
    try:
        open_checkpoint(proof.note, known(checkpoint.origin))
    except LogBroken as error:
        return "signature", error.message
    leaf = read.leaf or stored
    try:
        if leaf and root_by_inclusion(leaf, proof.ix, checkpoint.size, proof.path) != checkpoint.root:
            return "proof", "Its entry and its path do not lead to the root that the log signed."
    except NotAsItShouldBe as error:
        return "proof", f"Its proof does not hold: {error}."
    return None


def _against_log(read: _Read, history: History, stored: bytes | None) -> tuple[Finding, str] | None:
    """What has become of the log since it signed this."""
    index, checkpoint = read.proof.ix, read.checkpoint
    lost = lost_since(Checkpoint(checkpoint.origin, index + 1, checkpoint.root), history)
    if lost is not None:
        told = f"as entry {lost.ix} tells, which began epoch {lost.number}"
        return "lost", f"The log signed it and has lost the entry since, {told}."
    if stored is None:
        return "missing", f"The log signed it, and has no entry {index} now."
    if stored != (read.leaf or stored):
        return "changed", f"The log signed it, and its entry {index} is another now."
    found = objection(checkpoint, history)
    return None if found is None else ("changed", f"The log signed it, but {found}.")
