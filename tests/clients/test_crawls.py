"""Every function of every client, to the last page: the records and the JSON values of a direct call."""

from pathlib import Path

import pytest
from tiktok_research_api import QueryUserInfoRequest, TikTokResearchAPI

from tests.clients.cast import ACTS, Actor
from tests.clients.errands import Errand, Search
from tests.clients.nyu import store_everything
from tests.clients.places import Place
from tests.clients.sides import Log, Side
from tests.clients.subjects import Subjects
from tests.clients.wrapper import WRAPPER
from tests.servers.bursar import Installation, call

CAPTIONED = {"video/query", "user/liked_videos"}
ONE_DAY = Search(regions=("FR",), hashtag="election", start="20261003", end="20261003")


@pytest.mark.parametrize("actor", ACTS, ids=str)
def test_a_crawl_gives_what_a_direct_one_gives_and_again_from_what_is_held_for_nothing(
    actor: Actor,
    direct: Side,
    through_bursar: Side,
    subjects: Subjects,
    log: Log,
    installation: Installation,
) -> None:
    for errand in subjects.errands[actor.endpoint]:
        expected = actor.run(direct, errand)
        log.news()
        first = actor.run(through_bursar, errand)
        spent = sum_of_requests(installation)
        again = actor.run(through_bursar, errand)
        assert expected.raised is None
        assert set(expected.statuses) == {200}
        assert first.behaviour == again.behaviour == expected.behaviour
        assert first.data == again.data == expected.data
        bought = len(again.research) if actor.endpoint == "validation_task/create" else 0
        assert sum_of_requests(installation) == spent + bought
        log.holds([*first.exchanges, *again.exchanges])


def sum_of_requests(installation: Installation) -> int:
    """What the platform has counted today, for every endpoint."""
    counted: dict[str, dict[str, int]] = installation.upstream()["endpoints"]
    return sum(each["requests"] for each in counted.values())


def test_what_is_crawled_has_several_pages_ids_beyond_doubles_and_different_keys(
    direct: Side, subjects: Subjects
) -> None:
    pages = WRAPPER.run(direct, "query_videos", subjects.errands["video/query"][0]).research
    videos = [video for page in pages if page.json for video in page.json["data"]["videos"]]
    assert len(pages) > 3
    assert any(video["id"] > 2**53 and video["id"] != int(float(video["id"])) for video in videos)
    assert len({frozenset(video) for video in videos}) > 1


def test_the_platforms_own_wrapper_can_be_pointed_by_a_subclass_that_moves_its_url(
    direct: Side, through_bursar: Side, subjects: Subjects
) -> None:
    def pointed_at(side: Side) -> TikTokResearchAPI:
        moved = type(
            "Moved", (TikTokResearchAPI,), {"url": property(lambda _: side.base_url, lambda *_: None)}
        )
        return moved(side.client_key, side.client_secret)

    request = QueryUserInfoRequest(subjects.accounts["with_pins"][0])
    assert pointed_at(through_bursar).query_user_info(request) == pointed_at(direct).query_user_info(request)


def test_a_client_never_sees_a_token_or_a_search_id_that_the_platform_knows(
    through_bursar: Side, subjects: Subjects, installation: Installation
) -> None:
    run = WRAPPER.run(through_bursar, "query_videos", subjects.errands["video/query"][0])
    granted, second = run.exchanges[0].json, run.research[1]
    assert granted is not None
    assert "search_id" in second.sent

    def asks_the_platform(token: str, sent: str) -> int:
        bearer = {"Authorization": f"Bearer {token}"}
        path = f"{second.path}?{second.query}"
        return call(installation.simulator_port, "POST", path, body=sent.encode(), headers=bearer)[0]

    own = subjects.fresh_token()
    assert asks_the_platform(granted["access_token"], run.research[0].sent) == 401
    assert asks_the_platform(own, run.research[0].sent) == 200
    assert asks_the_platform(own, second.sent) == 400


@pytest.mark.parametrize("actor", [each for each in ACTS if each.endpoint in CAPTIONED], ids=str)
def test_nuls_outlast_being_held(actor: Actor, direct: Side, place: Place) -> None:
    errand = place.subjects.short(actor.endpoint)
    place.turn(nul_p=1.0)
    expected = actor.run(direct, errand)
    # Another project, since what is held of the first has no NULs.
    first, again = (actor.run(place.through("climate"), errand) for _ in range(2))
    assert any("\\u0000" in page for page in expected.data)
    assert first.behaviour == again.behaviour == expected.behaviour
    assert first.data == again.data == expected.data


def test_nyus_helper_stores_the_same_videos_authors_and_comments(
    direct: Side, through_bursar: Side, tmp_path: Path
) -> None:
    errand = Errand(endpoint="video/query", subject=ONE_DAY)
    expected = store_everything(direct, errand, tmp_path / "direct.db")
    met = store_everything(through_bursar, errand, tmp_path / "through.db")
    assert all(expected.values())
    assert met == expected
