"""What may be a password."""

import pytest

from app.errors import InvalidParams
from app.identity.passwords import check_password


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
