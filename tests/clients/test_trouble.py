"""What a client does when the platform fails under its hands, and that it does the same through Bursar."""

from typing import Any

import pytest

from tests.clients.cast import ACTS, Actor, actor_named
from tests.clients.places import Place
from tests.clients.runs import Run
from tests.clients.tables import cells_of
from tests.clients.wire import Watch, after, messages_of

SETTINGS = {"BURSAR_PAGE_TTL_S": "0"}
"""Nothing is answered from what is held, so that every fault is met."""

FAULTS: dict[str, dict[str, Any]] = {
    "throttle": {"status": 429, "code": "rate_limit_exceeded"},
    "500": {"status": 500},
    "html-502": {"status": 502, "html": True},
    "html-504": {"status": 504, "html": True},
}

# What each does after one such answer, to its second request where it asks for pages and else to its first;
# where two are given, the first is what it does without Bursar.
# fmt: off
TABLE = """
                                                  throttle         500           html-502      html-504
TikTokResearchApi.query_videos                    whole+1x1s       whole+1x1s    JSONDecodeError|whole+1x1s  =
TikTokResearchApi.query_user_info                 part             =             =             =
TikTokResearchApi.query_video_comments            part             =             =             =
TikTokResearchApi.query_user_liked_videos         part             =             =             =
TikTokResearchApi.query_user_pinned_videos        part             =             =             =
TikTokResearchApi.query_user_reposted_videos      part             =             =             =
TikTokResearchApi.query_user_followers            part             =             =             =
TikTokResearchApi.query_user_following            part             =             =             =
tiktok_research_api_helper.fetch_all              whole+1x14400s   whole+1x30s   =             =
tiktok_research_api_helper.fetch_user_info        whole+1x14400s   whole+1x30s   =             =
tiktok_research_api_helper.fetch_video_comments   whole+1x14400s   whole+1x30s   =             =
researchtikpy.get_videos_query                    whole+1x10s      whole+1x10s   ValueError    =
researchtikpy.get_videos_hashtag                  whole+1x10s      whole+1x10s   ValueError    =
researchtikpy.get_users_info                      part             =             =             =
researchtikpy.get_video_comments                  whole+1x30s      part          =             =
researchtikpy.get_liked_videos                    whole+1x60s      part          =             =
researchtikpy.get_pinned_videos                   part             =             =             =
researchtikpy.get_followers                       whole            =             =             =
researchtikpy.get_following                       whole+1x60s      part          =             =
researchtikpy.iter_followers_responses            part             =             =             =
researchtikpy.iter_following_responses            part             =             =             =
researchtikpy.get_shop_info                       part             =             =             =
researchtikpy.get_product_info                    part             =             =             =
researchtikpy.get_product_reviews                 part             =             =             =
R                                                 whole+1x?s       =             =             =
"""
# fmt: on


def strike(place: Place, actor: Actor, endpoint: str, fault: str) -> Watch | None:
    """Order one fault for the next request of the actor, or for its second where it asks for several pages."""
    order = {**FAULTS[fault], "endpoint": endpoint, "next": 1}
    if not actor.is_crawl:
        place.installation.control("POST", "faults", **order)
        return None
    return after(1, lambda: place.installation.control("POST", "faults", **order))


def run_into(fault: str, place: Place, actor: Actor, endpoint: str, *, is_direct: bool) -> Run:
    place.installation.control("DELETE", "faults")
    watch = strike(place, actor, endpoint, fault)
    side = place.direct if is_direct else place.through("elections")
    return actor.run(side, place.subjects.short(actor.endpoint), watch)


@pytest.mark.parametrize("actor", ACTS, ids=str)
def test_a_client_meets_a_fault_of_the_platform_as_it_would_without_bursar(
    actor: Actor, place: Place
) -> None:
    place.start_anew()
    whole = actor.run(place.direct, place.subjects.short(actor.endpoint))
    for fault, (without, through) in cells_of(TABLE, actor).items():
        for endpoint in actor.endpoints:
            expected = run_into(fault, place, actor, endpoint, is_direct=True)
            place.log.news()
            met = run_into(fault, place, actor, endpoint, is_direct=False)
            place.log.holds(met.exchanges)
            assert (fault, expected.verdict(whole)) == (fault, without)
            assert (fault, met.verdict(whole)) == (fault, through)
            if without == through:
                assert met.behaviour == expected.behaviour
            if not FAULTS[fault].get("html"):
                assert met.codes == expected.codes
                assert messages_of(met.research) == messages_of(expected.research)
                assert met.data == expected.data


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_in_json_and_a_throttle_says_for_how_long(fault: str, place: Place) -> None:
    actor = actor_named("TikTokResearchApi.query_user_info")
    told = run_into(fault, place, actor, actor.endpoint, is_direct=False).research[0]
    assert told.status == FAULTS[fault]["status"]
    assert told.headers["content-type"].startswith("application/json")
    assert set(told.error) == {"code", "message", "log_id"}
    if told.status == 429:
        assert 1 <= int(told.headers["retry-after"]) <= 60
