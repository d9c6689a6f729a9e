"""The books over SQL: ledger and log in one transaction, many calls to a commit.

Calls queue; one task takes all that is queued and commits it as a batch, so the batch is what arrived
during the last commit and there is no timer. The task outlives the calls that wait for it: a call may
be cancelled, its entry is not.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Unpack

import structlog
from sqlalchemy.engine import Connection

from app.audit.entries import Draft, Receipt
from app.books import Intent, PlatformSays, PlatformSpent, Reservation, Served, Superseded, UnderWay
from app.cache.pages import Holding, SearchState
from app.clock import Clock
from app.errors import AuditUnavailable, Unavailable
from app.ids import EntryId
from app.provider.charge import Charge
from app.quota.arithmetic import Exhausted, Standing, Want
from app.quota.limits import Owners
from app.quota.tallies import Mark
from app.storage.batch import (
    Applied,
    CloseCall,
    NoteEntry,
    OpenCall,
    Operation,
    Outcome,
    ReapLeases,
    ServeHeld,
    apply_batch,
    read_standings,
)
from app.storage.disk import Disk, has_no_room
from app.storage.engines import Database
from app.storage.flights import RENEW_EVERY_S, landing, renew
from app.storage.floods import Floods
from app.storage.log import Boot
from app.timings import Timings

_log = structlog.get_logger()

_MOST_QUEUED = 4_096
_MOST_IN_BATCH = 256
_DEADLINE_S = 5.0
_STALLED_S = 1.0
"""A commit that takes so long is told by /readyz, so that requests go to another process."""
_WATCH_EVERY_S = 0.25
_PAUSE_S = 0.25
"""Between a commit that failed and the next try for those of its operations that are not given up."""
_LOOK_EVERY_S = 1.0
_REAP_EVERY_S = 1.0
_FIRST_LOOK_S = 0.02
_LAST_LOOK_S = 0.25
"""How soon, and at last how often, it is looked whether a call of another process has landed."""
_STANDINGS_FOR_S = 1.0
_MOST_STANDINGS = 10_000


@dataclass(slots=True, eq=False)
class _Waiting:
    operation: Operation
    since_s: float
    kept_until_s: float | None = None
    """Until when its commit is tried again: the end of the lease, for the end of a call."""
    is_second_try: bool = False
    done: "asyncio.Future[Outcome]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A batch whose commit was sent, without an answer, and what it comes to if it arrived."""

    batch: list[_Waiting]
    applied: Applied
    error: Unavailable


class SqlBooks:
    """The books' port over SQL. `start` before use; `stop` commits what is queued.

    While the log cannot be written everything is refused at its deadline, and a try every half second finds out
    when it can be again. That it cannot is found out without a request, too, whenever a job of this process fails. The end of a call is tried again until its lease ends. `disk` is where an embedded database lies; while it is full no call is opened, and once there is no room at all, nothing
    but ends of calls is written, into the reserve.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        boot: Boot,
        disk: Disk | None = None,
        rejects_per_second: int = 0,
        reap_every_s: float = _REAP_EVERY_S,
    ) -> None:
        self._database = database
        self._disk = disk
        self._reap_every_s = reap_every_s
        self._clock = clock
        self._boot = boot
        self._queue: deque[_Waiting] = deque()
        self._under_way: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._standings: dict[str, tuple[float, tuple[Standing, ...]]] = {}
        self._failed_s: float | None = None
        self._doubt: _Doubt | None = None
        self._flying: dict[EntryId, tuple[float, float]] = {}
        """Calls under way that other processes may wait for: since when to say so, and until when at most."""
        self._renew_at_s = 0.0
        self.waits = Timings()
        """From the moment in which something was to be logged to the commit that made it durable."""
        self.commits = Timings()
        self._floods = Floods(clock=clock, per_second=rejects_per_second, note=self._note_alone)

    @property
    def trouble(self) -> str | None:
        """Why the next entry will hardly be written, in words for an administrator; None when nothing says so."""
        if self._disk is not None and self._disk.is_spent:
            return f"the disk that holds the log has no room ({self._disk.used_percent:.0f} % used)"
        if self._failed_s is not None:
            return "the log could not be written at the last try"
        oldest = min((each.since_s for each in self._waiting()), default=None)
        if oldest is not None and self._clock.monotonic_s() - oldest > _STALLED_S:
            return f"the log has not answered for {self._clock.monotonic_s() - oldest:.0f} s"
        return None

    @property
    def queued(self) -> int:
        """How many operations wait to be committed."""
        return len(self._under_way) + len(self._queue)

    async def start(self) -> None:
        """Begin to commit, to watch deadlines and to end leases."""
        if self._disk is not None:
            self._disk.look()
        jobs = (self._commit, self._watch, self._reap)
        self._tasks = [asyncio.create_task(job()) for job in jobs]

    async def stop(self) -> None:
        """Commit what is queued, then end."""
        await self._floods.flush()
        self._stopping = True
        self._arrived.set()
        committing, *others = self._tasks
        for task in others:
            task.cancel()
        await committing
        await asyncio.gather(*others, return_exceptions=True)
        with contextlib.suppress(Unavailable):
            await self._settle_doubt()

    async def open_call(
        self, wants: Sequence[Want], intent: Intent
    ) -> Reservation | Exhausted | PlatformSpent | Superseded | UnderWay:
        """Take every want in every limit of its scope and log the intent, or neither."""
        if self._disk is not None and self._disk.level == "full":
            raise AuditUnavailable(
                "audit_unavailable: the disk that holds the log is almost full. Please tell your administrator."
            )
        asked_s = self._clock.monotonic_s()
        outcome = await self._submit(OpenCall(wants=tuple(wants), intent=intent))
        if not isinstance(outcome, Reservation):
            return outcome  # type: ignore[return-value]
        self._keep_standings(intent.owners["key"], outcome.standings)
        if intent.flight is not None:
            self._flying[outcome.receipt.id] = (asked_s + RENEW_EVERY_S / 2, asked_s + outcome.ends_s)
        # The batch counts from the grant. From before the queue, this process lets go earlier than the database.
        return replace(outcome, ends_s=asked_s + outcome.ends_s, days_end_s=asked_s + outcome.days_end_s)

    async def close_call(
        self,
        reservation: Reservation,
        charge: Charge,
        outcome: Draft,
        *,
        holdings: Sequence[Holding] = (),
        search: SearchState | None = None,
        says: PlatformSays | None = None,
        delivered: int = 0,
        mark: Mark | None = None,
        gone: Mapping[str, Sequence[bytes]] = MappingProxyType({}),
    ) -> Receipt:
        """Settle the reservation to what the call really cost and gave, and log its outcome; see `Books`."""
        self._flying.pop(reservation.receipt.id, None)
        has_news = says is not PlatformSays.ROOM or reservation.is_probe
        operation = CloseCall(
            reservation=reservation.receipt.id,
            charge=charge,
            draft=outcome,
            opened_us=reservation.opened_us,
            holdings=tuple(holdings),
            search=search,
            says=says if has_news else None,
            delivered=delivered,
            mark=mark,
            gone=gone,
        )
        return await self._submit(operation, kept_until_s=reservation.ends_s)  # type: ignore[return-value]

    async def landing(self, flight: str) -> int | None:
        """Where the outcome of a call that is under way elsewhere stands, once it does; see `Books`."""
        pause_s = _FIRST_LOOK_S
        while True:
            is_over, landed_ix = await self._database.read(lambda conn: landing(conn, self._database, flight))
            if is_over:
                return landed_ix
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_LOOK_S)

    async def note(self, decision: Draft, *, revision: int | None = None) -> Receipt | Superseded:
        """Log a request that did not go upstream; with `revision`, only if the directory is still that."""
        return await self._submit(NoteEntry(draft=decision, revision=revision))  # type: ignore[return-value]

    async def turn_away(self, decision: Draft, *, source: str) -> Receipt:
        """Log the refusal of a request whose sender is unknown; see `Books`."""
        return await self._floods.turn_away(decision, source)

    async def _note_alone(self, decision: Draft) -> Receipt:
        return await self._submit(NoteEntry(draft=decision, revision=None))  # type: ignore[return-value]

    async def serve(
        self, decision: Draft, wants: Sequence[Want], *, owners: Owners, revision: int
    ) -> Served | Exhausted | Superseded:
        """Charge a call that did not go upstream and log it, in one transaction, or neither."""
        outcome = await self._submit(
            ServeHeld(draft=decision, wants=tuple(wants), owners=owners, revision=revision)
        )
        if isinstance(outcome, Served):
            self._keep_standings(owners["key"], outcome.standings)
        return outcome  # type: ignore[return-value]

    async def standings(self, **owners: Unpack[Owners]) -> tuple[Standing, ...]:
        """Where the caller's limits stand, at most a second old."""
        kept = self._standings.get(owners["key"])
        if kept is not None and self._clock.monotonic_s() - kept[0] < _STANDINGS_FOR_S:
            return kept[1]
        found = await self._database.read(lambda conn: read_standings(conn, self._database, owners))
        self._keep_standings(owners["key"], found)
        return found

    async def end_leases(self) -> None:
        """Settle the reservations whose lease has ended; the books do so by themselves, again and again."""
        if await self._database.read(lambda conn: ReapLeases.is_due(conn, self._database)):
            await self._submit(ReapLeases())

    def try_writing(self) -> None:
        """Find out soon whether the log can be written; for whoever could not reach the database otherwise."""
        # A read may fail for reasons of its own, so nothing counts but a commit. What is queued is one already.
        if not self._stopping and self.queued == 0:
            self._post(ReapLeases())

    def _keep_standings(self, membership: str, standings: tuple[Standing, ...]) -> None:
        if len(self._standings) >= _MOST_STANDINGS:
            self._standings.clear()
        self._standings[membership] = (self._clock.monotonic_s(), standings)

    async def _submit(self, operation: Operation, *, kept_until_s: float | None = None) -> Outcome:
        self._admit(operation)
        asked_s = self._clock.monotonic_s()
        waiting = _Waiting(operation, asked_s, kept_until_s)
        self._queue.append(waiting)
        self._arrived.set()
        try:
            outcome = await waiting.done
        except asyncio.CancelledError:
            # The answer may have come in the very moment in which the caller was told to leave.
            if not waiting.done.cancelled() and waiting.done.exception() is None:
                self._give_back(operation, waiting.done.result())
            raise
        self.waits.add(self._clock.monotonic_s() - asked_s)
        return outcome

    def _admit(self, operation: Operation) -> None:
        """Return when the operation may wait for its commit; raises AuditUnavailable."""
        if self._stopping:
            raise AuditUnavailable("audit_unavailable: this process is stopping. Try again in a few seconds.")
        if isinstance(operation, CloseCall):
            return  # there are no more of them than calls that were granted
        if len(self._queue) >= _MOST_QUEUED:
            raise AuditUnavailable(
                "audit_unavailable: too many requests wait for the log. Try again in a few seconds."
            )
        if self._disk is not None and self._disk.is_spent and not isinstance(operation, ReapLeases):
            raise AuditUnavailable(
                "audit_unavailable: the disk that holds the log has no room. Please tell your administrator."
            )

    def _waiting(self) -> list[_Waiting]:
        """What waits, and nobody has been told yet."""
        doubtful = () if self._doubt is None else self._doubt.batch
        return [each for each in (*self._under_way, *doubtful, *self._queue) if not each.done.done()]

    async def _commit(self) -> None:
        while not (self._stopping and not self._queue):
            if not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            self._under_way = self._take()
            await self._write(self._under_way)
            self._under_way = []

    async def _write(self, batch: list[_Waiting]) -> None:
        operations = [waiting.operation for waiting in batch]
        started_s = self._clock.monotonic_s()
        ready: list[Applied] = []

        def work(conn: Connection) -> Applied:
            ready.append(apply_batch(conn, self._database, self._boot, operations))
            return ready[-1]

        try:
            await self._settle_doubt()
            applied = await self._database.write(work, committed=lambda done: done.head.committed())
        except Exception as error:  # noqa: BLE001 - the one task that commits must not end
            if isinstance(error, Unavailable) and ready:
                # All was written but the end of it: nobody knows whether that arrived.
                self._doubt = _Doubt(batch, ready[-1], error)
                with contextlib.suppress(Unavailable):
                    await self._settle_doubt()
                return
            if isinstance(error, Unavailable):
                await self._hold_back(batch, error)
                return
            if len(batch) == 1:
                self._fail(batch, error)
                return
            # One entry that cannot be written must not fail those that happen to share its commit.
            for waiting in batch:
                await self._write([waiting])
        else:
            if self._failed_s is not None:
                _log.warning("the log can be written again")
            self._failed_s = None
            self.commits.add(self._clock.monotonic_s() - started_s)
            for waiting, outcome in zip(batch, applied.outcomes, strict=True):
                self._acknowledge(waiting, outcome)

    async def _settle_doubt(self) -> None:
        """Find out whether the batch of whose commit nobody knows was written; raises Unavailable.

        Asked under the lock of the head, so that a commit which is still on its way is waited for.
        """
        doubt = self._doubt
        if doubt is None:
            return
        try:
            is_written = await self._database.write(
                lambda conn: doubt.applied.is_written(conn, self._database, self._boot)
            )
        except Unavailable as error:
            self._note_failure(str(error))
            raise
        self._doubt = None
        if is_written:
            for waiting, outcome in zip(doubt.batch, doubt.applied.outcomes, strict=True):
                self._acknowledge(waiting, outcome)
        else:
            await self._hold_back(doubt.batch, doubt.error)

    async def _hold_back(self, batch: list[_Waiting], error: Unavailable) -> None:
        """Refuse all that was not written, but try the ends of calls again."""
        now_s = self._clock.monotonic_s()
        kept = [] if self._stopping else [each for each in batch if now_s < (each.kept_until_s or 0)]
        self._fail([each for each in batch if each not in kept], error)
        self._note_failure(str(error))
        for waiting in kept:
            waiting.is_second_try = True
        self._queue += kept
        if kept and not (self._disk is not None and has_no_room(error) and self._disk.spend()):
            await asyncio.sleep(_PAUSE_S)

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        while self._queue and len(taken) < _MOST_IN_BATCH:
            # What failed before is tried alone, so that it fails nobody else.
            if taken and (self._queue[0].is_second_try or taken[-1].is_second_try):
                break
            waiting = self._queue.popleft()
            if self._disk is not None and self._disk.is_spent and isinstance(waiting.operation, CloseCall):
                waiting.operation = replace(
                    waiting.operation, holdings=()
                )  # the records can be fetched again
            # A caller that has left needs no new reservation; everything else is still to be logged.
            if not (waiting.done.done() and isinstance(waiting.operation, OpenCall)):
                taken.append(waiting)
        return taken

    def _acknowledge(self, waiting: _Waiting, outcome: Outcome) -> None:
        if not waiting.done.done():
            waiting.done.set_result(outcome)
        else:
            self._give_back(waiting.operation, outcome)

    def _give_back(self, operation: Operation, outcome: Outcome) -> None:
        """Nobody is left to make the call that was granted: nothing was sent, so nothing is charged."""
        if isinstance(operation, OpenCall) and isinstance(outcome, Reservation):
            abandoned = operation.abandoned(outcome)
            self._post(abandoned, for_s=operation.intent.lease_s)

    def _post(self, operation: Operation, *, for_s: float = 0) -> None:
        """Queue what nobody waits for; it is tried again `for_s` seconds."""
        now_s = self._clock.monotonic_s()
        waiting = _Waiting(operation, now_s, kept_until_s=now_s + for_s)
        waiting.done.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._queue.append(waiting)
        self._arrived.set()

    def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        self._note_failure(str(error))
        for waiting in batch:
            if not waiting.done.done():
                refusal = AuditUnavailable(
                    "audit_unavailable: the log cannot be written. Try again in a few seconds."
                )
                refusal.__cause__ = error
                waiting.done.set_exception(refusal)

    def _note_failure(self, why: str) -> None:
        if self._failed_s is None:
            # Told here, since no notice can be written either.
            _log.error("the log cannot be written: requests are refused", why=why)
        self._failed_s = self._clock.monotonic_s()

    async def _watch(self) -> None:
        """Refuse what has waited for its deadline, even while a commit hangs; find out when that is over."""
        looked_s = self._clock.monotonic_s()
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            now_s = self._clock.monotonic_s()
            for waiting in self._waiting():
                if now_s - waiting.since_s >= _DEADLINE_S:
                    self._note_failure("it does not answer")
                    waiting.done.set_exception(
                        AuditUnavailable(
                            "audit_unavailable: the log does not answer. Try again in a few seconds."
                        )
                    )
            if self._disk is not None and now_s - looked_s >= _LOOK_EVERY_S:
                looked_s = now_s
                self._disk.look()
            if self._failed_s is not None and self.queued == 0 and now_s - self._failed_s >= 2 * _PAUSE_S:
                # Without it nobody would find out, once all requests go to other processes.
                self._post(ReapLeases())

    async def _renew(self) -> None:
        """Say of calls that take long that they are still under way, for other processes that wait for them."""
        now_s = self._clock.monotonic_s()
        self._flying = {each: times for each, times in self._flying.items() if now_s < times[1]}
        due = [each for each, (since_s, _) in self._flying.items() if since_s < now_s]
        if due and self._database.dialect == "postgresql" and now_s >= self._renew_at_s:
            self._renew_at_s = now_s + RENEW_EVERY_S
            await self._database.write(lambda conn: renew(conn, self._database, due))

    async def _reap(self) -> None:
        """End the leases of calls whose process died, and say that this one lives."""
        while True:
            await asyncio.sleep(self._reap_every_s)
            try:
                await self._renew()
                await self.end_leases()
            except Unavailable:
                self.try_writing()
            except Exception:  # noqa: BLE001 - reservations must not stay for ever because of one bad row
                _log.exception("leases could not be ended")
