"""A request as raw bytes, and all that came of it: the answer, what it cost upstream, what the log holds."""

import http.client
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.bursar import Installation, call

_OF_REQUESTS = frozenset({"intent", "outcome", "decision", "auth", "audit_read"})
"""Types of entries that requests make; the log has others of its own accord."""
_PLACE = re.compile(r'origin="[^"]+";index=(\d+);size=(\d+)')
_JSON_TYPE = re.compile(r"application/json(; charset=utf-8)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log."""

    index: int
    id: str
    says: Mapping[str, Any]

    @property
    def type(self) -> str:
        kind: str = self.says["type"]
        return kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request, as its bytes go out; a header that is None is not sent."""

    path: str
    body: bytes = b""
    method: str = "POST"
    headers: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One answer, and what it left behind."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    entries: tuple[Entry, ...]
    cost: int
    """Requests that the simulator counted meanwhile."""

    @property
    def envelope(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.envelope["data"]
        return data

    @property
    def code(self) -> str:
        code: str = self.envelope["error"]["code"]
        return code

    @property
    def message(self) -> str:
        message: str = self.envelope["error"]["message"]
        return message

    @property
    def kinds(self) -> str:
        """The types of the entries, in their order."""
        return " ".join(entry.type for entry in self.entries)

    @property
    def cache(self) -> str:
        """The first words of Cache-Status; empty where there is none."""
        return self.headers.get("cache-status", "").partition(";")[2].partition(";")[0].strip()


class Wire:
    """A running installation, seen from all its sides at once; only one request at a time."""

    def __init__(self, installation: Installation, database: Path) -> None:
        self.installation = installation
        self._log = sqlite3.connect(f"file:{database}?mode=ro", uri=True)

    def close(self) -> None:
        self._log.close()

    def send(self, sent: Sent) -> Outcome:
        """What came of it, once it has been found sound."""
        counted, size = self.counted(), self.size()
        status, found, body = self.exchange(sent)
        return Outcome(
            status=status,
            headers=found,
            body=body,
            entries=self.entries(size),
            cost=self.counted() - counted,
        )

    def exchange(self, sent: Sent) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body alone."""
        headers = {name: value for name, value in sent.headers.items() if value is not None}
        return call(self.installation.port, sent.method, sent.path, body=sent.body, headers=headers)

    def order(self, **fault: Any) -> None:
        """Have the simulator misbehave."""
        self.installation.control("POST", "faults", **fault)

    def behave(self) -> None:
        """Have the simulator behave well again."""
        self.installation.control("DELETE", "faults")

    @contextmanager
    def frozen_log(self) -> Iterator[None]:
        """Keep everybody from writing to the database."""
        path = self._log.execute("PRAGMA database_list").fetchone()[2]
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        finally:
            other.close()

    def counted(self) -> int:
        """All requests that the simulator has counted."""
        return sum(each["requests"] for each in self.installation.upstream()["endpoints"].values())

    def size(self) -> int:
        """How many entries the log has."""
        size: int = self._log.execute("SELECT coalesce(max(ix) + 1, 0) FROM entry").fetchone()[0]
        return size

    def entries(self, since: int) -> tuple[Entry, ...]:
        """What requests have added to the log since it had that size."""
        rows = self._log.execute("SELECT ix, id, leaf FROM entry WHERE ix >= ? ORDER BY ix", (since,))
        found = (Entry(index, entry, json.loads(leaf)) for index, entry, leaf in rows)
        return tuple(each for each in found if each.type in _OF_REQUESTS)


def assert_sound(outcome: Outcome, *, is_file: bool = False) -> None:
    """What holds for every answer on a research path, good or bad."""
    headers, last = outcome.headers, outcome.entries[-1]
    assert "location" not in headers
    assert "content-encoding" not in headers
    assert int(headers["content-length"]) == len(outcome.body)
    assert outcome.status not in {415, 422}
    assert not 300 <= outcome.status < 400
    if "audit-entry" in headers:
        place = _PLACE.fullmatch(headers["audit-entry"])
        assert place is not None
        assert int(place[1]) == last.index < int(place[2])
    if is_file:
        assert headers["content-type"] == "text/plain; charset=utf-8"
        return
    assert _JSON_TYPE.fullmatch(headers["content-type"])
    envelope = outcome.envelope
    assert list(envelope) == ["data", "error"]
    assert isinstance(envelope["data"], dict)
    assert list(envelope["error"]) == ["code", "message", "log_id"]
    assert all(isinstance(text, str) for text in envelope["error"].values())
    assert envelope["error"]["log_id"] == last.id
    if outcome.status == 200:
        assert (outcome.code, outcome.message) == ("ok", "")
    else:
        assert outcome.code != "ok"
        assert envelope["data"] == {}
        assert outcome.message.isprintable()


def connection_to(installation: Installation) -> http.client.HTTPConnection:
    """One connection for several requests."""
    return http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60)
