"""`TikTokResearchApi`, the platform's own wrapper (version 1.0.4)."""

import importlib
from typing import Any

from tiktok_research_api import (
    Criteria,
    Query,
    QueryUserFollowersRequest,
    QueryUserFollowingRequest,
    QueryUserInfoRequest,
    QueryUserLikedVideosRequest,
    QueryUserPinnedVideosRequest,
    QueryUserRepostedVideosRequest,
    QueryVideoCommentsRequest,
    QueryVideoRequest,
    TikTokResearchAPI,
)

from tests.clients.errands import Errand
from tests.clients.runs import Act, PythonClient

Answer = tuple[Any, ...]


def _sign_in(client_key: str, client_secret: str) -> TikTokResearchAPI:
    # Its own limit of requests in a second would make the tests wait.
    return TikTokResearchAPI(client_key, client_secret, qps=1_000_000)


def query_of(errand: Errand) -> Query:
    """The search in the wrapper's own classes."""
    regions = Criteria(operation="IN", field_name="region_code", field_values=list(errand.search.regions))
    tag = Criteria(operation="EQ", field_name="hashtag_name", field_values=[errand.search.hashtag])
    return Query(and_criteria=[regions, tag])


def _query_videos(api: TikTokResearchAPI, errand: Errand) -> Answer:
    search = errand.search
    request = QueryVideoRequest(query_of(errand), search.start, search.end, errand.page)
    if errand.search_id is not None:
        request.search_id, request.cursor = errand.search_id, errand.page
    videos, search_id, *rest = api.query_videos(request, fetch_all_pages=True)
    return videos, search_id is None, *rest


def _query_user_info(api: TikTokResearchAPI, errand: Errand) -> Any:
    return api.query_user_info(QueryUserInfoRequest(errand.handle))


def _query_video_comments(api: TikTokResearchAPI, errand: Errand) -> Any:
    request = QueryVideoCommentsRequest(errand.number, max_count=errand.page)
    return api.query_video_comments(request, fetch_all_pages=True)


def _query_user_liked_videos(api: TikTokResearchAPI, errand: Errand) -> Any:
    request = QueryUserLikedVideosRequest(errand.handle, max_count=errand.page)
    return api.query_user_liked_videos(request, fetch_all_pages=True)


def _query_user_pinned_videos(api: TikTokResearchAPI, errand: Errand) -> Any:
    return api.query_user_pinned_videos(QueryUserPinnedVideosRequest(errand.handle))


def _query_user_reposted_videos(api: TikTokResearchAPI, errand: Errand) -> Any:
    request = QueryUserRepostedVideosRequest(errand.handle, max_count=errand.page)
    return api.query_user_reposted_videos(request, fetch_all_pages=True)


def _query_user_followers(api: TikTokResearchAPI, errand: Errand) -> Any:
    request = QueryUserFollowersRequest(errand.handle, max_count=errand.page)
    return api.query_user_followers(request, fetch_all_pages=True)


def _query_user_following(api: TikTokResearchAPI, errand: Errand) -> Any:
    request = QueryUserFollowingRequest(errand.handle, max_count=errand.page)
    return api.query_user_following(request, fetch_all_pages=True)


WRAPPER = PythonClient(
    name="TikTokResearchApi",
    begin=_sign_in,
    table={
        "query_videos": Act(endpoint="video/query", do=_query_videos),
        "query_user_info": Act(endpoint="user/info", do=_query_user_info),
        "query_video_comments": Act(endpoint="video/comment/list", do=_query_video_comments),
        "query_user_liked_videos": Act(endpoint="user/liked_videos", do=_query_user_liked_videos),
        "query_user_pinned_videos": Act(endpoint="user/pinned_videos", do=_query_user_pinned_videos),
        "query_user_reposted_videos": Act(endpoint="user/reposted_videos", do=_query_user_reposted_videos),
        "query_user_followers": Act(endpoint="user/followers", do=_query_user_followers),
        "query_user_following": Act(endpoint="user/following", do=_query_user_following),
    },
    waits=[(importlib.import_module("tiktok_research_api.api"), "time")],
)
