"""A receipt that is presented: of this log and as it was, or what is wrong with it or with the log."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence

import pytest
import sqlalchemy as sa

from app.audit.entries import Draft
from app.audit.notes import Checkpoint, Kept, Signer
from app.audit.receipts import ProvenEntry, prove_entry
from app.audit.tree import Frontier, leaf_hash
from app.ids import EntryId
from app.storage.engines import Database, open_database
from app.storage.history import open_epoch
from app.storage.log import append, name_log
from app.storage.presented import Presented, check_receipt
from app.storage.proving import receipt_of
from app.storage.tables import EntryRow, table
from tests.signing import SIGNER, boot
from tests.storage.test_history import free_of_triggers

pytestmark = pytest.mark.anyio

ORIGIN = "example.edu/bursar/1a2b3c4d"
_entry = table(EntryRow)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    await opened.write(lambda conn: name_log(conn, ORIGIN))
    await append(opened, boot(), [Draft(type="admin", fields={"op": f"test-{each}"}) for each in range(5)])
    yield opened
    await opened.close()


async def checked(database: Database, text: str) -> Presented:
    return await database.read(lambda conn: check_receipt(conn, text, SIGNER.known))


async def receipt(database: Database, index: int = 2) -> ProvenEntry:
    def work(conn: sa.Connection) -> ProvenEntry:
        entry = conn.execute(sa.select(_entry.c.id).where(_entry.c.ix == index)).scalar_one()
        return receipt_of(conn, entry)

    return await database.read(work)


class Leaves:
    """The hashes of a small tree that is nowhere stored."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self._hashes = hashes

    def nodes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        assert level == 0
        return self._hashes[start:end]


async def test_a_receipt_holds_in_each_of_its_forms_and_while_the_log_grows(database: Database) -> None:
    mine = await receipt(database)
    found = await checked(database, mine.proof)
    assert (found.finding, found.holds, found.index, found.size) == ("holds", True, 2, 5)
    assert (found.id, found.origin) == (mine.id, ORIGIN)
    await append(database, boot(), [Draft(type="admin", fields={"op": f"later-{n}"}) for n in range(300)])
    pasted = "\r\n  " + mine.proof.replace("\n", " \r\n") + "\r\n"
    for form in (mine.proof, pasted, json.dumps(mine.shown())):
        found = await checked(database, form)
        assert (found.finding, found.id, found.size) == ("holds", mine.id, 5)


@pytest.mark.parametrize(
    "text", ["hello", "{", "[1]", '{"proof": 3}', '{"a": "b"}', "c2sp.org/tlog-proof@v1\nindex 0\n\nx\n1\n"]
)
async def test_what_is_no_receipt_is_told_so(database: Database, text: str) -> None:
    found = await checked(database, text)
    assert (found.finding, found.holds, found.id) == ("unreadable", False, None)
    assert found.why.startswith("This is no receipt: ")


async def test_receipts_of_another_log_or_of_another_key_are_told_apart(database: Database) -> None:
    leaf = b'{"op":"test"}'
    digest = leaf_hash(leaf)
    for origin, signer, finding in (
        ("example.edu/bursar/99999999", SIGNER, "foreign"),
        (ORIGIN, Signer.generate(), "signature"),
    ):
        note = signer.sign(Checkpoint(origin, 1, digest).text, origin)
        mine = prove_entry(
            Leaves([digest]), entry=EntryId("0" * 32), index=0, leaf=leaf, leaf_hash=digest, note=note
        )
        found = await checked(database, mine.proof)
        assert (found.finding, found.id) == (finding, None)


async def test_a_receipt_that_was_altered_does_not_lead_to_the_root(database: Database) -> None:
    mine = (await receipt(database)).proof
    other = await receipt(database, 3)
    leaf = b64encode(other.leaf).decode()
    lines = mine.split("\n")
    altered = [
        mine.replace("index 2", "index 1"),
        mine.replace("index 2", "index 9"),
        "\n".join([lines[0], f"extra {leaf}", *lines[2:]]),
        "\n".join([*lines[:3], *lines[4:]]),
    ]
    for text in altered:
        assert text != mine
        assert (await checked(database, text)).finding == "proof"
    signed = mine.replace(f"\n{ORIGIN}\n5\n", f"\n{ORIGIN}\n6\n")
    assert (await checked(database, signed)).finding == "signature"


async def test_a_log_that_changed_since_is_told_by_the_receipt(database: Database) -> None:
    mine = (await receipt(database)).proof
    await database.write(free_of_triggers)

    async def overwrite(index: int, digest: bytes) -> None:
        change = sa.update(_entry).where(_entry.c.ix == index).values(leaf_hash=digest)
        await database.write(lambda conn: conn.execute(change).rowcount)

    true = (await receipt(database, 3)).leaf_hash
    await overwrite(3, bytes(32))
    found = await checked(database, mine)
    assert (found.finding, "first 5 entries are others" in found.why) == ("changed", True)
    await overwrite(3, true)
    assert (await checked(database, mine)).holds
    await overwrite(2, bytes(32))
    found = await checked(database, mine)
    assert (found.finding, "entry 2 is another now" in found.why) == ("changed", True)
    drop = sa.delete(_entry).where(_entry.c.ix == 2)
    await database.write(lambda conn: conn.execute(drop).rowcount)
    assert (await checked(database, mine)).finding == "missing"


async def test_a_receipt_of_what_an_epoch_tells_to_be_lost_says_where(database: Database) -> None:
    held = await receipt(database, 1)
    hashes = [(await receipt(database, each)).leaf_hash for each in range(5)]
    leaf = b'{"op":"lost"}'
    hashes += [leaf_hash(leaf), leaf_hash(b"{}")]
    note = SIGNER.sign(Checkpoint(ORIGIN, 7, Frontier().extend(hashes).root()).text, ORIGIN)
    mine = prove_entry(
        Leaves(hashes), entry=EntryId("0" * 32), index=5, leaf=leaf, leaf_hash=hashes[5], note=note
    )
    assert (await checked(database, mine.proof)).finding == "missing"
    await open_epoch(database, boot(), [Kept.parse(note)], told={"reason": "restored"})
    found = await checked(database, mine.proof)
    assert (found.finding, "began epoch 2" in found.why) == ("lost", True)
    assert (await checked(database, held.proof)).holds


async def test_a_receipt_without_its_content_is_held_to_the_hash_that_the_log_keeps(
    database: Database,
) -> None:
    mine = (await receipt(database)).proof.split("\n")
    bare = "\n".join([mine[0], *mine[2:]])
    assert (await checked(database, bare)).holds
    assert (await checked(database, bare.replace("index 2", "index 1"))).finding == "proof"
