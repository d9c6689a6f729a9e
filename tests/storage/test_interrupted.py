"""What is left of a transaction that somebody gives up: nothing, and least of all for the next who comes."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.engines import Database, open_database
from app.storage.prepared import Prepared

pytestmark = pytest.mark.anyio

_NUMBER = sa.Table("number", sa.MetaData(), sa.Column("it", sa.Integer))
_READ = Prepared(sa.select(_NUMBER.c.it))
_COUNT = Prepared(sa.update(_NUMBER).values(it=_NUMBER.c.it + 1))
_TURNS = 60
"""More turns of the loop than a transaction takes until its first statement is answered."""


def read(conn: Connection) -> int:
    return int(_READ.rows(conn)[0][0])


def count(conn: Connection) -> int:
    return _COUNT.run(conn, {})


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[tuple[Database, Database]]:
    """The same database twice, with a number in it that is 0."""
    here, elsewhere = open_database(database_url), open_database(database_url)
    await here.write(_NUMBER.metadata.create_all)
    await here.write(lambda conn: conn.execute(sa.insert(_NUMBER).values(it=0)).rowcount)
    yield here, elsewhere
    await here.close()
    await elsewhere.close()


async def give_up(waiting: "asyncio.Task[int]", turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_reader_that_gives_up_leaves_no_old_snapshot_to_the_next(
    databases: tuple[Database, Database],
) -> None:
    here, elsewhere = databases
    await here.read(read)
    for turns in range(_TURNS):
        await give_up(asyncio.ensure_future(here.read(read)), turns)
        await here.read(read)
        await elsewhere.write(count)
        assert await here.read(read) == turns + 1


async def test_a_writer_that_gives_up_leaves_no_transaction_in_which_the_next_is_lost(
    databases: tuple[Database, Database],
) -> None:
    here, elsewhere = databases
    for turns in range(_TURNS):
        await give_up(asyncio.ensure_future(here.write(count)), turns)
        before = await elsewhere.read(read)
        assert await here.write(count) == 1
        assert await elsewhere.read(read) - before in {1, 2}
