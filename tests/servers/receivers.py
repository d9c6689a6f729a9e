"""Where notices arrive: a small web server and a small mail server, each in a thread of its own."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers.certificates import Pair
from tests.servers.programs import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Hooks:
    """A web server that keeps what is posted and answers with `statuses` in turn, then 204."""

    def __init__(
        self, *statuses: int, headers: Mapping[str, str] | None = None, pair: Pair | None = None
    ) -> None:
        self.posts: list[Post] = []
        self._statuses = list(statuses)
        self._headers = dict(headers or {})
        self.may_answer = threading.Event()
        """Cleared, it holds its answers back until it is set again."""
        self.may_answer.set()
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                named = {name.lower(): value for name, value in self.headers.items()}
                kept.posts.append(Post(path=self.path, headers=named, body=body))
                kept.may_answer.wait(60)
                self.send_response(kept._statuses.pop(0) if kept._statuses else 204)
                for name, value in kept._headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name for it
                """Nothing: a test says what went wrong."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._scheme = "http"
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://localhost:{self.port}/hook?token=canary-in-the-address"

    def answer(self, *statuses: int) -> None:
        """Answer the next posts so."""
        self._statuses[:] = statuses

    def events(self) -> list[str]:
        """What the posts were about, in their order."""
        return [each.json()["type"] for each in self.posts]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(slots=True)
class _Box:
    """What aiosmtpd asks while a session goes on."""

    refuse: Mapping[str, str]
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    users: list[tuple[str, str]] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - named by the protocol
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        mail = message_from_bytes(content, _class=EmailMessage, policy=default)
        self.mails += [(to, mail) for to in envelope.rcpt_tos]
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.users.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"right", handled=False)


class Mailbox:
    """A mail server that keeps what it is given; `refuse` says which recipients it refuses, and with what line."""

    def __init__(
        self,
        *,
        refuse: Mapping[str, str] | None = None,
        pair: Pair | None = None,
        tls_from_start: bool = False,
        wants_login: bool = False,
    ) -> None:
        self._box = _Box(refuse or {})
        self.port = free_port()
        context = None
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
        self._controller = Controller(
            self._box,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if tls_from_start else None,
            tls_context=None if tls_from_start else context,
            authenticator=self._box.authenticate if wants_login else None,
            auth_required=wants_login,
            auth_require_tls=pair is not None and not tls_from_start,
        )

    @property
    def mails(self) -> list[tuple[str, EmailMessage]]:
        """Every mail with whom it is for."""
        return self._box.mails

    @property
    def users(self) -> list[tuple[str, str]]:
        """Names and passwords that were shown."""
        return self._box.users

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()


def until(is_so: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Return once it is so; fails when it does not become so."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
