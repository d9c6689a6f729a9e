"""The keys that Bursar issues, and the short-lived access tokens that clients get for them.

A key's text is `bsr_<live|test>_<key id>_<secret>_<checksum>`: a prefix that secret scanners find, a
public id to look it up by, 256 random bits, and a CRC-32 that weeds out look-alikes without a database.
"""

import binascii
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from app.ids import KeyId
from app.sealing import MasterKey, Succession, derive

Mode = Literal["live", "test"]

_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY_ID_CHARS: Final = 12
_SECRET_CHARS: Final = 43  # 62^43 > 2^256
_CHECKSUM_CHARS: Final = 6  # 62^6 > 2^32
_CHECKSUM_WITH_SEPARATOR: Final = _CHECKSUM_CHARS + 1

KEY_PATTERN: Final = (
    rf"\bbsr_(live|test)_([0-9A-Za-z]{{{_KEY_ID_CHARS}}})_[0-9A-Za-z]{{{_SECRET_CHARS}}}"
    rf"_[0-9A-Za-z]{{{_CHECKSUM_CHARS}}}\b"
)
"""Finds keys in any text: for secret scanners, in syntax that RE2, PCRE and Python share."""

KEY_CHARS: Final = len("bsr_live_") + _KEY_ID_CHARS + 1 + _SECRET_CHARS + _CHECKSUM_WITH_SEPARATOR

_KEY: Final = re.compile(KEY_PATTERN)
_CLIENT_KEY: Final = re.compile(rf"bsr_(?:live|test)_([0-9A-Za-z]{{{_KEY_ID_CHARS}}})")
_NAMED: Final = re.compile(rf"bsr_(?:live|test)_([0-9A-Za-z]{{{_KEY_ID_CHARS}}})(?![0-9A-Za-z])")
_KEY_ID: Final = re.compile(rf"[0-9A-Za-z]{{{_KEY_ID_CHARS}}}")
_CLIENT_KEY_CHARS: Final = len("bsr_live_") + _KEY_ID_CHARS


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedKey:
    """What a well-formed key says of itself; it proves nothing until its digest matches."""

    key_id: KeyId
    mode: Mode


def new_key_id() -> KeyId:
    """A fresh public id of 12 base-62 characters (71 bits)."""
    return KeyId(_random_base62(_KEY_ID_CHARS))


def new_secret(key_id: KeyId, *, mode: Mode = "live") -> str:
    """A fresh secret for that key, 72 characters; show it once and keep its `digest` alone."""
    body = f"{client_key(key_id, mode=mode)}_{_random_base62(_SECRET_CHARS)}"
    return f"{body}_{_checksum(body)}"


def parse(text: str) -> ParsedKey | None:
    """The id and mode of a key whose shape and checksum hold, otherwise None; takes any text at all.

    Good: `bsr_live_` + 12 + `_` + 43 + `_` + 6 characters. Bad: the same with one character changed.
    """
    # The length comes first, so that ten megabytes cost no more than ten characters.
    if len(text) != KEY_CHARS or (match := _KEY.fullmatch(text)) is None:
        return None
    if _checksum(text[:-_CHECKSUM_WITH_SEPARATOR]) != text[-_CHECKSUM_CHARS:]:
        return None
    mode: Mode = "live" if match[1] == "live" else "test"
    return ParsedKey(key_id=KeyId(match[2]), mode=mode)


def client_key(key_id: KeyId, *, mode: Mode = "live") -> str:
    """`bsr_live_<key id>`: what a client sends as its `client_key`; no secret."""
    if _KEY_ID.fullmatch(key_id) is None:
        raise ValueError(f"A key id has {_KEY_ID_CHARS} base-62 characters.")
    if mode not in get_args(Mode):
        raise ValueError("A key's mode is live or test.")
    return f"bsr_{mode}_{key_id}"


def parse_client_key(text: str) -> KeyId | None:
    """The id in a `client_key`, otherwise None; takes any text at all. A whole secret is not one."""
    if len(text) != _CLIENT_KEY_CHARS or (match := _CLIENT_KEY.fullmatch(text)) is None:
        return None
    return KeyId(match[1])


def key_id_in(text: str) -> str:
    """The id of the key that somebody means, be it written alone, as `client_key` or whole; other text as it stands."""
    match = _NAMED.match(text)
    return text if match is None else match[1]


def digest(pepper: bytes, secret: str) -> bytes:
    """What is stored of a secret: its HMAC-SHA256 under the pepper (32 bytes), useless without that."""
    return hmac.digest(pepper, secret.encode("utf-8", "surrogatepass"), "sha256")


def matches(pepper: bytes, secret: str, stored: bytes | None) -> bool:
    """Whether `secret` is the one stored; None (no such key) takes as long as a wrong secret does."""
    # One character more than a key has is enough to differ from every key.
    presented = digest(pepper, secret[: KEY_CHARS + 1])
    same = hmac.compare_digest(presented, bytes(len(presented)) if stored is None else stored)
    return same and stored is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """A genuine access token whose time is over; the client should ask for a new one."""

    key_id: KeyId


SIGNING_PURPOSE: Final = "access tokens"
"""What the key that signs them is derived for."""


class AccessTokens:
    """Bearer tokens that carry their own proof, so any number live at once and none is stored.

    A token says which key it was given for and until when. Whether that key still stands is for the
    caller to look up on each use: that is what makes a revocation count at once.

    Form: `clt.` and 64 characters of URL-safe base64 over the key id (12 bytes), the expiry in seconds
    since 1970 (6 bytes), a nonce (12 bytes) and the first 144 bits of an HMAC-SHA256 over the three.
    """

    __slots__ = ("_keys", "_looked_s", "_renewed")

    def __init__(self, key: bytes, *, renewed: Callable[[int], Sequence[bytes]] | None = None) -> None:
        """With `renewed`, the keys of a moment (seconds since 1970): the first signs, each of them is accepted."""
        if len(key) < _LEAST_SIGNING_KEY_BYTES:
            raise ValueError(f"A signing key has at least {_LEAST_SIGNING_KEY_BYTES} bytes.")
        self._keys: Sequence[bytes] = (key,)
        self._renewed = renewed
        self._looked_s = 0

    def __repr__(self) -> str:
        return "AccessTokens(hidden)"

    def issue(self, key_id: KeyId, *, now: datetime, life_s: int = 7200) -> str:
        """A fresh token for that key, good for `life_s` seconds from `now` (the platform gives 7200)."""
        if _KEY_ID.fullmatch(key_id) is None:
            raise ValueError(f"A key id has {_KEY_ID_CHARS} base-62 characters.")
        self._look(_epoch_s(now))
        expires_at_s = _epoch_s(now) + life_s
        said = key_id.encode() + expires_at_s.to_bytes(6, "big") + secrets.token_bytes(12)
        text = binascii.b2a_base64(said + _proof(self._keys[0], said), newline=False)
        return _TOKEN_PREFIX + text.translate(_TO_URL_SAFE).decode()

    def read(self, token: str, *, now: datetime) -> KeyId | Expired | None:
        """The key a token was issued for, Expired if its time is over, None if it is none of ours.

        Takes any text at all. Of every two different texts at most one is the token.
        """
        if len(token) != _TOKEN_CHARS or not token.isascii() or not token.startswith(_TOKEN_PREFIX):
            return None
        text = token[len(_TOKEN_PREFIX) :].encode().translate(_FROM_URL_SAFE)
        try:
            packed = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            return None
        said, proof = packed[:_SAID_BYTES], packed[_SAID_BYTES:]
        now_s = _epoch_s(now)
        if now_s != self._looked_s:
            self._look(now_s)
        if not self._proves(said, proof):
            # Another process may have signed with a key that has come in this very second.
            self._look(now_s)
            if not self._proves(said, proof):
                return None
        key_id = KeyId(said[:_KEY_ID_CHARS].decode())
        expires_at_s = int.from_bytes(said[_KEY_ID_CHARS : _KEY_ID_CHARS + 6], "big")
        return key_id if now_s < expires_at_s else Expired(key_id=key_id)

    def _look(self, now_s: int) -> None:
        if self._renewed is not None:
            self._keys = self._renewed(now_s) or self._keys
        self._looked_s = now_s

    def _proves(self, said: bytes, proof: bytes) -> bool:
        return any(hmac.compare_digest(_proof(key, said), proof) for key in self._keys)


def _proof(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, "sha256")[:_PROOF_BYTES]


_TOKEN_PREFIX: Final = "clt."  # noqa: S105 - how the platform's own tokens begin, no secret
_TOKEN_CHARS: Final = len(_TOKEN_PREFIX) + 64
_SAID_BYTES: Final = _KEY_ID_CHARS + 6 + 12
_PROOF_BYTES: Final = 18  # 48 bytes in all, a multiple of 3: base64 without padding has one spelling
_LEAST_SIGNING_KEY_BYTES: Final = 32
_TO_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE: Final = bytes.maketrans(
    b"-_+/=", b"+/!!!"
)  # the standard alphabet would be a second spelling


def access_tokens_of(master: MasterKey) -> AccessTokens:
    """Those of an installation, which follow when its master key is renewed."""
    return AccessTokens(derive(master, SIGNING_PURPOSE), renewed=Succession(master, SIGNING_PURPOSE))


def _epoch_s(moment: datetime) -> int:
    if moment.tzinfo is None:  # timestamp() would take it for local time
        raise ValueError("A moment without a time zone is not accepted.")
    return int(moment.timestamp())


def _random_base62(chars: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(chars))


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_CHARS):
        value, digit = divmod(value, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
