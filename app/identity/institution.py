"""Signing in by the institution's identity provider (OpenID Connect): what is asked of it, and what must come back.

A sign-in under way hangs on one secret in a cookie. State, nonce and PKCE verifier are derived from it, so that an
answer fits the browser that asked, and the database holds a digest alone.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from app.errors import SignInRefused

LIFE_S: Final = 600
"""For how long somebody may be at the provider's pages (ten minutes)."""
SIGNATURES: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"),
)
"""Signatures that count: all by a private key. With none, or with a shared secret (HS256), anybody could sign."""

_LEEWAY_S: Final = 60
"""How far the provider's clock may be from ours."""
_OLDEST_S: Final = 600
"""A token is made for the code that was just redeemed; one from before the sign-in began is another's."""
MOST_SUBJECT_CHARS: Final = 255
"""Of the specification (OpenID Connect Core 1.0, section 2)."""
_MOST_GROUPS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """Whom the provider vouches for. They are `issuer` and `subject`; everything else may change."""

    issuer: str
    subject: str
    email: str | None = None
    """Only where the provider says that it has been verified."""
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A sign-in whose answer has come: where it leads to, and what was kept to be given back."""

    onward: str
    began_us: int
    kept: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an ID token has to say; with `since_s` (a Unix time) also that they signed in there later than that."""

    issuer: str
    client_id: str
    nonce: str
    groups_claim: str | None = None
    since_s: float | None = None


class IdentityProvider(Protocol):
    """The institution's provider. Its methods raise SignInUnavailable when it gives no usable answer."""

    @property
    def issuer(self) -> str:
        """Its name, as the settings have it."""
        ...

    async def address(self, secret: str, *, anew: bool = False) -> str:
        """Where the browser goes to sign in, for the sign-in that hangs on that secret.

        `anew` asks that whoever is signed in there proves once more who they are.
        """
        ...

    async def redeem(
        self, secret: str, *, code: str, issuer: str | None, since_s: float | None = None
    ) -> Proven:
        """Whom a code stands for; `issuer` is the one that the answer named, if it did.

        With `since_s`, a Unix time, only if they proved who they are later than that.

        Raises SignInRefused where the provider refuses the code, or its token does not hold.
        """
        ...


def state_of(secret: str) -> str:
    """What comes back with the code, and shows that this browser asked for it."""
    return _derived(secret, b"state")


def nonce_of(secret: str) -> str:
    """What the token has to repeat, which shows that it was made for this sign-in."""
    return _derived(secret, b"nonce")


def verifier_of(secret: str) -> str:
    """What redeems the code; nobody else knows it (RFC 7636)."""
    return _derived(secret, b"verifier")


def challenge_of(verifier: str) -> str:
    """What the provider is told of the verifier beforehand (S256)."""
    return _base64(hashlib.sha256(verifier.encode()).digest())


def key_of(secret: str) -> bytes:
    """What seals a form that waits for the answer: 32 bytes."""
    return hmac.digest(secret.encode(), b"sign-in kept", "sha256")


def is_state(secret: str, shown: str) -> bool:
    """Whether an answer belongs to that secret; takes the same time whatever is shown."""
    return hmac.compare_digest(state_of(secret).encode(), shown.encode(errors="replace"))


def is_subject(shown: str) -> bool:
    """Whether a provider can call somebody so."""
    return 0 < len(shown) <= MOST_SUBJECT_CHARS and shown.isprintable()


def proven_by(claims: Mapping[str, Any], expected: Expected, *, now: datetime) -> Proven:
    """Whom the claims of a token with a good signature are about; raises SignInRefused.

    OpenID Connect Core 1.0, section 3.1.3.7, with every check that it leaves to the client's choice.
    """
    now_s = now.timestamp()
    if claims.get("iss") != expected.issuer:
        raise refused("issuer", "comes from another provider")
    _check_audience(claims, expected.client_id)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise refused("nonce", "was made for another sign-in")
    if _seconds(claims, "exp") <= now_s - _LEEWAY_S:
        raise refused("expired", "has expired; the clocks of the two machines may differ")
    made_s = _seconds(claims, "iat")
    if made_s > now_s + _LEEWAY_S or made_s < now_s - _OLDEST_S:
        raise refused("expired", "was not made just now; the clocks of the two machines may differ")
    if "nbf" in claims and _seconds(claims, "nbf") > now_s + _LEEWAY_S:
        raise refused("expired", "does not hold yet; the clocks of the two machines may differ")
    if expected.since_s is not None and _seconds(claims, "auth_time") < expected.since_s - _LEEWAY_S:
        raise refused("auth-time", "comes of a sign-in from before, and you were to prove anew who you are")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_subject(subject):
        raise refused("claims", "names nobody")
    return Proven(
        issuer=expected.issuer,
        subject=subject,
        email=_verified_email(claims),
        groups=_groups(claims, expected.groups_claim),
    )


def roles_now(
    held: Collection[str], groups: Collection[str], role_of_group: Mapping[str, str]
) -> tuple[str, ...]:
    """Somebody's roles once the provider has said which groups they are in.

    Roles that a group stands for come and go with it; those that none stands for stay as they were given by hand.
    """
    by_group = set(role_of_group.values())
    given = {role_of_group[each] for each in groups if each in role_of_group}
    return tuple(sorted({each for each in held if each not in by_group} | given))


def refused(rule: str, what: str) -> SignInRefused:
    """A token that does not hold."""
    return SignInRefused(
        f"The answer of your institution's sign-in {what}. Sign in once more; if that changes nothing, tell an "
        "administrator.",
        rule=f"oidc-{rule}",
    )


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or client_id not in named:
        raise refused("audience", "was made for another service")
    # A token for several is for whom it names as its authorised party.
    party = claims.get("azp")
    if (len(named) > 1 and party is None) or (party is not None and party != client_id):
        raise refused("audience", "was made for another service")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e11:
        raise refused("claims", f"lacks {name}")
    return float(value)


def _verified_email(claims: Mapping[str, Any]) -> str | None:
    email, is_verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(email, str) or is_verified is not True or len(email) > 320 or not email.isascii():
        return None
    return email.strip().lower()


def _groups(claims: Mapping[str, Any], name: str | None) -> frozenset[str]:
    """The values of a claim, which may lie deeper (`realm_access.roles`)."""
    if name is None:
        return frozenset()
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    values: Sequence[Any] = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(each for each in values[:_MOST_GROUPS] if isinstance(each, str))


def _derived(secret: str, purpose: bytes) -> str:
    return _base64(hmac.digest(secret.encode(), b"sign-in " + purpose, "sha256"))


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
