"""Whoever holds a receipt and the log's public key, and nothing of Bursar's: the standards read off once more."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Note:
    origin: str
    size: int
    root: bytes


def opened(note: str, vkey: str) -> Note:
    """The checkpoint that the key signed (C2SP signed-note, tlog-checkpoint); fails where it did not."""
    name, key_id, key = vkey.split("+", 2)
    public = base64.b64decode(key)
    assert public[0] == 1
    assert hashlib.sha256(name.encode() + b"\n" + public).digest()[:4].hex() == key_id
    text, _, signatures = note.partition("\n\n")
    (line,) = [each for each in signatures.splitlines() if each.startswith(f"\N{EM DASH} {name} ")]
    signature = base64.b64decode(line.rpartition(" ")[2])
    assert signature[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature[4:], f"{text}\n".encode())
    origin, size, root = text.split("\n")[:3]
    assert origin == name
    return Note(origin, int(size), base64.b64decode(root))


@dataclass(frozen=True, slots=True)
class Proof:
    index: int
    extra: bytes
    path: tuple[bytes, ...]
    note: str


def parsed(proof: str) -> Proof:
    """A C2SP tlog-proof."""
    head, _, note = proof.partition("\n\n")
    first, *lines = head.split("\n")
    assert first == "c2sp.org/tlog-proof@v1"
    extra = b""
    if lines[0].startswith("extra "):
        extra = base64.b64decode(lines.pop(0).removeprefix("extra "), validate=True)
    word, _, index = lines.pop(0).partition(" ")
    assert word == "index"
    return Proof(int(index), extra, tuple(base64.b64decode(line, validate=True) for line in lines), note)


def leaf_of(proof: str, vkey: str) -> bytes:
    """The leaf that the receipt proves; fails where it proves none."""
    found = parsed(proof)
    assert is_included(hashlib.sha256(b"\x00" + found.extra).digest(), found, opened(found.note, vkey))
    return found.extra


def is_included(leaf_hash: bytes, proof: Proof, tree: Note) -> bool:
    """RFC 9162, section 2.1.3.2."""
    fn, sn, r = proof.index, tree.size - 1, leaf_hash
    if fn > sn:
        return False
    for p in proof.path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = _node(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = _node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == tree.root


def has_grown(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2, for 0 < old <= new."""
    if old == new:
        return not path and old_root == new_root
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = steps[0]
    for c in steps[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = _node(c, fr), _node(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = _node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
