from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.administration.changes import local_operator
from app.settings import load_settings
from app.storage.administering import initialise, open_administration
from tests.administration.adding import add_person

pytestmark = pytest.mark.anyio

ROLE = "bursar_app_of_test"
FORBIDDEN = (
    "UPDATE entry SET type = 'x'",
    "DELETE FROM entry",
    "TRUNCATE entry",
    "ALTER TABLE entry DISABLE TRIGGER ALL",
    "DROP TRIGGER entry_is_final ON entry",
    "DROP TABLE entry",
    "ALTER TABLE entry ADD COLUMN x integer",
    "CREATE OR REPLACE FUNCTION entry_is_final() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "UPDATE alembic_version SET version_num = 'x'",
)


async def test_the_role_that_serves_appends_to_the_log_and_can_do_no_more_to_it(
    postgres_url: str, tmp_path: Path
) -> None:
    owner = create_async_engine(postgres_url)
    async with owner.begin() as connection:
        await connection.execute(sa.text(f"DROP ROLE IF EXISTS {ROLE}"))
        await connection.execute(sa.text(f"CREATE ROLE {ROLE} LOGIN"))
    serving = make_url(postgres_url).set(username=ROLE).render_as_string(hide_password=False)
    settings = load_settings(
        {
            "BURSAR_DATA_DIR": str(tmp_path / "data"),
            "BURSAR_DATABASE_URL": serving,
            "BURSAR_MIGRATION_DATABASE_URL": postgres_url,
        }
    )
    for _ in range(2):
        await initialise(settings, local_operator(1), email="it@example.edu", wants_token=True)
    async with open_administration(settings) as office:
        await add_person(
            office.registry, office.mint, local_operator(1), email="a@b.c", name="A", roles=frozenset()
        )
        assert (await office.registry.log_size()).entries == 4
    engine = create_async_engine(serving)
    for statement in FORBIDDEN:
        with pytest.raises(sa.exc.DBAPIError):
            async with engine.begin() as connection:
                await connection.exec_driver_sql(statement)
    await engine.dispose()
    async with owner.begin() as connection:
        await connection.run_sync(_drop_role)
    await owner.dispose()


def _drop_role(conn: Connection) -> None:
    conn.exec_driver_sql(f"DROP OWNED BY {ROLE}")
    conn.exec_driver_sql(f"DROP ROLE {ROLE}")


async def test_setting_up_again_changes_nothing_but_a_fresh_token(database_url: str, tmp_path: Path) -> None:
    settings = load_settings({"BURSAR_DATA_DIR": str(tmp_path / "data"), "BURSAR_DATABASE_URL": database_url})
    first = await initialise(settings, local_operator(1))
    second = await initialise(settings, local_operator(1))
    assert (first.admin, first.token) == (second.admin, None)
    async with open_administration(settings) as office:
        assert (await office.registry.log_size()).entries == 1
