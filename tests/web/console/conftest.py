"""People at the console: each with cookies of their own, over https as a browser sees it."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.web.conftest import House, opened_house

HOME = "https://bursar.test"
SAME_ORIGIN = {"sec-fetch-site": "same-origin", "origin": HOME}
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


@dataclass
class Browser:
    """What one person does by hand."""

    client: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"/console{path}", headers=headers)

    async def send(self, path: str, **fields: str | list[str]) -> httpx.Response:
        """Send a form of the session."""
        page = await self.client.get("/console/my-terms")
        token = _TOKEN.search(page.text)
        fields.setdefault("form_token", "" if token is None else token.group(1))
        return await self.client.post(f"/console{path}", data=fields, headers=SAME_ORIGIN)

    async def sign_in(self, token: str, **more: str) -> httpx.Response:
        return await self.client.post(
            "/console/sign-in/token", data={"token": token, **more}, headers=SAME_ORIGIN
        )


@pytest.fixture
async def fresh_house(tmp_path: Path, migrated_sqlite_url: str) -> AsyncIterator[House]:
    """One that a test may turn upside down, where the kind of database makes no difference."""
    async with opened_house(tmp_path, migrated_sqlite_url) as opened:
        yield opened


Opened = Callable[[House], Browser]


def text_of(answer: httpx.Response) -> str:
    """The words of a page."""
    without_tags = re.sub(r"<[^>]+>", " ", answer.text)
    return " ".join(unescape(without_tags).split())


@pytest.fixture
async def browser() -> AsyncIterator[Opened]:
    """Opens browsers that nobody has signed in with."""
    async with AsyncExitStack() as stack:

        def opened(house: House) -> Browser:
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app=house.app), base_url=HOME)
            stack.push_async_exit(client)
            return Browser(client)

        yield opened


async def signed_in(browser: Opened, house: House, name: str) -> Browser:
    """A browser with which that person (a first name) is signed in."""
    mine = browser(house)
    answer = await mine.sign_in(house.tokens[name])
    assert answer.status_code == 303, answer.text
    return mine
