"""Codes, acts and types in words, and the log's root in one form wherever it is shown."""

import datetime as dt
import re

import pytest

from app.audit.filters import TYPES
from app.web.console.meanings import act_said, code_said, kind_said, rule_said
from app.web.errors import STATUS_OF_CODE
from app.web.problems import CODE_OF_STATUS
from tests.web.conftest import House
from tests.web.console.conftest import Opened, signed_in, text_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("code", sorted({*STATUS_OF_CODE, *CODE_OF_STATUS.values()}))
def test_every_code_has_words_of_its_own(code: str) -> None:
    assert code_said(code).endswith(".")


def test_a_code_that_nobody_knows_is_told_in_its_own_words() -> None:
    assert code_said("no_such_thing") == "No such thing"
    assert code_said("") == ""


def test_a_malformed_request_is_told_apart_from_one_that_is_too_large() -> None:
    assert rule_said("request/1", "invalid_params") == "The request was malformed."
    assert rule_said("request/1", "body_too_large") == ""


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_has_words(kind: str) -> None:
    assert kind_said(kind) != kind


@pytest.mark.parametrize(
    ("op", "words"),
    [
        ("person.added", "Person added"),
        ("limit.set", "Limit changed"),
        ("member.retired", "Member of a project ended"),
        ("project.unfrozen", "Project let go on"),
        ("master_key.rotated", "Master key rotated"),
        ("console/session", "Came without a session"),
        ("video/query", "video/query"),
    ],
)
def test_what_was_done_is_told_in_words(op: str, words: str) -> None:
    assert act_said(op) == words


async def test_pages_tell_why_something_was_refused(fresh_house: House, browser: Opened) -> None:
    assert (await fresh_house.ask("it", "PUT", "/api/v1/me")).status_code == 405
    large = await fresh_house.ask("it", "POST", "/api/v1/keys", json={"project": "x" * 20_000})
    assert large.status_code == 413
    assert (await browser(fresh_house).get("/me")).status_code == 401
    dpo = await signed_in(browser, fresh_house, "dpo")
    today = (await fresh_house.office.state()).now.date()
    report = text_of(await dpo.get(f"/compliance/report?since={today}&until={today + dt.timedelta(days=1)}"))
    for page in (report, text_of(await dpo.get("/today"))):
        assert "The path is there, but does not take that method." in page
        assert "More was sent than is read of a request." in page
        assert "body_too_large" in page
    assert "Person added person.added" in report
    assert "Came without a session console/session" in report
    assert "answered by Bursar decision" in report


async def test_the_root_has_one_form_on_every_page(fresh_house: House, browser: Opened) -> None:
    dpo = await signed_in(browser, fresh_house, "dpo")
    shown = re.search(r"Root (\S{44}) Public key", text_of(await dpo.get("/audit")))
    assert shown is not None
    # Whatever was read is one entry more, so the size that belongs to it is looked up in the log itself.
    seen = (await dpo.get("/audit/checkpoint")).text.splitlines()
    proof = await fresh_house.get("dpo", f"/api/v1/audit/consistency?from={int(seen[1]) - 1}")
    assert proof.json()["from_root"] == shown[1]
    today = (await fresh_house.office.state()).now.date()
    asked = f"/compliance/report?since={today}&until={today + dt.timedelta(days=1)}"
    report = text_of(await dpo.get(asked))
    assert "Root" in report
    assert "in hexadecimal" in report
