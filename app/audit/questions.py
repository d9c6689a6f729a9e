"""The question of a call, sealed into its entry: who holds the key may read it, and nobody once that is destroyed.

A question is sealed under a key of its person and month (AES-256-GCM), bound to the entry by the associated data
`id|type|kid`. Beside it stand tags: keyed hashes of the accounts, videos and so on that it names, so that entries about one
of them can be found; their key is made of that key and of one of the month, so that a guess can be tried by nobody once
either is destroyed. Both stand in a call's first entry and not in its outcome.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app import exact_json
from app.audit.entries import KeptQuestion, Value
from app.provider.naming import named_in
from app.query import ResearchQuery, remembered
from app.sealing import SealBroken

MOST_BYTES_INSIDE: Final = 8 * 1024
"""A longer question is kept beside the log, and its digest in the entry."""
MOST_TAGS_INSIDE: Final = 64
"""Further tags are kept beside the log, and their digest in the entry."""
SEALED_FIELDS: Final = ("sealed", "about", "about_more")
_NONCE_BYTES: Final = 12  # NIST SP 800-38D, section 8.2
_TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class SealedQuestion:
    """What of a question goes into its entry, and what is kept beside it."""

    fields: Mapping[str, Value]
    kept: KeptQuestion | None


@dataclass(frozen=True, slots=True)
class QuestionKeys:
    """The keys of one person and month: `kid` names the one that seals, `tagging` makes tags."""

    kid: str
    month: str
    cipher: AESGCM = field(repr=False)
    tagging: bytes = field(repr=False)
    digesting: bytes = field(repr=False)

    @classmethod
    def of(cls, *, kid: str, month: str, key: bytes, blind: bytes) -> Self:
        """The keys that come of the one that is kept for the person, and the one that is kept for the month."""
        return cls(
            kid=kid,
            month=month,
            cipher=AESGCM(key),
            tagging=tagging_key(key, blind),
            digesting=hmac.digest(key, b"bursar/1/questions", "sha256"),
        )

    def digest(self, query: ResearchQuery) -> str:
        """64 hexadecimal digits that are the same for the same question of this person and month."""
        return hmac.digest(self.digesting, query.question.encode(), "sha256").hex()

    def sealed(self, query: ResearchQuery, *, entry: str, entry_type: str) -> SealedQuestion:
        """The question for the entry of that id and type, and for no other."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plaintext = query.question.encode()
        ct = self.cipher.encrypt(nonce, plaintext, associated(entry, entry_type, self.kid))
        tags = sorted(tag(self.tagging, kind, value) for kind, value in _named(query.question))
        inside, more = tags[:MOST_TAGS_INSIDE], tuple(tags[MOST_TAGS_INSIDE:])
        is_long = len(plaintext) > MOST_BYTES_INSIDE
        sealed: dict[str, Value] = {"kid": self.kid}
        if is_long:
            sealed["sha256"] = hashlib.sha256(nonce + ct).hexdigest()
        else:
            sealed |= {"nonce": _base64(nonce), "ct": _base64(ct)}
        fields: dict[str, Value] = {"sealed": sealed}
        if inside:
            fields["about"] = inside
        if more:
            fields["about_more"] = {"count": len(more), "sha256": digest_of(more)}
        kept = KeptQuestion(nonce=nonce, ct=ct) if is_long else None
        if more:
            kept = KeptQuestion(nonce=nonce if is_long else b"", ct=ct if is_long else b"", tags=more)
        return SealedQuestion(fields, kept)


class Seals(Protocol):
    """The keys that questions are sealed with."""

    async def keys_for(self, person: str) -> QuestionKeys:
        """The person's keys of this month, durable before they are used. Raises Unavailable."""
        ...


def open_question(key: bytes, entry: Mapping[str, Value], kept: KeptQuestion | None) -> str:
    """The question of a parsed entry, as canonical JSON; `kept` where it is a long one. Raises SealBroken."""
    sealed = entry.get("sealed")
    if not isinstance(sealed, Mapping):
        raise SealBroken("This entry holds no sealed question.")
    try:
        if "sha256" in sealed:
            nonce, ct = (b"", b"") if kept is None else (kept.nonce, kept.ct)
            if hashlib.sha256(nonce + ct).hexdigest() != sealed["sha256"]:
                raise SealBroken("The question beside the log is not the one that the entry tells of.")
        else:
            nonce, ct = (base64.b64decode(str(sealed[name]), validate=True) for name in ("nonce", "ct"))
        aad = associated(str(entry.get("id")), str(entry.get("type")), str(sealed["kid"]))
        return AESGCM(key).decrypt(nonce, ct, aad).decode()
    except (InvalidTag, binascii.Error, KeyError, ValueError) as error:
        raise SealBroken("The question was altered, moved, or sealed under another key.") from error


def tagging_key(key: bytes, blind: bytes) -> bytes:
    """What tags are made with: of both keys, and of neither alone."""
    return hmac.digest(key, b"bursar/1/tags" + blind, "sha256")


def tag(key: bytes, kind: str, value: str) -> str:
    """22 characters that stand for an identifier: HMAC-SHA256 of `kind:value`, its first 16 bytes, in base64url."""
    digest = hmac.digest(key, f"{kind}:{value}".encode("utf-8", "surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(digest[:_TAG_BYTES]).decode().rstrip("=")


def digest_of(tags: Iterable[str]) -> str:
    """What an entry says of tags that are kept beside it."""
    return hashlib.sha256("\n".join(tags).encode()).hexdigest()


def associated(entry: str, entry_type: str, kid: str) -> bytes:
    """What a sealed question is bound to."""
    return f"{entry}|{entry_type}|{kid}".encode()


def without_question(fields: Mapping[str, Value]) -> dict[str, Value]:
    """The fields of an intent for its outcome, which does not repeat the question."""
    return {name: value for name, value in fields.items() if name not in SEALED_FIELDS}


@remembered
def _named(question: str) -> frozenset[tuple[str, str]]:
    asked = exact_json.loads(question.encode())
    return named_in(asked) if isinstance(asked, dict) else frozenset()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
