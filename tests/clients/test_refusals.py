"""What a client does when it is refused for good, by the platform on one side and by Bursar on the other."""

from typing import Any

import pytest

from tests.clients.cast import ACTS, CLIENTS, FOLLOW_UPS, Actor, actor_named
from tests.clients.places import Place
from tests.clients.tables import cells_of
from tests.clients.wire import after

SETTINGS = {"BURSAR_PAGE_TTL_S": "0"}

REFUSALS: dict[str, dict[str, Any]] = {
    "quota": {"status": 429, "code": "daily_quota_limit_exceeded"},
    "throttle": {"status": 429, "code": "rate_limit_exceeded"},
    "rule": {"status": 400, "code": "invalid_params"},
}
PROJECTS = {"quota": ("spent", "drained"), "throttle": ("hasty",), "rule": ("over",)}
"""Who is refused so: by a limit of Bursar's own, by the platform's word that a day is used up, by a rule."""

WAITS_S = {"quota": 300, "throttle": 60}
"""The longest `Retry-After`; one client sleeps for as long as it is told to."""

# How each ends when every answer is that refusal.
# fmt: off
TABLE = """
                                                  quota                         throttle                      rule
TikTokResearchApi.query_videos                    part+59x1s                    =                             =
TikTokResearchApi.query_user_info                 part                          =                             =
TikTokResearchApi.query_video_comments            part                          =                             =
TikTokResearchApi.query_user_liked_videos         part                          =                             =
TikTokResearchApi.query_user_pinned_videos        part                          =                             =
TikTokResearchApi.query_user_reposted_videos      part                          =                             =
TikTokResearchApi.query_user_followers            part                          =                             =
TikTokResearchApi.query_user_following            part                          =                             =
tiktok_research_api_helper.fetch_all              ApiRateLimitError+3x14400s    =                             InvalidRequestError
tiktok_research_api_helper.fetch_user_info        ApiRateLimitError+3x14400s    =                             InvalidRequestError
tiktok_research_api_helper.fetch_video_comments   ApiRateLimitError+3x14400s    =                             InvalidRequestError
researchtikpy.get_videos_query                    ValueError                    GoesOnForeverError+98x10s     ValueError
researchtikpy.get_videos_hashtag                  ValueError                    GoesOnForeverError+98x10s     ValueError
researchtikpy.get_users_info                      part                          =                             =
researchtikpy.get_video_comments                  GoesOnForeverError+98x30s     =                             part
researchtikpy.get_liked_videos                    GoesOnForeverError+98x60s     =                             part
researchtikpy.get_pinned_videos                   part                          =                             =
researchtikpy.get_followers                       GoesOnForeverError            =                             =
researchtikpy.get_following                       GoesOnForeverError+98x60s     =                             part
researchtikpy.iter_followers_responses            part                          =                             =
researchtikpy.iter_following_responses            part                          =                             =
researchtikpy.get_shop_info                       part                          =                             =
researchtikpy.get_product_info                    part                          =                             =
researchtikpy.get_product_reviews                 part                          =                             =
R                                                 httr2_http_429                httr2_http_429+4x?s           httr2_http_400
"""
# fmt: on


def refuse(place: Place, actor: Actor, refusal: str) -> None:
    place.installation.control("POST", "faults", endpoint=actor.endpoint, **REFUSALS[refusal])


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("actor", ACTS, ids=str)
def test_a_client_takes_a_refusal_of_bursars_as_it_takes_the_platforms(
    actor: Actor, refusal: str, place: Place
) -> None:
    place.start_anew()
    errand = place.subjects.short(actor.endpoint)
    whole = actor.run(place.direct, errand)
    refuse(place, actor, refusal)
    expected = actor.run(place.direct, errand)
    without, through = cells_of(TABLE, actor)[refusal]
    assert expected.verdict(whole) == without == through
    for project in PROJECTS[refusal]:
        place.log.news()
        met = actor.run(place.through(project), errand)
        place.log.holds(met.exchanges)
        assert met.behaviour == expected.behaviour
        assert met.codes == expected.codes == [REFUSALS[refusal]["code"]] * len(met.codes)
        assert met.data == expected.data
        if refusal in WAITS_S:
            waits = {int(each.headers["retry-after"]) for each in met.research}
            assert 1 <= min(waits) <= max(waits) <= WAITS_S[refusal]
        else:
            assert {each.error["message"].split(":")[0] for each in met.research} == {
                "Refused by rule approval-in-force/1"
            }


@pytest.mark.parametrize("endpoint", ["video/query", "user/following"])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_quota_that_ends_within_a_crawl_leaves_the_client_what_a_direct_call_would(
    client: Any, endpoint: str, place: Place
) -> None:
    actor = next((each for each in ACTS if (each.client, each.endpoint) == (client, endpoint)), None)
    if actor is None:
        assert client.name == "tiktok_research_api_helper"
        return
    place.start_anew()
    errand = place.subjects.short(endpoint)
    expected = actor.run(place.direct, errand, after(2, lambda: refuse(place, actor, "quota")))
    place.start_anew()
    place.log.news()
    met = actor.run(place.through(f"two-{CLIENTS.index(client) + 1}"), errand)
    place.log.holds(met.exchanges)
    assert met.statuses[:3] == [200, 200, 429]
    assert met.behaviour == expected.behaviour
    assert met.codes == expected.codes
    assert met.data == expected.data


@pytest.mark.parametrize(("project", "refused"), [("one", FOLLOW_UPS[0]), ("two-5", FOLLOW_UPS[1])])
def test_a_quota_that_ends_within_a_validation_task_is_met_as_the_platforms(
    project: str, refused: str, place: Place
) -> None:
    actor = actor_named("R.validation_task/create")
    errand = place.subjects.short(actor.endpoint)
    place.start_anew()
    place.installation.control("POST", "faults", endpoint=refused, **REFUSALS["quota"])
    expected = actor.run(place.direct, errand)
    place.start_anew()
    place.log.news()
    met = actor.run(place.through(project), errand)
    place.log.holds(met.exchanges)
    assert expected.raised == "httr2_http_429"
    assert met.research[-1].path == f"/v2/research/{refused}/"
    assert met.behaviour == expected.behaviour
    assert met.codes == expected.codes
    assert met.data == expected.data
