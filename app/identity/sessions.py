"""Sessions of people in a browser: how long one holds, and the secrets that stand for it.

The browser holds the secret in a cookie; the database holds its digest, so a copy of the database opens
no session. The token in each form is derived from the secret and is worth nothing without it.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

from app.identity.callers import Operator
from app.ids import PersonId

IDLE_S: Final = 1_800
"""A session ends after so long without a request (half an hour)."""

LONGEST_S: Final = 43_200
"""A session ends so long after its beginning, whatever happens in it (twelve hours)."""

FRESH_S: Final = 900
"""For how long after proving who one is what gives others a way in, or takes a guard away, needs no further proof
(a quarter of an hour; ASVS 5.0, 7.5.3, leaves it to the application)."""

_SECRET_BYTES: Final = 32
_SECRET_CHARS: Final = 43
_FORM_TOKEN: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in of one person that still holds; `id` is what the log calls it."""

    id: str
    operator: Operator
    began_us: int
    seen_us: int
    is_fresh: bool
    """Whether it is not longer ago than `FRESH_S` that they proved who they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A session that ended by itself, and whose it was."""

    id: str
    person: PersonId


def is_over(*, began_us: int, seen_us: int, now_us: int) -> bool:
    """Whether a session has ended by itself."""
    return now_us - seen_us >= IDLE_S * 1_000_000 or now_us - began_us >= LONGEST_S * 1_000_000


def new_session_secret() -> str:
    """A fresh secret of 256 random bits, 43 characters that a cookie may hold."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def session_digest(secret: str) -> bytes | None:
    """What is kept of a secret; None for what cannot be one."""
    if len(secret) != _SECRET_CHARS or not secret.isascii():
        return None
    return hashlib.sha256(secret.encode()).digest()


def form_token(secret: str) -> str:
    """What every form of the session carries, so that no other site can send one."""
    return hmac.digest(secret.encode(), b"form", "sha256").hex()


def may_be_form_token(shown: str) -> bool:
    """Whether it looks like the token of some session's form, this one's or another's."""
    return _FORM_TOKEN.fullmatch(shown) is not None


def is_form_token(secret: str, shown: str) -> bool:
    """Whether a form was made in this session; takes the same time whatever is shown."""
    return hmac.compare_digest(form_token(secret).encode(), shown.encode())
