"""Cached searches: a search id names a list of positions that stays as it was when the search began."""

import random
import secrets
from array import array
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.simulator.answers import ApiError, invalid_params
from app.simulator.clock import SimulatedClock
from app.simulator.parsing import VideoQuery

_KEPT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One frozen result; it belongs to a client, not to a token."""

    id: str
    client_key: str
    query: VideoQuery
    is_random: bool
    positions: Sequence[int]
    began_at_s: float


class Searches:
    """The searches that can be continued; beyond the last 20,000 the oldest are dropped."""

    def __init__(self, *, seed: int, warmup_s: float, ttl_s: float, clock: SimulatedClock) -> None:
        self._seed = seed
        self.warmup_s = warmup_s
        self.ttl_s = ttl_s
        self._clock = clock
        self.forget()

    def begin(
        self, client_key: str, query: VideoQuery, positions: Sequence[int], *, is_random: bool
    ) -> Search:
        """A new search over `positions`, under an id that no other search has."""
        now_s = self._clock.now_s()
        search = Search(
            id=self._unused_id(),
            client_key=client_key,
            query=query,
            is_random=is_random,
            positions=positions if isinstance(positions, array) else array("I", positions),
            began_at_s=now_s,
        )
        return self._kept(search)

    def resume(self, search_id: str, client_key: str, query: VideoQuery, *, is_random: bool) -> Search:
        """The search to continue. Raises ApiError for an unknown, unripe, expired or different one."""
        search = self._searches.get(search_id)
        if search is None or search.client_key != client_key:
            raise search_refused(search_id)
        age_s = self._clock.now_s() - search.began_at_s
        if 0 <= age_s < self.warmup_s or age_s >= self.ttl_s:
            raise search_refused(search_id)
        if search.query != query or search.is_random != is_random:
            raise search_refused(search_id)
        return search

    def renamed(self, search: Search) -> Search:
        """The same search, as old as it is, under one more id; the first one stays good (facts 3.4, Q4)."""
        return self._kept(replace(search, id=self._unused_id()))

    def warm_up(self, client_key: str, query: VideoQuery, *, failures: int) -> None:
        """Raise ApiError for the first calls of a new search, as many as `failures` (facts 3.4, Q1).

        The message is a guess: the one that clients met for a search that is not cached yet (facts 3.3).
        """
        if self._cold_calls[client_key, query] < failures:
            self._cold_calls[client_key, query] += 1
            raise invalid_params("Invalid count or cursor")

    def sample(self, positions: Sequence[int], count: int) -> list[int]:
        """Up to `count` of the positions in random order; the seed fixes the sequence of samples."""
        return self._rng.sample(positions, min(count, len(positions)))

    def forget(self) -> None:
        """Drop every search and start the seeded sequence anew."""
        self._rng = random.Random(self._seed)  # noqa: S311 - samples must repeat
        self._searches: OrderedDict[str, Search] = OrderedDict()
        self._cold_calls: Counter[tuple[str, VideoQuery]] = Counter()

    def _unused_id(self) -> str:
        # Not from the seed: an id given out before a reset must stay unknown after it.
        search_id = str(int(self._clock.now_s()) << 32 | secrets.randbits(32))
        return search_id if search_id not in self._searches else self._unused_id()

    def _kept(self, search: Search) -> Search:
        self._searches[search.id] = search
        if len(self._searches) > _KEPT:
            self._searches.popitem(last=False)
        return search


def search_refused(search_id: str) -> ApiError:
    """The one message for a search that is unknown, unripe, expired or of another query (facts 3.3)."""
    return invalid_params(f"Search Id {search_id} is invalid or expired")
