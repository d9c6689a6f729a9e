"""An installation with keys for every reason to be refused, and good questions about what the simulator has."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.journey.exchange import Outcome, Sent, Wire
from tests.journey.questions import (
    DOWNLOAD,
    STATUS,
    UPLOAD,
    Direct,
    Question,
    good_questions,
)
from tests.servers.bursar import AS_ASKED, Installation, call, more_account, state

GENEROUS = {"requests/day": 100_000, "records/day": 10_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everybody and everything that the tables speak of; keys by project."""

    wire: Wire
    direct: Direct
    token: str
    """Of the one person whose keys they are."""
    keys: Mapping[str, str]
    questions: Mapping[str, Question]
    tasks: dict[str, int] = field(default_factory=dict)

    def ask(self, question: Question, *, project: str = "elections") -> Outcome:
        """What a client of today is answered."""
        headers = {
            "Authorization": f"Bearer {self.keys[project]}",
            "Content-Type": question.content_type,
        }
        return self.wire.send(Sent(path=question.path, body=question.encoded, headers=headers))

    def question(self, name: str, *, project: str = "elections") -> Question:
        """A good question for an endpoint; for that of a task, one that the project has begun."""
        if name not in {STATUS, DOWNLOAD}:
            return self.questions[name]
        if project not in self.tasks:
            self.tasks[project] = self.ask(self.questions[UPLOAD], project=project).data["task_id"]
        return Question(name, {"task_id": self.tasks[project]})


@contextmanager
def opened_wire(
    home: Path,
    *,
    more: Iterable[str] = (),
    settings: Mapping[str, str] | None = None,
    upstream_url: str | None = None,
) -> Iterator[Cast]:
    """A running installation; each name in `more` is a project with a credential to itself, of an account of its own."""
    more = tuple(more)
    database = home / "data" / "bursar.db"
    generous = ("--requests-per-day", "100000", "--records-per-day", "10000000", "--videos", "40000")
    with Installation(
        home,
        database_url=f"sqlite+aiosqlite:///{database}",
        limits=GENEROUS,
        simulator=generous,
        settings={**AS_ASKED, **(settings or {})},
        upstream_url=upstream_url,
        given=lambda base_url: _state(base_url, more),
        more_accounts=len(more),
    ) as installation:
        installation.start()
        token = installation.bursar("token", "issue", "--person", "ada@example.edu")["token"]
        projects = (*SERVED, *REFUSED, *more)
        keys = {project: _key(installation, token, project) for project in projects}
        wire, direct = Wire(installation, database), Direct(installation)
        try:
            yield Cast(
                wire=wire,
                direct=direct,
                token=token,
                keys=keys,
                questions=good_questions(installation, direct),
            )
        finally:
            wire.close()


def _state(base_url: str, more: Iterable[str]) -> dict[str, Any]:
    whole = state(base_url, limits=GENEROUS)
    credential, project = whole["credentials"][0], whole["projects"][0]
    mine = {**project, "lead": "ada@example.edu", "members": ["ada@example.edu"]}
    whole["projects"] = [
        *({**mine, "name": name} for name in SERVED),
        *({**mine, "name": name, **changes} for name, changes in REFUSED.items()),
        *({**mine, "name": name, "credential": name} for name in more),
    ]
    whole["people"] += [
        {"email": "it@example.edu", "name": "Service desk", "roles": ["admin"]},
        {"email": "dpo@example.edu", "name": "Data protection", "roles": ["compliance"]},
    ]
    whole["credentials"] += [
        {**credential, "name": name, "client_key": more_account(number)} for number, name in enumerate(more)
    ]
    return whole


SERVED = ("elections", "climate", "crawls")
REFUSED: Mapping[str, Mapping[str, Any]] = {
    "over": {"approval": {"reference": "R-2025-001", "from": "2025-01-01", "until": "2026-01-31"}},
    "to-come": {"approval": {"reference": "R-2031-001", "from": "2031-01-01", "until": "2031-12-31"}},
    "elsewhere": {"allow": {"endpoints": []}},
    "hasty": {"limits": {"calls/minute": 0}},
    "spent": {"limits": {"requests/day": 0, "follower_calls/day": 0, "ad_calls/day": 0}},
}
"""Projects that are turned down, each for a reason of its own."""


def _key(installation: Installation, token: str, project: str) -> str:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"project": project}).encode()
    status, _, answer = call(installation.port, "POST", "/api/v1/keys", body=body, headers=headers)
    assert status == 201, answer
    key: str = json.loads(answer)["api_key"]
    return key
