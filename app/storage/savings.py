"""Answers given, added up inside the transaction that logs them, and read for usage."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from app.administration.savings import Given, answer_of
from app.audit.entries import Value
from app.storage.prepared import DIALECTS, Prepared
from app.storage.tables import AnswersGivenRow, table

_given = table(AnswersGivenRow)


def _adding(dialect: str) -> sa.Insert:
    insert: Any = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(_given)
    more = {name: _given.c[name] + insert.excluded[name] for name in ("answers", "records")}
    added: sa.Insert = insert.on_conflict_do_update(
        index_elements=list(_given.primary_key.columns), set_=more
    )
    return added


_ADD = {dialect: Prepared(_adding(dialect)) for dialect in DIALECTS}


class Answers:
    """The answers that one transaction logs."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], Given] = {}

    def count(self, entry: Mapping[str, Value]) -> None:
        """Add what the entry tells of."""
        found = answer_of(entry)
        if found is not None:
            project, kind, records = found
            before = self._counts.get((project, kind), Given())
            self._counts[project, kind] = Given(before.answers + 1, before.records + records)

    def flush(self, conn: Connection, day: dt.date) -> None:
        """Add them to those of the day."""
        if self._counts:
            rows = [
                {
                    "project_id": project,
                    "day": day,
                    "kind": kind,
                    "answers": each.answers,
                    "records": each.records,
                }
                for (project, kind), each in sorted(self._counts.items())
            ]
            _ADD[conn.dialect.name].run(conn, *rows)


def read_answers(conn: Connection, projects: Collection[str], day: dt.date) -> dict[str, dict[str, Given]]:
    """By project and kind, what was given on that day."""
    asked = sa.select(_given).where(_given.c.project_id.in_(sorted(projects)), _given.c.day == day)
    found: dict[str, dict[str, Given]] = {}
    for row in conn.execute(asked):
        found.setdefault(row.project_id, {})[row.kind] = Given(row.answers, row.records)
    return found
