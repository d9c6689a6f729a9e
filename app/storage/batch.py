"""One transaction of the books: many operations, one commit.

Everything here is a plain function of a connection, under the lock of the head row; so counters are read,
decided on and written without another process in between, whatever database it is.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.notices import Notice, credential_refused, platform_spent
from app.administration.retention import deleted
from app.audit.entries import Draft, Receipt, Value
from app.audit.questions import without_question
from app.books import Intent, PlatformSays, PlatformSpent, Reservation, Served, Superseded, UnderWay
from app.cache.pages import Holding, SearchState
from app.ids import EntryId
from app.provider.charge import FREE, Charge
from app.quota.arithmetic import Dimension, Exhausted, ScopeKind, Standing, Want
from app.quota.limits import DIMENSIONS, Owners, owner_ids
from app.quota.mirror import Closed, Probe
from app.quota.tallies import Mark
from app.storage.engines import Database
from app.storage.flights import Flights
from app.storage.ledger import Ledger
from app.storage.log import Boot, LockedHead, entry_id_exists, lock_any_head, lock_head
from app.storage.mirrors import Mirrors
from app.storage.notices import tell, threshold
from app.storage.pages import KEEP_SEARCH, hold, search_row
from app.storage.prepared import Prepared, PreparedForIds
from app.storage.savings import Answers
from app.storage.tables import ReservationRow, table
from app.storage.tagged import Gone, delete_pages, gone_since, tagged
from app.storage.tallies import Tallies

_MOST_REAPED = 200
GONE_UPSTREAM: Final = "gone-upstream/1"
"""The rule under which pages go that hold what the platform has no longer."""


_reservation = table(ReservationRow)

_RESERVATIONS = PreparedForIds(
    lambda ids: sa.select(
        _reservation.c.id, _reservation.c.takings, _reservation.c.intent_ix, _reservation.c.entry
    ).where(_reservation.c.id.in_(ids))
)
_DUE = Prepared(
    sa.select(_reservation.c.id, _reservation.c.takings, _reservation.c.intent_ix, _reservation.c.entry)
    .where(_reservation.c.lease_until_us <= sa.bindparam("now_us"))
    .order_by(_reservation.c.lease_until_us)
    .limit(_MOST_REAPED)
)
_FORGET_RESERVATIONS = PreparedForIds(lambda ids: sa.delete(_reservation).where(_reservation.c.id.in_(ids)))
_PROMISE = Prepared(sa.insert(_reservation))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """Reserve and log an intent."""

    wants: tuple[Want, ...]
    intent: Intent

    def abandoned(self, granted: Reservation) -> "CloseCall":
        """The end of a reservation whose caller had left before it was granted."""
        fields = {**without_question(self.intent.draft.fields), "intent_ix": granted.receipt.index}
        fields |= {"err": "abandoned", "upstream": {"called": False}}
        return CloseCall(
            reservation=granted.receipt.id, charge=FREE, draft=Draft(type="outcome", fields=fields)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseCall:
    """Settle and log an outcome."""

    reservation: EntryId
    charge: Charge
    draft: Draft
    opened_us: int = 0
    holdings: tuple[Holding, ...] = ()
    search: SearchState | None = None
    says: PlatformSays | None = None
    delivered: int = 0
    mark: Mark | None = None
    gone: Mapping[str, Sequence[bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeHeld:
    """Charge a call that is answered from what is here, and log the decision."""

    draft: Draft
    wants: tuple[Want, ...]
    owners: Owners
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteEntry:
    """Log a decision."""

    draft: Draft
    revision: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReapLeases:
    """Settle what died: the outcome is unknown, so everything reserved stays charged."""

    @staticmethod
    def is_due(conn: Connection, database: Database) -> bool:
        """Whether any lease has ended."""
        return bool(_DUE.rows(conn, {"now_us": database.now_us(conn)}))


Operation = OpenCall | CloseCall | ServeHeld | NoteEntry | ReapLeases
Outcome = Reservation | Served | Exhausted | PlatformSpent | Superseded | UnderWay | Receipt | None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch came to, one outcome an operation; tell `head` once it is committed."""

    head: LockedHead
    outcomes: list[Outcome]

    def is_written(self, conn: Connection, database: Database, boot: Boot) -> bool:
        """Whether the log has its entries, where the answer to its commit was lost; waits for a commit on its way."""
        lock_any_head(conn, database, boot)
        entry = self.head.first_staged
        return entry is not None and entry_id_exists(conn, entry)


def apply_batch(conn: Connection, database: Database, boot: Boot, operations: Sequence[Operation]) -> Applied:
    """The outcome of each operation, in their order; the caller commits."""
    head = lock_head(conn, database, boot)
    batch = _Batch(conn, database.dialect, head)
    batch.load(operations)
    outcomes = [batch.apply(operation) for operation in operations]
    batch.flush()
    return Applied(head, outcomes)


def read_standings(conn: Connection, database: Database, owners: Owners) -> tuple[Standing, ...]:
    """Where the limits of a caller stand now."""
    now = _moment(database.now_us(conn))
    ledger = Ledger(conn, now)
    ledger.load(owner_ids(owners), limits_of=owner_ids(owners))
    return ledger.standings(ledger.limits_of(owners), project=owners["project"])


def _moment(now_us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(now_us / 1_000_000, dt.UTC)


@dataclass(slots=True)
class _Promise:
    """A reservation's row, as it is in the database or about to be."""

    takings: list[list[object]]
    intent_ix: int
    entry: dict[str, Value]
    row: dict[str, object] | None = None


@dataclass(slots=True)
class _Batch:
    conn: Connection
    dialect: str
    head: LockedHead
    _promises: dict[str, _Promise] = field(default_factory=dict)
    _settled: list[str] = field(default_factory=list)
    _new: list[dict[str, object]] = field(default_factory=list)
    _holdings: list[Holding] = field(default_factory=list)
    _searches: list[dict[str, object]] = field(default_factory=list)
    _due: list[str] = field(default_factory=list)
    _gone: Sequence[Gone] = ()
    _notices: list[Notice] = field(default_factory=list)
    _ledger: Ledger = field(init=False)
    _mirrors: Mirrors = field(init=False)
    _tallies: Tallies = field(init=False)
    _answers: Answers = field(default_factory=Answers)
    _flights: Flights | None = None
    """Only where other processes may ask the same."""

    def load(self, operations: Sequence[Operation]) -> None:
        """Read, in a few statements, all that the operations will look at."""
        now = _moment(self.head.now_us)
        self._ledger = Ledger(self.conn, now)
        self._mirrors = Mirrors(self.conn, self.dialect, now)
        closing = [each for each in operations if isinstance(each, CloseCall)]
        self._tallies = Tallies(self.conn, self.dialect)
        self._tallies.load([each.mark for each in closing if each.mark is not None])
        holding = [each for each in closing if each.holdings]
        since_us = min((each.opened_us for each in holding), default=0)
        self._gone = gone_since(
            self.conn, since_us, {held.scope for each in holding for held in each.holdings}
        )
        rows = list(_RESERVATIONS.rows(self.conn, [each.reservation for each in closing]))
        if any(isinstance(each, ReapLeases) for each in operations):
            due = _DUE.rows(self.conn, {"now_us": self.head.now_us})
            self._due = [row[0] for row in due]
            rows += due
        for reservation, takings, intent_ix, entry in rows:
            self._promises[reservation] = _Promise(takings, intent_ix, entry)
        scopes = {str(taking[1]) for promise in self._promises.values() for taking in promise.takings}
        days = {
            dt.date.fromisoformat(str(taking[3]))
            for promise in self._promises.values()
            for taking in promise.takings
        }
        opening, serving = set[str](), set[str]()
        for each in operations:
            if isinstance(each, OpenCall):
                opening |= owner_ids(each.intent.owners)
            elif isinstance(each, ServeHeld):
                serving |= owner_ids(each.owners)
        if self.dialect == "postgresql":
            self._flights = Flights(self.conn, self.head.now_us)
            wanted = [each.intent.flight for each in operations if isinstance(each, OpenCall)]
            self._flights.load([each for each in wanted if each is not None])
        deciding = opening | serving
        if scopes or deciding:
            self._ledger.load(scopes | deciding, limits_of=deciding, days=days)
        if opening:
            self._mirrors.load(opening)

    def apply(self, operation: Operation) -> Outcome:
        """What one operation comes to."""
        match operation:
            case OpenCall():
                return self._open(operation)
            case CloseCall():
                return self._close(operation)
            case ServeHeld():
                return self._serve(operation)
            case NoteEntry(draft=draft, revision=revision):
                if revision is not None and revision != self.head.revision:
                    return Superseded(revision=self.head.revision)
                self._answers.count(draft.fields)
                return self.head.stage(draft)
            case ReapLeases():
                for reservation in self._due:
                    self._reap(reservation)
                return None

    def flush(self) -> None:
        """Write everything that the operations changed."""
        self._ledger.flush(self.dialect)
        self._mirrors.flush()
        self._tallies.flush()
        self._answers.flush(self.conn, _moment(self.head.now_us).date())
        if self._flights is not None:
            self._flights.flush(self.dialect)
        self._notices += [threshold(each) for each in dict.fromkeys(self._ledger.crossings)]
        tell(self.conn, self.dialect, self._notices, now_us=self.head.now_us)
        if self._settled:
            _FORGET_RESERVATIONS.run(self.conn, self._settled)
        if self._new:
            _PROMISE.run(self.conn, *self._new)
        self._hold()
        if self._searches:
            KEEP_SEARCH[self.dialect].run(self.conn, *self._searches)
        self.head.write()

    def _open(self, operation: OpenCall) -> Outcome:
        intent = operation.intent
        if intent.revision != self.head.revision:
            return Superseded(revision=self.head.revision)
        if self._flights is not None and intent.flight is not None:
            under_way = self._flights.look(intent.flight, seen=intent.seen)
            if under_way is not None:
                return under_way
        seen = self._mirrors.look(intent.owners["credential"], intent.family)
        if isinstance(seen, Closed):
            return PlatformSpent(seen.mirror)
        limits = self._ledger.limits_of(intent.owners)
        exhausted = self._ledger.decide(limits, operation.wants, project=intent.owners["project"])
        if exhausted is not None:
            return exhausted
        if isinstance(seen, Probe):
            self._mirrors.keep(intent.owners["credential"], intent.family, seen.mirror)
        takings = self._ledger.takings(operation.wants)
        reserved: dict[str, Value] = {str(want.dimension): want.amount for want in operation.wants}
        days = sorted({str(taking[3]) for taking in takings})
        quota: dict[str, Value] = {"days": days, "reserved": reserved}
        receipt = self.head.stage(replace(intent.draft, fields={**intent.draft.fields, "quota": quota}))
        self._new.append(
            {
                "id": receipt.id,
                "intent_ix": receipt.index,
                "lease_until_us": self.head.now_us + int(intent.lease_s * 1_000_000),
                "takings": takings,
                "entry": without_question(intent.draft.fields),
            }
        )
        if self._flights is not None and intent.flight is not None:
            self._flights.begin(intent.flight, receipt.id)
        return Reservation(
            receipt=receipt,
            wants=operation.wants,
            standings=self._ledger.standings(limits, project=intent.owners["project"]),
            ends_s=intent.lease_s,
            days_end_s=self._ledger.days_left_s(),
            opened_us=self.head.now_us,
            is_probe=isinstance(seen, Probe),
        )

    def _close(self, operation: CloseCall) -> Receipt:
        promise = self._promises.pop(operation.reservation, None)
        fields: dict[str, Value] = dict(operation.draft.fields)
        if promise is None:
            # The lease ended first: everything reserved was charged then, and stays so.
            fields["quota"] = {"charged": {"requests": 0, "records": 0}, "late": True}
        else:
            dimensions = {str(taking[2]) for taking in promise.takings}
            charged: dict[str, Value] = {
                name: _amount(Dimension(name), operation.charge, operation.delivered) for name in dimensions
            }
            days = self._settle(operation.reservation, promise, operation)
            said = {} if operation.says is None else self._reflect(operation.says, promise)
            fields["quota"] = {"charged": charged, "days": days, **said}
        receipt = self.head.stage(Draft(type="outcome", fields=fields, id=operation.draft.id))
        self._answers.count(fields)
        if self._flights is not None:
            self._flights.land(operation.reservation, receipt.index)
        self._holdings += self._still_there(operation)
        self._let_go(operation.gone, receipt)
        if operation.search is not None:
            self._searches.append(search_row(operation.search))
        if operation.mark is not None:
            self._tallies.add(operation.mark, now_us=self.head.now_us)
        return receipt

    def _still_there(self, closing: CloseCall) -> Sequence[Holding]:
        """The pages of which the platform has not said since that it has no longer what is on them."""
        kept = [
            each
            for each in closing.holdings
            if not any(one.is_on(each, opened_us=closing.opened_us) for one in self._gone)
        ]
        if len(kept) < len(closing.holdings):
            # Its process may have the page at hand all the same, until it reads the directory anew.
            self.head.change_directory()
        return kept

    def _hold(self) -> None:
        if self._holdings:
            hold(self.conn, self._holdings)
            self._holdings = []

    def _let_go(self, gone: Mapping[str, Sequence[bytes]], told_by: Receipt) -> None:
        """Delete every page about what the platform no longer has, this transaction's own included."""
        if not gone:
            return
        self._hold()
        for scope, tags in gone.items():
            pages = records = 0
            # What is made of such a page at this moment is found once that is deleted.
            while keys := tagged(self.conn, scope, [tags]):
                deleted_now = delete_pages(self.conn, keys)
                pages, records = pages + deleted_now[0], records + deleted_now[1]
            if pages:
                told = {"pages": pages, "records": records, "outcome_ix": told_by.index}
                self.head.stage(deleted(scope, rule=GONE_UPSTREAM, **told))
                # Whatever is at hand in any process is read anew.
                self.head.change_directory()

    def _reflect(self, says: PlatformSays, promise: _Promise) -> dict[str, Value]:
        """Keep what the platform says of budget or credential, and what of it the entry tells."""
        of_credential = (each for each in promise.takings if each[0] == ScopeKind.CREDENTIAL)
        _, credential, name, day, _ = next(of_credential)
        if says is PlatformSays.NO_ACCESS:
            self._notices.append(credential_refused(str(credential), _moment(self.head.now_us).date()))
            return {"platform": "no access"}
        family = next(one for one, names in DIMENSIONS.items() if Dimension(str(name)) in names)
        if says is PlatformSays.ROOM:
            self._mirrors.drop(str(credential), family)
            return {"platform": "room again"}
        first_day = dt.date.fromisoformat(str(day))
        calls, records = (
            self._ledger.charged(str(credential), dimension, first_day) for dimension in DIMENSIONS[family]
        )
        self._mirrors.believe(str(credential), family, day=first_day, calls=calls, records=records)
        self._notices.append(platform_spent(str(credential), family, first_day, calls=calls, records=records))
        return {"platform": "spent", "counted": {"calls": calls, "records": records}}

    def _serve(self, operation: ServeHeld) -> Outcome:
        if operation.revision != self.head.revision:
            return Superseded(revision=self.head.revision)
        limits = self._ledger.limits_of(operation.owners)
        exhausted = self._ledger.decide(limits, operation.wants, project=operation.owners["project"])
        if exhausted is not None:
            return exhausted
        days = set[str]()
        for kind, scope_id, dimension, day, amount in self._ledger.takings(operation.wants):
            taken = int(str(amount))
            slot = (str(kind), str(scope_id), str(dimension))
            self._ledger.add(slot, dt.date.fromisoformat(str(day)), used=taken, reserved=-taken)
            days.add(str(day))
        charged: dict[str, Value] = {str(want.dimension): want.amount for want in operation.wants}
        quota: dict[str, Value] = {"charged": charged, "days": sorted(days)}
        draft = operation.draft
        self._answers.count(draft.fields)
        receipt = self.head.stage(replace(draft, fields={**draft.fields, "quota": quota}))
        standings = self._ledger.standings(limits, project=operation.owners["project"])
        return Served(receipt=receipt, standings=standings)

    def _reap(self, reservation: str) -> None:
        promise = self._promises.pop(reservation, None)
        if promise is None:
            return
        amounts = {str(taking[2]): int(str(taking[4])) for taking in promise.takings}
        days = self._settle(reservation, promise, None)
        fields: dict[str, Value] = {
            **promise.entry,
            "intent_ix": promise.intent_ix,
            "err": "crash_unknown",
            "quota": {"charged": dict(amounts), "days": days},
        }
        self.head.stage(Draft(type="outcome", fields=fields))

    def _settle(self, reservation: str, promise: _Promise, closing: CloseCall | None) -> list[str]:
        """The days charged, once every taking was given back and what it came to put in its place."""
        days = set[str]()
        for kind, scope_id, dimension, day, amount in promise.takings:
            taken = int(str(amount))
            cost = (
                taken
                if closing is None
                else _amount(Dimension(str(dimension)), closing.charge, closing.delivered)
            )
            slot = (str(kind), str(scope_id), str(dimension))
            self._ledger.add(slot, dt.date.fromisoformat(str(day)), used=cost, reserved=-taken)
            days.add(str(day))
        self._settled.append(reservation)
        return sorted(days)


def _amount(dimension: Dimension, charge: Charge, delivered: int) -> int:
    """What a settled call counts; one that was never sent is no call of the gateway's either."""
    match dimension:
        case Dimension.REQUESTS | Dimension.FOLLOWER_CALLS | Dimension.AD_CALLS:
            return charge.requests
        case Dimension.RECORDS | Dimension.FOLLOWER_RECORDS | Dimension.AD_RECORDS:
            return charge.records
        case Dimension.DELIVERED:
            return delivered
        case Dimension.CALLS:
            return min(1, charge.requests)
        case Dimension.CONCURRENT:
            return 0
