"""A question sealed into an entry: opened with its key for that entry, and otherwise by nobody."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.canonical import encode
from app.audit.entries import KeptQuestion
from app.audit.facts import tags_of
from app.audit.questions import (
    MOST_BYTES_INSIDE,
    MOST_TAGS_INSIDE,
    QuestionKeys,
    digest_of,
    open_question,
    tag,
    tagging_key,
    without_question,
)
from app.query import Page, ResearchQuery
from app.sealing import SealBroken

KEY, BLIND = bytes(range(32)), bytes(range(32, 64))
KEYS = QuestionKeys.of(kid="ab" * 16, month="2026-05", key=KEY, blind=BLIND)
TAGGING = tagging_key(KEY, BLIND)


def query(asked: dict[str, Any]) -> ResearchQuery:
    question = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return ResearchQuery(endpoint="user/info", question=question, fields=("id",), page=Page())


def sealed(asked: dict[str, Any]) -> tuple[dict[str, Any], KeptQuestion | None]:
    """The entry as it is read again, and what is kept beside it."""
    found = KEYS.sealed(query(asked), entry="e1", entry_type="intent")
    return json.loads(encode({"id": "e1", "type": "intent", **found.fields})), found.kept


@given(st.dictionaries(st.sampled_from(["username", "a", "b"]), st.text() | st.integers(), max_size=3))
def test_a_question_is_opened_to_the_letter(asked: dict[str, Any]) -> None:
    asked = json.loads(json.dumps(asked).encode("utf-8", "replace"))
    try:
        query(asked).question.encode()
    except UnicodeEncodeError:
        return  # refused when it is read
    entry, kept = sealed(asked)
    assert kept is None
    assert open_question(KEY, entry, kept) == query(asked).question


def test_a_long_question_is_kept_beside_its_entry() -> None:
    asked = {"username": "x" * (MOST_BYTES_INSIDE + 1)}
    entry, kept = sealed(asked)
    assert set(entry["sealed"]) == {"kid", "sha256"}
    assert kept is not None
    assert open_question(KEY, entry, kept) == query(asked).question
    for other in (
        None,
        dataclasses.replace(kept, ct=kept.ct[:-1]),
        dataclasses.replace(kept, nonce=b"x" * 12),
    ):
        with pytest.raises(SealBroken):
            open_question(KEY, entry, other)


def test_another_key_entry_type_or_byte_opens_nothing() -> None:
    entry, _ = sealed({"username": "alice"})
    with pytest.raises(SealBroken):
        open_question(bytes(32), entry, None)
    for changed in ({"id": "e2"}, {"type": "decision"}, {"sealed": {**entry["sealed"], "kid": "cd" * 16}}):
        with pytest.raises(SealBroken):
            open_question(KEY, {**entry, **changed}, None)
    for broken in ({}, {"sealed": {"kid": "x"}}, {"sealed": {**entry["sealed"], "ct": "?"}}):
        with pytest.raises(SealBroken):
            open_question(KEY, {"id": "e1", "type": "intent", **broken}, None)


def test_the_same_question_twice_is_never_the_same_bytes_and_has_the_same_tags() -> None:
    (one, _), (two, _) = sealed({"username": "alice"}), sealed({"username": "@Alice"})
    assert one["sealed"]["ct"] != two["sealed"]["ct"]
    assert one["sealed"]["nonce"] != two["sealed"]["nonce"]
    assert one["about"] == two["about"] == [tag(TAGGING, "username", "alice")]
    assert len(one["about"][0]) == 22
    assert "alice" not in json.dumps(one)


def test_what_names_more_than_an_entry_holds_keeps_the_rest_beside_it() -> None:
    ids = [str(number) for number in range(10_000)]
    entry, kept = sealed({"category": "video", "file_data": "\n".join(ids)})
    assert kept is not None
    assert len(entry["about"]) == MOST_TAGS_INSIDE
    assert entry["about_more"] == {"count": 10_000 - MOST_TAGS_INSIDE, "sha256": digest_of(kept.tags)}
    assert {*entry["about"], *kept.tags} == {tag(TAGGING, "video_id", each) for each in ids}
    assert tags_of(entry) == tuple(entry["about"])


def test_a_question_inside_with_many_names_still_fits_the_entry() -> None:
    names = [f"u{number:04}" for number in range(900)]
    groups = {"and": [{"field_name": "username", "field_values": names, "operation": "IN"}]}
    entry, kept = sealed({"query": groups})
    assert len(query({"query": groups}).question) < MOST_BYTES_INSIDE
    assert kept is not None
    assert (kept.ct, len(kept.tags)) == (b"", 900 - MOST_TAGS_INSIDE)
    assert json.loads(open_question(KEY, entry, kept)) == {"query": groups}


def test_an_outcome_does_not_repeat_the_question() -> None:
    entry, _ = sealed({"username": "alice"})
    assert without_question({**entry, "op": "user/info"}) == {
        "id": "e1",
        "type": "intent",
        "op": "user/info",
    }


def test_digests_and_tags_are_of_one_person_and_month_alone() -> None:
    others = [
        QuestionKeys.of(kid="cd" * 16, month="2026-05", key=key, blind=blind)
        for key, blind in ((bytes(32), BLIND), (KEY, bytes(32)))
    ]
    one = query({"username": "alice"})
    assert len({keys.tagging for keys in (KEYS, *others)}) == 3
    assert [keys.digest(one) == KEYS.digest(one) for keys in others] == [False, True]
    assert KEYS.digest(one) != KEYS.digest(query({"username": "bob"}))
