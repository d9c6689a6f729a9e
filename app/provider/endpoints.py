"""The platform's endpoints: one table, and nothing about an endpoint is written anywhere else.

Numbers, keys and fields are those of developers.tiktok.com: query videos, query user info, batch compliance
(2026-09-01), query video comments (2026-08-04), user liked, pinned, reposted, followers, following, playlist
info, shop info, products and reviews (undated copies of 2026), commercial content (2026-09-01), FAQ
(2026-09-01). What they leave open is said where it was decided.
"""

from collections.abc import Mapping
from types import MappingProxyType

from app.provider import ads, lookups, questions
from app.provider.endpoint import (
    AnswerForm,
    BodyForm,
    BodyKey,
    CursorKind,
    DateRange,
    Endpoint,
    Paging,
    QuotaFamily,
    TaskUse,
)

ADS_SCOPE = "research.adlib.basic"
_MOST_UPLOAD_BYTES = 524_288
"""Bursar's own bound: 10,000 ids of 19 digits with their line ends are 210 kB."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VIDEO_FIELDS = _names("""
    id create_time username region_code video_description music_id like_count comment_count share_count
    view_count favorites_count favourites_count hashtag_names hashtag_info_list sticker_info_list
    effect_info_list video_mention_list video_label video_tag is_stem_verified video_duration
""")
"""What the lists of one user's videos offer; favorites_count is the spelling of 2026, the other an older one."""
_AD_FIELDS = _names("""
    ad advertiser ad.id ad.first_shown_date ad.last_shown_date ad.status ad.status_statement ad.videos
    ad.image_urls ad.reach advertiser.business_id advertiser.business_name advertiser.paid_for_by
""")
"""Single fields by dotted name; a sample of the getting-started page asks for whole objects."""

_USERNAME = BodyKey(name="username", kinds=("string",), about="The account's handle.", example="sim_user_1")
_INDEX_20 = Paging(default=20, most=100)
_TIME_20 = Paging(default=20, most=100, cursor=CursorKind.TIME)
_ADS_SHOWN = ("filters", "ad_published_date_range")
_CONTENT_SHOWN = ("filters", "content_published_date_range")
_SHOP_PAGE = Paging(default=10, most=10, cursor=CursorKind.NUMBER, size_key="page_size")
_TASK_ID = BodyKey(
    name="task_id",
    kinds=("integer", "string"),
    about="The task, as `validation_task/create` named it; may exceed 2^63.",
    example=12345678910987654321,
)
_FILTERS = BodyKey(
    name="filters",
    kinds=("object",),
    about="What to look for; `ad_published_date_range` with `min` and `max`, YYYYMMDD, is required.",
    example={"ad_published_date_range": {"min": "20260901", "max": "20260930"}, "country_code": "FR"},
)

_ROWS = (
    Endpoint(
        name="video/query",
        about="Public videos that meet conditions, newest first.",
        keys=(
            BodyKey(
                name="query",
                kinds=("object",),
                about="Conditions under `and`, `or` and `not`; at least one.",
                example={
                    "and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}],
                },
            ),
            BodyKey(name="start_date", kinds=("string",), about="First day, UTC.", example="20261001"),
            BodyKey(
                name="end_date",
                kinds=("string",),
                about="Last day, UTC; at most 30 days after the first.",
                example="20261007",
            ),
            BodyKey(
                name="is_random",
                kinds=("boolean", "string"),
                about="A random sample instead of the newest; do not page it.",
                is_required=False,
                example=False,
            ),
        ),
        normalise=questions.video_search,
        fields=_VIDEO_FIELDS | _names("effect_ids playlist_id voice_to_text"),
        list_key="videos",
        # The specification says 20, the getting-started page 10; the size is therefore always sent.
        paging=_INDEX_20,
        has_search_id=True,
        dates=DateRange(
            first=("start_date",),
            last=("end_date",),
            most_days_apart=questions.MAX_SPAN_DAYS,
            is_newest_first=True,
        ),
        # The platform's own gateway gives up after about four minutes, and a call cut off is still charged.
        read_timeout_s=250.0,
    ),
    Endpoint(
        name="video/comment/list",
        about="Comments of a video, or replies to a comment.",
        keys=(
            BodyKey(
                name="video_id",
                kinds=("integer", "string"),
                about="The video; this or `comment_id`.",
                is_required=False,
                example=7612345678901234567,
            ),
            BodyKey(
                name="comment_id",
                kinds=("integer", "string"),
                about="The comment whose replies are wanted.",
                is_required=False,
            ),
        ),
        normalise=lookups.comments,
        fields=_names("id video_id text like_count reply_count parent_comment_id create_time"),
        list_key="comments",
        paging=Paging(default=10, most=100),
        # Older versions of the page bound it so; the page of 2026 does not, and clients still keep to it.
        reach=1_000,
    ),
    Endpoint(
        name="user/info",
        about="One account's profile.",
        keys=(_USERNAME,),
        normalise=lookups.user,
        fields=_names("""
            display_name bio_description avatar_url is_verified follower_count following_count likes_count
            video_count bio_url
        """),
    ),
    Endpoint(
        name="user/liked_videos",
        about="Videos that an account liked, where it shows them.",
        keys=(_USERNAME,),
        normalise=lookups.user,
        fields=_VIDEO_FIELDS,
        list_key="user_liked_videos",
        paging=_TIME_20,
    ),
    Endpoint(
        name="user/pinned_videos",
        about="Videos that an account pinned to its profile.",
        keys=(_USERNAME,),
        normalise=lookups.user,
        fields=_VIDEO_FIELDS,
        list_key="pinned_videos_list",
        # Undocumented; a page of any other list has at most as many.
        records_at_most=100,
    ),
    Endpoint(
        name="user/reposted_videos",
        about="Videos that an account reposted, where it shows them.",
        keys=(_USERNAME,),
        normalise=lookups.user,
        fields=_VIDEO_FIELDS,
        # The table of the documents has the other name, their sample and two clients this one.
        list_key="reposted_videos",
        list_alias="user_reposted_videos",
        paging=_INDEX_20,
    ),
    Endpoint(
        name="user/followers",
        about="Accounts that follow an account.",
        keys=(_USERNAME,),
        normalise=lookups.user,
        list_key="user_followers",
        paging=_TIME_20,
        # Undocumented; clients never got beyond some five thousand.
        reach=5_000,
        counted_by=("user/info", "follower_count"),
        family=QuotaFamily.GRAPH,
    ),
    Endpoint(
        name="user/following",
        about="Accounts that an account follows, where it shows them.",
        keys=(_USERNAME,),
        normalise=lookups.user,
        list_key="user_following",
        paging=_TIME_20,
        counted_by=("user/info", "following_count"),
        family=QuotaFamily.GRAPH,
    ),
    Endpoint(
        name="playlist/info",
        about="A playlist and the ids of its videos.",
        keys=(
            BodyKey(
                name="playlist_id",
                kinds=("integer", "string"),
                about="The playlist.",
                example=7200000000000000001,
            ),
        ),
        normalise=lookups.playlist,
        # The sample asks with ?fields=playlist_id, the table knows no fields: what is asked makes no difference.
        list_key="playlist_video_ids",
        lists_ids=True,
        # Default and maximum are unstated; the samples have 10 and 100.
        paging=_INDEX_20,
    ),
    Endpoint(
        name="tts/shop",
        about="Shops of the EU by name.",
        keys=(BodyKey(name="shop_name", kinds=("string",), about="The shop's name.", example="Sim"),),
        normalise=lookups.shop,
        fields=_names(
            "shop_name shop_rating shop_review_count item_sold_count shop_id shop_performance_value"
        ),
        fields_in_body=True,
        list_key="shop_data",
        paging=Paging(default=10, most=10, cursor=CursorKind.NONE, size_key="limit"),
        may_lack_error=True,
    ),
    Endpoint(
        name="tts/product",
        about="Products of a shop.",
        keys=(
            BodyKey(
                name="shop_id",
                kinds=("integer", "string"),
                about="The shop.",
                example=7490000000000000001,
            ),
        ),
        normalise=lookups.products,
        fields=_names("""
            product_id product_name product_description product_price product_sold_count product_review_count
            product_rating product_rating_1_count product_rating_2_count product_rating_3_count
            product_rating_4_count product_rating_5_count shop_name
        """),
        fields_in_body=True,
        list_key="product_data",
        paging=_SHOP_PAGE,
        may_lack_error=True,
    ),
    Endpoint(
        name="tts/review",
        about="Reviews of a product.",
        keys=(
            BodyKey(
                name="product_id",
                kinds=("string", "integer"),
                about="The product.",
                example="1729000000000000001",
            ),
        ),
        normalise=lookups.reviews,
        # display_name stands in the samples alone.
        fields=_names("product_name review_text review_like_count create_time review_rating display_name"),
        fields_in_body=True,
        list_key="review_data",
        paging=_SHOP_PAGE,
        may_lack_error=True,
    ),
    Endpoint(
        name="validation_task/create",
        about="Begins a check of up to 10,000 ids: which of them are still available?",
        keys=(
            BodyKey(
                name="file_data",
                kinds=("string",),
                about="A text file with one id a line, at most 10,000.",
            ),
            BodyKey(
                name="category",
                kinds=("string",),
                about="`video` or `comment`.",
                example="video",
            ),
        ),
        normalise=lookups.upload,
        counts_records=False,
        sends=BodyForm.UPLOAD,
        may_be_held=False,
        task=TaskUse.BEGINS,
        most_body_bytes=_MOST_UPLOAD_BYTES,
    ),
    Endpoint(
        name="validation_task_status/get",
        about="How far such a check is.",
        keys=(_TASK_ID,),
        normalise=lookups.task,
        counts_records=False,
        may_be_held=False,
        task=TaskUse.NAMES,
    ),
    Endpoint(
        name="validation_task/download",
        about="The ids that are still available, one a line.",
        keys=(_TASK_ID,),
        normalise=lookups.task,
        counts_records=False,
        answers=AnswerForm.FILE,
        may_be_held=False,
        task=TaskUse.NAMES,
    ),
    Endpoint(
        name="adlib/ad/query",
        about="Advertisements by date, country, advertiser or words.",
        keys=(
            _FILTERS,
            BodyKey(
                name="search_term",
                kinds=("string",),
                about="Words to look for; at most 50 characters.",
                is_required=False,
                example="coffee",
            ),
            BodyKey(
                name="search_type",
                kinds=("string",),
                about="`exact_phrase`, the default, or `fuzzy_phrase`.",
                is_required=False,
            ),
        ),
        normalise=ads.ad_search,
        fields=_AD_FIELDS,
        list_key="ads",
        # The older page says at most 50, a reading of 2026 says 10: the caller's number is passed on.
        paging=Paging(default=10, most=50, cursor=CursorKind.TOKEN),
        has_search_id=True,
        dates=DateRange(first=(*_ADS_SHOWN, "min"), last=(*_ADS_SHOWN, "max")),
        family=QuotaFamily.ADS,
        scope=ADS_SCOPE,
    ),
    Endpoint(
        name="adlib/ad/detail",
        about="One advertisement with its advertiser and its targeting.",
        keys=(
            BodyKey(
                name="ad_id",
                kinds=("integer", "string"),
                about="The advertisement.",
                example=1780000000000000001,
            ),
        ),
        normalise=ads.ad,
        fields=_AD_FIELDS
        | _names("""
            ad_group ad.title ad.external_url ad.call_to_action ad.advertising_objective ad.rejection_info
            advertiser.country_code advertiser.profile_url advertiser.follower_count ad_group.targeting_info
        """),
        family=QuotaFamily.ADS,
        scope=ADS_SCOPE,
    ),
    Endpoint(
        name="adlib/ad/report",
        about="How many advertisements ran, day by day and country by country.",
        keys=(_FILTERS,),
        normalise=ads.ad_report,
        fields=_names("count_time_series_by_country"),
        family=QuotaFamily.ADS,
        scope=ADS_SCOPE,
    ),
    Endpoint(
        name="adlib/advertiser/query",
        about="Advertisers by name.",
        keys=(
            BodyKey(
                name="search_term",
                kinds=("string",),
                about="Words to look for; at most 50 characters.",
                example="coffee",
            ),
        ),
        normalise=ads.advertisers,
        fields=_names("business_id business_name country_code"),
        list_key="advertisers",
        paging=Paging(default=10, most=50, cursor=CursorKind.NONE),
        family=QuotaFamily.ADS,
        scope=ADS_SCOPE,
    ),
    Endpoint(
        name="adlib/commercial_content/query",
        about="Other content that its creators marked as commercial.",
        keys=(
            BodyKey(
                name="filters",
                kinds=("object",),
                about="What to look for; `content_published_date_range` with `min` and `max` is required.",
                example={"content_published_date_range": {"min": "20260901", "max": "20260930"}},
            ),
        ),
        normalise=ads.commercial_contents,
        fields=_names("id create_timestamp create_date label brand_names creator videos"),
        list_key="commercial_contents",
        paging=Paging(default=10, most=50, cursor=CursorKind.TOKEN),
        has_search_id=True,
        dates=DateRange(first=(*_CONTENT_SHOWN, "min"), last=(*_CONTENT_SHOWN, "max")),
        family=QuotaFamily.ADS,
        scope=ADS_SCOPE,
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
