"""One call to the platform: what it reserves, how it is sent, and how its end is written down.

`Gateway._go_upstream` says in which order; the order is what the books' promises rest on.
"""

import asyncio
from dataclasses import replace

from app.audit.calls import Scribe, upstream_facts
from app.audit.entries import Draft, Value
from app.books import Books, Intent, PlatformSays, PlatformSpent, Reservation, Superseded
from app.cache.pages import (
    TASKS_LAST_S,
    HeldPage,
    Pages,
    SearchState,
    is_reusable,
    page_of,
    search_behind,
    task_behind,
)
from app.calls import Bounds, Call, Landed, NoRoom, owners_of, reserved_for
from app.clock import Clock
from app.provider.answers import Failure, FailureKind, Success, read_reply
from app.provider.charge import Charge
from app.provider.outgoing import outgoing
from app.provider.platform import CredentialRefused, NotDispatched, OutcomeUnknown, Paced, Platform, TooLate
from app.quota.arithmetic import Exhausted
from app.quota.limits import own_wants, wants_of
from app.quota.pacing import Pacer, TooManyWaiting
from app.quota.tallies import Topic, mark_of, topic_of
from app.quota.windows import Hold


class Upstream:
    """The steps of a call upstream, over the ports that they need."""

    def __init__(
        self,
        *,
        pages: Pages,
        books: Books,
        pacer: Pacer,
        platform: Platform,
        scribe: Scribe,
        clock: Clock,
        bounds: Bounds,
    ) -> None:
        self._pages = pages
        self._books = books
        self._pacer = pacer
        self._platform = platform
        self._scribe = scribe
        self._clock = clock
        self._bounds = bounds

    def outlook(self, call: Call) -> TooManyWaiting | None:
        """Why the call had better not be reserved for: too many wait for their turn. None: it may."""
        return self._pacer.outlook(call.caller.credential)

    async def reserve(self, call: Call, hold: Hold) -> Reservation | NoRoom | PlatformSpent | Superseded:
        """All limits of all scopes and the intent's entry, or neither."""
        caller, reserved = call.caller, reserved_for(call)
        owners = owners_of(caller)
        family = call.request.endpoint.family
        intent = Intent(
            draft=self._scribe.intent(
                call.request.origin, caller, call.query, call.permit.decision(), keys=call.seal
            ),
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
            return NoRoom(exhausted=opened, caller=caller, short=hold.standings)
        return opened

    async def dispatch(
        self, call: Call, reservation: Reservation
    ) -> Success | Failure | NotDispatched | OutcomeUnknown:
        """What one call to the platform came to, sent in its turn and within its lease; never raises."""
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

    async def record(
        self,
        call: Call,
        opened: Reservation,
        outcome: Success | Failure | NotDispatched | OutcomeUnknown,
        charge: Charge,
        topic: Topic | None,
    ) -> Landed:
        """The call's end: charge, outcome entry, the page to hold and its mark, in one transaction."""
        if not isinstance(outcome, Success):
            draft = self._outcome_entry(call, opened, outcome)
            mark = mark_of(topic, call.request.endpoint, call.query, None, calls=charge.requests)
            says = _platform_said(outcome)
            receipt = await self._books.close_call(opened, charge, draft, says=says, mark=mark)
            error = _in_clients_words(outcome, call.search)
            return Landed(outcome=error, cost=charge, receipt=receipt, standings=opened.standings)
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
        return Landed(outcome=page, cost=charge, receipt=receipt, standings=opened.standings)

    async def topic(self, call: Call) -> Topic | None:
        """The question as tallies know it; None for one whose answers are not kept."""
        endpoint, query, scope = call.request.endpoint, call.query, call.caller.reuse_scope
        blind = await self._pages.blinder(scope) if is_reusable(endpoint, query) else None
        return None if blind is None else topic_of(endpoint, query, scope, blind=blind)

    def _page(self, call: Call, success: Success) -> tuple[HeldPage, SearchState | None]:
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
        call: Call,
        opened: Reservation,
        outcome: Success | Failure | NotDispatched | OutcomeUnknown,
        **more: Value,
    ) -> Draft:
        return self._scribe.outcome(
            call.request.origin,
            call.caller,
            call.query,
            call.permit.decision(),
            keys=call.seal,
            intent_ix=opened.receipt.index,
            upstream=upstream_facts(outcome),
            **more,
        )

    def _now_us(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)


def _platform_said(outcome: Failure | NotDispatched | OutcomeUnknown) -> PlatformSays | None:
    """What a failure tells of the platform's own budget, or of the credential."""
    match outcome:
        case Failure(kind=FailureKind.QUOTA):
            return PlatformSays.SPENT
        case Failure(kind=FailureKind.TOKEN_REJECTED) | CredentialRefused():
            return PlatformSays.NO_ACCESS
        case _:
            return None


def _in_clients_words(
    error: Failure | NotDispatched | OutcomeUnknown, search: SearchState | None
) -> Failure | NotDispatched | OutcomeUnknown:
    """The failure with the client's search id where the platform's message names its own."""
    if search is None or not isinstance(error, Failure):
        return error
    return replace(error, message=error.message.replace(search.upstream_id, search.id))
