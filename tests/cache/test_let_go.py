"""A page is let go in the middle of somebody's crawl, or while it is on its way: nothing is missed, and nothing comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.administration.changes import local_operator
from app.administration.purging import Purge, purge
from app.cache.steering import UNSTEERED, read_cache_control
from app.calls import Delivered, TurnedDown
from app.errors import QuotaExhausted
from app.simulator.dataset import username
from app.storage.purging import SqlHeld
from app.storage.registry import SqlRegistry
from app.storage.tables import HeldPageRow, SearchRow, table
from tests.servers.library import Library, Platform, opened_library

pytestmark = pytest.mark.anyio
_held, _search = table(HeldPageRow), table(SearchRow)

FIELDS = ("id", "username", "create_time")
QUESTION: Mapping[str, Any] = {
    "query": {"and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE"]}]},
    "start_date": "20261001",
    "end_date": "20261005",
    "max_count": 30,
}
NO_STORE = read_cache_control(b"no-store, no-cache")
NO_CACHE = read_cache_control(b"no-cache")


@pytest.fixture
async def library(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Library]:
    # The stand-in forgets searches at once, and none is too new for it.
    monkeypatch.setattr("app.bootstrap.WARM_UP_WAITS_S", ())
    async with opened_library(
        tmp_path,
        projects={"elections": ["ada", "ben"], "climate": ["cleo"]},
        platform=Platform(videos=40_000),
        database_url=database_url,
    ) as opened:
        yield opened


async def given(
    library: Library, endpoint: str, body: Mapping[str, Any], who: str = "ada", **more: Any
) -> tuple[Delivered, Any]:
    fields = FIELDS if endpoint == "video/query" else ()
    answer = await library.ask(who, endpoint, fields, body, **more)
    assert isinstance(answer, Delivered), answer
    return answer, json.loads(answer.data)


async def go_on(library: Library, endpoint: str, asked: dict[str, Any], last: Mapping[str, Any]) -> list[Any]:
    """The records behind that page."""
    found = list[Any]()
    while last["has_more"]:
        asked |= {name: last[name] for name in ("cursor", "search_id") if name in last}
        _, last = await given(library, endpoint, asked)
        found += last["videos" if endpoint == "video/query" else "user_followers"]
    return found


def by_id(*ids: int) -> dict[str, Any]:
    condition = {"field_name": "video_id", "operation": "IN", "field_values": [str(each) for each in ids]}
    return {"query": {"and": [condition]}, "start_date": "20260925", "end_date": "20261020"}


async def everything(library: Library, question: Mapping[str, Any] = QUESTION) -> list[int]:
    """The ids that the platform gives to who asks it directly."""
    found, asked = list[int](), {**question, "max_count": 100}
    while True:
        data = (await library.platform.ask("video/query", FIELDS, asked)).json()["data"]
        found += [each["id"] for each in data["videos"]]
        if not data["has_more"]:
            return found
        asked |= {name: data[name] for name in ("cursor", "search_id")}


async def reported(library: Library, video: int) -> None:
    await given(library, "video/query", by_id(video), who="ben", steering=NO_CACHE)


async def purged(library: Library, video: int) -> None:
    await do_purge(library, record=str(video))


async def do_purge(library: Library, **wanted: str) -> None:
    here = library.installation
    held = SqlHeld(database=here.database, boot=here.boot, pages=here.pages)
    registry = SqlRegistry(database=here.database, boot=here.boot)
    gone = await purge(registry, held, local_operator(7), Purge(**wanted))
    assert gone.pages > 0


@pytest.mark.parametrize("lose", [reported, purged])
@pytest.mark.parametrize("restarts", [False, True])
async def test_a_crawl_goes_on_behind_a_page_that_was_let_go(
    library: Library, lose: Callable[[Library, int], Any], *, restarts: bool
) -> None:
    everyone, asked = await everything(library), dict(QUESTION)
    assert len(everyone) > 250
    _, page = await given(library, "video/query", asked)
    asked |= {name: page[name] for name in ("cursor", "search_id")}
    _, page = await given(library, "video/query", asked)
    # Of the page of a hundred some are behind this client, some ahead; the last is on another.
    vanished = [everyone[3], everyone[10], everyone[70], everyone[95], everyone[110]]
    library.platform.delete(videos=vanished)
    await lose(library, everyone[3])
    if restarts:
        await library.restart()
    spent = library.platform.requests()
    found = [each["id"] for each in await go_on(library, "video/query", asked, page)]
    assert found == [each for each in everyone[60:] if each not in vanished]
    assert library.platform.requests() - spent == -(-len(everyone) // 100)


async def test_a_search_that_is_over_is_joined_behind_a_page_that_was_let_go(library: Library) -> None:
    everyone, asked = await everything(library), {**QUESTION, "max_count": 100}
    _, page = await given(library, "video/query", asked)
    library.platform.delete(videos=[everyone[3]])
    await reported(library, everyone[3])
    library.platform.state.searches.forget()
    found = [each["id"] for each in await go_on(library, "video/query", asked, page)]
    assert found == everyone[100:]


def followed(library: Library) -> tuple[dict[str, Any], int]:
    accounts = library.platform.state.accounts
    number = next(n for n in range(1, 500) if 250 < len(accounts.followers(n)) < 700)
    return {"username": username(number), "max_count": 30}, number


async def test_a_list_by_time_goes_on_behind_a_page_that_was_let_go(library: Library) -> None:
    asked, _ = followed(library)
    direct = (await library.platform.ask("user/followers", (), {**asked, "max_count": 100})).json()["data"]
    names = [each["username"] for each in direct["user_followers"]]
    _, page = await given(library, "user/followers", asked)
    library.platform.state.delete(videos=(), comments=(), users=[names[3], names[40]])
    refused = await library.ask("ben", "user/info", ("display_name",), {"username": names[3]})
    assert isinstance(refused, TurnedDown)
    spent = library.platform.requests()
    found = [each["username"] for each in await go_on(library, "user/followers", asked, page)]
    assert found[:69] == [*names[30:40], *names[41:]]
    assert len(set(found)) == len(found)
    assert library.platform.requests() > spent


@pytest.mark.parametrize("steering", [NO_STORE, NO_CACHE, UNSTEERED])
async def test_a_list_by_time_goes_on_for_who_wants_nothing_kept(library: Library, steering: Any) -> None:
    asked, _ = followed(library)
    direct = (await library.platform.ask("user/followers", (), {**asked, "max_count": 100})).json()["data"]
    _, page = await given(library, "user/followers", asked)
    answer, page = await given(
        library, "user/followers", {**asked, "cursor": page["cursor"]}, steering=steering
    )
    assert page["user_followers"] == direct["user_followers"][30:60]
    assert answer.cost.requests == (0 if steering is UNSTEERED else 1)
    assert answer.is_kept == (steering is not NO_STORE)


class Gate:
    """The platform's next answer, once this is shut, is on its way for as long as somebody likes."""

    def __init__(self, platform: Platform) -> None:
        self._fetch = platform.fetch
        self.has_answered, self.may_land = asyncio.Event(), asyncio.Event()
        self.is_shut = False

    async def fetch(self, credential: Any, query: Any, endpoint: Any, body: Any, *, send_by_s: float) -> Any:
        holds_up, self.is_shut = self.is_shut, False
        reply = await self._fetch(credential, query, endpoint, body, send_by_s=send_by_s)
        if holds_up:
            self.has_answered.set()
            await self.may_land.wait()
        return reply


@pytest.fixture
def gate(library: Library, monkeypatch: pytest.MonkeyPatch) -> Gate:
    found = Gate(library.platform)
    monkeypatch.setattr(library.platform, "fetch", found.fetch)
    return found


@pytest.mark.parametrize("who", ["ada", "cleo"])
async def test_what_was_on_its_way_when_a_video_was_reported_gone_is_not_held_with_it(
    library: Library, gate: Gate, who: str
) -> None:
    everyone = await everything(library)
    asked = {**QUESTION, "max_count": 100}
    gate.is_shut = True
    on_its_way = asyncio.create_task(given(library, "video/query", asked, who=who))
    await gate.has_answered.wait()
    library.platform.delete(videos=[everyone[5]])
    await reported(library, everyone[5])
    gate.may_land.set()
    _, page = await on_its_way
    assert everyone[5] in ids(page["videos"])
    answer, page = await given(library, "video/query", asked, who=who)
    assert (answer.how, answer.cost.requests) == ("miss", 1)
    assert ids(page["videos"]) == [each for each in everyone[:101] if each != everyone[5]][:100]
    # And what was asked for later is held, as ever.
    answer, _ = await given(library, "video/query", asked, who=who)
    assert answer.how == "hit"


async def test_who_wants_nothing_older_does_not_join_a_call_that_was_sent_before(
    library: Library, gate: Gate
) -> None:
    gate.is_shut = True
    first = asyncio.create_task(given(library, "video/query", QUESTION))
    await gate.has_answered.wait()
    await asyncio.sleep(0.01)
    anew = [
        asyncio.create_task(given(library, "video/query", QUESTION, steering=NO_CACHE, who=who))
        for who in ("ada", "ben")
    ]
    await asyncio.sleep(0.05)
    gate.may_land.set()
    await asyncio.gather(first, *anew)
    assert len(library.platform.sent) == 2


def ids(videos: Sequence[Mapping[str, Any]]) -> list[int]:
    return [each["id"] for each in videos]


NARROW: Mapping[str, Any] = {**QUESTION, "start_date": "20261002"}


async def whole(library: Library, question: Mapping[str, Any]) -> list[int]:
    """The ids of a search that is held to its end."""
    _, page = await given(library, "video/query", {**question, "max_count": 100})
    rest = await go_on(library, "video/query", {**question, "max_count": 100}, page)
    return [*ids(page["videos"]), *ids(rest)]


async def crawl(
    library: Library, asked: dict[str, Any], last: Mapping[str, Any], **more: Any
) -> tuple[list[int], list[str]]:
    """The ids behind that page, and how each page was come by."""
    found, ways = list[int](), list[str]()
    while last["has_more"]:
        asked |= {name: last[name] for name in ("cursor", "search_id")}
        answer, last = await given(library, "video/query", asked, **more)
        found += ids(last["videos"])
        ways.append(answer.how)
    return found, ways


@pytest.mark.parametrize("size", [20, 45, 100])
@pytest.mark.parametrize("restarts", [False, True])
async def test_a_search_out_of_a_wider_one_goes_on_when_that_was_let_go(
    library: Library, size: int, *, restarts: bool
) -> None:
    assert len(await whole(library, QUESTION)) > 250
    expected = await everything(library, NARROW)
    asked = {**NARROW, "max_count": size}
    answer, page = await given(library, "video/query", asked)
    assert answer.detail == "contained"
    asked |= {name: page[name] for name in ("cursor", "search_id")}
    _, page = await given(library, "video/query", asked)
    # Of the page that the client is in, of what it has had, and of what it will not have any more.
    vanished = [expected[2], expected[2 * size - 2], expected[2 * size + 5], expected[-3]]
    library.platform.delete(videos=vanished)
    for each in vanished[:3]:
        await reported(library, each)
    if restarts:
        await library.restart()
    found, ways = await crawl(library, asked, page)
    assert found == [each for each in expected[2 * size :] if each not in vanished]
    assert ways[0] == "miss"


@pytest.mark.parametrize("size", [20, 45, 100])
async def test_a_search_out_of_a_wider_one_goes_on_for_who_wants_something_fresher(
    library: Library, size: int
) -> None:
    await whole(library, QUESTION)
    expected = await everything(library, NARROW)
    asked = {**NARROW, "max_count": size}
    _, page = await given(library, "video/query", asked)
    # Everything anew, so also the page at which the two searches were joined.
    found, ways = await crawl(library, asked, page, steering=NO_CACHE)
    assert found == expected[size:]
    assert not {"hit"} & set(ways)


async def test_a_search_out_of_a_wider_one_is_begun_again_for_who_wants_nothing_kept(
    library: Library,
) -> None:
    await whole(library, QUESTION)
    expected = await everything(library, NARROW)
    asked = {**NARROW, "max_count": 45}
    _, page = await given(library, "video/query", asked)
    onward = {**asked, **{name: page[name] for name in ("cursor", "search_id")}}
    refused = await library.ask("ada", "video/query", FIELDS, onward, steering=NO_STORE)
    assert isinstance(refused, TurnedDown)
    assert refused.error.message == f"Search Id {page['search_id']} is invalid or expired"
    assert refused.cost.requests == 0
    _, page = await given(library, "video/query", asked, steering=NO_STORE)
    found, _ = await crawl(library, asked, page, steering=NO_STORE)
    assert [*ids(page["videos"]), *found] == expected


@pytest.mark.parametrize("size", [60, 100])
async def test_a_page_of_two_joined_searches_is_right_for_who_wants_nothing_kept(
    library: Library, size: int
) -> None:
    expected, asked = await everything(library), {**QUESTION, "max_count": size}
    _, page = await given(library, "video/query", asked)
    found = ids(page["videos"])
    for step in range(8):
        if step == 1:
            library.platform.state.searches.forget()
        asked |= {name: page[name] for name in ("cursor", "search_id")}
        steering = NO_STORE if step > 2 else UNSTEERED
        _, page = await given(library, "video/query", asked, steering=steering)
        found += ids(page["videos"])
        if not page["has_more"]:
            break
    assert found == expected[: len(found)]
    assert len(found) > 250


async def age(library: Library, hours: int) -> None:
    """Have everything that is held, and the searches, be so much older."""
    ago_us = hours * 3_600_000_000

    def write(conn: Any) -> None:
        conn.execute(sa.update(_held).values(fetched_us=_held.c.fetched_us - ago_us))
        ends = {"created_us": _search.c.created_us - ago_us, "expires_us": _search.c.expires_us - ago_us}
        conn.execute(sa.update(_search).values(**ends))

    await library.installation.database.write(write)
    library.installation.pages.forget()


async def test_a_search_that_is_held_to_its_end_is_paged_when_the_platform_has_long_forgotten_it(
    tmp_path: Path,
) -> None:
    lasts = {"lifetimes": {"default": 432_000}, "recent_lifetimes": {"default": 432_000}}
    opened = opened_library(
        tmp_path,
        projects={"elections": ["ada", "ben"]},
        platform=Platform(videos=40_000),
        reuse={"elections": lasts},
    )
    async with opened as library:
        everyone = await whole(library, QUESTION)
        await age(library, 25)
        library.platform.state.searches.forget()
        spent, asked = library.platform.requests(), dict(QUESTION)
        answer, page = await given(library, "video/query", asked)
        found, ways = await crawl(library, asked, page)
        assert ({answer.how, *ways}, [*ids(page["videos"]), *found]) == ({"hit"}, everyone)
        assert library.platform.requests() == spent
        # And where a page has gone, a search begins anew without the old one being tried.
        await do_purge(library, record=str(everyone[-1]))
        spent, asked = library.platform.requests(), {**QUESTION, "max_count": 100}
        _, page = await given(library, "video/query", asked)
        found, _ = await crawl(library, asked, page)
        assert [*ids(page["videos"]), *found] == everyone


@pytest.mark.parametrize("more", ["fields", "let go"])
async def test_who_leaves_a_made_search_where_others_have_left_it_is_given_what_they_lack(
    library: Library, more: str
) -> None:
    await whole(library, QUESTION)
    expected = await everything(library, NARROW)
    asked = {**NARROW, "max_count": 45}
    _, page = await given(library, "video/query", asked)
    library.platform.delete(videos=[expected[2], expected[60]])
    await reported(library, expected[2])
    asked |= {name: page[name] for name in ("cursor", "search_id")}
    await given(library, "video/query", asked)
    if more == "let go":
        library.platform.delete(videos=[expected[50]])
        await reported(library, expected[50])
    spent = library.platform.requests()
    fields = [*FIELDS, *(["view_count"] if more == "fields" else [])]
    answer = await library.ask("ben", "video/query", fields, asked)
    assert isinstance(answer, Delivered)
    gone = {expected[60], *([expected[50]] if more == "let go" else [])}
    found = ids(json.loads(answer.data)["videos"])
    assert found == [each for each in expected[45:] if each not in gone][: len(found)]
    assert len(found) >= 43
    assert answer.cost.requests == library.platform.requests() - spent == 1


@pytest.mark.parametrize("steering", [NO_CACHE, UNSTEERED])
async def test_a_list_without_searches_goes_on_in_its_places(library: Library, steering: Any) -> None:
    data = library.platform.state.dataset
    place = next(place for place in range(2_000) if 150 < data.comments[place] < 400)
    body = {"video_id": data.ids[place], "max_count": 30}
    fields = ("id", "text")
    everyone = list[int]()
    asked: dict[str, Any] = {**body, "max_count": 100}
    while True:
        page = (await library.platform.ask("video/comment/list", fields, asked)).json()["data"]
        everyone += ids(page["comments"])
        if not page["has_more"]:
            break
        asked |= {"cursor": page["cursor"]}
    asked, found = dict(body), list[int]()
    vanished = [everyone[3], everyone[10], everyone[70]]
    while True:
        answer = await library.ask("ada", "video/comment/list", fields, asked, steering=steering)
        assert isinstance(answer, Delivered)
        page = json.loads(answer.data)
        found += ids(page["comments"])
        if not page["has_more"]:
            break
        if len(found) == 30:
            library.platform.state.delete(videos=(), comments=vanished, users=())
            await do_purge(library, record=str(everyone[3]))
        asked |= {"cursor": page["cursor"]}
    assert found == [each for each in everyone if each not in vanished or each in found[:30]]
    # Whoever comes after that finds all of it.
    spent = library.platform.requests()
    assert isinstance(await library.ask("ben", "video/comment/list", fields, asked), Delivered)
    assert library.platform.requests() == spent


async def test_what_was_on_its_way_at_a_purge_is_not_held(library: Library, gate: Gate) -> None:
    everyone = await everything(library)
    await given(library, "video/query", by_id(everyone[5]), who="ben")
    gate.is_shut = True
    on_its_way = asyncio.create_task(given(library, "video/query", QUESTION))
    await gate.has_answered.wait()
    await do_purge(library, record=str(everyone[5]))
    gate.may_land.set()
    await on_its_way
    answer, _ = await given(library, "video/query", QUESTION)
    assert answer.how == "miss"


async def test_those_who_leave_a_made_search_at_one_place_share_the_new_one(library: Library) -> None:
    await whole(library, QUESTION)
    expected = await everything(library, NARROW)
    asked = {**NARROW, "max_count": 45}
    _, page = await given(library, "video/query", asked)
    library.platform.delete(videos=[expected[2]])
    await reported(library, expected[2])
    asked |= {name: page[name] for name in ("cursor", "search_id")}
    spent = library.platform.requests()
    answers = await asyncio.gather(
        *(given(library, "video/query", asked, who=who) for who in ("ada", "ben") for _ in range(5))
    )
    answers.append(await given(library, "video/query", asked, who="ben"))
    assert [ids(page["videos"]) for _, page in answers] == [expected[45:90]] * 11
    assert len({page["search_id"] for _, page in answers}) == 1
    assert library.platform.requests() == spent + 1


async def test_a_search_of_which_nobody_knows_what_its_client_had_is_over(library: Library) -> None:
    await whole(library, QUESTION)
    _, page = await given(library, "video/query", NARROW)
    await do_purge(library, endpoint="video/query")
    asked = {**NARROW, **{name: page[name] for name in ("cursor", "search_id")}}
    spent = library.platform.requests()
    refused = await library.ask("ada", "video/query", FIELDS, asked)
    assert isinstance(refused, TurnedDown)
    assert refused.error.message == f"Search Id {page['search_id']} is invalid or expired"
    assert library.platform.requests() == spent


async def test_a_page_at_which_two_searches_were_joined_is_fetched_anew_without_those_before(
    library: Library,
) -> None:
    expected, asked = await everything(library), {**QUESTION, "max_count": 100}
    _, page = await given(library, "video/query", asked)
    library.platform.state.searches.forget()
    asked |= {name: page[name] for name in ("cursor", "search_id")}
    _, joined = await given(library, "video/query", asked)
    assert ids(joined["videos"]) == expected[100:190]
    _, anew = await given(library, "video/query", asked, steering=NO_CACHE)
    assert ids(anew["videos"]) == expected[100:190]
    found, _ = await crawl(library, asked, anew)
    assert found == expected[190:]


async def test_an_answers_age_counts_from_when_the_platform_was_asked(library: Library, gate: Gate) -> None:
    gate.is_shut = True
    asking = asyncio.create_task(given(library, "video/query", QUESTION))
    await gate.has_answered.wait()
    await asyncio.sleep(1.1)
    gate.may_land.set()
    first, _ = await asking
    second, _ = await given(library, "video/query", QUESTION)
    assert (first.how, second.how) == ("miss", "hit")
    assert 1 <= first.age_s <= second.age_s


async def test_no_record_comes_twice_where_the_platform_keeps_back_some_of_each_page(
    library: Library,
) -> None:
    state = library.platform.state
    state.knobs = replace(state.knobs, short_page_p=1.0)
    asked, found = {**QUESTION, "max_count": 20}, list[int]()
    while True:
        _, page = await given(library, "video/query", asked, steering=NO_CACHE)
        found += [each["id"] for each in page["videos"]]
        if not page["has_more"]:
            break
        asked |= {name: page[name] for name in ("cursor", "search_id")}
    assert len(found) == len(set(found)) > 40


async def test_a_place_within_a_page_that_came_short_is_not_asked_for_as_the_platforms(
    tmp_path: Path,
) -> None:
    question = {**QUESTION, "end_date": "20261012", "max_count": 20}
    async with opened_library(
        tmp_path,
        projects={"elections": ["ada"]},
        platform=Platform(videos=20_000),
        limits={"requests/day": 100, "records/day": 250},
    ) as library:
        there = await everything(library, question)
        assert len(there) > 200
        asked, found = dict(question), list[int]()
        _, page = await given(library, "video/query", asked)
        # Their places stay empty, so what follows has other places here than there.
        library.platform.delete(there[103:113])
        found += [each["id"] for each in page["videos"]]
        while len(found) < 140:
            asked |= {name: page[name] for name in ("cursor", "search_id")}
            _, page = await given(library, "video/query", asked)
            found += [each["id"] for each in page["videos"]]
        assert found == [*there[:103], *there[113:150]]
        asked |= {name: page[name] for name in ("cursor", "search_id")}
        # A full page with another field has no room, and a small one would begin elsewhere.
        refused = await library.ask("ada", "video/query", (*FIELDS, "view_count"), asked)
        assert isinstance(refused, TurnedDown)
        assert isinstance(refused.error, QuotaExhausted)
        _, page = await given(library, "video/query", asked)
        assert [each["id"] for each in page["videos"]] == there[150:170]
