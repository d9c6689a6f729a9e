"""A client of a simulator in the same process."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import httpx

from app.simulator.app import create_app
from app.simulator.configuration import Client, Knobs, SimulatorConfig
from app.simulator.platform import Platform

KEY, SECRET = "test-key", "test-secret"
OTHER = Client(key="other-key", secret="other-secret")
UNSCOPED = Client(key="unscoped-key", secret="unscoped-secret", scopes=frozenset())
ALL = {"field_name": "view_count", "operation": "GTE", "field_values": ["0"]}


def query(**changes: Any) -> dict[str, Any]:
    """The body of a video query that finds every video of October 2026."""
    return {"query": {"and": [ALL]}, "start_date": "20261001", "end_date": "20261031", **changes}


class Caller:
    """Holds one simulator and one token; a method for each thing that tests send."""

    def __init__(self, *, peer: str = "127.0.0.1", knobs: Knobs | None = None, **changes: Any) -> None:
        clients = (Client(key=KEY, secret=SECRET), OTHER, UNSCOPED)
        self.app = create_app(
            SimulatorConfig(**{"videos": 4_000, "clients": clients, "knobs": knobs or Knobs(), **changes})
        )
        self.platform: Platform = self.app.state.platform
        self._peer = peer
        self.token = ""

    def send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(self._peer, 1))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://platform", trust_env=False
            ) as client:
                return await client.request(method, path, content=body, headers=headers)

        return asyncio.run(sent())

    def ask_token(self, **changes: str) -> httpx.Response:
        form = {"client_key": KEY, "client_secret": SECRET, "grant_type": "client_credentials", **changes}
        return self.send("POST", "/v2/oauth/token/", urlencode(form).encode())

    def log_in(self, client: Client | None = None) -> str:
        of = client or Client(key=KEY, secret=SECRET)
        self.token = self.ask_token(client_key=of.key, client_secret=of.secret).json()["access_token"]
        return self.token

    def call(self, endpoint: str, body: Any, *, fields: str | None = "id", **headers: str) -> httpx.Response:
        if not self.token:
            self.log_in()
        asked = f"?{urlencode({'fields': fields})}" if fields is not None else ""
        content = body if isinstance(body, bytes) else httpx.Request("POST", "http://x", json=body).content
        return self.send(
            "POST",
            f"/v2/research/{endpoint}/{asked}",
            content,
            {"Authorization": f"Bearer {self.token}", **headers},
        )

    def videos(self, *, fields: str = "id", **changes: Any) -> httpx.Response:
        return self.call("video/query", query(**changes), fields=fields)

    def page(self, **changes: Any) -> dict[str, Any]:
        answer = self.videos(**changes)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def control(self, what: str, **order: Any) -> httpx.Response:
        return self.send("POST", f"/_sim/{what}", httpx.Request("POST", "http://x", json=order).content)

    def stats(self) -> dict[str, Any]:
        counted: dict[str, Any] = self.send("GET", "/_sim/stats").json()
        return counted


def message(answer: httpx.Response, *, status: int = 400, code: str = "invalid_params") -> str:
    """The message of an error whose status and code are as expected."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    text: str = error["message"]
    return text
