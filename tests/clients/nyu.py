"""`tiktok_research_api_helper` of NYU's Cybersecurity for Democracy (version 0.1.3)."""

from datetime import datetime
from pathlib import Path
from typing import Any

import tenacity.nap
from sqlalchemy import text
from tiktok_research_api_helper.api_client import (
    ApiClientConfig,
    TikTokApiClient,
    TikTokApiRequestClient,
    TikTokCredentials,
    TikTokVideoRequest,
    VideoQueryConfig,
)
from tiktok_research_api_helper.models import get_sqlite_engine_and_create_tables
from tiktok_research_api_helper.query import Condition, Fields, Operations, VideoQuery

from tests.clients.errands import Errand
from tests.clients.runs import Act, PythonClient
from tests.clients.sides import Side
from tests.clients.wire import wired

_RATE_LIMIT_RETRIES = 4
"""Its own setting; without it, it tries for ever after a 429, each time four hours later."""


def _sign_in(client_key: str, client_secret: str) -> TikTokApiClient:
    asking = TikTokApiRequestClient(
        credentials=TikTokCredentials(client_key=client_key, client_secret=client_secret),
        max_api_rate_limit_retries=_RATE_LIMIT_RETRIES,
    )
    return TikTokApiClient(request_client=asking, config=ApiClientConfig(api_credentials_file=Path("unread")))


def question_of(errand: Errand) -> VideoQueryConfig:
    """The search in the helper's own classes."""
    search = errand.search
    query = VideoQuery(
        and_=[
            Condition(Fields.region_code, list(search.regions), Operations.IN),
            Condition(Fields.hashtag_name, search.hashtag, Operations.EQ),
        ]
    )
    return VideoQueryConfig(
        query=query,
        start_date=datetime.strptime(search.start, "%Y%m%d"),  # noqa: DTZ007 - as its own command line does
        end_date=datetime.strptime(search.end, "%Y%m%d"),  # noqa: DTZ007
        max_count=errand.page,
    )


def _fetch_all(client: TikTokApiClient, errand: Errand) -> Any:
    if errand.search_id is not None:
        page = TikTokVideoRequest.from_config(
            question_of(errand), search_id=errand.search_id, cursor=errand.page
        )
        return client._request_client.fetch_videos(page).videos
    found = client.fetch_all(question_of(errand))
    crawl = found.crawl
    return found.videos, crawl and (crawl.cursor, crawl.has_more, crawl.extra_data)


def _fetch_user_info(client: TikTokApiClient, errand: Errand) -> Any:
    client.clear_cache()
    found = client.fetch_user_info(errand.handle)
    return found.user_info, found.error["code"]


def _fetch_video_comments(client: TikTokApiClient, errand: Errand) -> Any:
    client.clear_cache()
    return [page.comments for page in client.fetch_video_comments(errand.number)]


NYU = PythonClient(
    name="tiktok_research_api_helper",
    begin=_sign_in,
    table={
        "fetch_all": Act(endpoint="video/query", do=_fetch_all),
        "fetch_user_info": Act(endpoint="user/info", do=_fetch_user_info),
        "fetch_video_comments": Act(endpoint="video/comment/list", do=_fetch_video_comments),
    },
    waits=[(tenacity.nap, "time")],
)


def store_everything(side: Side, errand: Errand, database: Path) -> dict[str, list[Any]]:
    """Crawl videos with their authors and comments into the helper's own SQLite tables, and read those."""
    engine = get_sqlite_engine_and_create_tables(database)
    question = question_of(errand)
    question.fetch_user_info = question.fetch_comments = True
    with wired(side.base_url, NYU.waits, None):
        client = _sign_in(side.client_key, side.client_secret)
        client._config.engine = engine
        client.fetch_and_store_all(question)
    columns = {
        "video": "id, create_time, username, region_code, video_description, music_id, like_count, view_count",
        "user_info": "*",
        "comment": "*",
        "hashtag": "name",
    }
    with engine.connect() as connection:
        found = {
            table: sorted(map(tuple, connection.execute(text(f"select {names} from {table}"))))
            for table, names in columns.items()
        }
    engine.dispose()
    return found
