"""Where a client can be pointed: at the simulator, or at Bursar in front of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.clients.wire import Exchange
from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET, Installation, call

_MOST_ENTRIES_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A base URL, and the pair of key and secret that counts there."""

    base_url: str
    client_key: str
    client_secret: str


def direct_to(installation: Installation) -> Side:
    """The platform's stand-in itself, with the institution's own credential."""
    return Side(base_url=installation.simulator_url, client_key=CLIENT_KEY, client_secret=CLIENT_SECRET)


def through(installation: Installation, *, project: str, email: str) -> Side:
    """Bursar, with a fresh key of one person in one project."""
    key = installation.key(email, project)
    return Side(
        base_url=installation.base_url, client_key=key["client_key"], client_secret=key["client_secret"]
    )


class Log:
    """Bursar's log, read through its API by somebody who may."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        issued = installation.bursar("token", "issue", "--person", "dana@example.edu")
        self._token: str = issued["token"]
        self._seen = self._newest()

    def news(self) -> list[dict[str, Any]]:
        """Index and entry of research and token requests since it was asked last, oldest first.

        A call upstream has two; its intent is left out.
        """
        found: list[dict[str, Any]] = []
        newest, before = self._newest(), None
        while before is None or before > self._seen + 1:
            items = self._page(before, _MOST_ENTRIES_AT_ONCE)
            found += [item for item in items if item["index"] > self._seen]
            before = items[-1]["index"]
        self._seen = newest
        return [each for each in reversed(found) if _is_of_a_client(each["entry"])]

    def holds(self, exchanges: Sequence[Exchange]) -> None:
        """Assert that the news are these exchanges, each in its place, and nothing else."""
        news = self.news()
        assert [item["entry"]["http"]["route"] for item in news] == [exchange.path for exchange in exchanges]
        for item, exchange in zip(news, exchanges, strict=True):
            if exchange.is_research:
                assert f"index={item['index']};" in exchange.headers["audit-entry"]
            if exchange.error:
                assert exchange.error["log_id"] == item["entry"]["id"]

    def _newest(self) -> int:
        index: int = self._page(None, 1)[0]["index"]
        return index

    def _page(self, before: int | None, limit: int) -> list[dict[str, Any]]:
        asked = f"limit={limit}" if before is None else f"limit={limit}&before={before}"
        status, _, body = call(
            self._installation.port,
            "GET",
            f"/api/v1/audit/entries?{asked}",
            headers={"Authorization": f"Bearer {self._token}"},
        )
        assert status == 200, body
        items: list[dict[str, Any]] = json.loads(body)["items"]
        return items


def _is_of_a_client(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is the end of a research or token request; those that cannot be read have no `op`."""
    return (
        entry["type"] != "intent"
        and not entry.get("partial", False)
        and "/v2/" in entry.get("http", {}).get("route", "")
    )
