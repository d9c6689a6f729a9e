"""What one simulator is like: its clients, its quota, its data and its quirks."""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property

BASIC_SCOPE = "research.data.basic"
"""The scope that opens the research endpoints (facts 1.5)."""

ADLIB_SCOPE = "research.adlib.basic"
"""The scope that opens the ads library (facts 1.5)."""

SCOPES = frozenset({BASIC_SCOPE, ADLIB_SCOPE})
"""All that there are."""

ADS_SCOPE = "research.adlib.basic"
"""The scope that opens the ads library (facts 1.5)."""

MAX_VIDEOS = 2_000_000
"""Comment ids keep the video's position in 21 bits."""


@dataclass(frozen=True, kw_only=True)
class PoisonRange:
    """Days, `YYYYMMDD`, on which a query fails that has a condition on the field, or any query for None."""

    start_date: str
    end_date: str
    field_name: str | None = "hashtag_name"

    def __post_init__(self) -> None:
        if self.end_s <= self.start_s:
            raise ValueError("a poison range must not end before it starts")

    @cached_property
    def start_s(self) -> float:
        """The range's first second."""
        return _day(self.start_date).timestamp()

    @cached_property
    def end_s(self) -> float:
        """The second after the range."""
        return _day(self.end_date).timestamp() + 86_400


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Quirks of the real platform; the defaults are plain mode. Sources are rows of facts 3.4.

    Q11, Q17's ages and Q26 are as they are in both modes; Q24 is `SimulatorConfig.token_life_s`; Q25 follows
    from Q3. Q14 belongs to a time that is over.
    """

    cold_search_failures: int = 0
    """So many first calls of a new search fail until its result is cached: Q1, from the platform's wrapper."""
    search_id_warmup_s: float = 0.0
    """A fresh search id is refused for so long: Q2, seen by clients."""
    search_id_ttl_s: float = 86_400.0
    """A search id lives so long: Q3, a guess; undocumented."""
    search_id_rotate_p: float = 0.0
    """Share of later pages that come under another search id: Q4, seen by a client. The old one stays good."""
    poison_ranges: tuple[PoisonRange, ...] = ()
    """Days on which queries fail with 500: Q6, reported in 2024."""
    heavy_query_500: int | None = None
    """A search with more hits than this fails with 500: Q7, seen by clients; the number is undocumented."""
    silent_empty: bool = False
    """Queries with a keyword find nothing and say so with success: Q15, seen by a client in 2026."""
    stats_lag_days: float = 0.0
    """Counts in video query are up to so old: Q13, documented."""
    excludes_canada: bool = False
    """No query finds a video from Canada: Q17, where the documents disagree."""
    short_page_p: float = 0.0
    """Share of pages that lack some records: Q10, documented and recorded."""
    empty_page_p: float = 0.0
    """Share of pages that lack all records: Q10."""
    error_500_p: float = 0.0
    """Share of calls that fail with 500: Q5, reported in 2025."""
    html_error_p: float = 0.0
    """Share of those failures that are HTML pages: Q22, seen by clients."""
    burst_limit_qps: int | None = None
    """More calls than this in a second get 429 `rate_limit_exceeded`: Q9, undocumented."""
    nul_p: float = 0.0
    """Share of captions with U+0000 in them: Q21, seen by clients."""
    missing_p: float = 0.0
    """Share of public videos that no query finds: Q16, measured in papers."""
    index_delay_h: float = 0.0
    """A new video is found so late: Q12, documented. The data set is as of its reference date at the start."""
    decay_per_week: float = 0.0
    """Share of videos that vanish in each week of simulated time since the start: Q16, measured in papers."""
    comment_cap: int | None = 1_000
    """Comments of one video that can be reached: Q19, older documentation; on in plain mode too."""
    masks_comments: bool = True
    """Personal data in comments is masked with asterisks: Q27, documented; on in plain mode too."""
    playlist_500: bool = False
    """Playlists come with status 500 and a good body: Q18, seen by a client in 2025."""
    playlist_ignores_cursor: bool = False
    """Every page of a playlist is the first: facts 2.9, seen by a client in 2025."""
    video_id_for_id: bool = False
    """Videos have `video_id` in place of `id`: Q23, in an official sample and seen by a client."""
    favourites_count: bool = False
    """The field is spelt so, and `favorites_count` is unknown: facts 2.2 and 2.5, where sources disagree."""
    user_reposted_videos: bool = False
    """The list of reposts has this key: facts 2.7, where table and sample disagree."""
    liked_cursor_in_seconds: bool = False
    """The cursor of likes is given in seconds: facts 2.5, where text and sample disagree."""
    max_count_default: int = 20
    """Videos on a page of a search that asks for no number: facts 2.2, where sources say 20 and 10."""
    errors_without_data: bool = False
    """An error's envelope has no `data`: facts 3.1, recorded."""
    extra_keys: bool = False
    """Every record has a key that no document knows."""
    follower_cap: int | None = 5_000
    """Followers of one account that can be reached: Q20, seen by clients; on in plain mode too."""
    charge_on_500: bool = True
    """A 5xx costs a request: Q8, reported in papers and by clients; on in plain mode too."""
    end_date_is_inclusive: bool = True
    """Whether a search takes in its last day: facts 2.2, where sources disagree."""
    ad_max_count: int = 50
    """The largest page of the ads library: facts 2.12, where sources say 50 or 10."""
    ads_of_a_year: bool = False
    """Queries for ads reach back one year rather than to October 2022: facts 2.12, where sources disagree."""
    compliance_delay_s: float = 0.0
    """A validation task is completed so long after it was created: facts 2.11, run time undocumented."""
    compliance_fails: bool = False
    """Validation tasks created from now on end as Failed: a documented state of facts 2.11, cause unknown."""
    shop_without_error: bool = False
    """Shop endpoints answer without an `error` object: facts 2.10, where samples and tables disagree."""
    token_errors_with_200: bool = False
    """Token refusals come with status 200: facts 1.3, inferred from the platform's own wrapper."""

    def __post_init__(self) -> None:
        for knob in fields(self):
            value = getattr(self, knob.name)
            if isinstance(value, int | float) and value < 0:
                raise ValueError(f"{knob.name} cannot be negative")
            if (knob.name.endswith("_p") or knob.name == "decay_per_week") and value > 1:
                raise ValueError(f"{knob.name} is a share and at most 1")
        if not 1 <= self.max_count_default <= 100:
            raise ValueError("max_count_default must be between 1 and 100")


REALISTIC = Knobs(
    search_id_warmup_s=5.0,
    short_page_p=0.7,
    empty_page_p=0.02,
    error_500_p=0.02,
    html_error_p=0.1,
    burst_limit_qps=10,
    nul_p=0.001,
    missing_p=0.12,
    index_delay_h=48.0,
    decay_per_week=0.06,
    stats_lag_days=10.0,
    playlist_500=True,
    compliance_delay_s=30.0,
)
"""The defaults of facts 3.4, last column; the delay of validation tasks is a guess."""


def scopes_in(text: str) -> frozenset[str]:
    """The scopes of a text such as `research.data.basic, research.adlib.basic`; `research.data` is no scope."""
    scopes = frozenset(name.strip() for name in text.split(",") if name.strip())
    if not scopes <= SCOPES:
        raise ValueError(f"scopes must be among {', '.join(sorted(SCOPES))}")
    return scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One research client: what an approved project gets."""

    key: str
    secret: str
    scopes: frozenset[str] = SCOPES


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """All that makes one simulator differ from another.

    The daily limits are those of facts 4 (documented 2026-09), for followers and following a pair of their
    own; those of the ads library are a guess, as large as the main pair. The token's life is 1.2's.
    """

    seed: int = 1
    videos: int = 100_000
    clients: tuple[Client, ...] = (Client(key="sim-client-key", secret="sim-client-secret"),)  # noqa: S106 - public by design
    requests_per_day: int = 1_000
    records_per_day: int = 100_000
    follower_calls_per_day: int = 20_000
    follower_records_per_day: int = 2_000_000
    ad_requests_per_day: int = 1_000
    ad_records_per_day: int = 100_000
    token_life_s: int = 7_200
    knobs: Knobs = field(default_factory=Knobs)

    def __post_init__(self) -> None:
        if not 0 <= self.videos <= MAX_VIDEOS:
            raise ValueError(f"videos must be between 0 and {MAX_VIDEOS}, not {self.videos}")
        limits = [self.requests_per_day, self.records_per_day]
        limits += [self.follower_calls_per_day, self.follower_records_per_day]
        limits += [self.ad_requests_per_day, self.ad_records_per_day]
        if min(limits) < 0:
            raise ValueError("a daily limit cannot be negative")
