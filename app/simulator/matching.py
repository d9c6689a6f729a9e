"""Which videos a query finds, by columns rather than by record."""

import operator
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from app.simulator.dataset import (
    DAY_S,
    EFFECT_IDS,
    LENGTHS,
    MUSIC_IDS,
    REGIONS,
    Dataset,
    create_time,
    length_class,
    words_of,
)
from app.simulator.parsing import Condition, VideoQuery
from app.simulator.vocabulary import HASHTAGS, PHRASES

Narrowing = Callable[[Sequence[int]], list[int]]
"""Keeps those of some positions that meet a condition, in their order."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "GT": operator.gt,
    "GTE": operator.ge,
    "LT": operator.lt,
    "LTE": operator.le,
}


def find(dataset: Dataset, query: VideoQuery) -> list[int]:
    """Positions of all hits, by descending id: all of `and`, one of `or`, none of `not`."""
    positions: Sequence[int] = dataset.between(query.start_s, query.end_s)
    for condition in query.all_of:
        positions = _narrowing(dataset, condition)(positions)
    if query.any_of:
        met = {p for condition in query.any_of for p in _narrowing(dataset, condition)(positions)}
        positions = [p for p in positions if p in met]
    if query.none_of:
        met = {p for condition in query.none_of for p in _narrowing(dataset, condition)(positions)}
        positions = [p for p in positions if p not in met]
    return list(positions)


def _narrowing(dataset: Dataset, condition: Condition) -> Narrowing:
    return _BY_FIELD[condition.field_name](dataset, condition)


def _accepts(condition: Condition, read: Callable[[str], Any]) -> Callable[[Any], bool]:
    """The condition as a test of one value; `read` turns a sent value into a comparable one."""
    if condition.operation in {"EQ", "IN"}:
        return frozenset(map(read, condition.values)).__contains__
    compare, limit = _COMPARE[condition.operation], read(condition.values[0])
    return lambda value: compare(value, limit)


def _by_table(column: Sequence[int], accepted: Iterable[bool]) -> Narrowing:
    """For a column of small indices: `accepted` answers for each index once."""
    table = bytes(accepted)
    return lambda positions: [p for p in positions if table[column[p]]]


def _by_value(column: Sequence[int], accepts: Callable[[Any], bool]) -> Narrowing:
    return lambda positions: [p for p in positions if accepts(column[p])]


def _username(dataset: Dataset, condition: Condition) -> Narrowing:
    accepts = _accepts(condition, str.casefold)
    return _by_table(dataset.authors, map(accepts, dataset.usernames))


def _region(dataset: Dataset, condition: Condition) -> Narrowing:
    return _by_table(dataset.regions, map(_accepts(condition, str), REGIONS))


def _music(dataset: Dataset, condition: Condition) -> Narrowing:
    return _by_table(dataset.music, map(_accepts(condition, int), MUSIC_IDS))


def _effect(dataset: Dataset, condition: Condition) -> Narrowing:
    accepts = _accepts(condition, int)
    return _by_table(dataset.effects, [False, *(accepts(int(effect)) for effect in EFFECT_IDS)])


def _video(dataset: Dataset, condition: Condition) -> Narrowing:
    return _by_value(dataset.ids, _accepts(condition, int))


def _views(dataset: Dataset, condition: Condition) -> Narrowing:
    return _by_value(dataset.views, _accepts(condition, int))


def _comments(dataset: Dataset, condition: Condition) -> Narrowing:
    return _by_value(dataset.comments, _accepts(condition, int))


def _created(dataset: Dataset, condition: Condition) -> Narrowing:
    accepts, ids = _accepts(condition, _day_number), dataset.ids
    return lambda positions: [p for p in positions if accepts(create_time(ids[p]) // DAY_S)]


def _length(dataset: Dataset, condition: Condition) -> Narrowing:
    accepts = _accepts(condition, LENGTHS.index)
    return _by_value(dataset.durations, lambda duration_s: accepts(length_class(duration_s)))


def _hashtag(dataset: Dataset, condition: Condition) -> Narrowing:
    accepts = _accepts(condition, lambda name: name.casefold().removeprefix("#"))
    wanted = _bits(accepts(tag) for tag in HASHTAGS)
    return lambda positions: [p for p in positions if dataset.tags[p] & wanted]


def _keyword(dataset: Dataset, condition: Condition) -> Narrowing:
    """A value of several words asks for all of them; a comparison looks for one word that meets it."""
    if condition.operation in {"EQ", "IN"}:
        wanted = [[_holding({word}.__contains__) for word in words_of(value)] for value in condition.values]
    else:
        wanted = [[_holding(_accepts(condition, str.casefold))]]
    tags, phrases = dataset.tags, dataset.phrases
    # Values of one word, the usual ones, make one pair of bit sets: ten times faster than the rest.
    any_phrase, any_tag = 0, 0
    for phrase_bits, tag_bits in (words[0] for words in wanted if len(words) == 1):
        any_phrase, any_tag = any_phrase | phrase_bits, any_tag | tag_bits
    longer = [words for words in wanted if len(words) > 1]

    def has_longer(p: int) -> bool:
        return any(all(phrases[p] & ph or tags[p] & tg for ph, tg in words) for words in longer)

    if not longer:
        return lambda positions: [p for p in positions if phrases[p] & any_phrase or tags[p] & any_tag]
    return lambda positions: [
        p for p in positions if phrases[p] & any_phrase or tags[p] & any_tag or has_longer(p)
    ]


def _holding(accepts: Callable[[str], bool]) -> tuple[int, int]:
    """Which phrases and which hashtags have an accepted word, as bit sets."""
    return (
        _bits(any(map(accepts, words)) for words in _PHRASE_WORDS),
        _bits(any(map(accepts, words)) for words in _TAG_WORDS),
    )


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << n for n, is_set in enumerate(flags) if is_set)


def _day_number(text: str) -> int:
    day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
    return int(day.timestamp()) // DAY_S


_PHRASE_WORDS = tuple(words_of(phrase) for phrase in PHRASES)
_TAG_WORDS = tuple(words_of(tag) for tag in HASHTAGS)
_BY_FIELD: dict[str, Callable[[Dataset, Condition], Narrowing]] = {
    "create_date": _created,
    "username": _username,
    "region_code": _region,
    "video_id": _video,
    "hashtag_name": _hashtag,
    "keyword": _keyword,
    "music_id": _music,
    "effect_id": _effect,
    "video_length": _length,
    "view_count": _views,
    "comment_count": _comments,
}
