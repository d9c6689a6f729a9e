"""Traces for OpenTelemetry: which step of a request took how long, and how it ended.

A span tells its step, a route's template, codes and ids of entries: never what was asked, by whom or from where,
and no message of an error, since one may repeat what a client sent. Steps are the methods of the gateway's ports,
wrapped where the parts are put together, so that without a collector nothing is wrapped and nothing is paid.
"""

import asyncio
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from opentelemetry import trace

from app.audit.entries import Receipt
from app.errors import BadSetting, BursarError
from app.provider.answers import UpstreamReply

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_Port = TypeVar("_Port")
_Method = Callable[..., Awaitable[Any]]
_SEND_WITHIN_S: Final = 3.0
"""For one batch."""
_STOP_WITHIN_S: Final = 4.0
"""For what still waits at the end; a collector that hangs must not keep a process from stopping."""


class Tracing:
    """Spans of this process, sent to one collector in batches by a thread of their own.

    What does not fit into the queue is dropped: no request ever waits for a collector. Nothing is taken from a
    client's `traceparent` and none is sent to the platform. Raises BadSetting without OpenTelemetry's packages.
    """

    def __init__(self, url: str, *, share: float, release: str, instance: str) -> None:
        self._provider = _provider(url, share=share, release=release, instance=instance)
        self._tracer = self._provider.get_tracer("bursar", release)

    @contextmanager
    def span(self, name: str, kind: trace.SpanKind = trace.SpanKind.INTERNAL) -> Iterator[trace.Span]:
        """A span around what is done meanwhile; an error is told by its code alone."""
        with self._tracer.start_as_current_span(
            name, kind=kind, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except asyncio.CancelledError:
                span.set_attribute("error.type", "cancelled")
                raise
            except BursarError as error:
                # A refusal is an answer; what went wrong is what is nobody's decision.
                span.set_attribute("error.type", error.code)
                raise
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(trace.StatusCode.ERROR)
                raise

    def around(self, port: _Port, steps: Mapping[str, str]) -> _Port:
        """The same port, with a span around each method that `steps` gives a name."""
        unknown = [each for each in steps if not inspect.iscoroutinefunction(getattr(port, each))]
        if unknown:
            raise TypeError(f"{type(port).__name__} has no asynchronous {', '.join(unknown)}")
        return cast("_Port", _Traced(port, {each: self._step(port, each, steps[each]) for each in steps}))

    async def close(self) -> None:
        """Send what waits, for some seconds at most."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _STOP_WITHIN_S)

    def _step(self, port: object, method: str, name: str) -> _Method:
        call: _Method = getattr(port, method)

        @functools.wraps(call)
        async def traced(*args: Any, **kwargs: Any) -> Any:
            with self.span(name) as span:
                result = await call(*args, **kwargs)
                if span.is_recording():
                    span.set_attributes(_told_by(result))
                return result

        return traced


class _Traced:
    """A port with some of its methods replaced."""

    def __init__(self, port: object, methods: Mapping[str, _Method]) -> None:
        self.__dict__.update(methods)
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def _told_by(result: object) -> dict[str, str | int]:
    """What a span says of a step's result: what kind it is, the entry that it made, the platform's status."""
    told: dict[str, str | int] = {} if result is None else {"bursar.result": type(result).__name__}
    receipt = result if isinstance(result, Receipt) else getattr(result, "receipt", None)
    if isinstance(receipt, Receipt):
        told |= {"bursar.entry.id": receipt.id, "bursar.entry.index": receipt.index}
    if isinstance(result, UpstreamReply):
        told["http.response.status_code"] = result.status
    return told


def _provider(url: str, *, share: float, release: str, instance: str) -> "TracerProvider":
    try:
        import requests  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415
    except ImportError as error:
        raise BadSetting(
            "BURSAR_TRACES_URL is set, and OpenTelemetry's packages are not installed: install from "
            "requirements-traces.lock, or `bursar[traces]`."
        ) from error
    told = {"service.name": "bursar", "service.version": release, "service.instance.id": instance}
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(share)),
        resource=Resource(told),
        span_limits=SpanLimits(max_attribute_length=256),
        shutdown_on_exit=False,
    )
    session = requests.Session()
    session.trust_env = False  # no proxy, password or authority of the environment
    exporter = OTLPSpanExporter(endpoint=url, timeout=_SEND_WITHIN_S, session=session)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))
    return provider
