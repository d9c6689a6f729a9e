"""`researchtikpy` (version 0.2.2), which returns pandas frames."""

import importlib
from typing import Any

import pandas as pd
import requests
import researchtikpy as rtk
from researchtikpy import shops, social_graph
from researchtikpy.query_lang import as_dict

from tests.clients.errands import Errand
from tests.clients.runs import Act, PythonClient

# The package's attribute of that name is a function.
get_query = importlib.import_module("researchtikpy.get_query")
_NO_END = 1_000_000


def _sign_in(client_key: str, client_secret: str) -> str:
    token: str = rtk.get_access_token(client_key, client_secret)["access_token"]
    return token


def _shown(frame: pd.DataFrame) -> tuple[Any, ...]:
    return frame.dtypes.astype(str).to_dict(), frame.to_dict("records")


def query_of(errand: Errand) -> rtk.Query:
    """The search in researchtikpy's own classes."""
    regions = rtk.Condition(rtk.Fields.region_code, rtk.Operators.isin, list(errand.search.regions))
    tag = rtk.Condition(rtk.Fields.hashtag_name, rtk.Operators.equals, [errand.search.hashtag])
    return rtk.Query(and_=[regions, tag])


def _get_videos_query(token: str, errand: Errand) -> Any:
    search = errand.search
    if errand.search_id is not None:
        return _go_on(token, errand)
    frame = rtk.get_videos_query(
        query_of(errand), token, search.start, search.end, total_max_count=_NO_END, max_count=errand.page
    )
    return _shown(frame)


def _go_on(token: str, errand: Errand) -> Any:
    # Its function for whole queries cannot be given a search id; the two that it consists of can.
    search, videos = errand.search, []
    body = {
        "query": as_dict(query_of(errand)),
        "start_date": search.start,
        "end_date": search.end,
        "max_count": errand.page,
        "search_id": errand.search_id,
        "cursor": errand.page,
    }
    for response in get_query.iter_responses(body, token):
        get_query.if_needed_log_failures_and_wait(response)
        if response.ok:
            videos += response.json()["data"]["videos"]
    return videos


def _get_videos_hashtag(token: str, errand: Errand) -> Any:
    search = errand.search
    frame = rtk.get_videos_hashtag(
        [search.hashtag],
        token,
        search.start,
        search.end,
        total_max_count=_NO_END,
        region_code=search.regions[0],
        max_count=errand.page,
    )
    return _shown(frame)


def _get_users_info(token: str, errand: Errand) -> Any:
    return _shown(rtk.get_users_info([errand.handle], token, verbose=False))


def _get_video_comments(token: str, errand: Errand) -> Any:
    # As a frame of videos comes from its own queries, with columns of several kinds.
    videos = pd.DataFrame([{"id": errand.number, "username": "somebody"}])
    return _shown(rtk.get_video_comments(videos, token, max_count=errand.page, verbose=False))


def _get_liked_videos(token: str, errand: Errand) -> Any:
    return _shown(rtk.get_liked_videos([errand.handle], token, max_count=errand.page, verbose=False))


def _get_pinned_videos(token: str, errand: Errand) -> Any:
    return _shown(rtk.get_pinned_videos([errand.handle], token, verbose=False))


def _get_followers(token: str, errand: Errand) -> Any:
    return _shown(rtk.get_followers([errand.handle], token, max_count=errand.page, verbose=False))


def _get_following(token: str, errand: Errand) -> Any:
    return _shown(rtk.get_following([errand.handle], token, max_count=errand.page, verbose=False))


def _iter_followers(token: str, errand: Errand) -> Any:
    responses = social_graph.iter_followers_responses(token, errand.handle)
    return [social_graph.extract_followers(each) for each in responses if social_graph.is_response_ok(each)]


def _iter_following(token: str, errand: Errand) -> Any:
    responses = social_graph.iter_following_responses(token, errand.handle)
    return [social_graph.extract_following(each) for each in responses if social_graph.is_response_ok(each)]


def _get_shop_info(token: str, errand: Errand) -> Any:
    return _records(shops.get_shop_info(errand.handle, token))


def _get_product_info(token: str, errand: Errand) -> Any:
    return _records(shops.get_product_info(errand.number, token))


def _get_product_reviews(token: str, errand: Errand) -> Any:
    return _records(shops.get_product_reviews(errand.number, token))


def _records(response: requests.Response) -> Any:
    # For shops it hands out the bare response.
    return response.status_code, response.json()["data"] if response.ok else None


RESEARCHTIKPY = PythonClient(
    name="researchtikpy",
    begin=_sign_in,
    table={
        "get_videos_query": Act(endpoint="video/query", do=_get_videos_query),
        "get_videos_hashtag": Act(endpoint="video/query", do=_get_videos_hashtag),
        "get_users_info": Act(endpoint="user/info", do=_get_users_info),
        "get_video_comments": Act(endpoint="video/comment/list", do=_get_video_comments),
        "get_liked_videos": Act(endpoint="user/liked_videos", do=_get_liked_videos),
        "get_pinned_videos": Act(endpoint="user/pinned_videos", do=_get_pinned_videos),
        "get_followers": Act(endpoint="user/followers", do=_get_followers),
        "get_following": Act(endpoint="user/following", do=_get_following),
        "iter_followers_responses": Act(endpoint="user/followers", do=_iter_followers),
        "iter_following_responses": Act(endpoint="user/following", do=_iter_following),
        "get_shop_info": Act(endpoint="tts/shop", do=_get_shop_info),
        "get_product_info": Act(endpoint="tts/product", do=_get_product_info),
        "get_product_reviews": Act(endpoint="tts/review", do=_get_product_reviews),
    },
    waits=[
        (get_query, "time"),
        (importlib.import_module("researchtikpy.get_video_comments"), "sleep"),
        (importlib.import_module("researchtikpy.get_liked_videos"), "sleep"),
        (importlib.import_module("researchtikpy.social_graph"), "sleep"),
    ],
)
