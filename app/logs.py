"""Log lines on standard error: one form for all, Bursar's and its libraries', without values of variables."""

import logging
import sys
from typing import Literal

import structlog
from opentelemetry import trace


def configure_logs(form: Literal["console", "json"]) -> None:
    """Send every log line to standard error, as readable text or as one JSON object each.

    Tracebacks are plain on purpose: a prettier one prints local variables, and one of those may be a
    secret.
    """
    renderer: structlog.types.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    common: list[structlog.types.Processor] = [
        _add_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        common.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*common, renderer],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


def _add_trace(_logger: object, _name: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """Name the trace in which the line was written, where there is one."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        line["trace"] = f"{context.trace_id:032x}"
    return line
