"""Exports on both databases: whole, verified by the stand-alone file, gone on with after a break, and tampered with."""

import base64
import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.administration.changes import local_operator
from app.administration.upkeep import propose_pruning
from app.audit import offline
from app.audit.entries import Draft, KeptQuestion, Value
from app.audit.filters import Filter
from app.audit.offline import Report, verify_export
from app.audit.questions import digest_of
from app.errors import Conflict, InvalidParams
from app.ids import new_object_id
from app.storage.engines import Database, open_database
from app.storage.exporting import Exported, export_log
from app.storage.log import append, name_log
from app.storage.tables import EntryRow, table
from tests.assurance.upkept import OFFICER, begun
from tests.repository.pages import blocks
from tests.signing import SIGNER, boot

pytestmark = pytest.mark.anyio

ORIGIN = "example.edu/bursar/1"
ENTRIES = 700
PERSONS = 7 * 14
"""Of one person: 14 of each hundred."""
VKEY = offline.Vkey.parse(SIGNER.verifier(ORIGIN).vkey)


KEPT = KeptQuestion(nonce=b"n" * 12, ct=b"ciphertext", tags=("more1", "more2"))
LONG: dict[str, Value] = {
    "sealed": {"kid": "k", "sha256": hashlib.sha256(KEPT.nonce + KEPT.ct).hexdigest()},
    "about_more": {"count": 2, "sha256": digest_of(KEPT.tags)},
}
"""Fields of an entry whose question is kept beside it."""


def drafts(count: int) -> list[Draft]:
    return [
        Draft(
            type="decision",
            fields={
                "actor": {"kind": "key", "principal": f"p{number % 7}", "project": "j1"},
                "op": "=1+1" if number % 50 == 0 else "user/info",
                "decision": {"verdict": "allowed", "rule": "endpoint-approved/1"},
                "upstream": {"log_id": f"2026{number:016d}"},
                "about": [f"tag{number % 5}"],
                "text": "é\u202e\x1b\x00\r\n\u2028\x7f",
                **(LONG if number % 50 == 0 else {}),
            },
            kept=KEPT if number % 50 == 0 else None,
        )
        for number in range(count)
    ]


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    await opened.write(lambda conn: name_log(conn, ORIGIN))
    run = boot()
    for _ in range(7):
        await append(opened, run, drafts(ENTRIES // 7))
    yield opened
    await opened.close()


async def exported(
    database: Database, to: Path, kind: str = "tiles", *, run: str = "f" * 16, **wanted: Any
) -> Exported:
    return await export_log(
        database,
        boot(run=run),
        local_operator(0),
        to,
        kind=kind,
        wanted=Filter(**wanted),
        progress=lambda done, total: None,
    )


def alone(place: Path, home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """What the verifier says when it is nothing but a file somewhere."""
    copied = Path(shutil.copy(str(offline.__file__), home))
    command = [sys.executable, "-I", "-S", str(copied), str(place), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=home)
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode, json.loads(done.stdout)


async def audit_reads(database: Database) -> list[dict[str, Any]]:
    entry = table(EntryRow)
    asked = sa.select(entry.c.leaf).where(entry.c.type == "audit_read").order_by(entry.c.ix)
    rows = await database.read(lambda conn: conn.execute(asked).all())
    return [json.loads(bytes(row.leaf)) for row in rows]


@pytest.mark.parametrize("kind", ["tiles", "jsonl", "csv"])
async def test_a_whole_export_verifies_by_the_copied_file_alone(
    database: Database, tmp_path: Path, kind: str
) -> None:
    done = await exported(database, tmp_path / "out", kind)
    assert done.entries == done.size == ENTRIES + 1
    code, report = alone(tmp_path / "out", tmp_path, "--key", VKEY.text)
    assert (code, report["verified"], report["problems"]) == (0, True, [])
    assert report["size"] == ENTRIES + 1
    if kind == "csv":
        assert report["checked"]["exported"] == ENTRIES + 1
    else:
        assert report["entries"] == {"audit_read": 1, "decision": ENTRIES}
    begun, ended = await audit_reads(database)
    assert (begun["op"], begun["reads"]) == ("audit.export", {"format": kind, "resumed": False})
    assert ended["reads"] == {
        "format": kind,
        "entries": ENTRIES + 1,
        "manifest_sha256": done.manifest_sha256,
    }


async def test_tiles_are_where_the_standard_wants_them(database: Database, tmp_path: Path) -> None:
    await exported(database, tmp_path / "out")
    names = {str(each.relative_to(tmp_path / "out")) for each in (tmp_path / "out").rglob("*")}
    assert {"tile/0/000", "tile/0/001", "tile/0/002.p/189", "tile/1/000.p/2"} <= names
    assert {"tile/entries/000", "tile/entries/002.p/189", "checkpoint", "log.vkey"} <= names
    assert {"columns.jsonl", "export.json", "export.note", "anchors", "receipts"} <= names
    assert (tmp_path / "out/tile/0/000").stat().st_size == 8_192


async def test_the_lines_of_the_documentation_make_the_signed_root(
    database: Database, tmp_path: Path
) -> None:
    await exported(database, tmp_path / "out")
    (block,) = blocks("docs/audit-format.md", "run")
    command = [sys.executable, "-I", "-c", block.text, str(tmp_path / "out")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    signed = (tmp_path / "out/checkpoint").read_text().split("\n")[2]
    assert bytes.fromhex(printed) == base64.b64decode(signed)


class Broken(Exception):
    pass


@pytest.mark.parametrize("kind", ["tiles", "jsonl", "csv"])
async def test_a_broken_export_goes_on_where_it_stopped(
    database: Database, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.exporting._AT_ONCE", 256)
    seen: list[int] = []

    def break_off(done: int, total: int) -> None:
        seen.append(done)
        if done >= 512:
            raise Broken

    with pytest.raises(Broken):
        await export_log(
            database,
            boot(run="e" * 16),
            local_operator(0),
            tmp_path / "out",
            kind=kind,
            wanted=Filter(),
            progress=break_off,
        )
    assert seen == [256, 512]
    lines = tmp_path / "out" / ("columns.jsonl" if kind == "tiles" else f"entries.{kind}")
    with lines.open("ab") as file:
        file.write(b"half a li")
    with pytest.raises(offline.Unreadable):
        verify_export(tmp_path / "out", keys=[VKEY])
    with pytest.raises(Conflict):
        await exported(database, tmp_path / "out", kind="csv" if kind != "csv" else "jsonl", run="d" * 16)
    await append(database, boot(run="c" * 16), drafts(3))
    done = await exported(database, tmp_path / "out", kind, run="b" * 16)
    assert (done.has_resumed, done.entries) == (True, ENTRIES + 1)
    report = verify_export(tmp_path / "out", keys=[VKEY])
    assert report.problems == []
    with pytest.raises(Conflict):
        await exported(database, tmp_path / "out", kind, run="a" * 16)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
async def test_a_part_of_the_log_verifies_against_the_whole_tree(
    database: Database, tmp_path: Path, kind: str
) -> None:
    done = await exported(database, tmp_path / "out", kind, person="p3")
    assert done.entries == PERSONS
    report = verify_export(tmp_path / "out", keys=[VKEY])
    assert (report.problems, report.counted["exported"]) == ([], PERSONS)
    file = tmp_path / "out" / f"entries.{kind}"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:5], *lines[6:]]))
    assert {each.check for each in verify_export(tmp_path / "out", keys=[VKEY]).problems} == {"files"}
    file.write_bytes(b"".join([*lines[:5], lines[5].replace(b"user/info", b"user/inf0"), *lines[6:]]))
    checks = {each.check for each in verify_export(tmp_path / "out", keys=[VKEY]).problems}
    assert checks == ({"files", "leaf"} if kind == "jsonl" else {"files"})


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
async def test_a_part_is_compared_with_what_others_kept(
    database: Database, tmp_path: Path, kind: str
) -> None:
    early = (await exported(database, tmp_path / "early")).size
    await exported(database, tmp_path / "out", kind, person="p3")
    await exported(database, tmp_path / "later", run="e" * 16)
    (tmp_path / "receipts").mkdir()
    answer = tmp_path / "receipts/answer"

    def verified(anchor: str = "early") -> Report:
        anchors = [tmp_path / anchor / "checkpoint"]
        return verify_export(tmp_path / "out", keys=[VKEY], receipts=tmp_path / "receipts", anchors=anchors)

    for index, leaf, finding in ((3, bytes(32), "tamper"), (early + 50, bytes(32), "gap")):
        answer.write_text(
            f'Audit-Entry: origin="{ORIGIN}";index={index};size=9\nAudit-Leaf: :{base64.b64encode(leaf).decode()}:\n'
        )
        report = verified()
        assert [(each.check, each.ix, each.shows) for each in report.problems] == [
            ("receipt", index, finding)
        ]
        assert (report.counted["receipts"], report.counted["anchors"]) == (1, 1)
    answer.unlink()
    assert (verified().problems, verified().counted["receipts"]) == ([], 0)
    # A log that somebody has seen longer than the part's checkpoint says has been cut since, or the part is old.
    assert [(each.check, each.shows) for each in verified("later").problems] == [("anchor", "gap")]


async def test_columns_that_were_taken_away_are_missing(database: Database, tmp_path: Path) -> None:
    await exported(database, tmp_path / "out")
    (tmp_path / "out/columns.jsonl").unlink()
    (tmp_path / "out/tile/1/000.p/abc").write_bytes(b"no tile")
    report = verify_export(tmp_path / "out", keys=[VKEY])
    assert [each.detail for each in report.problems] == [
        "tile/1/000.p/abc is no part of the export",
        "columns.jsonl is missing",
    ]


async def test_tiles_take_no_filter_and_there_is_no_fourth_format(database: Database, tmp_path: Path) -> None:
    for kind, wanted in (("tiles", {"person": "p1"}), ("xml", {})):
        with pytest.raises(InvalidParams):
            await exported(database, tmp_path / "out", kind, **wanted)
    assert not (tmp_path / "out").exists()
    assert await audit_reads(database) == []


def problems(report: Report) -> set[tuple[str, int | None]]:
    return {(each.check, each.ix) for each in report.problems}


async def test_a_changed_byte_of_any_file_is_found(database: Database, tmp_path: Path) -> None:
    await exported(database, tmp_path / "out")
    files = [path for path in sorted((tmp_path / "out").rglob("*")) if path.is_file()]
    assert len(files) > 10
    for path in files:
        data = path.read_bytes()
        for place in (0, len(data) // 2, len(data) - 1):
            changed = bytearray(data)
            changed[place] ^= 1
            path.write_bytes(changed)
            if path.name == "log.vkey" and place < len(data) - 1:
                with pytest.raises(offline.Unreadable):
                    verify_export(tmp_path / "out")
            report = verify_export(tmp_path / "out", keys=[VKEY])
            assert report.finding is not None, (path, place)
        path.write_bytes(data)
    assert verify_export(tmp_path / "out", keys=[VKEY]).finding is None


async def test_a_key_of_another_log_is_not_this_logs_although_it_is_the_same_key(
    database: Database, tmp_path: Path
) -> None:
    await exported(database, tmp_path / "out")
    for name, found in ((f"{ORIGIN}/2", None), ("example.edu/other", {("signature", None)})):
        report = verify_export(tmp_path / "out", keys=[offline.Vkey(name, VKEY.public)])
        assert problems(report) == (found or set()), name


async def test_rows_of_an_export_are_named(database: Database, tmp_path: Path) -> None:
    await exported(database, tmp_path / "out")
    columns, entries = tmp_path / "out/columns.jsonl", tmp_path / "out/tile/entries/001"
    data = columns.read_bytes()
    lines = data.splitlines(keepends=True)
    for changed in (
        lines[300].replace(b'"p0"', b'"p1"'),
        lines[300].replace(b'"tag', b'"tog'),
        lines[300].replace(b'"more1"', b'"more3"'),
        lines[300].replace(b'"question":"b', b'"question":"c'),
        lines[300].replace(b'"question":"b', b'"question":"-'),
        lines[300].replace(b'"question":', b'"answer":'),
        lines[300].split(b',"question"')[0] + b"}\n",
        lines[300].replace(b"decision", b"decisiom"),
        b"{}\n",
        lines[300][:-40] + b"\n",
        b"",
    ):
        assert changed != lines[300]
        columns.write_bytes(b"".join([*lines[:300], changed, *lines[301:]]))
        found = problems(verify_export(tmp_path / "out", keys=[VKEY]))
        assert found == {("files", None), ("columns", 300)}, changed
    columns.write_bytes(data)
    data = entries.read_bytes()
    entries.write_bytes(data.replace(b'"rseq":45', b'"rseq":46', 1))
    found = problems(verify_export(tmp_path / "out", keys=[VKEY]))
    assert {check for check, _ in found} == {"files", "leaf"}
    assert {ix for _, ix in found if ix is not None} < set(range(256, 512))
    assert len(found) == 2


async def test_an_earlier_export_names_the_entry_that_was_rewritten_since(
    database: Database, tmp_path: Path
) -> None:
    await exported(database, tmp_path / "before")
    later = tmp_path / "later"
    await exported(database, later, run="9" * 16)
    assert verify_export(later, keys=[VKEY], anchors=[tmp_path / "before"]).finding is None
    tile = tmp_path / "before/tile/0/001"
    data = bytearray(tile.read_bytes())
    data[32 * 44] ^= 1
    tile.write_bytes(data)
    report = verify_export(later, keys=[VKEY], anchors=[tmp_path / "before"])
    assert problems(report) == {("anchor", 300)}


async def test_no_cell_is_a_formula_a_number_of_another_or_holds_a_control(
    database: Database, tmp_path: Path
) -> None:
    await exported(database, tmp_path / "out", "csv")
    data = (tmp_path / "out/entries.csv").read_bytes()
    assert not any(byte < 0x20 and byte not in {0x0D, 0x0A} for byte in data)
    text = data.decode()
    assert not set("\u202e\u2028\x7f") & set(text)
    rows: Sequence[dict[str, str]] = list(csv.DictReader(text.splitlines(keepends=True)))
    assert len(rows) == ENTRIES + 1
    assert text.count("\r\n") == text.count("\n") == ENTRIES + 2
    assert rows[0]["op"] == "'=1+1"
    assert rows[1]["upstream_log_id"] == "'2026" + "1".rjust(16, "0")
    assert [int(row["ix"]) for row in rows] == list(range(ENTRIES + 1))
    assert rows[1]["time"].endswith("Z")


async def test_a_pruned_log_is_exported_with_its_hashes_and_says_so(
    database_url: str, tmp_path: Path
) -> None:
    kept = await begun(database_url, tmp_path / "data")
    try:
        await kept.ask("ada", [{"username": f"u{number}"} for number in range(300)], days_ago=600)
        await exported(kept.database, tmp_path / "before", run="1" * 16)
        await kept.ask("ada", [{"username": f"v{number}"} for number in range(20)], days_ago=20)
        proposal = await propose_pruning(kept.registry, OFFICER, before=None, new_id=new_object_id)
        await kept.by_two(proposal)
        for kind in ("tiles", "jsonl", "csv"):
            await exported(kept.database, tmp_path / kind, kind, run=kind.ljust(16, "0"))
            report = verify_export(tmp_path / kind, keys=[VKEY], anchors=[tmp_path / "before"])
            assert (report.problems, report.shown()["pruned"], report.min_index) == ([], True, 300)
        assert not (tmp_path / "tiles/tile/entries/000").exists()
        assert (tmp_path / "tiles/tile/0/000").exists()
        # Who drops content without a word in the log is found out, and so is who says too much.
        manifest = tmp_path / "jsonl/export.json"
        manifest.write_text(manifest.read_text().replace('"min_index":300', '"min_index":320'))
        checks = {each.check for each in verify_export(tmp_path / "jsonl", keys=[VKEY]).problems}
        assert checks == {"files", "pruned"}
    finally:
        await kept.database.close()


@pytest.mark.parametrize(("cores", "shares"), [(2, ["1:3"]), (3, ["0:1", "1:3"])])
async def test_other_processes_look_at_the_rows_of_a_long_export_and_find_the_same(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, shares: list[str]
) -> None:
    await exported(database, tmp_path / "out")
    alone_found = verify_export(tmp_path / "out", keys=[VKEY])
    started: list[Any] = []
    popen = subprocess.Popen

    def noting(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        started.append(command[-1])
        return popen(command, **options)

    monkeypatch.setattr(offline, "_WORTH_SHARING", 100)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr(subprocess, "Popen", noting)
    report = verify_export(tmp_path / "out", keys=[VKEY])
    assert started == shares
    assert report.shown() == alone_found.shown()
    for name, old, new, found in (
        ("tile/entries/001", b'"rseq":45', b'"rseq":46', "leaf"),
        ("tile/entries/000", b'"rseq":45', b'"rseq": 5', "leaf"),
        ("columns.jsonl", b'"person":"p6"', b'"person":"p5"', "columns"),
    ):
        path = tmp_path / "out" / name
        data = path.read_bytes()
        path.write_bytes(data.replace(old, new, 1))
        report = verify_export(tmp_path / "out", keys=[VKEY])
        assert {check for check, _ in problems(report)} == {"files", found}
        assert len([ix for _, ix in problems(report) if ix is not None]) == 1
        path.write_bytes(data)
