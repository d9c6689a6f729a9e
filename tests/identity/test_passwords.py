"""What may be a password, and which it was."""

import pytest

from app.errors import InvalidParams
from app.identity.passwords import check_password, hash_password, is_password


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password2026!",
        "1234password",
        "P4ssw0rd1234",
        "passwordpassword",
        "pass-word-pass-word-1",
        "1q2w3e4r5t6y",
        "qwertyuiop12",
        "Welcome!2026!",
        "letmein-letmein-7",
        "123456789012",
        "2026-11-30 13:37",
    ],
)
def test_what_is_guessed_first_is_no_password(password: str) -> None:
    with pytest.raises(InvalidParams, match="among the first that are guessed") as refused:
        check_password(password, email="ada@example.edu")
    assert password not in refused.value.message


@pytest.mark.parametrize(
    "password",
    [
        "ben@example.edu",
        "my ben@example.edu 7",
        "Ben_Example_Edu_1",
        "ten times example.edu",
        "a bursar in the rain",
    ],
)
def test_an_address_is_no_password_however_short_its_name(password: str) -> None:
    with pytest.raises(InvalidParams, match="does not hold your address"):
        check_password(password, email="Ben@example.edu")


@pytest.mark.parametrize(
    "password",
    [
        "abcdefghijkl",
        "LKJIHGFEDCBA",
        "cdefgh654321",
        "aaabbbcccdddeeefff",
        "asdfghjklpoiuy",
        "benfieldbenfield",
        "tr0ub tr0ub tr0ub ",
    ],
)
def test_runs_and_pieces_over_and_over_are_no_password(password: str) -> None:
    with pytest.raises(InvalidParams, match="over and over"):
        check_password(password, email="ben@example.edu")


@pytest.mark.parametrize(
    "password",
    [
        "password of the lighthouse",
        "correct horse battery staple",
        "summer rain on tin",
        "Zug nach Göttingen",
        "пароль для маяка",
        "k7#vQ2!mZp0w",
        "the tower was there before",
        "defghi and other treasures",
        "green green grass of home",
    ],
)
def test_a_few_words_or_mixed_signs_are_one(password: str) -> None:
    assert check_password(password, email="ada@example.edu") == password


LONG = "a lighthouse keeps its own hours " * 7


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("k7#vQ2!mZp0", "12 to 200 characters"),
        (LONG[:201], "12 to 200 characters"),
        ("vqmzvqmzvqmz", "6 different characters"),
        ("kvqmzkvqmzkv", "6 different characters"),
        ("the Bursar keeps it", "the name of this service"),
        ("the tide and Lovelace", "your address"),
    ],
)
def test_what_is_too_short_too_long_monotonous_or_a_name_is_refused(password: str, says: str) -> None:
    with pytest.raises(InvalidParams, match=says):
        check_password(password, email="Lovelace@example.edu")


@pytest.mark.parametrize("password", ["k7#vQ2!mZp0w", LONG[:200], "kvqmzwwzmqvk", "adamant lamplight"])
def test_what_is_just_within_is_one(password: str) -> None:
    assert check_password(password, email="ada@example.edu") == password


def test_a_name_of_four_letters_counts() -> None:
    with pytest.raises(InvalidParams, match="your address"):
        check_password("the tide and rosa", email="rosa@example.edu")


def test_only_the_password_that_was_kept_is_right() -> None:
    kept = hash_password(LONG[:200])
    assert is_password(kept, LONG[:200])
    assert not is_password(kept, LONG[:201])
    assert not is_password(kept, LONG[:199])
    assert hash_password(LONG[:200]) != kept


@pytest.mark.parametrize("kept", [None, "", "no hash at all"])
def test_without_one_to_compare_none_is_right(kept: str | None) -> None:
    assert not is_password(kept, "correct horse battery staple")
    assert not is_password(kept, "the password of an account that is not there")
