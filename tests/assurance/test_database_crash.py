"""The database server crashes under load, again and again: what a client was told is in the log."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.assurance.outages import GENEROUS, LIMITS, Load, check, settled
from tests.servers.bursar import Installation
from tests.servers.postgres import PrivatePostgres

pytestmark = [pytest.mark.anyio, pytest.mark.serial]


@pytest.mark.parametrize(
    "crashes",
    [
        pytest.param(2, id="short"),
        pytest.param(100, id="long", marks=[pytest.mark.long, pytest.mark.timeout(1_800)]),
    ],
)
async def test_no_acknowledged_entry_is_lost(
    tmp_path: Path, postgres_url: str, postgres_server: PrivatePostgres, crashes: int
) -> None:
    with Installation(tmp_path, database_url=postgres_url, limits=LIMITS, simulator=GENEROUS) as installation:
        key = installation.key()["api_key"]
        installation.start()
        load = Load(installation, key, first=0)
        try:
            for _ in range(crashes):
                await load.answered(50)
                # What `pg_ctl stop -m immediate` sends: no checkpoint, and recovery at the next start.
                await asyncio.to_thread(postgres_server.stop, signal.SIGQUIT)
                await asyncio.to_thread(postgres_server.start)
            await load.answered(50)
        finally:
            answers = await load.end()
        ledger = await settled(installation)
        check(ledger, answers, upstream=installation.upstream()["requests"])
        assert installation.bursar("audit", "verify")["verified"] is True
