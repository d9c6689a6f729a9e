"""Gateway and simulator in one process, without a socket between: for laws over thousands of calls."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import sqlalchemy as sa
import yaml
from starlette.applications import Starlette

from app.administration.acts import apply_state
from app.administration.changes import local_operator
from app.administration.key_files import ensure_log_key, read_log_key
from app.administration.keys import issue_key
from app.administration.minting import Mint
from app.administration.wanted import read_state_file
from app.audit.calls import Origin
from app.bootstrap import Installation, open_installation
from app.calls import Delivered, Request, TurnedDown
from app.ids import CredentialId
from app.provider.answers import UpstreamReply
from app.provider.endpoint import Endpoint
from app.provider.endpoints import ENDPOINTS
from app.provider.outgoing import Outgoing
from app.query import ResearchQuery
from app.sealing import MasterKey
from app.settings import Settings
from app.simulator.app import create_app
from app.simulator.configuration import Client, SimulatorConfig
from app.storage.engines import open_database
from app.storage.log import Boot
from app.storage.registry import SqlRegistry
from app.storage.schema import migrate

INSTITUTION = Client(key="institution", secret="institution-secret")
OUTSIDER = Client(key="outsider", secret="outsider-secret")
"""Whoever asks the platform directly."""
_PLENTY = 100_000_000
_ORIGIN = Origin(method="POST", route="/", request_bytes=0, address="", agent="")


class Platform:
    """The simulator, as the gateway's port to the platform and as those see it who ask directly."""

    def __init__(self, **config: Any) -> None:
        allowed = {"requests_per_day": _PLENTY, "records_per_day": _PLENTY, "follower_calls_per_day": _PLENTY}
        self.app: Starlette = create_app(
            SimulatorConfig(
                clients=(INSTITUTION, OUTSIDER), **{**allowed, "follower_records_per_day": _PLENTY, **config}
            )
        )
        self.state = self.app.state.platform
        self.sent: list[tuple[str, str, bytes]] = []
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://platform")
        self._tokens: dict[str, str] = {}

    async def fetch(
        self,
        credential: CredentialId,
        query: ResearchQuery,
        endpoint: Endpoint,
        body: Outgoing,
        *,
        send_by_s: float,
    ) -> UpstreamReply:
        """One call of the gateway's."""
        self.sent.append((endpoint.name, query.query_string(), body.content))
        answer = await self._post(INSTITUTION, f"{endpoint.path}?{query.query_string()}", body.content)
        return UpstreamReply(status=answer.status_code, body=answer.content)

    async def ask(self, endpoint: str, fields: Sequence[str], body: Mapping[str, Any]) -> httpx.Response:
        """What somebody is answered who asks directly."""
        asked = f"?{urlencode({'fields': ','.join(fields)})}" if fields else ""
        return await self._post(OUTSIDER, f"/v2/research/{endpoint}/{asked}", json.dumps(body).encode())

    def delete(self, videos: Sequence[int]) -> None:
        """Have these videos vanish."""
        self.state.delete(videos=videos, comments=(), users=())

    def restore(self) -> None:
        """Have everything as at the start, and nobody signed in."""
        self.state.reset()
        self._tokens.clear()

    def requests(self, client: Client = INSTITUTION) -> int:
        """What the platform has counted for a client today, over all its quotas."""
        counted = self.state.quota.stats()["clients"].get(client.key, {})
        return sum(counted.get(f"{family}requests", 0) for family in ("", "follower_", "ad_"))

    async def _post(self, client: Client, path: str, body: bytes) -> httpx.Response:
        token = self._tokens.get(client.key)
        if token is None:
            form = {
                "client_key": client.key,
                "client_secret": client.secret,
                "grant_type": "client_credentials",
            }
            granted = await self._client.post("/v2/oauth/token/", data=form)
            token = self._tokens[client.key] = granted.json()["access_token"]
        return await self._client.post(path, content=body, headers={"Authorization": f"Bearer {token}"})


@dataclass
class Library:
    """A running installation; `keys` are API keys by person."""

    installation: Installation
    platform: Platform
    keys: dict[str, str]
    _reopen: Callable[[], Awaitable[Installation]]

    async def restart(self) -> None:
        """Close the installation and open it again over what it has left behind."""
        self.installation = await self._reopen()

    async def ask(
        self, who: str, endpoint: str, fields: Sequence[str], body: Mapping[str, Any] | bytes, **more: Any
    ) -> Delivered | TurnedDown:
        """What the gateway answers to a call."""
        request = Request(
            endpoint=ENDPOINTS[endpoint],
            query_string=urlencode({"fields": ",".join(fields)}) if fields else "",
            body=body if isinstance(body, bytes) else json.dumps(body).encode(),
            authorization=f"Bearer {self.keys[who]}",
            origin=_ORIGIN,
            **more,
        )
        return await self.installation.gateway.research(request)

    async def change(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Apply the state file anew, as `change` leaves it."""
        here = self.installation
        file = here.settings.data_dir.parent / "state.yaml"
        state = yaml.safe_load(file.read_text())
        change(state)
        file.write_text(yaml.safe_dump(state))
        office = SqlRegistry(database=here.database, boot=here.boot)
        mint = Mint.of(MasterKey.from_file(here.settings.master_key_path))
        await apply_state(office, mint, local_operator(1000), read_state_file(file))

    async def entries(self) -> list[dict[str, Any]]:
        """The log, as far as it has come."""
        rows = await self.installation.database.read(
            lambda conn: conn.execute(sa.text("SELECT id, leaf FROM entry ORDER BY ix")).all()
        )
        return [{"id": row.id, **json.loads(bytes(row.leaf))} for row in rows]


def _state(
    projects: Mapping[str, Sequence[str]],
    limits: Mapping[str, int],
    allow: Mapping[str, Any],
    reuse: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    people = sorted({person for members in projects.values() for person in members})
    return {
        "credentials": [
            {
                "name": "main",
                "base_url": "http://127.0.0.1:9",
                "client_key": INSTITUTION.key,
                "client_secret_file": "secret",
                "limits": dict(limits),
            }
        ],
        "people": [
            {"email": f"{each}@example.edu", "name": each, "roles": ["researcher"]} for each in people
        ],
        "projects": [
            {
                "name": name,
                "credential": "main",
                "lead": f"{members[0]}@example.edu",
                "members": [f"{each}@example.edu" for each in members],
                "approval": {"reference": "R-1", "from": "2026-01-01", "until": "2036-06-30"},
                "limits": dict(limits),
                **({"allow": dict(allow)} if allow else {}),
                **({"reuse": dict(reuse[name])} if name in reuse else {}),
            }
            for name, members in projects.items()
        ],
    }


@asynccontextmanager
async def opened_library(
    home: Path,
    *,
    projects: Mapping[str, Sequence[str]],
    platform: Platform | None = None,
    limits: Mapping[str, int] | None = None,
    allow: Mapping[str, Any] | None = None,
    reuse: Mapping[str, Mapping[str, Any]] | None = None,
    database_url: str = "",
    **settings: Any,
) -> AsyncIterator[Library]:
    """An installation in this process over a fresh database, its people, and a simulator behind it."""
    chosen = Settings(
        data_dir=home / "data",
        database_url=database_url,
        heartbeat_s=3_600,
        upstream_calls_per_second=0,
        **settings,
    )
    chosen.data_dir.mkdir(mode=0o700)
    master = MasterKey.write_new(chosen.master_key_path)
    ensure_log_key(chosen.log_key_path)
    await migrate(chosen.database_url)
    (home / "secret").write_text(INSTITUTION.secret)
    (home / "secret").chmod(0o600)
    plenty = dict.fromkeys(
        ("requests/day", "records/day", "follower_calls/day", "follower_records/day"), _PLENTY
    )
    (home / "state.yaml").write_text(
        yaml.safe_dump(_state(projects, limits or plenty, allow or {}, reuse or {}))
    )
    elsewhere = open_database(chosen.database_url)
    try:
        office = SqlRegistry(
            database=elsewhere, boot=Boot("office", "0" * 16, read_log_key(chosen.log_key_path))
        )
        mint, actor = Mint.of(master), local_operator(1000)
        await apply_state(office, mint, actor, read_state_file(home / "state.yaml"))
        keys = {
            person: (
                await issue_key(office, mint, actor, project=name, email=f"{person}@example.edu")
            ).api_key
            for name, members in projects.items()
            for person in members
        }
    finally:
        await elsewhere.close()
    behind = platform or Platform()
    async with AsyncExitStack() as stack:

        async def reopen() -> Installation:
            await stack.aclose()
            installation = await stack.enter_async_context(open_installation(chosen))
            # The one adapter that is swapped: everything else is as it is served.
            cast("Any", installation.gateway)._upstream._platform = behind
            return installation

        yield Library(await reopen(), behind, keys, reopen)
