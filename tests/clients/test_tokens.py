"""Several tokens of one key, tokens that have ended, and the institution's own, which nobody sees end."""

from collections.abc import Mapping

import pytest

from tests.clients.cast import ACTS, Actor
from tests.clients.places import Place
from tests.clients.runs import Run
from tests.clients.sides import Side
from tests.clients.tables import cells_of
from tests.clients.wire import after

SETTINGS = {"BURSAR_PAGE_TTL_S": "0", "BURSAR_CLOCK_OFFSET_S": "0"}
"""A place of its own, since its clock is moved."""

_TOKEN_LIFE_S = 7200
LONG = {"video/query", "validation_task/create"}
"""What one waits for long enough to see a token end."""

# How each ends with a token that lasted two hours and was issued a second longer ago.
# fmt: off
TABLE = """
                                                  expired
TikTokResearchApi.query_videos                    part+59x1s
TikTokResearchApi.query_user_info                 part
TikTokResearchApi.query_video_comments            part
TikTokResearchApi.query_user_liked_videos         part
TikTokResearchApi.query_user_pinned_videos        part
TikTokResearchApi.query_user_reposted_videos      part
TikTokResearchApi.query_user_followers            part
TikTokResearchApi.query_user_following            part
tiktok_research_api_helper                        whole
researchtikpy.get_videos_query                    ValueError
researchtikpy.get_videos_hashtag                  ValueError
researchtikpy.get_users_info                      part
researchtikpy.get_video_comments                  part
researchtikpy.get_liked_videos                    part
researchtikpy.get_pinned_videos                   part
researchtikpy.get_followers                       GoesOnForeverError
researchtikpy.get_following                       part
researchtikpy.iter_followers_responses            part
researchtikpy.iter_following_responses            part
researchtikpy.get_shop_info                       part
researchtikpy.get_product_info                    part
researchtikpy.get_product_reviews                 part
R                                                 whole
"""
# fmt: on


@pytest.fixture(scope="module")
def old_sessions(place: Place) -> Mapping[str, object]:
    """For each actor, what it kept of signing in at Bursar, two hours and a second ago by Bursar's clock."""
    side = place.through("elections")
    sessions = {str(actor): actor.client.sign_in(side) for actor in ACTS}
    place.advance(_TOKEN_LIFE_S + 1)
    return sessions


def tokens_of(run: Run) -> set[str]:
    return {exchange.authorization for exchange in run.research}


@pytest.mark.parametrize("actor", ACTS, ids=str)
def test_two_tokens_of_one_key_work_side_by_side(actor: Actor, place: Place) -> None:
    place.start_anew()
    errand = place.subjects.short(actor.endpoint)

    def two_at_once(side: Side) -> list[Run]:
        first, second = actor.client.sign_in(side), actor.client.sign_in(side)
        within: list[Run] = []
        whole = actor.run(
            side, errand, after(1, lambda: within.append(actor.run(side, errand, session=second))), first
        )
        return [whole, *within, actor.run(side, errand, session=first)]

    expected = two_at_once(place.direct)
    place.log.news()
    met = two_at_once(place.through("elections"))
    assert len(place.log.news()) == 2 + sum(len(run.exchanges) for run in met)
    assert [run.behaviour for run in met] == [run.behaviour for run in expected]
    assert [run.data for run in met] == [run.data for run in expected]
    assert {status for run in met for status in run.statuses} == {200}
    tokens = [tokens_of(run) for run in met]
    assert tokens[0] == tokens[2]
    assert len(tokens[0] | tokens[1]) == 2


@pytest.mark.parametrize("actor", ACTS, ids=str)
def test_a_token_of_bursars_that_has_ended_is_met_as_one_of_the_platforms(
    actor: Actor, place: Place, old_sessions: Mapping[str, object]
) -> None:
    place.start_anew()
    errand = place.subjects.short(actor.endpoint)
    whole = actor.run(place.direct, errand)
    session = actor.client.sign_in(place.direct)
    place.installation.control("POST", "clock", shift_s=_TOKEN_LIFE_S + 1)
    expected = actor.run(place.direct, errand, session=session)
    place.log.news()
    met = actor.run(place.through("elections"), errand, session=old_sessions[str(actor)])
    place.log.holds(met.exchanges)
    without, through = cells_of(TABLE, actor)["expired"]
    assert expected.verdict(whole) == without == through
    assert met.statuses[0] == 401
    assert met.behaviour == expected.behaviour
    assert met.codes == expected.codes
    assert met.data == expected.data


@pytest.mark.parametrize("actor", [each for each in ACTS if each.endpoint in LONG], ids=str)
def test_a_token_that_ends_within_a_crawl_is_met_as_one_of_the_platforms(actor: Actor, place: Place) -> None:
    place.start_anew()
    errand = place.subjects.short(actor.endpoint)
    shift = {"shift_s": _TOKEN_LIFE_S + 1}
    expected = actor.run(
        place.direct, errand, after(1, lambda: place.installation.control("POST", "clock", **shift))
    )
    place.start_anew()
    side = place.through("elections")
    place.log.news()
    met = actor.run(side, errand, after(1, lambda: place.advance(_TOKEN_LIFE_S + 1)))
    place.log.holds(met.exchanges)
    assert met.statuses[:2] == [200, 401]
    assert met.behaviour == expected.behaviour
    assert met.codes == expected.codes
    assert met.data == expected.data


@pytest.mark.parametrize("actor", ACTS, ids=str)
def test_no_client_notices_that_the_institutions_own_token_has_ended(actor: Actor, place: Place) -> None:
    place.start_anew()
    errand = place.subjects.short(actor.endpoint)
    whole = actor.run(place.direct, errand)
    side = place.through("elections")

    def end() -> None:
        place.installation.control("POST", "clock", shift_s=_TOKEN_LIFE_S + 1)

    # Bursar has a token from now on, whatever was forgotten before.
    actor.run(side, errand)
    if actor.is_crawl:
        met = actor.run(side, errand, after(1, end))
    else:
        end()
        met = actor.run(side, errand)
    assert met.behaviour == whole.behaviour
    assert met.data == whole.data
    assert 401 in {each["status"] for each in place.journal()}
