"""The gateway's port to its two books, the quota ledger and the audit log.

Both change in one transaction, and two ports could not share one, so one port owns both. Order of a
call that goes upstream: `open_call` (reservation and intent), the upstream call, `close_call` (charge
and outcome). Every other request is one `note`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from app.audit.entries import Draft, Receipt
from app.cache.pages import Holding, SearchState
from app.provider.charge import FREE, Charge
from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Exhausted, Standing, Want
from app.quota.limits import Owners
from app.quota.mirror import Mirror
from app.quota.tallies import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A call about to go upstream: its entry, how long its reservation holds, what it was decided on."""

    draft: Draft
    lease_s: float
    revision: int
    owners: Owners
    family: QuotaFamily
    flight: str | None = None
    """What the call fetches, as 64 hexadecimal digits; None where no other may share it."""
    seen: int = -1
    """Where the outcome of the newest such call stands that is known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Amounts promised to one call; settle exactly once, or the lease does.

    `ends_s` is the end of the lease on this process's monotonic clock. A call that could outlast it must
    not be sent: a process that was stopped and goes on would otherwise spend what was settled long ago.
    Nor may one be sent at `days_end_s` or later, when the platform may count it on a day that was not charged.
    """

    receipt: Receipt
    wants: tuple[Want, ...]
    standings: tuple[Standing, ...]
    ends_s: float
    days_end_s: float
    opened_us: int = 0
    """When it was made, by the clock of the log."""
    is_probe: bool = False
    """Whether the call asks the platform if it still calls its day used up."""


@dataclass(frozen=True, slots=True)
class PlatformSpent:
    """The platform itself has called the credential's day used up, so nothing was reserved."""

    mirror: Mirror


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Another process asks the platform the same, or has just been answered, so nothing was reserved.

    `landed_ix` is where the outcome stands, None while there is none.
    """

    flight: str
    landed_ix: int | None


class PlatformSays(StrEnum):
    """What an answer of the platform says of its own budget, or of the credential."""

    ROOM = "room"
    SPENT = "spent"
    NO_ACCESS = "no_access"
    """It does not take the credential, or a fresh token of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """The directory changed since the decision was taken: take it again."""

    revision: int
    spent: Charge = FREE
    """What the call had cost by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A call answered from what was here, counted and logged; where the budgets stand now."""

    receipt: Receipt
    standings: tuple[Standing, ...]


class Books(Protocol):
    """Reservations and entries, durable on return and visible to every process.

    Everything here raises AuditUnavailable when it cannot be made durable within five seconds; the
    caller must then refuse. What was reserved for a caller that got AuditUnavailable is given back, or,
    where nobody can know whether it was taken, stays charged when its lease ends.
    """

    async def open_call(
        self, wants: Sequence[Want], intent: Intent
    ) -> Reservation | Exhausted | PlatformSpent | Superseded | UnderWay:
        """Take every want in every limit of its scope and log the intent, or neither."""
        ...

    async def landing(self, flight: str) -> int | None:
        """Where the outcome of a call that is under way elsewhere stands, once it does; None where its process died."""
        ...

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
        """Settle the reservation to what the call really cost and gave, and log its outcome.

        `says` is what the answer told of the platform's own budget or of the credential, None where it told
        nothing; `mark` is what the call adds to the tally of its question. `gone` are tags by scope (`Pages.gone`): every
        held page that has one of them goes, with an entry of its own.
        """
        ...

    async def note(self, decision: Draft, *, revision: int | None = None) -> Receipt | Superseded:
        """Log a request that did not go upstream; with `revision`, only if the directory is still that."""
        ...

    async def turn_away(self, decision: Draft, *, source: str) -> Receipt:
        """Log the refusal of a request whose sender is unknown.

        Many of them from one `source` at once share an entry that counts them, and then the receipt is that
        entry's. A source is a network address; it is kept for a second and not logged.
        """
        ...

    async def serve(
        self, decision: Draft, wants: Sequence[Want], *, owners: Owners, revision: int
    ) -> Served | Exhausted | Superseded:
        """Charge a call that did not go upstream and log it, in one transaction, or neither."""
        ...

    async def standings(
        self, *, credential: str, project: str, membership: str, key: str
    ) -> tuple[Standing, ...]:
        """Where the caller's limits stand, for the headers of an answer that changed none."""
        ...
