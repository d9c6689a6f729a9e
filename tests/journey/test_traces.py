"""What a collector of OpenTelemetry spans is sent of requests: their steps, and nothing about people."""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from app.tracing import Tracing
from tests.servers.bursar import (
    CLIENT_KEY,
    CLIENT_SECRET,
    VIDEO_QUERY,
    Installation,
    Process,
    call,
    video_query,
)
from tests.servers.collector import Received, received
from tests.servers.programs import free_port
from tests.servers.receivers import until

_REQUESTS = 7
"""That have a span: one for a token, four for videos, one for `me`, and one for a path that is not there."""
_CLIENT = {
    "Content-Type": "application/json",
    "User-Agent": "canary-agent",
    "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
}


class Asked:
    """Requests of each kind that were answered, and the spans that came of them."""

    def __init__(self, home: Path) -> None:
        self.file = home / "spans.jsonl"
        self.file.touch()
        port = free_port()
        command = [sys.executable, "-m", "tests.servers.collector", str(port), str(self.file)]
        self.collector = Process(
            command,
            port=port,
            ready="/",
            environ={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            log=home / "collector.log",
        )
        settings = {"BURSAR_TRACES_URL": f"http://127.0.0.1:{port}/v1/traces", "BURSAR_LOG_FORMAT": "json"}
        self.installation = Installation(home, settings=settings)
        self.code = -1
        self.log_ids: dict[str, str] = {}
        self.secrets: list[str] = []

    def run(self) -> None:
        here = self.installation
        gateway = here.start()
        key = here.key()
        (token,) = here.tokens([key], 1)
        self.secrets = [key["client_key"], key["client_secret"], key["api_key"], token]
        query = video_query(max_count=20)
        for name in ("miss", "hit"):
            self.research(name, query, token)
        self.research("refused", b'{"query": {"and": [{"field_name": "canary-field"}]}}', token)
        self.research("unknown", query, "canary-token")
        owner = {"Authorization": f"Bearer {key['api_key']}"}
        call(here.port, "GET", "/api/v1/me?q=canary-query", headers=owner)
        call(here.port, "GET", "/canary-path")
        call(here.port, "GET", "/livez")
        until(lambda: len(self.roots) == _REQUESTS, within_s=60.0)
        # From here on nothing that is sent arrives, and nobody notices.
        os.kill(self.collector.popen.pid, signal.SIGSTOP)
        try:
            self.research("unseen", query, token)
            self.code = gateway.stop()
        finally:
            os.kill(self.collector.popen.pid, signal.SIGCONT)

    def research(self, name: str, body: bytes, token: str) -> None:
        told = call(
            self.installation.port,
            "POST",
            VIDEO_QUERY,
            body=body,
            headers={**_CLIENT, "Authorization": f"Bearer {token}"},
        )
        self.log_ids[name] = json.loads(told[2])["error"]["log_id"]

    @property
    def roots(self) -> list[Received]:
        return [each for each in self.spans if not each.parent]

    @property
    def spans(self) -> Sequence[Received]:
        return received(self.file)

    def entries(self) -> set[str]:
        """The ids of all entries in the log."""
        with closing(sqlite3.connect(self.installation.home / "data/bursar.db")) as database:
            return {each for (each,) in database.execute("SELECT id FROM entry")}

    def of(self, name: str) -> list[Received]:
        """The spans of the request whose answer named that entry."""
        (trace,) = {
            each.trace for each in self.spans if each.told.get("bursar.entry.id") == self.log_ids[name]
        }
        return [each for each in self.spans if each.trace == trace]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    done = Asked(tmp_path_factory.mktemp("traced"))
    try:
        with done.installation:
            done.run()
            yield done
    finally:
        done.collector.kill()


def tree(spans: Sequence[Received]) -> dict[str, str]:
    """Each step's name with that of what it is a part of."""
    names = {each.id: each.name for each in spans}
    return {each.name: names.get(each.parent, each.parent) for each in spans}


def test_a_miss_shows_every_step_to_the_platform_and_back(asked: Asked) -> None:
    root = "POST /v2/research/video/query/"
    found = tree(asked.of("miss"))
    assert found[root] == ""
    steps = ("identify", "limits", "seal", "reuse", "prepare", "reserve", "fetch", "record")
    assert {each: found[each] for each in steps} == dict.fromkeys(steps, root)
    assert (found["turn"], found["platform"]) == ("fetch", "fetch")
    (platform,) = (each for each in asked.of("miss") if each.name == "platform")
    assert platform.told["http.response.status_code"] == 200


def test_a_hit_shows_no_step_towards_the_platform(asked: Asked) -> None:
    found = tree(asked.of("hit"))
    assert {"reserve", "fetch", "platform"} & set(found) == set()
    (root,) = (each for each in asked.of("hit") if not each.parent)
    assert root.told["bursar.cache"] == "bursar; hit; detail=exact"
    assert root.told["bursar.cost"] == "requests=0, records=0"


def test_a_refusal_is_no_error_and_says_its_code(asked: Asked) -> None:
    (root,) = (each for each in asked.of("unknown") if not each.parent)
    assert root.told["http.response.status_code"] == 401
    assert not root.is_error
    (identify,) = (each for each in asked.of("unknown") if each.name == "identify")
    assert identify.told["error.type"] == "access_token_invalid"
    assert [each for each in asked.spans if each.is_error] == []


def test_spans_name_entries_that_the_log_holds(asked: Asked) -> None:
    named = {each.told["bursar.entry.id"] for each in asked.spans if "bursar.entry.id" in each.told}
    assert {asked.log_ids[name] for name in ("miss", "hit", "refused", "unknown")} <= named
    assert named <= asked.entries()


def test_other_requests_go_by_the_template_of_their_route(asked: Asked) -> None:
    roots = {each.name for each in asked.roots}
    assert roots == {
        "POST /v2/oauth/token/",
        "POST /v2/research/video/query/",
        "GET /api/v1/me",
        "GET *",
    }


def test_no_span_tells_of_people_secrets_or_questions(asked: Asked) -> None:
    text = asked.file.read_text()
    canaries = [
        *asked.secrets,
        *(CLIENT_KEY, CLIENT_SECRET, "canary", "ada@example.edu", "Ada", "elections", "R-2026-014"),
        *("region_code", "20261001", "username", "127.0.0.1", str(asked.installation.home), "aaaaaaaa"),
    ]
    assert [each for each in canaries if each in text] == []
    assert sum(each.events for each in asked.spans) == 0
    for each in asked.spans:
        assert set(each.process) == {"service.name", "service.version", "service.instance.id"}


def test_a_collector_that_hangs_keeps_nobody_waiting(asked: Asked) -> None:
    assert asked.log_ids["unseen"] in asked.entries()
    assert asked.code == 0


class Port:
    async def fails(self) -> None:
        raise LookupError("canary")

    async def counts(self) -> int:
        return self.plain()

    def plain(self) -> int:
        return 7


@pytest.mark.anyio
async def test_what_waits_is_sent_before_the_end(asked: Asked) -> None:
    tracing = Tracing(asked.installation.environ["BURSAR_TRACES_URL"], share=1.0, release="1", instance="a")
    with tracing.span("the last one"):
        pass
    await tracing.close()
    assert "the last one" in {each.name for each in asked.spans}


@pytest.mark.anyio
async def test_a_port_does_as_before_and_a_step_that_it_lacks_is_refused() -> None:
    tracing = Tracing(f"http://127.0.0.1:{free_port()}/v1/traces", share=0.0, release="1", instance="a")
    try:
        port = tracing.around(Port(), {"fails": "failing", "counts": "counting"})
        with pytest.raises(LookupError, match="canary"):
            await port.fails()
        assert (await port.counts(), port.plain()) == (7, 7)
        for method in ("plain", "nowhere"):
            with pytest.raises((TypeError, AttributeError)):
                tracing.around(Port(), {method: "step"})
    finally:
        await tracing.close()
