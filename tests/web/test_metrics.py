"""What Prometheus is told, and the doctor, while Redis is away."""

from pathlib import Path

import pytest

from app.administration.changes import local_operator
from app.bootstrap import diagnose
from app.clock import SystemClock
from app.quota.arithmetic import Dimension, Limit, Scope, ScopeKind, Window
from app.settings import Settings
from app.storage.administering import initialise
from app.storage.sharing import sharing
from app.web.metrics import Metrics
from tests.servers.programs import free_port
from tests.servers.redis import PrivateRedis
from tests.web.conftest import House

pytestmark = pytest.mark.anyio

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


async def test_the_doctor_warns_of_a_redis_that_does_not_answer(tmp_path: Path, redis_url: str) -> None:
    there = Settings(data_dir=tmp_path, redis_url=redis_url)
    await initialise(there, local_operator(0))
    assert "redis_away" not in {each.code for each in (await diagnose(there)).findings}
    away = Settings(data_dir=tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    (finding,) = [each for each in (await diagnose(away)).findings if each.code == "redis_away"]
    assert finding.severity == "warning"
    assert "budgets are not affected" in finding.what
