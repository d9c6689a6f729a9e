"""Rules, their modes and the terms' grace period, over the API."""

import datetime as dt
from pathlib import Path

import pytest
import yaml

from app.administration.acts import apply_state
from app.administration.wanted import read_state_file
from tests.web.conftest import OPERATOR, STATE, House, opened_house

pytestmark = pytest.mark.anyio


async def newest(house: House, kind: str) -> dict[str, object]:
    items = (await house.get("dpo", "/api/v1/audit/entries?limit=20")).json()["items"]
    found: dict[str, object] = next(each["entry"] for each in items if each["entry"]["type"] == kind)
    return found


async def test_a_rule_is_shown_with_clause_source_date_and_mode(shared_house: House) -> None:
    rules = (await shared_house.get("bob", "/api/v1/rules")).json()
    shown = {each["rule"]: each for each in rules["items"]}
    assert shown["roster-limit/1"] == {
        "rule": "roster-limit/1",
        "mode": "enforce",
        "clause": "Principal and at most nine collaborators on one approval.",
        "source": "Research API FAQ, 2026-09-01",
        "dated": "2026-09-01",
    }
    values = {each["name"]: (each["amount"], each["default"]) for each in rules["values"]}
    assert values["refresh_interval_days"] == (15, 15)


async def test_a_mode_is_set_by_an_administrator_logged_and_in_force_at_once(house: House) -> None:
    answer = await house.ask("it", "PUT", "/api/v1/rules/date-span", json={"mode": "shadow"})
    assert (answer.status_code, answer.json()["rule"], answer.json()["mode"]) == (
        200,
        "date-span/1",
        "shadow",
    )
    key = house.keys["bob"].key_id
    record = await house.installation.directory.by_key(key)  # type: ignore[arg-type]
    assert record is not None
    assert record.caller.policy.modes == {"date-span/1": "shadow"}
    entry = await newest(house, "admin")
    assert (entry["op"], entry["object"], entry["before"], entry["after"]) == (
        "rule.set",
        {"kind": "rule", "id": "date-span/1"},
        "enforce",
        "shadow",
    )
    assert entry["decision"] == {"verdict": "allowed", "rule": "roles/1"}


async def test_under_two_person_control_what_weakens_the_terms_waits(
    tmp_path: Path, migrated_url: str
) -> None:
    async with opened_house(tmp_path, migrated_url, two_person_control=True) as house:
        answer = await house.ask("it", "PUT", "/api/v1/rules/refresh-interval", json={"mode": "shadow"})
        assert (answer.status_code, answer.json()["mode"]) == (200, "enforce")
        (waiting,) = answer.json()["waiting"]
        assert (waiting["what"], waiting["about"]) == ("rule.mode", "refresh-interval/1: enforce -> shadow")
        read = await house.get("it", "/api/v1/rules/refresh-interval")
        assert (read.headers["etag"], read.json()["mode"]) == (answer.headers["etag"], "enforce")
        path = "/api/v1/rules/values/refresh_interval_days/2026-01-22"
        answer = await house.ask("it", "PUT", path, json={"amount": 30, "source": "III.3.e"})
        assert (answer.status_code, answer.json()["amount"]) == (200, 15)
        (waiting,) = answer.json()["waiting"]
        assert waiting["about"] == "refresh_interval_days from 2026-01-22: 15 -> 30"
        own = await house.ask("it", "POST", f"/api/v1/proposals/{waiting['id']}/confirmation")
        assert own.status_code == 403
        answer = await house.ask("it", "PUT", path, json={"amount": 10, "source": "III.3.e"})
        assert (answer.json()["amount"], answer.json()["waiting"]) == (10, [])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/rules/date-span/2", {"mode": "warn"}),
        ("/api/v1/rules/nothing", {"mode": "warn"}),
        ("/api/v1/rules/date-span/1", {"mode": "off"}),
        ("/api/v1/rules/date-span/1", {}),
    ],
)
async def test_what_is_no_rule_or_no_mode_is_refused(
    shared_house: House, path: str, body: dict[str, str]
) -> None:
    answer = await shared_house.ask("it", "PUT", path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_params")


async def test_whoever_may_call_by_grace_is_told_until_when(house: House) -> None:
    today = dt.datetime.now(dt.UTC).date()
    await house.ask("bob", "POST", "/api/v1/me/terms/2026-02/acceptance")
    content = yaml.safe_load(STATE)
    new = {
        "version": "next",
        "title": "Next",
        "text_file": "terms.md",
        "source": "https://terms.example/next",
    }
    content["terms"].append({**new, "in_force_from": today - dt.timedelta(days=3), "grace_days": 14})
    directory = house.installation.settings.data_dir.parent
    (directory / "state.yaml").write_text(yaml.safe_dump(content))
    wanted = read_state_file(directory / "state.yaml", {})
    await apply_state(house.office, house.mint, OPERATOR, wanted)
    until = (today + dt.timedelta(days=10)).isoformat()
    accept_at = "/api/v1/me/terms/next/acceptance"
    state = (await house.get("bob", "/api/v1/me")).json()["terms"]
    assert state == {
        "in_force": "next",
        "is_accepted": False,
        "may_call": True,
        "accept_at": accept_at,
        "accept_by": until,
    }
    # Grace H. accepted none, and has no grace.
    assert (await house.get("grace", "/api/v1/me")).json()["terms"]["may_call"] is False
    shown = (await house.get("bob", "/api/v1/terms/next")).json()
    assert (shown["source"], shown["grace_days"], shown["accept_by"]) == (
        "https://terms.example/next",
        14,
        until,
    )
    accepted = (await house.ask("bob", "POST", accept_at)).json()
    entry = await newest(house, "admin")
    after = entry["after"]
    assert isinstance(after, dict)
    assert (entry["op"], after["version"], after["text_sha256"]) == (
        "acceptance.accepted",
        "next",
        shown["text_sha256"],
    )
    assert accepted["text_sha256"] == shown["text_sha256"]
