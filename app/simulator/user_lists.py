"""What an account likes, pins and reposts, who follows it and whom it follows (facts 2.5 to 2.8)."""

from collections.abc import Sequence
from typing import Any

from app.simulator import parsing, spelling
from app.simulator.accounts import Timeline
from app.simulator.answers import invalid_params
from app.simulator.calls import Call, Reply
from app.simulator.dataset import username
from app.simulator.platform import Platform
from app.simulator.users import display_name, public_account
from app.simulator.videos import VIDEO_FIELDS, as_listed

LISTED_FIELDS = VIDEO_FIELDS - {"effect_ids", "playlist_id", "voice_to_text"}
"""Facts 2.5, complete list; it serves all three lists of videos."""

_LEAST_MS = 100_000_000_000
"""A cursor from here on is in milliseconds, below in seconds: 1973 in the one, 5138 in the other."""


def list_likes(platform: Platform, call: Call) -> Reply:
    """A page of the videos that an account likes, the latest like first (facts 2.5)."""
    fields = _fields(platform, call)
    body = parsing.json_object(call.body)
    count, cursor = parsing.max_count(body, default=20), parsing.cursor(body)
    number = public_account(platform, body)
    if not platform.accounts.shows_likes(number):
        raise _hidden(number, "liked videos")
    moment_ms = cursor if cursor >= _LEAST_MS else cursor * 1_000 + 999
    likes = platform.accounts.likes(number)
    page, after, has_more = _page_in_time(likes, moment_ms if cursor else None, count)
    shown = _shown_videos(platform, platform.thinned(page), fields)
    if after is not None and platform.knobs.liked_cursor_in_seconds:
        after //= 1_000
    data = {"user_liked_videos": shown, "cursor": cursor if after is None else after, "has_more": has_more}
    return Reply(data=data, records=len(shown))


def list_pins(platform: Platform, call: Call) -> Reply:
    """The videos that an account has pinned, all at once (facts 2.6)."""
    fields = _fields(platform, call)
    number = public_account(platform, parsing.json_object(call.body))
    shown = _shown_videos(platform, platform.accounts.pins(number), fields)
    return Reply(data={"pinned_videos_list": shown}, records=len(shown))


def list_reposts(platform: Platform, call: Call) -> Reply:
    """A page of the videos that an account has reposted, by index (facts 2.7)."""
    fields = _fields(platform, call)
    body = parsing.json_object(call.body)
    count, cursor = parsing.max_count(body, default=20), parsing.cursor(body)
    number = public_account(platform, body)
    if not platform.accounts.shows_reposts(number):
        raise _hidden(number, "reposted videos")
    reposts, end = platform.accounts.reposts(number), cursor + count
    shown = _shown_videos(platform, platform.thinned(reposts[cursor:end]), fields)
    key = "user_reposted_videos" if platform.knobs.user_reposted_videos else "reposted_videos"
    data = {key: shown, "cursor": end, "has_more": end < len(reposts)}
    return Reply(data=data, records=len(shown))


def list_followers(platform: Platform, call: Call) -> Reply:
    """A page of the public accounts that follow one, the latest first (facts 2.8)."""
    body = parsing.json_object(call.body)
    number = public_account(platform, body)
    followers = platform.accounts.followers(number).first(platform.knobs.follower_cap)
    return _page_of_accounts(platform, "user_followers", followers, body)


def list_following(platform: Platform, call: Call) -> Reply:
    """A page of the public accounts that one follows, where it shows them (facts 2.8)."""
    body = parsing.json_object(call.body)
    number = public_account(platform, body)
    if not platform.accounts.shows_following(number):
        raise _hidden(number, "following")
    return _page_of_accounts(platform, "user_following", platform.accounts.following(number), body)


def _page_of_accounts(platform: Platform, key: str, listed: Timeline, body: dict[str, Any]) -> Reply:
    count, cursor = parsing.max_count(body, default=20), parsing.cursor(body)
    page, after, has_more = _page_in_time(listed, cursor or None, count)
    shown = [
        {"username": username(number), "display_name": display_name(number)}
        for number in platform.thinned(page)
        if not platform.has_left(number)
    ]
    data = {key: shown, "cursor": cursor if after is None else after, "has_more": has_more}
    return Reply(data=data, records=len(shown))


def _page_in_time(listed: Timeline, moment: int | None, count: int) -> tuple[Sequence[int], int | None, bool]:
    """The items at and before a time, the time where the next page goes on, and whether there is one.

    That time is None on an empty page. Items that have vanished keep their place.
    """
    start = listed.place(moment)
    end = min(start + count, len(listed))
    if end < len(listed):
        return listed.items[start:end], listed.times[end], True
    return listed.items[start:end], listed.times[end - 1] - 1 if start < end else None, False


def _shown_videos(
    platform: Platform, positions: Sequence[int], fields: tuple[str, ...]
) -> list[dict[str, Any]]:
    names = spelling.looked_up(fields)
    left = [p for p in positions if not platform.is_gone(p)]
    return [spelling.spelt(as_listed(platform.videos.shown(p, names)), platform.knobs) for p in left]


def _fields(platform: Platform, call: Call) -> tuple[str, ...]:
    return parsing.fields_of(call.fields, spelling.field_names(LISTED_FIELDS, platform.knobs))


def _hidden(number: int, what: str) -> Exception:
    # The pattern of facts 3.3; the rest of the wording is a guess.
    return invalid_params(f"User {username(number)} does not share {what}: information cannot be returned")
