"""A process that stands still between the grant and the first byte sends nothing once its lease is over."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from app.administration.key_files import read_log_key
from app.clock import SystemClock
from app.storage.books import SqlBooks
from app.storage.engines import open_database
from app.storage.log import Boot
from tests.assurance.ledgers import Ledger, read_ledger
from tests.servers.bursar import Installation
from tests.servers.load import USER_INFO, Told, ask_all
from tests.servers.noting import NotingPlatform
from tests.servers.programs import descendants

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_READ_TIMEOUT_S, _WAIT_S, _LEASE_S = 1, 1, 3
_IN_FLIGHT = 16
_SHORT_LEASES = {
    "BURSAR_UPSTREAM_READ_TIMEOUT_S": str(_READ_TIMEOUT_S),
    "BURSAR_LEASE_MARGIN_S": str(_LEASE_S - _READ_TIMEOUT_S - _WAIT_S),
    "BURSAR_UPSTREAM_LONGEST_WAIT_S": str(_WAIT_S),
    # So that there is a line: whenever the process is stopped, calls that have their grant wait in it.
    "BURSAR_UPSTREAM_CALLS_PER_SECOND": str(_IN_FLIGHT),
}
_STOPPED_S = _LEASE_S + 0.7
_LIMITS = {"requests/day": 1_000_000, "records/day": 1_000_000}


def profile(number: int) -> tuple[str, bytes]:
    return USER_INFO, b'{"username":"user_%d"}' % number


def installed(home: Path, platform: NotingPlatform, database_url: str) -> Installation:
    return Installation(
        home,
        database_url=database_url,
        settings=_SHORT_LEASES,
        limits=_LIMITS,
        upstream_url=platform.url,
    )


async def end_leases_elsewhere(installation: Installation, database_url: str) -> None:
    """What another replica does while the first one stands still."""
    database = open_database(database_url)
    signer = read_log_key(installation.home / "data" / "log.key")
    books = SqlBooks(database=database, clock=SystemClock(), boot=Boot("another", "0" * 16, signer))
    await books.start()
    try:
        await books.end_leases()
    finally:
        await books.stop()
        await database.close()


def check(ledger: Ledger, answers: dict[int, Told], platform: NotingPlatform) -> None:
    """Whatever reached the platform did so within a lease of its own, that was alive."""
    place = {entry_id: index for index, entry_id in ledger.ids.items()}
    intents: dict[str, list[int]] = {}
    for entry in ledger.entries:
        if entry["type"] == "intent":
            intents.setdefault(entry["params_hmac"], []).append(entry["ts_us"])
    not_logged: list[int] = []
    for number, told in answers.items():
        arrivals = platform.arrivals.get(f"user_{number}", [])
        if told.log_id in place:
            question = ledger.entries[place[told.log_id]]["params_hmac"]
            check_leases(arrivals, intents.pop(question, []))
        else:
            # The log did not answer in time; its entry, if there is one, is among those that nobody was told of.
            assert (told.status, b"audit_unavailable: " in told.body) == (503, True), told
            not_logged += arrivals
    check_leases(not_logged, [ts_us for each in intents.values() for ts_us in each])


def check_leases(arrivals: list[int], granted: list[int]) -> None:
    """Each arrival falls into a lease that no other has used."""
    waiting = sorted(granted)
    for came_us in sorted(arrivals):
        alive = [ts_us for ts_us in waiting if ts_us - 1_000 <= came_us < ts_us + _LEASE_S * 1_000_000]
        assert alive, f"a call came at {came_us}; granted at {granted}"
        waiting.remove(alive[0])


def too_late(ledger: Ledger) -> int:
    """How many calls had their grant and were not sent any more: in the line, or in the last moment."""
    outcomes = (entry for entry in ledger.entries if entry["type"] == "outcome")
    told = [str(entry.get("upstream", {}).get("err")) for entry in outcomes]
    return sum("held no longer" in each or "too long for its turn" in each for each in told)


async def test_a_call_that_was_granted_before_a_stop_is_not_sent_after_its_lease(
    tmp_path: Path, database_url: str
) -> None:
    async with NotingPlatform() as platform:
        with installed(tmp_path, platform, database_url) as installation:
            key = installation.key()["api_key"]
            gateway = installation.start()
            # What a process writes as it starts is written by then: stopped in the middle of that, it keeps SQLite's lock.
            await asyncio.sleep(1)
            platform.gate.clear()
            asking = asyncio.ensure_future(ask_all(installation.base_url, key, [profile(1)], in_flight=1))
            await asyncio.wait_for(platform.token_asked.wait(), timeout=30)
            # It has its grant, and waits for the platform's token, which it will find when it goes on.
            os.kill(gateway.popen.pid, signal.SIGSTOP)
            platform.gate.set()
            await asyncio.sleep(_STOPPED_S)
            await end_leases_elsewhere(installation, database_url)
            before = await read_ledger(database_url)
            os.kill(gateway.popen.pid, signal.SIGCONT)
            (told,) = await asyncio.wait_for(asking, timeout=60)
            ledger = await read_ledger(database_url)
    assert [entry.get("err") for entry in before.entries if entry["type"] == "outcome"] == ["crash_unknown"]
    assert (before.requests_used, before.open_reservations) == (1, 0)
    check(ledger, {1: told}, platform)
    assert ledger.requests_used == 1 + len(platform.arrivals.get("user_1", []))


async def stop_under_load(home: Path, database_url: str, *, stops: int, seed: int) -> int:
    """How many calls were held back; the process stands still again and again, longer than its leases."""
    rng = random.Random(seed)
    answers: dict[int, Told] = {}
    async with NotingPlatform(answers_within_s=0.05) as platform:
        with installed(home, platform, database_url) as installation:
            key = installation.key()["api_key"]
            gateway = installation.start()
            is_over = asyncio.Event()

            async def keep_asking(first: int) -> None:
                number = first
                while not is_over.is_set():
                    (answers[number],) = await ask_all(
                        installation.base_url, key, [profile(number)], in_flight=1
                    )
                    number += _IN_FLIGHT

            load = asyncio.gather(*(keep_asking(first) for first in range(_IN_FLIGHT)))
            for _ in range(stops):
                await more_came(platform, _IN_FLIGHT + 1)
                await asyncio.sleep(0.5 + rng.random())
                os.kill(gateway.popen.pid, signal.SIGSTOP)
                await asyncio.sleep(_STOPPED_S)
                os.kill(gateway.popen.pid, signal.SIGCONT)
            await asyncio.sleep(1)
            is_over.set()
            await asyncio.wait_for(load, timeout=60)
            await settled(database_url)
            ledger = await read_ledger(database_url)
    assert len(platform.arrivals) > stops * _IN_FLIGHT
    check(ledger, answers, platform)
    came = sum(map(len, platform.arrivals.values()))
    assert came <= ledger.requests_used <= came + stops * _IN_FLIGHT
    return too_late(ledger)


async def more_came(platform: NotingPlatform, calls: int) -> None:
    """Return once so many more people were asked about, however busy the machine is."""
    wanted = len(platform.arrivals) + calls
    async with asyncio.timeout(60):
        while len(platform.arrivals) < wanted:
            await asyncio.sleep(0.02)


async def settled(database_url: str) -> None:
    for _ in range(150):
        if (await read_ledger(database_url)).open_reservations == 0:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("a reservation outlives its lease")


async def test_stops_under_load_let_no_dead_lease_spend(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    assert await stop_under_load(tmp_path, url, stops=3, seed=1) > 0


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_a_hundred_stops_under_load_let_no_dead_lease_spend(tmp_path: Path, database_url: str) -> None:
    assert await stop_under_load(tmp_path, database_url, stops=100, seed=2) > 0


@pytest.mark.long
async def test_a_worker_that_a_busy_machine_lets_wait_is_not_killed(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    with Installation(tmp_path, database_url=postgres_url, redis_url=redis_url, workers=2) as installation:
        gateway = installation.start()
        before = descendants(gateway.popen.pid)
        worker = before[-1]
        os.kill(worker, signal.SIGSTOP)
        # Longer than the 5 s after which uvicorn, left to itself, takes it for hung.
        await asyncio.sleep(10)
        os.kill(worker, signal.SIGCONT)
        await asyncio.sleep(2)
        assert descendants(gateway.popen.pid) == before
