"""The schema of the database: bringing it to the newest revision, and saying where it is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from app.errors import NotReady
from app.storage.engines import parse_url, sqlite_engine
from app.storage.tables import (
    AboutRow,
    EntryRow,
    EpochRow,
    FactRow,
    FurtherAboutRow,
    HeadRow,
    SealedQuestionRow,
    TreeNodeRow,
)

T = TypeVar("T")

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_VERBS: Final = {
    # Entries come in through audit_append alone, and what stands for them never changes; the content of old
    # ones goes through audit_prune and audit_empty.
    EntryRow.__tablename__: "SELECT",
    FactRow.__tablename__: "SELECT",
    AboutRow.__tablename__: "SELECT",
    FurtherAboutRow.__tablename__: "SELECT, INSERT",
    SealedQuestionRow.__tablename__: "SELECT, INSERT",
    TreeNodeRow.__tablename__: "SELECT, INSERT",
    EpochRow.__tablename__: "SELECT, INSERT",
    HeadRow.__tablename__: "SELECT, UPDATE (size, frontier, last_ts_us, revision, origin, checkpoint)",
}
"""What the role that serves may do, where it may not do everything."""
_CONNECT_TIMEOUT_S: Final = 5
# Any number will do, as long as every process that migrates asks for the same lock.
_MIGRATION_LOCK: Final = 0x62757273


@dataclass(frozen=True, slots=True)
class Current:
    """The schema is the one that this program was written for."""

    revision: str


@dataclass(frozen=True, slots=True)
class Behind:
    """The schema is an older one: run `bursar migrate`."""

    revision: str


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no schema yet: run `bursar init`."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """The schema is one that this program does not know: it belongs to a newer release."""

    revision: str

    @property
    def message(self) -> str:
        """Why nothing runs on it, and what to do; no migration leads back."""
        return (
            f"The database's schema ({self.revision}) is of a newer release than this program: install that release "
            "again, or restore the backup that was made before it."
        )


SchemaState = Current | Behind | Missing | Ahead


async def migrate(url: str, *, app_role: str | None = None) -> str:
    """The newest revision, which the database at `url` has on return; all steps or none.

    `app_role` is the role that serves on PostgreSQL, where it is not the one that migrates: it may read and
    write rows, may append to the log, and can neither change an entry nor a table. Raises BadSetting for a URL of another kind, NotReady when the database does not answer or is of a newer release.
    """

    def work(conn: Connection) -> None:
        _upgrade(conn)
        if app_role is not None and conn.dialect.name == "postgresql":
            _grant(conn, app_role)

    await _run(url, work, begin="BEGIN IMMEDIATE")
    return _newest()


async def schema_state(url: str) -> SchemaState:
    """Where the schema of the database at `url` stands; creates nothing.

    Raises BadSetting for a URL of another kind, NotReady when the database does not answer.
    """
    parsed = parse_url(url)
    is_file = parsed.get_backend_name() == "sqlite"
    if is_file and not await asyncio.to_thread(Path(parsed.database or "").exists):
        return Missing()
    return await _run(url, _state, begin="BEGIN")


def _upgrade(conn: Connection) -> None:
    if conn.dialect.name == "postgresql":
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    state = _state(conn)
    if isinstance(state, Ahead):
        raise NotReady(state.message)
    config = _config()
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def _grant(conn: Connection, app_role: str) -> None:
    quoted = conn.dialect.identifier_preparer.quote
    role = quoted(app_role)
    for name in SQLModel.metadata.tables:
        verbs = _VERBS.get(name, "SELECT, INSERT, UPDATE, DELETE")
        conn.exec_driver_sql(f"REVOKE ALL ON {quoted(name)} FROM {role}")
        conn.exec_driver_sql(f"GRANT {verbs} ON {quoted(name)} TO {role}")
    conn.exec_driver_sql(f"GRANT SELECT ON alembic_version TO {role}")
    for function in ("audit_append", "audit_prune", "audit_empty"):
        conn.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")


def _state(conn: Connection) -> SchemaState:
    revision = MigrationContext.configure(conn).get_current_revision()
    if revision is None:
        return Missing()
    if revision == _newest():
        return Current(revision)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return Behind(revision) if revision in known else Ahead(revision)


def _newest() -> str:
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    # ConfigParser takes a lone % for the start of a reference.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


async def _run(url: str, work: Callable[[Connection], T], *, begin: str) -> T:
    parsed = parse_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            return await asyncio.to_thread(_run_on_sqlite, parsed, work, begin)
        engine = create_async_engine(
            parsed,
            poolclass=NullPool,
            connect_args={"timeout": _CONNECT_TIMEOUT_S, "server_settings": {"timezone": "UTC"}},
        )
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()
    except (sa.exc.DBAPIError, OSError, TimeoutError) as error:
        raise NotReady(_explain(error, parsed)) from error


def _explain(error: Exception, url: sa.URL) -> str:
    """What is wrong, without the URL, which may hold a password."""
    orig = getattr(error, "orig", None)
    match getattr(orig, "sqlstate", None):
        case "28P01" | "28000":
            said = "The database's server refused the user or the password"
        case "3D000":
            said = "The database's server has no database of that name"
        case "42501":
            return (
                f"The role {url.username} may not do this in the database. `bursar init` and `bursar migrate` make tables "
                "and let the role that serves use them; they need the owner's URL, in BURSAR_MIGRATION_DATABASE_URL."
            )
        case _:
            said = f"The database cannot be reached or read ({type(orig or error).__name__})"
    return f"{said}; check BURSAR_DATABASE_URL, and BURSAR_MIGRATION_DATABASE_URL where it is set."


def _run_on_sqlite(url: sa.URL, work: Callable[[Connection], T], begin: str) -> T:
    engine = sqlite_engine(url, begin=begin, pooled=False)
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()
