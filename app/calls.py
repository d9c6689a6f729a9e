"""A research call on its way through the gateway: as it came in, once it is permitted, and what came of it."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.audit.calls import Origin
from app.audit.entries import Receipt, Value
from app.audit.questions import QuestionKeys
from app.cache.lifetimes import Lifetime, UsualLifetimes
from app.cache.listings import is_own
from app.cache.pages import Fresh, HeldPage, SearchState, may_serve
from app.cache.shelf import Detail, Lacking, Sought
from app.cache.steering import UNSTEERED, Steering
from app.errors import InvalidParams, RateLimited, Refusal
from app.identity.callers import Caller
from app.policy.engine import Allowed, Objection, judge_held
from app.policy.rules import Reuse
from app.provider.answers import Failure, FailureKind, Success
from app.provider.charge import FREE, Charge
from app.provider.endpoint import AnswerForm, Endpoint
from app.provider.platform import CredentialRefused, NotDispatched, OutcomeUnknown, Paced, TooLate
from app.query import ResearchQuery, digest
from app.quota.arithmetic import Exhausted, ScopeKind, Standing
from app.quota.limits import HeldTo, Owners, amounts_at_door, amounts_upstream
from app.quota.windows import Amounts, Busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A research request as it came in, unread."""

    endpoint: Endpoint
    query_string: str
    body: bytes
    authorization: str | None
    origin: Origin
    steering: Steering = UNSTEERED


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """That an answer is served past its time: when that ended, in seconds from now, and what asking anew came to.

    `is_asked` says whether the platform was asked, `status` what it answered, if it did.
    """

    ttl_s: int
    is_asked: bool
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Records for the client: `data` is JSON, or a file where the endpoint gives one, exactly as it goes out.

    `how` is hit, stale (held, past its time), miss, request (fetched although it was held, as the caller asked),
    bypass (fetched, and never kept) or collapsed (a fetch shared with others), `detail` how what is held was come by;
    `age_s` counts from the platform. `standings` are those of budgets, `short` of the minute and of calls under way.
    """

    data: bytes
    records: int
    form: AnswerForm
    how: str
    detail: Detail = Detail.EXACT
    age_s: int
    cost: Charge
    receipt: Receipt
    standings: tuple[Standing, ...]
    short: tuple[Standing, ...] = ()
    warned: tuple[Objection, ...] = ()
    is_kept: bool = True
    """Whether what was fetched is held now."""
    overdue: Overdue | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedDown:
    """No records, and why: a refusal of Bursar's own, or what the platform said or failed to say."""

    error: Refusal | NotDispatched | OutcomeUnknown | Failure
    cost: Charge
    receipt: Receipt
    standings: tuple[Standing, ...] = ()
    short: tuple[Standing, ...] = ()
    warned: tuple[Objection, ...] = ()


Answer = Delivered | TurnedDown


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an administrator sets: how long things hold, in seconds, and where people accept the terms."""

    usual: UsualLifetimes
    search_ttl_s: int
    warm_up_waits_s: tuple[float, ...]
    lease_margin_s: float
    read_timeout_s: Callable[[Endpoint], float]
    accept_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that is identified, admitted and permitted.

    `sent` is what the platform is asked: `query` itself, or the full page with more fields that brings `part`.
    `flight` is what others share who need the same fetch. `spent` is what came before for the same answer.
    """

    request: Request
    caller: Caller
    query: ResearchQuery
    permit: Allowed
    named: SearchState | None
    """The search that its client goes on with."""
    search: SearchState | None
    """The one that the platform is asked to go on with."""
    key: bytes
    limits: HeldTo
    seal: QuestionKeys
    sent: ResearchQuery
    flight: bytes
    steering: Steering
    """What the caller asks of the answer, where the project lets that count."""
    since_us: int
    """What left the platform before this moment is not wanted; 0 where its age does not matter to the caller."""
    lifetime: Lifetime
    is_passed_over: bool = False
    """Whether the answer is held, but too old for the caller."""
    part: Lacking | None = None
    is_second: bool = False
    """Whether it is sent because the platform refused what its client never asked for, or for coming too late."""
    waits: int = 0
    """How often it has waited for its search to be known to the platform."""
    overlap: int | None = None
    """Records of the part before that are asked for again, where the platform has forgotten the search; else None."""
    seen: int = -1
    """Where the outcome of the newest such fetch stands that is known here."""
    fetches: int = 0
    spent: Charge = FREE

    @property
    def is_unheld(self) -> bool:
        """Whether its answer is not kept: the caller says so, or nothing of it would ever be served again."""
        return self.steering.is_unheld or (self.lifetime.is_none and not self.caller.reuse.serves_stale)

    @property
    def leaves(self) -> bool:
        """Whether it begins a search to go on from its place in a listing that was made of held ones."""
        search, part = self.search, self.part
        return search is not None and search.is_made and part is not None and search.id == part.listing

    @property
    def points_inside(self) -> bool:
        """Whether its cursor is one that only Bursar can read."""
        return is_own(self.request.endpoint, self.query.page.cursor)

    @property
    def is_understood(self) -> bool:
        """Whether the platform can be asked for its page as its client does: it knows the place, and the search."""
        knows_search = self.named is None or not (self.named.is_made or self.named.shift)
        return knows_search and not self.points_inside

    def as_asked(self) -> "Call":
        """The call as its client made it, to be sent as it is; raises InvalidParams where the platform could not read it."""
        if self.points_inside:
            raise InvalidParams("Invalid count or cursor", rule="request")
        if not self.is_understood:
            raise self.search_over()
        flight = self.flight_of(self.key)
        return replace(self, sent=self.query, flight=flight, part=None, overlap=None, search=self.named)

    def search_over(self) -> "SearchOver":
        """That its search cannot be gone on with."""
        return SearchOver(self.query.page.search_id or "", cost=self.spent)

    def flight_of(self, fetched: bytes) -> bytes:
        """Who shares in the fetch of that: whoever wants it to be kept must not do so in one that is not."""
        return digest("unheld", fetched.hex()) if self.is_unheld else fetched


@dataclass(frozen=True, slots=True)
class Partial:
    """A part that is held now, where the answer needs another as well."""


@dataclass(frozen=True, slots=True)
class Unjoined:
    """A page of a search that was begun anew, of which nobody can say that it follows what came before."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another process has fetched what a call wants: its outcome stands at `index`, None where that process died."""

    index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What a call upstream brought, settled and logged; `again` is what to send instead, where that may help."""

    outcome: HeldPage | Partial | Unjoined | Failure | NotDispatched | OutcomeUnknown
    cost: Charge
    receipt: Receipt
    standings: tuple[Standing, ...]
    short: tuple[Standing, ...] = ()
    again: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """What is held past its time for a call, and may be served while nothing can be fetched."""

    call: Call
    page: HeldPage
    detail: Detail
    overdue: Overdue


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRoom:
    """A limit of `caller` had no room, so nothing was taken; `busy` where it is a short one.

    `short` is where the short limits stood.
    """

    exhausted: Exhausted
    caller: Caller
    short: tuple[Standing, ...] = ()
    busy: Busy | None = None

    def holds_for(self, other: Caller) -> bool:
        """Whether the limit that ran out is one of this caller's too."""
        shared = self.exhausted.limit.scope.kind in {ScopeKind.CREDENTIAL, ScopeKind.PROJECT}
        return shared or other.key == self.caller.key


class SearchOver(InvalidParams):
    """A search that neither the platform nor Bursar can go on with; `cost` is what trying came to."""

    def __init__(self, search_id: str, *, cost: Charge = FREE) -> None:
        # The platform's own words, since clients look for them.
        super().__init__(f"Search Id {search_id} is invalid or expired", rule="search-id")
        self.cost = cost


class TooFast(RateLimited):
    """A short limit had no room; `short` is where the short limits stand."""

    def __init__(self, message: str, *, retry_after_s: int, short: tuple[Standing, ...]) -> None:
        super().__init__(message, rule="quota", retry_after_s=retry_after_s)
        self.short = short


def reserved_for(call: Call) -> Charge:
    """The most that the call may cost: one request, and a full page of the size sent."""
    return Charge(requests=1, records=call.request.endpoint.most_records(call.sent.page.size))


def asked_for(call: Call) -> int:
    """The most records that its client can be given."""
    return call.request.endpoint.most_records(call.query.page.size)


def sought_by(call: Call, now: dt.datetime, *, is_stale_good: bool = False) -> Sought:
    """The call as its answer is looked for: held pages must be fresh, and no rule may forbid that they are served.

    With `is_stale_good` they may be past their time, but not too old for the caller.
    """
    now_us = int(now.timestamp() * 1_000_000)
    lifetime = None if is_stale_good else call.lifetime
    judged: dict[int, bool] = {}
    """Whether the rules allow a page of that age; most pages of an answer came at the same moment."""

    def is_allowed(age_s: int) -> bool:
        if age_s not in judged:
            judged[age_s] = isinstance(judge_held(Reuse(caller=call.caller, age_s=age_s, now=now)), Allowed)
        return judged[age_s]

    def may_use(page: HeldPage) -> bool:
        if page.fetched_us < call.since_us:
            return False
        if not isinstance(may_serve(page, lifetime, now_us=now_us), Fresh):
            return False
        return is_allowed(page.age_s(now_us))

    return Sought(
        endpoint=call.request.endpoint,
        query=call.query,
        scope=call.caller.reuse_scope,
        key=call.key,
        search=call.named,
        may_use=may_use,
        is_kept=lambda page: now_us < page.expires_us,
        without=call.caller.reuse.without,
    )


def heeded(request: Request, caller: Caller) -> Steering:
    """What the request asks of the answer's age and keeping, where its project lets that count."""
    return request.steering if caller.reuse.obeys_cache_control else UNSTEERED


def steered(steering: Steering) -> dict[str, Value]:
    """What the log says of it; nothing where nothing was asked."""
    said = steering.said()
    return {"cache_control": list(said)} if said else {}


def is_down(error: object) -> bool:
    """Whether the platform cannot answer for now: it fails, is out of reach, or calls its day used up.

    Not where it only wants a pause, or does not take the credential any more: then nobody may go on without it.
    """
    match error:
        case Failure(kind=kind):
            return kind in {FailureKind.BROKEN, FailureKind.QUOTA}
        case Paced() | TooLate() | CredentialRefused():
            return False
        case _:
            return isinstance(error, NotDispatched | OutcomeUnknown)


def most_of(call: Call) -> Amounts:
    """The most that the call may take of short limits when it goes upstream."""
    most = reserved_for(call)
    upstream = amounts_upstream(call.request.endpoint.family, requests=most.requests, records=most.records)
    return {**amounts_at_door(delivered=asked_for(call)), **upstream}


def came_to(call: Call, outcome: Success | Failure | OutcomeUnknown, charge: Charge) -> Amounts:
    """What it took of them."""
    delivered = min(outcome.records, asked_for(call)) if isinstance(outcome, Success) else 0
    upstream = amounts_upstream(
        call.request.endpoint.family, requests=charge.requests, records=charge.records
    )
    return {**amounts_at_door(delivered=delivered), **upstream}


def owners_of(caller: Caller) -> Owners:
    """Whose limits a call of this caller is counted against."""
    return {
        "credential": caller.credential,
        "project": caller.project,
        "membership": caller.membership,
        "key": caller.key,
    }
