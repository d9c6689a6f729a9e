"""What is purged, or reported gone by the platform, is on no held page any more, in any project or process."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.administration.changes import local_operator
from app.administration.purging import Purge, Purged, look_before_purging, purge, shown_figures
from app.cache.steering import read_cache_control
from app.calls import Delivered, TurnedDown
from app.errors import InvalidParams, NotFound
from app.sealing import MasterKey
from app.simulator.dataset import username
from app.storage.engines import open_database
from app.storage.log import Boot
from app.storage.pages import SqlPages
from app.storage.purging import SqlHeld
from app.storage.registry import SqlRegistry
from tests.servers.library import Library, Platform, opened_library

pytestmark = pytest.mark.anyio
PEOPLE = {"elections": ["ada", "ben"], "climate": ["cleo"]}
ACTOR = local_operator(7)
NO_CACHE = read_cache_control(b"no-cache")


def question(*regions: str, **changes: Any) -> dict[str, Any]:
    values = list(regions or ("US", "DE"))
    return {
        "query": {"and": [{"field_name": "region_code", "operation": "IN", "field_values": values}]},
        "start_date": "20261001",
        "end_date": "20261007",
        **changes,
    }


def by_id(*ids: int) -> dict[str, Any]:
    condition = {"field_name": "video_id", "operation": "IN", "field_values": [str(each) for each in ids]}
    return {"query": {"and": [condition]}, "start_date": "20260925", "end_date": "20261020"}


@pytest.fixture
async def library(tmp_path: Path, database_url: str) -> AsyncIterator[Library]:
    async with opened_library(
        tmp_path, projects=PEOPLE, platform=Platform(videos=40_000), database_url=database_url
    ) as opened:
        yield opened


async def ask(
    library: Library, body: Mapping[str, Any], who: str = "ada", fields: str = "view_count"
) -> tuple[str, list[dict[str, Any]]]:
    """How the answer was come by, and its videos; the id is asked for by nobody, and known all the same."""
    answer = await library.ask(who, "video/query", fields.split(","), body)
    assert isinstance(answer, Delivered), answer
    return answer.how, json.loads(answer.data)["videos"]


async def ask_all(
    library: Library, body: Mapping[str, Any], fields: Sequence[str], **more: Any
) -> dict[str, Any]:
    """Everything that the answer says."""
    answer = await library.ask("ada", "video/query", fields, body, **more)
    assert isinstance(answer, Delivered), answer
    data: dict[str, Any] = json.loads(answer.data)
    return data


async def do_purge(library: Library, **wanted: str) -> Purged:
    """Purged by another process, of which this one is not told."""
    settings = library.installation.settings
    database = open_database(settings.database_url)
    try:
        boot = Boot("office", "1" * 16, library.installation.signer)
        pages = SqlPages(
            database=database,
            master=MasterKey.from_file(settings.master_key_path),
            clock=library.installation.clock,
            max_memory_bytes=0,
        )
        held = SqlHeld(database=database, boot=boot, pages=pages)
        return await purge(SqlRegistry(database=database, boot=boot), held, ACTOR, Purge(**wanted))
    finally:
        await database.close()


async def would_go(library: Library, **wanted: str) -> dict[str, Purged]:
    database = library.installation.database
    boot = library.installation.boot
    held = SqlHeld(database=database, boot=boot, pages=library.installation.pages)
    registry = SqlRegistry(database=database, boot=boot)
    return dict(await look_before_purging(registry, held, ACTOR, Purge(**wanted)))


async def told(library: Library, op: str) -> list[dict[str, Any]]:
    return [each for each in await library.entries() if each.get("op") == op]


async def test_a_video_that_a_look_up_does_not_find_is_on_no_held_page_any_more(library: Library) -> None:
    _, videos = await ask(library, question(), fields="id,view_count")
    await ask(library, question(), "cleo")
    await ask(library, question("FR"))
    gone, kept = videos[3]["id"], videos[4]["id"]
    library.platform.state.delete(videos=[gone], comments=[], users=[])
    assert (await ask(library, question()))[0] == "hit"
    how, found = await ask(library, by_id(gone, kept), fields="id")
    assert (how, [each["id"] for each in found]) == ("miss", [kept])
    assert (await ask(library, by_id(gone, kept), fields="id"))[0] == "hit"
    for who in ("ada", "cleo"):
        how, videos = await ask(library, question(max_count=100), who, fields="id,view_count")
        assert how == "miss"
        assert gone not in {each["id"] for each in videos}
    # What it was not on is held as before.
    assert (await ask(library, question("FR")))[0] == "hit"
    entries = await told(library, "held.deleted")
    assert [(each["pages"], each["decision"]["rule"]) for each in entries] == [(1, "gone-upstream/1")] * 2
    log = await library.entries()
    assert {log[each["outcome_ix"]]["op"] for each in entries} == {"video/query"}
    assert len({each["object"]["id"] for each in entries}) == 2


async def test_a_search_that_leaves_a_video_out_says_nothing_of_it(library: Library) -> None:
    _, videos = await ask(library, question(), fields="id,create_time")
    asked = by_id(videos[0]["id"])
    # Of other days, with a further condition, or on the last day, of which the documents disagree.
    assert (await ask(library, {**asked, "end_date": "20261002"}, fields="id"))[1] == []
    other = {"field_name": "region_code", "operation": "EQ", "field_values": ["FR"]}
    await ask(library, {**asked, "query": {"and": [*asked["query"]["and"], other]}}, fields="id")
    assert (await ask(library, question(), fields="id"))[0] == "hit"
    assert await told(library, "held.deleted") == []


def day_of(video: Mapping[str, Any]) -> str:
    return f"{datetime.fromtimestamp(video['create_time'], UTC):%Y%m%d}"


@pytest.mark.parametrize("shown_by", ["nothing", "a page about it", "its own answer", "a search"])
async def test_a_video_looked_up_on_its_own_day_is_let_go_of_once_last_days_are_seen_to_be_searched(
    library: Library, shown_by: str
) -> None:
    fields, first = ["id", "create_time"], question(max_count=100)
    page = await ask_all(library, first, fields)
    second = {**first, "cursor": page["cursor"], "search_id": page["search_id"]}
    behind = await ask_all(library, second, fields)
    assert day_of(page["videos"][0]) == "20261007"
    video, other = (page if shown_by == "a page about it" else behind)["videos"][:2]
    await library.restart()
    if shown_by == "a search":
        await ask(library, question("FR"), fields="id,create_time")
    library.platform.delete([video["id"]])
    asked = by_id(video["id"], *([other["id"]] if shown_by == "its own answer" else []))
    on_its_day = {**asked, "start_date": day_of(video), "end_date": day_of(video)}
    found = await ask_all(library, on_its_day, fields, steering=NO_CACHE)
    assert video["id"] not in {each["id"] for each in found["videos"]}
    assert len(await told(library, "held.deleted")) == (shown_by != "nothing")


async def test_a_video_looked_up_on_its_own_day_stays_where_last_days_are_not_searched(
    library: Library,
) -> None:
    state = library.platform.state
    state.turn(replace(state.knobs, end_date_is_inclusive=False))
    _, videos = await ask(library, question(max_count=100), fields="id,create_time")
    assert day_of(videos[0]) == "20261006"
    on_its_day = {**by_id(videos[0]["id"]), "start_date": "20261006", "end_date": "20261006"}
    assert (await ask_all(library, on_its_day, ["id"], steering=NO_CACHE))["videos"] == []
    assert (await ask(library, question(max_count=100), fields="id"))[0] == "hit"
    assert await told(library, "held.deleted") == []


async def test_an_account_that_is_gone_takes_its_videos_and_its_profile_along(library: Library) -> None:
    author = library.platform.state.dataset.authors[0]
    name = username(author)
    condition = {"field_name": "username", "operation": "EQ", "field_values": [name]}
    of_author = question(query={"and": [condition]}, start_date="20260921", end_date="20261020")
    await library.ask("ada", "user/info", ["display_name"], {"username": name})
    await ask(library, question("FR"))
    await ask(library, of_author)
    before = {each["endpoint"]: each["pages"] for each in await figures(library)}
    library.platform.state.delete(videos=[], comments=[], users=[name])
    answer = await library.ask("cleo", "user/info", ["display_name"], {"username": name})
    assert isinstance(answer, TurnedDown)
    again = await library.ask("ada", "user/info", ["display_name"], {"username": name})
    assert isinstance(again, TurnedDown)
    assert (await ask(library, of_author))[0] == "miss"
    assert before["user/info"] == 2  # the page, and what names it as the newest
    assert (await told(library, "held.deleted"))[0]["records"] >= 1


async def figures(library: Library) -> list[dict[str, Any]]:
    database = library.installation.database
    registry = SqlRegistry(database=database, boot=library.installation.boot)
    held = SqlHeld(database=database, boot=library.installation.boot, pages=library.installation.pages)
    return shown_figures(await registry.state(), await held.figures())


async def test_purging_takes_what_was_named_and_nothing_else_in_every_process(library: Library) -> None:
    _, videos = await ask(library, question(), fields="id,username")
    await ask(library, question("FR"))
    await ask(library, question(), "cleo")
    assert (await do_purge(library, record=str(videos[0]["id"]))).pages == 2
    assert (await ask(library, question()))[0] == "miss"
    assert (await ask(library, question("FR")))[0] == "hit"
    assert (await do_purge(library, author=videos[0]["username"], project="climate")).pages == 0
    assert (await do_purge(library, author=f"@{videos[0]['username'].upper()}", project="elections")).pages
    assert (await ask(library, question()))[0] == "miss"
    assert (await do_purge(library, project="elections", endpoint="user/info")).pages == 0
    assert (await do_purge(library, endpoint="video/query", project="elections")).pages
    assert (await ask(library, question("FR")))[0] == "miss"
    entries = await told(library, "held.purged")
    assert [each["by"] for each in entries[:2]] == [["record"]] * 2
    assert entries[0]["actor"] == {"kind": "cli", "principal": "os:7", "roles": []}
    assert videos[0]["username"] not in json.dumps(entries)


async def test_what_would_go_is_what_goes(library: Library) -> None:
    _, videos = await ask(library, question(), fields="id,username")
    await ask(library, question("FR"))
    await ask(library, question(), "cleo")
    choices: list[dict[str, str]] = [
        {"record": str(videos[0]["id"]), "endpoint": "video/query"},
        {"author": videos[1]["username"], "project": "climate"},
        {"project": "elections"},
        {"endpoint": "video/query"},
    ]
    for wanted in choices:
        before = await figures(library)
        expected = await would_go(library, **wanted)
        assert await figures(library) == before
        done = await do_purge(library, **wanted)
        assert (done.pages, done.records) == (
            sum(each.pages for each in expected.values()),
            sum(each.records for each in expected.values()),
        )
        assert await would_go(library, **wanted) == {}
    assert {"project:elections", "project:climate"} >= set(expected)
    assert await figures(library) == []


async def test_a_page_of_which_nobody_can_say_what_is_on_it_goes_with_any_name(library: Library) -> None:
    await ask(library, question())
    delete = sa.text("DELETE FROM held_page_tags")
    await library.installation.database.write(lambda conn: conn.execute(delete).rowcount)
    assert (await do_purge(library, record="1")).pages == 1
    assert (await ask(library, question()))[0] == "miss"


async def test_a_narrower_search_that_was_made_of_a_purged_page_goes_with_it(library: Library) -> None:
    wide, fields = question(max_count=100), "id,create_time,username,region_code,music_id"
    while True:
        answer = await library.ask("ada", "video/query", fields.split(","), wide)
        assert isinstance(answer, Delivered)
        data = json.loads(answer.data)
        if not data["has_more"]:
            break
        wide |= {"cursor": data["cursor"], "search_id": data["search_id"]}
    narrow = question(start_date="20261003")
    how, videos = await ask(library, narrow, fields="id")
    assert how == "hit"
    await do_purge(library, record=str(videos[0]["id"]))
    assert (await ask(library, narrow, fields="id"))[0] == "miss"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_purge_says_what_it_wants_and_names_only_what_there_is(library: Library) -> None:
    for wanted in ({}, {"record": " "}):
        with pytest.raises(InvalidParams):
            await do_purge(library, **wanted)
    for wanted in ({"project": "nobody's"}, {"endpoint": "video/all"}):
        with pytest.raises(NotFound):
            await do_purge(library, **wanted)
    assert await told(library, "held.purged") == []
    assert await do_purge(library, record="1") == Purged(pages=0, records=0)
    assert [each["pages"] for each in await told(library, "held.purged")] == [0]
