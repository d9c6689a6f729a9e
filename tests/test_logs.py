"""The form of log lines; each run in a process of its own, since the form is one for the whole process."""

import json
import subprocess
import sys

_WRITES = """
import logging
import structlog
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from app.logs import configure_logs
configure_logs("json")
logging.getLogger("uvicorn.error").warning("a library says %s", "so")
log = structlog.get_logger()
try:
    held = "canary" + "-in-a-variable"
    raise LookupError("gone")
except LookupError:
    log.exception("a request failed", entry="ab12")
with use_span(NonRecordingSpan(SpanContext(0xFEED, 0x1, is_remote=False, trace_flags=TraceFlags(1)))):
    log.warning("in a trace")
"""


def test_every_line_is_json_and_names_entry_and_trace_where_there_is_one() -> None:
    done = subprocess.run([sys.executable, "-c", _WRITES], capture_output=True, text=True, check=True)
    library, failed, traced = (json.loads(line) for line in done.stderr.splitlines())
    assert (library["event"], library["logger"], library["level"]) == (
        "a library says so",
        "uvicorn.error",
        "warning",
    )
    assert (failed["entry"], "LookupError: gone" in failed["exception"]) == ("ab12", True)
    assert "trace" not in failed
    assert traced["trace"] == f"{0xFEED:032x}"
    assert "canary-in-a-variable" not in done.stderr
