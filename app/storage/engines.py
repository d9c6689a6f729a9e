"""SQLite or PostgreSQL behind two verbs: `read` and `write`.

Work is a plain function of a SQLAlchemy `Connection`, so the ledger, the log and administration are
written once. On SQLite it runs in threads of its own: one for every write of the process, a few for
reads (driving each statement through an event loop costs about 0.1 ms; a transaction has five).
On PostgreSQL it runs over asyncpg through SQLAlchemy's greenlet bridge.
"""

import asyncio
import datetime as dt
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import URL, AdaptedConnection, Connection, Engine, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, PoolProxiedConnection, QueuePool

from app.errors import BadSetting, BursarError, StoreUnavailable
from app.storage.threads import Threads

T = TypeVar("T")

_BUSY_TIMEOUT_S = 5.0
_READER_THREADS = 4
_LOCK_TIMEOUT_MS = 2_000
_IDLE_IN_TRANSACTION_MS = 5_000
"""A replica that stops while it holds the head row must not stop the others for longer."""


class Database(Protocol):
    """An open database.

    `read` sees one consistent snapshot. `write` is one transaction that is durable on return and
    rolled back when the work raises. Both raise StoreUnavailable when the database does not answer;
    after a `write` that raised it, whether the commit happened is unknown.
    """

    dialect: str

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, from one snapshot."""
        ...

    async def write(
        self, work: Callable[[Connection], T], *, committed: Callable[[T], object] | None = None
    ) -> T:
        """What `work` returns, once its changes are durable.

        Writes of one process follow each other; `committed` runs on the result before the next begins.
        """
        ...

    def now_us(self, conn: Connection) -> int:
        """The database's clock, microseconds since 1970 UTC, inside the transaction."""
        ...

    async def close(self) -> None:
        """Give back every connection and thread."""
        ...


class Prompt:
    """A database whose reads give up after `within_s` seconds, for whatever a request waits for.

    What was given up ends by itself, since a server that does not answer may not even take note of an end.
    """

    def __init__(self, database: Database, *, within_s: float) -> None:
        self._database = database
        self._within_s = within_s
        self.dialect = database.dialect

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, from one snapshot; raises StoreUnavailable when that takes too long."""
        reading = asyncio.ensure_future(self._database.read(work))
        try:
            await asyncio.wait({reading}, timeout=self._within_s)
        except asyncio.CancelledError:
            reading.cancel()
            raise
        if reading.done():
            return reading.result()
        reading.cancel()
        reading.add_done_callback(_forget)
        raise StoreUnavailable("the database does not answer: it takes too long")

    async def write(
        self, work: Callable[[Connection], T], *, committed: Callable[[T], object] | None = None
    ) -> T:
        """What `work` returns, once its changes are durable; however long that takes."""
        return await self._database.write(work, committed=committed)

    def now_us(self, conn: Connection) -> int:
        """The database's clock, microseconds since 1970 UTC, inside the transaction."""
        return self._database.now_us(conn)

    async def close(self) -> None:
        """Give back every connection and thread."""
        await self._database.close()


def _forget(reading: "asyncio.Future[T]") -> None:
    """Nobody wants to know any more how it ended."""
    if not reading.cancelled():
        reading.exception()


def open_database(url: str, *, clock_offset_s: float = 0.0, synchronous_commit: str = "on") -> Database:
    """The database that `url` names; raises BadSetting for any other kind than the two supported.

    `synchronous_commit` is PostgreSQL's: on, or remote_apply, for which each commit waits for a standby.
    """
    parsed = parse_url(url)
    offset_us = int(clock_offset_s * 1_000_000)
    if parsed.get_backend_name() == "sqlite":
        return SqliteDatabase(parsed, offset_us=offset_us)
    return PostgresDatabase(parsed, offset_us=offset_us, synchronous_commit=synchronous_commit)


_OPTIONS = frozenset(
    {"ssl", "host", "port", "user", "password", "database", "passfile", "target_session_attrs"}
)
_TAKES = "it takes sslmode, host, port, user, password, database, passfile and target_session_attrs."


def parse_url(url: str) -> URL:
    """A URL for SQLite on disk or for PostgreSQL; raises BadSetting for anything else.

    Good: `postgresql+asyncpg://u@h/d`, `postgresql://u@h/d?sslmode=verify-full`. Bad: `mysql://u@h/d`.
    """
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        raise BadSetting(
            "DATABASE_URL is not a database URL, such as sqlite+aiosqlite:///data/bursar.db"
        ) from error
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql":
            query = dict(parsed.query)
            if "sslmode" in query:  # as libpq and every other program of PostgreSQL's calls it
                query["ssl"] = query.pop("sslmode")
            unknown = sorted(query.keys() - _OPTIONS)
            if unknown:
                raise BadSetting(f"DATABASE_URL has {unknown[0]!a} behind its question mark; {_TAKES}")
            return parsed.set(drivername="postgresql+asyncpg", query=query)
        case other:
            raise BadSetting(f"DATABASE_URL names {other!r}; use sqlite on disk or postgresql")


def sqlite_engine(url: URL, *, begin: str, pooled: bool) -> Engine:
    """An engine whose connections are durable on commit and start transactions with `begin`."""
    if url.database is not None:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        poolclass=QueuePool if pooled else NullPool,
        connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False, "isolation_level": None},
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        # FULL, since under NORMAL a commit in WAL mode may be lost with the power.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # By the driver's own cursor: as a statement of SQLAlchemy's it takes 20 microseconds more.
        connection.connection.cursor().execute(begin)

    return engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"the database does not answer: {type(error).__name__}") from error


class SqliteDatabase:
    """SQLite on disk: one thread for writes, a few for reads."""

    dialect = "sqlite"

    def __init__(self, url: URL, *, offset_us: int) -> None:
        self._offset_us = offset_us
        self._engines = {
            "write": sqlite_engine(url, begin="BEGIN IMMEDIATE", pooled=False),
            "read": sqlite_engine(url, begin="BEGIN", pooled=False),
        }
        self._writer = Threads(1, name="bursar-writer")
        self._readers = Threads(_READER_THREADS, name="bursar-reader")
        self._held = threading.local()
        self._open: list[Connection] = []

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, from one snapshot."""
        return await self._readers.run(lambda: self._transact("read", work))

    async def write(
        self, work: Callable[[Connection], T], *, committed: Callable[[T], object] | None = None
    ) -> T:
        """What `work` returns, once its changes are durable."""
        return await self._writer.run(lambda: self._transact("write", work, committed))

    def now_us(self, conn: Connection) -> int:  # noqa: ARG002 - SQLite's clock is this machine's
        """The machine's clock, microseconds since 1970 UTC."""
        return int(dt.datetime.now(dt.UTC).timestamp() * 1_000_000) + self._offset_us

    async def close(self) -> None:
        """Give back every connection and thread, once the work under way is done."""
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.join)
        for connection in self._open:
            connection.close()
        for engine in self._engines.values():
            engine.dispose()

    def _transact(
        self, kind: str, work: Callable[[Connection], T], committed: Callable[[T], object] | None = None
    ) -> T:
        with _translated():
            connection: Connection | None = getattr(self._held, "connection", None)
            if connection is None:
                connection = self._engines[kind].connect()
                self._held.connection = connection
                self._open.append(connection)
            with connection.begin():
                result = work(connection)
        if committed is not None:
            committed(result)
        return result


class PostgresDatabase:
    """PostgreSQL over asyncpg, with a small pool."""

    dialect = "postgresql"

    def __init__(self, url: URL, *, offset_us: int, synchronous_commit: str = "on") -> None:
        self._offset_us = offset_us
        self._one_writer = asyncio.Lock()
        self._engine = create_async_engine(
            url,
            pool_size=4,
            max_overflow=4,
            pool_timeout=5,
            connect_args={
                "timeout": 5,
                "command_timeout": 30,
                "server_settings": {
                    "application_name": "bursar",
                    "timezone": "UTC",
                    "synchronous_commit": synchronous_commit,
                    "lock_timeout": str(_LOCK_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
                },
            },
        )
        sa.event.listen(self._engine.sync_engine, "checkout", _require_idle)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, from one snapshot."""
        with _translated():
            async with self._engine.connect() as connection:
                await connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                return await _run(connection, work)

    async def write(
        self, work: Callable[[Connection], T], *, committed: Callable[[T], object] | None = None
    ) -> T:
        """What `work` returns, once its changes are durable."""
        async with self._one_writer:
            with _translated():
                async with self._engine.begin() as connection:
                    result = await _run(connection, work)
            if committed is not None:
                committed(result)
            return result

    def now_us(self, conn: Connection) -> int:
        """The server's clock, microseconds since 1970 UTC, inside the transaction."""
        seconds = sa.extract("epoch", sa.func.clock_timestamp())
        micros = conn.execute(sa.select(sa.cast(seconds * 1_000_000, sa.BigInteger))).scalar_one()
        return int(micros) + self._offset_us

    async def close(self) -> None:
        """Give back every connection."""
        await self._engine.dispose()


async def _run(connection: AsyncConnection, work: Callable[[Connection], T]) -> T:
    """What `work` returns; a connection whose state is not known afterwards is closed and not used again.

    Work that is interrupted while its transaction begins leaves that transaction open on the server, and
    neither SQLAlchemy nor the driver ends it: whoever came next would read its old snapshot, and would have
    its own commit reported although it lay inside a transaction that never commits.
    """
    try:
        return await connection.run_sync(work)
    except BaseException as error:
        if not _leaves_state_known(error):
            await connection.invalidate()
        raise


def _leaves_state_known(error: BaseException) -> bool:
    """Whether what failed was the work, or a statement to which the server itself has answered."""
    if isinstance(error, sa.exc.DBAPIError):
        return getattr(error.orig, "sqlstate", None) is not None
    if isinstance(error, StoreUnavailable):
        return getattr(error.__cause__, "sqlstate", None) is not None
    return isinstance(error, BursarError | sa.exc.SQLAlchemyError)


def _require_idle(
    connection: DBAPIConnection, _record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Have the pool replace a connection that has ended, or that is inside a transaction."""
    driver = cast("AdaptedConnection", connection).driver_connection
    if driver.is_closed() or driver.is_in_transaction():
        raise sa.exc.DisconnectionError("a pooled connection is not idle")
