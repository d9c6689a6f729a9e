"""One good question for each of the platform's twenty endpoints, about things that the simulator has.

Written from the platform's documents alone, not from Bursar's table of endpoints.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET, Installation, call

ACCOUNTS = (
    "user/info",
    "user/liked_videos",
    "user/pinned_videos",
    "user/reposted_videos",
    "user/followers",
    "user/following",
)
TIMED = ("user/liked_videos", "user/followers", "user/following")
"""Their cursor is a moment."""
COUNTED = ("video/query", "video/comment/list", "user/reposted_videos", "playlist/info")
"""Their cursor is an index."""
SHOPS = ("tts/shop", "tts/product", "tts/review")
UPLOAD, STATUS, DOWNLOAD = "validation_task/create", "validation_task_status/get", "validation_task/download"
COMPLIANCE = (UPLOAD, STATUS, DOWNLOAD)
SEARCHED = ("adlib/ad/query", "adlib/commercial_content/query")
"""A search id alone says where they go on."""
ADS = (*SEARCHED, "adlib/ad/detail", "adlib/ad/report", "adlib/advertiser/query")
EVERY = ("video/query", "video/comment/list", *ACCOUNTS, "playlist/info", *SHOPS, *COMPLIANCE, *ADS)
JSON = tuple(name for name in EVERY if name != UPLOAD)
HELD = tuple(name for name in EVERY if name not in COMPLIANCE)
"""Whose answers Bursar keeps."""
LIST_KEYS = {
    "video/query": "videos",
    "video/comment/list": "comments",
    "user/liked_videos": "user_liked_videos",
    "user/pinned_videos": "pinned_videos_list",
    "user/reposted_videos": "reposted_videos",
    "user/followers": "user_followers",
    "user/following": "user_following",
    "playlist/info": "playlist_video_ids",
    "tts/shop": "shop_data",
    "tts/product": "product_data",
    "tts/review": "review_data",
    "adlib/ad/query": "ads",
    "adlib/advertiser/query": "advertisers",
    "adlib/commercial_content/query": "commercial_contents",
}
BOUNDARY = "---------------------------9051914041544843365972754266"

_VIDEO = (
    "id,create_time,username,region_code,video_description,music_id,like_count,comment_count,share_count,"
    "view_count,favorites_count,hashtag_names,hashtag_info_list,sticker_info_list,effect_info_list,"
    "video_mention_list,video_label,video_tag,is_stem_verified,video_duration"
)
_AD = (
    "ad.id,ad.first_shown_date,ad.last_shown_date,ad.status,ad.status_statement,ad.videos,ad.image_urls,"
    "ad.reach,advertiser.business_id,advertiser.business_name,advertiser.paid_for_by"
)
_PUBLISHED = {"ad_published_date_range": {"min": "20260801", "max": "20261031"}}
_FIELDS = {
    "video/query": f"{_VIDEO},effect_ids,playlist_id,voice_to_text",
    "video/comment/list": "id,video_id,text,like_count,reply_count,parent_comment_id,create_time",
    "user/info": "display_name,bio_description,avatar_url,is_verified,follower_count,following_count,"
    "likes_count,video_count,bio_url",
    "user/liked_videos": _VIDEO,
    "user/pinned_videos": _VIDEO,
    "user/reposted_videos": _VIDEO,
    "tts/shop": "shop_name,shop_rating,shop_review_count,item_sold_count,shop_id,shop_performance_value",
    "tts/product": "product_id,product_name,product_description,product_price,product_sold_count,"
    "product_review_count,product_rating,product_rating_1_count,product_rating_2_count,"
    "product_rating_3_count,product_rating_4_count,product_rating_5_count,shop_name",
    "tts/review": "product_name,review_text,review_like_count,create_time,review_rating,display_name",
    "adlib/ad/query": _AD,
    "adlib/ad/detail": f"{_AD},ad.title,ad.external_url,ad.call_to_action,ad.advertising_objective,"
    "ad.rejection_info,advertiser.country_code,advertiser.profile_url,advertiser.follower_count,"
    "ad_group.targeting_info",
    "adlib/ad/report": "count_time_series_by_country",
    "adlib/advertiser/query": "business_id,business_name,country_code",
    "adlib/commercial_content/query": "id,create_timestamp,create_date,label,brand_names,creator,videos",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one endpoint; `fields` as they stand in the query string, unencoded."""

    endpoint: str
    body: Mapping[str, Any]
    fields: str = ""

    @property
    def path(self) -> str:
        path = f"/v2/research/{self.endpoint}/"
        return f"{path}?fields={quote(self.fields, safe=',.')}" if self.fields else path

    @property
    def encoded(self) -> bytes:
        """As clients of today send it: JSON, or for the upload a form with a file."""
        return multipart(self.body) if self.endpoint == UPLOAD else json.dumps(self.body).encode()

    @property
    def content_type(self) -> str:
        is_form = self.endpoint == UPLOAD
        return f"multipart/form-data; boundary={BOUNDARY}" if is_form else "application/json"

    def but(self, **changes: Any) -> "Question":
        """The same question with other values in its body."""
        return replace(self, body={**self.body, **changes})


def multipart(parts: Mapping[str, str]) -> bytes:
    lines = []
    for name, text in parts.items():
        more = '; filename="ids.txt"\r\nContent-Type: text/plain' if name == "file_data" else ""
        lines.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{text}\r\n')
    return ("".join(lines) + f"--{BOUNDARY}--\r\n").encode()


def form(body: Mapping[str, Any]) -> bytes:
    """The body as one client sends it, form-encoded, with objects as JSON text."""
    texts = {
        name: json.dumps(value) if isinstance(value, (dict, list)) else str(value)
        for name, value in body.items()
    }
    return urlencode(texts).encode()


class Direct:
    """A client of the simulator itself, with the institution's own credential."""

    def __init__(self, installation: Installation) -> None:
        self._port = installation.simulator_port
        self._token = ""

    def ask(self, question: Question) -> tuple[int, bytes]:
        """Status and body of the platform's own answer."""
        for _ in range(2):
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": question.content_type}
            status, _, body = call(self._port, "POST", question.path, body=question.encoded, headers=headers)
            if status != 401:
                break
            self._token = self._new_token()
        return status, body

    def data(self, question: Question) -> dict[str, Any]:
        status, body = self.ask(question)
        assert status == 200, body
        data: dict[str, Any] = json.loads(body)["data"]
        return data

    def _new_token(self) -> str:
        form = f"client_key={CLIENT_KEY}&client_secret={CLIENT_SECRET}&grant_type=client_credentials"
        answer = call(self._port, "POST", "/v2/oauth/token/", body=form.encode())[2]
        token: str = json.loads(answer)["access_token"]
        return token


def good_questions(installation: Installation, direct: Direct) -> dict[str, Question]:
    """Questions by endpoint, most of them with several pages of answers; none about tasks, which are somebody's."""
    there_are = installation.control("GET", "accounts")
    videos = Question(
        "video/query",
        {
            "query": {
                "and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE"]}],
                "not": [{"field_name": "video_length", "operation": "EQ", "field_values": ["LONG"]}],
            },
            "start_date": "20261001",
            "end_date": "20261007",
            "max_count": 100,
        },
        _FIELDS["video/query"],
    )
    known = direct.data(videos)["videos"]
    talked_about = max(known, key=lambda video: int(video["comment_count"]))
    bodies: dict[str, dict[str, Any]] = {
        "video/comment/list": {"video_id": talked_about["id"], "max_count": 100},
        "user/info": {"username": there_are["with_followers"][0]},
        "user/liked_videos": {"username": there_are["likes_public"][0], "max_count": 100},
        "user/pinned_videos": {"username": there_are["with_pins"][0]},
        "user/reposted_videos": {"username": there_are["reposts_public"][0], "max_count": 50},
        "user/followers": {"username": there_are["with_followers"][-1], "max_count": 100},
        "user/following": {"username": there_are["following_public"][-1], "max_count": 100},
        "playlist/info": {"playlist_id": there_are["playlists"][0], "max_count": 5},
        "tts/shop": {"shop_name": "Sim", "limit": 10},
        "tts/product": {"shop_id": there_are["shop_ids"][0], "page_size": 10},
        "tts/review": {"product_id": str(there_are["product_ids"][0]), "page_size": 10},
        UPLOAD: {"file_data": "".join(f"{video['id']}\n" for video in known), "category": "video"},
        "adlib/ad/query": {"filters": _PUBLISHED, "max_count": 50},
        "adlib/ad/detail": {"ad_id": there_are["ad_ids"][0]},
        "adlib/ad/report": {"filters": {**_PUBLISHED, "country_code": "FR"}},
        "adlib/advertiser/query": {"search_term": "Sim", "max_count": 50},
        "adlib/commercial_content/query": {
            "filters": {"content_published_date_range": {"min": "20260801", "max": "20261031"}},
            "max_count": 50,
        },
    }
    others = {name: Question(name, body, _FIELDS.get(name, "")) for name, body in bodies.items()}
    return {"video/query": videos, **others}


def about_nothing(question: Question, number: int) -> Question:
    """The same question about a thing that nobody has asked about, and that is nowhere."""
    nowhere = 6_000_000_000_000_000_000 + number
    filters = dict(question.body.get("filters", {}))
    changes: dict[str, dict[str, Any]] = {
        "video/query": {
            "query": {
                "and": [{"field_name": "username", "operation": "EQ", "field_values": [f"nobody.{number}"]}]
            }
        },
        "video/comment/list": {"video_id": nowhere},
        "playlist/info": {"playlist_id": nowhere},
        "tts/shop": {"shop_name": f"nothing {number}"},
        "tts/product": {"shop_id": nowhere},
        "tts/review": {"product_id": str(nowhere)},
        "adlib/ad/query": {"search_term": f"nothing {number}"},
        "adlib/ad/detail": {"ad_id": nowhere},
        "adlib/ad/report": {"filters": {**filters, "advertiser_business_ids": [nowhere]}},
        "adlib/advertiser/query": {"search_term": f"nothing {number}"},
        "adlib/commercial_content/query": {"filters": {**filters, "creator_usernames": [f"nobody.{number}"]}},
    }
    if question.endpoint in ACCOUNTS:
        return question.but(username=f"nobody.{number}")
    return question.but(**changes.get(question.endpoint, {}))


def varied(question: Question, number: int) -> Question:
    """The same question in a way in which nobody else asks it: other fields, or another number of records."""
    names = question.fields.split(",")
    if len(names) > 4:
        chosen = [name for place, name in enumerate(names) if (number + 1) >> place & 1]
        return replace(question, fields=",".join(chosen))
    if question.endpoint == "adlib/ad/report":
        days = {"min": "20260801", "max": f"202610{1 + number % 31:02}"}
        return question.but(filters={"ad_published_date_range": days, "country_code": "DE"})
    if "max_count" in question.body:
        return question.but(max_count=1 + number % 49)
    return question
