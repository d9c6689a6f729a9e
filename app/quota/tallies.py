"""What questions have brought so far: counts alone, from which the price of a question is estimated.

A *topic* is a question as tallies know it, by keyed digests. A *mark* is what one call upstream adds. A
*tally* is the sum for one topic: how far the crawl that was begun last has come, and how much the last one
brought that reached the end.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.provider.answers import Success
from app.provider.endpoint import CursorKind, Endpoint
from app.provider.spans import Span, conditions_of, oldest_s, span_in
from app.query import ResearchQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A question in a scope of sharing. The digests are keyed by that scope and end with its data key."""

    question: str
    """64 hexadecimal digits for the question, whatever the fields and the page."""
    conditions: str
    """The same for the question without its days."""
    scope: str
    endpoint: str
    span: Span | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What one call that the platform counted adds to its topic's tally.

    `place` is where its page begins: a cursor, or the number in the search id where that alone tells. The
    page goes on at `next_place`, and is the last for None.
    """

    topic: Topic
    fields: tuple[str, ...]
    size: int | None
    calls: int
    page: "MarkedPage | None"
    """None where the call brought no page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPage:
    """One page as tallies count it: `positions` are the places in the list that it covers."""

    is_first: bool
    place: int
    next_place: int | None
    positions: int
    records: int
    oldest_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl:
    """Pages that follow each other from the first on; `place` is where they go on, None at the end.

    Records can be fewer than positions: what was deleted keeps its place, and pages come short. `oldest_s`
    is when the last record was created, where what is newest comes first.
    """

    fields: tuple[str, ...]
    size: int | None
    place: int | None
    pages: int
    positions: int
    records: int
    oldest_s: int | None
    at_us: int

    @property
    def is_whole(self) -> bool:
        """Whether it reached the end."""
        return self.place is None and self.pages > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one topic has brought; `calls` and `answers` count all that was ever charged and answered."""

    topic: Topic
    calls: int
    answers: int
    last: Crawl | None
    """The crawl that was begun last."""
    whole: Crawl | None
    """The last one that reached the end."""

    def after(self, mark: Mark, *, now_us: int) -> "Tally":
        """The tally with one more call in it."""
        counted = replace(self, calls=self.calls + mark.calls)
        page = mark.page
        if page is None:
            return counted
        counted = replace(counted, answers=self.answers + 1)
        begun = None if page.is_first else self.last
        if begun is not None and begun.place != page.place:
            return counted  # a page that was there before, or one that others came before
        if begun is None and not page.is_first:
            return counted
        crawl = _gone_on(begun, mark, page, now_us)
        return replace(counted, last=crawl, whole=crawl if crawl.is_whole else counted.whole)


def nothing(topic: Topic) -> Tally:
    """The tally of a topic that was never asked about."""
    return Tally(topic=topic, calls=0, answers=0, last=None, whole=None)


def topic_of(endpoint: Endpoint, query: ResearchQuery, scope: str, *, blind: Callable[[str], str]) -> Topic:
    """The topic of a question asked in `scope`, of which `blind` makes digests that nobody else can make."""
    return Topic(
        question=blind(f"question {endpoint.name} {query.question}"),
        conditions=blind(f"conditions {endpoint.name} {conditions_of(endpoint, query)}"),
        scope=scope,
        endpoint=endpoint.name,
        span=span_in(endpoint, query.asked()),
    )


def mark_of(
    topic: Topic | None,
    endpoint: Endpoint,
    query: ResearchQuery,
    success: Success | None,
    *,
    calls: int,
    next_id: str | None = None,
) -> Mark | None:
    """What a call adds that the platform counted as `calls`; None where it has no topic or was not counted.

    `success` is None where it brought nothing; `next_id` is the search id that the client goes on with.
    """
    if topic is None or calls == 0:
        return None
    page = None if success is None else _page(endpoint, query, success, next_id)
    return Mark(topic=topic, fields=query.fields, size=query.page.size, calls=calls, page=page)


def _gone_on(begun: Crawl | None, mark: Mark, page: MarkedPage, now_us: int) -> Crawl:
    return Crawl(
        fields=mark.fields,
        size=mark.size,
        place=page.next_place,
        pages=1 if begun is None else begun.pages + 1,
        positions=page.positions + (0 if begun is None else begun.positions),
        records=page.records + (0 if begun is None else begun.records),
        # An empty page in the middle tells nothing of when.
        oldest_s=page.oldest_s or (None if begun is None else begun.oldest_s),
        at_us=now_us,
    )


def _page(endpoint: Endpoint, query: ResearchQuery, success: Success, next_id: str | None) -> MarkedPage:
    place = query.page.cursor
    first = 0 if endpoint.paging is None else endpoint.paging.first
    is_first = place == first
    if endpoint.cursor is CursorKind.TOKEN:
        place, is_first = int(query.page.search_id or 0), query.page.search_id is None
    next_place = _next_place(endpoint, query, success, next_id)
    return MarkedPage(
        is_first=is_first,
        place=place,
        next_place=next_place,
        positions=success.records if next_place is None else query.page.size or success.records,
        records=success.records,
        oldest_s=oldest_s(endpoint, success.data),
    )


def _next_place(
    endpoint: Endpoint, query: ResearchQuery, success: Success, next_id: str | None
) -> int | None:
    match endpoint.cursor:
        case CursorKind.NONE:
            return None
        case CursorKind.NUMBER:
            # Nothing says that there is more: a short page is the last.
            return query.page.cursor + 1 if success.records == query.page.size else None
        case CursorKind.TOKEN:
            return int(next_id) if success.has_more and next_id is not None else None
        case CursorKind.INDEX | CursorKind.TIME:
            return success.cursor if success.has_more else None
