"""What an entry can be found by is read off the entry, the same before it is written and afterwards."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.canonical import encode
from app.audit.facts import MOST_CHARS, facts_of, tags_of

OUTCOME: dict[str, Any] = {
    "actor": {"kind": "key", "principal": "p1", "project": "j1", "key_id": "k1", "credential": "c1"},
    "op": "video/query",
    "decision": {"verdict": "allowed", "rule": "endpoint-approved/1"},
    "quota": {"charged": {"requests": 1, "records": 87, "delivered": 87, "calls": 1}, "days": ["2026-10-01"]},
    "upstream": {"called": True, "status": 200, "code": "ok", "log_id": "20261001ABC"},
    "cache": {"state": "miss"},
    "about": ["t2", "t1", "t2"],
}


def test_every_fact_has_its_place_in_the_entry() -> None:
    found = facts_of(OUTCOME)
    assert (found.person, found.project, found.key_id, found.credential) == ("p1", "j1", "k1", "c1")
    assert (found.op, found.verdict, found.rule, found.code) == (
        "video/query",
        "allowed",
        "endpoint-approved/1",
        "ok",
    )
    assert (found.requests, found.records, found.cache, found.upstream_log_id) == (
        1,
        87,
        "miss",
        "20261001ABC",
    )
    assert tags_of(OUTCOME) == ("t1", "t2")


def test_a_refusals_code_goes_before_the_platforms_and_that_before_an_accident() -> None:
    upstream = {"code": "timeout"}
    assert facts_of({"decision": {"code": "quota"}, "upstream": upstream, "err": "x"}).code == "quota"
    assert facts_of({"upstream": upstream, "err": "crash_unknown"}).code == "timeout"
    assert facts_of({"upstream": {"called": False}, "err": "crash_unknown"}).code == "crash_unknown"


def test_the_platforms_counters_are_added_and_bursars_own_are_not() -> None:
    charged = {"follower_calls": 1, "ad_records": 5, "follower_records": 7, "delivered": 99, "calls": 3}
    found = facts_of({"quota": {"charged": charged}})
    assert (found.requests, found.records) == (1, 12)
    assert facts_of({"quota": {"reserved": {"requests": 1}}}).requests is None


@pytest.mark.parametrize("text", ["", "a\0b", "x" * (MOST_CHARS + 1), 7, True, None, ["a"]])
def test_what_no_column_could_hold_is_no_fact(text: Any) -> None:
    entry = {"op": text, "about": [text, "t"], "upstream": {"log_id": text}}
    assert (facts_of(entry).op, facts_of(entry).upstream_log_id, tags_of(entry)) == (None, None, ("t",))


_TEXT = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=12)
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list("abc")), inner),
    max_leaves=6,
)
_PART = st.dictionaries(
    st.sampled_from(
        ["principal", "project", "key_id", "credential", "verdict", "rule", "code", "log_id", "state"]
    ),
    _VALUE,
)
_NAMES = ("actor", "decision", "upstream", "cache", "op", "err", "about", "quota")
_CHARGED = st.dictionaries(st.sampled_from(["requests", "records", "ad_calls"]), _VALUE)
_QUOTA = st.fixed_dictionaries({"charged": _CHARGED | _VALUE})


@given(st.dictionaries(st.sampled_from(_NAMES), _PART | _QUOTA | _VALUE))
def test_a_draft_and_its_leaf_give_the_same_facts(entry: dict[str, Any]) -> None:
    leaf = json.loads(encode(entry))
    assert facts_of(leaf) == facts_of(entry)
    assert tags_of(leaf) == tags_of(entry)
