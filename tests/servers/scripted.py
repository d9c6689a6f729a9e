"""A platform that answers, to the letter, what it is told to."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_TOKEN = json.dumps({"access_token": "clt.scripted", "expires_in": 7200, "token_type": "Bearer"}).encode()
_NOTHING = b'{"data":{},"error":{"code":"ok","message":"","log_id":"20261001000000SCRIPTED"}}'


@dataclass(frozen=True, slots=True)
class Said:
    """One answer."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heard:
    """One research request, as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


class ScriptedPlatform:
    """A server in this process; tokens are always good, research calls get what `says` has lined up."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._answers: deque[Said] = deque()
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                answer = Said(_TOKEN)
                if not self.path.startswith("/v2/oauth/token"):
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    platform.heard.append(Heard(self.path, headers, body))
                    answer = platform._answers.popleft() if platform._answers else Said(_NOTHING)
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def says(self, *answers: Said) -> None:
        """Answer the next research calls so, and forget what was heard and lined up before."""
        self.heard.clear()
        self._answers.clear()
        self._answers.extend(answers)
