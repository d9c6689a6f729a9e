"""What reuse saves, as figures: answers by how they were come by, beside what was asked of the platform; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.audit.entries import Value

MISS: Final = "miss"
"""An answer that a call of its own to the platform brought; any other kind cost its caller nothing."""


@dataclass(frozen=True, slots=True)
class Given:
    """Answers with records, and the records in them."""

    answers: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """What one project was given on one day, by kind, and the requests that the platform counted for it."""

    project: str
    given: Mapping[str, Given] = field(default_factory=dict)
    requests: int = 0

    @property
    def answers(self) -> int:
        """Answers of every kind: without any reuse each would have been a request."""
        return sum(each.answers for each in self.given.values())

    @property
    def records(self) -> int:
        """Records handed out."""
        return sum(each.records for each in self.given.values())

    @property
    def saved(self) -> int:
        """Requests that were not made; below zero where refused ones and repeated ones outweigh."""
        return self.answers - self.requests

    @property
    def records_per_request(self) -> float | None:
        """Records handed out for each request; None where there was none."""
        return self.records / self.requests if self.requests else None

    def shown(self) -> dict[str, Any]:
        """As `bursar usage --json` and the API give it."""
        return {
            "project": self.project,
            "answers": self.answers,
            "by_kind": {kind: each.answers for kind, each in sorted(self.given.items())},
            "records": self.records,
            "requests": self.requests,
            "saved_requests": self.saved,
            "records_per_request": None
            if self.records_per_request is None
            else round(self.records_per_request, 1),
        }


def answer_of(entry: Mapping[str, Value]) -> tuple[str, str, int] | None:
    """The project, the kind and the records of the answer that an entry tells of; None where it tells of none."""
    actor, cache, delivered = entry.get("actor"), entry.get("cache"), entry.get("delivered")
    if not isinstance(actor, Mapping) or not isinstance(delivered, int):
        return None
    project = actor.get("project")
    if not isinstance(project, str):
        return None
    if not isinstance(cache, Mapping):
        return project, MISS, delivered
    state = cache.get("state")
    return project, str(cache.get("detail") if state == "hit" else state), delivered
