"""The harness itself: what tests of durability rest on."""

import subprocess

import pytest

from tests.conftest import require
from tests.servers.postgres import PrivatePostgres
from tests.servers.programs import find_program
from tests.servers.redis import PrivateRedis


def ask(server: PrivatePostgres, database: str, sql: str) -> str:
    command = [str(find_program("psql")), "-qtAX", "-h", "127.0.0.1", "-p", str(server.port)]
    done = subprocess.run(
        [*command, "-U", "postgres", "-c", sql, database], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_killed_postgres_keeps_what_was_committed() -> None:
    require(PrivatePostgres.is_installed(), "PostgreSQL")
    with PrivatePostgres() as server:
        name = server.create_database()
        ask(server, name, "CREATE TABLE kept AS SELECT 42 AS answer")
        server.kill()
        server.start()
        assert ask(server, name, "SELECT answer FROM kept") == "42"


def test_two_servers_of_a_kind_do_not_meet(
    postgres_server: PrivatePostgres, redis_server: PrivateRedis
) -> None:
    with PrivateRedis() as other:
        assert other.port != redis_server.port
        assert other.port != postgres_server.port


def test_each_test_gets_an_empty_database(postgres_url: str, postgres_server: PrivatePostgres) -> None:
    name = postgres_url.rpartition("/")[2]
    assert ask(postgres_server, name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_the_private_postgres_is_as_durable_as_a_real_one(
    postgres_server: PrivatePostgres, setting: str
) -> None:
    assert ask(postgres_server, "postgres", f"SHOW {setting}") == "on"
