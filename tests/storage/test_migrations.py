from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from app.audit.entries import Draft
from app.audit.tree import Frontier
from app.errors import BadSetting, NotReady, StoreUnavailable
from app.storage.engines import open_database
from app.storage.log import append
from app.storage.schema import Ahead, Current, Missing, migrate, schema_state
from app.storage.tables import HeadRow, table
from tests.signing import boot

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def in_write(url: str, work: Callable[[Connection], T]) -> T:
    database = open_database(url)
    try:
        return await database.write(work)
    finally:
        await database.close()


def execute(statement: str) -> Callable[[Connection], int]:
    return lambda conn: conn.exec_driver_sql(statement).rowcount


async def test_migrations_lead_to_exactly_the_tables_of_the_program(database_url: str) -> None:
    await migrate(database_url)

    def differences(conn: Connection) -> list[object]:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        return list(compare_metadata(context, SQLModel.metadata))

    assert await in_write(database_url, differences) == []


async def test_checks_of_the_tables_are_in_the_migrations_too(database_url: str) -> None:
    # Alembic does not compare check constraints.
    await migrate(database_url)

    def overdraw(conn: Connection) -> None:
        conn.exec_driver_sql("INSERT INTO counter VALUES ('project', 'p', 'requests', '2026-01-01', -1, 0)")

    with pytest.raises(sa.exc.IntegrityError):
        await in_write(database_url, overdraw)


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    first = await migrate(database_url)
    assert await migrate(database_url) == first
    assert await schema_state(database_url) == Current(first)


async def test_a_database_without_tables_is_missing_and_stays_so(database_url: str, tmp_path: Path) -> None:
    assert await schema_state(database_url) == Missing()
    absent = tmp_path / "nothing" / "here.db"
    assert await schema_state(f"sqlite+aiosqlite:///{absent}") == Missing()
    assert not absent.parent.exists()


async def test_a_revision_of_a_newer_release_is_recognised(database_url: str) -> None:
    await migrate(database_url)
    rename = sa.text("UPDATE alembic_version SET version_num = 'from the future'")
    await in_write(database_url, lambda conn: conn.execute(rename).rowcount)
    assert await schema_state(database_url) == Ahead("from the future")
    with pytest.raises(NotReady, match="of a newer release"):
        await migrate(database_url)
    assert await schema_state(database_url) == Ahead("from the future")


async def test_the_log_begins_empty(database_url: str) -> None:
    await migrate(database_url)
    head = await in_write(database_url, lambda conn: conn.execute(sa.select(table(HeadRow))).one())
    assert (head.id, head.size, head.last_ts_us, head.revision) == (1, 0, 0, 1)
    assert Frontier.from_bytes(head.frontier) == Frontier()


async def test_the_database_itself_refuses_to_change_or_drop_an_entry(database_url: str) -> None:
    await migrate(database_url)
    database = open_database(database_url)
    await append(database, boot("r", "b"), [Draft(type="admin", fields={"op": "test"})])
    statements = ["UPDATE entry SET type = 'x'", "DELETE FROM entry"]
    if database.dialect == "postgresql":
        statements.append("TRUNCATE entry")
    await database.close()
    for statement in statements:
        with pytest.raises((sa.exc.IntegrityError, StoreUnavailable)):
            await in_write(database_url, execute(statement))
    count = await in_write(
        database_url, lambda conn: conn.execute(sa.text("SELECT count(*) FROM entry")).scalar_one()
    )
    assert count == 1


async def test_a_database_that_does_not_answer_is_not_ready() -> None:
    with pytest.raises(NotReady, match="BURSAR_DATABASE_URL"):
        await schema_state("postgresql+asyncpg://nobody@127.0.0.1:9/none")


async def test_a_server_that_refuses_is_told_from_one_that_is_away(postgres_url: str) -> None:
    url = make_url(postgres_url)
    with pytest.raises(
        NotReady, match="refused the user or the password; check BURSAR_DATABASE_URL"
    ) as refused:
        await schema_state(text_of(url.set(username="nobody", password="hush")))
    assert "hush" not in refused.value.message
    with pytest.raises(NotReady, match="no database of that name; check BURSAR_DATABASE_URL"):
        await schema_state(text_of(url.set(database="none")))


async def test_a_role_that_may_make_no_tables_is_told_to_be_none_of_the_owners(postgres_url: str) -> None:
    engine = create_async_engine(postgres_url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.exec_driver_sql("CREATE ROLE bursar_guest LOGIN")
        await connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        try:
            guest = text_of(make_url(postgres_url).set(username="bursar_guest"))
            with pytest.raises(NotReady, match=r"bursar_guest may not .* BURSAR_MIGRATION_DATABASE_URL"):
                await migrate(guest)
        finally:
            await connection.exec_driver_sql("DROP ROLE bursar_guest")
    await engine.dispose()


async def test_a_url_as_other_programs_write_it_is_understood(postgres_url: str) -> None:
    plain = text_of(make_url(postgres_url).set(drivername="postgresql", query={"sslmode": "prefer"}))
    await migrate(plain)
    database = open_database(plain)
    try:
        assert await database.read(lambda conn: conn.execute(sa.text("SELECT 1")).scalar_one()) == 1
    finally:
        await database.close()
    with pytest.raises(NotReady):  # a server without TLS, asked for nothing less
        await schema_state(plain.replace("prefer", "require"))


def test_an_option_of_the_url_that_the_driver_does_not_know_is_named() -> None:
    with pytest.raises(BadSetting, match=r"'connect_timeout' .* it takes sslmode"):
        open_database("postgresql://app@db.example.edu/bursar?sslmode=require&connect_timeout=5")


def text_of(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


async def test_other_kinds_of_database_are_refused() -> None:
    with pytest.raises(BadSetting):
        await schema_state("mysql://root@127.0.0.1/x")
