"""More calls than a limit allows, from many tokens at once, counted by the platform's stand-in itself."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.assurance.ledgers import Ledger, counted
from tests.assurance.outages import settled
from tests.servers.bursar import Installation, state
from tests.servers.load import ask_all, lookups, sample, samples

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

# The simulator allows more than the limit, so that it would count what the gateway let slip.
_GENEROUS = ("--requests-per-day", "10000000", "--records-per-day", "10000000")
_SPENT = (429, "daily_quota_limit_exceeded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is asked for, by how many, and how much of it there is."""

    calls: int
    limit: int
    in_flight: int
    tokens: int


SHORT = Size(calls=400, limit=100, in_flight=128, tokens=10)
FULL = Size(calls=10_000, limit=1_000, in_flight=256, tokens=100)
RECORDS_SHORT = Size(calls=150, limit=3_000, in_flight=32, tokens=10)
RECORDS_FULL = Size(calls=6_000, limit=100_000, in_flight=256, tokens=100)
FULL_RUNS = 50
MANY = 1_000_000


def on_sqlite(home: Path, **limits: int) -> Installation:
    """One process."""
    url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
    return Installation(home, database_url=url, simulator=_GENEROUS, limits=named(limits))


def on_postgresql(home: Path, urls: tuple[str, str], *, workers: int, **limits: int) -> Installation:
    """Several processes over PostgreSQL and Redis."""
    return Installation(
        home,
        database_url=urls[0],
        redis_url=urls[1],
        workers=workers,
        simulator=_GENEROUS,
        limits=named(limits),
    )


def named(limits: Mapping[str, int]) -> dict[str, int]:
    """Daily limits by what they count."""
    return {f"{name}/day": amount for name, amount in limits.items()}


def started(installation: Installation, size: Size) -> list[str]:
    """The tokens of three people in two projects, once the gateway runs."""
    whose = (
        ("ada@example.edu", "elections"),
        ("ben@example.edu", "elections"),
        ("cleo@example.edu", "climate"),
    )
    keys = [installation.key(email, project) for email, project in whose]
    installation.start()
    return installation.tokens(keys, size.tokens)


async def books_of(installation: Installation) -> Ledger:
    ledger = await settled(installation)
    assert (ledger.requests_reserved, ledger.records_reserved, ledger.open_reservations) == (0, 0, 0)
    assert ledger.unclosed() == []
    return ledger


async def spend_requests(installation: Installation, size: Size, tokens: list[str]) -> None:
    answers = await ask_all(installation.base_url, tokens, lookups(0, size.calls), in_flight=size.in_flight)
    told = counted(answers)
    assert len(answers) == size.calls
    assert installation.upstream()["requests"] == size.limit
    assert size.limit - told.unavailable <= told.sent <= size.limit
    ledger = await books_of(installation)
    assert ledger.requests_used == size.limit
    logged = {answer.log_id for answer in answers if answer.status != 503 or answer.index >= 0}
    assert logged <= set(ledger.ids.values())


async def spend_records(installation: Installation, size: Size, tokens: list[str], *, seed: int) -> None:
    questions = samples(random.Random(seed), size.calls)
    answers = await ask_all(installation.base_url, tokens, questions, in_flight=size.in_flight)
    told = counted(answers)
    assert len(answers) == size.calls
    assert min(told.sent, told.spent) > 0
    assert {answer.status for answer in answers} <= {200, 429, 503}
    assert installation.upstream()["records"] <= size.limit
    # What was reserved and not returned is there again, to the last record.
    for page in (100, 1):
        last = [sample(page)] * 101
        answers = await ask_all(installation.base_url, tokens[0], last, in_flight=1)
        assert (answers[-1].status, answers[-1].code) == _SPENT
    assert installation.upstream()["records"] == size.limit
    assert (await books_of(installation)).records_used == size.limit


async def spend_both(installation: Installation) -> None:
    """The requests, then the records: an administrator lifts the first limit, which is used up, meanwhile."""
    tokens = started(installation, SHORT)
    await spend_requests(installation, SHORT, tokens)
    room = named({"requests": MANY, "records": RECORDS_SHORT.limit})
    installation.apply(**state(installation.simulator_url, limits=room))
    await spend_records(installation, RECORDS_SHORT, tokens, seed=1)


async def test_one_process_on_sqlite_spends_the_limit_and_no_more(tmp_path: Path) -> None:
    with on_sqlite(tmp_path, requests=SHORT.limit, records=MANY) as installation:
        await spend_both(installation)


async def test_two_processes_on_postgresql_spend_the_limit_and_no_more(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    urls = postgres_url, redis_url
    with on_postgresql(tmp_path, urls, workers=2, requests=SHORT.limit, records=MANY) as installation:
        await spend_both(installation)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("run", range(FULL_RUNS))
async def test_four_processes_on_postgresql_spend_a_thousand_requests_and_no_more(
    tmp_path: Path, postgres_url: str, redis_url: str, run: int
) -> None:
    urls = postgres_url, redis_url
    with on_postgresql(tmp_path, urls, workers=4, requests=FULL.limit, records=MANY) as installation:
        await spend_requests(installation, FULL, started(installation, FULL))


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_one_process_on_sqlite_spends_a_thousand_requests_and_no_more(tmp_path: Path) -> None:
    with on_sqlite(tmp_path, requests=FULL.limit, records=MANY) as installation:
        await spend_requests(installation, FULL, started(installation, FULL))


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_one_process_on_sqlite_spends_a_hundred_thousand_records_and_no_more(tmp_path: Path) -> None:
    with on_sqlite(tmp_path, requests=MANY, records=RECORDS_FULL.limit) as installation:
        tokens = started(installation, RECORDS_FULL)
        await spend_records(installation, RECORDS_FULL, tokens, seed=3)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_four_processes_on_postgresql_spend_a_hundred_thousand_records_and_no_more(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    urls = postgres_url, redis_url
    with on_postgresql(tmp_path, urls, workers=4, requests=MANY, records=RECORDS_FULL.limit) as installation:
        tokens = started(installation, RECORDS_FULL)
        await spend_records(installation, RECORDS_FULL, tokens, seed=4)
