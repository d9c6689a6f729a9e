"""Finding entries: every filter gives what a look at each leaf would, part by part, on both databases."""

import dataclasses
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from app.audit.entries import Draft
from app.audit.facts import facts_of, tags_of
from app.audit.filters import Filter, moment_us
from app.errors import InvalidParams
from app.storage.engines import Database, open_database
from app.storage.log import append
from app.storage.searching import _about, _Bounded, find_entries, find_places, index_at
from tests.signing import boot

pytestmark = pytest.mark.anyio

_COUNT = 240
FILTERS = (
    Filter(),
    Filter(person="p1"),
    Filter(project="j2"),
    Filter(key_id="k1", credential="c1"),
    Filter(type="outcome"),
    Filter(type="admin", person="p2"),
    Filter(op="video/query", verdict="allowed"),
    Filter(verdict="refused"),
    Filter(verdict="refused", rule="quota/1"),
    Filter(rule="quota"),
    Filter(rule="quota", verdict="refused", type="intent"),
    Filter(rule="quota", about=(("t1", "t2"),)),
    Filter(rule="unknown"),
    Filter(code="timeout"),
    Filter(cache="hit", person="p0"),
    Filter(upstream_log_id="log 7"),
    Filter(least_requests=1),
    Filter(least_records=30, most_records=60),
    Filter(most_records=0),
    Filter(least_records=1, least_requests=1, op="user/info"),
    Filter(about=(("t1",),)),
    Filter(about=(("t1", "t2"), ("t3", "t0")), verdict="allowed"),
    Filter(about=(("t2", "t3"),), type="intent"),
    Filter(about=(("unknown",),)),
    Filter(person="nobody"),
)


def some(rng: random.Random) -> Draft:
    fields: dict[str, Any] = {
        "actor": {
            "principal": f"p{rng.randrange(3)}",
            "project": f"j{rng.randrange(3)}",
            "key_id": f"k{rng.randrange(3)}",
            "credential": f"c{rng.randrange(2)}",
        },
        "op": rng.choice(["video/query", "user/info"]),
        "decision": {
            "verdict": rng.choice(["allowed", "allowed", "refused"]),
            "rule": rng.choice(["quota/1", "quota/2", "quotas/1", "x/1"]),
        },
        "about": [f"t{rng.randrange(4)}" for _ in range(rng.randrange(3))],
    }
    if rng.random() < 0.5:
        fields["quota"] = {"charged": {"requests": rng.randrange(2), "records": rng.randrange(100)}}
        fields["upstream"] = {
            "code": rng.choice(["ok", "timeout"]),
            "log_id": f"log {rng.randrange(20)}",
        }
    else:
        fields["cache"] = {"state": rng.choice(["hit", "collapsed"])}
    return Draft(type=rng.choice(["intent", "outcome", "decision", "admin"]), fields=fields)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    rng = random.Random(20261129)
    run = boot()
    while run.next_rseq < _COUNT:
        await append(opened, run, [some(rng) for _ in range(20)])
    yield opened
    await opened.close()


def meets(entry: dict[str, Any], wanted: Filter) -> bool:
    """Whether the entry itself is one that the filter asks for."""
    facts = {**facts_of(entry)._asdict(), "type": entry["type"]}
    for name, value in wanted.said().items():
        bound, _, amount = name.partition("_")
        if name == "rule" and "/" not in str(value):
            if str(facts[name]).partition("/")[0] != value:
                return False
        elif name in facts and facts[name] != value:
            return False
        if bound in {"least", "most"}:
            found = facts[amount]
            if found is None or (found < value if bound == "least" else found > value):
                return False
        if name == "since_us" and entry["ts_us"] < value:
            return False
        if name == "until_us" and entry["ts_us"] >= value:
            return False
    return all(set(tags) & set(tags_of(entry)) for tags in wanted.about)


async def every(database: Database) -> list[dict[str, Any]]:
    def work(conn: Connection) -> list[dict[str, Any]]:
        return [json.loads(each.leaf) for each in find_entries(conn, Filter(), before=None, limit=_COUNT)]

    found = await database.read(work)
    assert len(found) == _COUNT
    return found


async def in_parts(database: Database, wanted: Filter, limit: int) -> list[int]:
    found: list[int] = []
    before = None
    while True:
        part = await database.read(
            lambda conn, start=before: find_places(conn, wanted, before=start, limit=limit)  # type: ignore[misc]
        )
        found += part
        if len(part) < limit:
            return found
        before = part[-1]


async def test_every_filter_finds_what_a_look_at_each_leaf_finds(database: Database) -> None:
    entries = await every(database)
    times = sorted(entry["ts_us"] for entry in entries)
    spans: tuple[dict[str, Any], ...] = (
        {},
        {"since_us": times[60]},
        {"until_us": times[180]},
        {"since_us": times[30] + 1, "until_us": times[200]},
    )
    answers = 0
    for wanted in FILTERS:
        for span in spans:
            asked = dataclasses.replace(wanted, **span)
            right = [_COUNT - 1 - place for place, entry in enumerate(entries) if meets(entry, asked)]
            answers += len(right)
            assert await in_parts(database, asked, 7) == right, asked
            assert await in_parts(database, asked, _COUNT) == right, asked
    assert answers > 1_000


async def test_the_first_entry_of_a_time_is_found(database: Database) -> None:
    entries = [*reversed(await every(database))]

    def work(conn: Connection) -> None:
        for ts_us in {entry["ts_us"] + shift for entry in entries for shift in (-1, 0, 1)}:
            right = next((at for at, entry in enumerate(entries) if entry["ts_us"] >= ts_us), _COUNT)
            assert index_at(conn, ts_us, _COUNT) == right

    await database.read(work)


async def test_no_filter_reads_the_whole_log_or_sorts(migrated_sqlite_url: str) -> None:
    # PostgreSQL chooses by statistics, and rightly reads a small table whole.
    database = open_database(migrated_sqlite_url)

    def work(conn: Connection) -> None:
        for wanted in FILTERS:
            bounded = _Bounded(wanted, 5, 9, dialect="sqlite")
            asked = bounded.of_tags(["t1"], _about) if wanted.about else bounded.of_facts()
            literal = asked.limit(50).compile(conn, compile_kwargs={"literal_binds": True})
            plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {literal}")]
            searched = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
            assert all("ix" in step or "rowid" in step for step in searched), (wanted, plan)
            assert not any("TEMP B-TREE" in step for step in plan), (wanted, plan)
        refused = _Bounded(Filter(verdict="refused"), 5, 9, dialect="sqlite").of_facts()
        literal = refused.compile(conn, compile_kwargs={"literal_binds": True})
        plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {literal}")]
        assert any("ix_entry_fact_verdict" in step for step in plan), plan

    await database.read(work)
    await database.close()


def test_days_and_moments_are_in_utc() -> None:
    assert moment_us("2026-05-01") == moment_us("2026-05-01T02:00:00+02:00") == 1_777_593_600_000_000
    for text in ("May", "2026-05-32", ""):
        with pytest.raises(InvalidParams):
            moment_us(text)
    with pytest.raises(InvalidParams):
        Filter(type="outcomes")
    with pytest.raises(InvalidParams):
        Filter(verdict="maybe")
