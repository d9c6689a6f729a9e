"""Keys of sealed questions in the database, and the file that wraps them."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.audit.entries import Draft
from app.audit.filters import Filter
from app.audit.questions import tag
from app.errors import AuditUnavailable, BadSetting, Conflict, NotFound
from app.ids import new_entry_id
from app.query import Page, ResearchQuery
from app.sealing import MasterKey, following
from app.storage.engines import Database, open_database
from app.storage.log import append
from app.storage.seal_files import SealKeyFile
from app.storage.seals import SqlSeals, all_keys
from app.storage.searching import find_places
from app.storage.tables import SealKeyRow, table
from tests.conftest import require
from tests.servers.small_disk import SmallDisk
from tests.signing import boot

pytestmark = pytest.mark.anyio


class Calendar:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = dt.datetime(2026, 5, 20, tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        return self.at

    def monotonic_s(self) -> float:
        return 0.0


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Calendar:
    return Calendar()


async def opened(database: Database, path: Path, clock: Calendar) -> SqlSeals:
    seals = SqlSeals(database=database, file=SealKeyFile(path / "seal.key"), clock=clock)
    await seals.start()
    return seals


def query(asked: Mapping[str, object]) -> ResearchQuery:
    question = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return ResearchQuery(endpoint="user/info", question=question, fields=(), page=Page())


async def asked(database: Database, seals: SqlSeals, person: str, question: Mapping[str, object]) -> str:
    """The id of an entry with that question."""
    entry = new_entry_id()
    keys = await seals.keys_for(person)
    sealed = keys.sealed(query(question), entry=entry, entry_type="decision")
    fields = {"actor": {"principal": person}, **sealed.fields}
    await append(database, boot(), [Draft(type="decision", fields=fields, id=entry, kept=sealed.kept)])
    return entry


async def test_a_person_has_one_key_a_month_whoever_asks_first(
    database: Database, tmp_path: Path, clock: Calendar
) -> None:
    several = [await opened(database, tmp_path, clock) for _ in range(3)]
    kids = {
        keys.kid
        for keys in await asyncio.gather(*(seals.keys_for(who) for seals in several for who in ("p1", "p2")))
    }
    assert len(kids) == 2
    clock.at += dt.timedelta(days=20)
    assert (await several[0].keys_for("p1")).kid not in kids
    rows = await database.read(all_keys)
    assert sorted(row["month"] for row in rows if "kid" not in row) == ["2026-05", "2026-06"]
    assert len([row for row in rows if "kid" in row]) == 3


async def test_short_and_long_questions_are_opened_again(
    database: Database, tmp_path: Path, clock: Calendar
) -> None:
    seals = await opened(database, tmp_path, clock)
    for question in ({"username": "alice"}, {"username": "alice", "more": "x" * 20_000}):
        entry = await asked(database, seals, "p1", question)
        # Another process, which has made no key itself.
        other = await opened(database, tmp_path, clock)
        found, text = await other.question(entry)
        assert (found.id, json.loads(text)) == (entry, question)
        assert b"alice" not in found.leaf
    with pytest.raises(NotFound):
        await seals.question("0" * 32)


async def test_without_its_row_a_question_is_gone(
    database: Database, tmp_path: Path, clock: Calendar
) -> None:
    seals = await opened(database, tmp_path, clock)
    entry = await asked(database, seals, "p1", {"username": "alice"})
    await database.write(lambda conn: conn.execute(sa.delete(table(SealKeyRow))).rowcount)
    with pytest.raises(Conflict, match="destroyed"):
        await seals.question(entry)


async def test_entries_are_found_by_what_they_name_in_any_month(
    database: Database, tmp_path: Path, clock: Calendar
) -> None:
    seals = await opened(database, tmp_path, clock)
    for month in (5, 6, 7):
        clock.at = dt.datetime(2026, month, 15, tzinfo=dt.UTC)
        await asked(database, seals, "p1", {"username": "alice"})
        await asked(database, seals, "p2", {"username": "bob", "video_id": month})
        await asked(database, seals, "p2", {"category": "user", "file_data": "\n".join(map(str, range(99)))})
    tags = await seals.tags("username", "@ALICE", since_us=None, until_us=None)
    assert len(set(tags)) == 6  # of two people in three months

    async def places(*named: tuple[str, str]) -> list[int]:
        about = [await seals.tags(*each, since_us=None, until_us=None) for each in named]
        return await database.read(
            lambda conn: find_places(conn, Filter(about=about), before=None, limit=100)
        )

    assert await places(("username", "alice")) == [6, 3, 0]
    assert await places(("username", "Bob"), ("video_id", "6")) == [4]
    assert await places(("username", "alice"), ("video_id", "6")) == []
    for number in range(99):
        assert await places(("username", str(number))) == [8, 5, 2]
    june = int(dt.datetime(2026, 6, 10, tzinfo=dt.UTC).timestamp() * 1_000_000)
    assert len(await seals.tags("username", "alice", since_us=june, until_us=june)) == 2


async def test_another_wrapping_key_is_refused_and_none_is_made_in_its_place(
    database: Database, tmp_path: Path, clock: Calendar
) -> None:
    await (await opened(database, tmp_path, clock)).keys_for("p1")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(BadSetting, match=r"seal\.key"):
        await opened(database, elsewhere, clock)
    assert list(elsewhere.iterdir()) == []
    MasterKey.write_new(elsewhere / "seal.key")
    with pytest.raises(BadSetting, match=r"seal\.key"):
        await opened(database, elsewhere, clock)
    unstarted = SqlSeals(database=database, file=SealKeyFile(elsewhere / "seal.key"), clock=clock)
    with pytest.raises(AuditUnavailable, match=r"seal\.key"):
        await unstarted.keys_for("p2")


def test_tags_differ_by_kind_and_key() -> None:
    assert len({tag(key, kind, "12") for key in (b"a", b"b") for kind in ("video_id", "user_id")}) == 4


async def test_a_linked_file_is_followed_and_never_replaced_where_it_is_read_only(
    database: Database, clock: Calendar, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    mounted, link = tmp_path / "keys", tmp_path / "data" / "seal.key"
    require(SmallDisk.may_be_mounted(mounted), "the right to mount")
    with SmallDisk(mounted, megabytes=1) as disk:
        link.symlink_to(mounted / "seal.key")
        await opened(database, mounted, clock)
        disk.freeze()
        seals = await opened(database, tmp_path / "data", clock)
        assert (await seals.keys_for("p1")).month == "2026-05"
        with pytest.raises(Conflict, match="read-only"):
            SealKeyFile(link).prepare()
        assert link.is_symlink()
        assert not following(link).exists()
