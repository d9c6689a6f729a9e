"""Erasing what a person asked: nothing that was kept of the database opens it again, and the tree stays.

T49 of the catalogue.
"""

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.administration.proposals import confirm, shown_proposals
from app.administration.state import State
from app.administration.upkeep import propose_erasure
from app.audit.entries import Draft
from app.audit.filters import Filter
from app.audit.offline import read_entry
from app.errors import BadSetting, Conflict, NotFound, NotPermitted
from app.ids import new_object_id
from app.sealing import MasterKey, SealBroken
from app.storage.engines import open_database
from app.storage.log import append, check_log
from app.storage.registry import SqlRegistry
from app.storage.seal_files import SealKeyFile
from app.storage.seals import SqlSeals, all_keys, objection, replace_keys, unwrap_blind, unwrap_seal
from app.storage.searching import find_places
from app.storage.tables import SealKeyRow, WrappingRow, table
from tests.assurance.stored_log import read_log
from tests.assurance.upkept import IT, OFFICER, ORIGIN, Kept, Shifted, begun
from tests.servers.postgres import PrivatePostgres
from tests.signing import SIGNER, boot

pytestmark = pytest.mark.anyio

CANARY = "canary-of-ada-5c1f"
ASKED = [{"username": CANARY}, {"username": CANARY, "more": CANARY + "x" * 9_000}]


@pytest.fixture
async def kept(database_url: str, tmp_path: Path) -> AsyncIterator[Kept]:
    opened = await begun(database_url, tmp_path / "data")
    yield opened
    await opened.database.close()


async def erased(kept: Kept, email: str = "ada@example.edu", month: str | None = None) -> None:
    proposal = await propose_erasure(kept.registry, OFFICER, email=email, month=month, new_id=new_object_id)
    await kept.by_two(proposal)
    kept.seals.forget()


def key_files(directory: Path) -> Iterator[MasterKey]:
    """Every key that any file of the installation holds, as it is or after decoding."""
    for path in directory.rglob("*"):
        if path.is_file() and path.stat().st_size < 1_000_000:
            for piece in path.read_bytes().replace(b'"', b"\n").split():
                for raw in (piece, _decoded(piece)):
                    if len(raw) == 32 and len(set(raw)) > 8:
                        yield MasterKey(raw)


def _decoded(piece: bytes) -> bytes:
    try:
        return base64.b64decode(piece, validate=True)
    except ValueError:
        return b""


def opens(keks: list[MasterKey], row: dict[str, Any]) -> bool:
    for kek in keks:
        try:
            (unwrap_seal if "kid" in row else unwrap_blind)(kek, row)
        except SealBroken:
            continue
        return True
    return False


def spellings(raw: bytes) -> list[bytes]:
    return [raw, raw.hex().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw)]


async def test_what_a_person_asked_is_gone_from_database_journal_and_backup(
    kept: Kept, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ids = [*await kept.ask("ada", ASKED, days_ago=40), *await kept.ask("ada", ASKED)]
    others = await kept.ask("bob", [{"username": "somebody"}])
    before = await kept.database.read(all_keys)
    old_kek = MasterKey.from_file(kept.directory / "seal.key")
    old_text = (kept.directory / "seal.key").read_bytes().strip()
    raw_keys = [unwrap_seal(old_kek, row) for row in before if row.get("person") == "ada"]
    assert len(raw_keys) == 2
    backup = tmp_path / "backup"
    backup.mkdir()
    places = [kept.directory, backup]
    if kept.database.dialect == "sqlite":
        file = Path(kept.url.partition(":///")[2])
        with sqlite3.connect(file) as source, sqlite3.connect(backup / "bursar.db") as target:
            source.backup(target)
        for each in file.parent.glob(file.name + "*"):
            (backup / f"copy-{each.name}").write_bytes(each.read_bytes())
        places.append(file.parent)
    else:
        server: PrivatePostgres = request.getfixturevalue("postgres_server")
        dump = server.dump(kept.url.rpartition("/")[2])
        (backup / "dump.sql").write_text(dump)
        assert all(bytes(row["wrapped"]).hex() in dump for row in before)
        places.append(server._data)
    tags = await kept.seals.tags("username", CANARY, since_us=None, until_us=None)
    # Whoever had asked before could read it: the same look finds it, so what is not found below is gone.
    assert opens(list(key_files(kept.directory)), before[0])
    for entry in ids:
        assert CANARY in (await kept.seals.question(entry))[1]

    await erased(kept)

    for entry in ids:
        with pytest.raises(Conflict, match="destroyed"):
            await kept.seals.question(entry)
    assert "somebody" in (await kept.seals.question(others[0]))[1]
    # Nor does a guess find the entries any more, with all the keys that are left.
    left = await kept.seals.tags("username", CANARY, since_us=None, until_us=None)
    assert (len(tags), len(left)) == (3, 1)
    assert (
        await kept.database.read(lambda conn: find_places(conn, Filter(about=(left,)), before=None, limit=9))
        == []
    )
    keks = list(key_files(kept.directory))
    assert MasterKey.from_file(kept.directory / "seal.key").fingerprint in {kek.fingerprint for kek in keks}
    for row in before:
        assert not opens(keks, row), "a key of a backup is opened by what is left"
    wanted = [CANARY.encode(), old_text, *(text for raw in raw_keys for text in spellings(raw))]
    for place in places:
        for path in place.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert [text for text in wanted if text in content] == [], path
    size = await kept.database.read(lambda conn: check_log(conn, SIGNER))
    report = (await read_log(kept.url, SIGNER.verifier(ORIGIN).public)).verified()
    assert (report.problems, report.size) == ([], size)


async def test_one_month_is_erased_alone_and_the_person_gets_a_new_key(kept: Kept) -> None:
    (old,), (new,) = (
        await kept.ask("ada", ASKED[:1], days_ago=40),
        await kept.ask("ada", ASKED[:1]),
    )
    month = f"{Shifted(40).now():%Y-%m}"
    await erased(kept, month=month)
    with pytest.raises(Conflict):
        await kept.seals.question(old)
    assert CANARY in (await kept.seals.question(new))[1]
    kid = (await kept.seals.keys_for("ada")).kid
    await erased(kept)
    assert (await kept.seals.keys_for("ada")).kid != kid
    (again,) = await kept.ask("ada", ASKED[:1])
    assert CANARY in (await kept.seals.question(again))[1]


async def test_the_log_says_which_keys_were_destroyed_and_who_agreed(kept: Kept) -> None:
    await kept.ask("ada", ASKED)
    kid = (await kept.seals.keys_for("ada")).kid
    await erased(kept)
    rows = (await read_log(kept.url, SIGNER.verifier(ORIGIN).public)).rows
    entries = [read_entry(row.leaf) for row in rows if row.leaf]
    (entry,) = [each for each in entries if each["type"] == "key"]
    assert entry["destroyed"] == {"kids": [kid], "months": []}
    assert (entry["person"], entry["proposed_by"], entry["actor"]["principal"]) == ("ada", "person:dpo", "it")
    (proposal,) = (await kept.registry.state()).proposals
    assert entry["proposal"] == proposal.id


async def test_nobody_erases_alone(kept: Kept) -> None:
    (entry,) = await kept.ask("ada", ASKED[:1])
    ada = "ada@example.edu"
    proposal = await propose_erasure(kept.registry, OFFICER, email=ada, month=None, new_id=new_object_id)
    same = await propose_erasure(kept.registry, IT, email="ada", month=None, new_id=new_object_id)
    assert same == proposal
    with pytest.raises(NotPermitted, match="yourself"):
        await confirm(kept.registry, OFFICER, proposal_id=proposal.id)
    assert CANARY in (await kept.seals.question(entry))[1]
    with pytest.raises(NotFound):
        await propose_erasure(kept.registry, IT, email="nobody", month=None, new_id=new_object_id)
    state: State = await kept.registry.state()
    (shown,) = shown_proposals(state)
    assert (shown["what"], shown["about"]) == ("audit.erase", "ada@example.edu, all months")


async def test_there_is_nothing_to_erase_twice(kept: Kept) -> None:
    await kept.ask("ada", ASKED)
    await erased(kept)
    with pytest.raises(Conflict, match="nothing"):
        await erased(kept)
    await kept.ask("ada", ASKED)
    await erased(kept)


async def test_a_database_from_before_gets_the_keys_that_were_left_and_no_other(kept: Kept) -> None:
    (gone,), (left,) = await kept.ask("ada", ASKED[:1]), await kept.ask("bob", [{"username": "somebody"}])
    before = await kept.database.read(all_keys)
    old = before[0]["kek"]
    await erased(kept)
    # As a restore of these tables would: the rows of before, under the wrapping of before.
    await kept.database.write(lambda conn: replace_keys(conn, before, kek=old, now_us=1))
    restored = SqlSeals(database=kept.database, file=kept.file, clock=Shifted(0))
    await restored.start()
    with pytest.raises(Conflict, match="destroyed"):
        await restored.question(gone)
    assert "somebody" in (await restored.question(left))[1]


async def test_keys_that_the_log_calls_destroyed_are_destroyed_again(kept: Kept) -> None:
    await kept.ask("ada", ASKED)
    (row,) = [row for row in await kept.database.read(all_keys) if row.get("person") == "ada"]
    draft = {"destroyed": {"kids": [row["kid"]], "months": []}}
    await append(kept.database, boot(), [Draft(type="key", fields=draft)])
    await kept.seals.start()
    rows = await kept.database.read(lambda conn: conn.execute(sa.select(table(SealKeyRow))).all())
    assert rows == []


async def test_keys_that_are_made_while_one_is_erased_are_not_lost(kept: Kept) -> None:
    await kept.ask("ada", ASKED[:1])
    people = [f"p{number}" for number in range(12)]
    erasing = asyncio.create_task(erased(kept))
    asked = await asyncio.gather(*(kept.ask(person, [{"username": person}]) for person in people))
    await erasing
    for person, (entry,) in zip(people, asked, strict=True):
        assert person in (await kept.seals.question(entry))[1]


async def test_two_erasures_at_once_leave_everybody_else_their_keys(kept: Kept) -> None:
    (left,) = await kept.ask("cleo", [{"username": "somebody"}])
    for person in ("ada", "bob"):
        await kept.ask(person, ASKED[:1])
    others = [
        SqlRegistry(database=open_database(kept.url), boot=boot(run=run * 16), seal_file=kept.file)
        for run in "ab"
    ]
    proposals = [
        await propose_erasure(kept.registry, OFFICER, email=email, month=None, new_id=new_object_id)
        for email in ("ada", "bob")
    ]
    await asyncio.gather(
        *(
            confirm(each, IT, proposal_id=proposal.id)
            for each, proposal in zip(others, proposals, strict=True)
        )
    )
    for each in others:
        await each._database.close()
    again = SqlSeals(database=kept.database, file=kept.file, clock=Shifted(0))
    await again.start()
    assert "somebody" in (await again.question(left))[1]
    assert {row.get("person") for row in await kept.database.read(all_keys)} == {"cleo", None}
    assert sorted(path.name for path in kept.directory.iterdir()) == ["seal.key", "seal.keys"]


@pytest.mark.parametrize("is_committed", [False, True])
async def test_a_process_that_dies_while_it_erases_leaves_one_key_in_force(
    kept: Kept, *, is_committed: bool
) -> None:
    (entry,) = await kept.ask("ada", ASKED[:1])
    proposal = await propose_erasure(kept.registry, OFFICER, email="ada", month=None, new_id=new_object_id)

    class Dying(SealKeyFile):
        is_prepared = False

        def settle(self, fingerprint: str) -> None:
            if self.is_prepared:
                raise RuntimeError("killed after the commit")
            super().settle(fingerprint)

        def prepare_wrapped(self, rows: Any) -> None:
            super().prepare_wrapped(rows)
            self.is_prepared = True
            if not is_committed:
                raise RuntimeError("killed before the commit")

    kept.registry._seal_file = Dying(kept.directory / "seal.key")
    with pytest.raises(RuntimeError, match="killed"):
        await confirm(kept.registry, IT, proposal_id=proposal.id)
    assert (kept.directory / "seal.key.next").exists()
    again = SqlSeals(database=kept.database, file=kept.file, clock=Shifted(0))
    await again.start()
    assert sorted(path.name for path in kept.directory.glob("seal.key?*")) in (
        [],
        ["seal.keys"],
        ["seal.keys.next"],
    )
    kek = await kept.database.read(
        lambda conn: conn.execute(sa.select(table(WrappingRow).c.kek)).scalar_one()
    )
    assert MasterKey.from_file(kept.directory / "seal.key").fingerprint == kek
    if is_committed:
        with pytest.raises(Conflict):
            await again.question(entry)
    else:
        assert CANARY in (await again.question(entry))[1]
    await again.keys_for("bob")


async def test_without_its_file_nothing_is_sealed_under_a_new_one(kept: Kept) -> None:
    await kept.ask("ada", ASKED)
    assert await kept.database.read(lambda conn: objection(conn, kept.file)) is None
    (kept.directory / "seal.key").unlink()
    told = await kept.database.read(lambda conn: objection(conn, kept.file))
    assert told is not None
    assert "seal.key does not hold" in told
    database = open_database(kept.url)
    with pytest.raises(BadSetting, match=r"seal\.key"):
        await SqlSeals(database=database, file=kept.file, clock=Shifted(0)).start()
    await database.close()
    assert not (kept.directory / "seal.key").exists()
