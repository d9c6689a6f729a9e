"""Fixtures and options that every test may use."""

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from app.storage.schema import migrate
from tests.servers.postgres import PrivatePostgres
from tests.servers.programs import scratch
from tests.servers.redis import PrivateRedis

# How long an example takes says more about the machine than about the code.
settings.register_profile("bursar", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bursar")

if "TMPDIR" not in os.environ:
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch())

_FIRST = ("tests/journey/test_wire", "tests/clients/", "tests/test_cli")
"""The modules that take longest. None is to begin when every other worker has come to its end."""

_NOT_RUN = pytest.StashKey[set[str]]()
"""What was left out, and why; one line each."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the full-size tests as well")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_NOT_RUN] = set()


def _put_in_order(items: list[pytest.Item]) -> None:
    """The longest first; then a module of each directory in turn, so that those of one, which put a like load on the machine, do not meet."""
    modules: dict[Path, dict[Path, int]] = {}
    for item in items:
        of_directory = modules.setdefault(item.path.parent, {})
        of_directory.setdefault(item.path, len(of_directory))
    items.sort(key=lambda item: (not item.nodeid.startswith(_FIRST), modules[item.path.parent][item.path]))


# Last, so that tests which another choice has left out already are not counted.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _put_in_order(items)
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        config.stash[_NOT_RUN].add(f"{len(long)} x full size: add --long")


# With xdist the workers choose, each from the whole set, and the process that reports sees only results.
def pytest_sessionfinish(session: pytest.Session) -> None:
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        not_run: set[str] = session.config.stash[_NOT_RUN]
        told["not_run"] = sorted(not_run)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_NOT_RUN].update(getattr(node, "workeroutput", {}).get("not_run", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        where = report.longrepr
        skipped[str(where[-1] if isinstance(where, tuple) else where).removeprefix("Skipped: ")] += 1
    not_run: set[str] = config.stash[_NOT_RUN]
    lines = [*sorted(not_run), *(f"{count} x {why}" for why, count in skipped.items())]
    if lines:
        terminalreporter.section("not run here:")
        for line in lines:
            terminalreporter.write_line(line)


def require(is_there: bool, what: str) -> None:
    """Go on where the machine has `what`; elsewhere skip, or fail where everything must run.

    For whatever can be installed. What a machine may forbid all the same (to mount, to trace) is skipped by
    `pytest.skip` even there; the end of a run counts and names both.
    """
    if is_there:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI=true asks for the full set")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PrivatePostgres]:
    require(PrivatePostgres.is_installed(), "PostgreSQL")
    with PrivatePostgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[PrivateRedis]:
    require(PrivateRedis.is_installed(), "Redis")
    with PrivateRedis() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PrivatePostgres) -> Iterator[str]:
    """A fresh database of a private server."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def redis_url(redis_server: PrivateRedis) -> str:
    """A private server that has forgotten everything."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database of each kind that Bursar runs on."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PrivatePostgres) -> str:
    """The name of a database of the newest schema, to be copied."""
    name = postgres_server.create_database()
    asyncio.run(migrate(postgres_server.url(name)))
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "bursar.db"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
def migrated_sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A fresh database in a file, with the newest schema and nothing in it."""
    path = tmp_path / "bursar.db"
    shutil.copyfile(migrated_sqlite, path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
def migrated_postgres_url(migrated_postgres: str, postgres_server: PrivatePostgres) -> Iterator[str]:
    """A fresh database of a private server, with the newest schema and nothing in it."""
    name = postgres_server.create_database(like=migrated_postgres)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each kind with the newest schema and nothing in it."""
    url: str = request.getfixturevalue(
        "migrated_sqlite_url" if request.param == "sqlite" else "migrated_postgres_url"
    )
    return url


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Removes every setting of Bursar's from the environment."""

    def clean() -> None:
        for name in list(os.environ):
            if name.startswith("BURSAR_"):
                monkeypatch.delenv(name)

    clean()
    return clean
