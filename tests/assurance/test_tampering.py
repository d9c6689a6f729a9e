"""Whatever is changed in the stored log is found, and the verifier names the row."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app.administration.key_files import read_log_key
from app.audit.canonical import encode
from app.audit.notes import Checkpoint, Signer
from app.audit.offline import (
    FACTS,
    Beside,
    Evidence,
    Head,
    Held,
    Report,
    Row,
    Statement,
    Tree,
    Vkey,
    read_checkpoint,
    read_entry,
)
from app.audit.offline import (
    Checkpoint as Signed,
)
from app.storage.auditing import verify_stored
from app.storage.engines import open_database
from tests.assurance.stored_log import StoredLog, named, read_log, row_of
from tests.servers.bursar import VIDEO_QUERY, Installation, call, video_query
from tests.servers.load import ask_all, lookups


@dataclass(frozen=True, slots=True)
class Written:
    """A log of every kind of entry, the key that signed it, and the database that it lies in."""

    log: StoredLog
    signer: Signer
    origin: str
    path: Path


LONG_QUESTION = video_query(
    query={
        "and": [
            {
                "field_name": "username",
                "operation": "IN",
                "field_values": [f"a_name_that_takes_its_room_{number:04}" for number in range(300)],
            }
        ]
    }
)
"""Too long for its entry, and about more accounts than find room there: both are kept beside it."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    home = tmp_path_factory.mktemp("tampered")
    url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
    with Installation(home, database_url=url) as installation:
        installation.start()
        key = installation.key()
        headers = {"Authorization": f"Bearer {key['api_key']}", "Content-Type": "application/json"}
        for body in (video_query(max_count=10), video_query(max_count=10), LONG_QUESTION, b"{}", b"\0"):
            call(installation.port, "POST", VIDEO_QUERY, body=body, headers=headers)
        call(installation.port, "GET", "/api/v1/me")
        asyncio.run(ask_all(installation.base_url, key["api_key"], lookups(0, 20), in_flight=4))
        installation.bursar("limit", "set", "project:elections", "delivered/day", "5000")
        installation.tokens([key], 1)
        asyncio.run(ask_all(installation.base_url, key["api_key"], lookups(10, 25), in_flight=4))
        installation.bursar("audit", "verify")
        assert installation.gateway is not None
        installation.gateway.stop()
        signer = read_log_key(home / "data" / "log.key")
        log = asyncio.run(read_log(url, signer.verifier("any").public))
        origin = log.head.note.split(b"\n")[0].decode()
        yield Written(log, signer, origin, home / "bursar.db")


def test_a_log_of_real_requests_verifies(written: Written) -> None:
    report = written.log.verified()
    assert (report.problems, report.finding) == ([], None)
    assert {"intent", "outcome", "decision", "auth", "admin", "audit_read"} <= set(report.entries)
    assert report.counted["calls"] > 20
    assert report.counted["grants_without_known_limit"] == 0
    (long_one,) = long_ones(written)
    assert long_one < 64


# --- T11: one changed byte --------------------------------------------------------------------------------


def in_every_place(data: bytes, random: Random) -> Iterator[bytes]:
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= random.randrange(1, 256)
        yield bytes(changed)


def changed_values(value: Any, random: Random) -> Iterator[Any]:
    """The value with each of its bytes changed in turn, as a database gives it back."""
    if isinstance(value, bytes):
        yield from in_every_place(value, random)
    elif isinstance(value, str):
        for data in in_every_place(value.encode(), random):
            yield data.decode("utf-8", "backslashreplace")
    elif isinstance(value, int):
        for data in in_every_place(value.to_bytes(8, "big", signed=True), random):
            yield int.from_bytes(data, "big", signed=True)


def changed_rows(row: Row, random: Random) -> Iterator[Row]:
    columns = row.columns
    assert columns is not None
    assert columns.facts is not None
    for name in ("ix", "leaf", "leaf_hash"):
        yield from (row._replace(**{name: each}) for each in changed_values(getattr(row, name), random))
    for name in ("id", "type", "ts_us"):
        for each in changed_values(getattr(columns, name), random):
            yield row._replace(columns=columns._replace(**{name: each}))
    for place, fact in enumerate(columns.facts):
        for each in changed_values(fact, random):
            facts = (*columns.facts[:place], each, *columns.facts[place + 1 :])
            yield row._replace(columns=columns._replace(facts=facts))
    for place, tag in enumerate(columns.tags):
        for each in changed_values(tag, random):
            tags = (*columns.tags[:place], each, *columns.tags[place + 1 :])
            yield row._replace(columns=columns._replace(tags=tags))
    question, more = columns.beside
    for each in changed_values(question, random):
        yield row._replace(columns=columns._replace(beside=Beside(each, more)))
    for place, tag in enumerate(more):
        for each in changed_values(tag, random):
            tags = (*more[:place], each, *more[place + 1 :])
            yield row._replace(columns=columns._replace(beside=Beside(question, tags)))
    yield row._replace(columns=columns._replace(facts=None))
    yield row._replace(columns=columns._replace(tags=(*columns.tags, "more")))


def name_the_row_in_which_a_byte_is_changed(
    written: Written, *, rows: int, seed: str, also: Sequence[int] = ()
) -> int:
    """How many changes were tried, in the log's first entries, which are of every kind."""
    random = Random(seed)
    log = written.log.having(written.log.rows[:64], Head(signed_as(written, written.log.rows[:64])))
    assert log.verified().finding is None
    indexes, tried = {row.ix for row in log.rows}, 0
    for index in sorted({*random.sample(sorted(indexes), rows), *also}):
        row = log.rows[index]
        for changed in changed_rows(row, random):
            if changed.ix != index and changed.ix in indexes:
                continue  # the database has no two rows of one index
            report = log.having([*log.rows[:index], changed, *log.rows[index + 1 :]]).verified()
            assert report.finding is not None, (row, changed)
            assert index in named(report), (row, changed, report.problems)
            assert named(report) <= {index, changed.ix}, (row, changed, report.problems)
            tried += 1
    return tried


def long_ones(written: Written) -> list[int]:
    """The entries beside which something is kept."""
    return [row.ix for row in written.log.rows if row.columns is not None and row.columns.beside != Beside()]


def test_the_row_in_which_any_byte_is_changed_is_named(written: Written) -> None:
    assert name_the_row_in_which_a_byte_is_changed(written, rows=1, seed="short") > 300


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_each_of_fifty_rows_in_which_any_byte_is_changed_is_named(written: Written) -> None:
    tried = name_the_row_in_which_a_byte_is_changed(written, rows=50, seed="long", also=long_ones(written))
    print(f"{tried} changed bytes, each found and its row named")
    assert tried > 20_000


# --- T12: rows that are dropped, added, moved, copied, cut off, rewritten ----------------------------------

Edit = Callable[[Sequence[Row], Random], tuple[list[Row], int]]
"""What the rows come to, and the entry at which it shows."""


def numbered(rows: Sequence[Row]) -> list[Row]:
    """The rows with indexes that follow each other."""
    return [row._replace(ix=index) for index, row in enumerate(rows)]


def forged(row: Row, random: Random) -> Row:
    """Another entry in the place of one, with hash and columns to match."""
    assert row.leaf
    entry = read_entry(row.leaf)
    entry |= {"id": random.randbytes(16).hex(), "boot": random.randbytes(8).hex(), "rseq": 0}
    return row_of(row.ix, encode(entry))


def dropped(rows: Sequence[Row], random: Random) -> tuple[list[Row], int]:
    index = random.randrange(len(rows))
    return [*rows[:index], *rows[index + 1 :]], index


def dropped_and_closed_up(rows: Sequence[Row], random: Random) -> tuple[list[Row], int]:
    index = random.randrange(len(rows) - 1)
    return numbered([*rows[:index], *rows[index + 1 :]]), index


def added(rows: Sequence[Row], random: Random) -> tuple[list[Row], int]:
    index = random.randrange(len(rows))
    return numbered([*rows[:index], forged(rows[index], random), *rows[index:]]), index


def swapped(rows: Sequence[Row], random: Random) -> tuple[list[Row], int]:
    one, other = sorted(random.sample(range(len(rows)), 2))
    changed = list(rows)
    changed[one], changed[other] = changed[other], changed[one]
    return numbered(changed), one


def copied(rows: Sequence[Row], random: Random) -> tuple[list[Row], int]:
    one, other = sorted(random.sample(range(len(rows)), 2))
    return numbered([*rows[:other], rows[one], *rows[other:]]), other


def rewritten(rows: Sequence[Row], random: Random) -> tuple[list[Row], int]:
    index = random.randrange(len(rows))
    leaf = rows[index].leaf
    assert leaf
    entry = {**read_entry(leaf), "op": "another"}
    return [*rows[:index], row_of(index, encode(entry)), *rows[index + 1 :]], index


def cut(rows: Sequence[Row], random: Random) -> tuple[list[Row], int]:
    size = random.randrange(1, len(rows))
    return list(rows[:size]), size


EDITS: tuple[Edit, ...] = (dropped, dropped_and_closed_up, added, swapped, copied, rewritten, cut)
NAMED_ALONE = (dropped, swapped, copied, cut)
"""These name the entry (of two that were swapped, one at least) from the log itself; for the others it takes a copy of
the leaf hashes from before."""


def tree_of(rows: Sequence[Row]) -> Tree:
    tree = Tree()
    for row in rows:
        tree.push(row.leaf_hash)
    return tree


def signed_as(written: Written, rows: Sequence[Row]) -> bytes:
    """The checkpoint of a log of these rows, by the log's own key."""
    tree = tree_of(rows)
    return written.signer.sign(Checkpoint(written.origin, tree.size, tree.root()).text, written.origin)


def find_edits(written: Written, *, count: int, seed: str) -> int:
    random = Random(seed)
    log = written.log
    known = [row.leaf_hash for row in log.rows]
    for number in range(count):
        edit = EDITS[number % len(EDITS)]
        rows, index = edit(log.rows, random)
        alone = log.having(rows).verified()
        assert alone.finding is not None, edit
        if edit in NAMED_ALONE:
            moved = {index} if edit is not swapped else {row.ix for row in rows if row != log.rows[row.ix]}
            assert moved & named(alone), (edit, index, alone.problems)
        beside = StoredLog(rows=rows, head=log.head, key=log.key, known=known).verified()
        assert index in named(beside), (edit, index, beside.problems)
        if edit is dropped:
            assert named(beside) == {index}, beside.problems
        find_edit_that_is_signed(written, rows, index, edit)
    return count


def find_edit_that_is_signed(written: Written, rows: list[Row], index: int, edit: Edit) -> None:
    """The log's key was stolen, so the signature holds: what others kept of the log shows it all the same."""
    stolen = StoredLog(rows=rows, head=Head(signed_as(written, rows)), key=written.log.key)
    before = tree_of(written.log.rows)
    kept = Statement("anchor", "kept", Signed(written.origin, before.size, before.root()))
    by_anchor = stolen.verified(Evidence(statements=[kept]))
    assert by_anchor.finding is not None, edit
    assert any(problem.check == "anchor" for problem in by_anchor.problems)
    last = written.log.rows[max(index, len(rows) - 1) if edit is cut else index]
    held = Held("kept", last.ix, last.leaf_hash, written.origin)
    if edit is cut:
        held = Held("kept", len(written.log.rows) - 1, written.log.rows[-1].leaf_hash, written.origin)
    by_receipt = stolen.verified(Evidence(held=[held]))
    assert any(problem.check == "receipt" for problem in by_receipt.problems), edit


def test_fifty_random_edits_are_all_found(written: Written) -> None:
    assert find_edits(written, count=50, seed="short") == 50


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_random_edits_are_all_found(written: Written) -> None:
    print(f"{find_edits(written, count=1_000, seed='long')} edits, all found")


def test_a_tail_that_is_cut_off_with_its_checkpoint_is_seen_by_no_check_but_what_others_kept(
    written: Written,
) -> None:
    rows = written.log.rows[:-5]
    shorter = StoredLog(rows=rows, head=Head(signed_as(written, rows)), key=written.log.key)
    assert shorter.verified().finding is None
    signed = read_checkpoint(written.log.head.note, [written.log.key])
    report = shorter.verified(Evidence(statements=[Statement("anchor", "kept", signed)]))
    assert report.finding == "gap"
    assert report.problems[0].ix == len(rows)


# --- In the database itself --------------------------------------------------------------------------------


def test_what_is_changed_in_the_file_of_the_database_is_named_by_the_command(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random("file")
    columns = {
        "entry": ("id", "type", "ts_us", "leaf", "leaf_hash"),
        "entry_fact": FACTS,
        "entry_about": ("tag",),
        "entry_about_more": ("tag",),
        "sealed_question": ("nonce", "ct"),
    }
    for source, names in columns.items():
        for name in names:
            changed = tmp_path / f"{source}-{name}.db"
            index = change_one(written.path, changed, source, name, random)
            log = asyncio.run(read_reported(f"sqlite+aiosqlite:///{changed}", written.log.key))
            assert named(log) == {index}, (source, name, log.problems)


async def read_reported(url: str, key: bytes) -> Report:
    database = open_database(url)
    try:
        return await database.read(
            lambda conn: verify_stored(conn, [Vkey("any", key)], Evidence(), Report(), lease_s=900)
        )
    finally:
        await database.close()


def change_one(source: Path, target: Path, table: str, column: str, random: Random) -> int:
    """Change one byte of one value in a copy of the database, past its triggers; the row's index."""
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
        for (trigger,) in new.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            new.execute(f"DROP TRIGGER {trigger}")
        found = new.execute(f"SELECT ix, {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()
        index, value = random.choice(found)
        changed, new_value = random.choice(list(changed_values(value, random))), "?"
        if isinstance(value, str):
            data = bytearray(value.encode())
            data[random.randrange(len(data))] ^= 0x80  # no text any more
            changed, new_value = bytes(data), "CAST(? AS TEXT)"
        new.execute(
            f"UPDATE {table} SET {column} = {new_value} WHERE ix = ? AND {column} = ?",
            (changed, index, value),
        )
    return int(index)
