"""The pages of a question that a client would be given without a call upstream, from the first on."""

import datetime as dt
from dataclasses import replace

from app.cache.pages import Fresh, HeldPage, Outline, Pages, is_reusable, may_serve, outline_of
from app.identity.callers import Caller
from app.policy.engine import Refused, judge_held
from app.policy.rules import Reuse
from app.provider.endpoint import CursorKind, Endpoint
from app.query import Page, ResearchQuery
from app.quota.estimate import Held

_MOST_PAGES = 10_000


async def held_of(
    pages: Pages, endpoint: Endpoint, query: ResearchQuery, caller: Caller, *, now_us: int
) -> Held:
    """What is held of a question and may be served now, walked as a client walks it."""
    held, asked = Held(), query
    search_id: str | None = None
    while is_reusable(endpoint, query) and held.pages < _MOST_PAGES:
        page = await servable(pages, asked, search_id, caller, now_us)
        if page is None:
            break
        outline = outline_of(page, endpoint)
        onward = _onward(endpoint, asked, outline)
        held = Held(
            pages=held.pages + 1,
            positions=held.positions + (outline.records if onward is None else query.page.size or 0),
            records=held.records + outline.records,
            is_complete=onward is None,
            oldest_s=outline.oldest_s or held.oldest_s,
            at_us=outline.fetched_us,
            until_us=min(outline.expires_us, held.until_us or outline.expires_us),
        )
        if onward is None:
            break
        search_id = onward.search_id
        asked = replace(query, page=onward)
        if search_id is not None and await pages.search(search_id, caller.reuse_scope) is None:
            break  # the platform's words for it are `invalid or expired`: the pages behind it are out of reach
    return held


async def servable(
    pages: Pages, asked: ResearchQuery, search_id: str | None, caller: Caller, now_us: int
) -> HeldPage | None:
    """The held page that answers this very call of the caller; None where there is none that may be served."""
    scope = caller.reuse_scope
    found = may_serve(await pages.look(asked.key(scope=scope, search=search_id), scope), now_us=now_us)
    if not isinstance(found, Fresh):
        return None
    now = dt.datetime.fromtimestamp(now_us / 1_000_000, dt.UTC)
    verdict = judge_held(Reuse(caller=caller, age_s=found.page.age_s(now_us), now=now))
    return None if isinstance(verdict, Refused) else found.page


def _onward(endpoint: Endpoint, asked: ResearchQuery, outline: Outline) -> Page | None:
    """Where a client goes on after a page; None at the end."""
    page = asked.page
    match endpoint.cursor:
        case CursorKind.NONE:
            return None
        case CursorKind.NUMBER:
            is_full = outline.records == page.size
            return Page(cursor=page.cursor + 1, size=page.size) if is_full else None
        case CursorKind.TOKEN:
            goes_on = outline.has_more and outline.search_id is not None
            return Page(size=page.size, search_id=outline.search_id) if goes_on else None
        case CursorKind.INDEX | CursorKind.TIME:
            if not outline.has_more or outline.cursor is None:
                return None
            return Page(cursor=outline.cursor, size=page.size, search_id=outline.search_id)
