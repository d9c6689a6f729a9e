"""The platform's endpoints: one table, and nothing about an endpoint is written anywhere else.

Numbers and fields are those of developers.tiktok.com: query videos, query user info (2026-09-01), query
video comments (2026-08-04 and 2026-09-01), FAQ (2026-09-01).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from app.provider import questions


class CursorKind(StrEnum):
    """How an endpoint goes on to its next page."""

    NONE = "none"
    """One page, no cursor."""
    INDEX = "index"
    """The cursor counts records from 0 and advances by the page size, however many came back."""


class QuotaFamily(StrEnum):
    """Which of the platform's daily counters an endpoint draws on."""

    MAIN = "main"
    GRAPH = "graph"
    """Followers and following have their own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Endpoint:
    """One endpoint of the platform; a row is itself, so it compares and hashes by identity."""

    name: str
    path: str
    """With the trailing slash."""
    list_key: str | None
    """The key in `data` that holds the records; None where `data` is the one record."""
    cursor: CursorKind = CursorKind.INDEX
    has_search_id: bool = False
    page_default: int = 20
    page_max: int = 100
    fields: frozenset[str]
    """Every name that `fields` may hold; empty where the endpoint takes none."""
    needs_fields: bool = True
    body_keys: frozenset[str]
    """The documented body keys beside paging."""
    normalise: Callable[[Mapping[str, object]], dict[str, object]]
    """The body without paging and fields -> the question; raises InvalidParams."""
    family: QuotaFamily = QuotaFamily.MAIN
    scope: str = "research.data.basic"
    read_timeout_s: float = 60.0

    @property
    def is_paged(self) -> bool:
        """Whether an answer is one page of several."""
        return self.cursor is not CursorKind.NONE


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ROWS = (
    Endpoint(
        name="video/query",
        path="/v2/research/video/query/",
        list_key="videos",
        has_search_id=True,
        # The specification says 20, the getting-started page 10; the size is therefore always sent.
        page_default=20,
        # favorites_count is the 2026 spelling, favourites_count the older one.
        fields=_names("""
            id create_time username region_code video_description music_id like_count comment_count share_count
            view_count favorites_count favourites_count effect_ids effect_info_list hashtag_names
            hashtag_info_list sticker_info_list video_mention_list video_label video_tag playlist_id
            voice_to_text is_stem_verified video_duration
        """),
        body_keys=_names("query start_date end_date is_random"),
        normalise=questions.video_search,
        # The platform's own gateway gives up after about four minutes, and a call cut off is still charged.
        read_timeout_s=250.0,
    ),
    Endpoint(
        name="user/info",
        path="/v2/research/user/info/",
        list_key=None,
        cursor=CursorKind.NONE,
        fields=_names("""
            display_name bio_description avatar_url is_verified follower_count following_count likes_count
            video_count bio_url
        """),
        body_keys=_names("username"),
        normalise=questions.user,
    ),
    Endpoint(
        name="video/comment/list",
        path="/v2/research/video/comment/list/",
        list_key="comments",
        page_default=10,
        fields=_names("id video_id text like_count reply_count parent_comment_id create_time"),
        body_keys=_names("video_id comment_id"),
        normalise=questions.comments,
    ),
)

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({row.name: row for row in _ROWS})
"""Every endpoint by name."""

_BY_PATH: Mapping[str, Endpoint] = MappingProxyType(
    {path: row for row in _ROWS for path in (row.path, row.path.removesuffix("/"))}
)


def endpoint_for_path(path: str) -> Endpoint | None:
    """The endpoint at `path`, with or without its trailing slash; None where there is none."""
    return _BY_PATH.get(path)
