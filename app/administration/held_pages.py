"""The pages of a question that a client would be given without a call upstream, from the first on."""

import datetime as dt
from dataclasses import replace

from app.cache.lifetimes import UsualLifetimes, lifetime_of
from app.cache.listings import full_size, is_listed
from app.cache.pages import (
    Fresh,
    HeldPage,
    Outline,
    Pages,
    SearchState,
    is_reusable,
    may_serve,
    outline_of,
)
from app.cache.shelf import Ready, Shelf, Sought
from app.identity.callers import Caller
from app.policy.engine import Refused, judge_held
from app.policy.rules import Reuse
from app.provider.endpoint import CursorKind, Endpoint
from app.query import Page, ResearchQuery
from app.quota.estimate import Held

_MOST_PAGES = 10_000


async def held_of(
    pages: Pages,
    endpoint: Endpoint,
    query: ResearchQuery,
    caller: Caller,
    *,
    usual: UsualLifetimes,
    now_us: int,
) -> Held:
    """What is held of a question and may be served now, from its first page on."""
    if not is_reusable(endpoint, query):
        return Held()
    size = full_size(endpoint)
    if is_listed(endpoint, query) and size != query.page.size:
        # Full pages are what is bought, whatever the size of those that a client asks for.
        full = replace(query, page=replace(query.page, size=size))
        held = await _walked(pages, endpoint, full, caller, usual=usual, now_us=now_us)
        if held.pages:
            return held
    return await _walked(pages, endpoint, query, caller, usual=usual, now_us=now_us)


async def _walked(
    pages: Pages,
    endpoint: Endpoint,
    query: ResearchQuery,
    caller: Caller,
    *,
    usual: UsualLifetimes,
    now_us: int,
) -> Held:
    """The pages of a question, walked as a client walks them."""
    held, asked = Held(), query
    lifetime = lifetime_of(endpoint, query.question, caller.reuse, usual)
    search: SearchState | None = None
    while held.pages < _MOST_PAGES:
        page = await servable(pages, endpoint, asked, caller, search=search, usual=usual, now_us=now_us)
        if page is None:
            break
        outline = outline_of(page, endpoint)
        until_us = min(outline.expires_us, lifetime.until_us(outline.fetched_us))
        onward = _onward(endpoint, asked, outline)
        held = Held(
            pages=held.pages + 1,
            positions=held.positions + (outline.records if onward is None else query.page.size or 0),
            records=held.records + outline.records,
            is_complete=onward is None,
            oldest_s=outline.oldest_s or held.oldest_s,
            at_us=outline.fetched_us,
            until_us=min(until_us, held.until_us or until_us),
        )
        if onward is None:
            break
        asked = replace(query, page=onward)
        if onward.search_id is not None:
            search = await pages.search(onward.search_id, caller.reuse_scope)
            if search is None:
                break  # the platform's words for it are `invalid or expired`: what is behind it is out of reach
    return held


async def servable(
    pages: Pages,
    endpoint: Endpoint,
    asked: ResearchQuery,
    caller: Caller,
    *,
    search: SearchState | None = None,
    usual: UsualLifetimes,
    now_us: int,
) -> HeldPage | None:
    """The answer to this very call of the caller out of what is held; None where it would have to be bought."""
    lifetime = lifetime_of(endpoint, asked.question, caller.reuse, usual)
    scope, now = caller.reuse_scope, dt.datetime.fromtimestamp(now_us / 1_000_000, dt.UTC)

    def may_use(page: HeldPage) -> bool:
        if not isinstance(may_serve(page, lifetime, now_us=now_us), Fresh):
            return False
        verdict = judge_held(Reuse(caller=caller, age_s=page.age_s(now_us), now=now))
        return not isinstance(verdict, Refused)

    sought = Sought(
        endpoint=endpoint,
        query=asked,
        scope=scope,
        key=asked.key(scope=scope, search=None if search is None else search.id),
        search=search,
        may_use=may_use,
        is_kept=lambda page: now_us < page.expires_us,
        without=caller.reuse.without,
    )
    found = await Shelf(pages).find(sought, is_look=True)
    return found.page if isinstance(found, Ready) else None


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
