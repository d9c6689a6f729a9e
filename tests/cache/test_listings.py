"""A part that is fetched anew keeps every record in its place, for those who are between two."""

from dataclasses import replace
from typing import Any

import pytest

from app.cache.listings import Part, in_places_of, is_own, moment_after, places_in, split, with_gaps_of
from app.provider.endpoints import ENDPOINTS

FOLLOWERS, VIDEOS = ENDPOINTS["user/followers"], ENDPOINTS["video/query"]


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


def searched(names: str, *, size: int = 100, has_more: bool = True) -> Part:
    return replace(
        part(names, has_more=has_more), size=size, data={"videos": [{"id": ord(name)} for name in names]}
    )


def placed(part: Part) -> str:
    items: Any = part.items(VIDEOS)
    return "".join("-" if item is None else chr(item["id"]) for item in items)


def anew(old: Part, new: Part) -> Part:
    places = places_in(VIDEOS, old)
    assert places is not None
    return with_gaps_of(places, new, VIDEOS)


def test_records_of_a_search_keep_their_places_and_what_was_kept_back_follows() -> None:
    second = anew(searched("abcde"), searched("acdx"))
    assert placed(second) == "a-cd-x"
    third = anew(second, searched("bcdey"))
    assert placed(third) == "-bcde-y"
    assert placed(anew(third, searched("abxy"))) == "ab---xy"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # There is no place behind, or the list ends elsewhere.
        (searched("abcde", size=5), searched("bcdef", size=5)),
        (searched("abcde"), searched("abc", has_more=False)),
        (searched("ab"), replace(searched("ab"), data={"videos": [{"id": ord("b")}, {}]})),
    ],
    ids=["full", "ends", "unknown"],
)
def test_what_cannot_be_put_in_its_place_stays_as_it_came(old: Part, new: Part) -> None:
    assert anew(old, new) == new


def test_who_has_left_a_list_by_time_comes_back_to_their_place() -> None:
    places = places_in(FOLLOWERS, part("abcde"))
    assert places is not None
    left = in_places_of(places, part("acde"), FOLLOWERS)
    places = places_in(FOLLOWERS, left)
    assert places is not None
    back: Any = in_places_of(places, part("abcde"), FOLLOWERS).items(FOLLOWERS)
    assert "".join(each["username"] for each in back) == "abcde"


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
