"""Appending to the audit tree inside a writer's transaction.

The head row is locked first, so the order of locks is the order of the log. Entries are encoded under
that lock, because their time, their day and the figures of the ledger are known only there; a canonical
encoding costs about 14 microseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from app.audit.canonical import encode
from app.audit.entries import ENTRY_VERSION, Draft, KeptQuestion, Receipt, Value
from app.audit.epochs import order_of
from app.audit.facts import FACT_NAMES, facts_of, tags_of
from app.audit.notes import Checkpoint, Kept, Signer, open_checkpoint
from app.audit.tree import Frontier, leaf_hash
from app.errors import BadSetting, LogBroken, NotReady, RollbackDetected, UnknownSigner
from app.ids import EntryId
from app.storage.engines import Database
from app.storage.prepared import Prepared
from app.storage.tables import (
    AboutRow,
    EntryRow,
    FactRow,
    FurtherAboutRow,
    HeadRow,
    SealedQuestionRow,
    TreeNodeRow,
    table,
)

_HEAD = table(HeadRow)
_ENTRY = table(EntryRow)
_LOCK_HEAD = Prepared(
    sa.select(
        _HEAD.c.size,
        _HEAD.c.frontier,
        _HEAD.c.last_ts_us,
        _HEAD.c.revision,
        _HEAD.c.origin,
        _HEAD.c.checkpoint,
    ).with_for_update()
)
_MOVE_HEAD = Prepared(
    sa.update(_HEAD)
    .where(_HEAD.c.id == sa.literal_column("1"), _HEAD.c.size == sa.bindparam("old_size"))
    .values(
        size=sa.bindparam("new_size"),
        frontier=sa.bindparam("new_frontier"),
        last_ts_us=sa.bindparam("new_ts_us"),
        revision=sa.bindparam("new_revision"),
        checkpoint=sa.bindparam("new_checkpoint"),
    )
)
_INSERT_ENTRY = Prepared(sa.insert(_ENTRY))
_FACT, _ABOUT = table(FactRow), table(AboutRow)
_INSERT_FACT, _INSERT_ABOUT = Prepared(sa.insert(_FACT)), Prepared(sa.insert(_ABOUT))
_COLUMNS = ("ix", "id", "type", "ts_us", "leaf", "leaf_hash")
_FACT_COLUMNS = ("ix", *FACT_NAMES)


def _arrays() -> list[sa.Cast[object]]:
    """The parameters of `audit_append`: a list for each column of an entry and its facts, then the tags."""
    kinds = [(name, _ENTRY.c[name].type) for name in _COLUMNS]
    kinds += [(name, _FACT.c[name].type) for name in FACT_NAMES]
    kinds += [("about_ix", _ABOUT.c.ix.type), ("about_tag", _ABOUT.c.tag.type)]
    return [sa.cast(sa.bindparam(name), postgresql.ARRAY(kind)) for name, kind in kinds]


_APPEND = Prepared(sa.select(sa.func.audit_append(*_arrays())))
"""On PostgreSQL the role that serves may append by this function alone; it checks and hashes again."""
_KEEP_QUESTION = Prepared(sa.insert(table(SealedQuestionRow)))
_KEEP_TAG = Prepared(sa.insert(table(FurtherAboutRow)))
_KEEP_NODE = Prepared(sa.insert(table(TreeNodeRow)))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Entries that were about to be committed, told by the first one's id."""

    entry: EntryId
    next_rseq: int
    signed: Kept


@dataclass(slots=True)
class Boot:
    """One run of one process: its entries carry its id and a sequence without gaps.

    `signer` is the log's key; without one nothing can be appended. `seen` is the newest checkpoint that
    this process knows to be committed: nothing is appended to a log that is behind it. `trouble` says why
    nothing is appended at all, until somebody finds that the log is the one that it was.
    """

    replica: str
    id: str
    signer: Signer | None = field(default=None, repr=False)
    next_rseq: int = 0
    seen: Kept | None = field(default=None, repr=False)
    trouble: str | None = None
    _trusted: bytes = field(default=b"", repr=False)
    """The note whose signature was last made or verified here."""
    _attempt: _Attempt | None = field(default=None, repr=False)
    """What nobody knows to be committed or not, since the connection ended in between."""

    def verify(self, kept: Kept) -> None:
        """Return if the log's key signed it; raises LogBroken, UnknownSigner where another did."""
        if self.signer is not None and kept.note != self._trusted:
            open_own(kept.note, self.signer, kept.checkpoint.origin)
            self._trusted = kept.note

    def take_note(self, next_rseq: int, signed: Kept | None) -> None:
        """What was appended is committed."""
        self.next_rseq = next_rseq
        self._attempt = None
        if signed is not None:
            self._trusted = signed.note
            self.see(signed)

    def attempt(self, entry: EntryId, next_rseq: int, signed: Kept) -> None:
        """What is about to be committed, told by its first entry."""
        self._attempt = _Attempt(entry, next_rseq, signed)

    def settle(self, conn: Connection) -> None:
        """Find out whether what was attempted last is committed; under the lock of the head, so that it is decided."""
        attempt = self._attempt
        if attempt is None:
            return
        if entry_id_exists(conn, attempt.entry):
            self.take_note(attempt.next_rseq, attempt.signed)
        self._attempt = None

    def see(self, kept: Kept) -> None:
        """Keep it, unless a newer one is known."""
        if self.seen is None or order_of(self.seen.checkpoint) < order_of(kept.checkpoint):
            self.seen = kept


@dataclass(slots=True)
class LockedHead:
    """The head of the log while its row is locked: stage entries, then `write` once."""

    conn: Connection
    boot: Boot
    size: int
    frontier: Frontier
    last_ts_us: int
    revision: int
    now_us: int
    origin: str
    note: bytes
    """The checkpoint that stands in the database."""
    _old_size: int
    _next_rseq: int
    _rows: list[dict[str, object]] = field(default_factory=list)
    _facts: list[dict[str, object]] = field(default_factory=list)
    _tags: list[dict[str, object]] = field(default_factory=list)
    _questions: list[dict[str, object]] = field(default_factory=list)
    _further_tags: list[dict[str, object]] = field(default_factory=list)
    _nodes: list[dict[str, object]] = field(default_factory=list)
    _signed: Kept | None = None

    @property
    def old_size(self) -> int:
        """The number of entries before those that are staged."""
        return self._old_size

    @property
    def next_index(self) -> int:
        """The index that the next staged entry will have."""
        return self.size

    @property
    def first_staged(self) -> EntryId | None:
        """The id of the first entry that was staged, which is in the log if any of them is."""
        return EntryId(str(self._rows[0]["id"])) if self._rows else None

    def stage(self, draft: Draft) -> Receipt:
        """The place of `draft`, valid once the transaction commits; `size` counts it as the last leaf."""
        entry: dict[str, Value] = {
            **draft.fields,
            "v": ENTRY_VERSION,
            "type": draft.type,
            "id": draft.id,
            "ts_us": self.now_us,
            "replica": self.boot.replica,
            "boot": self.boot.id,
            "rseq": self._next_rseq,
        }
        leaf = encode(entry)
        digest = leaf_hash(leaf)
        index = self.size
        self._rows.append(
            {
                "ix": index,
                "id": draft.id,
                "type": draft.type,
                "ts_us": self.now_us,
                "leaf": leaf,
                "leaf_hash": digest,
            }
        )
        self._facts.append(dict(zip(_FACT_COLUMNS, (index, *facts_of(entry)), strict=True)))
        self._tags += ({"tag": tag, "ix": index} for tag in tags_of(entry))
        if draft.kept is not None:
            self._keep_beside(index, draft.kept)
        self.size += 1
        self._next_rseq += 1
        return Receipt(
            id=draft.id,
            index=index,
            size=self.size,
            leaf_hash=digest,
            ts_us=self.now_us,
            origin=self.origin,
        )

    def change_directory(self) -> None:
        """Make every decision that was taken on the directory as it was invalid."""
        self.revision += 1

    def write(self) -> None:
        """Insert what was staged, sign the new tree and move the head.

        Raises LogBroken when somebody else moved it, BadSetting without the log's key.
        """
        if self._rows:
            # Hash the bytes that are about to be stored, not those that were meant to be.
            hashes = [leaf_hash(row["leaf"]) for row in self._rows]  # type: ignore[arg-type]
            self.frontier = self.frontier.extend(hashes, keep=self._keep)
            self._insert()
        self._signed = self._sign()
        entry = self.first_staged
        if entry is not None:
            self.boot.attempt(entry, self._next_rseq, self._signed)
        moved = _MOVE_HEAD.run(
            self.conn,
            {
                "old_size": self._old_size,
                "new_size": self.size,
                "new_frontier": self.frontier.to_bytes(),
                "new_ts_us": self.now_us,
                "new_revision": self.revision,
                "new_checkpoint": self._signed.note,
            },
        )
        if moved != 1 or self.frontier.size != self.size:
            raise LogBroken("the head of the log was moved by somebody who does not hold its lock")

    def _sign(self) -> Kept:
        if self.boot.signer is None:
            raise BadSetting("The log's key is not at hand, so nothing can be appended to the log.")
        checkpoint = Checkpoint(self.origin, self.size, self.frontier.root())
        return Kept(checkpoint, self.boot.signer.sign(checkpoint.text, self.origin))

    def _insert(self) -> None:
        if self.conn.dialect.name == "postgresql":
            lists = {name: [row[name] for row in self._rows] for name in _COLUMNS}
            lists |= {name: [row[name] for row in self._facts] for name in FACT_NAMES}
            tags = {f"about_{name}": [row[name] for row in self._tags] for name in ("ix", "tag")}
            _APPEND.rows(self.conn, {**lists, **tags})
        else:
            _INSERT_ENTRY.run(self.conn, *self._rows)
            _INSERT_FACT.run(self.conn, *self._facts)
            if self._tags:
                _INSERT_ABOUT.run(self.conn, *self._tags)
        if self._questions:
            _KEEP_QUESTION.run(self.conn, *self._questions)
        if self._further_tags:
            _KEEP_TAG.run(self.conn, *self._further_tags)
        if self._nodes:
            _KEEP_NODE.run(self.conn, *self._nodes)

    def _keep_beside(self, index: int, kept: KeptQuestion) -> None:
        if kept.ct:
            self._questions.append({"ix": index, "nonce": kept.nonce, "ct": kept.ct})
        self._further_tags += ({"tag": tag, "ix": index} for tag in kept.tags)

    def _keep(self, level: int, index: int, root: bytes) -> None:
        self._nodes.append({"level": level, "ix": index, "hash": root})

    def committed(self) -> None:
        """Tell the boot of its sequence numbers and of the checkpoint; call after the transaction has committed."""
        self.boot.take_note(self._next_rseq, self._signed)


def lock_head(conn: Connection, database: Database, boot: Boot) -> LockedHead:
    """The head of the log, locked until the transaction ends; raises NotReady when there is none.

    `now_us` never goes back: it is the database's clock, or the last entry's time where that is later.
    Raises RollbackDetected where the log is behind what this process has seen of it, and LogBroken where
    its head is not one that the log's key has signed: nothing is signed on top of that.
    """
    head = lock_any_head(conn, database, boot)
    seen = boot.seen
    if boot.trouble is None and seen is not None:
        then = seen.checkpoint
        if head.origin != then.origin or head.size < then.size:
            boot.trouble = f"the log has {head.size} entries under {head.origin}, and had {then.size}"
    if boot.trouble is not None:
        if head.note:
            boot.verify(Kept.parse(head.note))  # another key than the log's is not told as a loss of entries
        raise RollbackDetected(rollback_message(boot.trouble))
    _require_signed(head)
    return head


def _require_signed(head: LockedHead) -> None:
    if not head.note:
        # A log of before checkpoints; one that this process has seen signed cannot be it.
        if head.boot.seen is not None:
            raise LogBroken("the head of the log has lost its checkpoint")
        return
    kept = Kept.parse(head.note)
    head.boot.verify(kept)
    if kept.checkpoint != Checkpoint(head.origin, head.size, head.frontier.root()):
        raise LogBroken("the signed head of the log stands for another tree than the one to append to")


def open_own(note: bytes, signer: Signer, origin: str) -> Checkpoint:
    """The checkpoint of this very log; raises LogBroken, UnknownSigner where its key is another one."""
    try:
        return open_checkpoint(note, signer.verifiers(origin))
    except UnknownSigner as error:
        raise UnknownSigner(
            f"The key in log.key is not the one that signs this log, {origin}. Put that one back from where the key "
            "files are kept, or copy it from a machine that serves; if you did not expect this log, BURSAR_DATABASE_URL "
            "names the database of another installation."
        ) from error


def is_signed(conn: Connection) -> bool:
    """Whether a key has signed what the log holds, so that no other can go on with it; false without a log."""
    return bool(conn.execute(sa.select(_HEAD.c.checkpoint)).scalar_one_or_none())


def require_own_key(conn: Connection, signer: Signer) -> None:
    """Return if this is the key that signed the log's head, or none did yet; raises LogBroken and UnknownSigner."""
    head = conn.execute(sa.select(_HEAD.c.origin, _HEAD.c.checkpoint)).one_or_none()
    if head is not None and head.checkpoint:
        open_own(bytes(head.checkpoint), signer, head.origin)


def rollback_message(found: str) -> str:
    """What was found, as the error says it, with what to do."""
    return (
        f"audit_rollback_detected: {found.rstrip('.')}. Nothing is logged or served, since the log must not be signed twice "
        "over. Bring back the database that has these entries, or, where another log is named, have BURSAR_DATABASE_URL "
        "and BURSAR_DATA_DIR of one installation; only if entries are lost for good, run `bursar audit new-epoch "
        "--reason TEXT`."
    )


def lock_moment(conn: Connection, database: Database) -> int:
    """What time it is in the log, in microseconds; whoever writes into it waits until this transaction ends."""
    last_us = [int(last_ts_us) for _, _, last_ts_us, *_ in _LOCK_HEAD.rows(conn)]
    return max(database.now_us(conn), *last_us)


def lock_any_head(conn: Connection, database: Database, boot: Boot) -> LockedHead:
    """As `lock_head`, of whatever log there is; for whoever has compared it, or is about to."""
    rows = _LOCK_HEAD.rows(conn)
    if not rows:
        raise NotReady("the database has no log yet: run `bursar init`")
    size, frontier, last_ts_us, revision, origin, note = rows[0]
    boot.settle(conn)
    return LockedHead(
        conn=conn,
        boot=boot,
        size=size,
        frontier=Frontier.from_bytes(frontier),
        last_ts_us=last_ts_us,
        revision=revision,
        now_us=max(database.now_us(conn), last_ts_us),
        origin=origin,
        note=bytes(note) if note else b"",
        _old_size=size,
        _next_rseq=boot.next_rseq,
    )


async def append(
    database: Database, boot: Boot, drafts: Sequence[Draft], *, changes_directory: bool = False
) -> list[Receipt]:
    """The places of `drafts`, durable on return; for callers that change nothing else with them."""

    def work(conn: Connection) -> tuple[LockedHead, list[Receipt]]:
        head = lock_head(conn, database, boot)
        receipts = [head.stage(draft) for draft in drafts]
        if changes_directory:
            head.change_directory()
        head.write()
        return head, receipts

    _, receipts = await database.write(work, committed=lambda result: result[0].committed())
    return receipts


def entry_id_exists(conn: Connection, entry_id: EntryId) -> bool:
    """Whether the log holds an entry of that id."""
    return conn.execute(sa.select(_ENTRY.c.ix).where(_ENTRY.c.id == entry_id)).first() is not None


_NEWEST_CHECKED = 1_000
_AT_ONCE = 50_000
_HASHES = (
    sa.select(_ENTRY.c.leaf_hash)
    .where(_ENTRY.c.ix >= sa.bindparam("since"), _ENTRY.c.ix < sa.bindparam("until"))
    .order_by(_ENTRY.c.ix)
)


def check_log(conn: Connection, signer: Signer | None = None) -> int:
    """The number of entries, once head, signature, hashes and the newest leaves agree; raises LogBroken.

    Every leaf hash is read (about a second for a million), and the newest thousand leaves are hashed
    again. It finds a log that was cut, damaged or, given the log's `signer`, signed by another key; the
    audit's own verification reads all.
    """
    columns = (_HEAD.c.size, _HEAD.c.frontier, _HEAD.c.origin, _HEAD.c.checkpoint, _HEAD.c.min_index)
    head = conn.execute(sa.select(*columns)).one_or_none()
    if head is None:
        raise NotReady("the database has no log yet: run `bursar init`")
    frontier = Frontier()
    while hashes := conn.execute(_HASHES, {"since": frontier.size, "until": frontier.size + _AT_ONCE}).all():
        frontier = frontier.extend(row.leaf_hash for row in hashes)
    if frontier != Frontier.from_bytes(head.frontier) or frontier.size != head.size:
        raise LogBroken(
            f"the log holds {frontier.size} entries that do not make up the head's tree of {head.size}: "
            "entries were lost or changed. Restore the database, and keep this one as evidence."
        )
    if head.checkpoint and signer is not None:
        signed = open_own(bytes(head.checkpoint), signer, head.origin)
        if signed != Checkpoint(head.origin, frontier.size, frontier.root()):
            raise LogBroken("the signed head of the log stands for another tree than its entries make up")
    newest = sa.select(_ENTRY.c.ix, _ENTRY.c.leaf, _ENTRY.c.leaf_hash).order_by(_ENTRY.c.ix.desc())
    for row in conn.execute(newest.limit(_NEWEST_CHECKED)):
        if row.ix < head.min_index and not row.leaf:
            continue  # pruned: the hash is what is left of it
        if leaf_hash(row.leaf) != row.leaf_hash or row.ix >= head.size:
            raise LogBroken(f"entry {row.ix} of the log is not the one that was hashed")
    return frontier.size


def head_size(conn: Connection) -> int:
    """The number of entries, by the head alone."""
    return int(conn.execute(sa.select(_HEAD.c.size)).scalar_one())


def last_entry(conn: Connection) -> tuple[int, int]:
    """The number of entries, and when the newest was written (microseconds since 1970 UTC), by the head alone."""
    size, ts_us = conn.execute(sa.select(_HEAD.c.size, _HEAD.c.last_ts_us)).one()
    return int(size), int(ts_us)


_NEVER_NAMED = "bursar"


def name_log(conn: Connection, origin: str) -> None:
    """Give the log its origin, if it has neither entries nor one of its own."""
    unnamed = (_HEAD.c.size == 0) & (_HEAD.c.origin == _NEVER_NAMED)
    conn.execute(sa.update(_HEAD).where(unnamed).values(origin=origin))
