"""Searching for videos (facts 2.2), with the quirks of searches."""

from collections.abc import Sequence
from typing import Any

from app.simulator import parsing, spelling
from app.simulator.ageing import stale
from app.simulator.answers import ApiError, invalid_params
from app.simulator.calls import Call, Reply
from app.simulator.parsing import VideoPage, VideoQuery
from app.simulator.platform import Platform
from app.simulator.searches import Search
from app.simulator.videos import VIDEO_FIELDS


def query_videos(platform: Platform, call: Call) -> Reply:
    """A page of a search."""
    knobs = platform.knobs
    fields = parsing.fields_of(call.fields, spelling.field_names(VIDEO_FIELDS, knobs))
    asked = parsing.video_page(
        parsing.json_object(call.body),
        end_date_is_inclusive=knobs.end_date_is_inclusive,
        default_count=knobs.max_count_default,
    )
    _refuse_poison(platform, asked.query)
    search, positions = _searched(platform, call.client_key, asked)
    shown = [p for p in platform.thinned(_page(platform, asked, positions)) if not platform.is_gone(p)]
    next_cursor = asked.cursor + asked.max_count
    data: dict[str, Any] = {
        "videos": [_record(platform, p, spelling.looked_up(fields)) for p in shown],
        "cursor": next_cursor,
        "has_more": next_cursor < len(positions),
    }
    if search is not None:
        data["search_id"] = search.id
    return Reply(data=data, records=len(shown))


def _searched(platform: Platform, client_key: str, asked: VideoPage) -> tuple[Search | None, Sequence[int]]:
    """The search that a page belongs to, begun where none is named, and its result; none without hits."""
    searches, knobs = platform.searches, platform.knobs
    if asked.search_id is not None:
        search = searches.resume(asked.search_id, client_key, asked.query, is_random=asked.is_random)
        _refuse_beyond(asked.cursor, search.positions)
        if knobs.search_id_rotate_p and platform.rng.random() < knobs.search_id_rotate_p:
            search = searches.renamed(search)
        return search, search.positions
    searches.warm_up(client_key, asked.query, failures=knobs.cold_search_failures)
    positions = platform.hits(asked.query)
    if knobs.heavy_query_500 is not None and len(positions) > knobs.heavy_query_500:
        raise _broken()
    _refuse_beyond(asked.cursor, positions)
    if not positions:
        return None, positions
    return searches.begin(client_key, asked.query, positions, is_random=asked.is_random), positions


def _page(platform: Platform, asked: VideoPage, positions: Sequence[int]) -> Sequence[int]:
    """The positions on a page; every page of a random search is another sample (facts 3.4, Q26)."""
    if asked.is_random:
        return platform.searches.sample(positions, asked.max_count)
    return positions[asked.cursor : asked.cursor + asked.max_count]


def _record(platform: Platform, position: int, fields: Sequence[str]) -> dict[str, Any]:
    record, knobs = platform.videos.shown(position, fields), platform.knobs
    if knobs.stats_lag_days:
        video_id = platform.dataset.ids[position]
        record = stale(record, video_id=video_id, now_s=platform.data_now_s(), lag_days=knobs.stats_lag_days)
    return spelling.spelt(record, knobs)


def _refuse_beyond(cursor: int, positions: Sequence[int]) -> None:
    if cursor and cursor >= len(positions):
        raise invalid_params("Invalid count or cursor")


def _refuse_poison(platform: Platform, query: VideoQuery) -> None:
    """Fail where a condition meets days on which the platform has failed for months (facts 3.4, Q6)."""
    named = {c.field_name for group in (query.all_of, query.any_of, query.none_of) for c in group}
    for poison in platform.knobs.poison_ranges:
        is_named = poison.field_name is None or poison.field_name in named
        if is_named and query.start_s < poison.end_s and poison.start_s < query.end_s:
            raise _broken()


def _broken() -> ApiError:
    return ApiError(500, "internal_error", "Something is wrong. Please try again later.")
