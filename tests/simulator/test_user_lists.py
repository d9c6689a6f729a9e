from typing import Any

import pytest

from app.simulator.configuration import Knobs
from app.simulator.dataset import REFERENCE_S, create_time
from app.simulator.user_lists import LISTED_FIELDS
from tests.simulator.caller import Caller, message

FIELDS = ",".join(sorted(LISTED_FIELDS))
LIKES, PINS, REPOSTS = "user/liked_videos", "user/pinned_videos", "user/reposted_videos"
FOLLOWERS, FOLLOWING = "user/followers", "user/following"
KEYS = {
    LIKES: "user_liked_videos",
    PINS: "pinned_videos_list",
    REPOSTS: "reposted_videos",
    FOLLOWERS: "user_followers",
    FOLLOWING: "user_following",
}
KIND = {
    LIKES: "likes_public",
    PINS: "with_pins",
    REPOSTS: "reposts_public",
    FOLLOWERS: "with_followers",
    FOLLOWING: "following_public",
}
PAGED = [endpoint for endpoint in KEYS if endpoint != PINS]
IN_TIME = [LIKES, FOLLOWERS, FOLLOWING]


def known(caller: Caller, kind: str) -> list[str]:
    names: list[str] = caller.send("GET", "/_sim/accounts").json()[kind]
    return names


def page(caller: Caller, endpoint: str, **body: Any) -> dict[str, Any]:
    """A page of the account with the longest list, or of the one named."""
    asked = {"username": body.pop("username", None) or known(caller, KIND[endpoint])[0], **body}
    answer = caller.call(endpoint, asked, fields=FIELDS if endpoint in {LIKES, PINS, REPOSTS} else None)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def walk(caller: Caller, endpoint: str, *, max_count: int = 100, **body: Any) -> list[list[dict[str, Any]]]:
    """All pages to the last."""
    got = page(caller, endpoint, max_count=max_count, **body)
    pages = [got[KEYS[endpoint]]]
    while got["has_more"]:
        got = page(caller, endpoint, max_count=max_count, **{**body, "cursor": got["cursor"]})
        pages.append(got[KEYS[endpoint]])
    return pages


def flat(pages: list[list[dict[str, Any]]], key: str) -> list[Any]:
    return [item[key] for of_page in pages for item in of_page]


def key_of(endpoint: str) -> str:
    return "username" if endpoint in {FOLLOWERS, FOLLOWING} else "id"


@pytest.mark.parametrize("endpoint", PAGED)
def test_a_list_pages_to_its_end_without_loss_or_repetition(caller: Caller, endpoint: str) -> None:
    pages = walk(caller, endpoint, max_count=40)
    found = flat(pages, key_of(endpoint))
    assert len(pages) > 3
    assert {len(got) for got in pages[:-1]} == {40}
    assert len(set(found)) == len(found)
    assert flat(walk(caller, endpoint, max_count=100), key_of(endpoint)) == found


@pytest.mark.parametrize("endpoint", PAGED)
def test_a_page_has_twenty_items_unless_asked_otherwise(caller: Caller, endpoint: str) -> None:
    assert len(page(caller, endpoint)[KEYS[endpoint]]) == 20
    assert len(page(caller, endpoint, max_count="7")[KEYS[endpoint]]) == 7
    name = known(caller, KIND[endpoint])[0]
    for wrong in (0, 101):
        answer = caller.call(endpoint, {"username": name, "max_count": wrong}, fields="id")
        assert "max_count" in message(answer)


@pytest.mark.parametrize("endpoint", PAGED)
def test_a_page_has_its_list_a_cursor_and_has_more_and_nothing_else(caller: Caller, endpoint: str) -> None:
    assert set(page(caller, endpoint)) == {KEYS[endpoint], "cursor", "has_more"}


@pytest.mark.parametrize("endpoint", PAGED)
@pytest.mark.parametrize("cursor", [0, None, "", 0.0])
def test_a_cursor_of_nothing_means_the_start(caller: Caller, endpoint: str, cursor: object) -> None:
    assert page(caller, endpoint, cursor=cursor) == page(caller, endpoint)


@pytest.mark.parametrize("endpoint", IN_TIME)
def test_a_cursor_in_time_gives_what_happened_on_or_before_it(caller: Caller, endpoint: str) -> None:
    first = page(caller, endpoint, max_count=50)
    unit = 1_000 if endpoint == LIKES else 1
    assert (REFERENCE_S - 900 * 86_400) * unit < first["cursor"] < REFERENCE_S * unit
    rest = page(caller, endpoint, cursor=first["cursor"])[KEYS[endpoint]]
    assert page(caller, endpoint, cursor=first["cursor"] - 1)[KEYS[endpoint]][0] == rest[1]
    assert page(caller, endpoint, cursor=float(first["cursor"]))[KEYS[endpoint]] == rest


@pytest.mark.parametrize("endpoint", IN_TIME)
def test_a_time_before_everything_gives_an_empty_last_page(caller: Caller, endpoint: str) -> None:
    early = 1_000_000_000
    assert page(caller, endpoint, cursor=early) == {KEYS[endpoint]: [], "cursor": early, "has_more": False}


def test_the_cursor_of_likes_may_be_sent_in_seconds(caller: Caller) -> None:
    first = page(caller, LIKES, max_count=50)
    in_ms = page(caller, LIKES, cursor=first["cursor"])
    assert page(caller, LIKES, cursor=first["cursor"] // 1_000) == in_ms


def test_the_cursor_of_reposts_is_an_index_that_advances_by_the_page_size(caller: Caller) -> None:
    assert page(caller, REPOSTS, max_count=33)["cursor"] == 33
    beyond = page(caller, REPOSTS, max_count=33, cursor=10_000)
    assert beyond == {"reposted_videos": [], "cursor": 10_033, "has_more": False}


def test_pins_come_all_at_once_and_without_a_cursor(caller: Caller) -> None:
    got = page(caller, PINS, cursor=5, max_count=1)
    assert set(got) == {"pinned_videos_list"}
    assert len(got["pinned_videos_list"]) == 3
    name = known(caller, "with_pins")[0]
    assert {video["username"] for video in got["pinned_videos_list"]} == {name}


def test_an_account_without_pins_has_an_empty_list(caller: Caller) -> None:
    of = caller.platform.accounts
    name = next(f"sim_user_{n}" for n in range(1, 37) if n != 13 and not of.pins(n))
    assert page(caller, PINS, username=name) == {"pinned_videos_list": []}


@pytest.mark.parametrize("endpoint", [FOLLOWERS, FOLLOWING])
def test_relations_have_a_username_and_a_display_name_and_are_public(caller: Caller, endpoint: str) -> None:
    found = [account for got in walk(caller, endpoint) for account in got]
    assert all(set(account) == {"username", "display_name"} for account in found)
    refused = {*known(caller, "private"), *known(caller, "minor")}
    assert not refused & {account["username"] for account in found}
    for account in found[:3] + found[-3:]:
        answer = caller.call("user/info", {"username": account["username"]}, fields="display_name")
        assert answer.json()["data"] == {"display_name": account["display_name"]}


def test_followers_end_at_five_thousand() -> None:
    caller = Caller()
    assert len(flat(walk(caller, FOLLOWERS), "username")) == 5_000


def test_the_cap_on_followers_can_be_switched_off() -> None:
    caller = Caller(knobs=Knobs(follower_cap=None))
    assert len(flat(walk(caller, FOLLOWERS), "username")) > 5_000


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [(LIKES, "likes_hidden"), (REPOSTS, "reposts_hidden"), (FOLLOWING, "following_hidden")],
)
def test_what_an_account_does_not_share_is_refused(caller: Caller, endpoint: str, kind: str) -> None:
    name = known(caller, kind)[0]
    answer = caller.call(endpoint, {"username": name}, fields="id")
    assert "information cannot be returned" in message(answer)
    assert caller.stats()["endpoints"][endpoint] == {"requests": 1, "records": 0}


@pytest.mark.parametrize("endpoint", [LIKES, REPOSTS])
def test_most_accounts_share_neither_likes_nor_reposts(caller: Caller, endpoint: str) -> None:
    of = caller.platform.accounts
    shows = of.shows_likes if endpoint == LIKES else of.shows_reposts
    assert 0.05 < sum(map(shows, range(1, 201))) / 200 < 0.4


@pytest.mark.parametrize("endpoint", KEYS)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "is invalid: cannot find the user"),
        ("sim_user_13", "is private"),
        ("sim_user_37", "API cannot return this user's information"),
    ],
)
def test_lists_of_unknown_private_and_minor_users_are_refused_as_their_profiles_are(
    caller: Caller, endpoint: str, name: str, said: str
) -> None:
    assert said in message(caller.call(endpoint, {"username": name}, fields="id"))


@pytest.mark.parametrize("endpoint", [LIKES, PINS, REPOSTS])
def test_lists_of_videos_need_fields_and_know_their_own_alone(caller: Caller, endpoint: str) -> None:
    name = known(caller, KIND[endpoint])[0]
    for fields in (None, "effect_ids", "playlist_id", "voice_to_text", "favourites_count"):
        answer = caller.call(endpoint, {"username": name}, fields=fields)
        assert (fields or "fields") in message(answer)
    assert len(LISTED_FIELDS) == 20


def test_a_listed_video_is_the_queried_one_but_for_the_spelling_of_tag_and_picture(caller: Caller) -> None:
    name = known(caller, "likes_public")
    listed = {v["id"]: v for n in name for got in walk(caller, LIKES, username=n) for v in got}
    shown = {
        v["id"]: v
        for v in (caller.platform.videos.shown(p, sorted(LISTED_FIELDS)) for p in range(4_000))
        if v["id"] in listed
    }
    respelt = {"video_tag", "effect_info_list"}
    assert all(
        {k: x for k, x in listed[v].items() if k not in respelt}
        == {k: x for k, x in shown[v].items() if k not in respelt}
        for v in listed
    )
    tags = {
        (shown[v]["video_tag"]["type"], shown[v]["video_tag"]["number"]): listed[v]["video_tag"]
        for v in listed
        if "video_tag" in shown[v]
    }
    assert tags == {
        (kind, number): {"video_tag_type": kind, "video_tag_number": other}
        for kind, number, other in [("AIGC", 1, 2), ("AIGC", 2, 1), ("Branded", 1, 1), ("Branded", 7, 7)]
    }
    effects = [e for v in listed.values() for e in v.get("effect_info_list", ())]
    assert {frozenset(e) for e in effects} == {frozenset({"effect_id", "effect_name", "effect_photo_URI"})}


def test_likes_come_after_the_videos_they_are_for(caller: Caller) -> None:
    likes = caller.platform.accounts.likes(int(known(caller, "likes_public")[0].removeprefix("sim_user_")))
    ids = caller.platform.dataset.ids
    late = sum(t < create_time(ids[p]) * 1_000 for t, p in zip(likes.times, likes.items, strict=True))
    assert late <= len(likes) // 100


@pytest.mark.parametrize("endpoint", [LIKES, PINS, REPOSTS])
def test_deleted_videos_vanish_from_lists_and_leave_their_place(caller: Caller, endpoint: str) -> None:
    before = page(caller, endpoint)
    ids = [video["id"] for video in before[KEYS[endpoint]]]
    caller.control("delete", videos=ids[:2])
    after = page(caller, endpoint)
    assert [video["id"] for video in after[KEYS[endpoint]]] == ids[2:]
    assert after.get("cursor") == before.get("cursor")


@pytest.mark.parametrize("endpoint", [FOLLOWERS, FOLLOWING])
def test_deleted_users_vanish_from_lists_and_have_none(caller: Caller, endpoint: str) -> None:
    names = [account["username"] for account in page(caller, endpoint)[KEYS[endpoint]]]
    owner = known(caller, KIND[endpoint])[0]
    assert caller.control("delete", users=names[1:3]).json()["users"] == 2
    after = page(caller, endpoint)
    assert [account["username"] for account in after[KEYS[endpoint]]] == names[:1] + names[3:]
    caller.control("delete", users=[owner])
    assert "cannot find the user" in message(caller.call(endpoint, {"username": owner}))
    assert owner not in known(caller, KIND[endpoint])


def test_records_are_the_items_returned(caller: Caller) -> None:
    for endpoint in KEYS:
        page(caller, endpoint, max_count=17)
    counted = {name: of["records"] for name, of in caller.stats()["endpoints"].items()}
    assert counted == {LIKES: 17, PINS: 3, REPOSTS: 17, FOLLOWERS: 17, FOLLOWING: 17}


def test_short_pages_lose_no_place() -> None:
    caller = Caller(knobs=Knobs(short_page_p=1.0))
    whole = flat(walk(Caller(), FOLLOWERS), "username")
    pages = walk(caller, FOLLOWERS)
    assert len(pages) == 50
    assert all(len(got) < 100 for got in pages)
    found = flat(pages, "username")
    assert [name for name in whole if name in set(found)] == found
