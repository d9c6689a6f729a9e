"""Look-ups of videos by their ids, answered out of the records of other searches where that is exact."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.cache.containment import look_up_of
from app.cache.steering import read_cache_control
from app.calls import Delivered
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from tests.servers.library import Library, Platform, opened_library

pytestmark = pytest.mark.anyio
PEOPLE = {"elections": ["ada", "ben"], "climate": ["cleo"], "plain": ["pia"]}
REUSE = {"plain": {"without": ["records"]}}
ALL = "id,create_time,username,region_code,music_id,view_count"
DAYS = {"start_date": "20260925", "end_date": "20261020"}
SEARCH: dict[str, Any] = {
    "query": {"and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE"]}]},
    "start_date": "20261001",
    "end_date": "20261007",
    "max_count": 100,
}


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with opened_library(
        tmp_path, projects=PEOPLE, platform=Platform(videos=40_000), reuse=REUSE
    ) as opened:
        yield opened


def by_id(ids: Sequence[int], *more: dict[str, Any], **changes: Any) -> dict[str, Any]:
    named = {"field_name": "video_id", "operation": "IN", "field_values": [str(each) for each in ids]}
    return {"query": {"and": [named, *more]}, **DAYS, **changes}


def also(name: str, *values: str) -> dict[str, Any]:
    return {"field_name": name, "operation": "IN", "field_values": list(values)}


async def ask(
    library: Library, body: dict[str, Any], *, fields: str = "id,view_count", who: str = "ada", **more: Any
) -> tuple[Delivered, dict[str, Any]]:
    answer = await library.ask(who, "video/query", fields.split(","), body, **more)
    assert isinstance(answer, Delivered), answer
    return answer, json.loads(answer.data)


async def directly(library: Library, body: dict[str, Any], fields: str) -> dict[str, Any]:
    answer = await library.platform.ask("video/query", fields.split(","), body)
    found: dict[str, Any] = answer.json()["data"]
    return found


async def searched(library: Library, who: str = "ada", **changes: Any) -> list[dict[str, Any]]:
    """Records that are held from now on."""
    _, data = await ask(library, {**SEARCH, **changes}, fields=ALL, who=who)
    videos: list[dict[str, Any]] = data["videos"]
    return videos


def like(data: dict[str, Any]) -> dict[str, Any]:
    """An answer without its search id's digits, which are Bursar's own."""
    return {**data, "search_id": "search_id" in data}


async def test_videos_that_are_held_answer_for_their_ids_as_the_platform_would(library: Library) -> None:
    held = await searched(library) + await searched(library, start_date="20261003")
    ids = sorted({held[place]["id"] for place in (70, 3, -1, 31, -20)})
    for fields, size in (("id,view_count", 20), ("id,region_code,username", 2), ("view_count", 3)):
        await _crawls_alike(library, by_id(ids) | {"max_count": size}, fields)


async def _crawls_alike(library: Library, body: dict[str, Any], fields: str) -> None:
    spent = library.platform.requests()
    answer, data = await ask(library, body, fields=fields, who="ben")
    assert (answer.how, answer.detail, library.platform.requests()) == ("hit", "records", spent)
    direct = await directly(library, body, fields)
    assert json.dumps(like(data)) == json.dumps(like(direct))
    while data["has_more"]:
        onward = {"cursor": data["cursor"]}
        answer, data = await ask(library, {**body, **onward, "search_id": data["search_id"]}, fields=fields)
        direct = await directly(library, {**body, **onward, "search_id": direct["search_id"]}, fields)
        assert (answer.how, json.dumps(data["videos"])) == ("hit", json.dumps(direct["videos"]))
        assert data["has_more"] == direct["has_more"]


async def test_an_id_that_is_not_held_is_asked_for_although_the_others_are(library: Library) -> None:
    held = await searched(library)
    unheld = (await directly(library, {**SEARCH, "start_date": "20261008", "end_date": "20261009"}, "id"))[
        "videos"
    ]
    body = by_id([held[0]["id"], unheld[0]["id"]])
    answer, data = await ask(library, body)
    assert (answer.how, answer.cost.requests) == ("miss", 1)
    assert data["videos"] == (await directly(library, body, "id,view_count"))["videos"]
    assert len(data["videos"]) == 2


async def test_days_and_other_exact_conditions_choose_among_them(library: Library) -> None:
    held = await searched(library)
    ids = [each["id"] for each in held[:40]]
    us = also("region_code", "US")
    for body in (
        by_id(ids, us),
        by_id(ids, also("username", held[0]["username"])),
        by_id(ids, start_date="20261006", end_date="20261009"),
        by_id(ids, start_date="20260901", end_date="20260920"),
        by_id(ids, also("video_id", *map(str, ids[5:9]))),
    ):
        direct = await directly(library, body, "id,view_count")
        answer, data = await ask(library, body)
        assert (answer.how, answer.detail) == ("hit", "records"), body
        assert json.dumps(like(data)) == json.dumps(like(direct))
    assert not direct["has_more"]


async def test_the_last_day_counts_only_where_it_has_been_seen_to(library: Library) -> None:
    held = await searched(library)
    newest = held[0]
    day = datetime.fromtimestamp(newest["create_time"], UTC).date()
    assert f"{day:%Y%m%d}" == SEARCH["end_date"]
    on_its_last_day = by_id([newest["id"]], start_date=SEARCH["end_date"], end_date=SEARCH["end_date"])
    answer, data = await ask(library, on_its_last_day)
    assert (answer.how, len(data["videos"])) == ("hit", 1)
    await searched(library, "cleo", start_date="20261001", end_date="20261012", max_count=100)
    _, more = await ask(library, {**SEARCH, "end_date": "20261012"}, fields=ALL, who="cleo")
    old = more["videos"][-1]
    its_day = f"{datetime.fromtimestamp(old['create_time'], UTC):%Y%m%d}"
    assert its_day < "20261012"
    body = by_id([old["id"]], start_date=its_day, end_date=its_day)
    # The page has a record on the last day that it was asked for, which shows that last days are searched.
    answer, _ = await ask(library, body, who="cleo")
    assert answer.how == "hit"


UNTOLD: tuple[dict[str, Any], ...] = (
    {"fields": "id,hashtag_names"},
    {"body": {"is_random": True}},
    {"body": {"unknown": 1}},
    {"more": also("hashtag_name", "election")},
    {"more": also("username", "SOMEBODY")},
    {"group": "or"},
    {"steering": read_cache_control(b"no-cache")},
    {"steering": read_cache_control(b"no-store, max-age=0")},
    {"who": "pia"},
    {"who": "cleo"},
)


async def test_whatever_records_do_not_tell_is_fetched(library: Library) -> None:
    for who in ("ada", "pia"):
        held = await searched(library, who)
    for number, changes in enumerate(UNTOLD):
        more = [changes["more"]] if "more" in changes else []
        body = by_id([held[number]["id"]], *more, **changes.get("body", {}))
        body["query"] = {changes.get("group", "and"): body["query"]["and"]}
        asked = {name: value for name, value in changes.items() if name in {"fields", "who", "steering"}}
        answer, _ = await ask(library, body, **asked)
        assert (answer.how in {"miss", "bypass", "request"}, answer.cost.requests) == (True, 1), changes


async def test_what_has_been_reported_gone_answers_no_look_up(library: Library) -> None:
    held = await searched(library)
    gone, left = held[10]["id"], held[11]["id"]
    answer, _ = await ask(library, by_id([gone]))
    assert answer.how == "hit"
    library.platform.delete([gone])
    answer, data = await ask(library, by_id([gone]), steering=read_cache_control(b"no-cache"))
    assert data["videos"] == []
    answer, data = await ask(library, by_id([gone, left]), who="ben")
    assert (answer.how, [each["id"] for each in data["videos"]]) == ("miss", [left])


async def test_records_past_their_time_answer_no_look_up_and_the_age_is_the_oldest_ones(
    library: Library,
) -> None:
    clock: Any = library.installation.clock
    held = await searched(library)
    clock._offset += timedelta(hours=12)
    newer = await searched(library, start_date="20261008", end_date="20261010")
    answer, _ = await ask(library, by_id([held[3]["id"], newer[3]["id"]]))
    assert (answer.how, answer.age_s // 60) == ("hit", 12 * 60)
    answer, _ = await ask(library, by_id([newer[4]["id"]]))
    assert (answer.how, answer.age_s // 60) == ("hit", 0)
    clock._offset += timedelta(hours=13)
    answer, _ = await ask(library, by_id([held[5]["id"]]))
    assert answer.how == "miss"
    answer, _ = await ask(library, by_id([held[3]["id"], newer[3]["id"]]))
    assert answer.how == "miss"


def test_only_what_records_tell_is_a_look_up() -> None:
    def read(body: dict[str, Any]) -> Any:
        return look_up_of(read_request(ENDPOINTS["video/query"], "fields=id", json.dumps(body).encode()))

    found = read(by_id([7, 5], also("region_code", "US")))
    assert found is not None
    assert (found.ids, found.fields) == ({"5", "7"}, {"id", "create_time", "region_code"})
    assert read(SEARCH) is None
    assert read(by_id([7], also("keyword", "vote"))) is None
