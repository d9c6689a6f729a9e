"""How long one page of a search takes, by filter, in a log of so many entries.

Run it with `./dev python -m benchmarks.audit_search --rows 1000000`, with `--postgres` on a private PostgreSQL server
(10,000,000 rows take some 15 GB). Rows are made up by the database itself: a dozen projects with fifty people, forty in
a hundred entries cost quota, one in twenty is a refusal, and six in ten questions name one of 20,000 accounts. Each
figure is over 200 looks for a random value at a random place, the newest 50 entries below it, as the API gives them.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.filters import Filter
from app.storage.engines import Database, open_database
from app.storage.schema import migrate
from app.storage.searching import find_entries
from tests.servers.postgres import PrivatePostgres

_LOOKS = 200
_PAGE = 50
_BEGIN_US = 1_767_225_600_000_000
_APART_US = 100_000
_AT_ONCE = 100_000
_TAGS = 20_000
_ENTRY = """
INSERT INTO entry (ix, id, type, ts_us, leaf, leaf_hash)
SELECT ix, {id}, CASE WHEN ix % 10 < 4 THEN 'intent' WHEN ix % 10 < 8 THEN 'outcome' WHEN ix % 1000 = 9 THEN 'admin'
  ELSE 'decision' END, {begin} + ix * {apart}, {leaf}, {hash} FROM {numbers}
"""
_FACT = """
INSERT INTO entry_fact (ix, person, project, key_id, credential, op, verdict, rule, code, requests, records, cache,
  upstream_log_id)
SELECT ix, 'person' || (ix * 7919 % 50), 'project' || (ix * 7919 % 12), 'key' || (ix * 7919 % 80), 'credential' || (ix % 2),
  'endpoint/' || (ix * 104729 % 20), CASE WHEN ix % 20 = 3 THEN 'refused' ELSE 'allowed' END,
  CASE WHEN ix % 20 = 3 THEN 'rule/' || (ix % 13) ELSE 'endpoint-approved/1' END,
  CASE WHEN ix % 20 = 3 THEN 'code' || (ix % 7) WHEN ix % 10 BETWEEN 4 AND 7 THEN 'ok' END,
  CASE WHEN ix % 10 BETWEEN 4 AND 7 THEN 1 END, CASE WHEN ix % 10 BETWEEN 4 AND 7 THEN ix * 31 % 101 END,
  CASE WHEN ix % 10 > 7 THEN 'hit' END, CASE WHEN ix % 10 BETWEEN 4 AND 7 THEN 'upstream' || ix END FROM {numbers}
"""
_ABOUT = """
INSERT INTO entry_about (tag, ix)
SELECT 'tag' || (ix * 15485863 % {tags}), ix FROM {numbers} WHERE ix % 10 < 4 OR ix % 10 > 7
"""
_SPELLED = {
    "sqlite": {
        "id": "lower(hex(randomblob(16)))",
        "leaf": "CAST('{\"filler\":\"' || hex(randomblob(300)) || '\"}' AS BLOB)",
        "hash": "randomblob(32)",
        "numbers": "(WITH RECURSIVE n(ix) AS (SELECT {low} UNION ALL SELECT ix + 1 FROM n WHERE ix + 1 < {high}) "
        "SELECT ix FROM n)",
    },
    "postgresql": {
        "id": "md5(ix::text || random()::text)",
        "leaf": "convert_to('{\"filler\":\"' || repeat(md5(ix::text), 19) || '\"}', 'UTF8')",
        "hash": "sha256(ix::text::bytea)",
        "numbers": "generate_series({low}::bigint, {high}::bigint - 1) AS n(ix)",
    },
}


def _day(rng: random.Random, rows: int) -> dict[str, int]:
    since_us = _BEGIN_US + rng.randrange(rows) * _APART_US
    return {"since_us": since_us, "until_us": since_us + 86_400_000_000}


def _tag(rng: random.Random) -> tuple[tuple[str, ...], ...]:
    """As an identifier has one tag for each month, of which most entries' are not."""
    return ((f"tag{rng.randrange(_TAGS)}", *(f"tag of month {month}" for month in range(11))),)


def samples(rng: random.Random, rows: int) -> dict[str, Filter]:
    """A filter of each kind, for values drawn anew."""
    return {
        "none": Filter(),
        "person": Filter(person=f"person{rng.randrange(50)}"),
        "project": Filter(project=f"project{rng.randrange(12)}"),
        "key": Filter(key_id=f"key{rng.randrange(80)}"),
        "credential": Filter(credential=f"credential{rng.randrange(2)}"),
        "endpoint": Filter(op=f"endpoint/{rng.randrange(20)}"),
        "type": Filter(type=rng.choice(["intent", "outcome", "decision", "admin"])),
        "verdict: refused": Filter(verdict="refused"),
        "rule": Filter(rule=f"rule/{rng.randrange(13)}"),
        "code": Filter(code=f"code{rng.randrange(7)}"),
        "cost anything": Filter(least_requests=1),
        "cost 100 records": Filter(least_records=100),
        "cache": Filter(cache="hit"),
        "platform's log id": Filter(upstream_log_id=f"upstream{rng.randrange(rows)}"),
        "one day": Filter(**_day(rng, rows)),  # type: ignore[arg-type]
        "account, of 12 months": Filter(about=_tag(rng)),
        "person, one day": Filter(person=f"person{rng.randrange(50)}", **_day(rng, rows)),  # type: ignore[arg-type]
        "person and endpoint": Filter(
            person=f"person{rng.randrange(50)}", op=f"endpoint/{rng.randrange(20)}"
        ),
        "project and refused": Filter(project=f"project{rng.randrange(12)}", verdict="refused"),
        "person and admin, which never meet": Filter(person="person1", type="heartbeat"),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--postgres", action="store_true", help="on a private PostgreSQL server")
    options = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="search-")))
        url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
        if options.postgres:
            server = stack.enter_context(PrivatePostgres(is_durable=False))
            url = server.url(server.create_database())
        await migrate(url)
        database = open_database(url)
        began = time.perf_counter()
        await _fill(database, options.rows)
        print(f"{database.dialect}, {options.rows} entries, filled in {time.perf_counter() - began:.0f} s")
        print("filter | median, ms | 95th of 100, ms | entries on a page")
        for name in samples(random.Random(0), options.rows):
            await _measure(database, name, options.rows)
        await database.close()


async def _fill(database: Database, rows: int) -> None:
    spelled = _SPELLED[database.dialect]
    for low in range(0, rows, _AT_ONCE):
        numbers = spelled["numbers"].format(low=low, high=min(low + _AT_ONCE, rows))
        values = {**spelled, "numbers": numbers, "begin": _BEGIN_US, "apart": _APART_US, "tags": _TAGS}

        def work(conn: Connection, values: dict[str, object] = values) -> None:
            for statement in (_ENTRY, _FACT, _ABOUT):
                text = statement
                for name, value in values.items():
                    text = text.replace("{" + name + "}", str(value))
                conn.exec_driver_sql(text.replace("%", "%%") if conn.dialect.paramstyle == "format" else text)

        await database.write(work)
    await database.write(lambda conn: conn.execute(sa.text(f"UPDATE head SET size = {rows}")).rowcount)
    if database.dialect == "postgresql":
        await database.write(
            lambda conn: [
                conn.exec_driver_sql(f"ANALYZE {name}") for name in ("entry", "entry_fact", "entry_about")
            ]
        )


async def _measure(database: Database, name: str, rows: int) -> None:
    rng = random.Random(name)
    took_ms: list[float] = []
    found = 0
    for _ in range(_LOOKS):
        wanted, before = samples(rng, rows)[name], rng.randrange(rows // 2, rows)

        def work(conn: Connection, wanted: Filter = wanted, before: int = before) -> int:
            return len(find_entries(conn, wanted, before=before, limit=_PAGE))

        began = time.perf_counter()
        found += await database.read(work)
        took_ms.append((time.perf_counter() - began) * 1_000)
    p95 = statistics.quantiles(took_ms, n=20)[-1]
    print(f"{name} | {statistics.median(took_ms):.2f} | {p95:.2f} | {found / _LOOKS:.0f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
