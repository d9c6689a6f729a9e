"""Client access tokens: issued, checked, dead after their life on the simulator's clock (facts 1)."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from app.simulator.answers import ApiError
from app.simulator.clock import SimulatedClock
from app.simulator.configuration import Client

_REQUIRED = ("client_key", "client_secret", "grant_type")


class TokenRefused(Exception):
    """A token request that ends in an OAuth error; the statuses are inferred (facts 1.3)."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grant:
    client: Client
    expires_at_s: float


class TokenOffice:
    """Issues tokens to known clients; several of one client live at once."""

    def __init__(self, clients: tuple[Client, ...], *, life_s: int, clock: SimulatedClock) -> None:
        self._clients = {client.key: client for client in clients}
        self._life_s = life_s
        self._clock = clock
        self._grants: dict[str, _Grant] = {}

    def issue(self, form: bytes) -> Mapping[str, object]:
        """The success body for a form-encoded request. Raises TokenRefused."""
        client = self._authenticated(_fields(form))
        now_s = self._clock.now_s()
        self._drop_dead(now_s)
        token = f"clt.{secrets.token_hex(24)}"
        self._grants[token] = _Grant(client=client, expires_at_s=now_s + self._life_s)
        return {"access_token": token, "expires_in": self._life_s, "token_type": "Bearer"}

    def client_of(self, authorization: str | None, *, scope: str) -> Client:
        """Whose token the header carries. Raises ApiError 401 for a bad token or a missing scope."""
        kind, _, token = (authorization or "").partition(" ")
        grant = self._grants.get(token.strip()) if kind.lower() == "bearer" else None
        if grant is None or grant.expires_at_s <= self._clock.now_s():
            raise ApiError(
                401,
                "access_token_invalid",
                "The access token is invalid or not found in the request.",
            )
        if scope not in grant.client.scopes:
            raise ApiError(
                401,
                "scope_not_authorized",
                "The client did not authorize the scope required for completing this request.",
            )
        return grant.client

    def forget(self) -> None:
        """Let every token be unknown from now on."""
        self._grants.clear()

    def _authenticated(self, form: Mapping[str, str]) -> Client:
        for name in _REQUIRED:
            if not form.get(name):
                raise TokenRefused(400, "invalid_request", f"The request parameter {name} is missing.")
        if form["grant_type"] != "client_credentials":
            raise TokenRefused(400, "unsupported_grant_type", "The grant type is not supported.")
        client = self._clients.get(form["client_key"])
        if client is None or not hmac.compare_digest(client.secret.encode(), form["client_secret"].encode()):
            raise TokenRefused(401, "invalid_client", "Client key or secret is incorrect.")
        return client

    def _drop_dead(self, now_s: float) -> None:
        # Insertion order is order of expiry while the clock stands still, so the dead are in front.
        while self._grants:
            token, grant = next(iter(self._grants.items()))
            if grant.expires_at_s > now_s:
                return
            del self._grants[token]


def _fields(form: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(form.decode("ascii"), keep_blank_values=True, errors="strict"))
    except ValueError as error:
        raise TokenRefused(
            400, "invalid_request", "The body is not application/x-www-form-urlencoded."
        ) from error
