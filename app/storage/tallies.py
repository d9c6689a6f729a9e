"""Tallies in the database: added to inside a transaction of the books, read for estimates."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.provider.spans import Span
from app.quota.tallies import Crawl, Mark, Tally, Topic, nothing
from app.storage.engines import Database
from app.storage.prepared import DIALECTS, Prepared, PreparedForIds, upsert
from app.storage.tables import TallyRow, table

_MOST_KIN = 400
_MOST_HISTORY = 400
"""How many tallies an estimate looks at, newest first."""
_LAST_US = 400 * 86_400 * 1_000_000
"""How long a tally is kept after its last page: a year and a month, so that last year's season is still known."""

_tally = table(TallyRow)
_BY_QUESTION = PreparedForIds(lambda ids: sa.select(_tally).where(_tally.c.question.in_(ids)))
_KEEP = {dialect: Prepared(upsert(dialect, _tally)) for dialect in DIALECTS}
_KIN = (
    sa.select(_tally)
    .where(_tally.c.conditions == sa.bindparam("conditions"))
    .order_by(_tally.c.at_us.desc())
    .limit(_MOST_KIN)
)
_HISTORY = (
    sa.select(_tally)
    .where(_tally.c.scope == sa.bindparam("scope"), _tally.c.endpoint == sa.bindparam("endpoint"))
    .order_by(_tally.c.at_us.desc())
    .limit(_MOST_HISTORY)
)


def forget_tallies(conn: Connection, *, now_us: int, ended_scopes: Collection[str]) -> int:
    """How many tallies were dropped: of scopes that have ended, and those too old to say anything."""
    is_over = sa.or_(_tally.c.at_us < now_us - _LAST_US, _tally.c.scope.in_(ended_scopes))
    return conn.execute(sa.delete(_tally).where(is_over)).rowcount


class Tallies:
    """The tallies that a transaction touches; the lock that it holds keeps others out."""

    def __init__(self, conn: Connection, dialect: str) -> None:
        self._conn = conn
        self._dialect = dialect
        self._known: dict[str, Tally] = {}
        self._changed: set[str] = set()

    def load(self, marks: Iterable[Mark]) -> None:
        """Read what these marks add to."""
        topics = {mark.topic.question: mark.topic for mark in marks}
        self._known = {question: nothing(topic) for question, topic in topics.items()}
        names = _tally.c.keys()
        for row in _BY_QUESTION.rows(self._conn, topics):
            found = _tally_of(dict(zip(names, row, strict=True)))
            self._known[found.topic.question] = found

    def add(self, mark: Mark, *, now_us: int) -> None:
        """Count one more call."""
        question = mark.topic.question
        self._known[question] = self._known[question].after(mark, now_us=now_us)
        self._changed.add(question)

    def flush(self) -> None:
        """Write what changed."""
        if self._changed:
            rows = [_row(self._known[question]) for question in sorted(self._changed)]
            _KEEP[self._dialect].run(self._conn, *rows)


class SqlTallies:
    """Tallies for estimates, read alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, questions: Collection[str]) -> Mapping[str, Tally]:
        """The tallies of these questions, as far as there are any."""
        names = _tally.c.keys()

        def work(conn: Connection) -> list[Sequence[Any]]:
            return list(_BY_QUESTION.rows(conn, questions))

        rows = await self._database.read(work)
        found = [_tally_of(dict(zip(names, row, strict=True))) for row in rows]
        return {each.topic.question: each for each in found}

    async def kin(self, conditions: str) -> Sequence[Tally]:
        """Tallies of the same conditions for any days, the newest first."""
        return await self._read(_KIN, {"conditions": conditions})

    async def history(self, scope: str, endpoint: str) -> Sequence[Tally]:
        """Tallies of a scope at one endpoint, the newest first."""
        return await self._read(_HISTORY, {"scope": scope, "endpoint": endpoint})

    async def _read(self, statement: sa.Select[Any], values: dict[str, str]) -> Sequence[Tally]:
        rows = await self._database.read(lambda conn: conn.execute(statement, values).mappings().all())
        return [_tally_of(dict(row)) for row in rows]


def _tally_of(row: Mapping[str, Any]) -> Tally:
    first_day, last_day = row["first_day"], row["last_day"]
    topic = Topic(
        question=row["question"],
        conditions=row["conditions"],
        scope=row["scope"],
        endpoint=row["endpoint"],
        span=None if first_day is None or last_day is None else Span(first_day, last_day),
    )
    last = _crawl_of(row, "", place=row["place"])
    whole = _crawl_of(row, "whole_", place=None)
    return Tally(topic=topic, calls=row["calls"], answers=row["answers"], last=last, whole=whole)


def _crawl_of(row: Mapping[str, Any], prefix: str, *, place: int | None) -> Crawl | None:
    if row[f"{prefix}pages"] == 0:
        return None
    fields: str = row[f"{prefix}fields"]
    return Crawl(
        fields=tuple(fields.split(",")) if fields else (),
        size=row[f"{prefix}size"],
        place=place,
        pages=row[f"{prefix}pages"],
        positions=row[f"{prefix}positions"],
        records=row[f"{prefix}records"],
        oldest_s=row[f"{prefix}oldest_s"],
        at_us=row[f"{prefix}at_us"],
    )


def _row(tally: Tally) -> dict[str, object]:
    topic, span = tally.topic, tally.topic.span
    return {
        "question": topic.question,
        "conditions": topic.conditions,
        "scope": topic.scope,
        "endpoint": topic.endpoint,
        "first_day": None if span is None else span.first,
        "last_day": None if span is None else span.last,
        "calls": tally.calls,
        "answers": tally.answers,
        "place": None if tally.last is None else tally.last.place,
        **_crawl_row(tally.last, ""),
        **_crawl_row(tally.whole, "whole_"),
    }


def _crawl_row(crawl: Crawl | None, prefix: str) -> dict[str, object]:
    return {
        f"{prefix}fields": "" if crawl is None else ",".join(crawl.fields),
        f"{prefix}size": None if crawl is None else crawl.size,
        f"{prefix}pages": 0 if crawl is None else crawl.pages,
        f"{prefix}positions": 0 if crawl is None else crawl.positions,
        f"{prefix}records": 0 if crawl is None else crawl.records,
        f"{prefix}oldest_s": None if crawl is None else crawl.oldest_s,
        f"{prefix}at_us": 0 if crawl is None else crawl.at_us,
    }
