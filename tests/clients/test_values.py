"""Pages and values that clients stumble over: short and empty pages, NULs, unknown keys, accounts that refuse."""

from typing import Any

import pytest

from tests.clients.cast import ACTS, Actor, actor_named
from tests.clients.errands import Errand
from tests.clients.places import Place
from tests.clients.runs import Run
from tests.clients.wire import after, messages_of

SETTINGS = {"BURSAR_PAGE_TTL_S": "0"}

MAY_FIND_NOTHING = {
    "video/query",
    "video/comment/list",
    "user/pinned_videos",
    "tts/shop",
    "tts/product",
    "tts/review",
    "validation_task/create",
    "adlib/advertiser/query",
}
"""Elsewhere there is always something, or a refusal."""

KINDS = {
    "video/query": ("videos", "videos", "id"),
    "video/comment/list": ("comments", "comments", "id"),
    "user/liked_videos": ("user_liked_videos", "videos", "id"),
    "user/reposted_videos": ("reposted_videos", "videos", "id"),
    "playlist/info": ("playlist_video_ids", "videos", None),
    "user/followers": ("user_followers", "users", "username"),
    "user/following": ("user_following", "users", "username"),
}
"""Where records vanish and leave holes: their list, what to delete, and the key that names it, if any."""

VANISHING = [each for each in ACTS if each.endpoint in KINDS]
_REFUSING = {
    "user/info": ("private", "minor"),
    "user/liked_videos": ("private", "minor", "likes_hidden"),
    "user/pinned_videos": ("private", "minor"),
    "user/reposted_videos": ("private", "minor", "reposts_hidden"),
    "user/followers": ("private", "minor"),
    "user/following": ("private", "minor", "following_hidden"),
}
"""Kinds of accounts that an endpoint refuses to show."""


def pages_of(run: Run, key: str) -> list[list[Any]]:
    return [exchange.json["data"][key] for exchange in run.research if exchange.json is not None]


@pytest.mark.parametrize("actor", VANISHING, ids=str)
def test_short_pages_and_an_empty_one_in_the_middle_end_no_crawl(actor: Actor, place: Place) -> None:
    key, kind, name = KINDS[actor.endpoint]
    errand = place.subjects.short(actor.endpoint)
    place.start_anew()
    whole = pages_of(actor.run(place.direct, errand), key)
    assert len(whole) >= 3
    gone = [*whole[1], *whole[2][::2]]
    order = {kind: [record[name] if name else record for record in gone]}

    def vanish() -> None:
        place.installation.control("POST", "delete", **order)

    expected = actor.run(place.direct, errand, after(1, vanish))
    place.start_anew()
    place.log.news()
    met = actor.run(place.through("elections"), errand, after(1, vanish))
    place.log.holds(met.exchanges)
    lengths = [len(page) for page in pages_of(expected, key)]
    assert lengths[1] == 0
    assert 0 < lengths[2] < lengths[0]
    assert len(lengths) == len(whole)
    assert met.behaviour == expected.behaviour
    assert met.data == expected.data


@pytest.mark.parametrize("actor", [each for each in ACTS if each.endpoint in MAY_FIND_NOTHING], ids=str)
def test_nothing_found_is_told_as_on_a_direct_call(actor: Actor, place: Place) -> None:
    errand = place.subjects.empty[actor.endpoint]
    place.start_anew()
    expected = actor.run(place.direct, errand)
    place.log.news()
    met = actor.run(place.through("elections"), errand)
    place.log.holds(met.exchanges)
    assert set(expected.statuses) == {200}
    assert met.behaviour == expected.behaviour
    assert met.data == expected.data


@pytest.mark.parametrize(
    "actor", [each for each in ACTS if each.endpoint != "validation_task/create"], ids=str
)
def test_nuls_and_keys_that_no_document_knows_arrive_as_they_left(actor: Actor, place: Place) -> None:
    errand = place.subjects.short(actor.endpoint)
    place.start_anew()
    place.turn(nul_p=1.0, extra_keys=True, liked_cursor_in_seconds=True, stats_lag_days=3)
    expected = actor.run(place.direct, errand)
    place.log.news()
    met = actor.run(place.through("elections"), errand)
    place.log.holds(met.exchanges)
    assert expected.raised is None
    assert met.behaviour == expected.behaviour
    assert met.data == expected.data
    if actor.endpoint in {"video/query", "user/liked_videos", "user/pinned_videos"}:
        captioned = [each for each in met.research if "video_description" in each.body]
        assert all("\\u0000" in each.body for each in captioned)
    unknown = [each for each in met.research if each.body.count("sim_unknown_key")]
    assert unknown or actor.endpoint == "user/pinned_videos"


@pytest.mark.parametrize("actor", [each for each in ACTS if each.endpoint in _REFUSING], ids=str)
def test_what_an_account_does_not_show_is_refused_in_the_platforms_words(actor: Actor, place: Place) -> None:
    place.start_anew()
    known = [str(place.subjects.accounts[kind][0]) for kind in _REFUSING[actor.endpoint]]
    for handle in [*known, "nobody_has_this_name"]:
        errand = Errand(endpoint=actor.endpoint, subject=handle)
        expected = actor.run(place.direct, errand)
        place.log.news()
        met = actor.run(place.through("elections"), errand)
        place.log.holds(met.exchanges)
        assert expected.statuses[0] == 400
        assert met.behaviour == expected.behaviour
        assert messages_of(met.research) == messages_of(expected.research)


def test_a_playlist_under_a_false_500_reaches_r_through_bursar_alone(place: Place) -> None:
    playlists = actor_named("R.playlist/info")
    errand = place.subjects.short("playlist/info")
    place.start_anew()
    whole = playlists.run(place.direct, errand)
    place.turn(playlist_500=True)
    assert playlists.run(place.direct, errand).raised == "httr2_http_500"
    met = playlists.run(place.through("elections"), errand)
    assert met.behaviour == whole.behaviour
    assert met.data == whole.data


@pytest.mark.parametrize("name", ["TikTokResearchApi.query_user_reposted_videos", "R.user/reposted_videos"])
def test_reposts_under_the_other_name_of_the_documents_reach_clients_through_bursar_alone(
    name: str, place: Place
) -> None:
    reposts = actor_named(name)
    errand = place.subjects.short("user/reposted_videos")
    place.start_anew()
    whole = reposts.run(place.direct, errand)
    place.turn(user_reposted_videos=True)
    assert reposts.run(place.direct, errand).verdict(whole) == "part"
    assert reposts.run(place.through("elections"), errand).verdict(whole) == "whole"


@pytest.mark.parametrize(
    ("name", "knob"),
    [
        ("researchtikpy.get_shop_info", "shop_without_error"),
        ("R.tts/review", "shop_without_error"),
        ("researchtikpy.get_videos_query", "video_id_for_id"),
        ("R.video/query", "video_id_for_id"),
    ],
)
def test_answers_in_another_of_the_documented_forms_arrive_as_they_left(
    name: str, knob: str, place: Place
) -> None:
    actor = actor_named(name)
    errand = place.subjects.short(actor.endpoint)
    place.start_anew()
    place.turn(**{knob: True})
    expected = actor.run(place.direct, errand)
    met = actor.run(place.through("elections"), errand)
    assert expected.raised is None
    assert met.behaviour == expected.behaviour
    assert met.data == expected.data
