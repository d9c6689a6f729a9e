"""What an answer of each research endpoint may look like, for the OpenAPI document; nothing in it is real."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from app.provider.endpoint import AnswerForm, CursorKind, Endpoint

AN_ENTRY: Final = "8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8"
_VIDEO: Final = {"id": 7612345678901234567, "username": "sim_user_17", "create_time": 1772400000}
_ACCOUNT: Final = {"username": "sim_user_3", "display_name": "Sim 3"}
_AD: Final = {
    "ad": {"id": 1780000000000000001, "status": "active"},
    "advertiser": {"business_id": 7060000000000000001, "business_name": "Sim Bakery 1 GmbH"},
}
_RECORDS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "video/query": _VIDEO,
        "video/comment/list": {"id": 7612345999999999999, "text": "so true", "create_time": 1772400500},
        "user/info": {"display_name": "Sim 17", "follower_count": 12, "is_verified": False},
        "user/liked_videos": _VIDEO,
        "user/pinned_videos": _VIDEO,
        "user/reposted_videos": _VIDEO,
        "user/followers": _ACCOUNT,
        "user/following": _ACCOUNT,
        "playlist/info": 7612345678901234567,
        "tts/shop": {"shop_id": 7490000000000000001, "shop_name": "Sim Lumen Ireland"},
        "tts/product": {"product_id": 1729000000000000001, "product_name": "Sim tea"},
        "tts/review": {"review_text": "exactly as described", "review_rating": "FIVE"},
        "validation_task/create": {"task_id": 12345678910987654321},
        "validation_task_status/get": {"task_status": "Completed"},
        "validation_task/download": "7612345678901234567\n7612345678901234568\n",
        "adlib/ad/query": _AD,
        "adlib/ad/detail": _AD,
        "adlib/ad/report": {"count_time_series_by_country": {"FR": [{"date": "20260901", "count": 3}]}},
        "adlib/advertiser/query": {"business_id": 7060000000000000001, "business_name": "Sim Bakery 1 GmbH"},
        "adlib/commercial_content/query": {"id": 7612345678901234567, "brand_names": ["Sim Bakery"]},
    }
)
"""One record of each; where an answer is a file, the whole of it."""


def answered(endpoint: Endpoint) -> object:
    """A whole success: the envelope around one record, or the file."""
    record = _RECORDS[endpoint.name]
    if endpoint.answers is AnswerForm.FILE:
        return record
    data: dict[str, object] = dict(record) if endpoint.list_key is None else {endpoint.list_key: [record]}
    paging = endpoint.paging
    if paging is not None and paging.answers_cursor:
        data["cursor"] = 1772400000 if endpoint.cursor is CursorKind.TIME else paging.most
    if paging is not None and paging.answers_has_more:
        data["has_more"] = True
    if endpoint.has_search_id:
        data["search_id"] = "4611686018427387905"
    return {"data": data, "error": {"code": "ok", "message": "", "log_id": AN_ENTRY}}
