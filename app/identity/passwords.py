"""Passwords of local accounts: what may be one, and Argon2id to keep and to check it.

Hashing takes tens of milliseconds and 64 MiB on purpose (RFC 9106, second recommended option), so call
these two in a thread, a few at a time.
"""

from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from app.errors import InvalidParams

SHORTEST: Final = 12
LONGEST: Final = 200
_LEAST_DIFFERENT: Final = 6
_LEAST_OF_NAME: Final = 4
_HASHER: Final = PasswordHasher()


def check_password(password: str, *, email: str) -> str:
    """The password, if it may be one: long, not monotonous, and not made of the address.

    Raises InvalidParams, which never repeats it.
    """
    name = email.partition("@")[0].lower()
    lowered = password.lower()
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidParams(
            f"A password has {SHORTEST} to {LONGEST} characters; a few words are easy to keep."
        )
    if len(set(password)) < _LEAST_DIFFERENT:
        raise InvalidParams(f"A password has at least {_LEAST_DIFFERENT} different characters.")
    if "bursar" in lowered or (len(name) >= _LEAST_OF_NAME and name in lowered):
        raise InvalidParams("A password does not hold your address or the name of this service.")
    return password


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
