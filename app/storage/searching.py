"""Finding entries of the log: every filter is a range of an index, read backwards from where it was left.

Nothing counts and nothing skips: a page begins below the index that the last one ended with. Times become
indexes first, since the log's time never goes back.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app import exact_json
from app.audit.filters import Filter
from app.storage.tables import AboutRow, EntryRow, FactRow, FurtherAboutRow, HeadRow, table

_entry, _fact, _about, _head = (table(row) for row in (EntryRow, FactRow, AboutRow, HeadRow))

_ABOUT_ANYWHERE: Final = (_about, table(FurtherAboutRow))
_TAGS_AT_ONCE: Final = 500
_VERSIONS: Final = range(1, 33)
"""Which of a rule are looked for where none is named; a rule's version rises when what it decides changes."""
_NARROWEST_FIRST: Final = (
    "upstream_log_id",
    "code",
    "key_id",
    "person",
    "rule",
    "cache",
    "op",
    "project",
    "verdict",
    "credential",
)
"""Facts by how few entries usually share one; the first that is asked for is the index that is walked."""
_Condition = sa.ColumnElement[bool] | sa.TextClause
_COSTS: Final = (
    ("requests", "least_requests", "most_requests"),
    ("records", "least_records", "most_records"),
)
_ENTRY_COLUMNS: Final = tuple(_entry.c)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEntry:
    """One entry as the log holds it; `leaf` is empty where its content was pruned."""

    index: int
    id: str
    type: str
    ts_us: int
    leaf: bytes
    leaf_hash: bytes

    @property
    def entry(self) -> dict[str, Any]:
        """What it says; of one that was pruned, what is left to say."""
        if not self.leaf:
            return {"id": self.id, "type": self.type, "ts_us": self.ts_us, "pruned": True}
        return cast("dict[str, Any]", exact_json.loads(self.leaf))


def find_entries(conn: Connection, wanted: Filter, *, before: int | None, limit: int) -> Sequence[FoundEntry]:
    """The newest entries that meet the filter, `limit` at most, all with an index below `before`."""
    places = find_places(conn, wanted, before=before, limit=limit)
    return entries_at(conn, places)


def entries_at(conn: Connection, places: Sequence[int]) -> Sequence[FoundEntry]:
    """The entries at these indexes, newest first."""
    asked = sa.select(*_ENTRY_COLUMNS).where(_entry.c.ix.in_(places)).order_by(_entry.c.ix.desc())
    return [_found(row) for row in conn.execute(asked)] if places else []


def find_entry(conn: Connection, entry_id: str) -> FoundEntry | None:
    """The entry of that id."""
    row = conn.execute(sa.select(*_ENTRY_COLUMNS).where(_entry.c.id == entry_id)).one_or_none()
    return None if row is None else _found(row)


def find_entry_at(conn: Connection, index: int) -> FoundEntry | None:
    """The entry at that index."""
    row = conn.execute(sa.select(*_ENTRY_COLUMNS).where(_entry.c.ix == index)).one_or_none()
    return None if row is None else _found(row)


def _found(row: sa.Row[Any]) -> FoundEntry:
    return FoundEntry(
        index=row.ix,
        id=row.id,
        type=row.type,
        ts_us=row.ts_us,
        leaf=bytes(row.leaf),
        leaf_hash=bytes(row.leaf_hash),
    )


def find_places(conn: Connection, wanted: Filter, *, before: int | None, limit: int) -> list[int]:
    """The indexes of these entries, falling."""
    first, end = _span(conn, wanted, before)
    if first >= end:
        return []
    if wanted.rule is not None and "/" not in wanted.rule:
        # Each version is a range of its own in the index.
        parts = [
            _places_between(conn, replace(wanted, rule=rule), first, end, limit=limit)
            for rule in _versions_of(conn, wanted.rule)
        ]
        return list(heapq.merge(*parts, reverse=True))[:limit]
    return _places_between(conn, wanted, first, end, limit=limit)


def _places_between(conn: Connection, wanted: Filter, first: int, end: int, *, limit: int) -> list[int]:
    bounded = _Bounded(wanted, first, end, dialect=conn.dialect.name)
    if wanted.about:
        # One tag for each person and month; what they find is little, so that sorting it costs nothing.
        tags = sorted(set(wanted.about[0]))
        parts = [
            list(
                conn.execute(
                    bounded.of_tags(tags[start : start + _TAGS_AT_ONCE], source).limit(limit)
                ).scalars()
            )
            for start in range(0, len(tags), _TAGS_AT_ONCE)
            for source in _ABOUT_ANYWHERE
        ]
        merged = dict.fromkeys(heapq.merge(*parts, reverse=True))
        return list(merged)[:limit]
    return list(conn.execute(bounded.of_facts().limit(limit)).scalars())


def _versions_of(conn: Connection, rule: str) -> Sequence[str]:
    """The rule's id with each version that an entry of the log names."""
    probes = [
        sa.select(sa.literal(each).label("rule")).where(
            sa.exists(sa.select(sa.literal_column("1")).where(_fact.c.rule == each))
        )
        for each in (f"{rule}/{version}" for version in _VERSIONS)
    ]
    return list(conn.execute(sa.union_all(*probes)).scalars())


def index_at(conn: Connection, ts_us: int, size: int, *, low: int = 0) -> int:
    """The index of the first entry that is not older than that time; `size` where all are.

    `low` is an index that is known not to lie behind it. A binary search over the primary key: about two dozen rows of a log of ten million.
    """
    high = size
    while low < high:
        middle = (low + high) // 2
        found = conn.execute(_TIME, {"ix": middle}).scalar_one()
        low, high = (middle + 1, high) if found < ts_us else (low, middle)
    return low


def time_at(conn: Connection, ix: int) -> int:
    """When an entry was written, microseconds since 1970."""
    return int(conn.execute(_TIME, {"ix": ix}).scalar_one())


_TIME: Final = sa.select(_entry.c.ts_us).where(_entry.c.ix == sa.bindparam("ix"))


def _span(conn: Connection, wanted: Filter, before: int | None) -> tuple[int, int]:
    """The indexes that the times allow, the end outside."""
    size = int(conn.execute(sa.select(_head.c.size)).scalar_one())
    first = 0 if wanted.since_us is None else index_at(conn, wanted.since_us, size)
    end = size if wanted.until_us is None else index_at(conn, wanted.until_us, size)
    return first, end if before is None else min(end, before)


class _Bounded:
    """Statements for one filter between two indexes."""

    def __init__(self, wanted: Filter, first: int, end: int, *, dialect: str) -> None:
        self._wanted = wanted
        self._first, self._end = first, end
        self._dialect = dialect

    def of_tags(self, tags: Sequence[str], source: sa.Table) -> sa.Select[int]:
        """Entries about one identifier, by one of the tables of tags, that meet the rest as well."""
        bounds = (source.c.ix >= self._first, source.c.ix < self._end)
        asked = sa.select(source.c.ix).where(source.c.tag.in_(tags), *bounds)
        for others in self._wanted.about[1:]:
            named = [
                _is_there(other, other.c.ix == source.c.ix, other.c.tag.in_(others))
                for other in (each.alias() for each in _ABOUT_ANYWHERE)
            ]
            asked = asked.where(sa.or_(*named))
        facts = self._facts(walked=None)
        if facts:
            asked = asked.where(_is_there(_fact, _fact.c.ix == source.c.ix, *facts))
        if self._wanted.type is not None:
            asked = asked.where(self._is_of_type(source.c.ix))
        # By itself, or PostgreSQL walks the log backwards in the hope of soon meeting one of them.
        found = asked.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
        return sa.select(found.c.ix).distinct().order_by(found.c.ix.desc())

    def of_facts(self) -> sa.Select[int]:
        """Entries that meet the filter, by the index of its narrowest fact."""
        walked = next((name for name in _NARROWEST_FIRST if self._is_walked(name)), None)
        facts = self._facts(walked=walked)
        if not facts:
            asked = self._between(_entry.c.ix)
            return asked if self._wanted.type is None else asked.where(_entry.c.type == self._wanted.type)
        asked = self._between(_fact.c.ix).where(*facts)
        return asked if self._wanted.type is None else asked.where(self._is_of_type(_fact.c.ix))

    def _is_walked(self, name: str) -> bool:
        value = getattr(self._wanted, name)
        return value is not None and (name, value) != ("verdict", "allowed")

    def _between(self, ix: sa.Column[int]) -> sa.Select[int]:
        return sa.select(ix).where(ix >= self._first, ix < self._end).order_by(ix.desc())

    def _facts(self, *, walked: str | None) -> list[_Condition]:
        found: list[_Condition] = []
        for name in _NARROWEST_FIRST:
            value = getattr(self._wanted, name)
            if value is not None:
                found.append(self._equal(name, value, walked=walked))
        for name, least, most in _COSTS:
            bounds = getattr(self._wanted, least), getattr(self._wanted, most)
            found += self._cost(_fact.c[name], *bounds, is_walked=walked is None and not found)
        return found

    def _equal(self, name: str, value: str, *, walked: str | None) -> _Condition:
        """That the fact has that value; one that is not walked is looked for in the index that it has."""
        if walked in {None, name} or not self._is_walked(name):
            return _is_same(_fact, name, value)
        if self._dialect == "sqlite":
            return _by_index(name, value)
        other = _fact.alias()
        return _is_there(other, *self._beside(_fact.c.ix, other), _is_same(other, name, value))

    def _beside(self, ix: sa.ColumnElement[int], other: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """That the other table's row is of the same entry; with its bounds told anew, PostgreSQL walks both indexes side by side."""
        return [other.c.ix == ix, other.c.ix >= self._first, other.c.ix < self._end]

    def _cost(
        self, column: sa.Column[int], least: int | None, most: int | None, *, is_walked: bool
    ) -> list[sa.ColumnElement[bool]]:
        found: list[sa.ColumnElement[bool]] = []
        if least is not None and least > 0 and is_walked:
            found.append(column > sa.literal_column("0"))
        if least is not None:
            found.append(column >= least)
        if most is not None:
            found.append(column <= most)
        return found

    def _is_of_type(self, ix: sa.Column[int]) -> _Condition:
        if self._dialect == "sqlite":
            return _type_by_index(str(ix.table), str(self._wanted.type))
        return _is_there(_entry, *self._beside(ix, _entry), _entry.c.type == self._wanted.type)


def _is_same(facts: sa.FromClause, name: str, value: str) -> sa.ColumnElement[bool]:
    """That the fact has that value, in words that fit the fact's index."""
    if name != "verdict":
        return facts.c[name] == value
    # Spelled out, since the index has only those of another verdict and must be seen to fit.
    same = facts.c.verdict == sa.literal_column(f"'{value}'")
    return same if value == "allowed" else same & (facts.c.verdict != sa.literal_column("'allowed'"))


def _by_index(name: str, value: str) -> sa.TextClause:
    """That the row has a value in the index of that fact, which holds both columns close together.

    For SQLite, which has no statistics to choose by and would look up each row.
    """
    is_other = " AND other.verdict <> 'allowed'" if name == "verdict" else ""
    index = f"entry_fact AS other INDEXED BY ix_entry_fact_{name}"
    same = f"other.ix = entry_fact.ix AND other.{name} = :{name}{is_other}"
    return sa.text(f"EXISTS (SELECT 1 FROM {index} WHERE {same})").bindparams(  # noqa: S608 - names of our own
        sa.bindparam(name, value)
    )


def _type_by_index(source: str, value: str) -> sa.TextClause:
    """As `_by_index`, that the entry at the row's index is of that type; rows of entries are large."""
    index = (
        f"entry AS other INDEXED BY ix_entry_type WHERE other.ix = {source}.ix AND other.type = :entry_type"
    )
    return sa.text(f"EXISTS (SELECT 1 FROM {index})").bindparams(sa.bindparam("entry_type", value))  # noqa: S608


def _is_there(source: sa.FromClause, *conditions: _Condition) -> sa.ColumnElement[bool]:
    return sa.exists(
        sa.select(sa.literal_column("1")).select_from(source).where(*conditions).correlate_except(source)
    )
