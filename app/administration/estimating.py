"""The price of a question before it is asked: nothing is spent, nothing is sent, nothing is written."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Protocol

from app import exact_json
from app.administration.budgets import Budgets, budgets_of, courses, exhausted_now
from app.administration.finding import find_person, find_project
from app.administration.held_pages import held_of, servable
from app.administration.pricing import (
    Asking,
    Estimate,
    Objection,
    WindowPrice,
    queries_of,
)
from app.administration.registry import Registry
from app.administration.state import State
from app.cache.lifetimes import UsualLifetimes
from app.cache.listings import full_size, is_listed
from app.cache.pages import Pages, is_reusable
from app.errors import InvalidParams, NotFound
from app.identity.callers import Caller
from app.policy.engine import Refused, judge
from app.policy.rules import Circumstances
from app.provider.endpoint import CursorKind, Endpoint
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.provider.spans import INDEX_DELAY_S
from app.query import ResearchQuery
from app.quota.estimate import Asked, Known, price
from app.quota.limits import Owners, explain, platform_says
from app.quota.tallies import Tally, Topic, topic_of


class Places(Protocol):
    """Callers by their place in a project, for people who ask without a key. Raises StoreUnavailable."""

    async def caller_in(self, project: str, person: str | None) -> Caller | None:
        """Whoever that person is in the project, with no key; None when they are not in it.

        Without a person it is somebody whom no rule about persons touches.
        """
        ...


class TallyReader(Protocol):
    """What questions have brought so far. Raises StoreUnavailable."""

    async def of(self, questions: Collection[str]) -> Mapping[str, Tally]:
        """The tallies of these questions, as far as there are any."""
        ...

    async def kin(self, conditions: str) -> Sequence[Tally]:
        """Tallies of the same conditions for any days, the newest first."""
        ...

    async def history(self, scope: str, endpoint: str) -> Sequence[Tally]:
        """Tallies of a scope at one endpoint, the newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A query, and what tallies call it."""

    query: ResearchQuery
    topic: Topic
    same: Tally | None

    def with_its_last_fields(self) -> "_Question":
        """The question with the fields with which it was asked last, if it ever was."""
        crawl = None if self.same is None else self.same.last or self.same.whole
        return self if crawl is None else replace(self, query=replace(self.query, fields=crawl.fields))


class Estimator:
    """Prices questions; see the module."""

    def __init__(
        self,
        *,
        registry: Registry,
        places: Places,
        pages: Pages,
        tallies: TallyReader,
        usual: UsualLifetimes,
        accept_url: str,
        fetches_full_pages: bool = True,
    ) -> None:
        self._registry = registry
        self._places = places
        self._pages = pages
        self._tallies = tallies
        self._usual = usual
        self._accept_url = accept_url
        self._fetches_full_pages = fetches_full_pages

    async def in_project(self, asking: Asking, *, project: str, email: str | None) -> Estimate:
        """The price for a person of a project, or for the project as such.

        Raises NotFound, and what the question itself would be refused with as malformed.
        """
        state = await self._registry.state()
        found = find_project(state, project)
        person = None if email is None else find_person(state, email)
        caller = await self._places.caller_in(found.id, None if person is None else person.id)
        if caller is None:
            raise NotFound(f"{email} is no member of project {project}.")
        return await self._estimate(state, caller, asking)

    async def for_caller(self, asking: Asking, caller: Caller) -> Estimate:
        """The price for the holder of a project's key; raises what the question would be refused with."""
        return await self._estimate(await self._registry.state(), caller, asking)

    async def _estimate(self, state: State, caller: Caller, asking: Asking) -> Estimate:
        endpoint = _endpoint(asking.endpoint)
        questions = await self._questions(endpoint, caller, asking)
        windows = await self._windows(endpoint, questions, caller, state.now_us)
        budgets = await budgets_of(self._registry, state, caller_owners(caller), endpoint.family)
        query = questions[0].query
        likely, high = courses(
            endpoint, endpoint.most_records(self._bought_size(endpoint, query)), windows, budgets
        )
        return Estimate(
            project=caller.project_name,
            person=next((each.email for each in state.people if each.id == caller.person), None),
            endpoint=endpoint.name,
            fields=query.fields,
            page_size=query.page.size,
            windows=windows,
            likely=likely,
            high=high,
            objection=self._refused_by_rule(caller, questions, state.now)
            # A first page that is held needs no room.
            or (
                None if windows[0].price.held.pages else _no_room(endpoint, query, caller, budgets, state.now)
            ),
            notes=list(_notes(endpoint, windows, asking, state.now, self._bought_size(endpoint, query))),
        )

    async def _questions(self, endpoint: Endpoint, caller: Caller, asking: Asking) -> list[_Question]:
        blind = await self._blinder(caller)
        queries = queries_of(endpoint, caller, asking)
        topics = [topic_of(endpoint, query, caller.reuse_scope, blind=blind) for query in queries]
        tallies = await self._tallies.of([topic.question for topic in topics])
        questions = [
            _Question(query=query, topic=topic, same=tallies.get(topic.question))
            for query, topic in zip(queries, topics, strict=True)
        ]
        return questions if asking.names_fields else [each.with_its_last_fields() for each in questions]

    async def _windows(
        self, endpoint: Endpoint, questions: Sequence[_Question], caller: Caller, now_us: int
    ) -> list[WindowPrice]:
        # Windows of one question differ in their days alone, so their kin are the same.
        kin = await self._tallies.kin(questions[0].topic.conditions)
        history = await self._tallies.history(caller.reuse_scope, endpoint.name)
        expected = await self._expected(endpoint, questions[0].query, caller, now_us)
        windows: list[WindowPrice] = []
        for each in questions:
            held = await held_of(self._pages, endpoint, each.query, caller, usual=self._usual, now_us=now_us)
            known = Known(held=held, same=each.same, kin=kin, history=history, now_us=now_us)
            asked = _asked(endpoint, each, self._bought_size(endpoint, each.query), expected)
            windows.append(WindowPrice(span=each.topic.span, price=price(asked, known)))
        return windows

    def _bought_size(self, endpoint: Endpoint, query: ResearchQuery) -> int | None:
        """Records in the pages that are fetched, whatever the size of those that are asked for."""
        is_full = self._fetches_full_pages and is_listed(endpoint, query)
        return full_size(endpoint) if is_full else query.page.size

    async def _expected(
        self, endpoint: Endpoint, query: ResearchQuery, caller: Caller, now_us: int
    ) -> int | None:
        """How long a list is, where a profile is held that says so."""
        if endpoint.counted_by is None:
            return None
        name, field = endpoint.counted_by
        profiles, scope = ENDPOINTS[name], caller.reuse_scope
        asked = read_request(profiles, f"fields={field}", query.question.encode())
        topic = topic_of(profiles, asked, scope, blind=await self._blinder(caller))
        tally = (await self._tallies.of([topic.question])).get(topic.question)
        if tally is None or tally.last is None:
            return None
        asked = replace(asked, fields=tally.last.fields)
        page = await servable(self._pages, profiles, asked, caller, usual=self._usual, now_us=now_us)
        data = {} if page is None else exact_json.loads(page.data)
        count = data.get(field) if isinstance(data, dict) else None
        return count if isinstance(count, int) else None

    async def _blinder(self, caller: Caller) -> Callable[[str], str]:
        blind = await self._pages.blinder(caller.reuse_scope)
        # Where the key is destroyed nothing is known of any question, and no tally has this name.
        return blind or (lambda _: "")

    def _refused_by_rule(
        self, caller: Caller, questions: Iterable[_Question], now: dt.datetime
    ) -> Objection | None:
        for each in questions:
            verdict = judge(
                Circumstances(caller=caller, query=each.query, now=now, accept_url=self._accept_url)
            )
            if isinstance(verdict, Refused):
                return Objection(rule=verdict.rule, reason=verdict.reason)
        return None


def caller_owners(caller: Caller) -> Owners:
    """Whose limits a call of this caller is counted against; ids are empty for what it does not have."""
    return {
        "credential": caller.credential,
        "project": caller.project,
        "membership": caller.membership,
        "key": caller.key,
    }


def _endpoint(name: str) -> Endpoint:
    endpoint = ENDPOINTS.get(name)
    if endpoint is None:
        raise InvalidParams(
            f"There is no endpoint {name!a}; use one of {', '.join(ENDPOINTS)}.", rule="request"
        )
    return endpoint


def _asked(endpoint: Endpoint, question: _Question, size: int | None, expected: int | None) -> Asked:
    goes_on = endpoint.cursor is not CursorKind.NONE and is_reusable(endpoint, question.query)
    return Asked(
        span=question.topic.span,
        size=size if goes_on else None,
        most_records=endpoint.most_records(size),
        reach=endpoint.reach,
        expected=expected,
    )


def _no_room(
    endpoint: Endpoint, query: ResearchQuery, caller: Caller, budgets: Budgets, now: dt.datetime
) -> Objection | None:
    """Why one call upstream would be refused at this moment for want of quota."""
    if budgets.closed is not None:
        return Objection(rule="platform-quota", reason=platform_says(budgets.closed, endpoint.family, now))
    most_records = endpoint.most_records(query.page.size)
    exhausted = exhausted_now(endpoint, most_records, caller_owners(caller), budgets)
    return None if exhausted is None else Objection(rule="quota", reason=explain(exhausted, now))


def _notes(
    endpoint: Endpoint,
    windows: Sequence[WindowPrice],
    asking: Asking,
    now: dt.datetime,
    bought_size: int | None,
) -> Iterator[str]:
    """What whoever asks should know beside the figures."""
    paging, size = endpoint.paging, bought_size
    if paging is not None and size is not None and size < paging.most and windows[0].price.requests.high > 1:
        yield (
            f"{paging.size_key} is {size}; with {paging.most} the same records take up to "
            f"{ceil(paging.most / size)} times fewer requests."
        )
    ends = [each.span.seconds[1] for each in windows if each.span is not None]
    if ends and max(ends) > now.timestamp() - INDEX_DELAY_S:
        yield "What was published in the last two days is found late, and days to come bring nothing yet."
    if endpoint.fields and not asking.names_fields:
        yield (
            "No fields were named, so those were taken with which this was asked last, or else all that the project "
            "may ask for. What is held under other fields is not counted."
        )
    if len(windows) > 1:
        yield f"The range is asked for in {len(windows)} windows, each a query of its own."
