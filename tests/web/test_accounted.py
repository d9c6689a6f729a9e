"""The middleware that logs every request outside the research paths."""

import json

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.audit.calls import Scribe
from app.audit.entries import Draft, Receipt
from app.errors import AuditUnavailable
from app.web.accounted import Accounted

pytestmark = pytest.mark.anyio


async def answers(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"secret of the database"})


async def breaks(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise LookupError("a bug")


async def is_left_alone(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ClientDisconnect


class Log:
    """Keeps drafts, or cannot."""

    def __init__(self, *, is_full: bool = False) -> None:
        self.drafts: list[Draft] = []
        self._is_full = is_full

    async def note(self, draft: Draft, *, source: str | None) -> Receipt:
        if self._is_full:
            raise AuditUnavailable("full")
        self.drafts.append(draft)
        return Receipt(id=draft.id, index=0, size=1, leaf_hash=b"", ts_us=0, origin="test")


async def ask(app: ASGIApp, log: Log, path: str = "/docs") -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scribe = Scribe(b"k" * 32)
    accounted = Accounted(app, note=lambda: log.note, scribe=lambda: scribe)
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "client": ("127.0.0.1", 1)}
    await accounted(scope, receive, send)
    return sent


async def test_an_answer_leaves_with_its_entry() -> None:
    log = Log()
    start, body = await ask(answers, log)
    assert (b"audit-entry", b'origin="test";index=0;size=1') in start["headers"]
    assert body["body"] == b"secret of the database"
    assert len(log.drafts) == 1


async def test_what_cannot_be_logged_is_not_answered() -> None:
    start, body = await ask(answers, Log(is_full=True))
    assert start["status"] == 503
    assert json.loads(body["body"])["code"] == "audit_unavailable"


async def test_a_bug_is_answered_as_a_problem_and_logged(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log()
    start, body = await ask(breaks, log)
    assert (start["status"], json.loads(body["body"])["code"]) == (500, "internal_error")
    (draft,) = log.drafts
    # Whoever reads the line finds the entry, and the other way round.
    assert draft.id in "".join(capfd.readouterr())


async def test_who_leaves_in_mid_request_is_in_the_log_and_no_failure_of_ours(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = Log()
    start, _ = await ask(is_left_alone, log)
    assert start["status"] == 400
    (draft,) = log.drafts
    assert draft.fields["decision"]["verdict"] == "refused"  # type: ignore[index,call-overload]
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_health_and_metrics_alone_are_exempt(path: str) -> None:
    log = Log()
    await ask(answers, log, path)
    assert log.drafts == []
