"""The harness itself: what tests of durability rest on."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.servers.postgres import PrivatePostgres
from tests.servers.programs import descendants, find_program, free_port, is_running
from tests.servers.redis import PrivateRedis


def ask(server: PrivatePostgres, database: str, sql: str) -> str:
    done = subprocess.run(
        [str(find_program("psql")), "-qtAX", "-c", sql, server.plain_url(database)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def own_postgres() -> Iterator[PrivatePostgres]:
    """A server that the test may break."""
    require(PrivatePostgres.is_installed(), "PostgreSQL")
    with PrivatePostgres() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[PrivateRedis]:
    """A server that the test may break."""
    require(PrivateRedis.is_installed(), "Redis")
    with PrivateRedis() as server:
        yield server


def test_postgres_keeps_what_was_committed_however_it_ends(own_postgres: PrivatePostgres) -> None:
    name = own_postgres.create_database()
    ask(own_postgres, name, "CREATE TABLE kept (how text)")
    for how in (signal.SIGKILL, signal.SIGINT, signal.SIGQUIT):
        ask(own_postgres, name, f"INSERT INTO kept VALUES ('{how.name}')")
        if how is signal.SIGKILL:
            own_postgres.kill()
        else:
            own_postgres.stop(how)
        own_postgres.start()
    assert ask(own_postgres, name, "SELECT string_agg(how, ' ') FROM kept") == "SIGKILL SIGINT SIGQUIT"


def test_a_killed_postgres_leaves_no_backend_behind(own_postgres: PrivatePostgres) -> None:
    sleeper = subprocess.Popen(
        [str(find_program("psql")), "-qX", "-c", "SELECT pg_sleep(60)", own_postgres.plain_url("postgres")],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
    while ask(own_postgres, "postgres", running) != "1":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    everyone = [own_postgres.pid, *descendants(own_postgres.pid)]
    assert len(everyone) > 2
    own_postgres.kill()
    assert [pid for pid in everyone if is_running(pid)] == []
    assert sleeper.wait(timeout=30) != 0


def test_a_paused_postgres_answers_again_when_resumed(own_postgres: PrivatePostgres) -> None:
    own_postgres.pause()
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [str(find_program("psql")), "-X", "-c", "SELECT 1", own_postgres.plain_url("postgres")],
            capture_output=True,
            check=False,
            timeout=0.5,
        )
    own_postgres.resume()
    assert ask(own_postgres, "postgres", "SELECT 1") == "1"


def test_two_servers_of_a_kind_do_not_meet(
    postgres_server: PrivatePostgres,
    own_postgres: PrivatePostgres,
    redis_server: PrivateRedis,
    own_redis: PrivateRedis,
) -> None:
    assert len({each.port for each in (postgres_server, own_postgres, redis_server, own_redis)}) == 4
    name = own_postgres.create_database()
    ask(own_postgres, name, "CREATE TABLE only_here (x int)")
    elsewhere = postgres_server.create_database()
    assert ask(postgres_server, elsewhere, "SELECT to_regclass('only_here') IS NULL") == "t"
    postgres_server.drop_database(elsewhere)


def test_each_test_gets_an_empty_database(postgres_url: str, postgres_server: PrivatePostgres) -> None:
    name = postgres_url.rpartition("/")[2]
    assert postgres_url == f"postgresql+asyncpg://postgres@127.0.0.1:{postgres_server.port}/{name}"
    assert ask(postgres_server, name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_the_private_postgres_is_as_durable_as_a_real_one(
    postgres_server: PrivatePostgres, setting: str
) -> None:
    assert ask(postgres_server, "postgres", f"SHOW {setting}") == "on"


def test_postgres_runs_as_an_ordinary_user(postgres_server: PrivatePostgres) -> None:
    assert Path(f"/proc/{postgres_server.pid}").stat().st_uid != 0


def test_a_postgres_that_cannot_start_says_why() -> None:
    require(PrivatePostgres.is_installed(), "PostgreSQL")
    with socket.socket() as taken:
        server = PrivatePostgres()
        taken.bind(("127.0.0.1", server.port))
        taken.listen()
        with pytest.raises(RuntimeError, match="could not bind"):
            server.__enter__()


def speak(server: PrivateRedis, *words: str) -> bytes:
    line = " ".join(words).encode() + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as connection:
        connection.sendall(line)
        return connection.recv(64)


def test_a_killed_redis_comes_back_empty_on_the_same_port(own_redis: PrivateRedis) -> None:
    url = own_redis.url
    assert speak(own_redis, "SET", "key", "value") == b"+OK\r\n"
    own_redis.kill()
    with pytest.raises(OSError, match="refused"):
        speak(own_redis, "PING")
    own_redis.start()
    assert own_redis.url == url
    assert speak(own_redis, "GET", "key") == b"$-1\r\n"
    own_redis.stop()


def test_a_paused_redis_accepts_and_says_nothing_until_resumed(own_redis: PrivateRedis) -> None:
    own_redis.pause()
    with pytest.raises(TimeoutError):
        speak(own_redis, "PING")
    own_redis.resume()
    assert speak(own_redis, "PING") == b"+PONG\r\n"


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_finds_redis_empty(redis_url: str, redis_server: PrivateRedis, turn: str) -> None:
    assert redis_url == redis_server.url
    assert speak(redis_server, "DBSIZE") == b":0\r\n"
    speak(redis_server, "SET", turn, "here")


def test_free_ports_lie_below_those_of_clients() -> None:
    assert all(12_000 <= free_port() < 32_000 for _ in range(20))
