"""A part of a list by time that is fetched anew keeps every record in its place, for those who are between two."""

from typing import Any

import pytest

from app.cache.listings import Part, in_places_of, is_own, moment_after, places_in, split
from app.provider.endpoints import ENDPOINTS

FOLLOWERS = ENDPOINTS["user/followers"]


def part(names: str, *, next_start: int = 50, has_more: bool = True) -> Part:
    return Part(
        listing="1780000000",
        start=1_780_000_000,
        size=100,
        fields=frozenset(),
        data={"user_followers": [{"username": name} for name in names]},
        has_more=has_more,
        next_start=next_start,
        fetched_us=0,
        expires_us=1,
    )


@pytest.mark.parametrize(
    ("old", "new", "placed", "goes_on"),
    [
        ("abcde", part("abcde", next_start=40), "abcde", 50),
        # Whoever has left leaves a gap, and who comes up behind is the next part's.
        ("abcde", part("acdef", next_start=40), "a-cde", 50),
        ("abcde", part("bcdfg", next_start=40), "-bcd-", 50),
        # Whoever has come is not for those who began before, and pushes others out of the page.
        ("abcde", part("xabcd", next_start=60), "abcd", 60),
        ("abcde", part("xbcd", has_more=False), "-bcd-", 50),
        ("abcde", part("", has_more=False), "-----", 50),
    ],
)
def test_records_keep_their_places(old: str, new: Part, placed: str, goes_on: int) -> None:
    places = places_in(FOLLOWERS, part(old))
    assert places is not None
    found = in_places_of(places, new, FOLLOWERS)
    items: Any = found.items(FOLLOWERS)
    assert "".join("-" if item is None else item["username"] for item in items) == placed
    assert (found.next_start, found.has_more) == (goes_on, True)


@pytest.mark.parametrize("moment", [1_000_000_000, 1_796_000_000, 1_796_000_000_123, 2**32 - 1])
def test_a_cursor_of_bursars_own_says_where_its_part_begins_and_is_none_of_the_platforms(moment: int) -> None:
    assert not is_own(FOLLOWERS, moment)
    assert split(FOLLOWERS, moment) == (moment, 0)
    for offset in (1, 99):
        own = moment * 128 + offset
        assert is_own(FOLLOWERS, own)
        assert own < 2**53
        assert split(FOLLOWERS, own) == (moment, offset)
    assert not is_own(ENDPOINTS["video/query"], moment * 128)


def test_the_first_part_begins_at_a_moment_as_the_list_spells_them() -> None:
    fetched_us = 1_796_000_000_500_000
    assert moment_after(fetched_us, 1_795_000_000) == 1_796_000_005
    assert moment_after(fetched_us, None) == 1_796_000_005
    assert moment_after(fetched_us, 1_795_000_000_000) == 1_796_000_005_000
