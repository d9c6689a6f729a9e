"""Everything that one running simulator holds."""

import random
from array import array
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from app.simulator.accounts import Accounts
from app.simulator.adlib import AdLibrary
from app.simulator.clock import SimulatedClock
from app.simulator.comments import Comments
from app.simulator.compliance import ValidationTasks
from app.simulator.configuration import Knobs, SimulatorConfig
from app.simulator.dataset import DAY_S, REFERENCE_S, REGIONS, Dataset
from app.simulator.faults import FaultPlan
from app.simulator.matching import find
from app.simulator.parsing import VideoQuery
from app.simulator.quota import Allowance, DailyQuota, Family
from app.simulator.searches import Searches
from app.simulator.shops import Shops
from app.simulator.tokens import TokenOffice
from app.simulator.videos import VideoRecords, chance

_JOURNAL_LENGTH = 1_000
_KEPT_RESULTS = 256
_Item = TypeVar("_Item")


class Platform:
    """State of the stand-in; `reset` brings back all but the data set, which never changes."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config, knobs = config, config.knobs
        self.knobs = knobs
        self.clock = SimulatedClock()
        self.dataset = Dataset(seed=config.seed, videos=config.videos)
        self.videos = VideoRecords(self.dataset, nul_p=knobs.nul_p)
        self.comments = Comments(self.dataset)
        self.shops = Shops(seed=config.seed)
        self.adlib = AdLibrary(self.dataset)
        self.accounts = Accounts(self.dataset)
        self.tokens = TokenOffice(config.clients, life_s=config.token_life_s, clock=self.clock)
        self.quota = DailyQuota(_allowances(config), clock=self.clock)
        self.searches = Searches(
            seed=config.seed,
            warmup_s=knobs.search_id_warmup_s,
            ttl_s=knobs.search_id_ttl_s,
            clock=self.clock,
        )
        self.validation_tasks = ValidationTasks(clock=self.clock)
        self.faults = FaultPlan(seed=config.seed)
        self.journal: deque[dict[str, Any]] = deque(maxlen=_JOURNAL_LENGTH)
        self._start_anew()
        self.turn(knobs)

    def _start_anew(self) -> None:
        self.rng = random.Random(self.config.seed)  # noqa: S311 - runs must repeat
        self.recent_calls_s: deque[float] = deque()
        self.deleted_comments: set[int] = set()
        self._deleted_videos: set[int] = set()
        self._deleted_authors: set[int] = set()
        self._results: OrderedDict[tuple[VideoQuery, int], array[int]] = OrderedDict()

    def reset(self) -> None:
        """Counters, faults, clock, deletions, tokens, searches, journal and knobs as at the start."""
        self.clock.start_anew()
        for part in (self.tokens, self.quota, self.searches, self.validation_tasks):
            part.forget()
        self.faults.clear()
        self.journal.clear()
        self.turn(self.config.knobs)
        self._start_anew()

    def turn(self, knobs: Knobs) -> None:
        """Behave by other knobs from now on, until the next reset."""
        if knobs.nul_p != self.knobs.nul_p:
            self.videos = VideoRecords(self.dataset, nul_p=knobs.nul_p)
        self.knobs = knobs
        self.searches.warmup_s, self.searches.ttl_s = knobs.search_id_warmup_s, knobs.search_id_ttl_s
        self.comments.is_masked = knobs.masks_comments
        self._results.clear()

    def hits(self, query: VideoQuery) -> Sequence[int]:
        """Positions that a new search finds: neither gone, nor missing from the index, nor too new for it."""
        if self.knobs.silent_empty and query.has_keyword:
            return ()
        found = self._results.get((query, self._age_days))
        if found is None:
            found = array("I", (p for p in find(self.dataset, query) if self._is_indexed(p)))
            self._results[query, self._age_days] = found
            if len(self._results) > _KEPT_RESULTS:
                self._results.popitem(last=False)
        if not self.knobs.index_delay_h:
            return found
        indexed_until_s = self.data_now_s() - self.knobs.index_delay_h * 3_600
        return found[bisect_left(found, self.dataset.first_before(int(indexed_until_s))) :]

    def data_now_s(self) -> float:
        """The moment that the data are as of: their reference date at the start, later as time goes on."""
        return REFERENCE_S + self.clock.elapsed_s()

    def _is_indexed(self, position: int) -> bool:
        if self.knobs.excludes_canada and REGIONS[self.dataset.regions[position]] == "CA":
            return False
        is_missing = chance(self.dataset.ids[position] ^ 0x4D495353, self.knobs.missing_p)
        return not is_missing and not self.is_gone(position)

    def is_gone(self, position: int) -> bool:
        """Whether a video was deleted, by itself or with its author, or has vanished with time."""
        if position in self._deleted_videos or self.dataset.authors[position] in self._deleted_authors:
            return True
        decay = self.knobs.decay_per_week
        lost = 1 - (1 - decay) ** (self._age_days / 7) if decay else 0.0
        return chance(self.dataset.ids[position] ^ 0x4C4F5354, lost)

    def has_video(self, video_id: int) -> bool:
        """Whether a video exists, whether or not a query would find it."""
        position = self.dataset.position(video_id)
        return position is not None and not self.is_gone(position)

    def has_comment(self, comment_id: int) -> bool:
        """Whether a comment or a reply exists: neither it nor what it stands under is gone."""
        deleted = self.deleted_comments
        found = self.comments.find(comment_id)
        if found is None:
            found = self.comments.find_parent(comment_id)
            if found is None or self.comments.comment_id(*found) in deleted:
                return False
        return comment_id not in deleted and not self.is_gone(found[0])

    @property
    def _age_days(self) -> int:
        """Whole simulated days since the start, where videos decay; otherwise 0, as nothing depends on it."""
        return max(0, int(self.clock.elapsed_s() // DAY_S)) if self.knobs.decay_per_week else 0

    def thinned(self, page: Sequence[_Item]) -> Sequence[_Item]:
        """What is left of a page where pages are short or empty at times (facts 3.4, Q10 and Q20)."""
        knobs, rng = self.knobs, self.rng
        if knobs.empty_page_p and rng.random() < knobs.empty_page_p:
            return []
        if rng.random() >= knobs.short_page_p:
            return page
        kept_share = rng.uniform(0.25, 1.0)
        return [item for item in page if rng.random() < kept_share]

    def has_left(self, number: int) -> bool:
        """Whether an account was deleted."""
        return number in self._deleted_authors

    def author(self, name: str) -> int | None:
        """The number of an account that exists and has not left."""
        number = self.dataset.author(name)
        return None if number in self._deleted_authors else number

    def delete(
        self, *, videos: Iterable[int], comments: Iterable[int], users: Iterable[str]
    ) -> dict[str, int]:
        """Make records vanish and return how many of each were known. Unknown comments count too."""
        positions = {p for v in videos if (p := self.dataset.position(v)) is not None}
        authors = {n for name in users if (n := self.dataset.author(name)) is not None}
        gone = set(comments)
        self._deleted_videos |= positions
        self._deleted_authors |= authors
        self.deleted_comments |= gone
        self._results.clear()
        return {"videos": len(positions), "comments": len(gone), "users": len(authors)}


def _allowances(config: SimulatorConfig) -> dict[Family, Allowance]:
    return {
        "main": Allowance(requests=config.requests_per_day, records=config.records_per_day),
        "graph": Allowance(requests=config.follower_calls_per_day, records=config.follower_records_per_day),
        "ads": Allowance(requests=config.ad_requests_per_day, records=config.ad_records_per_day),
    }
