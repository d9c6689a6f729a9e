"""The research endpoints: one table of paths, and what each answers to a well-authorised call."""

from collections.abc import Sequence
from typing import Any

from app.simulator import parsing
from app.simulator.adlib_endpoints import ADLIB_ENDPOINTS
from app.simulator.answers import invalid_params
from app.simulator.calls import Call, Endpoint, Reply
from app.simulator.comments import COMMENT_FIELDS
from app.simulator.compliance_endpoints import COMPLIANCE_ENDPOINTS
from app.simulator.platform import Platform
from app.simulator.playlists import show_playlist
from app.simulator.shop_endpoints import SHOP_ENDPOINTS
from app.simulator.user_lists import list_followers, list_following, list_likes, list_pins, list_reposts
from app.simulator.users import USER_FIELDS, profile, public_account
from app.simulator.video_query import query_videos


def list_comments(platform: Platform, call: Call) -> Reply:
    """A page of a video's comments, or of the replies to one comment (facts 2.3).

    For an unknown or deleted record the page is empty, which is inferred.
    """
    fields = parsing.fields_of(call.fields, COMMENT_FIELDS)
    body = parsing.json_object(call.body)
    video_id, comment_id = parsing.identifier(body, "video_id"), parsing.identifier(body, "comment_id")
    if (video_id is None) == (comment_id is None):
        raise invalid_params("Exactly one of video_id and comment_id is required")
    count, cursor = parsing.max_count(body, default=10), parsing.cursor(body)
    cap = platform.knobs.comment_cap
    if cap is not None and cursor + count > cap:
        raise invalid_params("Invalid count or cursor")
    if video_id is not None:
        total, page = _comments_of(platform, video_id, fields, range(cursor, cursor + count))
    else:
        total, page = _replies_to(platform, comment_id or 0, fields, range(cursor, cursor + count))
    reachable = total if cap is None else min(total, cap)
    data = {"comments": page, "cursor": cursor + count, "has_more": cursor + count < reachable}
    return Reply(data=data, records=len(page))


def _comments_of(
    platform: Platform, video_id: int, fields: Sequence[str], asked: range
) -> tuple[int, list[dict[str, Any]]]:
    position = platform.dataset.position(video_id)
    if position is None or platform.is_gone(position):
        return 0, []
    comments, deleted = platform.comments, platform.deleted_comments
    total = comments.count(position)
    indices = range(asked.start, min(asked.stop, total))
    left = [i for i in indices if not deleted or comments.comment_id(position, i) not in deleted]
    return total, [comments.shown(position, i, fields) for i in left]


def _replies_to(
    platform: Platform, comment_id: int, fields: Sequence[str], asked: range
) -> tuple[int, list[dict[str, Any]]]:
    found = platform.comments.find(comment_id)
    if found is None or platform.is_gone(found[0]) or comment_id in platform.deleted_comments:
        return 0, []
    position, index = found
    total = platform.comments.reply_count(position, index)
    numbers = range(asked.start, min(asked.stop, total))
    left = [
        n for n in numbers if platform.comments.reply_id(position, index, n) not in platform.deleted_comments
    ]
    return total, [platform.comments.reply(position, index, n, fields) for n in left]


def show_user(platform: Platform, call: Call) -> Reply:
    """One profile (facts 2.4); the three refusals are those of 3.3."""
    fields = parsing.fields_of(call.fields, USER_FIELDS)
    number = public_account(platform, parsing.json_object(call.body))
    return Reply(data=profile(platform.dataset, number, fields), records=1)


ENDPOINTS = (
    Endpoint(name="video/query", answer=query_videos),
    Endpoint(name="video/comment/list", answer=list_comments),
    Endpoint(name="user/info", answer=show_user),
    Endpoint(name="user/liked_videos", answer=list_likes),
    Endpoint(name="user/pinned_videos", answer=list_pins),
    Endpoint(name="user/reposted_videos", answer=list_reposts),
    Endpoint(name="user/followers", answer=list_followers, family="graph"),
    Endpoint(name="user/following", answer=list_following, family="graph"),
    Endpoint(name="playlist/info", answer=show_playlist),
    *SHOP_ENDPOINTS,
    *COMPLIANCE_ENDPOINTS,
    *ADLIB_ENDPOINTS,
)
"""All that the simulator offers so far; every other path is 404."""
