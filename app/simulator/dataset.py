"""Synthetic videos in columns, in descending order of id; a position is an index into every column."""

import math
import random
import re
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import accumulate

from app.simulator.vocabulary import HASHTAGS, PHRASES, REGION_WEIGHTS

REFERENCE_S = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
"""Every synthetic video is older than this moment."""

SPAN_S = 400 * 86_400
"""How far back from it the videos reach."""

DAY_S = 86_400
_LEAST_LAG_S = 22
_LAGS_S = 71
_POOL = 4_096
_FIRST_SHARE = 0.4
"""Videos a day at the start of the span, as a share of the mean."""
_WORD = re.compile(r"\w+")
_PRIVATE, _MINOR = 13, 37
_AUDIENCE = 8_000
"""Accounts beyond the authors, who post nothing: enough for more followers than can be reached."""
_USERNAME = re.compile(r"sim_user_([1-9][0-9]{0,5})", re.ASCII)

MUSIC_IDS = tuple(7_000_000_000_000_000_000 + 9_973 * n for n in range(512))
EFFECT_IDS = ("0", *(str(6_900_000_000 + 131 * n) for n in range(1, 12)))
REGIONS = tuple(REGION_WEIGHTS)
LENGTHS = ("SHORT", "MID", "LONG", "EXTRA_LONG")


def create_time(video_id: int) -> int:
    """Unix seconds of a video's creation: 22 to 92 s after the time in its id (facts 2.1, recorded)."""
    return (video_id >> 32) + _LEAST_LAG_S + (video_id & 0xFFFFFFFF) % _LAGS_S


def words_of(text: str) -> frozenset[str]:
    """The words that keyword conditions find in a text, without regard to case."""
    return frozenset(_WORD.findall(text.casefold()))


def username(number: int) -> str:
    """The handle of an author; the marker shows that the account is synthetic."""
    return f"sim_user_{number}"


def is_private(number: int) -> bool:
    """Whether an author's account is private: sim_user_13, sim_user_63, ..."""
    return number % 50 == _PRIVATE


def is_minor(number: int) -> bool:
    """Whether the platform hides an author for their age: sim_user_37, sim_user_87, ..."""
    return number % 50 == _MINOR


def length_class(duration_s: int) -> int:
    """Index into LENGTHS (facts 2.2: under 15 s, to 60 s, to 5 min, over)."""
    return (duration_s >= 15) + (duration_s > 60) + (duration_s > 300)


class Dataset:
    """Videos and authors, the same for the same seed and size.

    `tags` and `phrases` are bit sets over HASHTAGS and PHRASES; `effects` is an index into EFFECT_IDS plus
    one, 0 for none.
    """

    def __init__(self, *, seed: int, videos: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - synthetic data must repeat
        self.seed = seed
        self.author_count = max(100, min(20_000, videos // 2_000 * 100))
        self.account_count = self.author_count + _AUDIENCE
        self.author_regions = bytes(
            rng.choices(range(len(REGIONS)), tuple(REGION_WEIGHTS.values()), k=self.author_count + 1)
        )
        self.ids = _descending_ids(rng, videos)
        self.authors = array("I", (_author(rng.random(), self.author_count) for _ in range(videos)))
        self.regions = bytes(map(self.author_regions.__getitem__, self.authors))
        self._fill(rng, [rng.getrandbits(64) for _ in range(videos)])

    def _fill(self, rng: random.Random, bits: list[int]) -> None:
        views = [int(rng.lognormvariate(6.5, 2.2)) for _ in range(_POOL)]
        comments = [min(1_500, int(rng.lognormvariate(0.8, 1.9))) for _ in range(_POOL)]
        durations = [min(3_600, 3 + int(rng.lognormvariate(3.2, 1.1))) for _ in range(_POOL)]
        tags, phrases = _tag_sets(rng), _phrase_sets(rng)
        self.views = array("q", (views[b & 4095] * (256 + (b >> 12 & 255)) >> 8 for b in bits))
        self.comments = array("H", (comments[b >> 16 & 4095] for b in bits))
        self.durations = array("H", (durations[b >> 28 & 4095] for b in bits))
        self.tags = array("Q", (tags[b >> 40 & 4095] for b in bits))
        self.phrases = array("Q", (phrases[(b ^ b >> 31) & 4095] for b in bits))
        self.music = array("H", (b >> 52 & 511 for b in bits))
        used = len(EFFECT_IDS)
        self.effects = bytes(e + 1 if (e := b >> 56) < used else 0 for b in bits)

    def __len__(self) -> int:
        return len(self.ids)

    def between(self, start_s: int, end_s: int) -> Sequence[int]:
        """Positions of the videos created from `start_s` to before `end_s`, by descending id."""
        latest_lag_s = _LEAST_LAG_S + _LAGS_S
        outer = range(self.first_before(end_s), self.first_before(start_s - latest_lag_s))
        # Only ids within one lag of either edge can lie outside, so the rest needs no look at each.
        sure = range(self.first_before(end_s - latest_lag_s), self.first_before(start_s))
        if len(sure) == 0:
            return [p for p in outer if start_s <= create_time(self.ids[p]) < end_s]
        front = [p for p in range(outer.start, sure.start) if start_s <= create_time(self.ids[p]) < end_s]
        back = [p for p in range(sure.stop, outer.stop) if start_s <= create_time(self.ids[p]) < end_s]
        return [*front, *sure, *back]

    def position(self, video_id: int) -> int | None:
        """Where a video stands, or None for an id that no video has."""
        at = bisect_left(self.ids, -video_id, key=int.__neg__)
        return at if at < len(self.ids) and self.ids[at] == video_id else None

    def author(self, name: str) -> int | None:
        """The number of an author or of one of the audience, or None for an unknown handle."""
        found = _USERNAME.fullmatch(name.casefold())
        return int(found[1]) if found and int(found[1]) <= self.account_count else None

    def first_before(self, moment_s: int) -> int:
        """The first position whose id carries a time before `moment_s`; so do all that follow."""
        return bisect_left(self.ids, -(moment_s << 32) + 1, key=int.__neg__)

    @cached_property
    def usernames(self) -> list[str]:
        """Handles by author number; number 0 is nobody."""
        return ["", *(username(number) for number in range(1, self.author_count + 1))]

    @cached_property
    def positions_by_author(self) -> dict[int, "array[int]"]:
        """The videos of each author who has any."""
        found: defaultdict[int, array[int]] = defaultdict(lambda: array("I"))
        for position, author in enumerate(self.authors):
            found[author].append(position)
        return dict(found)


def _descending_ids(rng: random.Random, videos: int) -> "array[int]":
    first_s, room_s = REFERENCE_S - SPAN_S, SPAN_S - _LEAST_LAG_S - _LAGS_S
    ids: set[int] = set()
    while len(ids) < videos:
        ids.add((first_s + int(_grown(rng.random()) * room_s)) << 32 | rng.getrandbits(32))
    return array("q", sorted(ids, reverse=True))


def _grown(drawn: float) -> float:
    """Where in the span an evenly drawn video falls, so that the last day has four times those of the first."""
    return (math.sqrt(_FIRST_SHARE**2 + 4 * (1 - _FIRST_SHARE) * drawn) - _FIRST_SHARE) / (
        2 * (1 - _FIRST_SHARE)
    )


def _author(drawn: float, count: int) -> int:
    """A skewed choice: low numbers post most. Private and minor accounts show no videos."""
    number = 1 + int(drawn**3 * count)
    return number + 1 if is_private(number) or is_minor(number) else number


def _tag_sets(rng: random.Random) -> list[int]:
    weights = tuple(accumulate(1 / n for n in range(1, len(HASHTAGS) + 1)))
    bits = [1 << n for n in range(len(HASHTAGS))]
    sizes = rng.choices(range(6), (15, 25, 25, 20, 10, 5), k=_POOL)
    return [_union(rng.choices(bits, cum_weights=weights, k=size)) for size in sizes]


def _phrase_sets(rng: random.Random) -> list[int]:
    bits = [1 << n for n in range(1, len(PHRASES))]
    sizes = rng.choices(range(5), (5, 40, 35, 15, 5), k=_POOL)
    return [1 | _union(rng.choices(bits, k=size)) for size in sizes]


def _union(bits: list[int]) -> int:
    union = 0
    for bit in bits:
        union |= bit
    return union
