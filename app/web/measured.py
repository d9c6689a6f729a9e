"""What Prometheus is told beside counts of requests: looked up when it asks, since much of it is not this process's."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app import RELEASE
from app.administration.registry import Registry
from app.administration.usage import usage
from app.bootstrap import Installation
from app.errors import BursarError
from app.quota.arithmetic import Standing
from app.storage.log import last_entry
from app.timings import BOUNDS_S, Timings
from app.web.health import not_ready

_ANSWER_WITHIN_S: Final = 3.0
"""Less than a scrape waits; a database that hangs must not hide everything else."""
_OF_CREDENTIAL: Final = "credential:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the whole installation looked like at one scrape; None where the database did not say."""

    problems: int
    log_entries: int | None = None
    last_entry_s: float | None = None
    quotas: tuple[tuple[str, Standing], ...] = ()
    """Standings of credentials, each with the credential's name; projects and people are nobody's business here."""


async def look(installation: Installation, registry: Registry, *, is_stopping: bool) -> Seen:
    """The installation as it is now; never raises, and takes three seconds at most."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            problems = len(await not_ready(installation, is_stopping=is_stopping))
            entries, ts_us = await installation.database.read(last_entry)
            found = await usage(registry)
    except (BursarError, TimeoutError):
        return Seen(problems=1)
    of_credentials = (each for each in found.limits if each[0].startswith(_OF_CREDENTIAL))
    return Seen(
        problems=problems,
        log_entries=entries,
        last_entry_s=ts_us / 1_000_000,
        quotas=tuple((scope.removeprefix(_OF_CREDENTIAL), standing) for scope, standing in of_credentials),
    )


class InstallationMetrics(Collector):
    """This process's parts, and what was last `seen` of the installation."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        # The entry by which this process said that it has started.
        self._last_entry_s = _seconds(installation.clock.now())
        self._seen: Seen | None = None

    def saw(self, seen: Seen) -> None:
        """Tell what was found at this scrape; of the newest entry what was last known, where the database did not say."""
        self._seen = seen
        self._last_entry_s = self._last_entry_s if seen.last_entry_s is None else seen.last_entry_s

    def collect(self) -> Iterable[Metric]:
        """Everything, in the order in which the path of a request goes."""
        books, watched = self._installation.books, self._installation.watched
        info = GaugeMetricFamily("bursar_build_info", "1; the label tells the release.", labels=("version",))
        info.add_metric((RELEASE,), 1)
        yield info
        yield _histogram(
            "bursar_step_seconds",
            "Time of one step: upstream is a call to the platform, log is from asking for an entry to its commit, "
            "commit is one transaction of many entries.",
            {"upstream": watched.timings, "log": books.waits, "commit": books.commits},
        )
        answers = CounterMetricFamily(
            "bursar_upstream_answers",
            "Calls to the platform; outcome is its HTTP status, not_sent (nothing spent) or unknown (spent).",
            labels=("endpoint", "outcome"),
        )
        for labels, count in sorted(watched.outcomes.items()):
            answers.add_metric(labels, count)
        yield answers
        if self._seen is not None:
            yield from _of_installation(self._seen)
            # Told also while the database is away: silence is then what there is to see.
            lag_s = max(0.0, _seconds(self._installation.clock.now()) - self._last_entry_s)
            yield _gauge(
                "bursar_log_last_entry_age_seconds",
                "Time since the newest entry of the log that this process knows of.",
                lag_s,
            )


def _of_installation(seen: Seen) -> Iterable[Metric]:
    yield _gauge("bursar_ready", "1 while /readyz says yes.", int(seen.problems == 0))
    is_up = seen.log_entries is not None
    yield _gauge("bursar_database_up", "1 while the database answers.", int(is_up))
    if seen.log_entries is not None:
        yield _gauge("bursar_log_entries", "Entries in the log of the whole installation.", seen.log_entries)
    labels = ("credential", "dimension", "window")
    amounts = {
        "limit": GaugeMetricFamily("bursar_quota_limit", "What the credential may spend.", labels=labels),
        "used": GaugeMetricFamily("bursar_quota_used", "What it has spent for good.", labels=labels),
        "reserved": GaugeMetricFamily(
            "bursar_quota_reserved", "What is promised to calls under way.", labels=labels
        ),
        "left": GaugeMetricFamily("bursar_quota_left", "What one more call could take.", labels=labels),
    }
    for name, standing in seen.quotas:
        window = "" if standing.limit.window is None else standing.limit.window.value
        told = (name, standing.limit.dimension.value, window)
        amounts["limit"].add_metric(told, standing.limit.amount)
        amounts["used"].add_metric(told, standing.used)
        amounts["reserved"].add_metric(told, standing.reserved)
        amounts["left"].add_metric(told, standing.left)
    yield from amounts.values()


def _seconds(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=float(value))


def _histogram(name: str, says: str, steps: dict[str, Timings]) -> Metric:
    family = HistogramMetricFamily(name, says, labels=("step",))
    bounds = [*(str(bound) for bound in BOUNDS_S), "+Inf"]
    for step, timings in steps.items():
        buckets = list(zip(bounds, timings.cumulative(), strict=True))
        family.add_metric((step,), buckets, timings.total_s)
    return family
