"""What Prometheus is told, and the doctor, also while Redis or the database is away."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.administration.changes import local_operator
from app.bootstrap import diagnose
from app.clock import SystemClock
from app.errors import StoreUnavailable
from app.quota.arithmetic import Dimension, Limit, Scope, ScopeKind, Window
from app.settings import Settings
from app.storage.administering import initialise
from app.storage.sharing import sharing
from app.web.metrics import Metrics
from tests.servers.programs import free_port
from tests.servers.redis import PrivateRedis
from tests.web.conftest import House, opened_house

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
LIMIT = Limit(Scope(ScopeKind.PROJECT, "p"), Dimension.CALLS, Window.MINUTE, 10)


async def test_counting_alone_shows_in_the_metrics() -> None:
    with PrivateRedis() as server:
        shared = sharing(server.url, clock=SystemClock(), me="0a1b", processes=1)
        metrics = Metrics()
        metrics.watch(shared)
        await shared.start()
        assert b"bursar_redis_away 0.0" in metrics.render()
        server.kill()
        await shared.windows.take({LIMIT: 1})
        told = metrics.render()
        await shared.stop()
    assert b"bursar_redis_away 1.0" in told
    assert b"bursar_calls_counted_alone_total 1.0" in told


async def test_what_waits_for_the_log_and_how_full_its_disk_is_shows_in_the_metrics(
    house: House, tmp_path: Path
) -> None:
    told = (await house.client.get("/metrics")).text
    assert "bursar_log_unwritable 0.0" in told
    assert "bursar_log_queued 0.0" in told
    disk = house.app.state.installation.disk
    assert ("bursar_log_disk_used_ratio" in told) == (disk is not None)
    if disk is not None:
        disk.spend()
        assert "bursar_log_unwritable 1.0" in (await house.client.get("/metrics")).text


async def test_what_is_held_and_went_for_want_of_room_shows_in_the_metrics(house: House) -> None:
    room = house.app.state.installation.room
    await room.sweep()
    room.evicted["fresh"] += 3
    told = (await house.client.get("/metrics")).text
    assert f"bursar_held_bytes {float(room.stored_bytes)}" in told
    assert "bursar_held_most_bytes 2.147483648e+09" in told
    assert 'bursar_held_evicted_pages_total{when="fresh"} 3.0' in told


async def test_the_doctor_warns_of_a_redis_that_does_not_answer(tmp_path: Path, redis_url: str) -> None:
    there = Settings(data_dir=tmp_path, redis_url=redis_url)
    await initialise(there, local_operator(0))
    assert "redis_away" not in {each.code for each in (await diagnose(there)).findings}
    away = Settings(data_dir=tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    (finding,) = [each for each in (await diagnose(away)).findings if each.code == "redis_away"]
    assert finding.severity == "warning"
    assert "budgets are not affected" in finding.what


async def test_the_installation_is_told_without_naming_anybody(house: House) -> None:
    before = figures((await house.client.get("/metrics")).text)
    await house.get("ada", "/api/v1/me")
    told = (await house.client.get("/metrics")).text
    after = figures(told)
    of_credential = '{credential="main",dimension="requests",window="day"}'
    assert after[f"bursar_quota_limit{of_credential}"] == 1_000
    assert after[f"bursar_quota_left{of_credential}"] == 1_000
    assert (after["bursar_ready"], after["bursar_database_up"]) == (1, 1)
    assert after["bursar_log_queued"] == 0
    assert after["bursar_log_entries"] == before["bursar_log_entries"] + 1
    assert 0 <= after["bursar_log_last_entry_age_seconds"] < 30
    committed = 'bursar_step_seconds_count{step="commit"}'
    assert after[committed] == before[committed] + 1
    assert 'bursar_step_seconds_bucket{le="250.0",step="upstream"}' in after
    for private in ("ada", "example.edu", "elections", "health"):
        assert private not in told


def figures(told: str) -> dict[str, float]:
    """Every sample by its name and labels."""
    lines = (line.rpartition(" ") for line in told.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def test_while_the_database_is_away_the_log_is_told_to_be_silent_for_longer_and_longer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    age = "bursar_log_last_entry_age_seconds"
    seconds = house.installation.clock.now().timestamp()
    monkeypatch.setattr(
        type(house.installation.clock), "now", lambda _: dt.datetime.fromtimestamp(seconds, dt.UTC)
    )

    async def away(work: Callable[[Any], Any]) -> Any:
        raise StoreUnavailable("the database does not answer")

    monkeypatch.setattr(house.installation.database, "read", away)
    for passed_s in (30, 300):
        seconds += passed_s
        told = figures((await house.client.get("/metrics")).text)
        assert (told["bursar_database_up"], told["bursar_ready"]) == (0, 0)
        assert "bursar_log_entries" not in told
    assert 330 <= told[age] < 400, "it has not been scraped before"
    monkeypatch.undo()
    assert figures((await house.client.get("/metrics")).text)[age] < 60


async def test_the_alerts_are_tried_with_what_is_told_from_the_start(tmp_path: Path) -> None:
    """A series that appears with its first increase has none, for Prometheus: the tests must not give it a zero before."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    mail = {"smtp_url": f"smtp://127.0.0.1:{free_port()}", "mail_from": "bursar@example.edu"}
    async with opened_house(tmp_path, url, **mail) as house:
        fresh = {series_of(name) for name in figures((await house.client.get("/metrics")).text)}
    wrong = [
        each
        for test in yaml.safe_load((ROOT / "deploy/prometheus/alerts.test.yml").read_text())["tests"]
        for each in test["input_series"]
        if not each["series"].startswith("up{")
        if (series_of(each["series"]) in fresh) == each["values"].startswith("_")
    ]
    assert wrong == []


def series_of(text: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """Name and labels, but for those that Prometheus adds."""
    labels = re.findall(r'(\w+)="([^"]*)"', text)
    return text.partition("{")[0], frozenset(each for each in labels if each[0] not in {"instance", "job"})
