"""What is held of a question, found: an answer, or which part of its listing is missing."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import cast

from app import exact_json
from app.cache.containment import family_key, look_up_of, narrowed, narrowing
from app.cache.lifetimes import Lifetimes
from app.cache.listings import (
    Part,
    Places,
    as_page,
    as_part,
    as_places,
    contained_parts,
    cut,
    ends_within,
    full_size,
    has_place,
    head_page,
    id_of,
    in_places_of,
    is_listed,
    listing_key,
    onward_key,
    part_in,
    part_key,
    places_in,
    places_key,
    places_page,
    split,
    with_gaps_of,
)
from app.cache.pages import HeldPage, Pages, SearchState, is_reusable
from app.ids import new_search_id
from app.provider.endpoint import CursorKind, Endpoint
from app.provider.naming import names_in, record
from app.query import ResearchQuery, digest

_MOST_PARTS = 50
"""Parts of a search, that it may answer narrower ones: its records are all looked at."""
_MOST_WHOLES = 100
"""Searches of one family that are remembered as held in full; to look through all takes 0.9 ms, through 30 0.3 (measured)."""
_MOST_LOOKED_UP = 100
"""Ids in a look-up that held records may answer: a page of the platform's."""
_MOST_COMPARED = 50
"""Parts before a restarted search's next one that are looked through for records that come again."""


class Step(StrEnum):
    """A step of reuse that can be left out."""

    PAGES = "full-pages"
    """Fetch full pages and cut what is asked for out of them."""
    FIELDS = "wide-fields"
    """Fetch the approved fields that have come before, too."""
    CONTAINMENT = "containment"
    """Answer a search out of a wider one that is held in full."""
    RECORDS = "records"
    """Answer a look-up of videos by their ids out of the records of any search."""


class Detail(StrEnum):
    """How a held answer was come by."""

    EXACT = "exact"
    """The very call was answered before."""
    FIELDS = "fields"
    """Fewer fields of a page that is held whole."""
    SLICE = "slice"
    """A part of a page that is held, or parts of several."""
    CONTAINED = "contained"
    """Out of a wider search that is held in full."""
    RECORDS = "records"
    """Out of the records of any search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A call whose answer is looked for. `may_use` says which pages may be served to this caller now."""

    endpoint: Endpoint
    query: ResearchQuery
    scope: str
    key: bytes
    search: SearchState | None
    may_use: Callable[[HeldPage], bool]
    is_kept: Callable[[HeldPage], bool]
    """Whether a page may still be looked at, however old its records are for this caller."""
    without: frozenset[str] = frozenset()
    """Steps that its project leaves out."""

    def within(self, part: Part) -> "Sought":
        """The same, no further than the part goes."""
        page = self.query.page
        if part.size is None or self.endpoint.cursor is CursorKind.TIME:
            return self
        size = min(page.size or part.size, part.start + part.size - page.cursor)
        return replace(self, query=replace(self.query, page=replace(page, size=size)))

    def at(self, place: int) -> "Sought":
        """The same from another place on."""
        page = replace(self.query.page, cursor=place)
        return replace(self, query=replace(self.query, page=page))


@dataclass(frozen=True, slots=True)
class Ready:
    """The answer."""

    page: HeldPage
    detail: Detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What has to be fetched: a part of that listing, or the first one of a new listing (None).

    `fields` are those that the part has to have.
    """

    listing: str | None
    start: int
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Apart:
    """Nothing is held, and the call has to go to the platform as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """A search that was held in full."""

    listing: str
    question: str
    parts: int
    fetched_us: int
    """When the oldest of its parts was fetched."""


@dataclass(frozen=True, slots=True)
class _Made:
    """An answer made of records that lie in `parts`, under these keys, and have at least these fields."""

    records: Sequence[Mapping[str, object]]
    parts: Sequence[Part]
    fields: frozenset[str]
    keys: Collection[bytes]
    is_of_records: bool = False


_NAMES = {each.name for each in dataclasses.fields(_Whole)}


class Shelf:
    """Answers out of what `pages` hold, by every step but those in `without`. Raises StoreUnavailable."""

    def __init__(self, pages: Pages, *, without: frozenset[Step] = frozenset()) -> None:
        self._pages = pages
        self._without = without

    async def find(self, sought: Sought, *, is_look: bool = False) -> Ready | Lacking | Apart:
        """The answer, or what it lacks; with `is_look`, nothing is kept at hand for having been looked at."""
        if not is_reusable(sought.endpoint, sought.query):
            return Apart()
        found: Ready | Lacking | Apart = Apart()
        if self._takes(sought):
            found = await self._in_listing(sought, is_look=is_look)
        if isinstance(found, Ready):
            return found
        page = await self._page(sought.key, sought, is_look=is_look)
        return found if page is None else Ready(page, Detail.EXACT)

    async def _in_listing(self, sought: Sought, *, is_look: bool) -> Ready | Lacking | Apart:
        since = self._pages.round
        listing = await self._listing(sought, is_look=is_look)
        if listing is None:
            start, _ = split(sought.endpoint, sought.query.page.cursor)
            return Lacking(listing=None, start=start, fields=frozenset(sought.query.fields))
        page = self._pages.at_hand(cut_key(sought, listing), sought.scope)
        if page is not None and sought.may_use(page):
            return Ready(page, Detail.EXACT)
        found = await self._gather(sought, listing, None, is_look=is_look)
        if isinstance(found, Lacking) and sought.search is not None and sought.search.is_made:
            onward = await self._onward(sought, sought.search, is_look=is_look)
            if onward is not None:
                sought, listing = onward
                found = await self._gather(sought, listing, None, is_look=is_look)
        if not isinstance(found, list):
            return found
        page = made_of(sought, found)
        if not is_look:
            self._pages.remember(page, since=since)
        return Ready(page, _detail(sought, found))

    async def complete(self, sought: Sought, part: Part, *, is_alone: bool = False) -> HeldPage | None:
        """The answer once this part has come; None where it lacks more, if it may: `is_alone` has it end with the part."""
        if is_alone:
            sought = sought.within(part)
        found = await self._gather(sought, part.listing, part)
        return made_of(sought, found) if isinstance(found, list) else None

    async def _onward(
        self, sought: Sought, search: SearchState, *, is_look: bool
    ) -> tuple[Sought, str] | None:
        """Where somebody goes on whose listing was made of held ones, once a search has begun for them."""
        key = onward_key(sought.query, sought.scope, search.id, sought.query.page.cursor)
        page = await self._page(key, sought, is_look=is_look)
        if page is None:
            return None
        told = cast("dict[str, object]", exact_json.loads(page.data))
        return sought.at(cast("int", told["start"])), cast("str", told["listing"])

    def uses(self, step: Step, without: Collection[str]) -> bool:
        """Whether the step is taken for a project that leaves those out."""
        return step not in self._without and step not in without

    def _takes(self, sought: Sought) -> bool:
        """Whether the call is answered out of a listing."""
        return self.uses(Step.PAGES, sought.without) and is_listed(sought.endpoint, sought.query)

    async def contain(self, sought: Sought, *, credential: str, lifetimes: Lifetimes, now_us: int) -> bool:
        """Whether records of other searches that are held, and fresh, are the answer; then it is found from now on."""
        is_first = sought.search is None and sought.query.page.cursor == 0
        if not is_first or not self._takes(sought):
            return False
        if self.uses(Step.CONTAINMENT, sought.without):
            narrower = await self._out_of_a_wider(sought, lifetimes, now_us)
            if narrower is not None and await self._keep(sought, narrower, credential=credential):
                return True
        if self.uses(Step.RECORDS, sought.without):
            looked_up = await self._out_of_records(sought)
            return looked_up is not None and await self._keep(sought, looked_up, credential=credential)
        return False

    async def _out_of_a_wider(self, sought: Sought, lifetimes: Lifetimes, now_us: int) -> "_Made | None":
        """The answer out of a wider search that is held in full."""
        key = family_key(sought.query, sought.scope)
        if key is None:
            return None
        for whole in _wholes(await self._page(key, sought, is_look=False)):
            # The very question is answered by its own listing: whoever has not found that comes while it lands.
            is_same = whole.question == sought.query.question
            by = None if is_same else narrowing(whole.question, sought.query.question)
            if by is None or now_us >= lifetimes(whole.question).until_us(whole.fetched_us):
                continue
            parts = await self._parts_of(sought, whole)
            fields = _fields_of(parts)
            if not parts or not by.fields.union(sought.query.fields) <= fields:
                continue
            items = [item for part in parts for item in part.items(sought.endpoint) if isinstance(item, dict)]
            records = narrowed(items, by)
            if records is not None:
                wider = replace(sought.query, question=whole.question)
                keys = {part_key(wider, sought.scope, whole.listing, part.start) for part in parts}
                return _Made(records, parts, fields, keys)
        return None

    async def _out_of_records(self, sought: Sought) -> "_Made | None":
        """The answer to a look-up by ids, where every one of them is held: what is not held may exist all the same."""
        asked = look_up_of(sought.query)
        if asked is None or len(asked.ids) > _MOST_LOOKED_UP:
            return None
        needed = asked.fields.union(sought.query.fields)
        found: dict[str, Mapping[str, object]] = {}
        used: list[tuple[bytes, Part]] = []
        counts_last_day = False
        names = {record(each) for each in asked.ids}
        async for page in self._pages.naming(names, sought.scope, sought.endpoint.name):
            part = part_in(page) if sought.may_use(page) else None
            if part is None or not needed <= part.fields:
                continue
            items = {str(id_of(each)): each for each in part.items(sought.endpoint) if isinstance(each, dict)}
            new = (items.keys() & asked.ids) - found.keys()
            if new:
                found |= {each: items[each] for each in new}
                used.append((page.key, part))
                counts_last_day |= part.has_last_day
            if len(found) == len(asked.ids):
                break
        meets = {each: asked.meets(item, counts_last_day=counts_last_day) for each, item in found.items()}
        if len(found) < len(asked.ids) or None in meets.values():
            return None
        newest_first = sorted((each for each in found if meets[each]), key=int, reverse=True)
        parts = [part for _, part in used]
        return _Made(
            [found[each] for each in newest_first],
            parts,
            _fields_of(parts),
            {key for key, _ in used},
            is_of_records=True,
        )

    async def _keep(self, sought: Sought, made: "_Made", *, credential: str) -> bool:
        """Hold a listing of these records as the question's own, as old as the oldest part that they come from."""
        listing = new_search_id()
        parts = contained_parts(
            sought.endpoint,
            made.records,
            made.parts,
            listing=listing,
            fields=made.fields,
            is_of_records=made.is_of_records,
        )
        query, scope = sought.query, sought.scope
        asked, first = query.asked(), parts[0]
        head = head_page(listing, query, scope, fetched_us=first.fetched_us, expires_us=first.expires_us)
        pages = [
            (
                as_page(
                    part,
                    key=part_key(query, scope, listing, part.start),
                    scope=scope,
                    endpoint=sought.endpoint,
                ),
                names_in(sought.endpoint, asked, part.data),
            )
            for part in parts
        ]
        places = [places_page(part, sought.endpoint, query, scope) for part in parts]
        pages += [(page, frozenset()) for page in places if page is not None]
        search = SearchState(
            id=listing,
            scope=scope,
            credential=credential,
            question_digest=query.question_digest,
            upstream_id="",
            began_us=first.fetched_us,
            expires_us=first.expires_us,
        )
        return await self._pages.keep([*pages, (head, ())], search, made_of=made.keys)

    async def whole_with(self, sought: Sought, last: Part) -> HeldPage | None:
        """The page that names the listing as held in full, now that its last part has come; None where it is not."""
        key = family_key(sought.query, sought.scope)
        size = last.size or 1
        if key is None or last.has_more or last.start > _MOST_PARTS * size:
            return None
        whole = _Whole(
            listing=last.listing,
            question=sought.query.question,
            parts=last.start // size + 1,
            fetched_us=last.fetched_us,
        )
        before = [
            await self._pages.look(part_key(sought.query, sought.scope, last.listing, place), sought.scope)
            for place in range(0, last.start, size)
        ]
        if any(page is None or not as_part(page).is_regular for page in before):
            return None
        oldest_us = min([last.fetched_us, *(page.fetched_us for page in before if page is not None)])
        whole = replace(whole, fetched_us=oldest_us)
        # As it is held, whatever age this caller wants: others may use what this one may not.
        known = _wholes(await self._pages.reload(key, sought.scope))
        others = [each for each in known if each.question != whole.question]
        told = [asdict(each) for each in [whole, *others][:_MOST_WHOLES]]
        return HeldPage(
            key=key,
            scope=sought.scope,
            endpoint=sought.endpoint.name,
            data=exact_json.dumps({"wholes": told}),
            records=0,
            fetched_us=last.fetched_us,
            expires_us=last.expires_us,
        )

    async def _parts_of(self, sought: Sought, whole: "_Whole") -> list[Part]:
        """All parts of a listing that was held in full; none where it is no longer, or may not be served."""
        size, parts = full_size(sought.endpoint) or 1, list[Part]()
        for place in range(0, whole.parts * size, size):
            wider = replace(sought.query, question=whole.question)
            page = await self._page(
                part_key(wider, sought.scope, whole.listing, place), sought, is_look=False
            )
            if page is None:
                return []
            parts.append(as_part(page))
        return parts if parts and not parts[-1].has_more else []

    async def seen_before(self, sought: Sought, listing: str, place: int) -> frozenset[str] | None:
        """Marks of the records that the listing has before that place, as far as its places are known.

        None where nothing is known of those just before.
        """
        size = full_size(sought.endpoint) or 1
        found: set[str] = set()
        last = (place - 1) // size * size
        for start in range(last, max(-1, last - _MOST_COMPARED * size), -size):
            places = await self.places(sought, listing, start)
            if places is None:
                break
            found.update(mark for mark in places.marks[: place - start] if mark is not None)
        return frozenset(found) if found else None

    async def is_held(self, sought: Sought, listing: str, start: int) -> bool:
        """Whether that part of the listing is held, however old it is."""
        return await self._look(sought, listing, start) is not None

    async def ended(self, sought: Sought, listing: str, *, now_us: int) -> HeldPage | None:
        """What makes a listing that cannot be continued no longer the current one of its question; None if it is not."""
        if await self._current(sought, is_look=True) != listing:
            return None
        return head_page(listing, sought.query, sought.scope, fetched_us=now_us, expires_us=now_us)

    async def in_its_places(self, sought: Sought, part: Part) -> Part:
        """A part that was fetched anew, as those can go on in it who have cursors into the one that was held."""
        old = None if part.size is None else await self.places(sought, part.listing, part.start)
        if old is None:
            return part
        anew = in_places_of if _goes_by_time(sought) else with_gaps_of
        return anew(old, part, sought.endpoint)

    async def places(self, sought: Sought, listing: str, place: int) -> Places | None:
        """The places of the part that began there, though it may be held no longer; None where nothing is known of them."""
        part = await self._look(sought, listing, place)
        if part is not None:
            return places_in(sought.endpoint, part)
        page = await self._pages.look(places_key(sought.query, sought.scope, listing, place), sought.scope)
        return None if page is None else as_places(page)

    async def is_behind_gaps(self, sought: Sought) -> bool:
        """Whether the place asked for lies in a part that came short, so that the platform counts it otherwise."""
        start, offset = split(sought.endpoint, sought.query.page.cursor)
        size = full_size(sought.endpoint)
        if (
            size is None
            or not offset
            or _goes_by_time(sought)
            or not is_listed(sought.endpoint, sought.query)
        ):
            return False
        listing = await self._listing(sought, is_look=True)
        places = None if listing is None else await self.places(sought, listing, start)
        return places is not None and offset < len(places.marks) < size

    async def _look(self, sought: Sought, listing: str, place: int) -> Part | None:
        """That part of the listing, however old it is."""
        page = await self._pages.look(part_key(sought.query, sought.scope, listing, place), sought.scope)
        return None if page is None else as_part(page)

    async def _listing(self, sought: Sought, *, is_look: bool) -> str | None:
        start, _ = split(sought.endpoint, sought.query.page.cursor)
        if _goes_by_time(sought) and start:
            return str(start)
        return sought.search.id if sought.search is not None else await self._current(sought, is_look=is_look)

    async def _current(self, sought: Sought, *, is_look: bool) -> str | None:
        """The listing that first pages of the question are part of, and others whose clients name no search."""
        key = listing_key(sought.query, sought.scope)
        if sought.query.page.cursor == 0:
            head = await self._page(key, sought, is_look=is_look)
        else:
            # Who is in the midst of a listing stays in it, however old its beginning is.
            head = await (self._pages.look if is_look else self._pages.find)(key, sought.scope)
        if head is None or not sought.is_kept(head):
            return None
        told = exact_json.loads(head.data)
        listing = told.get("listing") if isinstance(told, dict) else None
        return listing if isinstance(listing, str) else None

    async def _gather(
        self, sought: Sought, listing: str, new: Part | None, *, is_look: bool = False
    ) -> list[Part] | Lacking | Apart:
        """The parts that the asked page lies in."""
        start, offset = split(sought.endpoint, sought.query.page.cursor)
        asked = frozenset(sought.query.fields)
        begins = sought.search is None and sought.query.page.cursor == 0
        if _goes_by_time(sought):
            start = int(listing)
        parts: list[Part] = []
        while True:
            part = new if new is not None and new.start == start else None
            if part is None:
                part = await self._part(sought, listing, start, asked, is_look=is_look)
            is_short = part is None or not asked <= part.fields
            if is_short and offset and not parts and await self.places(sought, listing, start) is None:
                # Only the platform knows what is at a place within a part that was never held, or is forgotten.
                return Apart()
            if part is None and begins and not parts:
                return Lacking(listing=None, start=0, fields=asked)
            if part is None:
                return Lacking(listing=listing, start=start, fields=asked)
            if not asked <= part.fields:
                return Lacking(listing=listing, start=start, fields=asked | part.fields)
            if not parts and not has_place(part, sought.endpoint, sought.query):
                return Apart()
            parts.append(part)
            if ends_within(part, sought.endpoint, sought.query):
                return parts
            start += part.size or 1

    async def _part(
        self, sought: Sought, listing: str, start: int, fields: frozenset[str], *, is_look: bool
    ) -> Part | None:
        key = part_key(sought.query, sought.scope, listing, start)
        page = await self._page(key, sought, is_look=is_look)
        part = None if page is None else as_part(page)
        if part is None or fields <= part.fields or is_look:
            return part
        # Another process may have fetched it with more of them.
        page = await self._pages.reload(key, sought.scope)
        return as_part(page) if page is not None and sought.may_use(page) else part

    async def _page(self, key: bytes, sought: Sought, *, is_look: bool) -> HeldPage | None:
        found = self._pages.look if is_look else self._pages.find
        page = await found(key, sought.scope)
        if page is not None and not sought.may_use(page) and not is_look:
            # Another process may have fetched it anew.
            page = await self._pages.reload(key, sought.scope)
        return page if page is not None and sought.may_use(page) else None


def _fields_of(parts: Sequence[Part]) -> frozenset[str]:
    """Fields that all of the parts have."""
    return parts[0].fields.intersection(*(part.fields for part in parts)) if parts else frozenset()


def _goes_by_time(sought: Sought) -> bool:
    return sought.endpoint.cursor is CursorKind.TIME


def _wholes(page: HeldPage | None) -> list[_Whole]:
    """The searches that a family's page names, the newest first."""
    told = {} if page is None else exact_json.loads(page.data)
    found = told.get("wholes") if isinstance(told, dict) else None
    return [_Whole(**each) for each in found if each.keys() == _NAMES] if isinstance(found, list) else []


def cut_key(sought: Sought, listing: str) -> bytes:
    """The key of the answer to a call out of one listing: pages of two listings must not be mixed."""
    return digest("cut", sought.key.hex(), listing)


def made_of(sought: Sought, parts: list[Part]) -> HeldPage:
    """The answer to the call out of its parts; as old as the oldest of them."""
    found = cut(sought.endpoint, sought.query, parts)
    return HeldPage(
        key=cut_key(sought, parts[0].listing),
        scope=sought.scope,
        endpoint=sought.endpoint.name,
        data=found.data,
        records=found.records,
        fetched_us=min(part.fetched_us for part in parts),
        expires_us=min(part.expires_us for part in parts),
    )


def sent_for(endpoint: Endpoint, query: ResearchQuery, lacking: Lacking, *, shift: int = 0) -> ResearchQuery:
    """The call to the platform that brings the part, whose places it may count `shift` lower."""
    size = full_size(endpoint)
    place = max(0, lacking.start - shift)
    page = query.page if size is None else replace(query.page, cursor=place, size=size)
    return replace(query, fields=tuple(sorted(lacking.fields)), page=page)


def _detail(sought: Sought, parts: list[Part]) -> Detail:
    page = sought.query.page
    if parts[0].is_contained:
        return Detail.RECORDS if parts[0].is_of_records else Detail.CONTAINED
    begins = page.cursor - parts[0].start
    if _goes_by_time(sought):
        begins = split(sought.endpoint, page.cursor)[1]
    if len(parts) > 1 or begins or parts[0].size != page.size:
        return Detail.SLICE
    return Detail.FIELDS if parts[0].fields != frozenset(sought.query.fields) else Detail.EXACT
