"""Floors, raises, thresholds and the platform's own word, inside the books' transaction, on both databases."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.audit.entries import Draft
from app.books import Intent, PlatformSays, PlatformSpent, Reservation, Superseded, UnderWay
from app.clock import SystemClock
from app.provider.charge import Charge
from app.provider.endpoint import QuotaFamily
from app.quota.arithmetic import Exhausted, Standing
from app.quota.limits import Owners, wants_of
from app.storage.books import SqlBooks
from app.storage.engines import Database, open_database
from app.storage.tables import (
    CredentialRow,
    LimitRow,
    MirrorRow,
    NoticeRow,
    ProjectRow,
    RaiseRow,
    table,
)
from tests.signing import boot

pytestmark = pytest.mark.anyio

MAIN, GRAPH = QuotaFamily.MAIN, QuotaFamily.GRAPH
A_DAY_US = 86_400_000_000


def owners(project: str, member: str = "m", credential: str = "c") -> Owners:
    return {"credential": credential, "project": project, "membership": member, "key": "k"}


def _add_credential(conn: Connection, name: str, projects: Mapping[str, int]) -> None:
    """A credential, and its projects with the years in which their approvals end."""
    conn.execute(
        sa.insert(table(CredentialRow)).values(
            id=name, name=name, base_url="http://127.0.0.1", wrapped_key=b"", sealed_client_key=b"",
            sealed_client_secret=b"", secret_digest=b"", roster_limit=10, permission={}, created_us=0,
        )
    )  # fmt: skip
    for project, until in projects.items():
        conn.execute(
            sa.insert(table(ProjectRow)).values(
                id=project, name=project, credential_id=name, approval_reference="R", lead_id=None,
                approved_from=dt.date(2000, 1, 1), approved_until=dt.date(until, 1, 1), cache_scope="project",
                allow={}, wrapped_data_key=b"", created_us=0,
            )
        )  # fmt: skip


def _directory(conn: Connection) -> None:
    _add_credential(conn, "c", {"greedy": 2999, "modest": 2999, "ended": 2001})


def limit(kind: str, scope: str, amount: int, dimension: str = "requests", window: str = "day") -> Any:
    values = {"scope_kind": kind, "scope_id": scope, "dimension": dimension, "window": window}
    return sa.insert(table(LimitRow)).values(**values, amount=amount)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    await opened.write(_directory)
    yield opened
    await opened.close()


@pytest.fixture
async def books(database: Database) -> AsyncIterator[SqlBooks]:
    opened = SqlBooks(database=database, clock=SystemClock(), boot=boot("replica", "boot"))
    await opened.start()
    yield opened
    await opened.stop()


async def write(database: Database, *statements: Any) -> None:
    await database.write(lambda conn: [conn.execute(each) for each in statements])


async def rows(database: Database, kind: Any) -> list[dict[str, Any]]:
    def work(conn: Connection) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(sa.select(table(kind))).mappings()]

    return await database.read(work)


async def ask(
    books: SqlBooks, project: str, *, records: int = 20, family: QuotaFamily = MAIN, credential: str = "c"
) -> Reservation | Exhausted | PlatformSpent | Superseded | UnderWay:
    whose = owners(project, credential=credential)
    draft = Draft(type="intent", fields={"op": "video/query"})
    intent = Intent(draft=draft, lease_s=30, revision=1, owners=whose, family=family)
    return await books.open_call(wants_of(family, requests=1, records=records, **whose), intent)


async def answer(books: SqlBooks, opened: object, says: PlatformSays | None) -> None:
    assert isinstance(opened, Reservation)
    draft = Draft(type="outcome", fields={"op": "video/query"})
    await books.close_call(opened, Charge(requests=1, records=5), draft, says=says)


async def taken(books: SqlBooks, project: str) -> int:
    granted = 0
    while isinstance(await ask(books, project, records=0), Reservation):
        granted += 1
    return granted


async def test_a_project_gets_its_floor_whatever_another_has_taken(
    books: SqlBooks, database: Database
) -> None:
    await write(database, limit("credential", "c", 10), limit("floor", "modest", 4))
    assert await taken(books, "greedy") == 6
    refused = await ask(books, "greedy")
    assert isinstance(refused, Exhausted)
    assert (refused.left, refused.kept) == (0, 4)
    assert await taken(books, "modest") == 4
    assert await taken(books, "greedy") == 0


async def test_what_a_project_takes_beyond_its_floor_is_open_to_all(
    books: SqlBooks, database: Database
) -> None:
    await write(database, limit("credential", "c", 10), limit("floor", "modest", 4))
    for _ in range(7):
        assert isinstance(await ask(books, "modest", records=0), Reservation)
    assert await taken(books, "greedy") == 3


async def test_the_floor_of_a_project_that_has_ended_binds_nobody(
    books: SqlBooks, database: Database
) -> None:
    await write(database, limit("credential", "c", 5), limit("floor", "ended", 4))
    assert await taken(books, "greedy") == 5


async def test_the_floors_of_another_credential_bind_nobody_in_the_same_commit(
    books: SqlBooks, database: Database
) -> None:
    await database.write(lambda conn: _add_credential(conn, "d", {"elsewhere": 2999}))
    await write(database, limit("credential", "c", 1), limit("floor", "elsewhere", 4))
    both = await asyncio.gather(ask(books, "elsewhere", credential="d"), ask(books, "greedy"))
    assert [isinstance(each, Reservation) for each in both] == [True, True]


async def test_floors_are_kept_by_dimension(books: SqlBooks, database: Database) -> None:
    await write(
        database,
        limit("credential", "c", 10),
        limit("credential", "c", 100, dimension="records"),
        limit("floor", "modest", 60, dimension="records"),
    )
    assert isinstance(await ask(books, "greedy", records=40), Reservation)
    refused = await ask(books, "greedy", records=1)
    assert isinstance(refused, Exhausted)
    assert refused.limit.dimension == "records"
    assert isinstance(await ask(books, "modest", records=60), Reservation)


async def test_nobody_is_told_that_they_have_left_what_is_kept_for_others(
    books: SqlBooks, database: Database
) -> None:
    await write(database, limit("credential", "c", 10), limit("floor", "modest", 4))
    granted = await ask(books, "greedy")
    assert isinstance(granted, Reservation)
    asked = await _standings(books, database)
    assert [[each.left for each in told] for told in (granted.standings, asked)] == [[5], [5]]
    of_modest = await ask(books, "modest")
    assert isinstance(of_modest, Reservation)
    assert [each.left for each in of_modest.standings] == [8]


def _raise(kind: str, scope: str, amount: int, *, now_us: int, since: int = -1, until: int = 1) -> Any:
    return sa.insert(table(RaiseRow)).values(
        id=f"{kind}{scope}{since}{until}", scope_kind=kind, scope_id=scope, dimension="requests", window="day",
        amount=amount, from_us=now_us + since * A_DAY_US, until_us=now_us + until * A_DAY_US, reason="why",
        granted_by="os:0", created_us=0,
    )  # fmt: skip


async def test_a_raise_counts_while_it_lasts_and_no_longer(books: SqlBooks, database: Database) -> None:
    now_us = await database.read(database.now_us)
    await write(
        database,
        limit("project", "greedy", 3),
        _raise("project", "greedy", 2, now_us=now_us),
        _raise("project", "greedy", 50, now_us=now_us, since=-3, until=-1),
        _raise("project", "greedy", 50, now_us=now_us, since=1, until=3),
        _raise("project", "modest", 50, now_us=now_us),
    )
    assert await taken(books, "greedy") == 5
    await write(database, sa.update(table(RaiseRow)).values(until_us=now_us - 1))
    standings: tuple[Standing, ...] = await _standings(books, database)
    assert [(each.limit.amount, each.used + each.reserved, each.left) for each in standings] == [(3, 5, 0)]


async def _standings(books: SqlBooks, database: Database) -> tuple[Standing, ...]:
    fresh = SqlBooks(database=database, clock=SystemClock(), boot=boot("replica", "boot"))
    return await fresh.standings(**owners("greedy"))


async def test_a_member_can_be_raised_above_the_limit_of_every_member(
    books: SqlBooks, database: Database
) -> None:
    now_us = await database.read(database.now_us)
    await write(database, limit("each_member", "greedy", 2), _raise("member", "m", 1, now_us=now_us))
    assert await taken(books, "greedy") == 3


async def test_each_threshold_is_noted_once(books: SqlBooks, database: Database) -> None:
    await write(database, limit("project", "greedy", 4))
    for _ in range(4):
        await answer(books, await ask(books, "greedy"), None)
    await answer_nothing(books)
    noted = [row["about"] for row in await rows(database, NoticeRow)]
    assert sorted((each["percent"], each["taken"], each["amount"]) for each in noted) == [
        (50, 2, 4),
        (80, 4, 4),
        (100, 4, 4),
    ]
    assert {each["scope"]["id"] for each in noted} == {"greedy"}
    # The same again after a raise: the window is the same, so nobody is told twice.
    await write(database, sa.update(table(LimitRow)).values(amount=8))
    for _ in range(4):
        await answer(books, await ask(books, "greedy"), None)
    assert len(await rows(database, NoticeRow)) == 3


async def test_a_limit_lowered_to_what_is_taken_is_told_once_at_the_first_refusal(
    books: SqlBooks, database: Database
) -> None:
    await write(database, limit("project", "greedy", 100))
    for _ in range(3):
        await answer(books, await ask(books, "greedy"), None)
    assert await rows(database, NoticeRow) == []
    await write(database, sa.update(table(LimitRow)).values(amount=2))
    for _ in range(3):
        await answer_nothing(books)
    (noted,) = [row["about"] for row in await rows(database, NoticeRow)]
    assert (noted["percent"], noted["taken"], noted["amount"], noted["scope"]["id"]) == (100, 3, 2, "greedy")


async def test_a_limit_of_nothing_that_refuses_is_not_told_as_taken(
    books: SqlBooks, database: Database
) -> None:
    await write(database, limit("project", "greedy", 0))
    await answer_nothing(books)
    assert await rows(database, NoticeRow) == []


async def answer_nothing(books: SqlBooks) -> None:
    assert isinstance(await ask(books, "greedy"), Exhausted)


async def test_the_platforms_word_is_believed_until_its_day_ends(books: SqlBooks, database: Database) -> None:
    await write(database, limit("credential", "c", 1000))
    first, second = await ask(books, "greedy"), await ask(books, "modest")
    await answer(books, first, PlatformSays.SPENT)
    refused = await ask(books, "modest")
    assert isinstance(refused, PlatformSpent)
    assert (refused.mirror.counted_calls, refused.mirror.probes) == (2, 0)
    assert isinstance(await ask(books, "greedy", family=GRAPH), Reservation)
    # What was under way and is answered all the same is no reason to go on.
    await answer(books, second, PlatformSays.ROOM)
    assert isinstance(await ask(books, "modest"), PlatformSpent)
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2)
    await write(database, sa.update(table(MirrorRow)).values(day=yesterday))
    assert isinstance(await ask(books, "modest"), Reservation)


async def test_one_probe_goes_at_a_time_and_the_next_one_later(books: SqlBooks, database: Database) -> None:
    await answer(books, await ask(books, "greedy"), PlatformSays.SPENT)
    await write(database, sa.update(table(MirrorRow)).values(next_probe_us=0))
    probe = await ask(books, "greedy")
    assert isinstance(probe, Reservation)
    assert probe.is_probe
    assert isinstance(await ask(books, "modest"), PlatformSpent)
    await answer(books, probe, PlatformSays.SPENT)
    (kept,) = await rows(database, MirrorRow)
    assert kept["probes"] == 1
    assert kept["next_probe_us"] - kept["said_us"] > 29 * 60 * 1_000_000
    await write(database, sa.update(table(MirrorRow)).values(next_probe_us=0))
    await answer(books, await ask(books, "greedy"), PlatformSays.ROOM)
    assert await rows(database, MirrorRow) == []
    assert isinstance(await ask(books, "modest"), Reservation)


async def test_a_probe_for_which_there_is_no_room_is_not_used_up(books: SqlBooks, database: Database) -> None:
    await write(database, limit("project", "greedy", 1))
    await answer(books, await ask(books, "greedy"), PlatformSays.SPENT)
    await write(database, sa.update(table(MirrorRow)).values(next_probe_us=0))
    assert isinstance(await ask(books, "greedy"), Exhausted)
    probe = await ask(books, "modest")
    assert isinstance(probe, Reservation)
    assert probe.is_probe
