"""Who asked about whom, under which approval, and with which proofs: an answer that stands without Bursar."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.administration.state import State
from app.audit.receipts import ProvenEntry
from app.errors import BadSetting, InvalidParams

_README: Final = """\
Calls in the log of {origin} whose question names what was looked for. answer.json lists them; each has a
receipt in receipts/ (C2SP tlog-proof): the entry's bytes, its place, the way from there to the
root, and a checkpoint of {size} entries that the log's key signed. log.vkey is that key; compare it with one
that you have from elsewhere. An entry says who asked by an id; answer.json has the names of the directory.

To check them all against the log: bursar audit verify --receipts THIS-DIRECTORY/receipts
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call that named it, as the log tells it and under names that people know."""

    index: int
    entry: str
    at: dt.datetime
    person: str
    project: str
    approval: str
    endpoint: str
    verdict: str
    question: object = None
    """What was asked, where it was opened."""

    def shown(self) -> dict[str, Any]:
        """As JSON has it."""
        told = {
            "index": self.index,
            "entry": self.entry,
            "at": self.at.isoformat().replace("+00:00", "Z"),
            "person": self.person,
            "project": self.project,
            "approval": self.approval,
            "endpoint": self.endpoint,
            "verdict": self.verdict,
        }
        return told if self.question is None else {**told, "question": self.question}


def month_bounds_us(month: str) -> tuple[int, int]:
    """Begin and end, the end outside, of a calendar month in UTC (2026-05); raises InvalidParams."""
    try:
        first = dt.datetime.strptime(month, "%Y-%m").replace(tzinfo=dt.UTC)
    except ValueError:
        raise InvalidParams(f"{month!a} is no month such as 2026-05.", rule="request") from None
    following = (first + dt.timedelta(days=32)).replace(day=1)
    return int(first.timestamp()) * 1_000_000, int(following.timestamp()) * 1_000_000


def asked_of(state: State, proven: ProvenEntry, question: object = None) -> Asked:
    """What the entry tells, with names in the place of ids."""
    entry: Mapping[str, Any] = proven.entry
    actor = entry.get("actor", {})
    people = {each.id: each.email for each in state.people}
    projects = {each.id: each.name for each in state.projects}
    return Asked(
        index=proven.index,
        entry=proven.id,
        at=dt.datetime.fromtimestamp(int(entry["ts_us"]) / 1_000_000, dt.UTC),
        person=people.get(actor.get("principal"), str(actor.get("principal"))),
        project=projects.get(actor.get("project"), str(actor.get("project"))),
        approval=str(entry.get("approval", "")),
        endpoint=str(entry.get("op", "")),
        verdict=str(entry.get("decision", {}).get("verdict", "")),
        question=question,
    )


def write_bundle(
    directory: Path,
    *,
    looked_for: Mapping[str, str],
    answer: Sequence[Asked],
    proven: Sequence[ProvenEntry],
    origin: str,
    size: int,
    vkeys: Sequence[str],
) -> None:
    """Put answer, receipts, key and a page on how to check them into a new directory; raises BadSetting."""
    try:
        directory.mkdir(parents=True)
        (directory / "receipts").mkdir()
        for each in proven:
            _write(directory / "receipts" / f"{each.index:09}-{each.id}.tlog-proof", each.proof)
        document = {**looked_for, "origin": origin, "size": size, "calls": [each.shown() for each in answer]}
        _write(directory / "answer.json", json.dumps(document, indent=2) + "\n")
        _write(directory / "log.vkey", "".join(f"{each}\n" for each in vkeys))
        _write(directory / "README.txt", _README.format(origin=origin, size=size))
    except OSError as error:
        raise BadSetting(f"{directory} cannot be written: {error.strerror}.") from error


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
