"""Ten thousand calls against a limit of a thousand, counted by the platform's stand-in itself."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import Installation
from tests.servers.load import ask_all, lookups

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

# The simulator allows more than the limit, so that it would count what the gateway let slip.
_GENEROUS = ("--requests-per-day", "100000", "--records-per-day", "1000000")


async def spend(installation: Installation) -> None:
    keys = [installation.key("ada@example.edu")["api_key"], installation.key("ben@example.edu")["api_key"]]
    installation.start()
    halves = (
        ask_all(installation.base_url, key, lookups(5_000 * number, 5_000 * number + 5_000), in_flight=128)
        for number, key in enumerate(keys)
    )
    first, second = await asyncio.gather(*halves)
    codes = Counter((answer.status, answer.code) for answer in [*first, *second])
    assert installation.upstream()["requests"] == 1_000
    assert codes[429, "daily_quota_limit_exceeded"] == 9_000
    assert sum(codes.values()) == 10_000
    ledger = await read_ledger(installation.environ["BURSAR_DATABASE_URL"])
    assert (ledger.requests_used, ledger.requests_reserved) == (1_000, 0)
    assert ledger.unclosed() == []
    assert {answer.log_id for answer in [*first, *second]} <= set(ledger.ids.values())


async def test_one_process_on_sqlite_spends_the_limit_and_no_more(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    with Installation(tmp_path, database_url=url, simulator=_GENEROUS) as installation:
        await spend(installation)


async def test_four_processes_on_postgresql_spend_the_limit_and_no_more(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    with Installation(
        tmp_path, database_url=postgres_url, redis_url=redis_url, workers=4, simulator=_GENEROUS
    ) as installation:
        await spend(installation)
