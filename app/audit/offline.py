"""Checks an audit log of Bursar with nothing but Python: one file, to be copied away and read.

    python offline.py EXPORT [--key VKEY|FILE] [--receipts DIR] [--anchors DIR ...] [--json]

It shares no code with the program that wrote the log and imports the standard library alone. What it checks is
the list of `CHECKS`; the forms are RFC 6962 (tree), RFC 8032 (Ed25519), RFC 8785 without floats (entries) and
C2SP signed-note, tlog-checkpoint, tlog-tiles and tlog-proof. `docs/audit-format.md` describes the rest.

Exit codes: 0 verified, 1 it does not hold, 2 wrong usage, 3 unreadable.
"""

import argparse
import base64
import binascii
import csv
import datetime as dt
import email
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

CHECKS: Final = {
    "files": "every file of an export is there and is the one that the signed manifest names",
    "signature": "the checkpoint, and every other note, is signed by the log's key",
    "order": "entries are numbered from 0 without gaps, and none is beyond the checkpoint",
    "leaf": "an entry's bytes hash to its leaf hash, and are the one spelling of what they say",
    "columns": "id, type, time, search columns and tags of an entry, and its long question, are those that its bytes say",
    "unique": "no id occurs twice",
    "tree": "the leaf hashes make the signed root, and every subtree that is kept",
    "sequence": "each process numbered its entries without gaps",
    "time": "times never go back",
    "calls": "every call that was sent is closed once, by an outcome of the same call",
    "charge": "an outcome charges what the platform's answer costs, on the days on which it was sent",
    "quota": "no call was let through beyond a limit that was then in force",
    "pruned": "entries without content are those that a prune entry names",
    "receipt": "every receipt shows an entry of this log",
    "anchor": "every checkpoint kept elsewhere is one of this log's past",
    "epoch": "what a new epoch says of the old one is so",
}
"""What is checked, by the name that a problem gives."""

TAMPER, GAP = "tamper", "gap"
"""What a problem shows: something was changed, or something is missing."""

_MOST_PROBLEMS: Final = 1_000
_LEASE_S: Final = 900
"""A call younger than this at the log's end may still be under way."""
_GRACE_US: Final = 60_000_000
"""Within this a process that serves has ended the calls of one that died."""
_BY_COMMANDS: Final = frozenset({"admin", "audit_read", "epoch", "key", "prune"})
"""Entries that a command may have written while nothing served."""


class Unreadable(Exception):
    """There is nothing here that could be checked."""


class NotAsItShouldBe(ValueError):
    """A proof, a note or an entry does not have its form, or does not hold."""


# --- Ed25519 (RFC 8032, section 5.1), verification alone ---------------------------------------------------

_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1: Final = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]
_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def _decoded(encoded: bytes) -> _Point | None:
    """The point that 32 bytes spell; None for any spelling but the canonical one."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P == -u % _P:
        x = x * _ROOT_OF_MINUS_1 % _P
    if v * x * x % _P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _encoded(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _sum(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


_BASE: Final = _decoded((4 * pow(5, -1, _P) % _P).to_bytes(32, "little")) or _NEUTRAL


def _has_small_order(point: _Point) -> bool:
    for _ in range(3):
        point = _sum(point, point)
    return _encoded(point) == _encoded(_NEUTRAL)


def ed25519_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is that key's: without cofactor, every encoding canonical, s below the order.

    A key of small order, under which signatures hold for any message, is none.
    """
    key = _decoded(public) if len(public) == 32 else None
    if key is None or len(signature) != 64 or _has_small_order(key):
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= _ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _ORDER
    minus_key = (_P - key[0], key[1], 1, _P - key[3])
    both = _sum(_BASE, minus_key)
    point = _NEUTRAL
    for bit in range(max(scalar.bit_length(), challenge.bit_length()) - 1, -1, -1):
        point = _sum(point, point)
        match scalar >> bit & 1, challenge >> bit & 1:
            case 1, 1:
                point = _sum(point, both)
            case 1, 0:
                point = _sum(point, _BASE)
            case 0, 1:
                point = _sum(point, minus_key)
    return _encoded(point) == signature[:32]


# --- The tree (RFC 6962, section 2.1) ----------------------------------------------------------------------

_EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
_sha256 = hashlib.sha256


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256 over 00 and the leaf."""
    return _sha256(b"\0" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\1" + left + right).digest()


class Tree:
    """The tree of the leaf hashes pushed so far, kept as the roots of its perfect subtrees.

    `completed` is told level, number from the left and root of each subtree of 2^8, 2^16, ... leaves.
    """

    def __init__(self, completed: Callable[[int, int, bytes], None] | None = None) -> None:
        self.size = 0
        self._stack: list[bytes] = []
        self._completed = completed

    def copy(self, completed: Callable[[int, int, bytes], None] | None = None) -> "Tree":
        """A tree that goes on from here by itself."""
        twin = Tree(completed)
        twin.size, twin._stack = self.size, list(self._stack)
        return twin

    def push(self, leaf: bytes) -> None:
        """Append one leaf, given by its hash."""
        node, carried, level, stack = leaf, self.size, 0, self._stack
        while carried & 1:
            node = _sha256(b"\1" + stack.pop() + node).digest()
            carried >>= 1
            level += 1
            if not level & 7 and self._completed is not None:
                self._completed(level, carried, node)
        stack.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree as it is."""
        if not self._stack:
            return _EMPTY_ROOT
        root = self._stack[-1]
        for left in reversed(self._stack[:-1]):
            root = _node(left, root)
        return root


def root_by_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf hash and its path lead to (RFC 9162, 2.1.3.2). Raises NotAsItShouldBe."""
    _check_hashes([leaf, *path])
    if not 0 <= index < size:
        raise NotAsItShouldBe(f"a tree of {size} leaves has none of number {index}")
    place, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise NotAsItShouldBe("the path is longer than the way to the root")
        if place & 1 or place == last:
            root = _node(sibling, root)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root = _node(root, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise NotAsItShouldBe("the path is shorter than the way to the root")
    return root


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Return if the path shows that one tree begins the other (RFC 9162, 2.1.4.2); raises NotAsItShouldBe.

    Stricter than other readers in one case: two trees of one size are consistent only if their roots are
    equal and 32 bytes long, as every hash has to be.
    """
    _check_hashes([old_root, new_root, *path])
    if not 0 <= old <= new:
        raise NotAsItShouldBe("the older tree is the larger")
    if old in {0, new}:
        is_so = (old > 0 or old_root == _EMPTY_ROOT) and (old < new or old_root == new_root)
        if path or not is_so:
            raise NotAsItShouldBe("nothing is to be proven by a path, and the roots do not agree without one")
        return
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        raise NotAsItShouldBe("the path is empty")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    was = is_now = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise NotAsItShouldBe("the path is longer than the way to the root")
        if place & 1 or place == last:
            was, is_now = _node(step, was), _node(step, is_now)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            is_now = _node(is_now, step)
        place, last = place >> 1, last >> 1
    if last or was != old_root or is_now != new_root:
        raise NotAsItShouldBe("the path leads to other roots")


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(each) != 32 for each in hashes):
        raise NotAsItShouldBe("a hash does not have 32 bytes")


# --- Notes (C2SP signed-note and tlog-checkpoint) ----------------------------------------------------------


class Vkey(NamedTuple):
    """A public key under a name, as text NAME+KEYID+BASE64."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> "Vkey":
        """The key that the text spells; raises NotAsItShouldBe."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        data = _from_base64(encoded)
        if not name or data[:1] != b"\1" or len(data) != 33 or _key_id(name, data[1:]).hex() != key_id:
            raise NotAsItShouldBe("this is no verifier key of the form NAME+KEYID+BASE64")
        return cls(name, data[1:])

    @property
    def text(self) -> str:
        """The key as text."""
        encoded = _base64(b"\1" + self.public)
        return f"{self.name}+{_key_id(self.name, self.public).hex()}+{encoded}"


class Checkpoint(NamedTuple):
    """A log of `origin` had `size` leaves, whose tree has this root."""

    origin: str
    size: int
    root: bytes


def signed_text(note: bytes, keys: Iterable[bytes], name: str | None = None) -> bytes:
    """What one of the keys has signed under the name, or under the text's first line; raises NotAsItShouldBe.

    Signatures of others say nothing. The log signs under its origin, which changes with an epoch; so a key
    is known by its bytes here, and its id is computed for the name in question.
    """
    text, blank, lines = note.partition(b"\n\n")
    text += b"\n"
    if not blank or not lines.endswith(b"\n"):
        raise NotAsItShouldBe("this is no signed note")
    try:
        signer = text.split(b"\n", 1)[0].decode() if name is None else name
        signatures = lines[:-1].decode().split("\n")
    except UnicodeDecodeError as error:
        raise NotAsItShouldBe("a note is UTF-8") from error
    ids = {_key_id(signer, key): key for key in keys}
    for line in signatures:
        of, _, encoded = line.removeprefix("\u2014 ").rpartition(" ")
        signature = _from_base64(encoded)
        if not line.startswith("\u2014 ") or len(signature) < 5:
            raise NotAsItShouldBe("a signature line is malformed")
        key = ids.get(signature[:4]) if of == signer else None
        if key is not None:
            if not ed25519_accepts(key, text, signature[4:]):
                raise NotAsItShouldBe(f"the signature of {signer} does not hold")
            return text
    raise NotAsItShouldBe("no known key has signed this")


def read_checkpoint(note: bytes, keys: Iterable[bytes]) -> Checkpoint:
    """The checkpoint that a note signs; raises NotAsItShouldBe."""
    try:
        text = signed_text(note, keys).decode()
    except UnicodeDecodeError as error:
        raise NotAsItShouldBe("a note is UTF-8") from error
    origin, size, root, *_ = [*text.split("\n"), "", ""]
    decoded = _from_base64(root)
    if not origin or not re.fullmatch("0|[1-9][0-9]*", size) or len(decoded) != 32:
        raise NotAsItShouldBe("a checkpoint has an origin, a size and a root")
    return Checkpoint(origin, int(size), decoded)


def vouched_for(notes: Iterable[bytes], keys: Sequence[bytes]) -> list[Vkey]:
    """Later keys of a log that one of `keys` vouches for, or one of those before them; what nobody known signed is not."""
    found: list[Vkey] = []
    for note in notes:
        try:
            text = signed_text(note, [*keys, *(each.public for each in found)]).decode()
            _, what, vkey, end = text.split("\n")
            if (what, end) == ("log key", ""):
                found.append(Vkey.parse(vkey))
        except ValueError:
            continue
    return [each for each in found if each.public not in keys]


class Proof(NamedTuple):
    """A receipt: leaf number `ix` with its way to the root of a checkpoint; `extra` may be the leaf."""

    ix: int
    path: list[bytes]
    note: bytes
    extra: bytes


def read_proof(text: bytes) -> Proof:
    """The proof of a C2SP tlog-proof file; raises NotAsItShouldBe."""
    head, blank, note = text.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise NotAsItShouldBe("a proof is ASCII") from error
    extra = (
        _from_base64(lines.pop(1).removeprefix("extra "))
        if len(lines) > 1 and lines[1][:6] == "extra "
        else b""
    )
    if not blank or len(lines) < 2 or lines[0] != "c2sp.org/tlog-proof@v1":
        raise NotAsItShouldBe("this is no tlog-proof")
    if not re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[1]):
        raise NotAsItShouldBe("a tlog-proof names the index of its entry")
    return Proof(int(lines[1][6:]), [_from_base64(line) for line in lines[2:]], note, extra)


def _key_id(name: str, public: bytes) -> bytes:
    return _sha256(name.encode("utf-8", "replace") + b"\n\1" + public).digest()[:4]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotAsItShouldBe("this is not base64") from error


# --- Entries -----------------------------------------------------------------------------------------------

_WIDEST_INT: Final = 2**53 - 1


def _refuse(token: str) -> Any:
    raise NotAsItShouldBe(f"{token[:40]} cannot be in an entry")


def _exact(token: str) -> int:
    number = int(token)
    return number if -_WIDEST_INT <= number <= _WIDEST_INT else _refuse(token)


_DECODER: Final = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse, parse_int=_exact)
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def read_entry(leaf: bytes) -> dict[str, Any]:
    """The entry that the leaf spells; raises NotAsItShouldBe unless it is the canonical spelling (RFC 8785)."""
    try:
        text = leaf.decode()
        # What follows the entry, blanks included, is not in its canonical form either.
        entry, _ = _DECODER.raw_decode(text)
        canonical = _ENCODER.encode(entry)
    except NotAsItShouldBe:
        raise
    except (ValueError, RecursionError) as error:
        raise NotAsItShouldBe("the entry is not JSON in UTF-8") from error
    if not isinstance(entry, dict) or canonical != text:
        raise NotAsItShouldBe("the entry is not in canonical form")
    if not text.isascii() and not _has_ascii_keys(entry):
        raise NotAsItShouldBe("an entry's keys are ASCII")
    return entry


def _parsed(leaf: bytes) -> dict[str, Any] | None:
    """What a leaf says, whose form somebody else looks at."""
    try:
        entry, _ = _DECODER.raw_decode(leaf.decode())
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _has_ascii_keys(value: object) -> bool:
    if isinstance(value, dict):
        return all(key.isascii() and _has_ascii_keys(each) for key, each in value.items())
    return not isinstance(value, list) or all(map(_has_ascii_keys, value))


FACTS: Final = (
    "person",
    "project",
    "key_id",
    "credential",
    "op",
    "verdict",
    "rule",
    "code",
    "requests",
    "records",
    "cache",
    "upstream_log_id",
)
_CALLS: Final = ("requests", "follower_calls", "ad_calls")
_RECORDS: Final = ("records", "follower_records", "ad_records")
_NO_OBJECT: Final[dict[str, Any]] = {}
Facts = tuple[str | int | None, ...]


def facts_of(entry: Mapping[str, Any]) -> Facts:
    """What the search columns of an entry must hold, in the order of `FACTS`."""
    actor, decision = _object(entry, "actor"), _object(entry, "decision")
    upstream, charged = _object(entry, "upstream"), _object(entry, "quota").get("charged")
    code = _word(decision.get("code"))
    if code is None:
        code = _word(upstream.get("code"))
    return (
        _word(actor.get("principal")),
        _word(actor.get("project")),
        _word(actor.get("key_id")),
        _word(actor.get("credential")),
        _word(entry.get("op")),
        _word(decision.get("verdict")),
        _word(decision.get("rule")),
        _word(entry.get("err")) if code is None else code,
        _charged(charged, _CALLS),
        _charged(charged, _RECORDS),
        _word(_object(entry, "cache").get("state")),
        _word(upstream.get("log_id")),
    )


def tags_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The keyed hashes of what the entry's question names, sorted, each once."""
    about = entry.get("about")
    if not isinstance(about, list):
        return ()
    return tuple(sorted({each for each in about if _word(each) is not None}))


def _object(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = entry.get(name)
    return value if isinstance(value, dict) else _NO_OBJECT


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 200 and "\0" not in value else None


def _charged(charged: object, names: Iterable[str]) -> int | None:
    if not isinstance(charged, dict):
        return None
    total = sum(charged[name] for name in names if type(charged.get(name)) is int)
    return total if 0 <= total <= _WIDEST_INT else None


# --- What is found -----------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """One thing that is not as it should be: which check, at which entry (None: not to be told), and what."""

    check: str
    ix: int | None
    detail: str
    shows: str


@dataclass
class Report:
    """What a verification comes to."""

    origin: str = ""
    size: int = 0
    min_index: int = 0
    root: str = ""
    keys: list[str] = field(default_factory=list)
    key_source: str = "given"
    entries: Counter[str] = field(default_factory=Counter)
    first_us: int | None = None
    last_us: int | None = None
    counted: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_out: int = 0
    shows: set[str] = field(default_factory=set)
    part: int | None = None
    """How many entries were looked at, where they are not all of the log's."""

    def add(self, check: str, index: int | None, detail: str, *, shows: str = TAMPER) -> None:
        """Keep a problem; beyond a thousand they are only counted."""
        self.shows.add(shows)
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(Problem(check, index, detail, shows))
        else:
            self.left_out += 1

    def take_over(self, other: "Report") -> None:
        """Add what another report has found and counted."""
        for problem in other.problems:
            self.add(problem.check, problem.ix, problem.detail, shows=problem.shows)
        self.left_out += other.left_out
        self.notes += other.notes
        self.counted.update(other.counted)

    @property
    def finding(self) -> str | None:
        """Tamper where anything was changed, gap where something is merely missing, None where all holds."""
        return TAMPER if TAMPER in self.shows else GAP if self.shows else None

    def shown(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return {
            "verified": self.finding is None,
            "finding": self.finding,
            "pruned": self.min_index > 0,
            "part": self.part is not None,
            "origin": self.origin,
            "size": self.size,
            "min_index": self.min_index,
            "root": self.root,
            "keys": self.keys,
            "key_source": self.key_source,
            "entries": dict(sorted(self.entries.items())),
            "first_us": self.first_us,
            "last_us": self.last_us,
            "checked": dict(sorted(self.counted.items())),
            "notes": self.notes,
            "problems": [
                {"check": each.check, "index": each.ix, "detail": each.detail, "shows": each.shows}
                for each in self.problems
            ],
            "problems_left_out": self.left_out,
        }


class Beside(NamedTuple):
    """What did not fit into an entry: the sealed question (nonce and ciphertext), and further tags."""

    question: bytes | None = None
    tags: tuple[object, ...] = ()


_NOTHING_BESIDE: Final = Beside()


class Columns(NamedTuple):
    """What stands beside an entry to find it by; `facts` is None where that row is missing."""

    id: object
    type: object
    ts_us: object
    facts: Facts | None
    tags: tuple[object, ...]
    beside: Beside = _NOTHING_BESIDE


class Row(NamedTuple):
    """One entry as it is stored: `leaf` is empty where its content was pruned, None where it is lost."""

    ix: int
    leaf: bytes | None
    leaf_hash: bytes
    columns: Columns | None


@dataclass
class Head:
    """What the log says of itself: the signed checkpoint, from where on content is kept, subtrees that are kept."""

    note: bytes
    min_index: int = 0
    nodes: Mapping[tuple[int, int], bytes] = field(default_factory=dict)
    has_nodes: bool = False


class Statement(NamedTuple):
    """A checkpoint that somebody kept; `check` is receipt or anchor, `place` where it was found."""

    check: str
    place: str
    checkpoint: Checkpoint


class Held(NamedTuple):
    """That somebody holds a receipt for a leaf of that hash, or the headers of an answer that name it."""

    place: str
    ix: int
    leaf_hash: bytes
    origin: str


class Copied(NamedTuple):
    """The leaf hashes of an earlier copy of the log, which name the entry that was rewritten since."""

    place: str
    hashes: Iterator[bytes]


@dataclass
class Evidence:
    """What others kept of this log: checkpoints, receipts, whole copies."""

    statements: list[Statement] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    copies: list[Copied] = field(default_factory=list)


_NO_LEAVES: Final[Mapping[int, bytes]] = MappingProxyType({})


# --- One pass over the log ---------------------------------------------------------------------------------


Progress = Callable[[int, int], None]


class Verification:
    """Takes a log's rows in order, then says what was found. `report` may be shown while it runs."""

    def __init__(
        self, head: Head, keys: Sequence[bytes], evidence: Evidence | None = None, *, lease_s: int = _LEASE_S
    ) -> None:
        self.report = Report(min_index=head.min_index)
        self.rows_are_checked = False
        """Whether somebody else looks at hash, form and columns of each row: then they are taken for sound."""
        self._head = head
        self._keys = keys
        self._evidence = evidence or Evidence()
        self.checkpoint = self._signed(head.note)
        self._next = 0
        self._ids: set[str] = set()
        self._holes = _Holes()
        self._tree = Tree(self._completed)
        self._stored: Tree | None = None
        self._is_whole = True
        self._seen_nodes = 0
        self._wanted = {each.checkpoint.size for each in self._evidence.statements}
        self._roots: dict[int, set[bytes]] = {}
        self.wanted_leaves = {each.ix for each in self._evidence.held}
        """Of which entries receipts name the hash."""
        self._leaves: dict[int, bytes] = {}
        self._last_us = 0
        self._boots = _Boots(self.report, self._holes)
        self._calls = _Calls(self.report, self._holes, lease_us=lease_s * 1_000_000, min_index=head.min_index)
        self._epochs: list[_Epoch] = []
        self._min_indexes: set[int] = {0}
        self._lost = self._uncompared = 0
        self._copies = list(self._evidence.copies)
        self._stored_nodes: dict[tuple[int, int], bytes] = {}
        if 0 in self._wanted:
            self._roots[0] = {_EMPTY_ROOT}

    def _signed(self, note: bytes) -> Checkpoint | None:
        try:
            found = read_checkpoint(note, self._keys)
        except NotAsItShouldBe as error:
            self.report.add("signature", None, f"the log's checkpoint: {error}")
            try:
                found = _unsigned_checkpoint(note)
            except NotAsItShouldBe:
                return None
        self.report.origin, self.report.size, self.report.root = found.origin, found.size, _base64(found.root)
        return found

    def take(self, row: Row) -> None:
        """Check one row; rows come by rising index."""
        index = row.ix
        # Without a checkpoint nothing says where the log ends; each row is looked at by itself.
        end = index + 1 if self.checkpoint is None else self.report.size
        if index >= end or index < self._next:
            where = (
                "beyond the end that the checkpoint signs" if index >= end else "after one of a higher number"
            )
            self.report.add("order", index, f"the entry stands {where}")
            return
        if index > self._next:
            self._missing(self._next, index)
        self._next = index + 1
        if row.leaf:
            entry = self._take_leaf(index, row.leaf, row.leaf_hash)
            if entry is None or not self._holds(index, lambda: self._of_entry(index, entry, row.columns)):
                self._holes.add(index, index + 1)
        else:
            self._push(index, row.leaf_hash, row.leaf_hash)
            self._without_content(row)

    def _holds(self, index: int, look: Callable[[], None]) -> bool:
        """Whether an entry can be looked at: whoever writes one by hand may put anything in any place."""
        try:
            look()
        except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
            detail = f"the entry has something of a kind that cannot stand there ({type(error).__name__})"
            self.report.add("leaf", index, detail)
            return False
        return True

    def _take_leaf(self, index: int, leaf: bytes, stored: bytes) -> dict[str, Any] | None:
        if self.rows_are_checked:
            self._push(index, stored, stored)
            return _parsed(leaf)
        digest = _sha256(b"\0" + leaf).digest()
        self._push(index, digest, stored)
        if digest == stored:
            return self._read(index, leaf)
        self.report.add("leaf", index, "the entry's bytes do not hash to its leaf hash")
        return None

    def take_all(self, rows: Iterable[Row], progress: Progress | None = None) -> None:
        """Check all rows; `progress` is told how many of how many are done, every ten thousand."""
        for row in rows:
            self.take(row)
            if progress is not None and row.ix % 10_000 == 9_999:
                progress(row.ix + 1, self.report.size)

    def _missing(self, start: int, end: int) -> None:
        self._is_whole = False
        for index in range(start, min(end, start + 100)):
            self.report.add("order", index, "the entry is missing", shows=GAP)
        if end - start > 100:
            self.report.add("order", start, f"{end - start} entries from here on are missing", shows=GAP)
        self._holes.add(start, end)
        for copy in self._copies:
            next(itertools.islice(copy.hashes, end - start - 1, None), None)

    def _without_content(self, row: Row) -> None:
        index = row.ix
        if row.leaf is None:
            self.report.add("leaf", index, "the entry's bytes are missing", shows=GAP)
            self._holes.add(index, index + 1)
        elif index >= self.report.min_index:
            self.report.add("pruned", index, "the entry has no content, and nothing says that it was pruned")
            self._holes.add(index, index + 1)
        elif row.columns is not None and (
            row.columns.facts is not None or row.columns.tags or row.columns.beside != _NOTHING_BESIDE
        ):
            self.report.add("pruned", index, "search columns of an entry whose content was pruned are left")

    def _read(self, index: int, leaf: bytes) -> dict[str, Any] | None:
        try:
            return read_entry(leaf)
        except NotAsItShouldBe as error:
            self.report.add("leaf", index, str(error))
            return None

    def _push(self, index: int, digest: bytes, stored: bytes) -> None:
        if len(stored) != 32:
            stored = digest
        if self._stored is None and digest != stored:
            # From here on there are two trees: that of the bytes, and that of the hashes beside them.
            self._stored = self._tree.copy(self._completed_as_stored)
        self._tree.push(digest)
        if self._stored is not None:
            self._stored.push(stored)
        if self._tree.size in self._wanted:
            roots = {tree.root() for tree in (self._tree, self._stored) if tree is not None}
            self._roots[self._tree.size] = roots
        if index in self.wanted_leaves:
            self._leaves[index] = stored
        for copy in list(self._copies):
            self._compare(copy, index, digest, stored)

    def _compare(self, copy: Copied, index: int, digest: bytes, stored: bytes) -> None:
        kept = next(copy.hashes, None)
        if kept is None:
            self._copies.remove(copy)
        elif kept not in {digest, stored}:
            self.report.add("anchor", index, f"the entry is another than in the copy {copy.place}")

    def _completed(self, level: int, number: int, root: bytes) -> None:
        if not self._head.has_nodes or not self._is_whole:
            return
        self._seen_nodes += 1
        kept = self._head.nodes.get((level, number))
        if kept == root or (kept is not None and self._stored is not None):
            if kept != root and kept is not None:
                self._stored_nodes[level, number] = kept
            return
        self._bad_node(level, number, kept)

    def _completed_as_stored(self, level: int, number: int, root: bytes) -> None:
        kept = self._stored_nodes.pop((level, number), None)
        if kept is not None and kept != root:
            self._bad_node(level, number, kept)

    def _bad_node(self, level: int, number: int, kept: bytes | None) -> None:
        start, end = number << level, (number + 1) << level
        what = "is missing" if kept is None else "is another than the entries make"
        self.report.add("tree", None, f"the kept hash over entries {start} to {end - 1} {what}")

    def _of_entry(self, index: int, entry: dict[str, Any], columns: Columns | None) -> None:
        report = self.report
        kind, ts_us, entry_id = entry.get("type"), entry.get("ts_us"), entry.get("id")
        if columns is not None and not self.rows_are_checked:
            self._check_columns(index, entry, columns)
        if not (
            isinstance(kind, str) and isinstance(entry_id, str) and type(ts_us) is int and entry.get("v") == 1
        ):
            report.add("leaf", index, "the entry has no type, id, time or version that could be read")
            self._holes.add(index, index + 1)
            return
        report.entries[kind] += 1
        if entry_id in self._ids:
            report.add("unique", index, f"the id {entry_id} occurs a second time")
        self._ids.add(entry_id)
        if ts_us < self._last_us:
            report.add("time", index, f"the time goes back by {self._last_us - ts_us} microseconds")
        self._last_us = ts_us
        if report.first_us is None:
            report.first_us = ts_us
            self._calls.began(ts_us)
        report.last_us = ts_us
        self._boots.take(index, entry)
        if kind not in _BY_COMMANDS:
            self._calls.saw(entry.get("boot"), ts_us)
        if kind in {"intent", "outcome", "decision", "admin"}:
            self._calls.take(index, kind, entry, ts_us)
        elif kind == "epoch":
            self._epochs.append(self._epoch(index, _object(entry, "epoch")))
            self._boots.begin_epoch()
        elif kind == "prune":
            said = _object(entry, "prune").get("min_index")
            if type(said) is int and said <= index:
                self._min_indexes.add(said)

    def check_row(self, row: Row) -> None:
        """Check what can be told of a row alone: hash, form and columns."""
        if not row.leaf or leaf_hash(row.leaf) != row.leaf_hash:
            self.report.add("leaf", row.ix, "the entry's bytes do not hash to its leaf hash")
            return
        entry, columns = self._read(row.ix, row.leaf), row.columns
        if entry is not None and columns is not None:
            self._holds(row.ix, lambda: self._check_columns(row.ix, entry, columns))

    def _check_columns(self, index: int, entry: dict[str, Any], columns: Columns) -> None:
        if (columns.id, columns.type, columns.ts_us) != (
            entry.get("id"),
            entry.get("type"),
            entry.get("ts_us"),
        ):
            said = {"id": columns.id, "type": columns.type, "ts_us": columns.ts_us}
            names = [name for name, found in said.items() if found != entry.get(name)]
            self.report.add("columns", index, f"the column {', '.join(names)} is another than the entry says")
        if columns.facts is None:
            self.report.add("columns", index, "the entry has no row of search columns")
        elif columns.facts != (facts := facts_of(entry)):
            names = [
                name for name, one, other in zip(FACTS, columns.facts, facts, strict=True) if one != other
            ]
            self.report.add("columns", index, f"the column {', '.join(names)} is another than the entry says")
        if columns.tags != tags_of(entry):
            self.report.add("columns", index, "the entry's tags are others than it says")
        if columns.beside != _NOTHING_BESIDE:
            self._check_beside(index, entry, columns.beside)
        elif "about_more" in entry or "sha256" in _object(entry, "sealed"):
            self.report.add("columns", index, "what was kept beside the entry is missing", shows=GAP)

    def _check_beside(self, index: int, entry: Mapping[str, Any], beside: Beside) -> None:
        question = None if beside.question is None else _sha256(beside.question).hexdigest()
        if question != _object(entry, "sealed").get("sha256"):
            self.report.add(
                "columns", index, "the question kept beside the entry is not the one that it names"
            )
        more = _object(entry, "about_more")
        digest = (
            _sha256("\n".join(sorted(map(str, beside.tags))).encode()).hexdigest() if beside.tags else None
        )
        if (len(beside.tags), digest) != (more.get("count", 0), more.get("sha256")):
            self.report.add("columns", index, "the tags kept beside the entry are not those that it names")

    def finish(self) -> Report:
        """What was found, once every row has been taken."""
        report, checkpoint = self.report, self.checkpoint
        if checkpoint is None:
            return report
        if self._next < checkpoint.size:
            self._missing(self._next, checkpoint.size)
        self._check_root(checkpoint)
        if report.min_index not in self._min_indexes:
            detail = f"no prune entry says that the content before entry {report.min_index} was pruned"
            report.add("pruned", None, detail)
        if self._head.has_nodes and self._is_whole and self._seen_nodes != len(self._head.nodes):
            report.add(
                "tree", None, f"{len(self._head.nodes)} subtrees are kept where there are {self._seen_nodes}"
            )
        self._boots.finish()
        self._calls.finish()
        self._check_epochs(checkpoint)
        self._check_evidence(checkpoint)
        return report

    def take_hashes(self, hashes: Iterable[bytes]) -> None:
        """Take the leaf hashes of the whole log, where there are entries of a part alone."""
        for index, digest in enumerate(hashes):
            self._push(index, digest, digest)

    def finish_part(self, count: int, leaves: Mapping[int, bytes] = _NO_LEAVES) -> Report:
        """What was found of a part of `count` entries; `leaves` are hashes of it that receipts name."""
        report, checkpoint = self.report, self.checkpoint
        report.part = report.counted["exported"] = count
        report.notes.append("of a part, order of time, ids, calls and limits are not checked")
        if checkpoint is not None:
            self._leaves.update(leaves)
            if self._tree.size == checkpoint.size:
                self._check_root(checkpoint)
            else:
                self._roots[checkpoint.size] = {checkpoint.root}
            self._check_evidence(checkpoint)
        return report

    def _check_root(self, checkpoint: Checkpoint) -> None:
        if not self._is_whole:
            return
        roots = {tree.root() for tree in (self._tree, self._stored) if tree is not None}
        if self._tree.size == checkpoint.size and checkpoint.root not in roots:
            self.report.add("tree", None, "the leaf hashes do not make the root that was signed")

    def _epoch(self, index: int, said: Mapping[str, Any]) -> "_Epoch":
        """The epoch that an entry begins; what it says of the one before is checked as far as it can be."""
        numbers = [said.get(name) for name in ("number", "agreed", "known")]
        number, agreed, known = (each if type(each) is int else 0 for each in numbers)
        if said.get("restored_size") != index or not agreed <= index or number < 2:
            self.report.add("epoch", index, "the entry does not say from where on the log went on")
        try:
            before = read_checkpoint(str(said.get("checkpoint")).encode("utf-8", "replace"), self._keys)
            if _name_of(before.origin)[0] != _name_of(self.report.origin)[0]:
                self.report.add("epoch", index, "the checkpoint that the entry cites is of another log")
        except NotAsItShouldBe as error:
            self.report.add("epoch", index, f"the checkpoint that the entry cites: {error}")
        return _Epoch(number, agreed, known, _amounts(said.get("beyond")))

    def _check_epochs(self, checkpoint: Checkpoint) -> None:
        begun = max((each.number for each in self._epochs), default=1)
        _, now = _name_of(checkpoint.origin)
        if now != begun and not (self.report.min_index and begun < now):
            self.report.add(
                "epoch", None, f"the checkpoint is of epoch {now}, and the log's entries begin {begun}"
            )
        if [each.number for each in self._epochs] != sorted({each.number for each in self._epochs}):
            self.report.add("epoch", None, "epochs do not follow each other")

    def _check_evidence(self, checkpoint: Checkpoint) -> None:
        for each in self._evidence.statements:
            self._check_statement(each, checkpoint)
        for held in self._evidence.held:
            self._check_held(held, checkpoint)
        if self._uncompared:
            self.report.notes.append(
                f"{self._uncompared} kept checkpoints and receipts could not be compared with this part of the log"
            )
        if self._lost:
            self.report.notes.append(
                f"{self._lost} kept checkpoints and receipts are of what was lost before an epoch began, as the log says"
            )

    def _check_statement(self, kept: Statement, checkpoint: Checkpoint) -> None:
        origin, size, root = kept.checkpoint
        end = self._end_of(kept.check, kept.place, origin, checkpoint)
        if end is None:
            return
        if size <= end:
            self._uncompared += self.report.part is not None and size not in self._roots
            if self._is_whole and root not in self._roots.get(size, {root}):
                self.report.add(
                    kept.check, None, f"{kept.place}: the first {size} entries are not what they were"
                )
        elif self._is_told_lost(origin, size):
            self._lost += 1
        else:
            detail = f"{kept.place}: the log had {size} entries, and {end} of them are left"
            self.report.add(kept.check, end, detail, shows=GAP)

    def _check_held(self, held: Held, checkpoint: Checkpoint) -> None:
        end = self._end_of("receipt", held.place, held.origin, checkpoint)
        if end is None:
            return
        found = self._leaves.get(held.ix)
        if held.ix >= end:
            if self._is_told_lost(held.origin, held.ix + 1):
                self._lost += 1
            else:
                self.report.add("receipt", held.ix, f"{held.place}: the log has no such entry", shows=GAP)
        elif found is None and self.report.part is not None:
            self._uncompared += 1
        elif found is None:
            self.report.add("receipt", held.ix, f"{held.place}: the log has lost the entry", shows=GAP)
        elif found != held.leaf_hash:
            self.report.add("receipt", held.ix, f"{held.place}: the entry is another than the receipt's")

    def _end_of(self, check: str, place: str, origin: str, checkpoint: Checkpoint) -> int | None:
        """How many entries of an epoch are still there; None where the origin is not one of this log's past."""
        base, epoch = _name_of(origin)
        own, now = _name_of(checkpoint.origin)
        if base != own:
            self.report.add(check, None, f"{place}: it is of another log, {origin}")
            return None
        if epoch > now:
            self.report.add(check, None, f"{place}: it is of a later epoch, {origin}", shows=GAP)
            return None
        if epoch < now and self.report.part is not None:
            self._uncompared += 1  # what was lost between them is told in entries that are not here
            return None
        return min((each.agreed for each in self._epochs if each.number > epoch), default=checkpoint.size)

    def _is_told_lost(self, origin: str, size: int) -> bool:
        """Whether an epoch that came later says that so many entries were not there any more."""
        _, epoch = _name_of(origin)
        later = [each for each in self._epochs if each.number > epoch]
        return any(each.agreed < size <= each.known or size <= each.beyond.get(origin, 0) for each in later)


class _Epoch(NamedTuple):
    """What a new epoch says of the log before it, of which `known` entries were known, and `agreed` are there."""

    number: int
    agreed: int
    known: int
    beyond: Mapping[str, int]


_NUMBERED: Final = re.compile(r"(.+)/([2-9]|[1-9][0-9]{1,3})")


def _name_of(origin: str) -> tuple[str, int]:
    """The log's own name, and the epoch: `example.edu/log/2` is the second of `example.edu/log`."""
    found = _NUMBERED.fullmatch(origin)
    return (origin, 1) if found is None else (found[1], int(found[2]))


def _unsigned_checkpoint(note: bytes) -> Checkpoint:
    lines = note.decode("utf-8", "replace").split("\n")
    if len(lines) < 3 or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]):
        raise NotAsItShouldBe("this is no checkpoint")
    return Checkpoint(lines[0], int(lines[1]), _from_base64(lines[2]))


class _Holes:
    """Entries that are missing or cannot be read: what they would have said is not held against others."""

    def __init__(self) -> None:
        self.count = 0
        self._ranges: list[tuple[int, int]] = []

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and any(start <= index < end for start, end in self._ranges)

    def add(self, start: int, end: int) -> None:
        """Learn of entries from one index to before another."""
        self._ranges.append((start, end))
        self.count += end - start

    def above(self, index: int) -> int:
        """How many come after an entry."""
        return sum(end - max(start, index + 1) for start, end in self._ranges if end > index + 1)


class _Boots:
    """Each run of each process numbers its entries from 0."""

    def __init__(self, report: Report, holes: _Holes) -> None:
        self._report = report
        self._holes = holes
        self._next: dict[tuple[object, object], tuple[int, int]] = {}
        self._met: set[tuple[object, object]] | None = None
        """The processes since an epoch began; what others had numbered before may be lost, as the epoch tells."""

    def begin_epoch(self) -> None:
        """Learn that entries were lost, which processes that went on had numbered."""
        self._met = set()

    def take(self, index: int, entry: Mapping[str, Any]) -> None:
        """Check one entry's number; what is missing where entries cannot be read is no news."""
        boot, number = (entry.get("replica"), entry.get("boot")), entry.get("rseq")
        if type(number) is not int:
            self._report.add("sequence", index, "the entry has no number of its process")
            return
        known = self._next.get(boot)
        expected, holes = (0, 0) if known is None else known
        skipped = number - expected
        may_skip = known is None and self._report.min_index > 0
        if self._met is not None:
            may_skip |= boot not in self._met
            self._met.add(boot)
        if skipped < 0:
            self._report.add("sequence", index, f"process {boot[1]} numbers {number} after {expected - 1}")
        elif skipped > self._holes.count - holes and not may_skip:
            detail = f"{skipped} entries of process {boot[1]} before this one are missing"
            self._report.add("sequence", index, detail, shows=GAP)
        self._next[boot] = (number + 1, self._holes.count)

    def finish(self) -> None:
        """Count the processes."""
        self._report.counted["processes"] = len(self._next)


@dataclass
class _Call:
    """A call under way: which, and what it took of each budget."""

    ts_us: int
    same: tuple[object, ...]
    reserved: Mapping[str, int]
    days: list[str]
    takings: list[tuple[tuple[str, str], str, int]]


class _Calls:
    """Intents and outcomes: closed once, charged rightly, and never beyond a limit."""

    def __init__(self, report: Report, holes: _Holes, *, lease_us: int, min_index: int) -> None:
        self._report = report
        self._holes = holes
        self._lease_us = lease_us
        self._min_index = min_index
        self._open: dict[int, _Call] = {}
        self._reaped: dict[int, _Call] = {}
        self._serving: dict[object, list[int]] = {}
        self._budgets = _Budgets(report, holes)

    def began(self, ts_us: int) -> None:
        """Learn when the first entry was written whose content is there."""
        self._budgets.began(ts_us, is_pruned=self._min_index > 0)

    def saw(self, boot: object, ts_us: int) -> None:
        """Learn that a process was serving, which ends the calls that others left behind."""
        span = self._serving.setdefault(boot, [ts_us, ts_us])
        span[1] = ts_us

    def take(self, index: int, kind: str, entry: Mapping[str, Any], ts_us: int) -> None:
        """Check one entry of a call, or learn of a limit that was set."""
        match kind:
            case "intent":
                self._intent(index, entry, ts_us)
            case "outcome":
                self._outcome(index, entry)
            case "decision":
                charged = _amounts(_object(entry, "quota").get("charged"))
                if charged:
                    self._grant(index, entry, charged, ts_us)
            case _:
                self._budgets.learn(index, entry, ts_us)

    def _intent(self, index: int, entry: Mapping[str, Any], ts_us: int) -> None:
        reserved = _amounts(_object(entry, "quota").get("reserved"))
        if not reserved:
            self._report.add("charge", index, "the call reserved nothing")
        self._report.counted["calls"] += 1
        self._open[index] = self._grant(index, entry, reserved, ts_us)

    def _grant(self, index: int, entry: Mapping[str, Any], amounts: Mapping[str, int], ts_us: int) -> _Call:
        days = [str(day) for day in _object(entry, "quota").get("days") or ()]
        if days != _days_at(ts_us):
            self._report.add(
                "charge", index, f"it counts on {', '.join(days)}, not on {', '.join(_days_at(ts_us))}"
            )
        takings = self._budgets.grant(index, _object(entry, "actor"), amounts, days, ts_us)
        return _Call(ts_us, _same(entry), amounts, days, takings)

    def _outcome(self, index: int, entry: Mapping[str, Any]) -> None:
        of = entry.get("intent_ix")
        quota = _object(entry, "quota")
        charged = _amounts(quota.get("charged"))
        is_late = quota.get("late") is True
        waiting = self._reaped if is_late else self._open
        call = waiting.pop(of, None) if isinstance(of, int) else None
        if call is None or not isinstance(of, int):
            self._closes_nothing(index, of)
            return
        if call.same != _same(entry):
            self._report.add(
                "calls", index, f"the outcome is of another call than the intent {of} that it names"
            )
            return
        if is_late:
            if any(charged.values()):
                self._report.add("charge", index, "a call whose lease had ended is charged a second time")
            return
        if entry.get("err") == "crash_unknown":
            self._reaped[of] = call
        self._check_charge(index, entry, call, charged)
        self._budgets.settle(call.takings, call.days, charged)

    def _closes_nothing(self, index: int, of: object) -> None:
        if type(of) is not int or of >= index:
            self._report.add("calls", index, "the outcome names no intent before it")
        elif of >= self._min_index and of not in self._holes:
            self._report.add("calls", index, f"entry {of}, which the outcome names, is no open call")

    def _check_charge(
        self, index: int, entry: Mapping[str, Any], call: _Call, charged: Mapping[str, int]
    ) -> None:
        if set(charged) != set(call.reserved):
            self._report.add("charge", index, "the outcome charges other budgets than the call reserved of")
            return
        if _object(entry, "quota").get("days") != call.days:
            self._report.add("charge", index, "the outcome charges other days than the call reserved of")
        due = _due(entry, call.reserved)
        for name, amount in charged.items():
            if name in due and amount != due[name]:
                self._report.add(
                    "charge", index, f"the outcome charges {amount} {name}, and {due[name]} are due"
                )

    def finish(self) -> None:
        """Name the calls that were never closed, but for those that nobody can have closed yet."""
        late = [index for index, call in self._open.items() if self._is_overdue(call)]
        for index in late:
            if len(late) > self._holes.above(index):
                self._report.add("calls", index, "the call was never closed by an outcome", shows=GAP)
        self._report.counted["calls_under_way"] = len(self._open) - len(late)
        self._budgets.finish()

    def _is_overdue(self, call: _Call) -> bool:
        """Whether a process was serving for a while after the call's lease."""
        end_us = call.ts_us + self._lease_us
        return any(
            last_us >= max(first_us, end_us) + _GRACE_US for first_us, last_us in self._serving.values()
        )


def _same(entry: Mapping[str, Any]) -> tuple[object, ...]:
    """What intent and outcome of one call have in common."""
    actor = _object(entry, "actor")
    return (
        actor.get("key_id"),
        actor.get("principal"),
        actor.get("project"),
        actor.get("credential"),
        entry.get("op"),
        entry.get("params_hmac"),
    )


def _amounts(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {name: amount for name, amount in value.items() if type(amount) is int and amount >= 0}


def _due(entry: Mapping[str, Any], reserved: Mapping[str, int]) -> dict[str, int]:
    """What the outcome has to charge, as far as the entry tells: the charge table of the platform's answers.

    Nothing for what was never sent and for a 401; everything reserved where nobody knows what became of it;
    one call otherwise, with the records that came, or all that were reserved where they could not be read.
    """
    upstream = _object(entry, "upstream")
    status = upstream.get("status")
    is_unknown = entry.get("err") == "crash_unknown" or (upstream.get("called") is True and "err" in upstream)
    if is_unknown:
        due = dict(reserved)
        if entry.get("err") != "crash_unknown" and "delivered" in due:
            due["delivered"] = 0
        return due
    if upstream.get("called") is not True or (status == 401 and upstream.get("code") != "ok"):
        return dict.fromkeys(reserved, 0)
    is_read = upstream.get("code") == "ok"
    is_lost = not is_read and type(status) is int and 200 <= status < 300
    due = {name: 1 for name in (*_CALLS, "calls") if name in reserved}
    for name in _RECORDS:
        if name in reserved:
            due[name] = _records(upstream) if is_read else reserved[name] if is_lost else 0
    if "delivered" in reserved and not is_read:
        due["delivered"] = 0
    return due


def _records(upstream: Mapping[str, Any]) -> int:
    records = upstream.get("records")
    return records if type(records) is int else -1


_MIDNIGHT_MARGIN_US: Final = 5_000_000
_DAY_US: Final = 86_400_000_000
_EPOCH_DAY: Final = dt.date(1970, 1, 1).toordinal()
_day_names: dict[int, str] = {}


def _days_at(ts_us: int) -> list[str]:
    """The UTC days on which a call at that moment counts: both within five seconds of midnight."""
    first = (ts_us - _MIDNIGHT_MARGIN_US - 1) // _DAY_US
    last = (ts_us + _MIDNIGHT_MARGIN_US) // _DAY_US
    return [_day_name(day) for day in range(first, last + 1)]


def _day_name(day: int) -> str:
    name = _day_names.get(day)
    if name is None:
        name = _day_names[day] = dt.date.fromordinal(_EPOCH_DAY + day).isoformat()
    return name


Scope = tuple[str, str]
"""Kind (credential, project, member, key) and id."""
_OWN: Final = frozenset({"calls", "delivered"})
"""What is counted only where a budget on it is in force, since the platform does not count it."""
_LONGEST_RAISE_US: Final = 366 * _DAY_US


class _Limit(NamedTuple):
    scope: Scope
    dimension: str
    window: str
    amount: int
    raised_by: tuple[tuple[str, str, str, str], ...]


class _Budgets:
    """Limits as the log's admin entries set them, and what calls took of them, day by day."""

    def __init__(self, report: Report, holes: _Holes) -> None:
        self._report = report
        self._holes = holes
        self._set: dict[Scope, dict[tuple[str, str], int]] = {}
        self._raises: dict[str, tuple[tuple[str, str, str, str], int, int, int]] = {}
        self._members: dict[tuple[object, object], str] = {}
        self._taken: dict[tuple[Scope, str, str], int] = {}
        self._counts_longer = False
        self._limits: dict[tuple[object, ...], tuple[list[Scope], list[_Limit]]] = {}
        self._sure_from_us = 0

    def began(self, ts_us: int, *, is_pruned: bool) -> None:
        """Where content was pruned, raises from before it may still hold: they last a year at most."""
        self._sure_from_us = ts_us + _LONGEST_RAISE_US if is_pruned else 0

    def learn(self, index: int, entry: Mapping[str, Any], ts_us: int) -> None:
        """Take in what an admin entry says of limits, raises and members."""
        thing = _object(entry, "object")
        name, what = thing.get("id"), entry.get("what")
        if not isinstance(name, str) or not isinstance(what, str):
            return
        match thing.get("kind"):
            case "limit":
                dimension, _, window = what.partition("/")
                limits = self._set.setdefault((str(entry.get("scope_kind")), name), {})
                after = entry.get("after")
                if type(after) is int:
                    limits[dimension, window] = after
                    if window in {"month", "project"} and not self._counts_longer:
                        self._count_longer()
                else:
                    limits.pop((dimension, window), None)
            case "raise" if what == "added":
                self._raise(index, name, entry, ts_us)
            case "raise" if what == "retired":
                self._raises.pop(name, None)
            case "member" if "project" in entry and "person" in entry:
                self._members[entry["project"], entry["person"]] = name
            case _:
                return
        self._limits.clear()

    def _raise(self, index: int, name: str, entry: Mapping[str, Any], ts_us: int) -> None:
        said = _object(entry, "after")
        dimension, _, window = str(said.get("limit")).partition("/")
        slot = (str(entry.get("scope_kind")), str(entry.get("scope")), dimension, window)
        try:
            until = dt.datetime.fromisoformat(str(said.get("until")))
        except ValueError:
            self._report.add("leaf", index, "the raise has no end that could be read")
            return
        # The entry tells the end in whole seconds.
        until_us = int(until.timestamp()) * 1_000_000 + 999_999
        self._raises[name] = (slot, _amounts(said).get("amount", 0), ts_us, until_us)

    def grant(
        self,
        index: int,
        actor: Mapping[str, Any],
        amounts: Mapping[str, int],
        days: Sequence[str],
        ts_us: int,
    ) -> list[tuple[Scope, str, int]]:
        """What a call takes of every budget of its scopes; a problem where a limit has no room for it."""
        scopes, limits = self._of(actor)
        bounded = {(limit.scope, limit.dimension) for limit in limits}
        takings = [
            (scope, name, amount)
            for scope in scopes
            for name, amount in amounts.items()
            if name not in _OWN or (scope, name) in bounded
        ]
        for scope, name, amount in takings:
            self._add(scope, name, days, amount)
        counted = self._report.counted
        counted["grants"] += 1
        is_known = False
        for limit in limits:
            if limit.dimension in amounts:
                is_known = True
                self._check(index, limit, days, ts_us)
        if not is_known:
            counted["grants_without_known_limit"] += 1
        return takings

    def settle(
        self, takings: Iterable[tuple[Scope, str, int]], days: Sequence[str], charged: Mapping[str, int]
    ) -> None:
        """Put what a call came to in the place of what it had reserved."""
        for scope, name, amount in takings:
            if charged.get(name, amount) != amount:
                self._add(scope, name, days, charged[name] - amount)

    def finish(self) -> None:
        """Say what could not be judged."""
        counted = self._report.counted
        if counted["grants_unsure"]:
            self._report.notes.append(
                f"{counted['grants_unsure']} times a limit looked overspent where the log no longer tells all that "
                "raised it; these were not judged"
            )

    def _add(self, scope: Scope, name: str, days: Sequence[str], amount: int) -> None:
        taken = self._taken
        for day in days:
            for period in (day, day[:7], "") if self._counts_longer else (day,):
                slot = (scope, name, period)
                taken[slot] = taken.get(slot, 0) + amount

    def _count_longer(self) -> None:
        """Count months and lifetimes from now on, which costs time where no limit knows them."""
        self._counts_longer = True
        for (scope, name, day), amount in list(self._taken.items()):
            for period in (day[:7], ""):
                slot = (scope, name, period)
                self._taken[slot] = self._taken.get(slot, 0) + amount

    def _check(self, index: int, limit: _Limit, days: Sequence[str], ts_us: int) -> None:
        periods = {"day": days, "month": [day[:7] for day in days], "project": ("",)}[limit.window]
        taken = max((self._taken.get((limit.scope, limit.dimension, each), 0) for each in periods), default=0)
        amount = limit.amount
        if taken > amount and self._raises:
            amount += sum(
                more * limit.raised_by.count(slot)
                for slot, more, from_us, until_us in self._raises.values()
                if from_us <= ts_us < until_us
            )
        if taken <= amount:
            return
        if self._holes.count or (ts_us < self._sure_from_us and limit.scope[0] != "credential"):
            self._report.counted["grants_unsure"] += 1
            return
        kind, scope_id = limit.scope
        self._report.add(
            "quota",
            index,
            f"with this call {kind} {scope_id} has {taken} of {amount} {limit.dimension}/{limit.window}",
        )

    def _of(self, actor: Mapping[str, Any]) -> tuple[list[Scope], list[_Limit]]:
        project, person = actor.get("project"), actor.get("principal")
        owner = (actor.get("credential"), project, person, actor.get("key_id"))
        known = self._limits.get(owner)
        if known is not None:
            return known
        member = self._members.get((project, person))
        named = {"credential": owner[0], "project": project, "member": member, "key": owner[3]}
        scopes = [(kind, each) for kind, each in named.items() if isinstance(each, str)]
        limits: list[_Limit] = []
        for kind, each in scopes:
            found = {
                slot: (amount, [(kind, each, *slot)])
                for slot, amount in self._set.get((kind, each), {}).items()
            }
            if kind == "member":
                for slot, amount in self._set.get(("each_member", str(project)), {}).items():
                    of_all = [("each_member", str(project), *slot), (kind, each, *slot)]
                    found.setdefault(slot, (amount, of_all))
            limits += [
                _Limit((kind, each), slot[0], slot[1], amount, tuple(raised_by))
                for slot, (amount, raised_by) in found.items()
                if slot[1] in {"day", "month", "project"}
            ]
        self._limits[owner] = (scopes, limits)
        return scopes, limits


# --- What others kept: receipts, checkpoints, copies -------------------------------------------------------

_MOST_FILE_BYTES: Final = 64 << 20


def read_evidence(
    keys: Sequence[bytes], report: Report, *, receipts: Path | None, anchors: Sequence[Path]
) -> Evidence:
    """All that others kept; what cannot be read of it is a problem of the report. Raises Unreadable."""
    evidence = Evidence()
    if receipts is not None:
        read_receipts(receipts, keys, report, evidence)
    for each in anchors:
        if not read_anchors(each, keys, report, evidence):
            raise Unreadable(f"there is no checkpoint in {each}")
    return evidence


def read_receipts(directory: Path, keys: Sequence[bytes], report: Report, evidence: Evidence) -> None:
    """Take in every receipt below a directory: tlog-proofs, their JSON, and headers as `curl -D` writes them."""
    if not directory.is_dir():
        raise Unreadable(f"{directory} is no directory of receipts")
    before = len(evidence.held)
    for path in _files(directory):
        data = _read_file(path)
        try:
            _read_receipt(path.name, data, keys, evidence)
        except NotAsItShouldBe as error:
            report.add("receipt", None, f"{path.name}: {error}")
    report.counted["receipts"] += len(evidence.held) - before


def _read_receipt(name: str, data: bytes, keys: Sequence[bytes], evidence: Evidence) -> None:
    if data.lstrip()[:1] == b"{":
        said = _json_object(data)
        proof = read_proof(str(said.get("proof", "")).encode("utf-8", "replace"))
        if said.get("leaf"):
            proof = proof._replace(extra=_from_base64(str(said["leaf"])))
        named = str(said.get("leaf_hash", ""))
        is_hash = re.fullmatch("[0-9a-f]{64}", named) is not None
        _take_proof(name, proof, keys, evidence, named=bytes.fromhex(named) if is_hash else None)
    elif data.startswith(b"c2sp.org/tlog-proof@"):
        proof = read_proof(data)
        _take_proof(name, proof, keys, evidence)
    else:
        evidence.held.append(_of_headers(name, data))


def _take_proof(
    name: str, proof: Proof, keys: Sequence[bytes], evidence: Evidence, *, named: bytes | None = None
) -> None:
    checkpoint = read_checkpoint(proof.note, keys)
    digest = leaf_hash(proof.extra) if proof.extra else named
    if digest is None:
        raise NotAsItShouldBe("the receipt has neither the entry nor its hash")
    if named is not None and named != digest:
        raise NotAsItShouldBe("the entry is not the one whose hash the receipt names")
    if root_by_inclusion(digest, proof.ix, checkpoint.size, proof.path) != checkpoint.root:
        raise NotAsItShouldBe("its path does not lead to the root of its checkpoint")
    evidence.statements.append(Statement("receipt", name, checkpoint))
    evidence.held.append(Held(name, proof.ix, digest, checkpoint.origin))


def _of_headers(name: str, data: bytes) -> Held:
    """The place and hash that an answer's headers `Audit-Entry` and `Audit-Leaf` name; nobody signed these."""
    found = {}
    for line in data.decode("latin-1").splitlines():
        header, colon, value = line.partition(":")
        if colon:
            found[header.strip().lower()] = value.strip()
    place = re.fullmatch(
        r'origin="([^"]+)";index=([0-9]{1,19});size=[0-9]{1,19}', found.get("audit-entry", "")
    )
    digest = re.fullmatch(":([A-Za-z0-9+/=]+):", found.get("audit-leaf", ""))
    if place is None or digest is None:
        raise NotAsItShouldBe(
            "this is no receipt: neither a tlog-proof nor the headers Audit-Entry and Audit-Leaf"
        )
    return Held(name, int(place[2]), _from_base64(digest[1]), place[1])


def read_anchors(place: Path, keys: Sequence[bytes], report: Report, evidence: Evidence) -> int:
    """Take in checkpoints kept elsewhere: files and mails with notes in them; directories of such; earlier exports.

    How many there were; files that hold none, such as a README beside them, are named in a note.
    """
    if (place / "tile" / "0").is_dir():
        evidence.copies.append(Copied(str(place), _hashes_of_tiles(place)))
        paths = [place / "checkpoint", *_files(place / "anchors")]
    else:
        paths = [place] if place.is_file() else _files(place) if place.is_dir() else []
    if not paths:
        raise Unreadable(f"there is nothing at {place}")
    without, count = [], 0
    for path in paths:
        notes = _NOTE.findall(_text_of(_read_file(path)))
        count += len(notes)
        if not notes:
            without.append(path.name)
        for note in notes:
            try:
                found = read_checkpoint(note.rstrip(b"\n") + b"\n", keys)
                evidence.statements.append(Statement("anchor", path.name, found))
            except NotAsItShouldBe as error:
                report.add("anchor", None, f"{path.name}: {error}")
    report.counted["anchors"] += count
    if without and count:
        report.notes.append(f"no checkpoint is in {', '.join(sorted(without))}")
    return count


_NOTE: Final = re.compile(
    rb"^[^\s][^\n]*\n[0-9]{1,19}\n[A-Za-z0-9+/=]+\n(?:[^\n]+\n)*\n(?:\xe2\x80\x94 [^\n]+(?:\n|\Z))+",
    re.MULTILINE,
)
"""A checkpoint with its signatures, wherever it stands in a text."""
_MAIL: Final = re.compile(rb"\A(?:[!-9;-~]+:[ \t][^\n]*\n(?:[ \t][^\n]*\n)*)+\n")


def _text_of(data: bytes) -> bytes:
    """The text of a file as it was written: of a saved mail decoded, without its marks of quotation, ends of lines as here."""
    text = data.replace(b"\r\n", b"\n")
    if _MAIL.match(text):
        parts = (each for each in email.message_from_bytes(text).walk() if not each.is_multipart())
        decoded = (each.get_payload(decode=True) for each in parts)
        text = b"\n".join(each for each in decoded if isinstance(each, bytes)).replace(b"\r\n", b"\n")
    return re.sub(rb"(?m)^(?:> ?)+", b"", text)


def _hashes_of_tiles(place: Path) -> Iterator[bytes]:
    number = 0
    while True:
        full = place / "tile" / "0" / tile_name(number)
        partial = full.with_name(full.name + ".p")
        paths = [full] if full.exists() else _widest(partial)
        if not paths:
            return
        data = paths[0].read_bytes()
        yield from (data[start : start + 32] for start in range(0, len(data), 32))
        number += 1


def _widest(partial: Path) -> list[Path]:
    """The widest of a partial tile's files; none where there is none."""
    numbered = [each for each in partial.glob("*") if re.fullmatch("[0-9]{1,3}", each.name)]
    return sorted(numbered, key=lambda each: int(each.name))[-1:]


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_FILE_BYTES)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from error


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotAsItShouldBe("it is not JSON") from error
    if not isinstance(value, dict):
        raise NotAsItShouldBe("it is no JSON object")
    return value


# --- Exports -----------------------------------------------------------------------------------------------

_MANIFEST_LINE: Final = b"bursar-export/v1\n"
"""The first line of the note that signs a manifest; a checkpoint begins with the log's origin."""
_TILE: Final = 256


def tile_name(number: int) -> str:
    """A tile's place below its level: three digits a part, all but the last after an x (C2SP tlog-tiles)."""
    parts = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        parts.insert(0, f"x{number % 1000:03d}")
    return "/".join(parts)


class Export:
    """A directory that `bursar audit export` wrote; see `docs/audit-format.md`.

    Raises Unreadable where there is none, or none of a kind that holds the whole log.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        try:
            self.note = (place / "checkpoint").read_bytes()
        except OSError as error:
            raise Unreadable(
                f"{place} is no export: its checkpoint cannot be read ({error.strerror})"
            ) from error
        try:
            self.manifest = _json_object((place / "export.json").read_bytes())
        except (OSError, NotAsItShouldBe):
            self.manifest = {}

    @property
    def kind(self) -> str:
        """tiles, jsonl or csv."""
        return str(self.manifest.get("format", "tiles"))

    @property
    def is_long(self) -> bool:
        """Whether it holds so many entries that several processes verify it sooner."""
        size = self.manifest.get("size")
        return self.kind == "tiles" and type(size) is int and size >= _WORTH_SHARING

    @property
    def is_whole(self) -> bool:
        """Whether it holds every entry of the log, by its own word."""
        return not self.manifest.get("filter")

    @property
    def vkeys(self) -> list[Vkey]:
        """The keys that lie in the export itself, which whoever made the export chose."""
        try:
            lines = (self.place / "log.vkey").read_text().splitlines()
            return [Vkey.parse(line) for line in lines if line.strip()]
        except (OSError, ValueError) as error:
            raise Unreadable(f"the log's key is not there: give it with --key ({error})") from error

    @property
    def renewals(self) -> list[bytes]:
        """The notes in which keys of the log vouch for later ones, the oldest first."""
        try:
            lines = (self.place / "renewals.jsonl").read_text().splitlines()
            return [str(json.loads(line)).encode("utf-8", "replace") for line in lines]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise Unreadable(f"renewals.jsonl cannot be read ({error})") from error

    @property
    def head(self) -> Head:
        """What the export says of the log as a whole."""
        return Head(self.note, self.min_index, dict(self._nodes()), has_nodes=True)

    def check_files(self, keys: Sequence[bytes], report: Report) -> None:
        """Compare every file with the manifest, and the manifest with its signature."""
        try:
            manifest = (self.place / "export.json").read_bytes()
            text = signed_text((self.place / "export.note").read_bytes(), keys, _origin_of(self.note))
            if text != _MANIFEST_LINE + _sha256(manifest).hexdigest().encode() + b"\n":
                report.add("files", None, "export.json is not the manifest that was signed")
        except OSError as error:
            report.add("files", None, f"export.json or export.note is missing ({error.strerror})")
        except NotAsItShouldBe as error:
            report.add("files", None, f"export.note: {error}")
        check_manifest(self.manifest, report)
        files = self.manifest.get("files")
        if not isinstance(files, dict):
            report.add("files", None, "export.json does not name the files")
            return
        there = {str(path.relative_to(self.place)) for path in _files(self.place)}
        for name in sorted(there - set(files) - _NOT_LISTED):
            if name.partition("/")[0] not in {"anchors", "receipts"}:
                report.add("files", None, f"{name} is no part of the export")
        for name, digest in files.items():
            if name not in there:
                report.add("files", None, f"{name} is missing", shows=GAP)
            elif _sha256_of(self.place / name) != digest:
                report.add("files", None, f"{name} is not the file that was exported")

    def hashes(self, size: int) -> Iterator[bytes]:
        """The leaf hash of every entry of the log, from the tiles of level 0."""
        for number in range(-(-size // _TILE)):
            width = min(_TILE, size - number * _TILE)
            tile = self._tile(0, number, width)
            yield from (tile[32 * place : 32 * place + 32] for place in range(width))

    def check_part(self, checkpoint: Checkpoint, verification: Verification) -> None:
        """Check that every entry of a part of the log, or row of a table, stands where it says in the signed log."""
        report, hashes = verification.report, bytearray()
        for each in self.hashes(checkpoint.size):
            hashes += (each + bytes(32))[:32]
        verification.take_hashes(
            bytes(hashes[start : start + 32]) for start in range(0, 32 * checkpoint.size, 32)
        )
        last, count = -1, 0
        for index, digest, leaf in self._entries(report):
            count += 1
            if not last < index < checkpoint.size:
                report.add("order", index, "the entry stands after one of a higher number, or beyond the end")
                continue
            last = index
            if digest != hashes[32 * index : 32 * index + 32]:
                report.add("leaf", index, "the entry's leaf hash is not the one of the log")
            elif leaf and leaf_hash(leaf) != digest:
                report.add("leaf", index, "the entry's bytes do not hash to its leaf hash")
        verification.finish_part(count)
        if count != self.manifest.get("entries"):
            report.add(
                "files", None, f"{count} entries are there of {self.manifest.get('entries')}", shows=GAP
            )
        report.notes.append("that no entry was left out of this part rests on the word of whoever signed it")

    def _entries(self, report: Report) -> Iterator[tuple[int, bytes, bytes]]:
        try:
            if self.kind == "csv":
                yield from _of_table(self.place / "entries.csv", report)
            else:
                yield from _of_lines(self.place / "entries.jsonl", report)
        except (OSError, csv.Error) as error:
            report.add("files", None, f"the entries cannot be read ({error})", shows=GAP)

    def rows_of_lines(self, size: int, report: Report) -> Iterator[Row]:
        """Every entry of an export of lines, which has no columns."""
        hashes = self.hashes(size)
        last = -1
        for index, digest, leaf in self._entries(report):
            while last < index < size:
                last, expected = last + 1, next(hashes)
                if last == index and expected != digest:
                    report.add("tree", index, "the leaf hash is another than the tile's")
            yield Row(index, leaf, digest, None)

    def rows(
        self, size: int, report: Report, *, first: int = 0, end: int | None = None, with_columns: bool = True
    ) -> Iterator[Row]:
        """Every entry with its hash and its columns, as far as they are there, of the tiles `first` to before `end`."""
        # Without their file, which is a finding of its own, every entry would be told to have none.
        with_columns = with_columns and (self.place / "columns.jsonl").is_file()
        columns = self._columns(report, skip=first * _TILE) if with_columns else iter(())
        waiting = next(columns, None)
        for number in range(first, -(-size // _TILE) if end is None else end):
            start = number * _TILE
            width = min(_TILE, size - start)
            hashes = self._tile(0, number, width)
            leaves = self._bundle(number, width)
            for place in range(width):
                index = start + place
                while waiting is not None and waiting[0] < index:
                    waiting = next(columns, None)
                mine = None if waiting is None or waiting[0] != index else waiting[1]
                leaf = b"" if leaves is None else leaves[place] if place < len(leaves) else None
                digest = hashes[32 * place : 32 * place + 32]
                if mine is None and with_columns:
                    report.add("columns", index, "the entry has no columns", shows=GAP)
                elif mine is not None and mine[1] != digest.hex():
                    report.add("columns", index, "the column leaf_hash is another than the tile's")
                yield Row(index, leaf, digest, None if mine is None else mine[0])

    def _columns(self, report: Report, *, skip: int = 0) -> Iterator[tuple[int, tuple[Columns, object]]]:
        last = skip - 1
        with (self.place / "columns.jsonl").open("rb") as file:
            for line in itertools.islice(file, skip, None):
                found = _read_columns(line)
                if found is None:
                    last += 1
                    report.add("columns", last, "the line of its columns cannot be read")
                elif found[0] <= last:
                    report.add("columns", found[0], "the entry's columns stand in the wrong place")
                else:
                    last = found[0]
                    yield found

    def _tile(self, level: int, number: int, width: int) -> bytes:
        path = self.place / "tile" / str(level) / tile_name(number)
        if width < _TILE:
            path = path.with_name(path.name + ".p") / str(width)
        try:
            return path.read_bytes()[: 32 * width]
        except OSError:
            return b""

    def _bundle(self, number: int, width: int) -> Sequence[bytes] | None:
        path = self.place / "tile" / "entries" / tile_name(number)
        if width < _TILE:
            path = path.with_name(path.name + ".p") / str(width)
        try:
            data = path.read_bytes()
        except OSError:
            return None if (number + 1) * _TILE <= self.min_index else ()
        leaves, place = [], 0
        while place + 2 <= len(data):
            end = place + 2 + int.from_bytes(data[place : place + 2], "big")
            leaves.append(data[place + 2 : end])
            place = end
        return leaves

    @property
    def min_index(self) -> int:
        """From which entry on the export has content."""
        return _min_index(self.manifest)

    def _nodes(self) -> Iterator[tuple[tuple[int, int], bytes]]:
        levels = sorted(
            int(each.name) for each in (self.place / "tile").glob("[0-9]*") if each.name.isdigit()
        )
        for level in levels:
            if level == 0:
                continue
            number = 0
            for path in self._tiles_of(level):
                data = path.read_bytes()
                for start in range(0, len(data), 32):
                    yield (8 * level, number), data[start : start + 32]
                    number += 1

    def _tiles_of(self, level: int) -> Iterator[Path]:
        number = 0
        while True:
            full = self.place / "tile" / str(level) / tile_name(number)
            partial = full.with_name(full.name + ".p")
            if full.is_file():
                yield full
            elif partial.is_dir():
                yield from _widest(partial)
            else:
                return
            number += 1


_LINE: Final = re.compile(rb'{"ix":([0-9]{1,18}),"leaf_hash":"([0-9a-f]{64})","entry":(.+)}\n', re.DOTALL)


def _of_lines(path: Path, report: Report, *, ends: bool = False) -> Iterator[tuple[int, bytes, bytes]]:
    """Index, leaf hash and leaf of each line of entries; the leaf is empty where it was pruned.

    With `ends` the last line is the manifest of a stream.
    """
    last = -1
    with path.open("rb") as file:
        for line in file:
            found = _LINE.fullmatch(line)
            if found is None:
                if not (ends and line.startswith(b'{"checkpoint":')):
                    report.add("files", last + 1, "the line cannot be read")
                continue
            last = int(found[1])
            yield last, bytes.fromhex(found[2].decode()), b"" if found[3] == b"null" else found[3]


def _of_table(path: Path, report: Report) -> Iterator[tuple[int, bytes, bytes]]:
    """Index and leaf hash of each row of `entries.csv`, whose entries are spelled for people."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            index, digest = str(row.get("ix")), str(row.get("leaf_hash")).removeprefix("'")
            if re.fullmatch("[0-9]{1,18}", index) and re.fullmatch("[0-9a-f]{64}", digest):
                yield int(index), bytes.fromhex(digest), b""
            else:
                report.add("files", None, "a row of the table cannot be read")


def _read_columns(line: bytes) -> tuple[int, tuple[Columns, object]] | None:
    """Index, columns and leaf hash that one line of `columns.jsonl` spells; None where it is no such line."""
    try:
        said = json.loads(line)
        facts, about, question = said["facts"], said["about"], said.get("question")
        is_one = type(said["ix"]) is int and said.keys() <= _COLUMN_NAMES and isinstance(about, list)
        found = Columns(
            said["id"],
            said["type"],
            said["ts_us"],
            None if facts is None else tuple(map(facts.get, FACTS)),
            tuple(about),
            Beside(None if question is None else _from_base64(question), tuple(said.get("about_more", ()))),
        )
        if not is_one or not _FACT_NAMES.issuperset(facts or ()):
            return None
        return said["ix"], (found, said["leaf_hash"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


_COLUMN_NAMES: Final = frozenset(
    ("ix", "id", "type", "ts_us", "leaf_hash", "facts", "about", "question", "about_more")
)
_FACT_NAMES: Final = frozenset(FACTS)
_NOT_LISTED: Final = frozenset({"export.json", "export.note"})


def _min_index(manifest: Mapping[str, Any]) -> int:
    found = manifest.get("min_index")
    return found if type(found) is int else 0


def _origin_of(note: bytes) -> str:
    return note.split(b"\n", 1)[0].decode("utf-8", "replace")


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_manifest(manifest: Mapping[str, Any], report: Report) -> None:
    """Compare what the manifest says of the log with the checkpoint beside it, which may be another's of the same log."""
    for name, found in (("size", report.size), ("origin", report.origin)):
        if manifest.get(name) != found:
            detail = f"the manifest names {name} {manifest.get(name)}, and the checkpoint {found}"
            report.add("files", None, detail)


class Stream:
    """One file of lines as `/api/v1/audit/export` sends it: entries, then checkpoint, manifest and its note.

    Raises Unreadable where it does not end so, which is how a stream that was broken off looks.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._digest = _sha256()
        last = b""
        with place.open("rb") as file:
            for line in file:
                self._digest.update(last)
                last = line
        try:
            end = _json_object(last)
            self.note, self._manifest, self._note = (
                str(end[name]).encode("utf-8", "replace") for name in ("checkpoint", "manifest", "note")
            )
            self.manifest = _json_object(self._manifest)
        except (NotAsItShouldBe, KeyError) as error:
            raise Unreadable(f"{place} does not end with a manifest: the stream was broken off") from error

    def verify(self, verification: "Verification", keys: Sequence[bytes]) -> None:
        """Check every line, and the whole log where nothing was left out."""
        report, size = verification.report, verification.report.size
        try:
            text = signed_text(self._note, keys, _origin_of(self.note))
            if text != _MANIFEST_LINE + _sha256(self._manifest).hexdigest().encode() + b"\n":
                report.add("files", None, "the manifest is not the one that was signed")
        except NotAsItShouldBe as error:
            report.add("files", None, f"the manifest: {error}")
        check_manifest(self.manifest, report)
        if self.manifest.get("files") != {"entries.jsonl": self._digest.hexdigest()}:
            report.add("files", None, "the lines are not those that the manifest names")
        rows = (Row(ix, leaf, digest, None) for ix, digest, leaf in _of_lines(self.place, report, ends=True))
        if not self.manifest.get("filter"):
            verification.take_all(rows)
            verification.finish()
            return
        last, count = -1, 0
        leaves: dict[int, bytes] = {}
        for row in rows:
            if not last < row.ix < size:
                report.add(
                    "order", row.ix, "the entry stands after one of a higher number, or beyond the end"
                )
            if row.leaf and leaf_hash(row.leaf) != row.leaf_hash:
                report.add("leaf", row.ix, "the entry's bytes do not hash to its leaf hash")
            last, count = row.ix, count + 1
            if row.ix in verification.wanted_leaves:
                leaves[row.ix] = row.leaf_hash
        verification.finish_part(count, leaves)
        if count != self.manifest.get("entries"):
            report.add(
                "files", None, f"{count} entries are there of {self.manifest.get('entries')}", shows=GAP
            )
        report.notes.append(
            "that this part belongs to the log, and is whole, rests on the word of whoever signed it"
        )


def verify_export(
    place: Path,
    *,
    keys: Sequence[Vkey] = (),
    receipts: Path | None = None,
    anchors: Sequence[Path] = (),
    lease_s: int = _LEASE_S,
    progress: Progress | None = None,
) -> Report:
    """What an export comes to; raises Unreadable.

    Of a long one, other processes look at the rows meanwhile. Where anything does not hold, one process looks
    at it all once more, since what is wrong with a row decides on what to say of others.
    """
    asked = _Asked(place, tuple(keys), receipts, tuple(anchors), lease_s, progress)
    helpers = (os.cpu_count() or 1) - 1
    if helpers > 0 and place.is_dir() and Export(place).is_long:
        report = _verified(asked, helpers=helpers)
        if report.finding is None:
            return report
    return _verified(asked, helpers=0)


class _Asked(NamedTuple):
    """What to verify, and beside what."""

    place: Path
    keys: tuple[Vkey, ...]
    receipts: Path | None
    anchors: tuple[Path, ...]
    lease_s: int
    progress: Progress | None


def _verified(asked: _Asked, *, helpers: int) -> Report:
    place = asked.place
    export = Stream(place) if place.is_file() else Export(place)
    if isinstance(export, Stream) and not asked.keys:
        raise Unreadable("a stream holds no key: give it with --key")
    vkeys = list(asked.keys) or ([] if isinstance(export, Stream) else export.vkeys)
    publics = [each.public for each in vkeys]
    early = Report()
    if isinstance(export, Export):
        for later in vouched_for(export.renewals, publics):
            publics.append(later.public)
            early.notes.append(
                f"the log's key was renewed, which a known key has signed; it is now {later.text}"
            )
    evidence = read_evidence(publics, early, receipts=asked.receipts, anchors=asked.anchors)
    for name, reader in (("receipts", read_receipts), ("anchors", read_anchors)):
        if (place / name).is_dir() and any((place / name).iterdir()):
            reader(place / name, publics, early, evidence)
    head = Head(export.note, _min_index(export.manifest)) if isinstance(export, Stream) else export.head
    verification = Verification(head, publics, evidence, lease_s=asked.lease_s)
    report = verification.report
    report.keys, report.key_source = [each.text for each in vkeys], "given" if asked.keys else "export"
    report.take_over(early)
    if not any(_name_of(each.name)[0] == _name_of(report.origin)[0] for each in vkeys):
        report.add("signature", None, f"the log is {report.origin}, and the key is of another")
    if isinstance(export, Stream):
        export.verify(verification, publics)
        return report
    if helpers:
        _verify_with_helpers(export, verification, helpers, asked.progress)
    elif export.kind == "tiles":
        verification.take_all(export.rows(report.size, report), asked.progress)
        verification.finish()
    elif export.kind == "jsonl" and export.is_whole:
        verification.take_all(export.rows_of_lines(report.size, report), asked.progress)
        verification.finish()
    elif verification.checkpoint is not None:
        export.check_part(verification.checkpoint, verification)
    export.check_files(publics, report)
    if not asked.keys:
        report.notes.append(
            "the key was taken from the export itself: compare it with the one that you were given"
        )
    return report


_WORTH_SHARING: Final = 50_000
"""From so many entries on, starting other processes costs less than they save."""


def _verify_with_helpers(
    export: Export, verification: Verification, helpers: int, progress: Progress | None
) -> None:
    """Check the log as a whole here, and its rows one by one elsewhere; a row that does not hold is not named.

    A helper takes half as long again over its rows as this process over the log. So where there is but one,
    the first fifth of the rows is looked at here.
    """
    report = verification.report
    tiles = -(-report.size // _TILE)
    mine = -(-tiles // 5) if helpers == 1 else 0
    bounds = [mine + (tiles - mine) * part // helpers for part in range(helpers + 1)]
    command = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(export.place), "--rows"]
    running = [
        subprocess.Popen([*command, f"{start}:{end}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - this very file
        for start, end in itertools.pairwise(bounds)
    ]
    try:
        verification.take_all(export.rows(report.size, report, end=mine), progress)
        verification.rows_are_checked = True
        verification.take_all(export.rows(report.size, report, first=mine, with_columns=False), progress)
        verification.finish()
    finally:
        codes = [each.wait() for each in running]
    if any(codes):
        report.add("leaf", None, "a row does not hold")


def _rows_hold(place: Path, bounds: str) -> bool:
    """Whether every row of the tiles from one to before another holds by itself."""
    first, end = map(int, bounds.split(":"))
    export = Export(place)
    verification = Verification(export.head, [])
    report = verification.report
    size, report.problems = report.size, []
    for row in export.rows(size, report, first=first, end=end):
        if row.ix >= export.min_index or row.leaf:
            verification.check_row(row)
    return not report.problems


# --- The command -------------------------------------------------------------------------------------------


def told(report: Report) -> Iterator[str]:
    """The report for people, line by line."""
    if report.finding is None:
        end = f", of which those before {report.min_index} were pruned" if report.min_index else ""
        some = f"{report.part} of the " if report.part is not None else ""
        yield f"Verified: {some}{report.size} entries of {report.origin}{end}."
    else:
        word = "something was changed" if report.finding == TAMPER else "something is missing"
        yield f"DOES NOT HOLD ({report.finding}: {word}): {report.size} entries of {report.origin}."
    for problem in report.problems:
        where = "" if problem.ix is None else f" entry {problem.ix}:"
        yield f"  {problem.check}:{where} {problem.detail}"
    if report.left_out:
        yield f"  and {report.left_out} more"
    for note in report.notes:
        yield f"Note: {note}."
    for key in report.keys:
        yield f"Key: {key}"


def main(argv: Sequence[str] | None = None) -> int:
    """Check one export and say what was found; the exit code."""
    parser = argparse.ArgumentParser(
        description="Check an exported audit log of Bursar.",
        epilog="Exit codes: 0 verified, 1 does not hold, 2 wrong usage, 3 unreadable.",
    )
    parser.add_argument(
        "export", type=Path, help="a directory that `bursar audit export` wrote, or a file of lines"
    )
    parser.add_argument(
        "--key", action="append", default=[], help="the log's verifier key, or a file of such"
    )
    parser.add_argument("--receipts", type=Path, help="a directory of receipts that people kept")
    parser.add_argument(
        "--anchors", type=Path, action="append", default=[], help="checkpoints, or an earlier export"
    )
    parser.add_argument(
        "--lease-s", type=int, default=_LEASE_S, help="how long a call may be under way (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--rows", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.rows:
        return 0 if _rows_hold(options.export, options.rows) else 1
    try:
        keys = [key for given in options.key for key in read_keys(given)]
    except NotAsItShouldBe as error:
        parser.error(str(error))
    try:
        report = verify_export(
            options.export,
            keys=keys,
            receipts=options.receipts,
            anchors=options.anchors,
            lease_s=options.lease_s,
        )
    except (Unreadable, OSError) as error:
        sys.stderr.write(f"unreadable: {error}\n")
        return 3
    if options.json:
        sys.stdout.write(json.dumps(report.shown()) + "\n")
    else:
        sys.stdout.write("".join(f"{_printable(line)}\n" for line in told(report)))
    return 0 if report.finding is None else 1


def read_keys(given: str) -> list[Vkey]:
    """The keys that an option gives, as text or as a file with one a line; raises NotAsItShouldBe."""
    if "+" in given and not Path(given).is_file():
        return [Vkey.parse(given)]
    try:
        lines = Path(given).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotAsItShouldBe(f"{given} is neither a verifier key nor a file of such") from error
    return [Vkey.parse(line) for line in lines if line.strip()]


def _printable(line: str) -> str:
    return (
        line
        if line.isprintable()
        else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
    )


if __name__ == "__main__":
    sys.exit(main())
