"""One research call as its endpoint sees it, what comes back, and what an endpoint is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.simulator.configuration import BASIC_SCOPE
from app.simulator.platform import Platform
from app.simulator.quota import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One authorised call: whose, with which `fields` in the query string, and its body."""

    client_key: str
    fields: str | None
    body: bytes
    content_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The `data` of a success, and how many records it costs."""

    data: dict[str, Any]
    records: int
    status: int = 200
    error: Mapping[str, Any] | None = field(default_factory=lambda: {"code": "ok", "message": ""})
    """What stands beside `data`, to be completed with a `log_id`; None where nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A success that is a plain text file rather than an envelope; it costs no records."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One research endpoint; `name` is its path without `/v2/research/` and the last slash.

    `family` says under which daily quota its calls fall.
    """

    name: str
    answer: Callable[[Platform, Call], Reply | TextFile]
    scope: str = BASIC_SCOPE
    family: Family = "main"

    @property
    def path(self) -> str:
        """Where it is reached; the platform's paths end in a slash."""
        return f"/v2/research/{self.name}/"
