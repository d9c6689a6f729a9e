"""What accounts like, pin, repost and follow, and by whom they are followed, computed from their number.

Every account that a list names exists. The lists do not mirror each other: who follows somebody need not
show it in the own list.
"""

import random
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest
from math import gcd

from app.simulator.dataset import DAY_S, REFERENCE_S, Dataset, create_time, is_minor, is_private
from app.simulator.videos import mixed

MOST_PINS = 3
"""As the app allows; the documents name no number."""

_LIKES_SALT, _REPOSTS_SALT, _FOLLOWERS_SALT, _FOLLOWING_SALT = (salt << 48 for salt in (1, 2, 3, 4))
_KEPT_LISTS = 64
_GRAPH_DAYS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Things that happened, the latest first: no two at one time, so that a time is a place in the list."""

    times: Sequence[int]
    items: Sequence[int]

    def __len__(self) -> int:
        return len(self.items)

    def place(self, moment: int | None) -> int:
        """The first place at or before a time, or the first of all for None."""
        return 0 if moment is None else bisect_left(self.times, -moment, key=int.__neg__)

    def first(self, length: int | None) -> "Timeline":
        """The latest `length` of them, or all for None."""
        return Timeline(times=self.times[:length], items=self.items[:length])


class Accounts:
    """The lists of all accounts of a data set; the last few are kept."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.likes = lru_cache(maxsize=_KEPT_LISTS)(self._likes)
        self.reposts = lru_cache(maxsize=_KEPT_LISTS)(self._reposts)
        self.followers = lru_cache(maxsize=_KEPT_LISTS)(self._followers)
        self.following = lru_cache(maxsize=_KEPT_LISTS)(self._following)

    def like_count(self, number: int) -> int:
        """How many videos an account likes."""
        return min(self._bits(number, _LIKES_SALT) >> 8 & 511, len(self._dataset))

    def repost_count(self, number: int) -> int:
        """How many videos an account has reposted."""
        return min(self._bits(number, _REPOSTS_SALT) >> 8 & 255, len(self._dataset))

    def shows_likes(self, number: int) -> bool:
        """Whether an account has made its likes public: few do (facts 2.5); the share is a guess."""
        return self._bits(number, _LIKES_SALT) & 7 == 0

    def shows_reposts(self, number: int) -> bool:
        """Whether an account's reposts can be listed; the share is a guess."""
        return self._bits(number, _REPOSTS_SALT) & 3 == 0

    def shows_following(self, number: int) -> bool:
        """Whether an account has made public whom it follows (facts 2.8); the share is a guess."""
        return self._bits(number, _FOLLOWING_SALT) & 1 == 0

    def pins(self, number: int) -> list[int]:
        """Positions of the videos that an account has pinned: up to three of its own, the most seen first."""
        own = self._dataset.positions_by_author.get(number, ())
        return nlargest(mixed(number) % (MOST_PINS + 1), own, key=self._dataset.views.__getitem__)

    def _likes(self, number: int) -> Timeline:
        """Positions by the millisecond of the like, each after the video's creation."""
        rng = self._rng(number, _LIKES_SALT)
        positions = rng.sample(range(len(self._dataset)), self.like_count(number))
        liked = sorted(((self._seen_s(rng, p), p) for p in positions), reverse=True)
        times, last_s = array("q"), REFERENCE_S
        for moment_s, _ in liked:
            last_s = min(moment_s, last_s - 1)
            times.append(last_s * 1_000 + rng.randrange(1_000))
        return Timeline(times=times, items=array("I", (p for _, p in liked)))

    def _reposts(self, number: int) -> Sequence[int]:
        """Positions, the latest repost first."""
        rng = self._rng(number, _REPOSTS_SALT)
        return array("I", rng.sample(range(len(self._dataset)), self.repost_count(number)))

    def _followers(self, number: int) -> Timeline:
        """Public accounts by the second of the relation."""
        some = min(follower_count(self._dataset.seed, number), self._dataset.account_count)
        return self._relations(number, _FOLLOWERS_SALT, some, among=self._dataset.account_count)

    def _following(self, number: int) -> Timeline:
        """Public authors by the second of the relation."""
        some = min(following_count(self._dataset.seed, number), self._dataset.author_count)
        return self._relations(number, _FOLLOWING_SALT, some, among=self._dataset.author_count)

    def _relations(self, number: int, salt: int, some: int, *, among: int) -> Timeline:
        rng = self._rng(number, salt)
        start, stride = rng.randrange(among), rng.randrange(1, among)
        while gcd(stride, among) != 1:
            stride += 1
        others = [1 + (start + n * stride) % among for n in range(some)]
        public = [o for o in others if o != number and not is_private(o) and not is_minor(o)]
        gap_s = max(2, _GRAPH_DAYS * DAY_S // max(1, len(public)))
        times = array("q", (REFERENCE_S - n * gap_s - rng.randrange(gap_s) for n in range(len(public))))
        return Timeline(times=times, items=array("I", public))

    def _seen_s(self, rng: random.Random, position: int) -> int:
        created_s = create_time(self._dataset.ids[position])
        return created_s + int((REFERENCE_S - created_s) * rng.random() ** 3)

    def _rng(self, number: int, salt: int) -> random.Random:
        return random.Random(self._bits(number, salt))  # noqa: S311 - synthetic data must repeat

    def _bits(self, number: int, salt: int) -> int:
        return mixed(self._dataset.seed << 24 ^ number ^ salt)


def follower_count(seed: int, number: int) -> int:
    """What an account's profile says; more than a list shows, which has public accounts alone."""
    bits = mixed(seed << 32 ^ number)
    return (bits >> 16 & 0xFFFFF) >> (bits >> 40 & 15)


def following_count(seed: int, number: int) -> int:
    """What an account's profile says."""
    return mixed(seed << 32 ^ number) >> 44 & 2_047
