"""What one simulator is like: its clients, its quota, its data and its quirks."""

from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Quirks of the real platform; the defaults are plain mode. Sources are rows of facts 3.4."""

    search_id_warmup_s: float = 0.0
    """A fresh search id is refused for so long: Q2, seen by clients."""
    search_id_ttl_s: float = 86_400.0
    """A search id lives so long: Q3, a guess; undocumented."""
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
