"""Half an hour of load on several gateways, of which all but one are killed again and again: nothing is lost and nothing grows."""

import asyncio
import itertools
import os
import random
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.engines import Database, open_database
from tests.assurance.ledgers import read_ledger
from tests.assurance.test_rolling_restart import Gateway
from tests.servers.bursar import Installation
from tests.servers.load import Told, ask_all, lookups, samples

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
_GATEWAYS = 3
_PER_SECOND = 30
"""Calls a second at each gateway, where the machine bears it."""
_IN_FLIGHT = 8
_MANY = {"requests/day": 10_000_000, "records/day": 1_000_000_000}
_GENEROUS = ("--requests-per-day", "10000000", "--records-per-day", "1000000000")
_LEASE_S = 8
_MOST_GROWTH_MB = 32
_MOST_NEW_DESCRIPTORS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the gateway that lives on holds, and how many connections the database has."""

    memory_mb: float
    descriptors: int
    connections: int


class Soak:
    """The load, the kills and the looks."""

    def __init__(
        self, installation: Installation, keys: list[str], gateways: list[Gateway], database: Database
    ) -> None:
        self.installation = installation
        self.gateways = gateways
        self.answers: list[Told] = []
        self.samples: list[Sample] = []
        self.kills = 0
        self.is_over = False
        self._keys = keys
        self._database = database
        self._rng = random.Random(34)

    async def run(self, minutes: float) -> None:
        loads = [asyncio.create_task(self._load(each)) for each in self.gateways]
        ends_s = asyncio.get_running_loop().time() + minutes * 60
        while asyncio.get_running_loop().time() < ends_s:
            await asyncio.sleep(self._rng.uniform(2, 15))
            self.samples.append(await self._look())
            victim = self._rng.choice(self.gateways[1:])
            victim.process.kill()
            self.kills += 1
            await asyncio.to_thread(victim.start_again)
        self.is_over = True
        await asyncio.gather(*loads)

    async def _load(self, gateway: Gateway) -> None:
        """Whoever loses their connection comes again."""
        url = f"http://127.0.0.1:{gateway.port}"
        while not self.is_over:
            await ask_all(
                url,
                self._keys,
                self._questions(),
                in_flight=_IN_FLIGHT,
                per_second=_PER_SECOND,
                into=self.answers,
            )
            await asyncio.sleep(0.5)

    def _questions(self) -> Iterator[tuple[str, bytes]]:
        """Look-ups that are held after their first time, and random samples that never are."""
        again, anew = itertools.cycle(lookups(1, 300)), samples(self._rng, 1_000_000, sizes=range(1, 20))
        for question in itertools.chain.from_iterable(zip(again, again, again, anew, strict=False)):
            if self.is_over:
                return
            yield question

    async def _look(self) -> Sample:
        pid = self.gateways[0].process.popen.pid
        status = Path(f"/proc/{pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return Sample(
            memory_mb=int(found[1]) / 1024,
            descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            connections=await self._database.read(_connections),
        )


def _connections(conn: Connection) -> int:
    counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    return int(conn.execute(sa.text(counted)).scalar_one())


@pytest.mark.long
@pytest.mark.timeout(_MINUTES * 60 + 900)
async def test_half_an_hour_of_load_and_kills_loses_nothing_and_nothing_grows(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    settings = {
        "BURSAR_UPSTREAM_READ_TIMEOUT_S": "5",
        "BURSAR_UPSTREAM_VIDEO_QUERY_TIMEOUT_S": "5",
        "BURSAR_LEASE_MARGIN_S": "3",
    }
    with Installation(
        tmp_path,
        database_url=postgres_url,
        redis_url=redis_url,
        simulator=_GENEROUS,
        limits=_MANY,
        settings=settings,
    ) as installation:
        keys = [installation.key(email)["api_key"] for email in ("ada@example.edu", "ben@example.edu")]
        gateways: list[Gateway] = []
        database = open_database(postgres_url)
        try:
            gateways.extend(Gateway(installation, number) for number in range(_GATEWAYS))
            soak = Soak(installation, keys, gateways, database)
            await soak.run(_MINUTES)
            # Leases of calls whose gateway died end, and are settled by whoever lives.
            await asyncio.sleep(2 * _LEASE_S)
            codes = [await asyncio.to_thread(each.process.stop) for each in gateways]
        finally:
            for each in gateways:
                each.process.kill()
            await database.close()
        ledger = await read_ledger(postgres_url)
        spent = installation.upstream()["requests"]
        assert installation.bursar("audit", "verify")  # ends with 1 where something does not hold
    assert codes == [0] * _GATEWAYS
    # 400 is the platform's word on users who are private.
    assert [each.body for each in soak.answers if each.status not in {200, 400}] == []
    assert [each for each in soak.answers if ledger.ids.get(each.index) != each.log_id] == []
    assert (ledger.open_reservations, ledger.requests_reserved, ledger.unclosed()) == (0, 0, [])
    assert spent <= ledger.requests_used <= spent + soak.kills * _IN_FLIGHT
    quarter = len(soak.samples) // 4
    early, late = soak.samples[quarter : 2 * quarter], soak.samples[-quarter:]
    grown_mb = statistics.median(s.memory_mb for s in late) - statistics.median(s.memory_mb for s in early)
    print(
        f"{len(soak.answers)} answers, {soak.kills} kills, {spent} upstream, {ledger.requests_used} charged; "
        f"memory {soak.samples[quarter].memory_mb:.0f} to {soak.samples[-1].memory_mb:.0f} MB ({grown_mb:+.1f}), descriptors "
        f"{max(s.descriptors for s in early)} to {max(s.descriptors for s in late)}, connections of the database "
        f"{max(s.connections for s in early)} to {max(s.connections for s in late)}"
    )
    assert grown_mb < _MOST_GROWTH_MB
    assert max(s.descriptors for s in late) <= max(s.descriptors for s in early) + _MOST_NEW_DESCRIPTORS
    assert max(s.connections for s in late) <= max(s.connections for s in early) + _MOST_NEW_DESCRIPTORS
