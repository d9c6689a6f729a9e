"""Refusals of unknown senders, alone and in floods, over each kind of database."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from app.audit.calls import Origin, Scribe
from app.audit.canonical import MAX_ENTRY_BYTES, encode
from app.audit.entries import Draft, Receipt
from app.audit.floods import MOST_KINDS, Kind, batch_entry
from app.clock import SystemClock
from app.errors import AuditUnavailable
from app.ids import new_entry_id
from app.storage.books import SqlBooks
from app.storage.engines import Database, open_database
from app.storage.floods import Floods
from app.storage.log import check_log
from app.storage.tables import EntryRow, table
from tests.signing import boot

pytestmark = pytest.mark.anyio

_entry = table(EntryRow)
_SCRIBE = Scribe(b"k" * 32)
_PER_SECOND = 5


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    yield opened
    await opened.close()


@pytest.fixture
async def books(database: Database) -> AsyncIterator[SqlBooks]:
    opened = SqlBooks(database=database, clock=SystemClock(), boot=boot(), rejects_per_second=_PER_SECOND)
    await opened.start()
    yield opened
    await opened.stop()


def refusal(source: str = "192.0.2.1", *, code: str = "access_token_invalid", route: str = "/x") -> Draft:
    origin = Origin(method="POST", route=route, request_bytes=0, address=source, agent="curl/8")
    return _SCRIBE.refused(origin, code=code, rule="identify")


async def entries(database: Database) -> list[dict[str, Any]]:
    asked = sa.select(_entry.c.leaf).order_by(_entry.c.ix)
    return [
        json.loads(leaf) for leaf in await database.read(lambda conn: conn.execute(asked).scalars().all())
    ]


def counted(found: list[dict[str, Any]]) -> Counter[str]:
    """Refusals by code: those with an entry of their own, and those that are counted in one."""
    counts: Counter[str] = Counter()
    for entry in found:
        if entry["type"] == "reject_batch":
            assert entry["total"] == sum(row["n"] for row in entry["counts"])
            for row in entry["counts"]:
                counts[row["code"]] += row["n"]
        else:
            counts[entry["decision"]["code"]] += 1
    return counts


async def test_few_refusals_have_an_entry_each(books: SqlBooks, database: Database) -> None:
    receipts = [
        await books.turn_away(refusal(f"192.0.2.{number}"), source=f"192.0.2.{number}")
        for number in range(30)
    ]
    assert [each.index for each in receipts] == list(range(30))
    assert {entry["type"] for entry in await entries(database)} == {"decision"}


async def test_a_flood_is_counted_to_the_last_request_and_each_has_the_receipt_of_its_entry(
    books: SqlBooks, database: Database
) -> None:
    codes = ["access_token_invalid", "not_found", "invalid_params"]
    drafts = [refusal(code=codes[number % 3]) for number in range(1_000)]
    receipts = await asyncio.gather(*(books.turn_away(draft, source="192.0.2.1") for draft in drafts))
    found = await entries(database)
    assert len(found) < 60
    assert counted(found) == Counter(codes[number % 3] for number in range(1_000))
    by_id = {entry["id"]: entry for entry in found}
    own = sum(receipt.id == draft.id for receipt, draft in zip(receipts, drafts, strict=True))
    assert own == sum(entry["type"] == "decision" for entry in found)
    assert all(receipt.id in by_id for receipt in receipts)
    (tag,) = {row["ip_tag"] for entry in found if entry["type"] == "reject_batch" for row in entry["counts"]}
    assert tag == found[0]["src"]["ip_tag"]
    assert "192.0.2.1" not in json.dumps(found)
    assert await database.read(check_log) == len(found)


async def test_whoever_is_known_or_sends_little_is_not_counted_with_a_flood(
    books: SqlBooks, database: Database
) -> None:
    flood = [books.turn_away(refusal(), source="192.0.2.1") for _ in range(200)]
    other = refusal("192.0.2.2", code="not_found")
    known = Draft(type="decision", fields={"decision": {"code": "ok"}})
    beside = asyncio.gather(books.turn_away(other, source="192.0.2.2"), books.note(known))
    await asyncio.gather(*flood)
    quiet, own = await beside
    assert isinstance(own, Receipt)
    assert (quiet.id, own.id) == (other.id, known.id)


async def test_one_who_leaves_is_counted_and_takes_nobodys_receipt_along(
    books: SqlBooks, database: Database
) -> None:
    asking = [asyncio.ensure_future(books.turn_away(refusal(), source="192.0.2.1")) for _ in range(100)]
    await asyncio.sleep(0.05)
    asking[60].cancel()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(each, asyncio.CancelledError) for each in outcomes) == 1
    assert sum(isinstance(each, Receipt) for each in outcomes) == 99
    assert counted(await entries(database)).total() == 100


async def test_a_stop_writes_the_batch_that_is_open(database: Database) -> None:
    books = SqlBooks(database=database, clock=SystemClock(), boot=boot(), rejects_per_second=1)
    await books.start()
    asking = [asyncio.ensure_future(books.turn_away(refusal(), source="192.0.2.1")) for _ in range(50)]
    await asyncio.sleep(0.05)
    await books.stop()
    await asyncio.gather(*asking)
    assert counted(await entries(database)).total() == 50


async def test_a_flood_that_cannot_be_logged_is_not_answered(database: Database) -> None:
    books = SqlBooks(database=database, clock=SystemClock(), boot=boot(), rejects_per_second=1)
    await books.start()
    await books.stop()
    outcomes = await asyncio.gather(
        *(books.turn_away(refusal(), source="192.0.2.1") for _ in range(50)), return_exceptions=True
    )
    assert all(isinstance(each, AuditUnavailable) for each in outcomes)
    assert await entries(database) == []


async def test_while_the_log_stands_still_no_more_than_so_many_wait() -> None:
    gate = asyncio.Event()

    async def note(draft: Draft) -> Receipt:
        await gate.wait()
        return Receipt(id=draft.id, index=0, size=1, leaf_hash=b"", ts_us=0, origin="test")

    floods = Floods(clock=SystemClock(), per_second=1, note=note)
    draft = refusal()
    asking = [asyncio.ensure_future(floods.turn_away(draft, "192.0.2.1")) for _ in range(20_000)]
    await asyncio.sleep(1)
    refused = [each for each in asking if each.done()]
    assert all(isinstance(each.exception(), AuditUnavailable) for each in refused)
    assert 8_192 <= len(asking) - len(refused) <= 8_192 + 10
    gate.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(each, Receipt) for each in outcomes) == len(asking) - len(refused)


def test_the_largest_batch_fits_an_entry() -> None:
    counts = Counter(
        {
            Kind(
                type="decision",
                method="OPTIONS",
                route=f"/v2/research/tiktokshop/review/query/and/more/{number:03}",
                code="daily_quota_limit_exceeded",
                status=429,
                ip_tag="f" * 16,
            ): 10**6
            for number in range(MOST_KINDS)
        }
    )
    draft = batch_entry(new_entry_id(), counts, ms=999)
    assert len(encode({**draft.fields, "v": 1, "id": draft.id})) < MAX_ENTRY_BYTES - 512
