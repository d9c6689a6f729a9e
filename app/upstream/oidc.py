"""The institution's identity provider over HTTP: discovery, keys, and codes turned into people.

Keys come from the address that discovery names, never from a token. joserfc checks signatures; what a token has to
say is decided in `app.identity.institution`.
"""

import asyncio
import contextlib
import hashlib
import hmac
import ssl
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact

from app.clock import Clock
from app.errors import BadSetting, SignInUnavailable
from app.identity.institution import (
    SIGNATURES,
    Expected,
    Proven,
    challenge_of,
    nonce_of,
    proven_by,
    refused,
    state_of,
    verifier_of,
)
from app.settings import Settings
from app.upstream.client import httpx
from app.upstream.secret_files import read_secret

CALLBACK: Final = "/console/sign-in/institution/answer"
_TIMEOUT_S: Final = 10.0
_MOST_BYTES: Final = 262_144
_KEPT_S: Final = 3_600.0
"""How long what discovery said is taken for true."""
_KEYS_AT_MOST_EVERY_S: Final = 10.0
"""Tokens by unknown keys have the keys fetched anew, but no more often."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_KINDS: Final = frozenset({"RSA", "EC", "OKP"})
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What Bursar is to the provider."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str
    scope: str
    groups_claim: str | None

    def __repr__(self) -> str:
        return f"Client(issuer={self.issuer!r}, client_id={self.client_id!r})"


@dataclass(frozen=True, slots=True)
class _Found:
    """What discovery said, and until when that counts."""

    metadata: Mapping[str, Any]
    until_s: float


class _Registry(JWSRegistry):
    """Headers may carry a chain of certificates, which nobody here looks at."""

    max_header_length = 16_384


class OidcProvider:
    """An OpenID Connect provider; `close` it in the end."""

    def __init__(self, *, client: Client, clock: Clock, ca_file: str | None = None) -> None:
        self._told = client
        self._clock = clock
        self._found: _Found | None = None
        self._keys: list[Key] = []
        self._keys_since_s = 0.0
        self._turn = asyncio.Lock()
        self._client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            verify=ssl.create_default_context(cafile=ca_file),
            timeout=httpx.Timeout(_TIMEOUT_S, connect=5.0),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=2, keepalive_expiry=4.0),
            headers={"User-Agent": "bursar", "Accept": "application/json", "Accept-Encoding": "identity"},
        )

    @property
    def issuer(self) -> str:
        """Its name, as the settings have it."""
        return self._told.issuer

    async def address(self, secret: str, *, anew: bool = False) -> str:
        """Where the browser goes to sign in; see `IdentityProvider`."""
        metadata = await self._metadata()
        asked = {
            "response_type": "code",
            "client_id": self._told.client_id,
            "redirect_uri": self._told.redirect_uri,
            "scope": self._told.scope,
            "state": state_of(secret),
            "nonce": nonce_of(secret),
            "code_challenge": challenge_of(verifier_of(secret)),
            "code_challenge_method": "S256",
        }
        if anew:
            # OpenID Connect Core 1.0, section 3.1.2.1; with max_age the token has to tell `auth_time`.
            asked |= {"prompt": "login", "max_age": "0"}
        endpoint = str(metadata["authorization_endpoint"])
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    async def redeem(
        self, secret: str, *, code: str, issuer: str | None, since_s: float | None = None
    ) -> Proven:
        """Whom a code stands for; see `IdentityProvider`."""
        metadata = await self._metadata()
        # RFC 9207: an answer of another provider must not be redeemed at this one.
        names_itself = metadata.get("authorization_response_iss_parameter_supported") is True
        if issuer != self._told.issuer and (issuer is not None or names_itself):
            raise refused("issuer", "comes from another provider")
        tokens = await self._exchange(metadata, code, verifier_of(secret))
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str) or len(id_token) > _MOST_BYTES:
            raise refused("claims", "holds no token that says who you are")
        algorithm, claims = await self._opened(metadata, id_token)
        _check_hash(claims, tokens.get("access_token"), algorithm)
        expected = Expected(
            issuer=self._told.issuer,
            client_id=self._told.client_id,
            nonce=nonce_of(secret),
            groups_claim=self._told.groups_claim,
            since_s=since_s,
        )
        return proven_by(claims, expected, now=self._clock.now())

    async def check(self) -> None:
        """Return when the provider can be found, with keys; raises SignInUnavailable."""
        await self._fetch_keys(await self._metadata())

    async def close(self) -> None:
        """Give back connections."""
        await self._client.aclose()

    async def _metadata(self) -> Mapping[str, Any]:
        async with self._turn:
            if self._found is None or self._clock.monotonic_s() >= self._found.until_s:
                told = await self._read(f"{self._told.issuer.rstrip('/')}/.well-known/openid-configuration")
                self._check_metadata(told)
                self._found = _Found(told, self._clock.monotonic_s() + _KEPT_S)
            return self._found.metadata

    def _check_metadata(self, told: Mapping[str, Any]) -> None:
        if told.get("issuer") != self._told.issuer:
            raise SignInUnavailable("The provider calls itself otherwise than BURSAR_OIDC_ISSUER does.")
        is_local = urlsplit(self._told.issuer).scheme == "http"
        for name in _ENDPOINTS:
            parts = urlsplit(str(told.get(name) or ""))
            is_safe = parts.scheme == "https" or (is_local and parts.hostname in _LOOPBACK)
            if not is_safe or not parts.hostname or parts.fragment:
                raise SignInUnavailable(f"The provider names no safe {name}.")
        methods = told.get("code_challenge_methods_supported")
        if isinstance(methods, list) and "S256" not in methods:
            raise SignInUnavailable("The provider does not do PKCE with S256.")

    async def _exchange(self, metadata: Mapping[str, Any], code: str, verifier: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._told.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        secret = self._told.client_secret
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if secret is not None and "client_secret_basic" in methods:
            pair = f"{quote(self._told.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": self._told.client_id} | (
                {} if secret is None else {"client_secret": secret}
            )
        status, told = await self._ask("POST", str(metadata["token_endpoint"]), data=form, headers=headers)
        if status == 200 and isinstance(told, dict):
            return told
        if isinstance(told, dict) and told.get("error") == "invalid_grant":
            raise refused("code", "holds a code that does not work, or that was used before")
        raise SignInUnavailable(f"The provider's token endpoint answered {status}.")

    async def _opened(self, metadata: Mapping[str, Any], id_token: str) -> tuple[str, Mapping[str, Any]]:
        """Algorithm and claims of a token that one of the provider's keys has signed."""
        offered = metadata.get("id_token_signing_alg_values_supported")
        allowed = [each for each in SIGNATURES if not isinstance(offered, list) or each in offered]
        registry = _Registry(algorithms=allowed or SIGNATURES, strict_check_header=False)
        try:
            shown = extract_compact(id_token.encode(), registry=registry)
            headers = shown.headers()
            algorithm = headers.get("alg")
            if algorithm not in allowed:
                raise refused("signature", "is not signed in a way that can be trusted")
            keys = await self._keys_for(metadata, headers.get("kid"), algorithm)
            if not any(_has_signed(each, shown, registry) for each in keys):
                raise refused("signature", "is not signed by your institution")
            claims = orjson.loads(shown.payload)
        except (JoseError, ValueError, TypeError) as error:
            raise refused("signature", "is not signed by your institution") from error
        if not isinstance(claims, dict):
            raise refused("claims", "names nobody")
        return str(algorithm), claims

    async def _keys_for(self, metadata: Mapping[str, Any], kid: object, algorithm: str) -> list[Key]:
        """The provider's keys that a token may be signed with, fetched anew where it names an unknown one."""
        is_due = self._clock.monotonic_s() - self._keys_since_s >= _KEYS_AT_MOST_EVERY_S
        is_known = kid is None or any(each.get("kid") == kid for each in self._keys)
        if not self._keys or (is_due and not is_known):
            await self._fetch_keys(metadata)
        return [
            each
            for each in self._keys
            if (kid is None or each.get("kid") == kid) and each.get("alg") in {None, algorithm}
        ]

    async def _fetch_keys(self, metadata: Mapping[str, Any]) -> None:
        told = (await self._read(str(metadata["jwks_uri"]))).get("keys")
        keys = []
        for each in told if isinstance(told, list) else ():
            # A secret that stands in public (oct) is no key.
            if not isinstance(each, dict) or each.get("kty") not in _KINDS or each.get("use", "sig") != "sig":
                continue
            with contextlib.suppress(JoseError, ValueError, TypeError):  # of a kind that nobody here knows
                keys.append(import_key(each))
        if not keys:
            raise SignInUnavailable("The provider has no key that signs.")
        self._keys, self._keys_since_s = keys, self._clock.monotonic_s()

    async def _read(self, url: str) -> Mapping[str, Any]:
        status, told = await self._ask("GET", url)
        if status != 200 or not isinstance(told, dict):
            raise SignInUnavailable(f"The provider answered {status} where it should say how to sign in.")
        return told

    async def _ask(self, method: str, url: str, **options: Any) -> tuple[int, object]:
        """Status and JSON, None for anything else."""
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._client.stream(method, url, **options) as answer:
                body = b""
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise SignInUnavailable("The provider's answer is too long.")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            # No `from`: the request that failed may hold the client's secret.
            raise SignInUnavailable(f"No answer of the provider: {type(error).__name__}.") from None
        try:
            return answer.status_code, orjson.loads(body)
        except orjson.JSONDecodeError:
            return answer.status_code, None


def open_provider(settings: Settings, clock: Clock) -> OidcProvider | None:
    """The provider that the settings name; raises BadSetting where a secret or a certificate cannot be used."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    secret_file, ca_file = settings.oidc_client_secret_file, settings.oidc_ca_file
    client = Client(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=None if secret_file is None else read_secret(secret_file),
        redirect_uri=settings.public_url + CALLBACK,
        scope=settings.oidc_scope,
        groups_claim=settings.oidc_roles_claim,
    )
    try:
        return OidcProvider(client=client, clock=clock, ca_file=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise BadSetting(
            f"BURSAR_OIDC_CA_FILE, {ca_file}, cannot be used: {type(error).__name__}."
        ) from error


def _has_signed(key: Key, shown: CompactSignature, registry: JWSRegistry) -> bool:
    try:
        return validate_compact(shown, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        return False  # of another kind than the algorithm


def _check_hash(claims: Mapping[str, Any], access_token: object, algorithm: str) -> None:
    """An `at_hash` binds the token to the access token beside it (OpenID Connect Core 1.0, section 3.1.3.8)."""
    shown = claims.get("at_hash")
    if shown is None or not isinstance(access_token, str) or algorithm[:2] not in {"RS", "PS", "ES"}:
        return
    digest = hashlib.new(f"sha{algorithm[-3:]}", access_token.encode()).digest()
    left = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not isinstance(shown, str) or not hmac.compare_digest(left, shown.encode()):
        raise refused("claims", "does not fit together")
