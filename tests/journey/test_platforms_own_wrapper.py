"""TikTok's own wrapper, with nothing but its base URL changed, beside the same wrapper calling directly."""

import json

import pytest
from tiktok_research_api import (
    Criteria,
    Query,
    QueryUserInfoRequest,
    QueryVideoCommentsRequest,
    QueryVideoRequest,
    TikTokResearchAPI,
)

from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET, Installation, call


def pointed_at(base_url: str, client_key: str, client_secret: str) -> TikTokResearchAPI:
    """The wrapper, which has no setting for its base URL and sets it when it is made."""
    pointed = type("Pointed", (TikTokResearchAPI,), {"url": property(lambda _: base_url, lambda _, __: None)})
    return pointed(client_key, client_secret, qps=1_000_000)


@pytest.fixture(scope="module")
def through_bursar(installation: Installation) -> TikTokResearchAPI:
    key = installation.key()
    return pointed_at(installation.base_url, key["client_key"], key["client_secret"])


@pytest.fixture
def direct(installation: Installation) -> TikTokResearchAPI:
    return pointed_at(installation.simulator_url, CLIENT_KEY, CLIENT_SECRET)


def search(max_count: int) -> QueryVideoRequest:
    regions = Criteria(operation="IN", field_name="region_code", field_values=["US", "DE", "FR"])
    tags = Criteria(operation="EQ", field_name="hashtag_name", field_values=["election"])
    query = Query(and_criteria=[regions, tags])
    return QueryVideoRequest(query, "20260801", "20261015", max_count)


@pytest.mark.parametrize("max_count", [100, 20])
def test_a_video_query_is_paged_to_its_end_with_the_records_of_a_direct_call(
    through_bursar: TikTokResearchAPI, direct: TikTokResearchAPI, max_count: int
) -> None:
    videos, *_ = through_bursar.query_videos(search(max_count), fetch_all_pages=True)
    expected, *_ = direct.query_videos(search(max_count), fetch_all_pages=True)
    assert len(expected) > 2 * max_count
    assert videos == expected


def test_a_profile_is_the_one_of_a_direct_call(
    through_bursar: TikTokResearchAPI, direct: TikTokResearchAPI
) -> None:
    for username in known_users(direct, 20):
        request = QueryUserInfoRequest(username)
        assert through_bursar.query_user_info(request) == direct.query_user_info(request)


def test_comments_are_paged_to_their_end_with_the_records_of_a_direct_call(
    through_bursar: TikTokResearchAPI, direct: TikTokResearchAPI
) -> None:
    videos, *_ = direct.query_videos(search(100))
    most = max(videos, key=lambda video: video.get("comment_count", 0))
    request = QueryVideoCommentsRequest(most["id"], max_count=10)
    comments, *_ = through_bursar.query_video_comments(request, fetch_all_pages=True)
    expected, *_ = direct.query_video_comments(request, fetch_all_pages=True)
    assert len(expected) > 20
    assert comments == expected


def test_asking_again_costs_nothing_upstream(
    through_bursar: TikTokResearchAPI, installation: Installation
) -> None:
    first, *_ = through_bursar.query_videos(search(50), fetch_all_pages=True)
    spent = installation.upstream()["requests"]
    again, *_ = through_bursar.query_videos(search(50), fetch_all_pages=True)
    assert again == first
    assert installation.upstream()["requests"] == spent


def known_users(direct: TikTokResearchAPI, count: int) -> list[str]:
    videos, *_ = direct.query_videos(search(100))
    return sorted({video["username"] for video in videos})[:count]


def test_the_wrapper_never_saw_an_id_or_token_of_the_platform(
    through_bursar: TikTokResearchAPI, installation: Installation
) -> None:
    _, search_id, *_ = through_bursar.query_videos(search(20))
    direct_answer = call(
        installation.simulator_port,
        "POST",
        "/v2/research/video/query/?fields=id",
        body=json.dumps(
            {
                "query": {},
                "search_id": search_id,
                "cursor": 20,
                "start_date": "20260801",
                "end_date": "20260810",
            }
        ).encode(),
        headers={"Authorization": f"Bearer {through_bursar.client_token}"},
    )
    assert direct_answer[0] == 401
