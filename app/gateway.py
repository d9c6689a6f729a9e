"""The path of one research call, from a client's bytes to an answer that the log already holds.

Read `Gateway.research` from top to bottom: identify, admit, permit, reuse, then `_go_upstream`: reserve,
fetch, settle, record. No rule is written here; each step asks the package that owns it. Every path ends in
exactly one receipt, and nothing is answered before the books have given it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar, assert_never

from app.audit.calls import Origin, Scribe
from app.audit.entries import Draft, Receipt, Value
from app.audit.questions import Seals
from app.books import Books, PlatformSpent, Reservation, Served, Superseded, UnderWay
from app.cache.flights import Flights
from app.cache.lifetimes import lifetime_of
from app.cache.pages import HeldPage, Pages, is_reusable
from app.cache.shelf import Apart, Detail, Lacking, Ready, Shelf
from app.calls import (
    Answer,
    Bounds,
    Call,
    Delivered,
    Elsewhere,
    Landed,
    Late,
    NoRoom,
    Overdue,
    Partial,
    Request,
    SearchOver,
    TooFast,
    TurnedDown,
    Unjoined,
    asked_for,
    came_to,
    heeded,
    is_down,
    most_of,
    owners_of,
    reserved_for,
    sought_by,
    steered,
)
from app.clock import Clock
from app.errors import (
    BursarError,
    InvalidClient,
    InvalidParams,
    NotHeld,
    NotIdentified,
    QuotaExhausted,
    RateLimited,
    Refusal,
    StoreUnavailable,
)
from app.fetching import Upstream
from app.identity.bearers import Bearers, Grant
from app.identity.callers import Caller, Directory, Freeze
from app.ids import new_entry_id
from app.policy.engine import Allowed, Refused, judge, judge_held
from app.policy.rules import NOT_FROZEN, Circumstances, Reuse
from app.provider.answers import Failure
from app.provider.charge import FREE, Charge, charge_for
from app.provider.endpoint import TaskUse
from app.provider.normalise import read_request
from app.provider.platform import NotDispatched, OutcomeUnknown, paced_message
from app.query import ResearchQuery
from app.quota.arithmetic import LONGEST_RETRY_AFTER_S, Exhausted, retry_after_s
from app.quota.limits import (
    LimitSource,
    amounts_at_door,
    explain,
    own_wants,
    platform_says,
)
from app.quota.windows import NOT_HELD, Amounts, Busy, Hold, ShortWindows, explain_busy, wanted_of

T = TypeVar("T")

_Fetched = Landed | Elsewhere | NoRoom | PlatformSpent | Superseded

_DECISIONS = 5
"""How often a decision is taken anew because the directory changed meanwhile, before giving up."""


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
        shelf: Shelf,
        books: Books,
        limits: LimitSource,
        windows: ShortWindows,
        upstream: Upstream,
        seals: Seals,
        scribe: Scribe,
        clock: Clock,
        bounds: Bounds,
    ) -> None:
        self._bearers = bearers
        self._directory = directory
        self._pages = pages
        self._shelf = shelf
        self._books = books
        self._limits = limits
        self._windows = windows
        self._upstream = upstream
        self._seals = seals
        self._scribe = scribe
        self._clock = clock
        self._bounds = bounds
        self._flights: Flights[_Fetched] = Flights()

    async def research(self, request: Request) -> Answer:
        """Records, or why there are none."""
        asked_us = self._now_us()
        return await self._on_current_directory(lambda spent: self._research(request, asked_us, spent))

    async def _research(self, request: Request, asked_us: int, spent: Charge) -> Answer | Superseded:
        caller: Caller | None = None
        query: ResearchQuery | None = None
        verdict: Allowed | Refused | None = None
        try:
            caller = await self._bearers.caller(request.authorization, source=request.origin.address)
            query = read_request(request.endpoint, request.query_string, request.body)
            verdict = self._judge(caller, query)
            call = await self._permit(request, caller, query, verdict, asked_us=asked_us, spent=spent)
            return await self._reuse_or_fetch(call)
        except Refusal as refusal:
            return await self._turn_down(request, refusal, caller, query, verdict, spent=spent)

    async def _reuse_or_fetch(self, call: Call) -> Answer | Superseded:
        match await self._shelf.find(sought_by(call, self._clock.now())):
            case Ready(page=page, detail=detail) if (reusing := self._reusing(call, page)) is not None:
                with await self._enter(reusing, amounts_at_door(delivered=page.records)) as hold:
                    return await self._deliver(reusing, page, hold, how="hit", detail=detail)
            case Lacking() as lacking:
                if await self._contains(call):
                    return await self._reuse_or_fetch(replace(call, fetches=call.fetches + 1))
                return _warned(await self._fetch(await self._to_fetch(call), lacking), call.permit)
            case Apart() | Ready():
                return _warned(await self._fetch(await self._to_fetch(call), None), call.permit)
            case never:
                assert_never(never)

    async def _go_upstream(self, call: Call) -> "_Fetched":
        """What one call to the platform brings, of this process or of another that asks the same at this moment."""
        landed = await self._attempt_until_done(call)
        if isinstance(landed, Landed) and isinstance(landed.outcome, HeldPage | Partial):
            self._flights.bring(call.flight, landed.receipt.index)
        if not isinstance(landed, UnderWay):
            return landed
        index = landed.landed_ix or await self._books.landing(landed.flight)
        # Looked up once before everybody who waits here looks for it.
        await self._shelf.find(sought_by(call, self._clock.now()))
        return Elsewhere(index)

    async def _attempt_until_done(
        self, call: Call
    ) -> Landed | NoRoom | PlatformSpent | Superseded | UnderWay:
        """One call to the platform; and another where that one was too late, too wide or of an old search."""
        landed = await self._attempt(call)
        if isinstance(landed, NoRoom) and call.part is not None and await self._upstream.is_understood(call):
            # What is left may hold the page asked for all the same.
            return await self._attempt(call.as_asked())
        cost = FREE
        while isinstance(landed, Landed) and landed.again is not None:
            again, cost = landed.again, cost + landed.cost
            await self._upstream.wait(again)
            landed = await self._attempt(replace(again, seen=landed.receipt.index))
        if isinstance(landed, Superseded):
            return replace(landed, spent=cost)
        return replace(landed, cost=cost + landed.cost) if isinstance(landed, Landed) else landed

    async def _attempt(self, call: Call) -> Landed | NoRoom | PlatformSpent | Superseded | UnderWay:
        """Reserve, fetch, settle, record."""
        topic = await self._upstream.topic(call)
        crowded = self._upstream.outlook(call)
        if crowded is not None:
            message = paced_message(crowded.retry_after_s)
            raise RateLimited(message, rule="pacing", retry_after_s=crowded.retry_after_s)
        taken = await self._take(call, most_of(call))
        if isinstance(taken, Busy):
            return NoRoom(exhausted=taken.exhausted, caller=call.caller, busy=taken)
        with taken as hold:
            opened = await self._upstream.reserve(call, hold)
            if not isinstance(opened, Reservation):
                return opened
            # The intent is durable here: a crash below is an unfinished call, never an unlogged one.
            outcome = await self._upstream.dispatch(call, opened)
            charge = charge_for(outcome, reserved=reserved_for(call))
            if not isinstance(outcome, NotDispatched):
                hold.keep(came_to(call, outcome, charge))
            landed = await self._upstream.record(call, opened, outcome, charge, topic)
            return replace(landed, short=hold.standings)

    async def token(
        self, client_key: str, client_secret: str, origin: Origin
    ) -> tuple[Grant | Refusal, Receipt]:
        """An access token, or why there is none, with its receipt."""

        async def answer(_spent: Charge) -> tuple[Grant | Refusal, Receipt] | Superseded:
            try:
                grant = await self._bearers.exchange(client_key, client_secret, source=origin.address)
            except (InvalidClient, RateLimited) as refusal:
                draft = self._scribe.token(origin, None, code=refusal.code, rule=refusal.rule or "identify")
                receipt = await self._note_unknown(draft, refusal, origin)
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

    async def note(self, draft: Draft, *, source: str | None = None) -> Receipt:
        """The receipt of a request that needed no look at the directory.

        `source` is where a request was refused that nobody is known to have sent.
        """
        if source is not None:
            return await self._books.turn_away(draft, source=source)
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
        self,
        request: Request,
        caller: Caller,
        query: ResearchQuery,
        verdict: Allowed | Refused,
        *,
        asked_us: int,
        spent: Charge,
    ) -> Call:
        """The call, if the rules allow it and its search id is one that this caller's scope was given."""
        if isinstance(verdict, Refused):
            raise InvalidParams(f"Refused by rule {verdict.rule}: {verdict.reason}", rule=verdict.rule)
        search = None
        if query.page.search_id is not None:
            search = await self._pages.search(query.page.search_id, caller.reuse_scope)
            if search is None or search.question_digest != query.question_digest:
                raise SearchOver(query.page.search_id, cost=spent)
        if request.endpoint.task is TaskUse.NAMES:
            await self._require_own_task(query, caller)
        key = query.key(scope=caller.reuse_scope, search=None if search is None else search.id)
        if not is_reusable(request.endpoint, query):
            key = new_entry_id().encode()
        steering = heeded(request, caller)
        return Call(
            request=request,
            caller=caller,
            query=query,
            permit=verdict,
            named=search,
            search=search,
            key=key,
            limits=await self._limits.held_to(owners_of(caller), revision=caller.revision),
            seal=await self._seals.keys_for(caller.person),
            sent=query,
            flight=key,
            steering=steering,
            since_us=steering.since_us(asked_us),
            spent=spent,
            lifetime=lifetime_of(request.endpoint, query.question, caller.reuse, self._bounds.usual),
        )

    async def _require_own_task(self, query: ResearchQuery, caller: Caller) -> None:
        """Return when the task that `query` names was begun in this caller's scope."""
        named = str(query.asked()["task_id"])
        task = await self._pages.search(named, caller.reuse_scope)
        if task is None or task.upstream_id != named or task.is_over(self._now_us()):
            message = f"task_id {named} is invalid or expired: it names no task that your project began here."
            raise InvalidParams(message, rule="task")

    async def _contains(self, call: Call) -> bool:
        """Whether a wider search that is held in full has the answer, which is found from now on."""
        if call.fetches or call.is_unheld:
            return False
        reuse, usual = call.caller.reuse, self._bounds.usual
        return await self._shelf.contain(
            sought_by(call, self._clock.now()),
            credential=call.caller.credential,
            lifetimes=lambda question: lifetime_of(call.request.endpoint, question, reuse, usual),
            now_us=self._now_us(),
        )

    async def _to_fetch(self, call: Call) -> Call:
        """The call, that what is held does not answer; raises NotHeld where its caller wants nothing else."""
        if call.steering.is_held_only:
            raise NotHeld(
                "Nothing that is held may answer this call, and Cache-Control: only-if-cached keeps it from going to "
                "the platform. Nothing was spent.",
                rule="only-if-cached",
            )
        if not call.since_us or call.fetches:
            return call
        whatever_age = sought_by(replace(call, since_us=0), self._clock.now())
        found = await self._shelf.find(whatever_age, is_look=True)
        return replace(call, is_passed_over=isinstance(found, Ready))

    def _reusing(self, call: Call, page: HeldPage) -> Call | None:
        """The call as the held page answers it; None where a rule forbids by now that this page is served."""
        reuse = Reuse(caller=call.caller, age_s=page.age_s(self._now_us()), now=self._clock.now())
        verdict = judge_held(reuse)
        if isinstance(verdict, Refused):
            return None
        permit = call.permit.but(verdict)
        return call if permit is call.permit else replace(call, permit=permit)

    async def _fetch(self, call: Call, lacking: Lacking | None) -> Answer | Superseded:
        """What the platform brings; what is held past its time, where that is nothing and the project allows it."""
        try:
            upstream = self._upstream
            prepared = await (upstream.as_asked(call) if lacking is None else upstream.prepare(call, lacking))
            answer = await self._fetch_together(prepared)
        except QuotaExhausted:
            late = await self._past_its_time(call)
            if late is None:
                raise
        except SearchOver as over:
            # Nobody can go on with the search, not even a platform that is there.
            late = await self._past_its_time(call) if over.cost == call.spent else None
            if late is None:
                raise
        else:
            if not isinstance(answer, TurnedDown) or not is_down(answer.error):
                return answer
            late = await self._past_its_time(replace(call, spent=answer.cost), answer.error)
            if late is None:
                return answer
        with await self._enter(late.call, amounts_at_door(delivered=late.page.records)) as hold:
            return await self._deliver_late(late, hold)

    async def _past_its_time(self, call: Call, error: BursarError | Failure | None = None) -> Late | None:
        """What is held of the answer, however old, where the project allows that it is served and no rule forbids it.

        `error` is what came of asking the platform; None where it could not be asked.
        """
        if not call.caller.reuse.serves_stale:
            return None
        now = self._clock.now()
        found = await self._shelf.find(sought_by(call, now, is_stale_good=True), is_look=True)
        reusing = self._reusing(call, found.page) if isinstance(found, Ready) else None
        if not isinstance(found, Ready) or reusing is None:
            return None
        return Late(
            call=reusing,
            page=found.page,
            detail=found.detail,
            overdue=Overdue(
                ttl_s=(call.lifetime.until_us(found.page.fetched_us) - self._now_us()) // 1_000_000,
                is_asked=error is not None,
                status=error.status if isinstance(error, Failure) else None,
            ),
        )

    async def _deliver_late(self, late: Late, hold: Hold, **more: Value) -> Delivered | Superseded:
        served = await self._deliver(late.call, late.page, hold, how="stale", detail=late.detail, **more)
        return replace(served, overdue=late.overdue) if isinstance(served, Delivered) else served

    async def _fetch_together(self, call: Call) -> Answer | Superseded:
        """The answer of one call upstream, shared with whoever asks the same while it is under way."""
        if self._flights.is_under_way(call.flight):
            return await self._follow(call)
        index = self._flights.brought(call.flight, seen=call.seen)
        # It may have landed between this caller's look at what is held and now.
        return await (self._lead(call) if index is None else self._from_elsewhere(call, index))

    async def _lead(self, call: Call) -> Answer | Superseded:
        """The answer of a call upstream that nobody else makes at this moment."""
        landed = await self._flights.join(call.flight, lambda: self._go_upstream(call))
        match landed.result:
            case Superseded() as superseded:
                return replace(superseded, spent=call.spent + superseded.spent)
            case Elsewhere(index=index):
                return await self._from_elsewhere(call, index)
            case PlatformSpent() | NoRoom() as nothing:
                raise await self._refusal(call, nothing)
            case Landed(outcome=Partial(), cost=cost, receipt=receipt):
                return await self._reuse_or_fetch(replace(call, spent=call.spent + cost, seen=receipt.index))
            case Landed(outcome=HeldPage() as page) as fetched:
                return self._of_leader(call, page, fetched)
            case Landed(outcome=Unjoined(), cost=cost):
                raise replace(call, spent=call.spent + cost).search_over()
            case Landed(outcome=(Failure() | NotDispatched() | OutcomeUnknown()) as error) as fetched:
                return TurnedDown(
                    error=error,
                    cost=call.spent + fetched.cost,
                    receipt=fetched.receipt,
                    standings=fetched.standings,
                    short=fetched.short,
                )
            case never:
                raise AssertionError(never)

    async def _follow(self, call: Call) -> Answer | Superseded:
        """The answer that somebody else's call brings, with an entry of this caller's own."""
        with await self._enter(call, amounts_at_door(delivered=asked_for(call))) as hold:
            result = await self._flights.follow(call.flight)
            if isinstance(result, Landed):
                index = result.receipt.index
                match result.outcome:
                    case HeldPage() as page if call.part is None and page.fetched_us >= call.since_us:
                        return await self._deliver(call, page, hold, how="collapsed", coalesced_with=index)
                    case HeldPage() | Partial():
                        found = await self._shelf.find(sought_by(call, self._clock.now()))
                        if isinstance(found, Ready):
                            return await self._deliver(
                                call, found.page, hold, how="collapsed", coalesced_with=index
                            )
                    case Unjoined():
                        raise call.search_over()
                    case error:
                        late = await self._past_its_time(call, error) if is_down(error) else None
                        if late is not None:
                            return await self._deliver_late(late, hold, coalesced_with=index)
                        return await self._pass_on(call, error, result, hold)
        if isinstance(result, Superseded):
            return replace(result, spent=call.spent)
        if isinstance(result, NoRoom) and result.holds_for(call.caller):
            raise await self._refusal(call, result)
        if isinstance(result, PlatformSpent):
            raise await self._refusal(call, result)
        # Else it has landed meanwhile, or brought another part, or was refused for what does not bind this caller.
        return await self._from_elsewhere(call, result.index if isinstance(result, Elsewhere) else None)

    async def _from_elsewhere(self, call: Call, index: int | None) -> Answer | Superseded:
        """The answer that a call of another process brought; where it brought none, this one goes on itself."""
        if index is None:
            return await self._reuse_or_fetch(call)
        call = replace(call, seen=index)
        found = await self._shelf.find(sought_by(call, self._clock.now()))
        if isinstance(found, Ready) and (reusing := self._reusing(call, found.page)) is not None:
            with await self._enter(reusing, amounts_at_door(delivered=found.page.records)) as hold:
                return await self._deliver(reusing, found.page, hold, how="collapsed", coalesced_with=index)
        return await self._reuse_or_fetch(call)

    async def _refusal(self, call: Call, nothing: PlatformSpent | NoRoom) -> Refusal:
        now = self._clock.now()
        if isinstance(nothing, PlatformSpent):
            message = platform_says(nothing.mirror, call.request.endpoint.family, now)
            return QuotaExhausted(message, rule="platform-quota", retry_after_s=LONGEST_RETRY_AFTER_S)
        if nothing.busy is not None:
            return await self._too_fast(call, nothing.busy)
        message = explain(nothing.exhausted, now, short=nothing.short)
        wait_s = retry_after_s(nothing.exhausted, now)
        return QuotaExhausted(message, rule="quota", retry_after_s=wait_s)

    async def _enter(self, call: Call, amounts: Amounts) -> Hold:
        """What the call takes of its short limits; raises RateLimited when one has no room."""
        taken = await self._take(call, amounts)
        if isinstance(taken, Busy):
            raise await self._too_fast(call, taken)
        return taken

    async def _take(self, call: Call, amounts: Amounts) -> Hold | Busy:
        wanted = wanted_of(call.limits.short, amounts)
        return await self._windows.take(wanted) if wanted else NOT_HELD

    async def _too_fast(self, call: Call, busy: Busy) -> RateLimited:
        budgets = await self._books.standings(**owners_of(call.caller))
        wait_s = retry_after_s(busy.exhausted, self._clock.now(), frees_in_s=busy.frees_in_s)
        return TooFast(explain_busy(busy, budgets), retry_after_s=wait_s, short=busy.standings)

    async def _deliver(
        self,
        call: Call,
        page: HeldPage,
        hold: Hold,
        *,
        how: str,
        detail: Detail = Detail.EXACT,
        **more: Value,
    ) -> Delivered | Superseded:
        """Records that cost this caller nothing, if the directory still is as it was decided on."""
        age_s = page.age_s(self._now_us())
        draft = self._scribe.served(
            call.request.origin,
            call.caller,
            call.query,
            call.permit.decision(),
            keys=call.seal,
            cache={"state": how, "detail": detail.value, "key": page.key.hex(), "age_s": age_s},
            resp_sha256=page.sha256,
            delivered=page.records,
            **steered(call.steering),
            **more,
        )
        served = await self._serve(call, draft, hold, delivered=page.records)
        if isinstance(served, Superseded):
            return replace(served, spent=call.spent)
        return Delivered(
            data=page.data,
            records=page.records,
            form=call.request.endpoint.answers,
            how=how,
            detail=detail,
            age_s=age_s,
            cost=call.spent,
            receipt=served.receipt,
            standings=served.standings,
            short=hold.standings,
            warned=call.permit.warned,
        )

    async def _serve(self, call: Call, draft: Draft, hold: Hold, *, delivered: int) -> Served | Superseded:
        """The entry of a call that did not go upstream itself, counted in the budgets that it is held to."""
        owners, revision = owners_of(call.caller), call.caller.revision
        wants = own_wants(call.limits, calls=1, delivered=delivered)
        if wants:
            served = await self._books.serve(draft, wants, owners=owners, revision=revision)
            if isinstance(served, Exhausted):
                no_room = NoRoom(exhausted=served, caller=call.caller, short=hold.standings)
                raise await self._refusal(call, no_room)
            if isinstance(served, Superseded):
                return served
        else:
            receipt = await self._books.note(draft, revision=revision)
            if isinstance(receipt, Superseded):
                return receipt
            served = Served(receipt=receipt, standings=await self._books.standings(**owners))
        hold.keep(amounts_at_door(delivered=delivered))
        return served

    async def _pass_on(
        self, call: Call, error: Failure | NotDispatched | OutcomeUnknown, fetched: Landed, hold: Hold
    ) -> TurnedDown | Superseded:
        """What the platform said to somebody else's call, to one who shared it, with an entry of their own."""
        draft = self._scribe.refused(
            call.request.origin,
            code=error.code,
            rule="upstream",
            caller=call.caller,
            query=call.query,
            keys=call.seal,
            beside=call.permit.beside(),
            coalesced_with=fetched.receipt.index,
            **steered(call.steering),
        )
        if isinstance(error, NotDispatched):
            receipt = await self._books.note(draft, revision=call.caller.revision)
            if isinstance(receipt, Superseded):
                return replace(receipt, spent=call.spent)
            return TurnedDown(error=error, cost=call.spent, receipt=receipt)
        served = await self._serve(call, draft, hold, delivered=0)
        if isinstance(served, Superseded):
            return replace(served, spent=call.spent)
        return TurnedDown(
            error=error,
            cost=call.spent,
            receipt=served.receipt,
            standings=served.standings,
            short=hold.standings,
        )

    async def _turn_down(
        self,
        request: Request,
        refusal: Refusal,
        caller: Caller | None,
        query: ResearchQuery | None,
        verdict: Allowed | Refused | None,
        *,
        spent: Charge,
    ) -> TurnedDown | Superseded:
        """A refusal of Bursar's own, logged; taken anew if it was decided on a directory that has changed."""
        keys = None if caller is None or query is None else await self._seals.keys_for(caller.person)
        draft = self._scribe.refused(
            request.origin,
            code=refusal.code,
            rule=refusal.rule,
            caller=caller,
            query=query,
            keys=keys,
            beside={} if verdict is None else verdict.beside(),
            **({} if caller is None else steered(heeded(request, caller))),
        )
        if caller is None:
            receipt = await self._note_unknown(draft, refusal, request.origin)
        else:
            receipt = await self._books.note(draft, revision=caller.revision)
        cost = refusal.cost if isinstance(refusal, SearchOver) else spent
        if isinstance(receipt, Superseded):
            return replace(receipt, spent=cost)
        standings = () if caller is None else await self._books.standings(**owners_of(caller))
        return TurnedDown(
            error=refusal,
            cost=cost,
            receipt=receipt,
            standings=standings,
            short=refusal.short if isinstance(refusal, TooFast) else (),
            warned=() if verdict is None else verdict.warned,
        )

    async def _note_unknown(self, draft: Draft, refusal: Refusal, origin: Origin) -> Receipt | Superseded:
        """The receipt of a refusal of whoever it is, if the directory still is as it was decided on."""
        decided_on = refusal.decided_on if isinstance(refusal, NotIdentified) else None
        if decided_on is None:
            return await self._books.turn_away(draft, source=origin.address)
        return await self._books.note(draft, revision=decided_on)

    async def _on_current_directory(self, decide: Callable[[Charge], Awaitable[T | Superseded]]) -> T:
        """What `decide` comes to on a directory that has not changed before its entry was placed.

        It is told what was spent on decisions before.
        """
        spent = FREE
        for _ in range(_DECISIONS):
            decided = await decide(spent)
            if not isinstance(decided, Superseded):
                return decided
            spent = decided.spent
            self._directory.forget()
        raise StoreUnavailable("People and keys are being changed at this moment. Please try again.")

    def _of_leader(self, call: Call, page: HeldPage, fetched: Landed) -> Delivered:
        """What a fetch brought, for the one who pays for it."""
        how = "request" if call.is_passed_over else "miss"
        return Delivered(
            data=page.data,
            records=page.records,
            form=call.request.endpoint.answers,
            how=how if is_reusable(call.request.endpoint, call.query) else "bypass",
            is_kept=not call.is_unheld,
            age_s=page.age_s(self._now_us()),
            cost=call.spent + fetched.cost,
            receipt=fetched.receipt,
            standings=fetched.standings,
            short=fetched.short,
        )

    def _now_us(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)


def _warned(answer: Answer | Superseded, permit: Allowed) -> Answer | Superseded:
    """The answer with the objections that its client is told without being refused."""
    # What was delivered out of what is held has them already, beside those of the rules on held data.
    if not permit.warned or isinstance(answer, Superseded) or answer.warned:
        return answer
    return replace(answer, warned=permit.warned)
