"""Counts for Prometheus; no label ever names a person, a project or a key."""

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 250)


class Metrics:
    """This process's counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
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
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._upstream = Counter(
            "bursar_upstream_units",
            "Requests and records charged upstream.",
            ("endpoint", "dimension"),
            registry=self._registry,
        )
        # Looking a label up costs more than counting, and there are few combinations.
        self._count_of = lru_cache(maxsize=1_024)(self._requests.labels)
        self._seconds_of = lru_cache(maxsize=64)(self._seconds.labels)

    def answered(self, endpoint: str, *, status: int, cache: str, seconds: float) -> None:
        """One research request was answered; `cache` is hit, miss, collapsed or none."""
        self._count_of(endpoint, str(status), cache).inc()
        self._seconds_of(endpoint).observe(seconds)

    def charged(self, endpoint: str, *, requests: int, records: int) -> None:
        """One call upstream was settled."""
        if requests or records:
            self._upstream.labels(endpoint, "requests").inc(requests)
            self._upstream.labels(endpoint, "records").inc(records)

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
