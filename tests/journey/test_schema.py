"""Requests made up from the published OpenAPI document, sound and unsound, by people with keys and without.

Whatever is asked: the answer is a documented one, of the documented type and shape; none is a failure of the
server; and the log holds each request, with exactly the entries that its kind has.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, Response
from schemathesis.openapi import from_dict
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.settings import Settings
from app.web.factory import create_app
from tests.journey.exchange import Entry
from tests.journey.people import Cast, opened_wire
from tests.journey.questions import STATUS

DOCUMENT: Mapping[str, Any] = create_app(Settings()).app.openapi()
OPERATIONS = [f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods]


@dataclass(frozen=True, slots=True)
class Manner:
    """A way to make requests up, and how many of each operation."""

    mode: GenerationMode
    cases: int
    cases_long: int
    by_anybody: bool = False


MANNERS = {
    "sound": Manner(GenerationMode.POSITIVE, 6, 110),
    "unsound": Manner(GenerationMode.NEGATIVE, 4, 70),
    "by anybody": Manner(GenerationMode.POSITIVE, 4, 30, by_anybody=True),
}
CHECKS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
_EXPORT = "/api/v1/audit/export"
_PLACE = re.compile(r'origin="[^"]+";index=(\d+);size=\d+')


@dataclass(slots=True)
class Reader:
    """A made-up request on its way, and what the log has of it."""

    cast: Cast
    schema: BaseSchema
    bearers: Mapping[str, str | None]
    """What may be shown, by what it is."""
    task: int
    """A check of ids that has been begun."""
    session: requests.Session = field(default_factory=requests.Session)
    seen: int = 0

    def operation(self, label: str) -> APIOperation[Any, Any, Any, Any]:
        found = self.schema.find_operation_by_label(label)
        assert found is not None
        return found

    def check(self, case: Case[Any], bearer: str) -> None:
        """Send a request, and hold its answer to the document and to the log."""
        shown = self.bearers[bearer]
        headers = {} if shown is None else {"Authorization": f"Bearer {shown}"}
        since = self.cast.wire.size()
        response = case.call(session=self.session, headers=headers, timeout=60)
        case.validate_response(response, checks=CHECKS)
        documented = DOCUMENT["paths"][case.operation.path][case.operation.method.lower()]["responses"]
        # By its own number: what is documented as the default is a failure of the server.
        assert str(response.status_code) in documented
        assert response.status_code < 500
        entries = self.cast.wire.entries(since)
        if case.operation.path == _EXPORT and response.status_code == 200:
            # What was taken away can be said only once it has been.
            assert [each.says.get("op") for each in entries[1:]] == ["audit.exported"]
            entries = entries[:1]
        assert_in_the_log(response, entries)
        self.seen += 1


def assert_in_the_log(response: Response, entries: tuple[Entry, ...]) -> None:
    """One entry, or two for a call that went upstream; the answer names the last one by place and by id."""
    place = _PLACE.fullmatch(response.headers["audit-entry"][0])
    assert place is not None
    assert int(place[1]) == entries[-1].index
    sent_on = len(entries) == 2
    assert [entry.type for entry in entries] == (["intent", "outcome"] if sent_on else [entries[0].type])
    assert entries[-1].type in {"outcome", "decision", "auth", "audit_read"}
    # Lines of JSON are an export, and name nothing.
    if not response.headers.get("content-type", [""])[0].partition(";")[0].endswith("json"):
        return
    told = json.loads(response.content)
    named = told.get("error", {}) if "error" in told and isinstance(told["error"], dict) else told
    given_id = named.get("log_id") or named.get("entry")
    if isinstance(given_id, str):
        assert given_id == entries[-1].id
    else:
        assert response.status_code < 300


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with opened_wire(tmp_path_factory.mktemp("schema")) as cast:
        installation = cast.wire.installation
        published = requests.get(f"{installation.base_url}/openapi.json", timeout=30).json()
        schema = from_dict(published)
        schema.config.update(base_url=installation.base_url)
        people = {
            who: installation.bursar("token", "issue", "--person", f"{who}@example.edu")["token"]
            for who in ("it", "dpo")
        }
        bearers = {
            "ada": cast.token,
            **people,
            "a key": cast.keys["elections"],
            "a key without quota": cast.keys["spent"],
            "a key of a project that is over": cast.keys["over"],
            "nobody": None,
            "an unknown token": "bsr_live_AAAAAAAAAAAA_x",
        }
        reader = Reader(cast, schema, bearers, cast.question(STATUS).body["task_id"])
        assert published == json.loads(json.dumps(DOCUMENT))
        yield reader
        reader.session.close()
        print(f"{reader.seen} made-up requests")


def within_reach(body: dict[str, Any], task: int) -> dict[str, Any]:
    """The body without what is refused whenever it is made up: days years apart, and tasks of nobody's."""
    nearer = {"end_date": body.get("start_date"), "task_id": task}
    return {name: nearer.get(name, value) for name, value in body.items()}


def send_made_up(reader: Reader, label: str, how: Manner, *, is_long: bool) -> None:
    operation = reader.operation(label)
    whoever = list(reader.bearers) if how.by_anybody else ["a key"] if "/v2/" in label else ["it", "dpo"]
    before = reader.seen

    @settings(
        max_examples=how.cases_long if is_long else how.cases,
        deadline=None,
        database=None,
        derandomize=not is_long,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(case=operation.as_strategy(generation_mode=how.mode), bearer=st.sampled_from(whoever))
    def one(case: Case[Any], bearer: str) -> None:
        if how.mode.is_positive and isinstance(case.body, dict):
            case.body = within_reach(case.body, reader.task)
        reader.check(case, bearer)

    one()
    assert reader.seen > before


@pytest.mark.parametrize("how", MANNERS)
@pytest.mark.parametrize("label", OPERATIONS)
def test_a_made_up_request_is_answered_as_documented_and_is_in_the_log(
    reader: Reader, label: str, how: str
) -> None:
    send_made_up(reader, label, MANNERS[how], is_long=False)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("how", MANNERS)
@pytest.mark.parametrize("label", OPERATIONS)
def test_thousands_of_made_up_requests_are_answered_as_documented_and_are_in_the_log(
    reader: Reader, label: str, how: str
) -> None:
    send_made_up(reader, label, MANNERS[how], is_long=True)


def test_the_long_run_has_twenty_thousand_requests() -> None:
    assert len(OPERATIONS) * sum(how.cases_long for how in MANNERS.values()) >= 20_000
