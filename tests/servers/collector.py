"""A collector of OpenTelemetry spans in a process of its own: OTLP over HTTP in, one JSON object a span out.

python -m tests.servers.collector PORT FILE
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One span as it came over the wire."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    is_error: bool
    told: Mapping[str, Any]
    events: int
    process: Mapping[str, Any]
    """What it says of the process that made it."""


def received(file: Path) -> list[Received]:
    """Every span so far."""
    return [Received(**json.loads(line)) for line in file.read_text().splitlines()]


def _values(pairs: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair) for pair in pairs}


def _lines(body: bytes) -> str:
    sent = ExportTraceServiceRequest.FromString(body)
    spans = [
        {
            "name": span.name,
            "trace": span.trace_id.hex(),
            "id": span.span_id.hex(),
            "parent": span.parent_span_id.hex(),
            "kind": span.kind,
            "is_error": span.status.code == Status.STATUS_CODE_ERROR,
            "told": _values(span.attributes),
            "events": len(span.events),
            "process": _values(resource.resource.attributes),
        }
        for resource in sent.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    return "".join(json.dumps(each) + "\n" for each in spans)


def _serve(port: int, file: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path != "/v1/traces" or self.headers["content-type"] != "application/x-protobuf":
                self._answer(400)
                return
            with file.open("a") as out:
                out.write(_lines(body))
            self._answer(200)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name for it
            """Nothing: a test says what went wrong."""

    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]))
