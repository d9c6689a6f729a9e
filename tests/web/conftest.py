"""A whole installation behind its web application, in this process, set up by the use-cases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.administration.acts import apply_state
from app.administration.changes import Actor, local_operator
from app.administration.key_files import ensure_log_key, read_log_key
from app.administration.keys import IssuedKey, issue_key, issue_token
from app.administration.minting import Mint
from app.administration.wanted import read_state_file
from app.bootstrap import Installation
from app.identity.roles import Role
from app.sealing import MasterKey
from app.settings import Settings
from app.storage.engines import open_database
from app.storage.log import Boot
from app.storage.registry import SqlRegistry
from app.storage.schema import migrate
from app.web.factory import create_app
from tests.administration.adding import add_person

OPERATOR: Actor = local_operator(1000)
STATE = """
credentials:
  - name: main
    base_url: https://open.tiktokapis.com
    client_key: aw000example
    client_secret_file: secret
    limits: {requests/day: 1000}
terms:
  - {version: "2024-10", title: Terms of 2024, text_file: terms.md, in_force_from: 2024-10-25}
  - {version: "2026-02", title: Terms of 2026, text_file: terms.md, in_force_from: 2026-02-01}
people:
  - {email: ada@example.edu, name: Ada Byron, roles: [researcher]}
  - {email: bob@example.edu, name: Bob <b>Noether</b>, roles: [researcher]}
  - {email: grace@example.edu, name: Grace Hopper, roles: [lead]}
  - {email: quota@example.edu, name: Quota desk, roles: [quota_admin]}
  - {email: it@example.edu, name: Service desk, roles: [admin]}
  - {email: dpo@example.edu, name: Data protection, roles: [compliance]}
  - {email: nobody@example.edu, name: No Roles, roles: []}
projects:
  - name: elections
    credential: main
    approval: {reference: R-2026-014, from: 2026-01-01, until: 2036-06-30}
    lead: ada@example.edu
    members: [ada@example.edu, bob@example.edu]
    cache_scope: project
    limits: {requests/day: 300, calls/minute: 60}
    member_limits: {requests/day: 100}
  - name: health
    credential: main
    approval: {reference: R-2026-015, from: 2026-01-01, until: 2036-06-30}
    lead: grace@example.edu
    members: [grace@example.edu]
    cache_scope: project
    limits: {requests/day: 200}
"""
PLACES = (("elections", "ada"), ("elections", "bob"), ("health", "grace"))
PEOPLE = ("ada", "bob", "grace", "quota", "it", "dpo", "nobody")


@dataclass
class House:
    """An application that runs, and what its people hold: tokens by first name, keys by first name."""

    client: httpx.AsyncClient
    app: FastAPI
    office: SqlRegistry
    """Another process's registry: what it changes, the application does not hear of."""
    mint: Mint
    tokens: dict[str, str] = field(default_factory=dict)
    keys: dict[str, IssuedKey] = field(default_factory=dict)

    @property
    def installation(self) -> Installation:
        installation: Installation = self.app.state.installation
        return installation

    async def ask(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        """What `who` is answered: a first name, `key:` and a first name for their API key, or nobody."""
        bearer = self.keys[who[4:]].api_key if who.startswith("key:") else self.tokens.get(who)
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        return await self.client.request(method, path, headers=headers, **options)

    async def officer(self, name: str) -> None:
        """Have another compliance officer of that first name, who holds a token."""
        email = f"{name}@example.edu"
        await add_person(
            self.office, self.mint, OPERATOR, email=email, name=name, roles=frozenset({Role.COMPLIANCE})
        )
        self.tokens[name] = (await issue_token(self.office, self.mint, OPERATOR, email=email)).token

    async def get(self, who: str, path: str, **options: Any) -> httpx.Response:
        return await self.ask(who, "GET", path, **options)


_QUIET = {"heartbeat_s": 3_600, "rejects_per_second": 0, "failed_sign_ins_per_minute": 0}


@asynccontextmanager
async def opened_house(directory: Path, database_url: str, **options: Any) -> AsyncIterator[House]:
    (directory / "secret").write_text("from-the-platform-4c7a\n")
    (directory / "terms.md").write_text("# Terms\n\nBe good & kind.\n")
    (directory / "state.yaml").write_text(STATE)
    settings = Settings(
        data_dir=directory / "data",
        database_url=database_url,
        **{**_QUIET, **options},
    )
    settings.data_dir.mkdir(mode=0o700)
    master = MasterKey.write_new(settings.master_key_path)
    ensure_log_key(settings.log_key_path)
    await migrate(settings.database_url)
    elsewhere = open_database(settings.database_url)
    office = SqlRegistry(
        database=elsewhere, boot=Boot("office", "0" * 16, read_log_key(settings.log_key_path))
    )
    mint = Mint.of(master)
    await apply_state(office, mint, OPERATOR, read_state_file(directory / "state.yaml", {}))
    app = create_app(settings).app
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bursar.test") as client:
            house = House(client=client, app=app, office=office, mint=mint)
            for name in PEOPLE:
                token = await issue_token(office, mint, OPERATOR, email=f"{name}@example.edu")
                house.tokens[name] = token.token
            for project, name in PLACES:
                email = f"{name}@example.edu"
                house.keys[name] = await issue_key(office, mint, OPERATOR, project=project, email=email)
            yield house
    await elsewhere.close()


@pytest.fixture
async def house(tmp_path: Path, migrated_url: str) -> AsyncIterator[House]:
    """One that a test may turn upside down, on each kind of database."""
    async with opened_house(tmp_path, migrated_url) as opened:
        yield opened


@pytest.fixture(scope="module")
async def shared_house(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[House]:
    """One for a module of tests that leave it as they found it."""
    directory = tmp_path_factory.mktemp("house")
    async with opened_house(directory, f"sqlite+aiosqlite:///{directory / 'bursar.db'}") as opened:
        yield opened
