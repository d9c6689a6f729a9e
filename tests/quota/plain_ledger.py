"""The ledger as plainly as it can be told: a list of calls, added up anew for every question.

It shares nothing with the application, so that a shared mistake cannot hide: no import, no counters, no days
as dates (a day is its number since year 1), and time in whole microseconds.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
FIRST_OF_1970 = date(1970, 1, 1).toordinal()
NEAR_MIDNIGHT = 5 * SECOND

FAMILIES: Mapping[str, tuple[str, str]] = {
    "main": ("requests", "records"),
    "graph": ("follower_calls", "follower_records"),
    "ads": ("ad_calls", "ad_records"),
}
OWN = ("calls", "delivered")
"""What the platform does not count: it is counted where there is a limit on it, and nowhere else."""
DIMENSIONS = (*(dimension for pair in FAMILIES.values() for dimension in pair), *OWN)
SCOPES = ("credential", "project", "member", "key")
WINDOWS = ("day", "month", "project")
"""From the one that comes back first to the one that never does."""

Owners = Mapping[str, str]
Slot = tuple[str, str, str, str]
"""Scope, its id, dimension, window."""
Counter = tuple[str, str, str, int]
"""Scope, its id, dimension, day."""


def days_of(now: int) -> tuple[int, ...]:
    """The days on which the platform may count a call sent now, its clock being 5 s off at most."""
    day, since_midnight = divmod(now, DAY)
    today = FIRST_OF_1970 + day
    if since_midnight <= NEAR_MIDNIGHT:
        return today - 1, today
    if DAY - since_midnight <= NEAR_MIDNIGHT:
        return today, today + 1
    return (today,)


def days_end(days: tuple[int, ...]) -> int:
    """The moment at which the platform may begin to count what is sent on a day after these."""
    return (max(days) + 1 - FIRST_OF_1970) * DAY - NEAR_MIDNIGHT


def month_of(day: int) -> tuple[int, int]:
    """Year and month."""
    there = date.fromordinal(day)
    return there.year, there.month


def _part(window: str, day: int) -> object:
    """Which of the window's parts the day lies in."""
    return {"day": day, "month": month_of(day), "project": None}[window]


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One call that was let through; what it takes is what it was promised, and later what it cost.

    What it takes is told by scope and dimension.
    """

    owners: Owners
    days: tuple[int, ...]
    takes: dict[tuple[str, str], int]
    lease_until: int
    is_open: bool = True
    is_probe: bool = False


@dataclass(slots=True, kw_only=True)
class Spent:
    """That the platform called a day used up."""

    day: int
    probes: int
    asks_again: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """More of a limit, for a while."""

    slot: Slot
    amount: int
    since: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """Why a limit stands in the way."""

    wanted: int
    left: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the ledger must say to a call: let it through as `call`, or name one of `short`, or blame the platform.

    `rooms` is how much one more call could take of each limit that was looked at.
    """

    call: Call | None = None
    short: Mapping[Slot, Short] = field(default_factory=dict)
    rooms: Mapping[Slot, int] = field(default_factory=dict)
    platform_says_spent: bool = False


class PlainLedger:
    """Limits, raises, floors and calls; `now` never goes back."""

    def __init__(self, *, projects_of: Mapping[str, tuple[str, ...]], now: int) -> None:
        self._projects_of = projects_of
        self.now = now
        self.limits: dict[Slot, int] = {}
        self.raises: dict[str, Raise] = {}
        self.calls: list[Call] = []
        self.spent: dict[tuple[str, str], Spent] = {}

    def tick(self, clock: int) -> None:
        """The database's clock was looked at."""
        self.now = max(self.now, clock)

    def limits_of(self, owners: Owners, *, now: int) -> dict[Slot, int]:
        """What binds a caller, raises included, by the scope that it binds."""
        found: dict[Slot, int] = {}
        for scope in SCOPES:
            for (kind, whose, dimension, window), amount in self.limits.items():
                slot = (scope, owners[scope], dimension, window)
                more = self._raised(slot, now)
                if (kind, whose) == (scope, owners[scope]):
                    found[slot] = amount + more
                elif scope == "member" and (kind, whose) == ("each_member", owners["project"]):
                    for_each = (kind, whose, dimension, window)
                    if slot not in self.limits:
                        found[slot] = amount + more + self._raised(for_each, now)
        return found

    def ask(self, owners: Owners, family: str, records: int, *, lease: int) -> Verdict:
        """What must be said to a call now; what is let through is kept."""
        days, credential = days_of(self.now), owners["credential"]
        spent = self.spent.get((credential, family))
        is_spent = spent is not None and spent.day >= days[0]
        if spent is not None and is_spent and self.now < spent.asks_again:
            return Verdict(platform_says_spent=True)
        limits = self.limits_of(owners, now=self.now)
        amounts = dict(zip(FAMILIES[family], (1, records), strict=True))
        takes = {(scope, dimension): amounts[dimension] for scope in SCOPES for dimension in amounts}
        takes |= self._own(limits, calls=1, delivered=records)
        verdict = self._weigh(owners, takes, limits)
        if verdict.short:
            return verdict
        if spent is not None and is_spent:
            spent.probes += 1
            spent.asks_again = self.now + min(15 * MINUTE * 2**spent.probes, 120 * MINUTE)
        call = Call(
            owners=owners, days=days, takes=takes, lease_until=self.now + lease, is_probe=bool(is_spent)
        )
        self.calls.append(call)
        return Verdict(call=call, rooms=verdict.rooms)

    def serve(self, owners: Owners, delivered: int) -> Verdict:
        """What must be said to a call that is answered from what is held."""
        limits = self.limits_of(owners, now=self.now)
        takes = self._own(limits, calls=1, delivered=delivered)
        verdict = self._weigh(owners, takes, limits)
        if verdict.short:
            return verdict
        call = Call(owners=owners, days=days_of(self.now), takes=takes, lease_until=self.now, is_open=False)
        self.calls.append(call)
        return Verdict(call=call, rooms=verdict.rooms)

    def _own(self, limits: Mapping[Slot, int], **amounts: int) -> dict[tuple[str, str], int]:
        return {
            (scope, dimension): amounts[dimension] for scope, _, dimension, _ in limits if dimension in OWN
        }

    def _weigh(
        self, owners: Owners, takes: Mapping[tuple[str, str], int], limits: Mapping[Slot, int]
    ) -> Verdict:
        """How much room each limit that is touched has, and which have too little."""
        days = days_of(self.now)
        rooms: dict[Slot, int] = {}
        short: dict[Slot, Short] = {}
        for slot, amount in limits.items():
            scope, _, dimension, _ = slot
            if (scope, dimension) not in takes:
                continue
            wanted = takes[scope, dimension]
            kept = self.kept(owners, slot, days)
            free = {part: amount - took for part, took in self._taken(slot, days).items()}
            rooms[slot] = min(max(0, left - kept) // count for (_, count), left in free.items())
            if rooms[slot] < wanted:
                fewest = max(0, min(free.values()))
                short[slot] = Short(wanted=wanted, left=rooms[slot], kept=min(kept, fewest))
        return Verdict(short=short, rooms=rooms)

    def settle(
        self, call: Call, family: str, *, requests: int, records: int, delivered: int, says: str | None
    ) -> bool:
        """Have the call cost that; False: its lease was ended before, which has settled it already."""
        if not call.is_open:
            return False
        costs = dict(zip(FAMILIES[family], (requests, records), strict=True))
        costs |= {"calls": requests, "delivered": delivered}
        call.takes = {(scope, dimension): costs[dimension] for scope, dimension in call.takes}
        call.is_open = False
        slot = (call.owners["credential"], family)
        if says == "room" and call.is_probe:
            self.spent.pop(slot, None)
        elif says == "spent":
            known = self.spent.get(slot)
            if known is None or known.day != call.days[0]:
                self.spent[slot] = Spent(day=call.days[0], probes=0, asks_again=self.now + 15 * MINUTE)
        return True

    def end_leases(self) -> list[Call]:
        """The calls whose lease has ended; they cost all that they were promised."""
        ended = [call for call in self.calls if call.is_open and call.lease_until <= self.now]
        for call in ended:
            call.is_open = False
        return ended

    def counters(self) -> dict[Counter, tuple[int, int]]:
        """Used and reserved of everything, zeros left out."""
        sums: dict[Counter, list[int]] = defaultdict(lambda: [0, 0])
        for call in self.calls:
            for (scope, dimension), amount in call.takes.items():
                for day in call.days:
                    sums[scope, call.owners[scope], dimension, day][call.is_open] += amount
        return {counter: (used, reserved) for counter, (used, reserved) in sums.items() if used or reserved}

    def standing(self, slot: Slot, *, now: int) -> tuple[int, int]:
        """Used and reserved of a limit: of the fuller of two windows, close to midnight."""
        days = days_of(now)
        used = self._taken(slot, days, is_open=False)
        reserved = self._taken(slot, days, is_open=True)
        return max(((used[part], reserved[part]) for part in used), key=lambda pair: (sum(pair), pair[0]))

    def _taken(
        self, slot: Slot, days: tuple[int, ...], *, is_open: bool | None = None
    ) -> dict[tuple[object, int], int]:
        """What calls took of each window that the days lie in; the key says how many of the days do."""
        scope, whose, dimension, window = slot
        parts = [_part(window, day) for day in days]
        return {
            (part, parts.count(part)): sum(
                call.takes.get((scope, dimension), 0)
                for call in self.calls
                if call.owners[scope] == whose and is_open in {None, call.is_open}
                for day in call.days
                if _part(window, day) == part
            )
            for part in parts
        }

    def _raised(self, slot: Slot, now: int) -> int:
        return sum(
            each.amount
            for each in self.raises.values()
            if each.slot == slot and each.since <= now < each.until
        )

    def kept(self, owners: Owners, slot: Slot, days: tuple[int, ...]) -> int:
        """What other projects of the credential may still claim of its day; close to midnight, of either."""
        scope, credential, dimension, window = slot
        if (scope, window) != ("credential", "day"):
            return 0
        kept = 0
        for project in self._projects_of[credential]:
            floor = self.limits.get(("floor", project, dimension, "day"), 0)
            if project != owners["project"]:
                taken = self._taken(("project", project, dimension, "day"), days)
                kept += max(0, floor - min(taken.values()))
        return kept
