"""The real books on a real database, held step by step to the plain ledger."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.audit.entries import Draft, Receipt
from app.books import Intent, PlatformSays, PlatformSpent, Reservation, Served, Superseded
from app.provider.charge import Charge
from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Exhausted, Limit, Standing, Want
from app.quota.limits import own_wants, wants_of
from app.storage.books import SqlBooks
from app.storage.engines import open_database
from app.storage.limits import SqlLimits
from app.storage.log import append, check_log
from app.storage.tables import HeadRow, LimitRow, RaiseRow, table
from tests.quota import plain_ledger as plain
from tests.quota.clocked import ClockedDatabase, SetClock, us_of
from tests.quota.ledger_scene import (
    CALLERS,
    CALLS,
    KINDS,
    PROJECTS_OF,
    ToldByTheLog,
    actor,
    empty_database,
    named,
    read_written,
)
from tests.quota.plain_ledger import Call, Owners, PlainLedger, Raise, Slot, Verdict
from tests.signing import boot

T = TypeVar("T")

NEVER_S = 10**9


def _slots() -> list[Slot]:
    found = {
        (kind, owners[scope], dimension, window)
        for owners in CALLERS
        for kind, scope in KINDS.items()
        for dimension in plain.DIMENSIONS
        for window in plain.WINDOWS
        if kind != "floor" or (window == "day" and dimension not in plain.OWN)
    }
    # Most of the machine's calls are of one family, so most of its limits are too.
    return sorted(found, key=lambda slot: (slot[2] not in plain.FAMILIES["main"], slot))


SLOTS = _slots()
MAIN_SLOTS = [slot for slot in SLOTS if slot[2] in plain.FAMILIES["main"]]
TIGHT: tuple[tuple[Slot, ...], ...] = (
    (),
    (
        ("credential", "c1", "requests", "day"),
        ("floor", "p1", "requests", "day"),
        ("floor", "p2", "requests", "day"),
    ),
    (("credential", "c1", "records", "day"), ("floor", "p2", "records", "day")),
    (("credential", "c1", "requests", "month"), ("project", "p1", "records", "month")),
    (("each_member", "p1", "requests", "day"), ("member", "m2", "requests", "day")),
    (("project", "p1", "requests", "project"), ("credential", "c1", "requests", "day")),
    (("credential", "c1", "delivered", "day"), ("each_member", "p1", "calls", "month")),
)
"""Sets of limits that have something to do with each other."""
OWN_SLOTS = [slot for slot in SLOTS if slot[2] in plain.OWN]
A_SLOT = st.one_of(*(st.sampled_from(some) for some in (MAIN_SLOTS, MAIN_SLOTS, OWN_SLOTS, SLOTS)))
A_CALLER = st.sampled_from([*CALLERS[:4], *CALLERS])
A_FAMILY = st.sampled_from(["main", "main", "main", "graph", "ads"])
RECORDS = st.one_of(st.integers(0, 25), st.sampled_from([0, 1, 100]))
A_LEASE = st.sampled_from([4 * plain.SECOND, 70 * plain.SECOND, 280 * plain.SECOND])
STARTS = st.sampled_from(
    [
        datetime(2026, 10, 27, 11, 30, tzinfo=UTC),  # clocks go back in Europe that week
        datetime(2027, 12, 30, 23, 0, tzinfo=UTC),
        datetime(2028, 2, 27, 2, 0, tzinfo=UTC),  # a leap year
        datetime(2027, 2, 26, 18, 0, tzinfo=UTC),
    ]
)
FROM_MIDNIGHT = st.one_of(
    st.integers(-8, 8).map(lambda seconds: seconds * plain.SECOND),
    # Both ends of the margin, and a microsecond to either side.
    st.sampled_from([side * 5 * plain.SECOND + off for side in (-1, 1) for off in (-1, 0, 1)]),
)


def amount_for(slot: Slot) -> st.SearchStrategy[int]:
    """Small amounts, so that days run out within a few steps, and longer windows sometimes."""
    _, _, dimension, window = slot
    most = (7 if dimension in CALLS else 120) * {"day": 1, "month": 2, "project": 6}[window]
    return st.integers(0, most)


@dataclass(frozen=True, slots=True)
class Ask:
    """One call to make."""

    owners: Owners
    family: str
    records: int
    lease: int


@dataclass(slots=True, eq=False)
class Promised:
    """A call that was let through, as the books and the plain ledger know it."""

    reservation: Reservation
    call: Call
    family: str


AN_ASK = st.builds(Ask, A_CALLER, A_FAMILY, RECORDS, A_LEASE)


def _slot_of(limit: Limit) -> Slot:
    assert limit.window is not None
    return str(limit.scope.kind), limit.scope.id, str(limit.dimension), str(limit.window)


class LedgerMachine(RuleBasedStateMachine):
    """Reserve, settle, crash, expire, midnight, edited limits: whatever comes, both ledgers agree."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="ledger"))
        path = self.home / "bursar.db"
        path.write_bytes(empty_database())
        self.url = f"sqlite+aiosqlite:///{path}"
        self.runner = asyncio.Runner()
        self.revision = 1
        self.boots = 0
        self.raises = 0
        self.open: list[Promised] = []
        self.ended: list[Promised] = []
        self.log = ToldByTheLog()
        self.ids: dict[str, Call] = {}

    @initialize(
        start=STARTS,
        tight=st.sampled_from(TIGHT),
        others=st.lists(A_SLOT, unique=True, max_size=8),
        data=st.data(),
    )
    def begin(
        self, start: datetime, tight: tuple[Slot, ...], others: list[Slot], data: st.DataObject
    ) -> None:
        self.clock = SetClock(us_of(start))
        self.plain = PlainLedger(projects_of=PROJECTS_OF, now=self.clock.us)
        self._boot()
        # A log that was set up has an entry, and with it a time that it never goes back behind.
        seen = sa.update(table(HeadRow)).values(last_ts_us=self.clock.us)
        self.run(self.database.write(lambda conn: conn.execute(seen).rowcount))
        for slot in sorted({*tight, *others}):
            self._write_limit(slot, data.draw(amount_for(slot)))

    def teardown(self) -> None:
        try:
            if self.boots:
                self.run(self.books.stop())
                self.run(self.database.read(check_log))
                self.run(self.database.close())
        finally:
            self.runner.close()
            shutil.rmtree(self.home)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    # What callers do.

    @rule(asks=st.lists(AN_ASK, min_size=1, max_size=4))
    def calls_are_made(self, asks: list[Ask]) -> None:
        self._ask_at_once(asks, [])

    @rule(asks=st.lists(AN_ASK, min_size=2, max_size=8), data=st.data())
    def calls_are_made_while_others_settle(self, asks: list[Ask], data: st.DataObject) -> None:
        settling = data.draw(st.integers(0, min(4, len(self.open))))
        self._ask_at_once(asks, [self._pick(self.open, data) for _ in range(settling)])

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def calls_settle(self, data: st.DataObject) -> None:
        for _ in range(data.draw(st.integers(1, min(3, len(self.open))))):
            says = data.draw(st.sampled_from([None, "room", "room", "spent"]))
            self._settle(self._pick(self.open, data), data.draw(st.integers(0, 4)), says)

    @rule(owners=A_CALLER, delivered=RECORDS)
    def a_call_is_answered_from_what_is_held(self, owners: Owners, delivered: int) -> None:
        self.run(self._serve(owners, delivered))

    @precondition(lambda self: self.plain.spent)
    @rule(data=st.data(), off=st.sampled_from([-1, 0, plain.MINUTE]))
    def the_platform_is_asked_again(self, data: st.DataObject, off: int) -> None:
        credential, family = data.draw(st.sampled_from(sorted(self.plain.spent)))
        self.clock.set(max(self.clock.us, self.plain.spent[credential, family].asks_again + off))
        of_it = st.sampled_from([each for each in CALLERS if each["credential"] == credential])
        asks = data.draw(
            st.lists(st.builds(Ask, of_it, st.just(family), RECORDS, A_LEASE), min_size=1, max_size=3)
        )
        open_before = list(self.open)
        self._ask_at_once(asks, [])
        for probe in [each for each in self.open if each not in open_before and each.call.is_probe]:
            if (says := data.draw(st.sampled_from(["room", "spent", "later"]))) != "later":
                self.open.remove(probe)
                self._settle(probe, data.draw(st.integers(0, 4)), says)

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), says=st.sampled_from([None, "room", "spent"]))
    def a_call_settles_after_its_lease(self, data: st.DataObject, says: str | None) -> None:
        self._settle(self._pick(self.ended, data), data.draw(st.integers(0, 4)), says)

    @rule(ask=AN_ASK, turns=st.integers(0, 3), why=st.sampled_from(["old directory", "a rule", "left"]))
    def a_call_comes_to_nothing(self, ask: Ask, turns: int, why: str) -> None:
        if why == "old directory":
            old = self._intent(ask, revision=self.revision - 1)
            assert self.run(self._open(ask, old)) == Superseded(revision=self.revision)
        elif why == "a rule" or (ask.owners["credential"], ask.family) in self.plain.spent:
            self.run(self.books.note(Draft(type="decision", fields={"verdict": "refused"})))
        else:
            self.run(self._leave(ask, turns))
        self.plain.tick(self.clock.us)

    # What befalls them.

    @precondition(lambda self: self.open)
    @rule(data=st.data(), is_process=st.sampled_from([False, False, True]))
    def owners_crash(self, data: st.DataObject, is_process: bool) -> None:
        if is_process:
            self.open.clear()
            self.run(self._die())
            self._boot()
        else:
            self._pick(self.open, data)

    @precondition(lambda self: any(call.is_open for call in self.plain.calls))
    @rule(late=st.sampled_from([None, -1, 0, 1, plain.SECOND]))
    def leases_are_looked_at(self, late: int | None) -> None:
        if late is not None:
            first = min(call.lease_until for call in self.plain.calls if call.is_open)
            self.clock.set(max(self.clock.us, first + late))
        self.run(self.books.end_leases())
        # A look that finds nothing writes nothing, and so does not move the log's time.
        if any(call.is_open and call.lease_until <= self.clock.us for call in self.plain.calls):
            self.plain.tick(self.clock.us)
            self.plain.end_leases()
        self.ended += [each for each in self.open if not each.call.is_open]
        self.open = [each for each in self.open if each.call.is_open]

    @rule(
        seconds=st.one_of(st.integers(1, 12), st.integers(60, 20_000), st.sampled_from([-1, -5, -11, -3_600]))
    )
    def the_clock_of_the_database_moves(self, seconds: int) -> None:
        self.clock.set(self.clock.us + seconds * plain.SECOND)

    @rule(window=st.sampled_from(["day", "day", "month", "year"]), off=FROM_MIDNIGHT)
    def a_window_ends(self, window: str, off: int) -> None:
        today = plain.FIRST_OF_1970 + self.clock.us // plain.DAY
        year, month = plain.month_of(today)
        end = {
            "day": today + 1,
            "month": date(year + month // 12, month % 12 + 1, 1).toordinal(),
            "year": date(year + 1, 1, 1).toordinal(),
        }[window]
        self.clock.set((end - plain.FIRST_OF_1970) * plain.DAY + off)

    # What administrators do.

    @rule(slot=A_SLOT, data=st.data(), change=st.sampled_from(["set", "set", "remove"]))
    def a_limit_is_edited(self, slot: Slot, data: st.DataObject, change: str) -> None:
        slot = data.draw(st.sampled_from([slot, *sorted(self.plain.limits)]))
        self._write_limit(slot, None if change == "remove" else data.draw(amount_for(slot)))

    @precondition(lambda self: self.plain.limits)
    @rule(data=st.data(), hours=st.tuples(st.integers(-1, 3), st.integers(1, 60)))
    def a_limit_is_raised_for_a_while(self, data: st.DataObject, hours: tuple[int, int]) -> None:
        kind, whose, dimension, window = data.draw(st.sampled_from(sorted(self.plain.limits)))
        if kind == "each_member" and data.draw(st.booleans()):
            members = sorted({each["member"] for each in CALLERS if each["project"] == whose})
            kind, whose = "member", data.draw(st.sampled_from(members))
        slot, since = (kind, whose, dimension, window), self.clock.us + hours[0] * 3_600 * plain.SECOND
        more = Raise(
            slot=slot,
            amount=data.draw(amount_for(slot)),
            since=since,
            until=since + hours[1] * 3_600 * plain.SECOND,
        )
        self.raises += 1
        self._write_raise(f"r{self.raises}", more)

    @precondition(lambda self: self.plain.raises)
    @rule(data=st.data(), ends=st.sampled_from(["taken back", "over", "a microsecond before"]))
    def a_raise_ends(self, data: st.DataObject, ends: str) -> None:
        which = data.draw(st.sampled_from(sorted(self.plain.raises)))
        if ends == "taken back":
            row = table(RaiseRow)
            self._administer(sa.update(row).where(row.c.id == which).values(retired_us=self.clock.us))
            del self.plain.raises[which]
        else:
            until = self.plain.raises[which].until - (ends != "over")
            self.clock.set(max(self.clock.us, until))

    # What must hold.

    @invariant()
    def both_ledgers_agree_and_so_does_the_log(self) -> None:
        written = self.run(self.database.read(lambda conn: read_written(conn, since=self.log.size)))
        assert written.counters == self.plain.counters()
        assert written.promised == {name for name, call in self.ids.items() if call.is_open}
        self.log.add(written.leaves)
        of_platform = {each: both for each, both in written.counters.items() if each[2] not in plain.OWN}
        assert self.log.counters() == of_platform
        assert self.log.unclosed() == written.promised

    @rule(owners=A_CALLER)
    def one_looks_at_its_limits(self, owners: Owners) -> None:
        fresh = SqlBooks(database=self.database, clock=self.clock, boot=boot("replica", "looks"))
        found = self.run(fresh.standings(**named(owners)))
        self._check_standings(found, owners, now=self.clock.us)

    # How it is done.

    def _ask_at_once(self, asks: Sequence[Ask], settling: Sequence[Promised]) -> None:
        async def work() -> list[Any]:
            # First, since they may have to be read, and the calls are to queue in their order.
            wants = [await self._wants(ask) for ask in asks]
            closes = (self._close(each, 0, 0, None) for each in settling)
            opens = map(self.books.open_call, wants, map(self._intent, asks))
            return await asyncio.gather(*closes, *opens)

        answers = self.run(work())
        self.plain.tick(self.clock.us)
        for each in settling:
            self.plain.settle(each.call, each.family, requests=0, records=0, delivered=0, says=None)
        for ask, answer in zip(asks, answers[len(settling) :], strict=True):
            verdict = self.plain.ask(ask.owners, ask.family, ask.records, lease=ask.lease)
            self._check(ask, answer, verdict)

    def _check(self, ask: Ask, answer: object, verdict: Verdict) -> None:
        if verdict.call is not None:
            assert isinstance(answer, Reservation)
            assert answer.is_probe is verdict.call.is_probe
            self._check_standings(answer.standings, ask.owners, now=self.plain.now)
            to_send_s = (plain.days_end(verdict.call.days) - self.plain.now) / plain.SECOND
            assert abs(answer.days_end_s - self.clock.monotonic_s() - to_send_s) < 0.001
            self.ids[answer.receipt.id] = verdict.call
            self.open.append(Promised(answer, verdict.call, ask.family))
        elif verdict.platform_says_spent:
            assert isinstance(answer, PlatformSpent)
        else:
            self._check_short(answer, verdict)

    def _check_short(self, answer: object, verdict: Verdict) -> None:
        assert isinstance(answer, Exhausted)
        slot = _slot_of(answer.limit)
        short = verdict.short[slot]
        assert (answer.wanted, answer.left, answer.kept) == (short.wanted, short.left, short.kept)
        assert plain.WINDOWS.index(slot[3]) == max(plain.WINDOWS.index(each[3]) for each in verdict.short)
        rooms = {_slot_of(each.limit): each.left for each in answer.others}
        assert {**rooms, slot: short.left} == verdict.rooms

    def _check_standings(self, found: Sequence[Standing], owners: Owners, *, now: int) -> None:
        amounts = self.plain.limits_of(owners, now=now)
        assert {_slot_of(each.limit): each.limit.amount for each in found} == amounts
        for each in found:
            used, reserved = self.plain.standing(_slot_of(each.limit), now=now)
            assert (each.used, each.reserved) == (used, reserved)
            kept = self.plain.kept(owners, _slot_of(each.limit), plain.days_of(now))
            assert each.left == max(0, each.limit.amount - used - reserved - kept)

    def _settle(self, which: Promised, quarters: int, says: str | None) -> None:
        records = which.call.takes["key", plain.FAMILIES[which.family][1]] * quarters // 4
        requests = min(1, quarters)
        self.run(self._close(which, requests, records, says))
        self.plain.tick(self.clock.us)
        self.plain.settle(
            which.call, which.family, requests=requests, records=records, delivered=records, says=says
        )

    async def _serve(self, owners: Owners, delivered: int) -> None:
        wants = await self._own_wants(owners, delivered)
        draft = Draft(type="decision", fields={"actor": actor(owners)})
        answer = await self.books.serve(draft, wants, owners=named(owners), revision=self.revision)
        self.plain.tick(self.clock.us)
        verdict = self.plain.serve(owners, delivered)
        if verdict.call is not None:
            assert isinstance(answer, Served)
            self._check_standings(answer.standings, owners, now=self.plain.now)
        else:
            self._check_short(answer, verdict)

    async def _close(self, which: Promised, requests: int, records: int, says: str | None) -> Receipt:
        return await self.books.close_call(
            which.reservation,
            Charge(requests=requests, records=records),
            Draft(type="outcome", fields={"intent_ix": which.reservation.receipt.index}),
            says=None if says is None else PlatformSays(says),
            delivered=records,
        )

    def _leases_ended(self) -> None:
        # A look that finds nothing writes nothing, and so does not move the log's time.
        if any(call.is_open and call.lease_until <= self.clock.us for call in self.plain.calls):
            self.plain.tick(self.clock.us)
            self.plain.end_leases()
        self.ended += [each for each in self.open if not each.call.is_open]
        self.open = [each for each in self.open if each.call.is_open]

    def _boot(self) -> None:
        self.boots += 1
        self.database = ClockedDatabase(open_database(self.url), self.clock)
        self.books = SqlBooks(
            database=self.database,
            clock=self.clock,
            boot=boot("replica", f"boot{self.boots}"),
            reap_every_s=NEVER_S,
        )
        self.limits = SqlLimits(self.database, self.clock)
        self.run(self.books.start())

    async def _die(self) -> None:
        for task in self.books._tasks:
            task.cancel()
        await asyncio.gather(*self.books._tasks, return_exceptions=True)
        await self.database.close()

    async def _open(self, ask: Ask, intent: Intent) -> object:
        return await self.books.open_call(await self._wants(ask), intent)

    async def _leave(self, ask: Ask, turns: int) -> None:
        wants = await self._wants(ask)
        waiting = asyncio.ensure_future(self.books.open_call(wants, self._intent(ask)))
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        # What is given back stands in the queue no later than this.
        await self.books.note(Draft(type="decision", fields={}))

    async def _wants(self, ask: Ask) -> tuple[Want, ...]:
        family = QuotaFamily(ask.family)
        wants = wants_of(family, requests=1, records=ask.records, **named(ask.owners))
        return wants + await self._own_wants(ask.owners, ask.records)

    async def _own_wants(self, owners: Owners, delivered: int) -> tuple[Want, ...]:
        """As the gateway finds them, by the limits in force when it looks."""
        held_to = await self.limits.held_to(named(owners), revision=self.revision)
        return own_wants(held_to, calls=1, delivered=delivered)

    def _intent(self, ask: Ask, *, revision: int | None = None) -> Intent:
        return Intent(
            draft=Draft(type="intent", fields={"actor": actor(ask.owners)}),
            lease_s=ask.lease / plain.SECOND,
            revision=self.revision if revision is None else revision,
            owners=named(ask.owners),
            family=QuotaFamily(ask.family),
        )

    @staticmethod
    def _pick(some: list[Promised], data: st.DataObject) -> Promised:
        return some.pop(data.draw(st.integers(0, len(some) - 1)))

    def _write_limit(self, slot: Slot, amount: int | None) -> None:
        row = table(LimitRow)
        kind, whose, dimension, window = slot
        values = {"scope_kind": kind, "scope_id": whose, "dimension": dimension, "window": window}
        there = sa.and_(*(row.c[name] == value for name, value in values.items()))
        self._administer(sa.delete(row).where(there))
        self.plain.limits.pop(slot, None)
        if amount is not None:
            self._administer(sa.insert(row).values(**values, amount=amount))
            self.plain.limits[slot] = amount

    def _write_raise(self, which: str, more: Raise) -> None:
        kind, whose, dimension, window = more.slot
        self._administer(
            sa.insert(table(RaiseRow)).values(
                id=which, scope_kind=kind, scope_id=whose, dimension=dimension, window=window,
                amount=more.amount, from_us=more.since, until_us=more.until, reason="why", granted_by="os:0",
                created_us=self.clock.us,
            )
        )  # fmt: skip
        self.plain.raises[which] = more

    def _administer(self, change: sa.Executable) -> None:
        async def work() -> None:
            await self.database.write(lambda conn: conn.execute(change))
            admin = Draft(type="admin", fields={})
            await append(self.database, boot("cli", "cli"), [admin], changes_directory=True)

        self.run(work())
        self.plain.tick(self.clock.us)
        self.revision += 1
