"""Whatever vanishes and is forgotten in mid-crawl: who follows cursor and search id misses no record that is there."""

import asyncio
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from app.cache.steering import UNSTEERED, read_cache_control
from app.calls import Delivered, TurnedDown
from tests.servers.library import Library, Platform, opened_library

_NUMBERS = itertools.count(1)
_CONDITION = {"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE", "FR"]}
_ANEW = read_cache_control(b"no-cache")
_QUESTION: Mapping[str, Any] = {
    "query": {"and": [_CONDITION]},
    "start_date": "20261001",
    "end_date": "20261012",
}


@dataclass(frozen=True)
class Trouble:
    """What happens before a page: some of the records vanish, as shares of all of them, and searches are forgotten.

    `is_reported` says whether one that vanished is looked up, so that no page with it is held any longer, `is_anew`
    whether the client wants the page anew.
    """

    begin: float
    share: float
    is_forgotten: bool
    is_reported: bool
    is_anew: bool


@dataclass(repr=False)
class World:
    library: Library
    loop: asyncio.AbstractEventLoop


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    loop, patch = asyncio.new_event_loop(), pytest.MonkeyPatch()
    patch.setattr("app.bootstrap.WARM_UP_WAITS_S", ())
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        opened = opened_library(Path(home), projects={"elections": ["ada"]}, platform=Platform(videos=40_000))
        library = loop.run_until_complete(opened.__aenter__())
        try:
            yield World(library, loop)
        finally:
            loop.run_until_complete(opened.__aexit__(None, None, None))
            loop.close()
            patch.undo()


troubles = st.one_of(
    st.none(),
    st.builds(
        Trouble,
        begin=st.floats(0, 1),
        share=st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 0.5)),
        is_forgotten=st.booleans(),
        is_reported=st.booleans(),
        is_anew=st.booleans(),
    ),
)


async def _crawl(
    library: Library, question: Mapping[str, Any], size: int, happens: Sequence[Trouble | None]
) -> tuple[list[int], int]:
    """The ids that a client has in the end, and how often it was told to begin again."""
    everything = await _directly(library)
    found, body, again, to_come = list[int](), {**question, "max_count": size}, 0, iter(happens)
    while True:
        trouble = next(to_come, None)
        if trouble is not None:
            begin = int(trouble.begin * len(everything))
            vanished = everything[begin : begin + int(trouble.share * len(everything))]
            library.platform.delete(vanished)
            if trouble.is_reported and vanished:
                await _look_up(library, vanished[0])
            if trouble.is_forgotten:
                library.platform.state.searches.forget()
        steering = _ANEW if trouble is not None and trouble.is_anew else UNSTEERED
        answer = await library.ask("ada", "video/query", ["id"], body, steering=steering)
        if isinstance(answer, TurnedDown):
            assert answer.error.message == f"Search Id {body['search_id']} is invalid or expired"
            found, body, again = [], {**question, "max_count": size}, again + 1
            continue
        assert isinstance(answer, Delivered)
        data = json.loads(answer.data)
        found += [video["id"] for video in data["videos"]]
        if not data["has_more"]:
            return found, again
        body |= {"cursor": data["cursor"], "search_id": data["search_id"]}


async def _look_up(library: Library, video: int) -> None:
    condition = {"field_name": "video_id", "operation": "EQ", "field_values": [str(video)]}
    days = {"start_date": "20260925", "end_date": "20261020"}
    body = {"query": {"and": [condition]}, **days}
    answer = await library.ask("ada", "video/query", ["id"], body, steering=_ANEW)
    assert isinstance(answer, Delivered)
    assert answer.records == 0


async def _directly(library: Library, **narrower: Any) -> list[int]:
    """All ids that the platform has for the question."""
    body, found = {**_QUESTION, **narrower, "max_count": 100}, list[int]()
    while True:
        data = (await library.platform.ask("video/query", ["id"], body)).json()["data"]
        found += [video["id"] for video in data["videos"]]
        if not data["has_more"]:
            return found
        body |= {"cursor": data["cursor"], "search_id": data["search_id"]}


def _hold(world: World, size: int, happens: list[Trouble | None], *, is_made: bool) -> None:
    async def held() -> None:
        library = world.library
        library.platform.restore()
        question = {**_QUESTION, "example": next(_NUMBERS)}
        narrower = {"start_date": "20261002"} if is_made else {}
        if is_made:
            # A search that is held in full, out of which the one of this crawl is answered.
            await _crawl(library, question, 100, ())
        everything = await _directly(library, **narrower)
        found, again = await _crawl(library, {**question, **narrower}, size, happens)
        event(f"begun again: {again}")
        assert again <= len(happens)
        assert [each for each in everything if each in set(found)] == found
        left = set(await _directly(library, **narrower))
        assert left <= set(found)

    world.loop.run_until_complete(held())


_SIZES = st.sampled_from([100, 70, 30])


@given(size=_SIZES, happens=st.lists(troubles, max_size=16), is_made=st.booleans())
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
def test_a_crawl_misses_nothing_that_is_there(
    world: World, size: int, happens: list[Trouble | None], *, is_made: bool
) -> None:
    _hold(world, size, happens, is_made=is_made)


@pytest.mark.long
@pytest.mark.timeout(4 * 3_600)
@given(size=_SIZES, happens=st.lists(troubles, max_size=16), is_made=st.booleans())
@settings(max_examples=2_000, suppress_health_check=list(HealthCheck), deadline=None)
def test_a_crawl_misses_nothing_that_is_there_in_thousands_of_troubles(
    world: World, size: int, happens: list[Trouble | None], *, is_made: bool
) -> None:
    _hold(world, size, happens, is_made=is_made)
