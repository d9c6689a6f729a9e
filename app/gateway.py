"""The path of one research call, from a client's bytes to an answer that the log already holds.

Read `Gateway.research` from top to bottom: identify, admit, permit, reuse, then `_go_upstream`: reserve,
fetch, settle, record. No rule is written here; each step asks the package that owns it. Every path ends in
exactly one receipt, and nothing is answered before the books have given it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar, assert_never

from app.audit.calls import Origin, Scribe, upstream_facts
from app.audit.entries import Draft, Receipt, Value
from app.books import Books, Intent, PlatformSays, PlatformSpent, Reservation, Served, Superseded
from app.cache.flights import Flights
from app.cache.pages import (
    TASKS_LAST_S,
    Fresh,
    HeldPage,
    Missing,
    Pages,
    SearchState,
    Stale,
    is_reusable,
    may_serve,
    page_of,
    search_behind,
    task_behind,
)
from app.clock import Clock
from app.errors import (
    InvalidClient,
    InvalidParams,
    NotIdentified,
    QuotaExhausted,
    RateLimited,
    Refusal,
    StoreUnavailable,
)
from app.identity.bearers import Bearers, Grant
from app.identity.callers import Caller, Directory, Freeze
from app.ids import new_entry_id
from app.policy.engine import Allowed, Objection, Refused, judge, judge_held
from app.policy.rules import NOT_FROZEN, Circumstances, Reuse
from app.provider.answers import Failure, FailureKind, Success, read_reply
from app.provider.charge import FREE, Charge, charge_for
from app.provider.endpoint import AnswerForm, Endpoint, TaskUse
from app.provider.normalise import read_request
from app.provider.outgoing import outgoing
from app.provider.platform import NotDispatched, OutcomeUnknown, Paced, Platform, TooLate, paced_message
from app.query import ResearchQuery
from app.quota.arithmetic import LONGEST_RETRY_AFTER_S, Exhausted, ScopeKind, Standing, retry_after_s
from app.quota.limits import (
    HeldTo,
    LimitSource,
    Owners,
    amounts_at_door,
    amounts_upstream,
    explain,
    own_wants,
    platform_says,
    wants_of,
)
from app.quota.pacing import Pacer
from app.quota.tallies import Topic, mark_of, topic_of
from app.quota.windows import NOT_HELD, Amounts, Busy, Hold, ShortWindows, explain_busy, wanted_of

T = TypeVar("T")

_DECISIONS = 5
"""How often a decision is taken anew because the directory changed meanwhile, before giving up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A research request as it came in, unread."""

    endpoint: Endpoint
    query_string: str
    body: bytes
    authorization: str | None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Records for the client: `data` is JSON, or a file where the endpoint gives one, exactly as it goes out.

    `how` is hit, miss, bypass (fetched, and not kept) or collapsed (a fetch shared with others); `age_s` counts
    from the platform.
    """

    data: bytes
    form: AnswerForm
    how: str
    age_s: int
    cost: Charge
    receipt: Receipt
    standings: tuple[Standing, ...]
    warned: tuple[Objection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedDown:
    """No records, and why: a refusal of Bursar's own, or what the platform said or failed to say."""

    error: Refusal | NotDispatched | OutcomeUnknown | Failure
    cost: Charge
    receipt: Receipt
    standings: tuple[Standing, ...] = ()
    warned: tuple[Objection, ...] = ()


Answer = Delivered | TurnedDown


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an administrator sets: how long things hold, in seconds, and where people accept the terms."""

    page_ttl_s: int
    search_ttl_s: int
    lease_margin_s: float
    read_timeout_s: Callable[[Endpoint], float]
    accept_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A call that is identified, admitted and permitted."""

    request: Request
    caller: Caller
    query: ResearchQuery
    permit: Allowed
    search: SearchState | None
    key: bytes
    limits: HeldTo


@dataclass(frozen=True, slots=True, kw_only=True)
class _Landed:
    """What a call upstream brought, settled and logged."""

    outcome: HeldPage | Failure | NotDispatched | OutcomeUnknown
    cost: Charge
    receipt: Receipt
    standings: tuple[Standing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _NoRoom:
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


class _TooFast(RateLimited):
    """A short limit had no room; `standings` are those of the short limits."""

    def __init__(self, message: str, *, retry_after_s: int, standings: tuple[Standing, ...]) -> None:
        super().__init__(message, rule="quota", retry_after_s=retry_after_s)
        self.standings = standings


class Gateway:
    """Answers research calls and token requests, each with its receipt.

    Whatever cannot be logged raises Unavailable, and then nothing may be answered but that.
    """

    def __init__(
        self,
        *,
        bearers: Bearers,
        directory: Directory,
        pages: Pages,
        books: Books,
        limits: LimitSource,
        windows: ShortWindows,
        pacer: Pacer,
        platform: Platform,
        scribe: Scribe,
        clock: Clock,
        bounds: Bounds,
    ) -> None:
        self._bearers = bearers
        self._directory = directory
        self._pages = pages
        self._books = books
        self._limits = limits
        self._windows = windows
        self._pacer = pacer
        self._platform = platform
        self._scribe = scribe
        self._clock = clock
        self._bounds = bounds
        self._flights: Flights[_Landed | _NoRoom | PlatformSpent | Superseded] = Flights()

    async def research(self, request: Request) -> Answer:
        """Records, or why there are none."""
        return await self._on_current_directory(lambda: self._research(request))

    async def _research(self, request: Request) -> Answer | Superseded:
        caller: Caller | None = None
        query: ResearchQuery | None = None
        verdict: Allowed | Refused | None = None
        try:
            caller = await self._bearers.caller(request.authorization)
            query = read_request(request.endpoint, request.query_string, request.body)
            verdict = self._judge(caller, query)
            call = await self._permit(request, caller, query, verdict)
            return await self._reuse_or_fetch(call)
        except Refusal as refusal:
            return await self._turn_down(request, refusal, caller, query, verdict)

    async def _reuse_or_fetch(self, call: _Call) -> Answer | Superseded:
        match await self._held(call):
            case Fresh(page=page) if (reusing := self._reusing(call, page)) is not None:
                with await self._enter(reusing, amounts_at_door(delivered=page.records)) as hold:
                    return await self._deliver(reusing, page, hold, how="hit")
            case Fresh() | Stale() | Missing():
                return _warned(await self._fetch_together(call), call.permit)
            case never:
                assert_never(never)

    async def _go_upstream(self, call: _Call) -> _Landed | _NoRoom | PlatformSpent | Superseded:
        """One call to the platform; reserved anew, once, where it came to be sent too late for its day or lease."""
        landed = await self._attempt(call)
        if isinstance(landed, _Landed) and isinstance(landed.outcome, TooLate):
            return await self._attempt(call)
        return landed

    async def _attempt(self, call: _Call) -> _Landed | _NoRoom | PlatformSpent | Superseded:
        """Reserve, fetch, settle, record."""
        topic = await self._topic(call)
        crowded = self._pacer.outlook(call.caller.credential)
        if crowded is not None:
            message = paced_message(crowded.retry_after_s)
            raise RateLimited(message, rule="pacing", retry_after_s=crowded.retry_after_s)
        taken = await self._take(call, _most(call))
        if isinstance(taken, Busy):
            return _NoRoom(exhausted=taken.exhausted, caller=call.caller, busy=taken)
        with taken as hold:
            opened = await self._reserve(call, hold)
            if not isinstance(opened, Reservation):
                return opened
            # The intent is durable here: a crash below is an unfinished call, never an unlogged one.
            outcome = await self._dispatch(call, opened)
            charge = charge_for(outcome, reserved=_reserved(call))
            if not isinstance(outcome, NotDispatched):
                hold.keep(_came_to(call, outcome, charge))
            landed = await self._record(call, opened, outcome, charge, topic)
            return replace(landed, standings=(*landed.standings, *hold.standings))

    async def token(
        self, client_key: str, client_secret: str, origin: Origin
    ) -> tuple[Grant | Refusal, Receipt]:
        """An access token, or why there is none, with its receipt."""

        async def answer() -> tuple[Grant | Refusal, Receipt] | Superseded:
            try:
                grant = await self._bearers.exchange(client_key, client_secret)
            except InvalidClient as refusal:
                draft = self._scribe.token(origin, None, code=refusal.code)
                receipt = await self._books.note(draft, revision=refusal.decided_on)
                return receipt if isinstance(receipt, Superseded) else (refusal, receipt)
            if grant.caller.freeze is not None and grant.caller.freeze.of_person:
                return await self._refuse_token(grant.caller, grant.caller.freeze, origin)
            draft = self._scribe.token(origin, grant.caller, code="ok")
            receipt = await self._books.note(draft, revision=grant.caller.revision)
            return receipt if isinstance(receipt, Superseded) else (grant, receipt)

        return await self._on_current_directory(answer)

    async def _refuse_token(
        self, caller: Caller, freeze: Freeze, origin: Origin
    ) -> tuple[Refusal, Receipt] | Superseded:
        """No access token for somebody who has been stopped, although key and secret hold."""
        refusal = InvalidClient(f"Refused by rule {NOT_FROZEN}: {freeze.says()}", rule=NOT_FROZEN)
        draft = self._scribe.token(origin, caller, code=refusal.code, rule=refusal.rule)
        receipt = await self._books.note(draft, revision=caller.revision)
        return receipt if isinstance(receipt, Superseded) else (refusal, receipt)

    async def note(self, draft: Draft) -> Receipt:
        """The receipt of a request that needed no look at the directory."""
        receipt = await self._books.note(draft)
        if isinstance(receipt, Superseded):
            raise StoreUnavailable("the books refused an entry that was decided on no directory")
        return receipt

    async def drain(self) -> None:
        """Wait until every call upstream has been settled and logged."""
        await self._flights.drain()

    def _judge(self, caller: Caller, query: ResearchQuery) -> Allowed | Refused:
        return judge(
            Circumstances(
                caller=caller, query=query, now=self._clock.now(), accept_url=self._bounds.accept_url
            )
        )

    async def _permit(
        self, request: Request, caller: Caller, query: ResearchQuery, verdict: Allowed | Refused
    ) -> _Call:
        """The call, if the rules allow it and its search id is one that this caller's scope was given."""
        if isinstance(verdict, Refused):
            raise InvalidParams(f"Refused by rule {verdict.rule}: {verdict.reason}", rule=verdict.rule)
        search = None
        if query.page.search_id is not None:
            search = await self._pages.search(query.page.search_id, caller.reuse_scope)
            if search is None or search.question_digest != query.question_digest:
                # The platform's own words, since clients look for them.
                message = f"Search Id {query.page.search_id} is invalid or expired"
                raise InvalidParams(message, rule="search-id")
        if request.endpoint.task is TaskUse.NAMES:
            await self._require_own_task(query, caller)
        key = query.key(scope=caller.reuse_scope, search=None if search is None else search.id)
        if not is_reusable(request.endpoint, query):
            key = new_entry_id().encode()
        return _Call(
            request=request,
            caller=caller,
            query=query,
            permit=verdict,
            search=search,
            key=key,
            limits=await self._limits.held_to(_owners(caller), revision=caller.revision),
        )

    async def _require_own_task(self, query: ResearchQuery, caller: Caller) -> None:
        """Return when the task that `query` names was begun in this caller's scope."""
        named = str(query.asked()["task_id"])
        task = await self._pages.search(named, caller.reuse_scope)
        if task is None or task.upstream_id != named:
            message = f"task_id {named} is invalid or expired: it names no task that your project began here."
            raise InvalidParams(message, rule="task")

    async def _held(self, call: _Call) -> Fresh | Stale | Missing:
        if not is_reusable(call.request.endpoint, call.query):
            return Missing()
        page = await self._pages.find(call.key, call.caller.reuse_scope)
        return may_serve(page, now_us=self._now_us())

    def _reusing(self, call: _Call, page: HeldPage) -> _Call | None:
        """The call as the held page answers it; None where a rule forbids that this page is served."""
        now_us = self._now_us()
        reuse = Reuse(caller=call.caller, age_s=page.age_s(now_us), now=self._clock.now())
        verdict = judge_held(reuse)
        return None if isinstance(verdict, Refused) else replace(call, permit=call.permit.but(verdict))

    async def _fetch_together(self, call: _Call) -> Answer | Superseded:
        """The answer of one call upstream, shared with whoever asks the same while it is under way."""
        if self._flights.is_under_way(call.key):
            return await self._follow(call)
        landed = await self._flights.join(call.key, lambda: self._go_upstream(call))
        match landed.result:
            case Superseded() as superseded:
                return superseded
            case PlatformSpent() | _NoRoom() as nothing:
                raise await self._refusal(call, nothing)
            case _Landed() as fetched:
                return _of_leader(call, fetched)
            case never:
                assert_never(never)

    async def _follow(self, call: _Call) -> Answer | Superseded:
        """The answer that somebody else's call brings, with an entry of this caller's own."""
        with await self._enter(call, amounts_at_door(delivered=_reserved(call).records)) as hold:
            result = await self._flights.follow(call.key)
            if isinstance(result, _Landed):
                if isinstance(result.outcome, HeldPage):
                    index = result.receipt.index
                    return await self._deliver(
                        call, result.outcome, hold, how="collapsed", coalesced_with=index
                    )
                return await self._pass_on(call, result.outcome, result, hold)
        if isinstance(result, Superseded):
            return result
        if result is None or (isinstance(result, _NoRoom) and not result.holds_for(call.caller)):
            # It has landed meanwhile, or was refused for what does not bind this caller.
            return await self._reuse_or_fetch(call)
        raise await self._refusal(call, result)

    async def _refusal(self, call: _Call, nothing: PlatformSpent | _NoRoom) -> Refusal:
        now = self._clock.now()
        if isinstance(nothing, PlatformSpent):
            message = platform_says(nothing.mirror, call.request.endpoint.family, now)
            return QuotaExhausted(message, rule="platform-quota", retry_after_s=LONGEST_RETRY_AFTER_S)
        if nothing.busy is not None:
            return await self._too_fast(call, nothing.busy)
        message = explain(nothing.exhausted, now, short=nothing.short)
        wait_s = retry_after_s(nothing.exhausted, now)
        return QuotaExhausted(message, rule="quota", retry_after_s=wait_s)

    async def _enter(self, call: _Call, amounts: Amounts) -> Hold:
        """What the call takes of its short limits; raises RateLimited when one has no room."""
        taken = await self._take(call, amounts)
        if isinstance(taken, Busy):
            raise await self._too_fast(call, taken)
        return taken

    async def _take(self, call: _Call, amounts: Amounts) -> Hold | Busy:
        wanted = wanted_of(call.limits.short, amounts)
        return await self._windows.take(wanted) if wanted else NOT_HELD

    async def _too_fast(self, call: _Call, busy: Busy) -> RateLimited:
        budgets = await self._books.standings(**_owners(call.caller))
        wait_s = retry_after_s(busy.exhausted, self._clock.now(), frees_in_s=busy.frees_in_s)
        return _TooFast(explain_busy(busy, budgets), retry_after_s=wait_s, standings=busy.standings)

    async def _reserve(self, call: _Call, hold: Hold) -> Reservation | _NoRoom | PlatformSpent | Superseded:
        caller, reserved = call.caller, _reserved(call)
        owners = _owners(caller)
        family = call.request.endpoint.family
        intent = Intent(
            draft=self._scribe.intent(call.request.origin, caller, call.query, call.permit.decision()),
            lease_s=self._bounds.read_timeout_s(call.request.endpoint)
            + self._bounds.lease_margin_s
            + self._pacer.longest_wait_s,
            revision=caller.revision,
            owners=owners,
            family=family,
        )
        wants = wants_of(family, requests=reserved.requests, records=reserved.records, **owners)
        wants += own_wants(call.limits, calls=1, delivered=reserved.records)
        opened = await self._books.open_call(wants, intent)
        if isinstance(opened, Exhausted):
            return _NoRoom(exhausted=opened, caller=caller, short=hold.standings)
        return opened

    async def _dispatch(
        self, call: _Call, reservation: Reservation
    ) -> Success | Failure | NotDispatched | OutcomeUnknown:
        endpoint, query = call.request.endpoint, call.query
        credential = call.caller.credential
        # Not before the reservation: what a budget refuses must wait for no turn, and waste none.
        crowded = await self._pacer.turn(credential)
        if crowded is not None:
            return Paced(retry_after_s=crowded.retry_after_s)
        lease_s = reservation.ends_s - self._clock.monotonic_s()
        send_by_s = min(reservation.ends_s - self._bounds.read_timeout_s(endpoint), reservation.days_end_s)
        if self._clock.monotonic_s() >= send_by_s:
            return TooLate("the call waited too long for its turn")
        upstream_id = None if call.search is None else call.search.upstream_id
        body = outgoing(endpoint, query, search_id=upstream_id)
        try:
            async with asyncio.timeout(lease_s):
                reply = await self._platform.fetch(credential, query, endpoint, body, send_by_s=send_by_s)
        except TimeoutError:
            return OutcomeUnknown("its lease ended")
        except (NotDispatched, OutcomeUnknown) as error:
            return error
        outcome = read_reply(endpoint, query, reply)
        if isinstance(outcome, Failure) and outcome.kind is FailureKind.THROTTLED:
            self._pacer.throttled(credential, retry_after_s=outcome.retry_after_s)
        else:
            self._pacer.answered(credential)
        return outcome

    async def _record(
        self,
        call: _Call,
        opened: Reservation,
        outcome: Success | Failure | NotDispatched | OutcomeUnknown,
        charge: Charge,
        topic: Topic | None,
    ) -> _Landed:
        """The call's end: charge, outcome entry, the page to hold and its mark, in one transaction."""
        if not isinstance(outcome, Success):
            draft = self._outcome_entry(call, opened, outcome)
            mark = mark_of(topic, call.request.endpoint, call.query, None, calls=charge.requests)
            says = _budget_said(outcome)
            receipt = await self._books.close_call(opened, charge, draft, says=says, mark=mark)
            error = _in_clients_words(outcome, call.search)
            return _Landed(outcome=error, cost=charge, receipt=receipt, standings=opened.standings)
        page, search = self._page(call, outcome)
        draft = self._outcome_entry(call, opened, outcome, resp_sha256=page.sha256)
        may_hold = is_reusable(call.request.endpoint, call.query)
        holding = await self._pages.seal(page) if may_hold else None
        mark = mark_of(
            topic,
            call.request.endpoint,
            call.query,
            outcome,
            calls=charge.requests,
            next_id=None if search is None else search.id,
        )
        receipt = await self._books.close_call(
            opened,
            charge,
            draft,
            holding=holding,
            search=search,
            says=PlatformSays.ROOM,
            delivered=page.records,
            mark=mark,
        )
        if holding is not None:
            self._pages.remember(page)
        return _Landed(outcome=page, cost=charge, receipt=receipt, standings=opened.standings)

    async def _topic(self, call: _Call) -> Topic | None:
        """The question as tallies know it; None for one whose answers are not kept."""
        endpoint, query, scope = call.request.endpoint, call.query, call.caller.reuse_scope
        blind = await self._pages.blinder(scope) if is_reusable(endpoint, query) else None
        return None if blind is None else topic_of(endpoint, query, scope, blind=blind)

    def _page(self, call: _Call, success: Success) -> tuple[HeldPage, SearchState | None]:
        scope, now_us = call.caller.reuse_scope, self._now_us()
        search = search_behind(
            success,
            known=call.search,
            endpoint=call.request.endpoint,
            query=call.query,
            scope=scope,
            credential=call.caller.credential,
            expires_us=now_us + self._bounds.search_ttl_s * 1_000_000,
        )
        task = task_behind(
            success,
            query=call.query,
            scope=scope,
            credential=call.caller.credential,
            expires_us=now_us + TASKS_LAST_S * 1_000_000,
        )
        page = page_of(
            success,
            key=call.key,
            scope=scope,
            endpoint=call.query.endpoint,
            search_id=None if search is None else search.id,
            fetched_us=now_us,
            expires_us=now_us + self._bounds.page_ttl_s * 1_000_000,
        )
        return page, search or task

    def _outcome_entry(
        self,
        call: _Call,
        opened: Reservation,
        outcome: Success | Failure | NotDispatched | OutcomeUnknown,
        **more: Value,
    ) -> Draft:
        return self._scribe.outcome(
            call.request.origin,
            call.caller,
            call.query,
            call.permit.decision(),
            intent_ix=opened.receipt.index,
            upstream=upstream_facts(outcome),
            **more,
        )

    async def _deliver(
        self, call: _Call, page: HeldPage, hold: Hold, *, how: str, **more: Value
    ) -> Delivered | Superseded:
        """Records that cost this caller nothing, if the directory still is as it was decided on."""
        age_s = page.age_s(self._now_us())
        draft = self._scribe.served(
            call.request.origin,
            call.caller,
            call.query,
            call.permit.decision(),
            cache={"state": how, "key": page.key.hex(), "age_s": age_s},
            resp_sha256=page.sha256,
            **more,
        )
        served = await self._serve(call, draft, hold, delivered=page.records)
        if isinstance(served, Superseded):
            return served
        return Delivered(
            data=page.data,
            form=call.request.endpoint.answers,
            how=how,
            age_s=age_s,
            cost=FREE,
            receipt=served.receipt,
            standings=served.standings,
            warned=call.permit.warned,
        )

    async def _serve(self, call: _Call, draft: Draft, hold: Hold, *, delivered: int) -> Served | Superseded:
        """The entry of a call that did not go upstream itself, counted in the budgets that it is held to."""
        owners, revision = _owners(call.caller), call.caller.revision
        wants = own_wants(call.limits, calls=1, delivered=delivered)
        if wants:
            served = await self._books.serve(draft, wants, owners=owners, revision=revision)
            if isinstance(served, Exhausted):
                no_room = _NoRoom(exhausted=served, caller=call.caller, short=hold.standings)
                raise await self._refusal(call, no_room)
            if isinstance(served, Superseded):
                return served
        else:
            receipt = await self._books.note(draft, revision=revision)
            if isinstance(receipt, Superseded):
                return receipt
            served = Served(receipt=receipt, standings=await self._books.standings(**owners))
        hold.keep(amounts_at_door(delivered=delivered))
        return replace(served, standings=(*served.standings, *hold.standings)) if hold.standings else served

    async def _pass_on(
        self, call: _Call, error: Failure | NotDispatched | OutcomeUnknown, fetched: _Landed, hold: Hold
    ) -> TurnedDown | Superseded:
        """What the platform said to somebody else's call, to one who shared it, with an entry of their own."""
        draft = self._scribe.refused(
            call.request.origin,
            code=error.code,
            rule="upstream",
            caller=call.caller,
            query=call.query,
            beside=call.permit.beside(),
            coalesced_with=fetched.receipt.index,
        )
        if isinstance(error, NotDispatched):
            receipt = await self._books.note(draft, revision=call.caller.revision)
            if isinstance(receipt, Superseded):
                return receipt
            return TurnedDown(error=error, cost=FREE, receipt=receipt)
        served = await self._serve(call, draft, hold, delivered=0)
        if isinstance(served, Superseded):
            return served
        return TurnedDown(error=error, cost=FREE, receipt=served.receipt, standings=served.standings)

    async def _turn_down(
        self,
        request: Request,
        refusal: Refusal,
        caller: Caller | None,
        query: ResearchQuery | None,
        verdict: Allowed | Refused | None,
    ) -> TurnedDown | Superseded:
        """A refusal of Bursar's own, logged; taken anew if it was decided on a directory that has changed."""
        draft = self._scribe.refused(
            request.origin,
            code=refusal.code,
            rule=refusal.rule,
            caller=caller,
            query=query,
            beside={} if verdict is None else verdict.beside(),
        )
        decided_on = refusal.decided_on if isinstance(refusal, NotIdentified) else None
        receipt = await self._books.note(draft, revision=decided_on if caller is None else caller.revision)
        if isinstance(receipt, Superseded):
            return receipt
        standings = () if caller is None else await self._books.standings(**_owners(caller))
        if isinstance(refusal, _TooFast):
            standings = (*standings, *refusal.standings)
        warned = () if verdict is None else verdict.warned
        return TurnedDown(error=refusal, cost=FREE, receipt=receipt, standings=standings, warned=warned)

    async def _on_current_directory(self, decide: Callable[[], Awaitable[T | Superseded]]) -> T:
        """What `decide` comes to on a directory that has not changed before its entry was placed."""
        for _ in range(_DECISIONS):
            decided = await decide()
            if not isinstance(decided, Superseded):
                return decided
            self._directory.forget()
        raise StoreUnavailable("People and keys are being changed at this moment. Please try again.")

    def _now_us(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)


def _warned(answer: Answer | Superseded, permit: Allowed) -> Answer | Superseded:
    """The answer with the objections that its client is told without being refused."""
    if not permit.warned or isinstance(answer, Superseded):
        return answer
    return replace(answer, warned=permit.warned)


def _reserved(call: _Call) -> Charge:
    """The most that the call may cost: one request, and a full page of the size asked for."""
    return Charge(requests=1, records=call.request.endpoint.most_records(call.query.page.size))


def _of_leader(call: _Call, fetched: _Landed) -> Answer:
    """What a fetch brought, for the one who pays for it."""
    cost, receipt, standings = fetched.cost, fetched.receipt, fetched.standings
    if not isinstance(fetched.outcome, HeldPage):
        return TurnedDown(error=fetched.outcome, cost=cost, receipt=receipt, standings=standings)
    return Delivered(
        data=fetched.outcome.data,
        form=call.request.endpoint.answers,
        how="miss" if is_reusable(call.request.endpoint, call.query) else "bypass",
        age_s=0,
        cost=cost,
        receipt=receipt,
        standings=standings,
    )


def _most(call: _Call) -> Amounts:
    """The most that the call may take of short limits when it goes upstream."""
    most = _reserved(call)
    upstream = amounts_upstream(call.request.endpoint.family, requests=most.requests, records=most.records)
    return {**amounts_at_door(delivered=most.records), **upstream}


def _came_to(call: _Call, outcome: Success | Failure | OutcomeUnknown, charge: Charge) -> Amounts:
    """What it took of them."""
    delivered = outcome.records if isinstance(outcome, Success) else 0
    upstream = amounts_upstream(
        call.request.endpoint.family, requests=charge.requests, records=charge.records
    )
    return {**amounts_at_door(delivered=delivered), **upstream}


def _owners(caller: Caller) -> Owners:
    """Whose limits a call of this caller is counted against."""
    return {
        "credential": caller.credential,
        "project": caller.project,
        "membership": caller.membership,
        "key": caller.key,
    }


def _budget_said(outcome: Failure | NotDispatched | OutcomeUnknown) -> PlatformSays | None:
    """What a failure tells of the platform's own budget."""
    is_spent = isinstance(outcome, Failure) and outcome.kind is FailureKind.QUOTA
    return PlatformSays.SPENT if is_spent else None


def _in_clients_words(
    error: Failure | NotDispatched | OutcomeUnknown, search: SearchState | None
) -> Failure | NotDispatched | OutcomeUnknown:
    """The failure with the client's search id where the platform's message names its own."""
    if search is None or not isinstance(error, Failure):
        return error
    return replace(error, message=error.message.replace(search.upstream_id, search.id))
