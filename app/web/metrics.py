"""Counts for Prometheus; no label ever names a person, a project or a key."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.clock import Clock
from app.storage.anchoring import Anchorer
from app.storage.books import SqlBooks
from app.storage.disk import Disk
from app.storage.held_room import HeldRoom
from app.storage.log import Boot
from app.storage.sharing import Sharing
from app.timings import BOUNDS_S


class _Sharing(Collector):
    """Asked when the counts are, since nothing happens at the moment when Redis goes away."""

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing

    def collect(self) -> Iterable[Metric]:
        """Whether Redis is away, and how often that mattered."""
        yield GaugeMetricFamily(
            "bursar_redis_away",
            "1 while this process counts short limits by itself, since Redis does not answer.",
            value=float(self._sharing.is_alone),
        )
        yield CounterMetricFamily(
            "bursar_calls_counted_alone",
            "Calls whose short limits this process counted by itself, since Redis did not answer.",
            value=float(self._sharing.counted_alone),
        )


class _Notices(Collector):
    """Asked when the counts are."""

    def __init__(self, outcomes: Mapping[tuple[str, str], int]) -> None:
        self._outcomes = outcomes

    def collect(self) -> Iterable[Metric]:
        """How deliveries of notices ended, by channel."""
        counts = CounterMetricFamily(
            "bursar_notices",
            "Tries to deliver a notice; outcome is sent, failed (to be tried again) or gave_up.",
            labels=("channel", "outcome"),
        )
        for labels, count in sorted(self._outcomes.items()):
            counts.add_metric(labels, count)
        yield counts


class _Log(Collector):
    """Asked when the counts are."""

    def __init__(self, books: SqlBooks, disk: Disk | None) -> None:
        self._books = books
        self._disk = disk

    def collect(self) -> Iterable[Metric]:
        """Whether the log can be written, what waits for it, and how full its disk is."""
        yield GaugeMetricFamily(
            "bursar_log_unwritable",
            "1 while the log cannot be written, so that requests are refused.",
            value=float(self._books.trouble is not None),
        )
        yield GaugeMetricFamily(
            "bursar_log_queued", "Operations that wait for their commit.", value=float(self._books.queued)
        )
        if self._disk is not None:
            yield GaugeMetricFamily(
                "bursar_log_disk_used_ratio",
                "How much of the embedded database's disk is used.",
                value=self._disk.used_percent / 100,
            )
            yield GaugeMetricFamily(
                "bursar_log_disk_full",
                "1 while that disk is too full for anything new to be sent to the platform.",
                value=float(self._disk.level == "full"),
            )


class _Held(Collector):
    """Asked when the counts are."""

    def __init__(self, room: HeldRoom) -> None:
        self._room = room

    def collect(self) -> Iterable[Metric]:
        """What is held takes in the database, may take, and what had to go for that."""
        if self._room.stored_bytes is not None:
            yield GaugeMetricFamily(
                "bursar_held_bytes",
                "What held answers took in the database when this process looked last.",
                value=float(self._room.stored_bytes),
            )
        yield GaugeMetricFamily(
            "bursar_held_most_bytes",
            "What they may take; 0: there is no bound.",
            value=float(self._room.most_bytes),
        )
        evicted = CounterMetricFamily(
            "bursar_held_evicted_pages",
            "Held pages that this process deleted to make room; when is over (past their time) or fresh.",
            labels=("when",),
        )
        for when, pages in sorted(self._room.evicted.items()):
            evicted.add_metric((when,), pages)
        yield evicted


class _History(Collector):
    """Asked when the counts are."""

    def __init__(self, boot: Boot, anchorer: Anchorer, clock: Clock) -> None:
        self._boot = boot
        self._anchorer = anchorer
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """Whether the log is the one that it was, and how it stands outside."""
        yield GaugeMetricFamily(
            "bursar_audit_rollback_detected",
            "1 while nothing is served, since the log is behind what was seen of it, or another.",
            value=float(self._boot.trouble is not None),
        )
        yield CounterMetricFamily(
            "bursar_anchor_failures",
            "Tries of this process to anchor the log that failed.",
            value=float(self._anchorer.failures),
        )
        age = GaugeMetricFamily(
            "bursar_anchor_age_seconds",
            "Time since the log was last anchored, by channel.",
            labels=("channel",),
        )
        now_us = int(self._clock.now().timestamp() * 1_000_000)
        for channel, stands in sorted(self._anchorer.stands.items()):
            age.add_metric((channel,), max(0.0, (now_us - stands.done_us) / 1_000_000))
        yield age


class Metrics:
    """This process's counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "bursar_requests",
            "Research requests answered.",
            ("endpoint", "status", "cache"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "bursar_request_seconds",
            "Time from a research request's last byte to its answer.",
            ("endpoint",),
            buckets=BOUNDS_S,
            registry=self._registry,
        )
        self._upstream = Counter(
            "bursar_upstream_units",
            "Requests and records charged upstream.",
            ("endpoint", "dimension"),
            registry=self._registry,
        )
        self._answers = Counter(
            "bursar_answers",
            "Answers with records; kind is how each was come by, miss where it was bought.",
            ("endpoint", "kind"),
            registry=self._registry,
        )
        self._delivered = Counter(
            "bursar_delivered_records",
            "Records handed out, from what is held or not.",
            ("endpoint",),
            registry=self._registry,
        )
        # Looking a label up costs more than counting, and there are few combinations.
        self._count_of = lru_cache(maxsize=1_024)(self._requests.labels)
        self._answers_of = lru_cache(maxsize=1_024)(self._answers.labels)
        self._delivered_of = lru_cache(maxsize=64)(self._delivered.labels)
        self._seconds_of = lru_cache(maxsize=64)(self._seconds.labels)

    def watch(self, sharing: Sharing) -> None:
        """Show whether this process counts short limits for itself alone."""
        self._registry.register(_Sharing(sharing))

    def watch_all(self, collector: Collector) -> None:
        """Show what `collector` finds each time."""
        self._registry.register(collector)

    def watch_notices(self, outcomes: Mapping[tuple[str, str], int]) -> None:
        """Show how deliveries of notices end; `outcomes` is looked at each time."""
        self._registry.register(_Notices(outcomes))

    def watch_log(self, books: SqlBooks, disk: Disk | None) -> None:
        """Show whether the log can be written."""
        self._registry.register(_Log(books, disk))

    def watch_held(self, room: HeldRoom) -> None:
        """Show what held answers take in the database."""
        self._registry.register(_Held(room))

    def watch_history(self, boot: Boot, anchorer: Anchorer, clock: Clock) -> None:
        """Show whether the log is the one that it was, and how it stands outside."""
        self._registry.register(_History(boot, anchorer, clock))

    def answered(self, endpoint: str, *, status: int, cache: str, seconds: float) -> None:
        """One research request was answered; `cache` is where its answer came from, or none."""
        self._count_of(endpoint, str(status), cache).inc()
        self._seconds_of(endpoint).observe(seconds)

    def given(self, endpoint: str, *, kind: str, records: int) -> None:
        """One answer with records was given."""
        self._answers_of(endpoint, kind).inc()
        self._delivered_of(endpoint).inc(records)

    def charged(self, endpoint: str, *, requests: int, records: int) -> None:
        """One call upstream was settled."""
        if requests or records:
            self._upstream.labels(endpoint, "requests").inc(requests)
            self._upstream.labels(endpoint, "records").inc(records)

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
