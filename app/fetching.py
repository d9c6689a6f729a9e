"""One call to the platform: what it reserves, how it is sent, and how its end is written down.

`Gateway._go_upstream` says in which order; the order is what the books' promises rest on.
"""

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.audit.calls import Scribe, upstream_facts
from app.audit.entries import Draft, Value
from app.books import Books, Intent, PlatformSays, PlatformSpent, Reservation, Superseded, UnderWay
from app.cache.listings import (
    Places,
    as_page,
    before_first,
    full_size,
    has_last_day,
    head_page,
    moment_after,
    onward_key,
    onward_page,
    part_in,
    part_key,
    part_of,
    places_page,
    seen_first,
)
from app.cache.pages import (
    HeldPage,
    Holding,
    Pages,
    SearchState,
    is_reusable,
    page_of,
    search_behind,
    task_behind,
)
from app.cache.proven import ProvenFields
from app.cache.shelf import Lacking, Shelf, Step, sent_for
from app.cache.vanished import vanished
from app.calls import (
    Bounds,
    Call,
    Landed,
    NoRoom,
    Partial,
    Unjoined,
    asked_for,
    owners_of,
    reserved_for,
    sought_by,
    steered,
)
from app.clock import Clock
from app.errors import InvalidParams, StoreUnavailable
from app.ids import CredentialId, new_entry_id, new_search_id
from app.policy.values import REFRESH_INTERVAL_DAYS
from app.provider.answers import Failure, FailureKind, Success, read_reply
from app.provider.charge import Charge
from app.provider.endpoint import CursorKind
from app.provider.naming import names_in
from app.provider.outgoing import outgoing
from app.provider.platform import CredentialRefused, NotDispatched, OutcomeUnknown, Paced, Platform, TooLate
from app.quota.arithmetic import Exhausted
from app.quota.limits import own_wants, wants_of
from app.quota.pacing import Pacer, TooManyWaiting
from app.quota.tallies import Topic, mark_of, topic_of
from app.quota.windows import Hold

_MOST_FETCHES = 4
"""Calls to the platform for one answer, before its call is sent as it is."""
_OVERLAPS = (10, 100, 190)
"""Records that a search which begins anew asks for again, one try after the other.

A page joins if its first record has been seen, so as many less one may have vanished; each try reaches into the last.
"""
_WARM_UP_S = 60
"""How long after it began a search may be refused for being too new; 5 s were met (facts 3.4, Q2)."""
WARM_UP_WAITS_S = (5.0, 10.0)
"""How long a call waits before it names a new search again, as the platform's clients do (facts 3.4, Q2)."""

_TELLING = frozenset({"id", "username"})
"""Fields that say what a record is and whose, so that it can be found among what is held."""


class Upstream:
    """The steps of a call upstream, over the ports that they need."""

    def __init__(
        self,
        *,
        pages: Pages,
        shelf: Shelf,
        fields: ProvenFields,
        books: Books,
        pacer: Pacer,
        platform: Platform,
        scribe: Scribe,
        clock: Clock,
        bounds: Bounds,
    ) -> None:
        self._pages = pages
        self._shelf = shelf
        self._fields = fields
        self._books = books
        self._pacer = pacer
        self._platform = platform
        self._scribe = scribe
        self._clock = clock
        self._bounds = bounds
        self._searching_last_days: set[tuple[CredentialId, str]] = set()
        """Where a record has come that was made on the last day asked for: credentials with their endpoints."""

    def outlook(self, call: Call) -> TooManyWaiting | None:
        """Why the call had better not be reserved for: too many wait for their turn. None: it may."""
        return self._pacer.outlook(call.caller.credential)

    async def reserve(
        self, call: Call, hold: Hold
    ) -> Reservation | NoRoom | PlatformSpent | Superseded | UnderWay:
        """All limits of all scopes and the intent's entry, or neither."""
        caller, reserved = call.caller, reserved_for(call)
        owners = owners_of(caller)
        family = call.request.endpoint.family
        is_shared = is_reusable(call.request.endpoint, call.query) and not call.is_unheld
        intent = Intent(
            draft=self._intent_entry(call),
            lease_s=self._bounds.read_timeout_s(call.request.endpoint)
            + self._bounds.lease_margin_s
            + self._pacer.longest_wait_s,
            revision=caller.revision,
            owners=owners,
            family=family,
            flight=call.flight.hex() if is_shared else None,
            seen=call.seen,
        )
        wants = wants_of(family, requests=reserved.requests, records=reserved.records, **owners)
        wants += own_wants(call.limits, calls=1, delivered=asked_for(call))
        opened = await self._books.open_call(wants, intent)
        if isinstance(opened, Exhausted):
            return NoRoom(exhausted=opened, caller=caller, short=hold.standings)
        return opened

    async def dispatch(
        self, call: Call, reservation: Reservation
    ) -> Success | Failure | NotDispatched | OutcomeUnknown:
        """What one call to the platform came to, sent in its turn and within its lease; never raises."""
        endpoint, query = call.request.endpoint, call.sent
        credential = call.caller.credential
        # Not before the reservation: what a budget refuses must wait for no turn, and waste none.
        crowded = await self._pacer.turn(credential)
        if crowded is not None:
            return Paced(retry_after_s=crowded.retry_after_s)
        lease_s = reservation.ends_s - self._clock.monotonic_s()
        send_by_s = min(reservation.ends_s - self._bounds.read_timeout_s(endpoint), reservation.days_end_s)
        if self._clock.monotonic_s() >= send_by_s:
            return TooLate("the call waited too long for its turn")
        body = outgoing(endpoint, query, search_id=_upstream_id(call))
        sent_us = self._now_us()
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
        return replace(outcome, sent_us=sent_us) if isinstance(outcome, Success) else outcome

    async def record(
        self,
        call: Call,
        opened: Reservation,
        outcome: Success | Failure | NotDispatched | OutcomeUnknown,
        charge: Charge,
        topic: Topic | None,
    ) -> Landed:
        """The call's end: charge, outcome entry, the page to hold and its mark, in one transaction."""
        try:
            return await self._record(call, opened, outcome, charge, topic)
        except StoreUnavailable:
            # What would be kept beside it cannot be made now. The end itself must not wait for its lease.
            draft = self._outcome_entry(call, opened, outcome)
            says = PlatformSays.ROOM if isinstance(outcome, Success) else _platform_said(outcome)
            await self._books.close_call(opened, charge, draft, says=says)
            raise

    async def _record(
        self,
        call: Call,
        opened: Reservation,
        outcome: Success | Failure | NotDispatched | OutcomeUnknown,
        charge: Charge,
        topic: Topic | None,
    ) -> Landed:
        since, gone = self._pages.round, await self._gone(call, outcome)
        if not isinstance(outcome, Success):
            return await self._record_failure(call, opened, outcome, charge, topic, gone=gone)
        skipped = await self._seen_first(call, outcome)
        if skipped is None:
            return await self._record_unjoined(call, opened, outcome, charge, topic)
        kept = await self._kept(call, outcome, skipped=skipped)
        page, search = kept.answer, kept.search
        told: dict[str, Value] = (
            {"partial": True} if page is None else {"resp_sha256": page.sha256, "delivered": page.records}
        )
        draft = self._outcome_entry(call, opened, outcome, **told)
        mark = mark_of(
            topic,
            call.request.endpoint,
            call.sent,
            outcome,
            calls=charge.requests,
            next_id=None if search is None else search.id,
        )
        holdings = await self._sealed(call, success=outcome, pages=kept.to_hold)
        receipt = await self._books.close_call(
            opened,
            charge,
            draft,
            holdings=holdings,
            search=search,
            says=PlatformSays.ROOM,
            delivered=0 if page is None else page.records,
            mark=mark,
            gone=gone,
        )
        if holdings:
            for each in (*kept.to_hold, *kept.to_have_at_hand):
                self._pages.remember(each, since=since)
        await self._learn(call, good=frozenset(call.sent.fields))
        return Landed(
            outcome=Partial() if page is None else page,
            cost=charge,
            receipt=receipt,
            standings=opened.standings,
        )

    async def _record_failure(
        self,
        call: Call,
        opened: Reservation,
        outcome: Failure | NotDispatched | OutcomeUnknown,
        charge: Charge,
        topic: Topic | None,
        *,
        gone: Mapping[str, Sequence[bytes]],
    ) -> Landed:
        error = _in_clients_words(outcome, call.search)
        again = await self._instead(call, error)
        told: dict[str, Value] = {} if again is None or isinstance(error, TooLate) else {"partial": True}
        draft = self._outcome_entry(call, opened, outcome, **told)
        mark = mark_of(topic, call.request.endpoint, call.sent, None, calls=charge.requests)
        is_unjoined = isinstance(error, Failure) and _is_past_the_end(call, error)
        is_over = again is None and (is_unjoined or _is_of_search(call, error))
        over = await self._over(call) if is_over else None
        says, holdings = _platform_said(outcome), [] if over is None else [over]
        receipt = await self._books.close_call(
            opened, charge, draft, holdings=holdings, says=says, mark=mark, gone=gone
        )
        if again is not None and isinstance(error, Failure) and again.sent.fields != call.sent.fields:
            added = frozenset(call.sent.fields) - frozenset(again.sent.fields)
            named = added.intersection(re.findall(r"\w+", error.message))
            await self._learn(call, refused=named or added)
        return Landed(
            outcome=Unjoined() if is_unjoined else error,
            cost=charge,
            receipt=receipt,
            standings=opened.standings,
            again=again,
        )

    async def _record_unjoined(
        self, call: Call, opened: Reservation, outcome: Success, charge: Charge, topic: Topic | None
    ) -> Landed:
        draft = self._outcome_entry(call, opened, outcome, partial=True)
        mark = mark_of(topic, call.request.endpoint, call.sent, None, calls=charge.requests)
        again = None if call.overlap is None else _further_back(call)
        over = await self._over(call) if again is None else None
        receipt = await self._books.close_call(
            opened,
            charge,
            draft,
            holdings=[] if over is None else [over],
            says=PlatformSays.ROOM,
            mark=mark,
        )
        return Landed(
            outcome=Unjoined(), cost=charge, receipt=receipt, standings=opened.standings, again=again
        )

    async def _over(self, call: Call) -> Holding | None:
        """What keeps first pages of the question from joining a listing that cannot be continued."""
        if call.part is None or call.part.listing is None:
            return None
        sought = sought_by(call, self._clock.now())
        page = await self._shelf.ended(sought, call.part.listing, now_us=self._now_us())
        if page is None:
            return None
        self._pages.remember(page, since=self._pages.round)
        return await self._pages.seal(page)

    async def _gone(self, call: Call, outcome: object) -> Mapping[str, Sequence[bytes]]:
        """Tags, by scope, of what is held and the platform has no longer, as this outcome tells."""
        endpoint, sent = call.request.endpoint, call.sent
        if isinstance(outcome, Success) and has_last_day(endpoint, sent, outcome):
            self._searching_last_days.add((call.caller.credential, endpoint.name))
        now_s = self._now_us() // 1_000_000
        names = vanished(endpoint, sent, outcome, now_s=now_s, counts_last_day=False)
        with_last_day = vanished(endpoint, sent, outcome, now_s=now_s, counts_last_day=True)
        if with_last_day != names and await self._searches_last_days(call, with_last_day - names):
            names = with_last_day
        return await self._pages.gone(names) if names else {}

    async def _searches_last_days(self, call: Call, names: frozenset[str]) -> bool:
        """Whether the platform has been seen to search last days, by this process or on held pages about these names."""
        endpoint, scope = call.request.endpoint, call.caller.reuse_scope
        known = (call.caller.credential, endpoint.name)
        if known not in self._searching_last_days:
            async for page in self._pages.naming(names, scope, endpoint.name):
                part = part_in(page)
                if part is not None and part.has_last_day:
                    self._searching_last_days.add(known)
                    break
        return known in self._searching_last_days

    async def _sealed(self, call: Call, *, success: Success, pages: Sequence[HeldPage]) -> list[Holding]:
        names = names_in(call.request.endpoint, call.query.asked(), success.data) if pages else frozenset()
        sealed = [await self._pages.seal(each, names if each.records else ()) for each in pages]
        return [each for each in sealed if each is not None]

    async def prepare(self, call: Call, lacking: Lacking) -> Call:
        """The call that brings what is lacking: a full page, with the fields that have come before.

        Raises SearchOver where nobody could say what follows on the place of its client.
        """
        endpoint, scope = call.request.endpoint, call.caller.reuse_scope
        search = await self._search_with(call, lacking)
        # A page that the platform does not know is cut out of one that is fetched, though that be kept for nobody.
        is_alone = call.is_unheld and await self.is_understood(call)
        if is_alone or call.fetches >= _MOST_FETCHES or await self._pages.blinder(scope) is None:
            return await self.as_asked(call)
        if search is None and lacking.listing is not None and endpoint.has_search_id:
            lacking = replace(lacking, listing=None)
        # Colleagues may have had fields that this project may not, or may no longer.
        wide = frozenset(call.query.fields) | _approved(call, lacking.fields)
        if self._shelf.uses(Step.FIELDS, call.caller.reuse.without) and endpoint.fields:
            proven = await self._fields.of(call.caller.credential, endpoint.name)
            telling = _TELLING & endpoint.fields
            wide |= _approved(call, proven.good | telling) - proven.refused
        if search is not None and search.is_made:
            return await self._leaving(call, replace(lacking, fields=wide))
        call = replace(
            call,
            search=search,
            part=lacking,
            sent=sent_for(
                endpoint,
                call.query,
                replace(lacking, fields=wide),
                shift=0 if search is None else search.shift,
            ),
            flight=call.flight_of(part_key(call.query, scope, lacking.listing, lacking.start)),
            fetches=call.fetches + 1,
        )
        is_joined = search is not None and search.has_seam_at(lacking.start)
        if is_joined and await self._places(call, lacking) is None:
            raise call.search_over()
        if search is None or not self._is_over(call, search):
            return call
        anew = await self._begun_anew(call)
        if anew is None:
            raise call.search_over()
        return anew

    async def as_asked(self, call: Call) -> Call:
        """The call as its client made it; raises SearchOver and InvalidParams where the platform would read it otherwise."""
        if call.is_understood and not await self.is_understood(call):
            if not call.request.endpoint.has_search_id:
                raise InvalidParams("Invalid count or cursor", rule="request")
            raise call.search_over()
        return call.as_asked()

    async def is_understood(self, call: Call) -> bool:
        """Whether the platform knows the search, and counts its client's place as Bursar does."""
        return call.is_understood and not await self._shelf.is_behind_gaps(sought_by(call, self._clock.now()))

    async def _search_with(self, call: Call, lacking: Lacking) -> SearchState | None:
        """The search that has the part; None where one has to begin. Raises SearchOver where its client is past that."""
        named, search = call.named, call.named
        if lacking.listing is not None and call.request.endpoint.has_search_id:
            is_own = named is not None and named.id == lacking.listing
            search = named if is_own else await self._pages.search(lacking.listing, call.caller.reuse_scope)
        if named is None:
            is_good = search is not None and search.reaches(lacking.start) and not self._is_over(call, search)
            return search if is_good else None
        if search is None or not (search.is_made or search.reaches(lacking.start)):
            raise call.search_over()
        return search

    def _is_over(self, call: Call, search: SearchState) -> bool:
        """Whether the platform knows the search no longer, or never did under the credential that the project has now."""
        return search.credential != call.caller.credential or search.is_over(self._now_us())

    async def _leaving(self, call: Call, lacking: Lacking) -> Call:
        """The call that begins a search for somebody whose listing was made of held ones and does not go on.

        It is joined to what they had as one that takes the place of another, and counts in full pages from
        behind their place: what is left of the made listing is nothing to it.
        """
        place, listing = call.query.page.cursor, lacking.listing or ""
        # Without keeping anything one would not know at the next page either where the two were joined.
        if call.is_unheld or (place and await self._seen_before(call, listing, place) is None):
            raise call.search_over()
        size = full_size(call.request.endpoint) or 1
        part = replace(lacking, start=-(-place // size) * size)
        sent = sent_for(call.request.endpoint, call.query, part)
        flight = call.flight_of(onward_key(call.query, call.caller.reuse_scope, listing, place))
        call = replace(call, part=part, sent=sent, flight=flight, fetches=call.fetches + 1)
        return _overlapping(call, _OVERLAPS[0])

    async def wait(self, call: Call) -> None:
        """Give the platform time to know a search that it has just begun."""
        if call.waits:
            await asyncio.sleep(self._bounds.warm_up_waits_s[call.waits - 1])

    async def _instead(self, call: Call, error: Failure | NotDispatched | OutcomeUnknown) -> Call | None:
        """What to send where a call was too late, or refused for what its client never asked for; None elsewhere."""
        if isinstance(error, TooLate):
            return None if call.is_second else replace(call, is_second=True, waits=0)
        if not isinstance(error, Failure) or call.part is None:
            return None
        if call.overlap is not None:
            return _further_back(call) if _is_past_the_end(call, error) else None
        if call.search is not None and _is_of_search(call, error):
            # The search was begun for somebody else, or long ago, or only now.
            return self._once_warm(call, call.search) or await self._begun_anew(call)
        added = frozenset(call.sent.fields) - frozenset(call.query.fields)
        if added and not call.is_second and _may_be_of_fields(error, added):
            return replace(call, sent=replace(call.sent, fields=call.query.fields), is_second=True, waits=0)
        return None

    def _once_warm(self, call: Call, search: SearchState) -> Call | None:
        """The same call after a wait, where its search is so new that the platform may not know it yet."""
        is_new = self._now_us() - search.began_us < _WARM_UP_S * 1_000_000
        may_wait = call.waits < len(self._bounds.warm_up_waits_s)
        return replace(call, waits=call.waits + 1) if is_new and may_wait else None

    async def _begun_anew(self, call: Call) -> Call | None:
        """The call under a new search; None where nobody could say that it goes on where the old one stood."""
        part, size = call.part, call.sent.page.size
        if part is None or size is None or call.query.page.cursor > part.start:
            # Somebody who is within the part has had what the old search had of it.
            return None
        if part.start == 0:
            return None if call.query.page.search_id is not None else _overlapping(call, 0)
        if part.listing is None or not await self._may_go_on(call, part.listing, part.start):
            return None
        return _overlapping(call, _OVERLAPS[0])

    async def _may_go_on(self, call: Call, listing: str, start: int) -> bool:
        """Whether the part may come from another search: not where the one behind is held, in the places of the old one."""
        sought = sought_by(call, self._clock.now())
        is_behind = await self._shelf.is_held(sought, listing, start + (call.sent.page.size or 1))
        return not is_behind and await self._seen_before(call, listing, start) is not None

    async def _places(self, call: Call, part: Lacking) -> Places | None:
        return await self._shelf.places(sought_by(call, self._clock.now()), part.listing or "", part.start)

    async def _seen_before(self, call: Call, listing: str, place: int) -> frozenset[str] | None:
        return await self._shelf.seen_before(sought_by(call, self._clock.now()), listing, place)

    async def _seen_first(self, call: Call, success: Success) -> int | None:
        """How many records of the page the listing has already; None where it does not follow what came before."""
        part, endpoint = call.part, call.request.endpoint
        if part is None or part.listing is None or part.start == 0:
            return 0
        items = success.data.get(endpoint.list_key or "")
        if call.overlap is None:
            if call.search is None or not call.search.has_seam_at(part.start):
                return 0
            old = await self._places(call, part)
            return None if old is None or not isinstance(items, list) else before_first(endpoint, items, old)
        place = call.query.page.cursor if call.leaves else part.start
        if not call.leaves and not await self._may_go_on(call, part.listing, place):
            return None
        seen = await self._seen_before(call, part.listing, place)
        if seen is None or not isinstance(items, list):
            return None
        skipped = seen_first(endpoint, items, seen)
        return None if skipped == 0 and call.sent.page.cursor > 0 else skipped

    async def _learn(
        self, call: Call, *, good: frozenset[str] = frozenset(), refused: frozenset[str] = frozenset()
    ) -> None:
        """What the call told of fields; that it cannot be written down now must not cost anybody an answer."""
        if call.request.endpoint.fields:
            with contextlib.suppress(StoreUnavailable):
                await self._fields.learn(
                    call.caller.credential, call.request.endpoint.name, good=good, refused=refused
                )

    async def topic(self, call: Call) -> Topic | None:
        """The question as tallies know it; None for one whose answers are not kept."""
        endpoint, query, scope = call.request.endpoint, call.query, call.caller.reuse_scope
        is_counted = is_reusable(endpoint, query) and not call.steering.is_unheld
        blind = await self._pages.blinder(scope) if is_counted else None
        return None if blind is None else topic_of(endpoint, query, scope, blind=blind)

    async def _kept(self, call: Call, success: Success, *, skipped: int) -> "_Kept":
        """What of a successful call is given to its client, held, and known of its search."""
        search = self._search(call, success)
        if call.part is not None:
            return await self._kept_part(call, call.part, success, search, skipped=skipped)
        page = page_of(
            success,
            key=call.key,
            scope=call.caller.reuse_scope,
            endpoint=call.query.endpoint,
            search_id=None if search is None else search.id,
            fetched_us=success.sent_us,
            expires_us=self._expires_us(call, success),
        )
        if not is_reusable(call.request.endpoint, call.query):
            task = task_behind(
                success,
                query=call.query,
                scope=call.caller.reuse_scope,
                credential=call.caller.credential,
                now_us=self._now_us(),
            )
            return _Kept(answer=page, search=search or task)
        if call.is_unheld:
            return _Kept(answer=page, search=search)
        return _Kept(answer=page, to_hold=(page,), search=search)

    async def _kept_part(
        self, call: Call, lacking: Lacking, success: Success, search: SearchState | None, *, skipped: int
    ) -> "_Kept":
        endpoint, scope = call.request.endpoint, call.caller.reuse_scope
        begins = lacking.listing is None or (call.overlap is not None and lacking.start == 0)
        if begins and search is not None and call.search is not None:
            search = replace(search, id=new_search_id())
        sought = sought_by(call, self._clock.now())
        listing, start = search.id if search is not None else lacking.listing or new_entry_id(), lacking.start
        if call.leaves and search is None:
            listing = new_search_id()
        if call.named is not None and call.named.is_made and listing != call.named.id:
            sought = sought.at(start)
        if begins and endpoint.cursor is CursorKind.TIME:
            start = moment_after(self._now_us(), success.cursor)
            listing = str(start)
        part = part_of(
            success,
            endpoint=endpoint,
            sent=call.sent,
            listing=listing,
            start=start,
            fetched_us=success.sent_us,
            expires_us=self._expires_us(call, success),
            skipped=skipped,
        )
        if listing == lacking.listing or endpoint.cursor is CursorKind.TIME:
            # Nothing is held yet of a listing that has a new id; one by time may have been begun this very second.
            part = await self._shelf.in_its_places(sought, part)
        answer = await self._shelf.complete(sought, part, is_alone=call.is_unheld)
        if call.is_unheld:
            return _Kept(answer=answer, search=search)
        key = part_key(call.query, scope, listing, part.start)
        held = as_page(part, key=key, scope=scope, endpoint=endpoint)
        whole = await self._shelf.whole_with(sought, part)
        head = head_page(listing, call.query, scope, fetched_us=part.fetched_us, expires_us=part.expires_us)
        places = places_page(part, endpoint, call.query, scope)
        to_hold = (
            held,
            *((head,) if begins else ()),
            *((whole,) if whole else ()),
            *((places,) if places else ()),
            *((onward_page(part, call.query, scope, lacking.listing or ""),) if call.leaves else ()),
        )
        at_hand = () if answer is None else (answer,)
        return _Kept(answer=answer, to_hold=to_hold, to_have_at_hand=at_hand, search=search)

    def _search(self, call: Call, success: Success) -> SearchState | None:
        """What the client's search id stands for from now on."""
        expires_us = self._now_us() + self._bounds.search_ttl_s * 1_000_000
        search = search_behind(
            success,
            known=None if call.leaves else call.search,
            endpoint=call.request.endpoint,
            query=call.query,
            scope=call.caller.reuse_scope,
            credential=call.caller.credential,
            now_us=self._now_us(),
            expires_us=expires_us,
        )
        if search is not None and call.overlap is not None and call.part is not None:
            search = replace(search, seam=call.part.start, shift=call.part.start - call.sent.page.cursor)
        if search is not None or call.part is None or not call.request.endpoint.has_search_id:
            return search
        if not success.records and not success.has_more:
            return None
        # Pages are cut out of this one, so a client may need an id where the platform saw no need for one.
        return SearchState(
            id=new_search_id(),
            scope=call.caller.reuse_scope,
            credential=call.caller.credential,
            question_digest=call.query.question_digest,
            upstream_id="",
            began_us=self._now_us(),
            expires_us=expires_us,
        )

    def _expires_us(self, call: Call, success: Success) -> int:
        """Until when the terms in force allow that an answer is kept; how long it is fresh is told when it is served."""
        stated = call.caller.policy.amounts.get(REFRESH_INTERVAL_DAYS.name, ())
        days = REFRESH_INTERVAL_DAYS.at(self._clock.now().date(), stated)
        return success.sent_us + days * 86_400 * 1_000_000

    def _intent_entry(self, call: Call) -> Draft:
        draft = self._scribe.intent(
            call.request.origin, call.caller, call.query, call.permit.decision(), keys=call.seal
        )
        return replace(draft, fields={**draft.fields, **_sent(call), **steered(call.steering)})

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
            **_sent(call),
            **steered(call.steering),
            **more,
        )

    def _now_us(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What comes of a success: the answer, unless it lacks more, and what is held beside the outcome's entry."""

    answer: HeldPage | None
    to_hold: tuple[HeldPage, ...] = ()
    to_have_at_hand: tuple[HeldPage, ...] = ()
    search: SearchState | None = None


def _upstream_id(call: Call) -> str | None:
    """The platform's id of the search that is continued; None where one begins."""
    return None if call.search is None or call.overlap is not None else call.search.upstream_id or None


def _approved(call: Call, fields: frozenset[str]) -> frozenset[str]:
    """Those of the fields that the caller's project may have."""
    allowed = call.caller.approval.fields.get(call.request.endpoint.name)
    return fields if allowed is None else fields & allowed


def _sent(call: Call) -> dict[str, Value]:
    """What the log says of a call to the platform that asks for more than its client did."""
    if call.sent == call.query:
        return {}
    page = call.sent.page
    return {"sent": {"fields": list(call.sent.fields), "page": {"cursor": page.cursor, "size": page.size}}}


def _overlapping(call: Call, overlap: int) -> Call:
    """The call under a search that begins anew, from so many records before its part on."""
    start = 0 if call.part is None else call.part.start
    shift = 0 if call.search is None else call.search.shift
    place = call.query.page.cursor if call.leaves else start - shift
    page = replace(call.sent.page, cursor=max(0, place - overlap))
    return replace(call, sent=replace(call.sent, page=page), overlap=overlap, waits=0)


def _further_back(call: Call) -> Call | None:
    """The call with more of an overlap, since that much has vanished; None where it is not worth another try."""
    wider = [each for each in _OVERLAPS if each > (call.overlap or 0)]
    return _overlapping(call, wider[0]) if wider and call.sent.page.cursor > 0 else None


def _is_past_the_end(call: Call, refused: Failure) -> bool:
    """Whether a search that was begun anew has nothing at the place that it was asked for."""
    return bool(call.overlap) and refused.kind is FailureKind.INVALID


def _is_of_search(call: Call, error: Failure | NotDispatched | OutcomeUnknown) -> bool:
    """Whether a part could not be had since the platform does not know its search."""
    return isinstance(error, Failure) and call.search is not None and _names_search(error, call.search)


def _names_search(refused: Failure, search: SearchState) -> bool:
    """Whether it is the search id, in the client's words by now, that the platform does not take."""
    return refused.kind is FailureKind.INVALID and search.id in refused.message


def _may_be_of_fields(refused: Failure, added: frozenset[str]) -> bool:
    """Whether the refusal can be of fields that the client did not ask for."""
    if refused.kind is FailureKind.SCOPE:
        return True
    words = re.findall(r"\w+", refused.message.lower())
    return refused.kind is FailureKind.INVALID and bool(added.union({"field", "fields"}).intersection(words))


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
    if search is None or not search.upstream_id or not isinstance(error, Failure):
        return error
    return replace(error, message=error.message.replace(search.upstream_id, search.id))
