"""What each step of reuse saves, and that it changes nothing else: counted by the platform itself."""

import json
from asyncio import Event, create_task, gather, sleep
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.cache.shelf import Lacking
from app.cache.steering import read_cache_control
from app.calls import Call, Delivered, SearchOver, TurnedDown
from app.errors import InvalidParams
from app.fetching import WARM_UP_WAITS_S, Upstream
from app.provider.answers import Failure, UpstreamReply
from app.simulator.dataset import MUSIC_IDS, username
from app.storage.engines import SqliteDatabase
from tests.servers.library import Library, Platform, opened_library

pytestmark = pytest.mark.anyio
PEOPLE = {"elections": ["ada", "ben"], "climate": ["cleo"]}
QUESTION: Mapping[str, Any] = {
    "query": {"and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE"]}]},
    "start_date": "20261001",
    "end_date": "20261007",
}


@pytest.fixture
async def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Library]:
    monkeypatch.setattr("app.bootstrap.WARM_UP_WAITS_S", ())
    async with opened_library(tmp_path, projects=PEOPLE, platform=Platform(videos=40_000)) as opened:
        yield opened


async def ask(
    library: Library, who: str = "ada", *, fields: str = "id,username", **changes: Any
) -> tuple[Delivered, dict[str, Any]]:
    answer = await library.ask(who, "video/query", fields.split(","), {**QUESTION, **changes})
    assert isinstance(answer, Delivered), answer
    return answer, json.loads(answer.data)


def cost(answer: Delivered | TurnedDown) -> tuple[int, int]:
    return answer.cost.requests, answer.cost.records


async def test_pages_of_twenty_cost_one_request_a_hundred_records(library: Library) -> None:
    first, data = await ask(library)
    assert (cost(first), first.how, len(data["videos"])) == ((1, 100), "miss", 20)
    for place in (20, 40, 60, 80):
        answer, data = await ask(library, "ben", cursor=place, search_id=data["search_id"])
        assert (answer.how, answer.detail, cost(answer)) == ("hit", "slice", (0, 0))
        assert data["cursor"] == place + 20
    assert library.platform.requests() == 1
    answer, _ = await ask(library, cursor=100, search_id=data["search_id"])
    assert (answer.how, cost(answer)) == ("miss", (1, 100))


async def test_a_page_across_two_parts_costs_what_both_cost(library: Library) -> None:
    answer, data = await ask(library, max_count=70)
    answer, data = await ask(library, max_count=70, cursor=70, search_id=data["search_id"])
    assert (cost(answer), len(data["videos"]), data["cursor"]) == ((1, 100), 70, 140)
    answer, data = await ask(library, "cleo", max_count=50, cursor=80)
    assert (cost(answer), len(data["videos"]), data["cursor"]) == ((2, 200), 50, 130)


async def test_every_first_page_of_a_question_joins_the_same_search(library: Library) -> None:
    _, one = await ask(library, max_count=20)
    _, other = await ask(library, "ben", max_count=50, fields="username")
    assert one["search_id"] == other["search_id"]
    assert library.platform.requests() == 1


async def test_no_more_is_looked_up_for_a_search_that_begins_than_can_be_held(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(library)
    read, looks = SqliteDatabase.read, list[object]()

    async def counted(database: SqliteDatabase, work: Any) -> Any:
        looks.append(work)
        return await read(database, work)

    monkeypatch.setattr(SqliteDatabase, "read", counted)
    answer, _ = await ask(library, start_date="20261002")
    # For its listing, for the very answer, and for a wider search; of a new listing nothing can be held.
    assert (answer.how, len(looks)) == ("miss", 3)


async def test_fewer_fields_are_cut_out_of_more_as_the_platform_gave_them(library: Library) -> None:
    await ask(library, fields="id,username,view_count,create_time", max_count=100)
    answer, data = await ask(library, fields="view_count,id", max_count=100)
    direct = await library.platform.ask("video/query", ["id", "view_count"], {**QUESTION, "max_count": 100})
    assert (answer.how, answer.detail) == ("hit", "fields")
    assert json.dumps(data["videos"]) == json.dumps(direct.json()["data"]["videos"])


async def test_fields_that_came_before_are_fetched_with_the_next_question(library: Library) -> None:
    await ask(library, fields="id,username,view_count")
    await ask(library, "cleo", fields="id,create_time", end_date="20261003")
    answer, data = await ask(library, "cleo", fields="username,view_count", end_date="20261003")
    assert (answer.how, cost(answer)) == ("hit", (0, 0))
    assert set(data["videos"][0]) == {"username", "view_count"}
    assert library.platform.sent[-1][1] == "fields=create_time,id,username,view_count"


async def test_no_field_is_fetched_that_the_project_is_not_approved_for(tmp_path: Path) -> None:
    allow = {"fields": {"video/query": ["id", "view_count"]}}
    async with opened_library(
        tmp_path, projects=PEOPLE, platform=Platform(videos=40_000), allow=allow
    ) as library:
        await library.installation.gateway._upstream._fields.learn(  # as if another project had been given it
            (await _credential(library)), "video/query", good=frozenset({"create_time", "view_count"})
        )
        await ask(library, fields="id")
        assert library.platform.sent[-1][1] == "fields=id,view_count"


async def test_fields_that_a_project_may_have_no_longer_are_fetched_for_it_no_more(library: Library) -> None:
    await ask(library, fields="id,username,view_count")
    allowed = {"fields": {"video/query": ["id", "username", "like_count"]}}
    await library.change(lambda state: [each.update(allow=allowed) for each in state["projects"]])
    answer, _ = await ask(library, fields="id,like_count")
    assert (answer.how, cost(answer)[0]) == ("miss", 1)
    assert library.platform.sent[-1][1] == "fields=id,like_count,username"


async def test_a_search_that_another_account_began_is_not_asked_for(library: Library) -> None:
    _, first = await ask(library, max_count=100)

    def move(state: dict[str, Any]) -> None:
        other = {"name": "other", "client_key": "another", "client_secret_file": "secret"}
        state["credentials"].append({**state["credentials"][0], **other})
        for each in state["projects"]:
            each["credential"] = "other"

    await library.change(move)
    began = len(library.platform.sent)
    on = {"cursor": first["cursor"], "search_id": first["search_id"]}
    answer, second = await ask(library, max_count=100, **on)
    assert (answer.how, cost(answer)[0]) == ("miss", 1)
    assert [json.loads(body).get("search_id") for _, _, body in library.platform.sent[began:]] == [None]
    assert not {each["id"] for each in first["videos"]} & {each["id"] for each in second["videos"]}


@pytest.mark.parametrize("cache_control", ["", "no-cache"])
async def test_an_answer_of_two_parts_tells_what_it_cost_though_the_directory_changes_in_between(
    library: Library, monkeypatch: pytest.MonkeyPatch, cache_control: str
) -> None:
    _, first = await ask(library, fields="id")
    sent, fetch = len(library.platform.sent), library.platform.fetch

    async def fetch_while_somebody_joins(*args: Any, **more: Any) -> UpstreamReply:
        reply = await fetch(*args, **more)
        if len(library.platform.sent) == sent + 1:
            new = {"email": "new@example.edu", "name": "New", "roles": ["researcher"]}
            await library.change(lambda state: state["people"].append(new))
        return reply

    monkeypatch.setattr(library.platform, "fetch", fetch_while_somebody_joins)
    on = {"cursor": 60, "max_count": 100, "search_id": first["search_id"]}
    steering = read_cache_control(cache_control.encode())
    answer = await library.ask(
        "ada", "video/query", ["id", "view_count"], {**QUESTION, **on}, steering=steering
    )
    assert isinstance(answer, Delivered)
    assert len(library.platform.sent) == sent + 2
    assert answer.cost.requests == 2


async def _credential(library: Library) -> str:
    caller = await library.installation.bearers.caller(f"Bearer {library.keys['ada']}", source="")
    return caller.credential


async def test_a_field_that_the_platform_gives_no_longer_costs_one_more_request_once(
    library: Library,
) -> None:
    await library.installation.gateway._upstream._fields.learn(
        (await _credential(library)), "video/query", good=frozenset({"favourites_count"})
    )
    answer, data = await ask(library, fields="id")
    assert (cost(answer), len(data["videos"])) == ((2, 100), 20)
    answer, _ = await ask(library, fields="id", end_date="20261003")
    assert cost(answer)[0] == 1


async def test_a_profile_answers_for_any_of_its_fields(library: Library) -> None:
    asked = {"username": username(library.platform.state.dataset.authors[0])}
    await library.ask("ada", "user/info", ["display_name", "follower_count"], asked)
    answer = await library.ask("ben", "user/info", ["follower_count"], asked)
    direct = await library.platform.ask("user/info", ["follower_count"], asked)
    assert isinstance(answer, Delivered)
    assert (answer.how, json.loads(answer.data)) == ("hit", direct.json()["data"])


async def test_where_a_full_page_has_no_room_the_page_asked_for_is_fetched(tmp_path: Path) -> None:
    limits = {"requests/day": 100, "records/day": 130}
    async with opened_library(
        tmp_path, projects=PEOPLE, platform=Platform(videos=40_000), limits=limits
    ) as library:
        answer, data = await ask(library)
        assert cost(answer) == (1, 100)
        answer, data = await ask(library, "cleo", max_count=30)
        assert (cost(answer), len(data["videos"])) == ((1, 30), 30)


async def _crawl(
    library: Library, *, place: int, search_id: str, size: int = 100, until: int | None = None
) -> list[int]:
    """The ids of all records from a place of a search on, to its end or as far as that."""
    found, has_more = list[int](), True
    while has_more and place != until:
        _, data = await ask(library, max_count=size, cursor=place, search_id=search_id)
        found += [video["id"] for video in data["videos"]]
        place, has_more = data["cursor"], data["has_more"]
    return found


async def test_a_search_that_is_over_goes_on_under_a_new_one_without_a_record_twice(library: Library) -> None:
    everything = await _directly(library)
    _, data = await ask(library, max_count=100)
    library.platform.state.searches.forget()
    library.platform.state.searches.ttl_s = 0.0
    answer, onward = await ask(library, max_count=100, cursor=100, search_id=data["search_id"])
    assert (cost(answer)[0], onward["search_id"]) == (2, data["search_id"])
    assert [video["id"] for each in (data, onward) for video in each["videos"]] == everything[:190]
    assert await _crawl(library, place=200, search_id=data["search_id"]) == everything[190:]


@pytest.mark.parametrize(
    ("vanished", "tries", "size"), [(9, 1, 70), (10, 2, 100), (100, 3, 70), (189, 3, 100)]
)
async def test_a_restarted_search_misses_nothing_where_records_have_vanished(
    library: Library, vanished: int, tries: int, size: int
) -> None:
    everything = await _directly(library)
    _, data = await ask(library, max_count=100)
    _, data = await ask(library, max_count=100, cursor=100, search_id=data["search_id"])
    library.platform.delete(everything[200 - vanished : 200])
    library.platform.state.searches.forget()
    answer, onward = await ask(library, max_count=size, cursor=200, search_id=data["search_id"])
    assert cost(answer)[0] == 1 + tries
    found = await _crawl(library, place=onward["cursor"], search_id=data["search_id"], size=size)
    assert [video["id"] for video in onward["videos"]] + found == everything[200:]


async def test_what_vanishes_near_the_end_leaves_the_end_of_a_restarted_search(library: Library) -> None:
    everything = await _directly(library)
    size = len(everything) - len(everything) % 100
    _, data = await ask(library, max_count=100)
    await _crawl(library, place=100, search_id=data["search_id"], until=size)
    library.platform.delete([*everything[size - 150 : size - 40], *everything[size:-5]])
    library.platform.state.searches.forget()
    assert await _crawl(library, place=size, search_id=data["search_id"]) == everything[-5:]


async def test_a_restarted_search_that_joins_nowhere_is_refused_in_the_platforms_words(
    library: Library,
) -> None:
    everything = await _directly(library)
    _, data = await ask(library, max_count=100)
    for place in (100, 200):
        _, data = await ask(library, max_count=100, cursor=place, search_id=data["search_id"])
    library.platform.delete(everything[50:300])
    library.platform.state.searches.forget()
    more = {**QUESTION, "max_count": 100, "cursor": 300, "search_id": data["search_id"]}
    for _ in range(2):
        answer = await library.ask("ada", "video/query", ["id", "username"], more)
        assert isinstance(answer, TurnedDown)
        assert isinstance(answer.error, SearchOver)
        assert answer.error.message == f"Search Id {data['search_id']} is invalid or expired"
        assert answer.cost.requests == 4
        assert (await library.entries())[-1]["type"] == "decision"
    first, anew = await ask(library, "ben", max_count=100)
    assert (first.how, anew["search_id"] == data["search_id"]) == ("miss", False)
    assert [video["id"] for video in anew["videos"]] == [*everything[:50], *everything[300:350]]


async def test_parts_from_before_a_search_was_restarted_are_not_asked_of_the_new_one(
    library: Library,
) -> None:
    _, first = await ask(library, fields="id", max_count=100)
    _, data = await ask(library, fields="id", max_count=100, cursor=100, search_id=first["search_id"])
    library.platform.delete([video["id"] for video in data["videos"][:5]])
    library.platform.state.searches.forget()
    await ask(library, fields="id", max_count=100, cursor=200, search_id=first["search_id"])
    more = {**QUESTION, "max_count": 100, "cursor": 100, "search_id": first["search_id"]}
    answer = await library.ask("ben", "video/query", ["id", "region_code"], more)
    assert isinstance(answer, TurnedDown)
    assert isinstance(answer.error, SearchOver)
    assert cost(answer) == (0, 0)


async def test_a_client_within_a_part_that_is_gone_is_not_taken_on_by_another_search(
    library: Library,
) -> None:
    _, data = await ask(library, max_count=100)
    library.platform.state.searches.forget()
    more = {**QUESTION, "max_count": 20, "cursor": 140, "search_id": data["search_id"]}
    answer = await library.ask("ada", "video/query", ["id", "username"], more)
    assert isinstance(answer, TurnedDown)
    assert isinstance(answer.error, Failure)
    assert answer.error.message == f"Search Id {data['search_id']} is invalid or expired"
    # Begun again it goes on: what was held of it is joined to a new search.
    first, data = await ask(library, max_count=100)
    found = [each["id"] for each in data["videos"]]
    while data["has_more"]:
        _, data = await ask(library, max_count=100, cursor=data["cursor"], search_id=data["search_id"])
        found += [each["id"] for each in data["videos"]]
    assert (first.how, found) == ("hit", await _directly(library))


async def test_a_search_that_the_platform_does_not_know_yet_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, waited = Platform(videos=40_000), list[float]()
    searches = platform.state.searches

    async def wait(seconds: float) -> None:
        if seconds in WARM_UP_WAITS_S:
            waited.append(seconds)
            searches.warmup_s = 0.0
        else:
            await sleep(seconds)

    async with opened_library(tmp_path, projects=PEOPLE, platform=platform) as library:
        _, data = await ask(library, max_count=100)
        searches.warmup_s = 3_600.0
        monkeypatch.setattr("app.fetching.asyncio.sleep", wait)
        answer, onward = await ask(library, max_count=100, cursor=100, search_id=data["search_id"])
        assert (cost(answer), waited) == ((2, 100), [5.0])
        assert [video["id"] for video in onward["videos"]] == (await _directly(library))[100:200]


async def test_the_log_says_what_was_asked_for_beyond_the_call(library: Library) -> None:
    answer, _ = await ask(library, max_count=20)
    leaves = await library.entries()
    intent, outcome = leaves[-2:]
    assert (intent["type"], outcome["type"]) == ("intent", "outcome")
    assert outcome["id"] == answer.receipt.id
    assert outcome["page"] == {"cursor": 0, "size": 20}
    assert (
        intent["sent"]
        == outcome["sent"]
        == {"fields": ["id", "username"], "page": {"cursor": 0, "size": 100}}
    )


async def test_what_is_held_of_one_project_is_nothing_to_another(library: Library) -> None:
    await ask(library, "ada")
    answer, _ = await ask(library, "cleo")
    assert (answer.how, library.platform.requests()) == ("miss", 2)


@pytest.mark.parametrize("step", ["full-pages", "wide-fields"])
async def test_a_step_that_is_left_out_is_not_taken(tmp_path: Path, step: str) -> None:
    platform = Platform(videos=40_000)
    async with opened_library(tmp_path, projects=PEOPLE, platform=platform, reuse_without=step) as library:
        await ask(library, fields="username,view_count", end_date="20261003")
        answer, _ = await ask(library, fields="id")
        assert cost(answer) == ((1, 20) if step == "full-pages" else (1, 100))
        assert platform.sent[-1][1] == "fields=id" if step == "wide-fields" else True


async def _whole(library: Library, **changes: Any) -> None:
    """Hold the question in full, with the fields that tell its records apart."""
    fields = "id,create_time,username,region_code,music_id"
    _, data = await ask(library, fields=fields, max_count=100, **changes)
    while data["has_more"]:
        onward = {"cursor": data["cursor"], "search_id": data["search_id"]}
        _, data = await ask(library, fields=fields, max_count=100, **changes, **onward)


async def _directly(library: Library, **changes: Any) -> list[int]:
    """All ids that the platform gives."""
    body, found = {**QUESTION, **changes, "max_count": 100}, list[int]()
    while True:
        data = (await library.platform.ask("video/query", ["id"], body)).json()["data"]
        found += [video["id"] for video in data["videos"]]
        if not data["has_more"]:
            return found
        body |= {"cursor": data["cursor"], "search_id": data["search_id"]}


def narrowed_by(field: str, *values: str) -> dict[str, Any]:
    more = {"field_name": field, "operation": "IN", "field_values": list(values)}
    return {"query": {"and": [*QUESTION["query"]["and"], more]}}


@pytest.mark.parametrize(
    "changes",
    [
        {"start_date": "20261003"},
        {"end_date": "20261004"},
        {"start_date": "20261002", "end_date": "20261002"},
        narrowed_by("region_code", "DE"),
        narrowed_by("music_id", *map(str, MUSIC_IDS[:5])),
        {"start_date": "20261003", **narrowed_by("region_code", "US", "FR")},
        narrowed_by("username", "nobody-of-that-name"),
    ],
    ids=str,
)
async def test_a_wider_search_that_is_held_in_full_answers_a_narrower_one(
    library: Library, changes: Mapping[str, Any]
) -> None:
    await _whole(library)
    spent, expected, found = library.platform.requests(), await _directly(library, **changes), list[int]()
    asked: dict[str, Any] = {"max_count": 30, "fields": "id", **changes}
    answer, data = await ask(library, "ben", **asked)
    assert answer.age_s < 300
    while True:
        assert (answer.how, answer.detail, cost(answer)) == ("hit", "contained", (0, 0))
        found += [video["id"] for video in data["videos"]]
        if not data["has_more"]:
            break
        onward = {"cursor": data["cursor"], "search_id": data["search_id"]}
        answer, data = await ask(library, "ben", **asked, **onward)
    assert found == expected
    assert library.platform.requests() == spent
    assert ("search_id" in data) == bool(expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"end_date": "20261008"},
        narrowed_by("hashtag_name", "election"),
        narrowed_by("keyword", "vote"),
        {"query": {"or": QUESTION["query"]["and"]}},
        {"fields": "id,view_count"},
    ],
    ids=str,
)
async def test_what_is_wider_inexact_or_not_held_is_fetched(
    library: Library, changes: Mapping[str, Any]
) -> None:
    await _whole(library)
    answer, _ = await ask(library, **{"start_date": "20261002", **changes})
    assert answer.how == "miss"


async def test_callers_who_ask_the_same_at_once_are_given_one_search(library: Library) -> None:
    asked = {"start_date": "20261003", "end_date": "20261003", **narrowed_by("region_code", "DE")}
    assert 0 < len(await _directly(library, **asked)) <= 100
    spent = library.platform.requests()
    answers = await gather(
        *(
            ask(library, ("ada", "ben")[number % 2], fields="id,create_time", max_count=size, **asked)
            for number in range(20)
            for size in (20, 50, 100)
        )
    )
    assert library.platform.requests() == spent + 1
    assert {answer.detail for answer, _ in answers if answer.how == "hit"} <= {"slice", "exact", "fields"}
    assert len({data["search_id"] for _, data in answers}) == 1


async def test_who_wants_nothing_held_takes_from_nobody_what_is(library: Library) -> None:
    await _whole(library)
    fresh = read_cache_control(b"no-cache")
    body = {**QUESTION, **narrowed_by("username", username(1)), "max_count": 100}
    other = await library.ask("ada", "video/query", ["id", "create_time"], body, steering=fresh)
    assert (isinstance(other, Delivered), other.cost.requests) == (True, 1)
    answer, _ = await ask(library, "ben", fields="id", start_date="20261003")
    assert (answer.how, answer.detail) == ("hit", "contained")


async def test_a_search_that_is_not_held_to_its_end_answers_no_other(library: Library) -> None:
    await ask(library, fields="id,create_time", max_count=100)
    answer, _ = await ask(library, fields="id", start_date="20261003")
    assert answer.how == "miss"


async def test_a_contained_search_goes_on_where_more_fields_are_asked_for_midway(library: Library) -> None:
    await _whole(library)
    expected = await _directly(library, start_date="20261003")
    _, data = await ask(library, fields="id", start_date="20261003", max_count=10)
    onward = {"cursor": 10, "search_id": data["search_id"], "max_count": 10, "start_date": "20261003"}
    answer, data = await ask(library, fields="id,view_count", **onward)
    assert (answer.how, cost(answer)) == ("miss", (1, 100))
    assert [each["id"] for each in data["videos"]] == expected[10:20]
    assert all("view_count" in each for each in data["videos"])


async def _followed(library: Library) -> dict[str, Any]:
    """An account with a few hundred followers."""
    data, accounts = library.platform.state.dataset, library.platform.state.accounts
    number = next(number for number in data.authors if 150 < len(accounts.followers(number)) < 700)
    return {"username": username(number), "max_count": 100}


async def _followers(library: Library, asked: Mapping[str, Any], **more: Any) -> tuple[Delivered, Any]:
    answer = await library.ask("ada", "user/followers", (), asked, **more)
    assert isinstance(answer, Delivered), answer
    return answer, json.loads(answer.data)


async def test_a_list_by_time_is_cut_too_and_goes_on_by_cursors_of_bursars_own(library: Library) -> None:
    asked = await _followed(library)
    first = (await library.platform.ask("user/followers", (), asked)).json()["data"]
    found, small = list[Any](), {**asked, "max_count": 20}
    for _ in range(5):
        answer, given = await _followers(library, small)
        found += given["user_followers"]
        assert 0 <= given["cursor"] < 2**53
        datetime.fromtimestamp(given["cursor"], UTC)  # a date in every calendar that clients have
        small["cursor"] = given["cursor"]
    assert (found, given["cursor"]) == (first["user_followers"], first["cursor"])
    assert library.platform.requests() == 1
    answer, given = await _followers(library, small)
    assert (answer.how, cost(answer)) == ("miss", (1, 100))
    direct = (await library.platform.ask("user/followers", (), small)).json()["data"]
    assert given["user_followers"] == direct["user_followers"]


async def test_nobody_is_missed_or_met_twice_where_somebody_leaves_a_list_by_time_in_mid_crawl(
    library: Library,
) -> None:
    asked = await _followed(library)
    everybody = (await library.platform.ask("user/followers", (), asked)).json()["data"]["user_followers"]
    small, found = {**asked, "max_count": 20}, list[Any]()
    _, given = await _followers(library, small)
    found += given["user_followers"]
    gone = [found[3]["username"], everybody[30]["username"]]
    library.platform.state.delete(videos=(), comments=(), users=gone)
    for _ in range(4):
        # Each page anew: what is held has the two who left.
        small["cursor"] = given["cursor"]
        answer, given = await _followers(library, small, steering=read_cache_control(b"no-cache"))
        assert answer.cost.requests == 1
        found += given["user_followers"]
    assert found == [each for each in everybody if each["username"] != gone[1]]
    _, anew = await _followers(library, asked, steering=read_cache_control(b"no-cache"))
    assert anew["user_followers"][:98] == [each for each in everybody if each["username"] not in gone]


async def test_a_cursor_into_a_part_that_is_kept_no_longer_is_refused_and_never_sent(
    library: Library,
) -> None:
    asked = await _followed(library)
    for cursor in (1_780_000_000 * 128 + 20, 1_780_000_000_000 * 128 + 20):
        refused = await library.ask("ada", "user/followers", (), {**asked, "cursor": cursor})
        assert isinstance(refused, TurnedDown)
        assert isinstance(refused.error, InvalidParams)
        assert (refused.error.message, cost(refused)) == ("Invalid count or cursor", (0, 0))
    assert library.platform.sent == []


async def test_a_project_leaves_steps_out_for_its_own_calls_alone(tmp_path: Path) -> None:
    projects = {"usual": ["ada"], "pages": ["ben"], "fields": ["cleo"], "searches": ["dora"]}
    reuse: Mapping[str, Any] = {
        "pages": {"without": ["full-pages"]},
        "fields": {"without": ["wide-fields"]},
        "searches": {"without": ["containment", "records"]},
    }
    async with opened_library(
        tmp_path, projects=projects, platform=Platform(videos=20_000), reuse=reuse
    ) as library:
        fields, few = "id,create_time,region_code", {"end_date": "20261003"}
        taken = dict[str, tuple[tuple[int, int], str, str]]()
        for who in ("ada", "ben", "cleo", "dora"):
            first, data = await ask(library, who, fields=fields)
            sent = library.platform.sent[-1][1]
            while data["has_more"]:
                onward = {"cursor": data["cursor"], "search_id": data["search_id"]}
                _, data = await ask(library, who, fields=fields, **onward)
            narrower, _ = await ask(library, who, fields="id", **few)
            taken[who] = (cost(first), sent, narrower.how)
        told = "fields=create_time,id,region_code"
        everything = told + ",username"
        assert taken == {
            "ada": ((1, 100), everything, "hit"),
            "ben": ((1, 20), told, "miss"),
            "cleo": ((1, 100), told, "hit"),
            "dora": ((1, 100), everything, "miss"),
        }


async def test_what_lands_between_a_look_and_a_fetch_is_not_bought_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, goes_on = Upstream.prepare, Event()

    async def held_up(self: Upstream, call: Call, lacking: Lacking) -> Call:
        if call.caller.person == late:
            await goes_on.wait()
        return await prepare(self, call, lacking)

    bearer = library.keys["ben"]
    late = (await library.installation.bearers.caller(f"Bearer {bearer}", source="")).person
    monkeypatch.setattr(Upstream, "prepare", held_up)
    second = create_task(ask(library, "ben"))
    await sleep(0.05)
    first, data = await ask(library)
    goes_on.set()
    answer, same = await second
    assert (first.how, cost(first), answer.how, cost(answer)) == ("miss", (1, 100), "collapsed", (0, 0))
    assert same == data
    assert library.platform.requests() == 1
    # Who has seen it and wants a newer one gets it.
    newer = await library.ask(
        "ada", "video/query", ["id", "username"], QUESTION, steering=read_cache_control(b"no-cache")
    )
    assert cost(newer) == (1, 100)
