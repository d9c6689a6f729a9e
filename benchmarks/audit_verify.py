"""How long the verification of a log takes, by its length: `python -m benchmarks.audit_verify [ENTRIES]`.

The entries are made in memory: calls that went upstream (intent and outcome) and answers from what was held, of
200 people in 40 projects, with their search columns. Times are of one process on one core, and of the export's
files where `--files` is given; the log is as large as its default of 200,000 entries or as said.
"""

import argparse
import gc
import hashlib
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit import offline
from app.audit.canonical import encode
from app.audit.exports import TILE, Manifest, bundle, columns_line, sign_manifest, tile_path, tiles_of
from app.audit.facts import FACT_NAMES, facts_of, tags_of
from app.audit.notes import Checkpoint, Signer
from app.audit.offline import Columns, Head, Report, Row, Tree, Verification, leaf_hash

ORIGIN = "bursar.example.edu/bursar/1"
SIGNER = Signer((Ed25519PrivateKey.from_private_bytes(bytes(range(32))),))
START_US = 1_790_000_000_000_000
DAY = "2026-09-21"


def entries(count: int) -> Iterator[dict[str, Any]]:
    random = Random(1)
    people = [(random.randbytes(10).hex(), random.randbytes(10).hex()) for _ in range(200)]
    yield {
        "type": "admin",
        "op": "limit.set",
        "what": "requests/day",
        "object": {"kind": "limit", "id": "credential"},
        "scope_kind": "credential",
        "after": 10**9,
    }
    index = 1
    while index < count:
        person, key = random.choice(people)
        call = {
            "actor": {
                "kind": "key",
                "key_id": key,
                "principal": person,
                "project": f"project-{int(person, 16) % 40}",
                "credential": "credential",
                "roles": ["researcher"],
            },
            "http": {"method": "POST", "route": "/v2/research/video/query/", "req_bytes": 213},
            "src": {"ip_tag": random.randbytes(8).hex(), "ua_class": "python-requests"},
            "op": "video/query",
            "approval": "R-2026-014",
            "params_hmac": random.randbytes(32).hex(),
            "fields": ["id", "username", "create_time", "region_code", "view_count"],
            "page": {"cursor": 0, "size": 100},
            "about": [random.randbytes(16).hex()],
            "sealed": {"kid": random.randbytes(8).hex(), "nonce": "A" * 16, "ct": "B" * 300},
            "decision": {"verdict": "allowed", "rule": "endpoint-approved/1"},
        }
        if random.random() < 0.5 or index + 1 == count:
            yield {
                **call,
                "type": "decision",
                "cache": {"state": "hit", "key": random.randbytes(32).hex(), "age_s": 40},
                "resp_sha256": random.randbytes(32).hex(),
            }
            index += 1
            continue
        reserved = {"requests": 1, "records": 100}
        yield {**call, "type": "intent", "quota": {"days": [DAY], "reserved": reserved}}
        for name in ("about", "sealed"):
            del call[name]
        yield {
            **call,
            "type": "outcome",
            "intent_ix": index,
            "quota": {"days": [DAY], "charged": reserved},
            "upstream": {"called": True, "status": 200, "code": "ok", "log_id": "2026", "records": 100},
            "resp_sha256": random.randbytes(32).hex(),
        }
        index += 2


def rows(count: int) -> Iterator[Row]:
    random = Random(2)
    for index, fields in enumerate(entries(count)):
        entry = {
            **fields,
            "v": 1,
            "id": random.randbytes(16).hex(),
            "ts_us": START_US + index,
            "replica": "bench",
            "boot": "0" * 16,
            "rseq": index,
        }
        leaf = encode(entry)
        facts = facts_of(entry)
        columns = Columns(
            entry["id"],
            entry["type"],
            entry["ts_us"],
            tuple(getattr(facts, name) for name in FACT_NAMES),
            tags_of(entry),
        )
        yield Row(index, leaf, leaf_hash(leaf), columns)


def signed(tree: Tree) -> bytes:
    return SIGNER.sign(Checkpoint(ORIGIN, tree.size, tree.root()).text, ORIGIN)


def write_export(place: Path, count: int) -> None:
    """An export in tiles, as `bursar audit export` writes it."""
    nodes: dict[int, list[bytes]] = {0: []}
    tree = Tree(lambda level, _, root: nodes.setdefault(level // 8, []).append(root))
    files: dict[str, str] = {}

    def put(name: str, data: bytes) -> None:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        files[name] = hashlib.sha256(data).hexdigest()

    made, number = rows(count), 0
    digest = hashlib.sha256()
    place.mkdir(parents=True, exist_ok=True)
    with (place / "columns.jsonl").open("wb") as columns:
        while part := list(itertools.islice(made, TILE)):
            for row in part:
                tree.push(row.leaf_hash)
            nodes[0] += [row.leaf_hash for row in part]
            put(tile_path("entries", number, len(part)), bundle([row.leaf or b"" for row in part]))
            lines = b"".join(map(columns_line, part))
            columns.write(lines)
            digest.update(lines)
            number += 1
    files["columns.jsonl"] = digest.hexdigest()
    for level, hashes in nodes.items():
        for number, width in tiles_of(tree.size, level):
            put(
                tile_path(level, number, width),
                b"".join(hashes[number * TILE : number * TILE + width]),
            )
    put("checkpoint", signed(tree))
    put("log.vkey", SIGNER.verifier(ORIGIN).vkey.encode() + b"\n")
    manifest = Manifest(
        format="tiles",
        note=signed(tree),
        min_index=0,
        filter={},
        entries=tree.size,
        created_us=START_US,
        files=files,
    ).encoded()
    (place / "export.json").write_bytes(manifest)
    (place / "export.note").write_bytes(sign_manifest(manifest, SIGNER, ORIGIN))


def verified(made: list[Row], note: bytes) -> tuple[Report, float, float]:
    """What was found, and the seconds that it took on the clock and of the processor."""
    gc.freeze()  # the rows are this benchmark's own: a log is read row by row, and none of them is kept
    began, began_cpu = time.perf_counter(), time.process_time()
    verification = Verification(Head(note), [SIGNER.verifier(ORIGIN).public])
    verification.take_all(made)
    report = verification.finish()
    return report, time.perf_counter() - began, time.process_time() - began_cpu


def in_memory(count: int) -> str:
    made, tree = list(rows(count)), Tree()
    for row in made:
        tree.push(row.leaf_hash)
    size = sum(len(row.leaf or b"") for row in made) / len(made)
    report, took_s, cpu_s = verified(made, signed(tree))
    assert report.finding is None, report.problems[:3]
    return told(f"{count} entries of {size:.0f} bytes in memory", count, took_s, cpu_s)


def in_files(count: int) -> str:
    with tempfile.TemporaryDirectory() as home:
        place = Path(home) / "export"
        write_export(place, count)
        bytes_in_all = sum(each.stat().st_size for each in place.rglob("*") if each.is_file())
        command = [sys.executable, "-I", "-S", str(offline.__file__), str(place), "--json"]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took_s = time.perf_counter() - began
        report = json.loads(done.stdout)
        assert (done.returncode, report["verified"], report["size"]) == (0, True, count), report["problems"]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    what = f"{count} entries in an export of {bytes_in_all / 1e6:.0f} MB"
    return (
        told(what, count, took_s, used.ru_utime + used.ru_stime)
        + f"; {used.ru_maxrss / 1024:.0f} MB of memory"
    )


def told(what: str, count: int, took_s: float, cpu_s: float) -> str:
    for_a_million = 1_000_000 / count
    return f"{what}: {took_s * for_a_million:.1f} s for a million, of which {cpu_s * for_a_million:.1f} s of the processor"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entries", type=int, nargs="?", default=200_000)
    parser.add_argument(
        "--files", action="store_true", help="write an export, and verify it by the file alone"
    )
    options = parser.parse_args()
    print(in_files(options.entries) if options.files else in_memory(options.entries))


if __name__ == "__main__":
    main()
