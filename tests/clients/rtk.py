"""`researchtikpy` (version 0.2.2), which returns pandas frames."""

import importlib
from typing import Any

import pandas as pd
import researchtikpy as rtk

from tests.clients.errands import Errand
from tests.clients.runs import Act, PythonClient

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
    frame = rtk.get_videos_query(
        query_of(errand), token, search.start, search.end, total_max_count=_NO_END, max_count=errand.page
    )
    return _shown(frame)


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


RESEARCHTIKPY = PythonClient(
    name="researchtikpy",
    sign_in=_sign_in,
    table={
        "get_videos_query": Act(endpoint="video/query", do=_get_videos_query),
        "get_videos_hashtag": Act(endpoint="video/query", do=_get_videos_hashtag),
        "get_users_info": Act(endpoint="user/info", do=_get_users_info),
        "get_video_comments": Act(endpoint="video/comment/list", do=_get_video_comments),
    },
    waits=[
        (importlib.import_module("researchtikpy.get_query"), "time"),
        (importlib.import_module("researchtikpy.get_video_comments"), "sleep"),
        (importlib.import_module("researchtikpy.get_liked_videos"), "sleep"),
        (importlib.import_module("researchtikpy.social_graph"), "sleep"),
    ],
)
