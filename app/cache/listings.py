"""What is held of one question, in the platform's own places, and a client's page cut from it: pure.

A *listing* is what one search, or one question of an endpoint without searches, has brought so far. It is
made of *parts*: full pages that begin at multiples of the page size. The platform's cursor advances by the
page size however many records came back (facts 3.4, Q10), so a record's place is that of its part plus its
index, and places behind a short page are known to be empty. A page of any size and of fewer fields is a cut.

A list by time has moments for places. Its parts begin where the platform's cursors say, the first one at the moment
after it was fetched, and between two of these a client has cursors of Bursar's own.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import cast

from app import exact_json
from app.cache.pages import HeldPage, is_reusable
from app.provider.answers import Success
from app.provider.endpoint import BASIC_SCOPE, AnswerForm, CursorKind, Endpoint
from app.provider.spans import Span, span_in
from app.query import ResearchQuery, digest

_OFFSETS = 128
"""More than the records of a page."""
_SECONDS, _MILLISECONDS = (1_000_000_000, 2**32), (1_000_000_000_000, 2**43)
"""Moments since 2001 as the platform spells them: up to 2106, and up to 2248."""
_MARK_BYTES = 6
"""Of the digest by which a record is known again: two of a hundred meet in one once in 10^10 parts."""
_AHEAD_S = 5
"""How much later than ours the platform's clock may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One answer of the platform to a full page from `start` on, or to a look-up that does not page.

    `next_start` is where the platform goes on; it differs from `start + size` where the platform does not keep to
    its own rule.
    """

    listing: str
    start: int
    size: int | None
    fields: frozenset[str]
    data: Mapping[str, object]
    has_more: bool
    next_start: int
    fetched_us: int
    expires_us: int
    is_contained: bool = False
    """Whether it was made of the parts of other searches, and has no search of the platform's behind it."""
    is_of_records: bool = False
    """Whether those were any searches that had its records, rather than a wider one."""
    has_last_day: bool = False
    """Whether one of its records was made on the last day that was asked for, so that last days are searched."""
    lost: Mapping[int, str] = field(default_factory=dict)
    """Marks of the records whose places are empty, as `Places` has them, by place: one may come again."""

    def items(self, endpoint: Endpoint) -> Sequence[object]:
        """The records in the order of their places."""
        found = self.data.get(endpoint.list_key or "")
        return cast("list[object]", found) if isinstance(found, list) else []

    @property
    def is_regular(self) -> bool:
        """Whether the next part begins where the size says."""
        return self.size is None or not self.has_more or self.next_start >= self.start + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Which place of a part each record has that it brought, for when its data are kept no longer.

    `marks` are digests of what the records are known by, in order, also of those that are gone; None where there was none.
    """

    marks: tuple[str | None, ...]
    has_more: bool
    next_start: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A client's page: `data` as JSON, and how many records are in it."""

    data: bytes
    records: int


def is_listed(endpoint: Endpoint, query: ResearchQuery) -> bool:
    """Whether answers of `endpoint` can be collected in parts: it goes by an index or a time, or does not page."""
    return (
        is_reusable(endpoint, query)
        and endpoint.scope == BASIC_SCOPE
        and endpoint.answers is AnswerForm.ENVELOPE
        and not endpoint.fields_in_body
        and endpoint.cursor in {CursorKind.INDEX, CursorKind.TIME, CursorKind.NONE}
        and (endpoint.cursor is not CursorKind.TIME or can_be_split(query.page.cursor))
    )


def full_size(endpoint: Endpoint) -> int | None:
    """Records in a full page; None where the endpoint does not page."""
    return None if endpoint.paging is None else endpoint.paging.most


def split(endpoint: Endpoint, place: int) -> tuple[int, int]:
    """Where the part begins that has this place, and how many of its records are before it."""
    size = full_size(endpoint)
    if size is None:
        return 0, 0
    if endpoint.cursor is CursorKind.TIME:
        return divmod(place, _OFFSETS) if is_own(endpoint, place) else (place, 0)
    return place - place % size, place % size


def is_own(endpoint: Endpoint, cursor: int) -> bool:
    """Whether a cursor of a list by time is one of Bursar's own, which points between two of the platform's.

    Those are the moment at which the part begins, times 128, plus the records before: no moment in seconds or
    milliseconds that a list can have, one that calendars know all the same, and exact in every client's numbers.
    """
    return endpoint.cursor is CursorKind.TIME and _is_moment(cursor // _OFFSETS) and not _is_moment(cursor)


def can_be_split(cursor: int) -> bool:
    """Whether cursors into the part of a list by time that begins with this one can be told from the platform's."""
    return cursor == 0 or _is_moment(cursor) or _is_moment(cursor // _OFFSETS)


def _is_moment(cursor: int) -> bool:
    return any(first <= cursor < end for first, end in (_SECONDS, _MILLISECONDS))


def moment_after(fetched_us: int, next_cursor: int | None) -> int:
    """A moment by which all that a first page fetched then can have had was there, as this list spells moments."""
    moment_s = fetched_us // 1_000_000 + _AHEAD_S
    return moment_s * 1_000 if (next_cursor or 0) >= _MILLISECONDS[0] else moment_s


def listing_key(query: ResearchQuery, scope: str) -> bytes:
    """The key under which the current listing of a question is named."""
    return digest("listing", scope, query.question_digest.hex())


def part_key(query: ResearchQuery, scope: str, listing: str | None, start: int) -> bytes:
    """The key of one part; with no listing yet, that of the fetch which begins one."""
    return digest("part", scope, query.question_digest.hex(), listing, str(start))


def part_of(
    success: Success,
    *,
    endpoint: Endpoint,
    sent: ResearchQuery,
    listing: str,
    start: int,
    fetched_us: int,
    expires_us: int,
    skipped: int = 0,
) -> Part:
    """What a successful call for `sent` brought for the places from `start` on, without the first records of it."""
    data = {name: value for name, value in success.data.items() if name != endpoint.list_alias}
    found = data.get(endpoint.list_key or "")
    if skipped and endpoint.list_key is not None and isinstance(found, list):
        data[endpoint.list_key] = found[skipped:]
    if "search_id" in data:
        # The platform's own id is nobody's business but the search's.
        data["search_id"] = listing
    size, place = sent.page.size, sent.page.cursor
    goes_on = place + (size or 0) if success.cursor is None else success.cursor
    return Part(
        listing=listing,
        start=start,
        size=size,
        fields=frozenset(sent.fields),
        data=data,
        has_more=success.has_more,
        next_start=goes_on if endpoint.cursor is CursorKind.TIME else goes_on + start - place,
        fetched_us=fetched_us,
        expires_us=expires_us,
        has_last_day=has_last_day(endpoint, sent, success),
    )


def has_last_day(endpoint: Endpoint, sent: ResearchQuery, success: Success) -> bool:
    """Whether a record was made on the last day that was asked for. What is newest stands first."""
    found = success.data.get(endpoint.list_key or "")
    items = found if isinstance(found, list) else []
    first = next((item for item in items if isinstance(item, Mapping)), {})
    created_s = first.get("create_time")
    span = span_in(endpoint, sent.asked()) if isinstance(created_s, int) else None
    if span is None or not isinstance(created_s, int):
        return False
    begin_s, end_s = Span(span.last, span.last).seconds
    return begin_s <= created_s < end_s


def seen_first(endpoint: Endpoint, items: Sequence[object], seen: Collection[str]) -> int | None:
    """How many records of a page come again before its first new one; None where new ones are among them too."""
    known = [_mark(endpoint, item) in seen for item in items]
    count = known.index(False) if False in known else len(known)
    return None if any(known[count:]) else count


def before_first(endpoint: Endpoint, items: Sequence[object], part: Places) -> int:
    """How many records of a page come before the first one of the part that it brings anew."""
    known = [_mark(endpoint, item) in part.marks for item in items]
    return known.index(True) if True in known else len(known)


def onward_key(query: ResearchQuery, scope: str, listing: str, place: int) -> bytes:
    """The key under which it is kept where a listing goes on from that place, which was made of held ones."""
    return digest("onward", scope, query.question_digest.hex(), listing, str(place))


def onward_page(part: Part, query: ResearchQuery, scope: str, listing: str) -> HeldPage:
    """That whoever is in `listing`, where `query` asks, goes on in the part's own, at its beginning."""
    return HeldPage(
        key=onward_key(query, scope, listing, query.page.cursor),
        scope=scope,
        endpoint=query.endpoint,
        data=exact_json.dumps({"listing": part.listing, "start": part.start}),
        records=0,
        fetched_us=part.fetched_us,
        expires_us=part.expires_us,
    )


def id_of(item: object) -> int | str | None:
    """What a record is known by; None where it cannot be told."""
    found = item.get("id", item.get("video_id")) if isinstance(item, Mapping) else item
    return found if isinstance(found, (int, str)) else None


def as_page(part: Part, *, key: bytes, scope: str, endpoint: Endpoint) -> HeldPage:
    """The part as it is kept."""
    told = {
        "listing": part.listing,
        "start": part.start,
        "size": part.size,
        "fields": sorted(part.fields),
        "has_more": part.has_more,
        "next": part.next_start,
        "contained": part.is_contained,
        "of_records": part.is_of_records,
        "last_day": part.has_last_day,
        "lost": [[place, mark] for place, mark in part.lost.items()],
        "data": part.data,
    }
    return HeldPage(
        key=key,
        scope=scope,
        endpoint=endpoint.name,
        data=exact_json.dumps(told),
        records=sum(item is not None for item in part.items(endpoint)) if endpoint.list_key else 1,
        fetched_us=part.fetched_us,
        expires_us=part.expires_us,
    )


def head_page(
    listing: str, query: ResearchQuery, scope: str, *, fetched_us: int, expires_us: int
) -> HeldPage:
    """What names the listing as the current one of its question."""
    return HeldPage(
        key=listing_key(query, scope),
        scope=scope,
        endpoint=query.endpoint,
        data=exact_json.dumps({"listing": listing}),
        records=0,
        fetched_us=fetched_us,
        expires_us=expires_us,
    )


def as_part(page: HeldPage) -> Part:
    """The part that `as_page` made a page of."""
    return _part(page, cast("dict[str, object]", exact_json.loads(page.data)))


def part_in(page: HeldPage) -> Part | None:
    """The part, if `as_page` made a page of it; None for an answer that is kept as it was asked for."""
    told = exact_json.loads(page.data)
    return _part(page, told) if isinstance(told, dict) and {"listing", "start"} <= told.keys() else None


def _part(page: HeldPage, told: Mapping[str, object]) -> Part:
    return Part(
        listing=cast("str", told["listing"]),
        start=cast("int", told["start"]),
        size=cast("int | None", told["size"]),
        fields=frozenset(cast("list[str]", told["fields"])),
        data=cast("dict[str, object]", told["data"]),
        has_more=told["has_more"] is True,
        next_start=cast("int", told["next"]),
        fetched_us=page.fetched_us,
        expires_us=page.expires_us,
        is_contained=told.get("contained") is True,
        is_of_records=told.get("of_records") is True,
        has_last_day=told.get("last_day") is True,
        lost=dict(cast("list[tuple[int, str]]", told.get("lost", []))),
    )


def contained_parts(
    endpoint: Endpoint,
    records: Sequence[object],
    wider: Sequence[Part],
    *,
    listing: str,
    fields: frozenset[str],
    is_of_records: bool = False,
) -> list[Part]:
    """The parts of a listing of these records, which lie in those parts of others and have at least these fields."""
    size = full_size(endpoint) or 1
    names = frozenset[str]().union(*(part.fields for part in wider)) - fields
    list_key, parts = endpoint.list_key or "", list[Part]()
    for start in range(0, max(1, len(records)), size):
        items = [_projected(item, names) for item in records[start : start + size]]
        data = {name: value for name, value in wider[0].data.items() if name != "search_id"}
        data |= {list_key: items} | ({"search_id": listing} if records else {})
        parts.append(
            Part(
                listing=listing,
                start=start,
                size=size,
                fields=fields,
                data=data,
                has_more=start + size < len(records),
                next_start=start + size,
                fetched_us=min(part.fetched_us for part in wider),
                expires_us=min(part.expires_us for part in wider),
                is_contained=True,
                is_of_records=is_of_records,
            )
        )
    return parts


def has_place(part: Part, endpoint: Endpoint, query: ResearchQuery) -> bool:
    """Whether the part says what is at the first place that `query` asks for.

    Behind the last record the platform answers some cursors and refuses others, so only it can say.
    """
    place = query.page.cursor
    if part.size is None or place == part.start:
        return True
    if endpoint.cursor is CursorKind.TIME:
        offset = split(endpoint, place)[1]
        return offset == 0 or offset < len(part.items(endpoint))
    if not part.is_regular:
        return place < part.next_start
    return part.has_more or place < part.start + len(part.items(endpoint))


def ends_within(part: Part, endpoint: Endpoint, query: ResearchQuery) -> bool:
    """Whether the page that `query` asks for needs nothing behind this part; of a list by time it ends with it."""
    if part.size is None or endpoint.cursor is CursorKind.TIME or not part.has_more or not part.is_regular:
        return True
    return query.page.cursor + (query.page.size or 0) <= part.start + part.size


def cut(endpoint: Endpoint, query: ResearchQuery, parts: Sequence[Part]) -> Cut:
    """The page that `query` asks for, out of the parts that have its places, in order."""
    first, last = parts[0], parts[-1]
    if first.size is None:
        return _whole(endpoint, query, first)
    if endpoint.cursor is CursorKind.TIME:
        return _cut_in_time(endpoint, query, first)
    begin, end = query.page.cursor, query.page.cursor + (query.page.size or 0)
    items: list[object] = []
    for part in parts:
        names = _not_asked(endpoint, query, part)
        within = part.items(endpoint)[max(0, begin - part.start) : max(0, end - part.start)]
        items += [_projected(item, names) for item in within if item is not None]
    behind = last.start + len(last.items(endpoint))
    if last.has_more:
        has_more, cursor = True, end if last.is_regular else min(end, last.next_start)
        if behind <= cursor < last.next_start:
            cursor = last.next_start  # these places are known to be empty
    else:
        has_more, cursor = end < behind, end
    data = {**first.data, endpoint.list_key or "": items, "cursor": cursor, "has_more": has_more}
    if endpoint.has_search_id and (has_more or "search_id" in last.data):
        data["search_id"] = first.listing
    return Cut(exact_json.dumps(data), len(items))


def _cut_in_time(endpoint: Endpoint, query: ResearchQuery, part: Part) -> Cut:
    _, begin = split(endpoint, query.page.cursor)
    held, names = part.items(endpoint), _not_asked(endpoint, query, part)
    left = [place for place in range(begin, len(held)) if held[place] is not None]
    size = query.page.size or 0
    within, behind = left[:size], left[size:]
    onward = part.start * _OFFSETS + behind[0] if behind else part.next_start
    items = [_projected(held[place], names) for place in within]
    more = {"cursor": onward, "has_more": bool(behind) or part.has_more}
    return Cut(exact_json.dumps({**part.data, endpoint.list_key or "": items, **more}), len(items))


def places_in(endpoint: Endpoint, part: Part) -> Places | None:
    """The places of a part; None where a record of it is known by nothing."""
    marks = [
        part.lost.get(place) if item is None else _mark(endpoint, item)
        for place, item in enumerate(part.items(endpoint))
    ]
    if "" in marks:
        return None
    return Places(marks=tuple(marks), has_more=part.has_more, next_start=part.next_start)


def places_key(query: ResearchQuery, scope: str, listing: str, start: int) -> bytes:
    """The key under which the places of a part are kept."""
    return digest("places", part_key(query, scope, listing, start).hex())


def places_page(part: Part, endpoint: Endpoint, query: ResearchQuery, scope: str) -> HeldPage | None:
    """The places of a part as they are kept beside it, without a name by which they would go with it.

    None where nobody can have a cursor between its records.
    """
    places = places_in(endpoint, part) if part.size is not None and part.items(endpoint) else None
    if places is None:
        return None
    told = {"marks": list(places.marks), "has_more": places.has_more, "next": places.next_start}
    return HeldPage(
        key=places_key(query, scope, part.listing, part.start),
        scope=scope,
        endpoint=query.endpoint,
        data=exact_json.dumps(told),
        records=0,
        fetched_us=part.fetched_us,
        expires_us=part.expires_us,
    )


def as_places(page: HeldPage) -> Places:
    """The places that `places_page` made a page of."""
    told = cast("dict[str, object]", exact_json.loads(page.data))
    return Places(
        marks=tuple(cast("list[str | None]", told["marks"])),
        has_more=told["has_more"] is True,
        next_start=cast("int", told["next"]),
    )


def _mark(endpoint: Endpoint, item: object) -> str:
    """What a record is known by, too short to be read back; empty where it is known by nothing."""
    known_by = item.get("username") if isinstance(item, Mapping) and not endpoint.fields else id_of(item)
    if not isinstance(known_by, (int, str)):
        return ""
    return blake2b(str(known_by).encode(), digest_size=_MARK_BYTES).hexdigest()


def in_places_of(old: Places, new: Part, endpoint: Endpoint) -> Part:
    """A part of a list by time that was fetched anew, with each record in the place that it had in the old one.

    Clients may have cursors between these. What is gone leaves its place empty; what is new belongs to those who
    begin anew, or to the next part.
    """
    came = _old_places(old, new, endpoint)
    items: list[object] = [None] * len(old.marks)
    for place, item in zip(came, new.items(endpoint), strict=True):
        if place is not None:
            items[place] = item
    last = max((place for place in came if place is not None), default=-1)
    has_more, next_start = old.has_more, old.next_start
    if new.has_more and came and came[-1] == last < len(items) - 1:
        # What has come into the list at its head has pushed the end of the old part out of the page.
        items, has_more, next_start = items[: last + 1], new.has_more, new.next_start
    return replace(_with_items(new, items, old, endpoint), has_more=has_more, next_start=next_start)


def with_gaps_of(old: Places, new: Part, endpoint: Endpoint) -> Part:
    """A part of a list by places that was fetched anew, with each record in the place that it had in the old one.

    The platform leaves the place of a record empty that vanishes during a search. What the old part had not, since the platform
    may keep back some of a page, follows behind what it had. Where that has no room, or nothing is known by which to tell a
    record, the part stays as it came.
    """
    came = _old_places(old, new, endpoint)
    items: list[object] = [None] * len(old.marks)
    for place, item in zip(came, new.items(endpoint), strict=True):
        if place is None:
            items.append(item)
        else:
            items[place] = item
    is_known = all(_mark(endpoint, item) for item in new.items(endpoint))
    if not is_known or old.has_more != new.has_more or len(items) > max(new.size or 0, len(old.marks)):
        return new
    return _with_items(new, items, old, endpoint)


def _with_items(new: Part, items: list[object], old: Places, endpoint: Endpoint) -> Part:
    """The part with these records and gaps in its places, which were those of the old one."""
    marks = enumerate(old.marks[: len(items)])
    lost = {place: mark for place, mark in marks if mark is not None and items[place] is None}
    return replace(new, data={**new.data, endpoint.list_key or "": items}, lost=lost)


def _old_places(old: Places, new: Part, endpoint: Endpoint) -> list[int | None]:
    """Where each record of the new part was; None for one that was not there."""
    places = {mark: place for place, mark in enumerate(old.marks) if mark is not None}
    return [places.get(_mark(endpoint, item)) for item in new.items(endpoint)]


def _whole(endpoint: Endpoint, query: ResearchQuery, part: Part) -> Cut:
    names = _not_asked(endpoint, query, part)
    if endpoint.list_key is None:
        return Cut(exact_json.dumps(_projected(part.data, names)), 1 if part.data else 0)
    items = [_projected(item, names) for item in part.items(endpoint)]
    return Cut(exact_json.dumps({**part.data, endpoint.list_key: items}), len(items))


def _not_asked(endpoint: Endpoint, query: ResearchQuery, part: Part) -> frozenset[str]:
    """Keys of a part's records that its call asked for and this one does not."""
    names = part.fields.difference(query.fields)
    # Some answers have video_id for id (facts 3.4, Q23).
    return names | {"video_id"} if "id" in names and "video_id" not in endpoint.fields else names


def _projected(item: object, names: frozenset[str]) -> object:
    if not names or not isinstance(item, Mapping):
        return item
    return {name: value for name, value in item.items() if name not in names}
