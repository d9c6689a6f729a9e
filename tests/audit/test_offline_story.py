"""What the offline verifier says of logs whose tree is sound, and whose entries tell something impossible."""

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app.audit.canonical import encode
from app.audit.notes import Checkpoint, Signer
from app.audit.offline import (
    Beside,
    Evidence,
    Head,
    Held,
    NotAsItShouldBe,
    Report,
    Row,
    Statement,
    Tree,
    Unreadable,
    Verification,
    Vkey,
    facts_of,
    read_checkpoint,
    read_entry,
    read_evidence,
    read_proof,
)
from app.audit.offline import (
    Checkpoint as Signed,
)
from app.audit.proofs import inclusion
from app.audit.receipts import ProvenEntry
from app.ids import EntryId
from tests.assurance.stored_log import row_of
from tests.signing import SIGNER

ORIGIN = "example.edu/bursar/1"
KEY = SIGNER.verifier(ORIGIN).public
NOON_US = 1_790_078_400_000_000
"""2026-09-22T12:00:00Z"""
DAY = "2026-09-22"
SECOND = 1_000_000
CALLER = {
    "kind": "key",
    "key_id": "k1",
    "principal": "p1",
    "project": "j1",
    "credential": "c1",
    "roles": ["researcher"],
}
Problems = list[tuple[str, int | None, str]]


@dataclass
class Story:
    """A log in the making: entries in order, numbered as a process would."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    now_us: int = NOON_US

    def tell(self, kind: str, **fields: Any) -> int:
        index = len(self.entries)
        place = {"v": 1, "type": kind, "id": f"{index:032x}", "ts_us": self.now_us}
        process = {"replica": "r", "boot": "b", "rseq": index}
        self.entries.append({**place, **process, **fields})
        self.now_us += 1
        return index

    def limit(self, scope_kind: str, scope: str, what: str, amount: int | None) -> int:
        said = {} if amount is None else {"after": amount}
        thing = {"kind": "limit", "id": scope}
        return self.tell("admin", op="limit.set", what=what, object=thing, scope_kind=scope_kind, **said)

    def joins(self, project: str, person: str, membership: str) -> int:
        thing = {"kind": "member", "id": membership}
        return self.tell(
            "admin", op="member.added", what="added", object=thing, project=project, person=person
        )

    def raises(self, scope_kind: str, scope: str, limit: str, amount: int, until: str) -> int:
        thing = {"kind": "raise", "id": f"raise{len(self.entries)}"}
        after = {"limit": limit, "amount": amount, "until": until}
        return self.tell(
            "admin",
            op="raise.added",
            what="added",
            object=thing,
            scope_kind=scope_kind,
            scope=scope,
            after=after,
        )

    def sends(self, *, days: Sequence[str] = (DAY,), **reserved: int) -> int:
        reserved = reserved or {"requests": 1, "records": 100}
        quota = {"days": list(days), "reserved": reserved}
        return self.tell("intent", actor=CALLER, op="video/query", params_hmac="q", quota=quota)

    def ends(self, intent: int, *, days: Sequence[str] = (DAY,), **more: Any) -> int:
        charged = more.pop("charged", {"requests": 1, "records": 7})
        upstream = {"called": True, "status": 200, "code": "ok", "records": 7, "log_id": "L"}
        fields = {"upstream": upstream, "quota": {"charged": charged, "days": list(days)}, **more}
        fields = {"actor": CALLER, "op": "video/query", "params_hmac": "q", "intent_ix": intent, **fields}
        return self.tell("outcome", **fields)

    def rows(self) -> list[Row]:
        return [row_of(index, encode(entry)) for index, entry in enumerate(self.entries)]

    def verified(
        self, evidence: Evidence | None = None, *, min_index: int = 0, origin: str = ORIGIN
    ) -> Report:
        return verified(self.rows(), evidence, min_index=min_index, origin=origin)

    def problems(self, **options: Any) -> Problems:
        return [(each.check, each.ix, each.shows) for each in self.verified(**options).problems]


def signed(rows: Sequence[Row], origin: str = ORIGIN, signer: Signer = SIGNER) -> bytes:
    tree = Tree()
    for row in rows:
        tree.push(row.leaf_hash)
    return signer.sign(Checkpoint(origin, tree.size, tree.root()).text, origin)


def verified(
    rows: Sequence[Row], evidence: Evidence | None = None, *, min_index: int = 0, origin: str = ORIGIN
) -> Report:
    verification = Verification(Head(signed(rows, origin), min_index), [KEY], evidence, lease_s=300)
    verification.take_all(rows)
    return verification.finish()


def started(*limits: tuple[str, str, str, int]) -> Story:
    story = Story()
    story.joins("j1", "p1", "m1")
    for limit in limits or (
        ("credential", "c1", "requests/day", 10),
        ("credential", "c1", "records/day", 1_000),
    ):
        story.limit(*limit)
    return story


def test_a_story_without_fault_verifies() -> None:
    story = started()
    for _ in range(9):
        story.ends(story.sends())
    report = story.verified()
    assert (report.problems, report.counted["calls"], report.counted["grants"]) == ([], 9, 9)
    assert report.counted["grants_without_known_limit"] == 0


@pytest.mark.parametrize(
    ("scope_kind", "scope"),
    [("credential", "c1"), ("project", "j1"), ("member", "m1"), ("key", "k1"), ("each_member", "j1")],
)
@pytest.mark.parametrize("window", ["day", "month", "project"])
def test_the_call_that_goes_beyond_a_limit_is_named(scope_kind: str, scope: str, window: str) -> None:
    story = started((scope_kind, scope, f"requests/{window}", 3))
    for _ in range(3):
        story.ends(story.sends())
    assert story.problems() == []
    beyond = story.sends()
    story.ends(beyond)
    assert story.problems() == [("quota", beyond, "tamper")]


def test_what_was_reserved_counts_until_it_is_settled() -> None:
    story = started(("credential", "c1", "records/day", 250))
    first, second = story.sends(), story.sends()
    third = story.sends()
    story.ends(first)
    assert ("quota", third, "tamper") in story.problems()
    story = started(("credential", "c1", "records/day", 250))
    first, second = story.sends(), story.sends()
    story.ends(first)
    story.ends(second)
    story.ends(story.sends())
    assert story.problems() == []


def test_limits_count_from_when_they_are_set_and_lowering_one_accuses_no_earlier_call() -> None:
    story = started()
    for _ in range(5):
        story.ends(story.sends())
    story.limit("credential", "c1", "requests/day", 4)
    assert story.problems() == []
    beyond = story.sends()
    story.ends(beyond)
    assert story.problems() == [("quota", beyond, "tamper")]
    story = started(("project", "j1", "requests/day", 1))
    story.limit("project", "j1", "requests/day", None)
    for _ in range(3):
        story.ends(story.sends())
    assert story.problems() == []


def test_another_day_and_another_month_begin_anew() -> None:
    story = started(("credential", "c1", "requests/day", 1), ("project", "j1", "requests/month", 2))
    story.ends(story.sends())
    story.now_us += 86_400 * SECOND
    story.ends(story.sends(days=["2026-09-23"]), days=["2026-09-23"])
    assert story.problems() == []
    story.now_us += 86_400 * SECOND
    beyond = story.sends(days=["2026-09-24"])
    story.ends(beyond, days=["2026-09-24"])
    assert story.problems() == [("quota", beyond, "tamper")]
    story.now_us += 7 * 86_400 * SECOND
    story.ends(story.sends(days=["2026-10-01"]), days=["2026-10-01"])
    assert story.problems() == [("quota", beyond, "tamper")]


def test_around_midnight_a_call_counts_on_both_days() -> None:
    both = [DAY, "2026-09-23"]
    for offset, days in (
        (-5 * SECOND - 1, [DAY]),
        (-5 * SECOND, both),
        (5 * SECOND, both),
        (5 * SECOND + 1, both[1:]),
    ):
        story = started()
        story.now_us = NOON_US + 43_200 * SECOND + offset
        story.ends(story.sends(days=days), days=days)
        assert story.problems() == [], offset
        story = started()
        story.now_us = NOON_US + 43_200 * SECOND + offset
        wrong = both if len(days) == 1 else [DAY]
        intent = story.sends(days=wrong)
        story.ends(intent, days=wrong)
        assert story.problems() == [("charge", intent, "tamper")], offset


def test_a_raise_holds_until_it_ends_and_no_longer() -> None:
    story = started(("project", "j1", "requests/day", 1))
    story.raises("project", "j1", "requests/day", 2, "2026-09-22T18:00:00Z")
    for _ in range(3):
        story.ends(story.sends())
    assert story.problems() == []
    story.now_us = NOON_US + 6 * 3_600 * SECOND + SECOND
    beyond = story.sends()
    story.ends(beyond)
    assert story.problems() == [("quota", beyond, "tamper")]
    story = started(("each_member", "j1", "requests/day", 1))
    story.raises("member", "m1", "requests/day", 1, "2026-09-22T18:00:00Z")
    story.raises("each_member", "j1", "requests/day", 1, "2026-09-22T18:00:00Z")
    for _ in range(3):
        story.ends(story.sends())
    assert story.problems() == []
    ended = story.entries[2]["object"]["id"]
    story.tell("admin", op="raise.retired", what="retired", object={"kind": "raise", "id": ended})
    beyond = story.sends()
    story.ends(beyond)
    assert story.problems() == [("quota", beyond, "tamper")]


def test_a_members_own_limit_replaces_that_of_every_member() -> None:
    story = started(("each_member", "j1", "requests/day", 1), ("member", "m1", "requests/day", 3))
    for _ in range(3):
        story.ends(story.sends())
    assert story.problems() == []
    beyond = story.sends()
    story.ends(beyond)
    assert story.problems() == [("quota", beyond, "tamper")]


def test_answers_from_what_was_held_are_counted_in_budgets_of_bursars_own() -> None:
    story = started(("key", "k1", "delivered/day", 150))
    for number in range(2):
        quota = {"charged": {"delivered": 100}, "days": [DAY]}
        served = story.tell("decision", actor=CALLER, cache={"state": "hit"}, quota=quota)
        assert story.problems() == ([("quota", served, "tamper")] if number else [])


UNKNOWN = {"called": True, "err": "timed out"}
NEVER_SENT = {"called": False, "err": "refused"}
FAILED = {"called": True, "status": 500, "code": "internal_error", "log_id": "L"}
NO_ACCESS = {"called": True, "status": 401, "code": "access_token_invalid", "log_id": "L"}
UNREADABLE = {"called": True, "status": 200, "code": "odd", "log_id": "L"}


@pytest.mark.parametrize(
    ("upstream", "due"),
    [
        (None, {"requests": 1, "records": 7}),
        (UNKNOWN, {"requests": 1, "records": 100}),
        (NEVER_SENT, {"requests": 0, "records": 0}),
        (FAILED, {"requests": 1, "records": 0}),
        (NO_ACCESS, {"requests": 0, "records": 0}),
        (UNREADABLE, {"requests": 1, "records": 100}),
    ],
)
def test_an_outcome_charges_what_the_answer_costs(
    upstream: dict[str, Any] | None, due: dict[str, int]
) -> None:
    told: dict[str, Any] = {} if upstream is None else {"upstream": upstream}
    story = started()
    story.ends(story.sends(), charged=due, **told)
    assert story.problems() == []
    for wrong in (
        {**due, "records": due["records"] + 1},
        {**due, "requests": 1 - due["requests"]},
        {"records": 0},
    ):
        story = started()
        outcome = story.ends(story.sends(), charged=wrong, **told)
        assert ("charge", outcome, "tamper") in story.problems(), wrong


def test_calls_are_closed_once_and_by_their_own_outcome() -> None:
    story = started()
    intent = story.sends()
    story.ends(intent)
    again = story.ends(intent)
    nowhere = story.ends(10_000)
    no_call = story.ends(0)
    assert story.problems() == [("calls", each, "tamper") for each in (again, nowhere, no_call)]
    story = started()
    other = story.ends(story.sends(), params_hmac="another question")
    assert story.problems() == [("calls", other, "tamper")]


def test_a_call_that_nobody_closed_is_a_gap_once_a_process_should_have() -> None:
    story = started()
    intent = story.sends()
    assert story.problems() == []
    story.now_us += 400 * SECOND
    story.tell("audit_read", reads={})
    assert story.problems() == []  # nothing has served since
    story.tell("heartbeat", what="start", boot="another", rseq=0)
    assert story.problems() == []
    story.now_us += 70 * SECOND
    story.tell("heartbeat", what="alive", boot="another", rseq=1)
    assert story.problems() == [("calls", intent, "gap")]


def test_a_lease_that_ended_closes_a_call_and_the_late_answer_costs_nothing_more() -> None:
    story = started()
    intent = story.sends()
    story.ends(intent, charged={"requests": 1, "records": 100}, upstream={}, err="crash_unknown")
    late = {"charged": {"requests": 0, "records": 0}, "late": True}
    story.ends(intent, quota=late)
    assert story.problems() == []
    again = story.ends(intent, quota=late)
    assert story.problems() == [("calls", again, "tamper")]
    story = started()
    intent = story.sends()
    not_late = story.ends(intent, quota=late)
    assert story.problems() == [("calls", not_late, "tamper")]


def test_numbers_of_a_process_have_no_gap_and_times_never_go_back() -> None:
    story = started()
    story.tell("heartbeat", what="alive", rseq=len(story.entries) + 2)
    assert story.problems() == [("sequence", 3, "gap")]
    story = started()
    story.tell("heartbeat", what="alive", rseq=0)
    assert story.problems() == [("sequence", 3, "tamper")]
    story = started()
    story.tell("heartbeat", what="alive", ts_us=NOON_US - 1)
    assert story.problems() == [("time", 3, "tamper")]
    story = started()
    story.tell("heartbeat", what="alive", id=story.entries[1]["id"])
    assert story.problems() == [("unique", 3, "tamper")]
    story = started()
    story.tell("heartbeat", what="alive", v=2)
    assert story.problems() == [("leaf", 3, "tamper")]


def pruned(story: Story, before: int) -> list[Row]:
    rows = story.rows()
    return [
        row._replace(leaf=b"", columns=row.columns and row.columns._replace(facts=None, tags=()))
        if row.ix < before
        else row
        for row in rows
    ]


def test_a_pruned_log_verifies_and_says_so_and_needs_an_entry_that_says_it() -> None:
    story = started()
    for _ in range(5):
        story.ends(story.sends())
    story.tell("prune", prune={"min_index": 8})
    rows = pruned(story, 8)
    report = verified(rows, min_index=8)
    assert (report.problems, report.shown()["pruned"], report.shown()["verified"]) == ([], True, True)
    assert verified(rows, min_index=0).finding == "tamper"
    assert [each.check for each in verified(pruned(story, 7), min_index=7).problems] == ["pruned"]
    assert [(each.check, each.ix) for each in verified(pruned(story, 9), min_index=8).problems] == [
        ("pruned", 8)
    ]


def test_a_limit_of_before_the_content_that_is_kept_accuses_nobody() -> None:
    story = started(("project", "j1", "requests/day", 1))
    story.tell("prune", prune={"min_index": 2})
    for _ in range(3):
        story.ends(story.sends())
    report = verified(pruned(story, 2), min_index=2)
    assert (report.problems, report.counted["grants_without_known_limit"]) == ([], 3)


# --- What others kept --------------------------------------------------------------------------------------


class Listed:
    def __init__(self, hashes: Sequence[bytes]) -> None:
        self._levels = {0: list(hashes)}

    def nodes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        return self._levels[level][start:end]


def receipt(rows: Sequence[Row], index: int, note: bytes) -> ProvenEntry:
    size = int(note.split(b"\n")[1])
    hashes = [row.leaf_hash for row in rows]
    row = rows[index]
    return ProvenEntry(
        id=EntryId(f"{index:032x}"),
        index=index,
        leaf=row.leaf or b"",
        leaf_hash=row.leaf_hash,
        path=inclusion(Listed(hashes), index, size),
        note=note,
    )


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Story, Path]:
    story = started()
    for _ in range(10):
        story.ends(story.sends())
    return story, tmp_path


def evidence_of(place: Path) -> tuple[Evidence, Report]:
    early = Report()
    receipts, anchors = place / "receipts", place / "anchors"
    evidence = read_evidence(
        [KEY],
        early,
        receipts=receipts if receipts.exists() else None,
        anchors=[anchors] if anchors.exists() else [],
    )
    return evidence, early


def test_receipts_in_every_form_belong_to_the_log_and_not_to_another(kept: tuple[Story, Path]) -> None:
    story, place = kept
    rows = story.rows()
    (place / "receipts").mkdir()
    note = signed(rows[:9])
    (place / "receipts/a.tlog-proof").write_text(receipt(rows, 4, note).proof)
    (place / "receipts/b.json").write_text(json.dumps(receipt(rows, 8, note).shown()))
    headers = f'Audit-Entry: origin="{ORIGIN}";index=11;size=12\r\nAudit-Leaf: :{base64.b64encode(rows[11].leaf_hash).decode()}:\r\n'
    (place / "receipts/c.txt").write_text("HTTP/1.1 200 OK\r\n" + headers)
    evidence, early = evidence_of(place)
    assert early.problems == []
    assert (len(evidence.held), len(evidence.statements)) == (3, 2)
    assert story.problems(evidence=evidence) == []
    for index in (4, 8, 11):
        story.entries[index]["approval"] = "another"
    report = story.verified(evidence_of(place)[0])
    assert {(each.check, each.ix) for each in report.problems if each.ix is not None} == {
        ("receipt", 4),
        ("receipt", 8),
        ("receipt", 11),
    }
    shorter = Story(entries=story.entries[:3])
    found = shorter.verified(evidence_of(place)[0])
    assert found.finding == "gap"


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda text: text.replace("index 4", "index 5"),
        lambda text: text.replace("index 4", "index 04"),
        lambda text: text.replace("c2sp.org", "c2sp.net"),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: "\n".join(line for number, line in enumerate(text.split("\n")) if number != 3),
        lambda text: "\n".join(line for number, line in enumerate(text.split("\n")) if number != 1),
        lambda text: text.replace("\n9\n", "\n10\n"),
        lambda text: text[:-10] + "A" + text[-9:],
        lambda text: text.replace("extra ", "extra A"),
        lambda _: "",
        lambda _: "{}",
        lambda _: "[]",
        lambda _: 'Audit-Entry: origin="x"',
        lambda _: "\u00e9\n\n",
    ],
)
def test_a_receipt_that_does_not_hold_is_said(kept: tuple[Story, Path], spoilt: Any) -> None:
    story, place = kept
    rows = story.rows()
    (place / "receipts").mkdir()
    text = spoilt(receipt(rows, 4, signed(rows[:9])).proof)
    (place / "receipts/a.tlog-proof").write_text(text)
    evidence, early = evidence_of(place)
    assert [each.check for each in early.problems] == ["receipt"], text
    assert evidence.held == []


def test_checkpoints_kept_elsewhere_are_of_this_logs_past(kept: tuple[Story, Path]) -> None:
    story, place = kept
    rows = story.rows()
    (place / "anchors").mkdir()
    notes = [signed(rows[:size]) for size in (1, 7, len(rows))]
    (place / "anchors/7.checkpoint").write_bytes(notes[0])
    (place / "anchors/all").write_bytes(b"--\n".join(notes[1:]))
    evidence, early = evidence_of(place)
    assert (early.problems, len(evidence.statements)) == ([], 3)
    assert story.problems(evidence=evidence) == []
    story.entries[5]["approval"] = "another"
    assert [each.check for each in story.verified(evidence_of(place)[0]).problems] == ["anchor", "anchor"]
    shorter = Story(entries=story.entries[:5])
    report = shorter.verified(evidence_of(place)[0])
    assert [(each.check, each.ix, each.shows) for each in report.problems] == [("anchor", 5, "gap")] * 2


def test_a_checkpoint_that_somebody_else_signed_is_no_anchor(kept: tuple[Story, Path]) -> None:
    story, place = kept
    (place / "anchors").mkdir()
    note = signed(story.rows())
    (place / "anchors/one").write_bytes(note.replace(b"\n23\n", b"\n22\n"))
    _, early = evidence_of(place)
    assert [each.check for each in early.problems] == ["anchor"]
    with pytest.raises(Unreadable):
        read_evidence([KEY], early, receipts=None, anchors=[place / "nowhere"])


def as_mail(note: bytes, encoding: str) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = "[Bursar] The log as it was"
    mail.set_content(f"Please keep this.\n\n{note.decode()}\n-- \nBursar\n", cte=encoding)
    return mail.as_bytes()


@pytest.mark.parametrize(
    "kept_as",
    [
        lambda note: note.replace(b"\n", b"\r\n"),
        lambda note: as_mail(note, "quoted-printable"),
        lambda note: as_mail(note, "base64"),
        lambda note: as_mail(note, "8bit"),
        lambda note: b"".join(b"> " + line for line in note.splitlines(keepends=True)),
        lambda note: b"Kept by Dana:\n\n" + note.rstrip(b"\n"),
    ],
    ids=["ends of lines", "quoted-printable", "base64", "8bit", "quoted", "among words"],
)
def test_an_anchor_counts_in_whatever_way_it_was_kept(kept: tuple[Story, Path], kept_as: Any) -> None:
    story, place = kept
    (place / "anchors").mkdir()
    (place / "anchors/one.eml").write_bytes(kept_as(signed(story.rows())))
    (place / "anchors/README").write_text("What lies here.\n")
    evidence, early = evidence_of(place)
    assert (early.problems, early.counted["anchors"]) == ([], 1)
    assert early.notes == ["no checkpoint is in README"]
    shorter = Story(entries=story.entries[:5])
    assert [each.check for each in shorter.verified(evidence).problems] == ["anchor"]


def test_a_file_without_a_checkpoint_is_no_anchor(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("nothing")
    with pytest.raises(Unreadable, match="there is no checkpoint in"):
        read_evidence([KEY], Report(), receipts=None, anchors=[tmp_path / "kept"])


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("intent", {"boot": []}),
        ("intent", {"replica": {}}),
        ("intent", {"actor": {**CALLER, "project": []}}),
        ("intent", {"quota": {"days": 7, "reserved": {"requests": 1}}}),
        ("admin", {"project": ["j1"]}),
        (
            "admin",
            {"op": "raise.added", "after": {"limit": "requests/day", "amount": 5, "until": "0001-01-01"}},
        ),
    ],
)
def test_a_row_with_something_odd_in_any_place_is_named(kind: str, odd: dict[str, Any]) -> None:
    story = started()
    story.raises("credential", "c1", "requests/day", 5, "2026-09-23T00:00:00Z")
    story.ends(story.sends())
    index = max(place for place, each in enumerate(story.entries) if each["type"] == kind)
    if kind == "admin" and "op" not in odd:
        index = 0
    story.entries[index] |= odd
    report = story.verified()
    assert index in {each.ix for each in report.problems}, report.problems


def test_an_anchor_of_another_log_is_said() -> None:
    story = started()
    statement = Statement("anchor", "kept", Signed("example.edu/other", 1, bytes(32)))
    held = Held("kept", 0, bytes(32), "example.edu/other")
    assert {
        check for check, *_ in story.problems(evidence=Evidence(statements=[statement], held=[held]))
    } == {
        "anchor",
        "receipt",
    }


def test_a_checkpoint_by_another_key_is_not_the_logs() -> None:
    rows = started().rows()
    verification = Verification(Head(signed(rows)), [bytes(32)])
    verification.take_all(rows)
    assert [each.check for each in verification.finish().problems] == ["signature"]
    verification = Verification(Head(b"nothing"), [KEY])
    verification.take_all(rows)
    assert verification.finish().finding == "tamper"


def begun(
    story: Story, *, agreed: int | None = None, known: int = 30, old: str = ORIGIN, number: int = 2
) -> None:
    at = len(story.entries)
    old_note = signed(story.rows(), old).decode()
    said = {"number": number, "origin": f"{ORIGIN}/{number}", "restored_size": at, "old_origin": old}
    said |= {"agreed": at if agreed is None else agreed, "known": known, "beyond": {}, "checkpoint": old_note}
    story.tell("epoch", op="audit.new-epoch", epoch=said)


def test_a_new_epoch_says_what_was_lost_and_nothing_else_may_be() -> None:
    story = started()
    for _ in range(3):
        story.ends(story.sends())
    lost = Statement("anchor", "lost", Signed(ORIGIN, 30, bytes(32)))
    more = Statement("anchor", "more", Signed(ORIGIN, 31, bytes(32)))
    past = Statement("anchor", "past", Signed(ORIGIN, 2, tree_root(story.rows()[:2])))
    receipts = [Held("lost", 29, bytes(32), ORIGIN), Held("past", 1, story.rows()[1].leaf_hash, ORIGIN)]
    assert story.verified(Evidence(statements=[lost])).finding == "gap"
    begun(story)
    second = f"{ORIGIN}/2"
    report = story.verified(Evidence(statements=[lost, past], held=receipts), origin=second)
    assert (report.problems, report.finding) == ([], None)
    assert "2 kept checkpoints and receipts" in report.notes[0]
    assert story.verified(Evidence(statements=[more]), origin=second).finding == "gap"
    wrong = Statement("anchor", "past", Signed(ORIGIN, 2, bytes(32)))
    assert story.verified(Evidence(statements=[wrong]), origin=second).finding == "tamper"
    later = Statement("anchor", "later", Signed(f"{ORIGIN}/3", 2, bytes(32)))
    assert story.verified(Evidence(statements=[later]), origin=second).finding == "gap"
    # Under the old origin the log must not go on, and no epoch begins without its entry.
    assert [each.check for each in story.verified().problems] == ["epoch"]
    assert [each.check for each in started().verified(origin=second).problems] == ["epoch"]


def test_a_process_that_went_on_over_a_loss_may_have_lost_numbers_once() -> None:
    story = started()
    begun(story)
    for _ in range(2):
        story.ends(story.sends())
    after = len(story.entries) - 4
    second = f"{ORIGIN}/2"
    for entry in story.entries[after:]:
        entry["rseq"] += 7
    assert story.verified(origin=second).finding is None
    for entry in story.entries[after + 2 :]:
        entry["rseq"] += 1
    assert [each.check for each in story.verified(origin=second).problems] == ["sequence"]


def test_an_epoch_that_agrees_with_less_than_it_restored_is_held_to_that() -> None:
    story = started()
    for _ in range(3):
        story.ends(story.sends())
    begun(story, agreed=4)
    second = f"{ORIGIN}/2"
    forked = Statement("anchor", "forked", Signed(ORIGIN, 6, bytes(32)))
    assert story.verified(Evidence(statements=[forked]), origin=second).finding is None
    agreed = Statement("anchor", "agreed", Signed(ORIGIN, 4, bytes(32)))
    assert story.verified(Evidence(statements=[agreed]), origin=second).finding == "tamper"


def tree_root(rows: Sequence[Row]) -> bytes:
    tree = Tree()
    for row in rows:
        tree.push(row.leaf_hash)
    return tree.root()


def test_an_epoch_that_cites_no_checkpoint_of_this_log_is_said() -> None:
    for spoilt in ({"checkpoint": "x"}, {"restored_size": 2}, {"number": 1}, {"agreed": 50}):
        story = started()
        begun(story)
        story.entries[-1]["epoch"] |= spoilt
        found = {each.check for each in story.verified(origin=f"{ORIGIN}/2").problems}
        assert found == {"epoch"}, spoilt


def test_what_is_kept_beside_an_entry_is_what_the_entry_names() -> None:
    question = b"nonce and ciphertext"
    digest = hashlib.sha256(question).hexdigest()
    tags = hashlib.sha256(b"a\nb").hexdigest()
    story = started()
    story.tell("decision", sealed={"kid": "k", "sha256": digest}, about_more={"count": 2, "sha256": tags})
    rows = story.rows()
    columns = rows[-1].columns
    assert columns is not None
    for beside, holds in (
        (Beside(question, ("b", "a")), True),
        (Beside(question, ("a",)), False),
        (Beside(question, ("a", "c")), False),
        (Beside(b"another", ("a", "b")), False),
        (Beside(b"", ("a", "b")), False),
        (Beside(None, ("a", "b")), False),
        (Beside(), False),
    ):
        report = verified([*rows[:-1], rows[-1]._replace(columns=columns._replace(beside=beside))])
        assert (report.finding is None) is holds, beside
    first = rows[0].columns
    assert first is not None
    stray = rows[0]._replace(columns=first._replace(beside=Beside(question)))
    last = rows[-1]._replace(columns=columns._replace(beside=Beside(question, ("a", "b"))))
    report = verified([stray, *rows[1:-1], last])
    assert [(each.check, each.ix) for each in report.problems] == [("columns", 0)]


def spoilt(data: bytes, random: Random) -> bytes:
    """The bytes with a few of them changed, dropped, doubled or put in another place."""
    changed = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        place = random.randrange(len(changed) + 1)
        match random.randrange(4):
            case 0 if place < len(changed):
                changed[place] = random.randrange(256)
            case 1:
                del changed[place : place + random.randrange(1, 30)]
            case 2:
                changed[place:place] = changed[random.randrange(len(changed) + 1) :][
                    : random.randrange(1, 60)
                ]
            case _:
                changed[place:place] = random.choice(
                    (b"\n", b"\n\n", b"\xe2\x80\x94 ", b"\xff", b"\\ud800", b"+", b"\0", b"==")
                )
    return bytes(changed)


def reads_or_refuses(count: int, seed: str, place: Path) -> int:
    """How many of so many spoilt files were taken all the same; anything but a refusal fails."""
    random, taken = Random(seed), 0
    story = started()
    for _ in range(4):
        story.ends(story.sends())
    rows = story.rows()
    note = signed(rows)
    proven = receipt(rows, 4, note)
    files: list[tuple[bytes | None, Callable[[bytes], object]]] = [
        (note, lambda data: read_checkpoint(data, [KEY])),
        (proven.proof.encode(), read_proof),
        (SIGNER.verifier(ORIGIN).vkey.encode(), lambda data: Vkey.parse(data.decode("latin-1"))),
        (rows[4].leaf, lambda data: facts_of(read_entry(data))),
    ]
    for number in range(count):
        data, read = files[number % len(files)]
        changed = spoilt(data or b"", random)
        try:
            read(changed)
            taken += 1
        except NotAsItShouldBe:
            continue
    for number in range(count // 100):
        file = place / "receipts" / "one"
        file.parent.mkdir(exist_ok=True)
        whole = (proven.proof.encode(), json.dumps(proven.shown()).encode(), note)[number % 3]
        file.write_bytes(spoilt(whole, random))
        with contextlib.suppress(Unreadable):  # no note is left of it
            read_evidence([KEY], Report(), receipts=file.parent, anchors=[file])
    return taken


def test_spoilt_notes_proofs_keys_and_entries_are_refused_and_nothing_else_happens(tmp_path: Path) -> None:
    assert reads_or_refuses(2_000, "short", tmp_path) < 400


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_half_a_million_spoilt_files_are_refused_and_nothing_else_happens(tmp_path: Path) -> None:
    assert reads_or_refuses(500_000, "long", tmp_path) < 100_000
