"""The log over the API, to be taken away: as lines that verify by themselves, and as a table."""

import csv
import json
from pathlib import Path

import pytest

from app.audit.offline import Report, Unreadable, Vkey, told, verify_export
from tests.web.conftest import House

pytestmark = pytest.mark.anyio


async def taken(house: House, place: Path, query: str) -> Vkey:
    answer = await house.get("dpo", f"/api/v1/audit/export{query}")
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    assert "audit-entry" in answer.headers
    place.write_bytes(answer.content)
    return Vkey.parse((await house.get("dpo", "/api/v1/audit/key")).json()["vkey"])


def checks(report: Report) -> set[str]:
    return {each.check for each in report.problems}


async def test_lines_verify_as_they_come(house: House, tmp_path: Path) -> None:
    place = tmp_path / "log.jsonl"
    await house.get("bob", "/api/v1/me")
    key = await taken(house, place, "")
    report = verify_export(place, keys=[key])
    assert (report.problems, report.finding) == ([], None)
    assert report.size == sum(report.entries.values()) > 5
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    assert {"files", "order"} <= checks(verify_export(place, keys=[key]))
    place.write_bytes(b"".join([lines[0].replace(b"cli", b"cly"), *lines[1:]]))
    assert checks(verify_export(place, keys=[key])) == {"files", "leaf"}
    place.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(Unreadable):
        verify_export(place, keys=[key])


async def test_a_part_verifies_by_its_signature(house: House, tmp_path: Path) -> None:
    place = tmp_path / "log.jsonl"
    key = await taken(house, place, "?type=admin")
    report = verify_export(place, keys=[key])
    assert (report.problems, report.finding) == ([], None)
    assert report.counted["exported"] == len(place.read_bytes().splitlines()) - 1 > 2
    assert b'"audit_read"' not in place.read_bytes()


async def test_a_part_does_not_pass_for_one_of_a_longer_log(house: House, tmp_path: Path) -> None:
    place, later = tmp_path / "log.jsonl", tmp_path / "later.jsonl"
    key = await taken(house, place, "?type=admin")
    await taken(house, later, "?type=admin")
    *lines, end = place.read_bytes().splitlines(keepends=True)
    swapped = {
        **json.loads(end),
        "checkpoint": json.loads(later.read_bytes().splitlines()[-1])["checkpoint"],
    }
    place.write_bytes(
        b"".join(lines) + json.dumps(swapped, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    )
    report = verify_export(place, keys=[key])
    assert checks(report) == {"files"}
    assert "the manifest names size" in report.problems[0].detail


async def test_a_part_is_told_as_one_and_compared_with_a_receipt(house: House, tmp_path: Path) -> None:
    place = tmp_path / "log.jsonl"
    key = await taken(house, place, "?type=admin")
    (tmp_path / "receipts").mkdir()
    origin, index = (
        verify_export(place, keys=[key]).origin,
        json.loads(place.read_bytes().splitlines()[0])["ix"],
    )
    (tmp_path / "receipts/one").write_text(
        f'Audit-Entry: origin="{origin}";index={index};size=9\nAudit-Leaf: :{"A" * 43}=:\n'
    )
    report = verify_export(place, keys=[key], receipts=tmp_path / "receipts")
    assert [(each.check, each.ix) for each in report.problems] == [("receipt", index)]
    whole = verify_export(place, keys=[key])
    assert next(told(whole)).startswith(f"Verified: {whole.part} of the {whole.size} entries")
    assert whole.shown()["part"] is True


async def test_a_table_is_a_table(house: House, tmp_path: Path) -> None:
    place = tmp_path / "log.csv"
    await taken(house, place, "?format=csv")
    with place.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ix"] for row in rows] == [str(index) for index in range(len(rows))]
    assert rows[0]["type"] == "admin"


async def test_taking_it_away_is_logged_before_and_after(house: House, tmp_path: Path) -> None:
    await taken(house, tmp_path / "log.jsonl", "?verdict=refused")
    items = (await house.get("dpo", "/api/v1/audit/entries?type=audit_read")).json()["items"]
    reads = [item["entry"]["reads"] for item in items]
    asked = {"format": "jsonl", "verdict": "refused"}
    assert {"export": asked} in reads
    (ended,) = [each for each in reads if "manifest_sha256" in each]
    assert {**asked, "entries": ended["entries"], "manifest_sha256": ended["manifest_sha256"]} == ended


async def test_another_format_is_refused(house: House) -> None:
    assert (await house.get("dpo", "/api/v1/audit/export?format=tiles")).status_code == 400
