"""Whatever was asked before, by whom, in whatever pages and fields: the records are those of a direct crawl.

Also when pages go for want of room, or as if one of their records were gone, when the platform forgets its searches or
fails, and when somebody wants an answer anew, all in the middle of crawls, and when the installation is restarted between them. Redis is not asked for anything that is held, so its loss is other tests' business.
"""

import asyncio
import itertools
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from app.cache.steering import read_cache_control
from app.calls import Delivered
from app.provider.endpoint import CursorKind
from app.provider.endpoints import ENDPOINTS
from app.simulator.dataset import MUSIC_IDS, username
from app.simulator.faults import fault_from
from app.storage.tables import HeldPageRow, PageTagsRow, table
from tests.servers.library import Library, Platform, opened_library

PEOPLE = {"elections": ["ada", "ben"], "climate": ["cleo"]}
_NUMBERS = itertools.count(1)
_held, _tags = table(HeldPageRow), table(PageTagsRow)
VIDEO_FIELDS = (
    "music_id",
    "id",
    "create_time",
    "username",
    "region_code",
    "view_count",
    "like_count",
    "hashtag_names",
    "voice_to_text",
)
COMMENT_FIELDS = ("id", "video_id", "text", "like_count", "create_time")
USER_FIELDS = ("display_name", "follower_count", "bio_description", "is_verified")


def _search(field: str, *values: str, days: tuple[str, str] = ("20261001", "20261007")) -> dict[str, Any]:
    condition = {"field_name": field, "operation": "IN", "field_values": list(values)}
    return {"query": {"and": [condition]}, "start_date": days[0], "end_date": days[1]}


@dataclass(frozen=True)
class Question:
    endpoint: str
    body: Mapping[str, Any]
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """Somebody's crawl: how large its pages are, where it stops, and how it counts."""

    who: str
    question: int
    fields: frozenset[int]
    size: int | None
    pages: int
    narrower: int
    counts_itself: bool
    keeps_search_id: bool
    upsets: tuple[str | None, ...] = ()
    """What happens before each of its pages."""


@dataclass(repr=False)
class World:
    library: Library
    loop: asyncio.AbstractEventLoop
    questions: tuple[Question, ...]
    known: dict[Job, list[list[str]]] = field(default_factory=dict)
    """What direct crawls have brought; the data are frozen."""
    is_upset: bool = False


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    loop, patch = asyncio.new_event_loop(), pytest.MonkeyPatch()
    patch.setattr("app.bootstrap.WARM_UP_WAITS_S", ())
    platform = Platform(videos=40_000)
    # In memory where there is room: what a crash leaves is other tests' business.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        opened = opened_library(Path(home), projects=PEOPLE, platform=platform, max_held_database_bytes=1)
        library = loop.run_until_complete(opened.__aenter__())
        try:
            yield World(library, loop, _questions(platform))
        finally:
            loop.run_until_complete(opened.__aexit__(None, None, None))
            loop.close()
            patch.undo()


def _questions(platform: Platform) -> tuple[Question, ...]:
    data = platform.state.dataset
    talked_of = max(range(2_000), key=lambda place: data.comments[place] if data.comments[place] < 400 else 0)
    accounts = [data.ids[place] for place in range(3)]
    name, accounts_of = username(data.authors[0]), platform.state.accounts
    followed = username(next(n for n in range(1, 500) if 150 < len(accounts_of.followers(n)) < 700))
    liking = username(
        next(n for n in range(1, 500) if accounts_of.shows_likes(n) and len(accounts_of.likes(n)) > 110)
    )
    return (
        Question("video/query", _search("region_code", "US", "DE"), VIDEO_FIELDS),
        Question("video/query", _search("region_code", "FR", days=("20261001", "20261003")), VIDEO_FIELDS),
        Question("video/query", _search("username", name, days=("20260901", "20260930")), VIDEO_FIELDS),
        Question("video/query", _search("video_id", *map(str, accounts)), VIDEO_FIELDS),
        Question("video/comment/list", {"video_id": data.ids[talked_of]}, COMMENT_FIELDS),
        Question("user/info", {"username": name}, USER_FIELDS),
        Question("user/pinned_videos", {"username": name}, VIDEO_FIELDS[:6]),
        Question("user/liked_videos", {"username": liking}, VIDEO_FIELDS[:6]),
        Question("user/followers", {"username": followed}, ()),
        *(Question("video/query", look_up, VIDEO_FIELDS) for look_up in _look_ups(platform)),
    )


LOOK_UPS = range(9, 12)
"""Places of questions that records of the others answer, from whatever example these are held."""


def _look_ups(platform: Platform) -> Iterator[dict[str, Any]]:
    """Searches by id for videos that other questions find too, on days within and around those that they lie on."""
    data = platform.state.dataset
    first = data.first_before(int(datetime(2026, 10, 8, tzinfo=UTC).timestamp()))
    ids = [str(data.ids[place]) for place in range(first, first + 120)]
    yield _search("video_id", *ids[:12:3])
    yield _search("video_id", *ids[5:110:7], days=("20261003", "20261020"))
    yield _search("video_id", ids[40], days=("20261006", "20261006"))


def _jobs(upsets: st.SearchStrategy[list[str | None]]) -> st.SearchStrategy[Job]:
    return st.builds(
        Job,
        who=st.sampled_from(["ada", "ben", "cleo"]),
        question=st.integers(0, 11),
        fields=st.frozensets(st.integers(0, 8), min_size=1, max_size=5),
        size=st.sampled_from([None, 10, 20, 30, 50, 70, 100]),
        pages=st.sampled_from([1, 2, 3, 99]),
        narrower=st.integers(0, 11),
        counts_itself=st.booleans(),
        keeps_search_id=st.booleans(),
        upsets=upsets.map(tuple),
    )


def _groups(jobs: st.SearchStrategy[Job], restarts: st.SearchStrategy[bool]) -> Any:
    """Crawls at once, in groups that follow each other, each perhaps after a restart."""
    group = st.tuples(restarts, st.lists(jobs, min_size=1, max_size=3))
    return st.lists(group, min_size=1, max_size=4)


together = _groups(_jobs(st.just([])), st.just(value=False))
upset = _groups(
    _jobs(
        st.lists(
            st.sampled_from([None, None, None, "evicted", "let go", "anew", "forgotten", "failing"]),
            max_size=4,
        )
    ),
    st.integers(0, 31).map(lambda number: number == 17),
)
_OVER = re.compile(r"Search Id .*is invalid or expired|Invalid count or cursor")
"""What a client is told that has to begin again."""
_FAILED = "Something is wrong. Please try again later."
_TRIES = 12


def _fields(job: Job, question: Question) -> list[str]:
    return sorted(
        {question.fields[number % len(question.fields)] for number in job.fields if question.fields}
    )


def _records(question: Question, data: Mapping[str, Any]) -> list[str]:
    key = ENDPOINTS[question.endpoint].list_key
    return [json.dumps(each) for each in (data[key] if key else [data])]


async def _through(world: World, job: Job, example: int) -> list[list[str]]:
    """The records of each page that Bursar gives to a client that begins again where it is told to."""
    question, to_come = world.questions[job.question], iter(job.upsets)
    # A look-up with a key that nobody knows is none.
    more = {} if job.question in LOOK_UPS else {"example": example}

    async def asked(body: Mapping[str, Any]) -> Mapping[str, Any] | str:
        what = next(to_come, None)
        await _upset(world, what, question.endpoint)
        answer: Mapping[str, Any] | str = _FAILED
        for _ in range(_TRIES):
            answer = await _asked(world, job, question, {**body, **more}, is_anew=what == "anew")
            if answer != _FAILED:
                break
        return answer

    pages = list[list[str]]()
    for _ in range(_TRIES):
        pages = await _crawl(question, job, asked)
        if not (world.is_upset and _OVER.search(pages[-1][0] if pages[-1] else "")):
            break
        event("begun again")
    return pages


async def _upset(world: World, what: str | None, endpoint: str) -> None:
    installation, state = world.library.installation, world.library.platform.state
    world.is_upset |= what is not None
    match what:
        case "evicted":
            older = sa.update(_held).values(fetched_us=_held.c.fetched_us - 2 * 3_600_000_000)
            await installation.database.write(lambda conn: conn.execute(older).rowcount)
            await installation.room.sweep()
            installation.pages.forget()
        case "let go":
            with_records = sa.select(_tags.c.key)
            await installation.database.write(
                lambda conn: conn.execute(sa.delete(_held).where(_held.c.key.in_(with_records)))
            )
            installation.pages.forget()
        case "forgotten":
            state.searches.forget()
        case "failing":
            state.faults.add(
                fault_from({"endpoint": endpoint, "status": 500, "next": 1}, endpoints=frozenset(ENDPOINTS))
            )


async def _asked(
    world: World, job: Job, question: Question, body: Mapping[str, Any], *, is_anew: bool
) -> Mapping[str, Any] | str:
    more = {"steering": read_cache_control(b"no-cache")} if is_anew else {}
    answer = await world.library.ask(job.who, question.endpoint, _fields(job, question), body, **more)
    if isinstance(answer, Delivered):
        data: dict[str, Any] = json.loads(answer.data)
        return data
    return answer.error.message


async def _directly(world: World, job: Job) -> list[list[str]]:
    job, question = replace(job, who="", upsets=()), world.questions[job.question]
    if job not in world.known:
        world.known[job] = await _crawled_directly(world, job, question)
    return world.known[job]


async def _crawled_directly(world: World, job: Job, question: Question) -> list[list[str]]:

    async def asked(body: Mapping[str, Any]) -> Mapping[str, Any] | str:
        answer = (await world.library.platform.ask(question.endpoint, _fields(job, question), body)).json()
        found: Mapping[str, Any] | str = (
            answer["data"] if answer["error"]["code"] == "ok" else answer["error"]["message"]
        )
        return found

    return await _crawl(question, job, asked)


def _body(question: Question, job: Job) -> dict[str, Any]:
    """The question, or one that a wider one contains."""
    body = dict(question.body)
    if question.endpoint != "video/query" or (job.question in LOOK_UPS and job.narrower & 3):
        return body
    if job.narrower & 1:
        body["start_date"] = str(int(body["start_date"]) + 1)
    if job.narrower & 2:
        body["end_date"] = str(int(body["end_date"]) - 1)
    region = {"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}
    music = {"field_name": "music_id", "operation": "IN", "field_values": list(map(str, MUSIC_IDS[:9]))}
    more = ([region], [music], [])[job.narrower >> 2]
    body["query"] = {"and": [*body["query"]["and"], *more]}
    return body


async def _crawl(question: Question, job: Job, ask: Any) -> list[list[str]]:
    pages: list[list[str]] = []
    paging = ENDPOINTS[question.endpoint].paging
    body, place = _body(question, job), 0
    if paging is not None and job.size is not None:
        body["max_count"] = job.size
    for _ in range(job.pages):
        data = await ask(body)
        if isinstance(data, str):
            pages.append([data])
            break
        pages.append(_records(question, data))
        if not data.get("has_more"):
            break
        assert paging is not None
        counts_itself = job.counts_itself and paging.cursor is CursorKind.INDEX
        place = place + (job.size or paging.default) if counts_itself else data["cursor"]
        body["cursor"] = place
        if "search_id" in data and job.keeps_search_id:
            body["search_id"] = data["search_id"]
    return pages


def _goes_by_time(question: Question) -> bool:
    paging = ENDPOINTS[question.endpoint].paging
    return paging is not None and paging.cursor is CursorKind.TIME


def _hold(world: World, groups: list[tuple[bool, list[Job]]]) -> None:
    example = next(_NUMBERS)

    met = {what for _, group in groups for job in group for what in job.upsets}
    if "forgotten" in met and met & {"evicted", "anew"}:
        # Who names no search, and of whose nothing is held or wanted, is taken for somebody who begins in the middle.
        groups = [
            (restarts, [replace(job, keeps_search_id=True) for job in group]) for restarts, group in groups
        ]

    async def held() -> None:
        world.is_upset = False
        for is_restarted, group in groups:
            if is_restarted:
                event("restarted")
                await world.library.restart()
            found = await asyncio.gather(*(_through(world, job, example) for job in group))
            # Whoever asks directly is spared what was meant for Bursar.
            world.library.platform.state.faults.clear()
            for job, pages in zip(group, found, strict=True):
                if not (world.is_upset or _goes_by_time(world.questions[job.question])):
                    assert pages == await _directly(world, job), job
                    continue
                # A page may come short where a page of the platform ends, or where a search took the place of one
                # that was forgotten: the records are the same in the same order.
                whole = [*itertools.chain(*await _directly(world, replace(job, pages=99)))]
                records = [*itertools.chain(*pages)]
                assert records == (whole if job.pages == 99 else whole[: len(records)]), job

    world.loop.run_until_complete(held())


@given(groups=together)
@settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
def test_records_are_those_of_a_direct_crawl(world: World, groups: list[tuple[bool, list[Job]]]) -> None:
    _hold(world, groups)


@given(groups=upset)
@settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
def test_records_are_those_of_a_direct_crawl_whatever_goes_wrong_meanwhile(
    world: World, groups: list[tuple[bool, list[Job]]]
) -> None:
    _hold(world, groups)


@pytest.mark.long
@pytest.mark.timeout(4 * 3_600)
@given(groups=together)
@settings(max_examples=5_000, suppress_health_check=list(HealthCheck), deadline=None)
def test_records_are_those_of_a_direct_crawl_in_thousands_of_orders(
    world: World, groups: list[tuple[bool, list[Job]]]
) -> None:
    _hold(world, groups)


@pytest.mark.long
@pytest.mark.timeout(4 * 3_600)
@given(groups=upset)
@settings(max_examples=2_000, suppress_health_check=list(HealthCheck), deadline=None)
def test_records_are_those_of_a_direct_crawl_in_thousands_of_troubles(
    world: World, groups: list[tuple[bool, list[Job]]]
) -> None:
    _hold(world, groups)
