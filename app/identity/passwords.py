"""Passwords of local accounts: what may be one, and Argon2id to keep and to check it.

Hashing takes tens of milliseconds and 64 MiB on purpose (RFC 9106, second recommended option), so call
these two in a thread, a few at a time.
"""

import re
from functools import cache
from itertools import pairwise
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from app.errors import InvalidParams

SHORTEST: Final = 12
LONGEST: Final = 200
_LEAST_DIFFERENT: Final = 6
_LEAST_OF_NAME: Final = 4
_COMMON: Final = frozenset(
    {
        *("password", "passwort", "motdepasse", "contrasena", "passphrase", "qwerty", "qwertyuiop", "qwertz"),
        *("qwertzuiop", "azerty", "asdfgh", "asdfghjkl", "zxcvbn", "zxcvbnm", "abc", "abcdef", "abcdefgh"),
        *(
            "abcdefghij",
            "letmein",
            "welcome",
            "changeme",
            "secret",
            "geheim",
            "admin",
            "administrator",
            "root",
        ),
        *("login", "user", "guest", "test", "default", "hello", "iloveyou", "sunshine", "princess", "monkey"),
        *(
            "dragon",
            "football",
            "baseball",
            "master",
            "superman",
            "batman",
            "starwars",
            "whatever",
            "trustno",
        ),
        *(
            "summer",
            "winter",
            "spring",
            "autumn",
            "university",
            "research",
            "researcher",
            "student",
            "tiktok",
        ),
    }
)
"""Words that guesses begin with, in letters alone."""
_ROWS: Final = (
    *("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"),
    *("qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn"),
)
"""The alphabet, the digits and the rows of keyboards, along which fingers run either way."""
_NEIGHBOURS: Final = frozenset(
    pair for row in _ROWS for one, other in pairwise(row) for pair in ((one, other), (other, one))
)
_LOOKALIKES: Final = str.maketrans("0134578@$!", "oleastbasi")
_DIGITS_AND_SIGNS: Final = re.compile(r"[^a-z]+")
_REPEATED: Final = re.compile(r"(.+?)\1+", re.DOTALL)
_HASHER: Final = PasswordHasher()


def check_password(password: str, *, email: str) -> str:
    """The password, if it may be one: long, not monotonous, no common word with digits, and not made of the address.

    Neither a run of neighbours (`abcdefghijkl`, `qwertz123456`) nor one short piece over and over is one.

    Raises InvalidParams, which never repeats it.
    """
    address = email.lower()
    name, _, domain = address.partition("@")
    lowered = password.lower()
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidParams(
            f"A password has {SHORTEST} to {LONGEST} characters; a few words are easy to keep."
        )
    if len(set(password)) < _LEAST_DIFFERENT:
        raise InvalidParams(f"A password has at least {_LEAST_DIFFERENT} different characters.")
    if _is_common(lowered):
        raise InvalidParams(
            "This is among the first that are guessed: a common word with digits or signs, or digits alone. "
            "A few words that have nothing to do with each other are easy to keep."
        )
    if _is_monotonous(lowered):
        raise InvalidParams(
            "A password is no run of letters or digits that follow each other, and no short piece over and over. "
            "A few words that have nothing to do with each other are easy to keep."
        )
    words = {"bursar", *(each for each in (name, domain) if len(each) >= _LEAST_OF_NAME)}
    if any(each in lowered for each in words) or _plain(address) in _plain(lowered):
        raise InvalidParams("A password does not hold your address or the name of this service.")
    return password


def _is_monotonous(lowered: str) -> bool:
    """Whether hardly a character is other than what the one before leads to, or a short piece is all there is.

    Found: `abcdefghijkl`, `cdefgh654321`, `benfieldbenfield`. Not: `summer rain on tin`.
    """
    surprises = 1 + sum(one != other and (one, other) not in _NEIGHBOURS for one, other in pairwise(lowered))
    piece = _REPEATED.fullmatch(lowered)
    return surprises < _LEAST_DIFFERENT or (piece is not None and len(piece[1]) < SHORTEST)


def _plain(text: str) -> str:
    """Its letters and digits, so that signs left out or put between hide nothing."""
    return "".join(each for each in text if each.isalnum())


def _is_common(lowered: str) -> bool:
    """Whether nothing is left but digits and signs, or one common word, once or over and over.

    Found: `password1234`, `P4ssw0rd!!!!`, `1q2w3e4r5t6y`, `letmeinletmein`. Not: `password of the lighthouse`.
    """
    letters = _DIGITS_AND_SIGNS.sub("", lowered)
    # Digits at either end are appended ones; those within stand for letters.
    core = _DIGITS_AND_SIGNS.sub("", lowered.strip("0123456789!@#$%&*.,-_+=? ").translate(_LOOKALIKES))
    return not any(each.isalpha() for each in lowered) or _is_repeated(letters) or _is_repeated(core)


def _is_repeated(letters: str) -> bool:
    return any(letters.replace(word, "") == "" for word in _COMMON if word in letters)


def hash_password(password: str) -> str:
    """What is kept of a password: Argon2id with its parameters and a salt (PHC string)."""
    return _HASHER.hash(password)


def is_password(kept: str | None, shown: str) -> bool:
    """Whether that is the password; without one to compare it takes as long and is False."""
    try:
        is_right = _HASHER.verify(kept if kept is not None else _of_nobody(), shown[: LONGEST + 1])
    except (Argon2Error, InvalidHashError):
        return False
    return is_right and kept is not None


@cache
def _of_nobody() -> str:
    return _HASHER.hash("the password of an account that is not there")
