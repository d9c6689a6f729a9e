"""The offline verifier against the standards' own vectors, and as the single file that it is."""

import ast
import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit import offline
from app.audit.canonical import encode
from app.audit.facts import FACT_NAMES, facts_of, tags_of
from app.audit.notes import Checkpoint, Signer, Verifier
from app.audit.tree import Frontier
from tests.audit.test_canonical import drawn_entry

VECTORS = Path(__file__).parent / "vectors"
RFC6962 = json.loads((VECTORS / "rfc6962.json").read_bytes())
WYCHEPROOF = json.loads((VECTORS / "wycheproof_ed25519.json").read_bytes())
PUBLISHED_INCLUSION = {
    (5, 8): (
        "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
        "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
        "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
    ),
    (2, 3): ("+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU=",),
}
"""Of transparency-dev/merkle, testdata/inclusion: leaf and size, and the proof."""
PUBLISHED_CONSISTENCY = {
    (1, 8): (
        "lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=",
        "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
        "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=",
    ),
    (6, 8): (
        "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=",
        "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
        "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
    ),
    (2, 5): (
        "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
        "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
    ),
}
"""Of testdata/consistency: both sizes, and the proof."""


def decoded(texts: Any) -> list[bytes]:
    return [base64.b64decode(each) for each in texts]


@pytest.mark.parametrize("vector", RFC6962["inclusion"], ids=lambda each: str(each["desc"]))
def test_inclusion_vectors_come_out_as_they_should(vector: dict[str, Any]) -> None:
    (root, leaf), path = decoded((vector["root"], vector["leafHash"])), decoded(vector["proof"])
    try:
        is_in = offline.root_by_inclusion(leaf, vector["leafIdx"], vector["treeSize"], path) == root
    except offline.NotAsItShouldBe:
        is_in = False
    assert is_in is not vector["wantErr"]


@pytest.mark.parametrize("vector", RFC6962["consistency"], ids=lambda each: str(each["desc"]))
def test_consistency_vectors_come_out_as_they_should(vector: dict[str, Any]) -> None:
    old_root, new_root = decoded((vector["root1"], vector["root2"]))
    path = decoded(vector["proof"])
    try:
        offline.check_consistency(vector["size1"], vector["size2"], old_root, new_root, path)
        has_grown = True
    except offline.NotAsItShouldBe:
        has_grown = False
    assert has_grown is not vector["wantErr"]


def test_there_are_98_vectors_of_each_kind_and_those_that_are_published_are_the_same() -> None:
    assert (len(RFC6962["inclusion"]), len(RFC6962["consistency"])) == (98, 98)
    inclusion = {
        (each["leafIdx"], each["treeSize"]): tuple(each["proof"])
        for each in RFC6962["inclusion"]
        if not each["wantErr"]
    }
    consistency = {
        (each["size1"], each["size2"]): tuple(each["proof"])
        for each in RFC6962["consistency"]
        if not each["wantErr"]
    }
    assert PUBLISHED_INCLUSION.items() <= inclusion.items()
    assert PUBLISHED_CONSISTENCY.items() <= consistency.items()
    tree = offline.Tree()
    for leaf in RFC6962["leaves"]:
        tree.push(offline.leaf_hash(bytes.fromhex(leaf)))
    assert base64.b64encode(tree.root()).decode() == "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg="


def test_every_wycheproof_case_comes_out_as_it_should() -> None:
    cases = [
        (bytes.fromhex(group["publicKey"]["pk"]), case)
        for group in WYCHEPROOF["testGroups"]
        for case in group["tests"]
    ]
    assert len(cases) == WYCHEPROOF["numberOfTests"] > 140
    for public, case in cases:
        accepted = offline.ed25519_accepts(public, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        if case["flags"] == ["SmallOrderPublicKey"]:
            assert case["result"] == "acceptable"
            assert not accepted  # others may take such keys, this one does not
        elif case["result"] == "acceptable":
            assert case["flags"] == ["MixedOrderPublicKey"]
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            assert accepted is Verifier("x", public).accepts(message, signature)
        else:
            assert accepted is (case["result"] == "valid"), case


def test_signatures_hold_as_those_of_another_implementation_and_no_other_spelling_does() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public, message = private.public_key().public_bytes_raw(), b"a checkpoint"
    signature = private.sign(message)
    assert offline.ed25519_accepts(public, message, signature)
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(signature[32:], "little") + order
    assert not offline.ed25519_accepts(public, message, signature[:32] + scalar.to_bytes(32, "little"))
    for place in range(64):
        changed = bytearray(signature)
        changed[place] ^= 1
        assert not offline.ed25519_accepts(public, message, bytes(changed))
    # y = p + 1 spells the neutral point a second time, and so does its negative zero.
    for spelled in (2**255 - 18, 1 | 1 << 255):
        assert not offline.ed25519_accepts(spelled.to_bytes(32, "little"), message, signature)


def test_the_tree_is_that_of_the_program_with_every_subtree_it_keeps() -> None:
    random = Random(6962)
    hashes = [random.randbytes(32) for _ in range(70_000)]
    theirs, mine = {}, {}
    frontier = Frontier().extend(hashes, keep=lambda *node: theirs.update({node[:2]: node[2]}))
    tree = offline.Tree(lambda *node: mine.update({node[:2]: node[2]}))
    for each in hashes:
        tree.push(each)
    assert (tree.root(), mine) == (frontier.root(), theirs)
    assert {level for level, _ in mine} == {8, 16}


def test_a_checkpoint_opens_with_its_key_and_no_other() -> None:
    origin = "example.edu/bursar/1"
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2)]
    mine, other = (key.public_key().public_bytes_raw() for key in keys)
    note = Signer((keys[0],)).sign(Checkpoint(origin, 7, bytes(32)).text, origin)
    assert offline.read_checkpoint(note, [other, mine]) == (origin, 7, bytes(32))
    vkey = Signer((keys[0],)).verifier(origin).vkey
    assert (offline.Vkey.parse(vkey).public, offline.Vkey.parse(vkey).text) == (mine, vkey)
    for bad in (
        note.replace(b"\n7\n", b"\n8\n"),
        note.replace(b"\n\n", b"\n"),
        note[:-6] + b"\n",
        b"",
        b"\n\n",
    ):
        with pytest.raises(offline.NotAsItShouldBe):
            offline.read_checkpoint(bad, [mine])
    with pytest.raises(offline.NotAsItShouldBe):
        offline.read_checkpoint(note, [other])


def reads_as_the_oracle_writes(random: Random) -> None:
    entry = drawn_entry(random)
    data = encode(entry)
    said = offline.read_entry(data)
    assert rfc8785.dumps(said) == data
    assert offline.facts_of(said) == tuple(getattr(facts_of(entry), name) for name in FACT_NAMES)
    assert offline.tags_of(said) == tags_of(entry)


def test_the_verifiers_canonical_form_is_that_of_the_oracle() -> None:
    random = Random("offline")
    for _ in range(2_000):
        reads_as_the_oracle_writes(random)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_verifiers_canonical_form_is_that_of_the_oracle_a_million_times() -> None:
    random = Random("offline, long")
    for _ in range(1_000_000):
        reads_as_the_oracle_writes(random)


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b'{"a":1.5}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":-0}',
        b'{"a":1 }',
        b' {"a":1}',
        b'{"a":1}\n',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\u000A"}',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"\xc3\xa9":1}',
        b'{"a":[{"\xc3\xa9":1}]}',
        b"[" * 100_000,
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    ],
)
def test_any_other_spelling_of_an_entry_is_refused(leaf: bytes) -> None:
    with pytest.raises(offline.NotAsItShouldBe):
        offline.read_entry(leaf)


def test_facts_of_odd_entries_are_those_that_the_program_derives() -> None:
    odd: list[Any] = [
        {
            "actor": "x",
            "decision": None,
            "upstream": [],
            "quota": {"charged": {"requests": True, "records": -1}},
        },
        {
            "quota": {"charged": {"requests": 2**53 - 1, "ad_calls": 1}},
            "about": ["b", "a", "a", "", 1, "x" * 201],
        },
        {"quota": {"charged": {}}, "err": "gone", "upstream": {"code": "", "log_id": "a\0b"}},
        {"decision": {"code": 7, "rule": "r/1", "verdict": "é" * 200}, "cache": {"state": "hit"}},
        {"quota": {"charged": {"calls": 5}}, "upstream": {"code": "ok", "log_id": "L1"}, "err": "no"},
    ]
    for entry in odd:
        said = offline.read_entry(encode(entry))
        assert offline.facts_of(said) == tuple(getattr(facts_of(entry), name) for name in FACT_NAMES)
        assert offline.tags_of(said) == tags_of(entry)


def test_the_verifier_is_one_file_that_imports_the_standard_library_alone(tmp_path: Path) -> None:
    source = Path(str(offline.__file__))
    imported = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            imported |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported <= sys.stdlib_module_names
    copied = Path(shutil.copy(source, tmp_path))
    for arguments, code in (
        (["--help"], 0),
        ([], 2),
        ([str(tmp_path)], 3),
        ([str(tmp_path), "--key", "x"], 2),
    ):
        done = subprocess.run(
            [sys.executable, "-I", "-S", copied.name, *arguments],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
