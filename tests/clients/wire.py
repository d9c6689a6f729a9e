"""What crosses the wire between a client and a side, recorded below whatever the client makes of it."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

PLATFORM = "https://open.tiktokapis.com"
"""The only address that these clients know (their sources, versions of the lock file)."""

TOKEN_PATH = "/v2/oauth/token/"
_MOST_EXCHANGES = 100
_SEARCH_ID = re.compile(r"\bSearch Id (\d+)\b")
_send = HTTPAdapter.send

Watch = Callable[[int], None]
"""Told after each research exchange how many there were; it may change the world in between."""


def after(requests: int, act: Callable[[], None]) -> Watch:
    """A watch that acts once, after so many requests."""

    def watch(requests_so_far: int) -> None:
        if requests_so_far == requests:
            act()

    return watch


class GoesOnForeverError(Exception):
    """The client would never have stopped asking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer."""

    path: str
    query: str
    sent: str
    authorization: str
    status: int
    body: str
    headers: dict[str, str]

    @property
    def is_research(self) -> bool:
        return self.path != TOKEN_PATH

    @property
    def json(self) -> dict[str, Any] | None:
        """The answer, every integer as it stands there; None where it is no JSON object."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    @property
    def error(self) -> dict[str, Any]:
        """The `error` object of a research answer; empty where there is none."""
        told = (self.json or {}).get("error")
        return told if isinstance(told, dict) else {}


@dataclass(slots=True)
class Wire:
    """All exchanges so far, and how long the client wanted to sleep in between."""

    watch: Watch | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    slept_s: list[float] = field(default_factory=list)

    def record(self, exchange: Exchange) -> None:
        """Keep one exchange, and tell whoever watches; raises GoesOnForeverError after very many."""
        self.exchanges.append(exchange)
        if exchange.is_research and self.watch is not None:
            self.watch(sum(each.is_research for each in self.exchanges))
        if len(self.exchanges) >= _MOST_EXCHANGES:
            raise GoesOnForeverError(f"still asking after {_MOST_EXCHANGES} requests")

    def sleep(self, seconds: float) -> None:
        """Instead of sleeping."""
        self.slept_s.append(seconds)


@contextmanager
def wired(base_url: str, waits: Sequence[tuple[ModuleType, str]], watch: Watch | None) -> Iterator[Wire]:
    """Move the platform's address to `base_url` for all that is sent with requests, and record it.

    `waits` are the places from which the client sleeps: a `time` module or a `sleep` function by its name.
    """
    wire = Wire(watch)

    def send(
        self: HTTPAdapter, request: requests.PreparedRequest, *more: Any, **options: Any
    ) -> requests.Response:
        assert request.url is not None
        request.url = request.url.replace(PLATFORM, base_url)
        response = _send(self, request, *more, **options)
        sent = request.body or ""
        wire.record(
            Exchange(
                path=urlsplit(request.url).path,
                query=urlsplit(request.url).query,
                sent=sent if isinstance(sent, str) else sent.decode("utf-8"),
                authorization=request.headers.get("Authorization") or "",
                status=response.status_code,
                body=response.content.decode("utf-8"),
                headers={name.lower(): value for name, value in response.headers.items()},
            )
        )
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", send)
        for module, name in waits:
            patch.setattr(module, name, SimpleNamespace(sleep=wire.sleep) if name == "time" else wire.sleep)
        yield wire


def data_of(exchanges: Sequence[Exchange]) -> list[str]:
    """The `data` of every answer as text, keys in order, with search ids numbered in order of appearance.

    Search ids are the one value in there that Bursar replaces by its own; each task has an id of its own.
    """
    numbers: dict[str, int] = {}
    texts = []
    for exchange in exchanges:
        answer = exchange.json
        if answer is None:
            texts.append(exchange.body)
            continue
        data = answer.get("data")
        if isinstance(data, dict) and "search_id" in data:
            assert isinstance(data["search_id"], str)
            # The ads library's are opaque; clients take those of videos for numbers.
            assert "/adlib/" in exchange.path or 0 < int(data["search_id"]) < 2**63
            data["search_id"] = f"search {numbers.setdefault(data['search_id'], len(numbers) + 1)}"
        if isinstance(data, dict) and "task_id" in data:
            assert type(data["task_id"]) is int
            data["task_id"] = "task"
        texts.append(json.dumps(data, sort_keys=True))
    return texts


def messages_of(exchanges: Sequence[Exchange]) -> list[str]:
    """The message of every refusal, with search ids left out; a success says `ok.` or nothing."""
    return [
        _SEARCH_ID.sub("Search Id N", str(exchange.error.get("message")))
        for exchange in exchanges
        if exchange.status >= 400
    ]
