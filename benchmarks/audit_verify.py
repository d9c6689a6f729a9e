"""How long the verification of a log takes, by its length: `python -m benchmarks.audit_verify [ENTRIES]`.

The entries are made in memory: calls that went upstream (intent and outcome) and answers from what was held, of
200 people in 40 projects, with their search columns. Times are of one process on one core, and of the export's
files where `--files` is given; the log is as large as its default of 200,000 entries or as said.
"""

import argparse
import gc
import time
from collections.abc import Iterator
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit.canonical import encode
from app.audit.facts import FACT_NAMES, facts_of, tags_of
from app.audit.notes import Checkpoint, Signer
from app.audit.offline import Columns, Head, Report, Row, Tree, Verification, leaf_hash

ORIGIN = "bursar.example.edu/bursar/1"
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
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


def rows(count: int) -> tuple[list[Row], bytes]:
    random, found, tree = Random(2), [], Tree()
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
        found.append(Row(index, leaf, leaf_hash(leaf), columns))
        tree.push(found[-1].leaf_hash)
    text = Checkpoint(ORIGIN, tree.size, tree.root()).text
    return found, SIGNER.sign(text, ORIGIN)


def verified(made: list[Row], note: bytes) -> tuple[Report, float, float]:
    """What was found, and the seconds that it took on the clock and of the processor."""
    gc.freeze()  # the rows are this benchmark's own: a log is read row by row, and none of them is kept
    began, began_cpu = time.perf_counter(), time.process_time()
    verification = Verification(Head(note), [SIGNER.verifier(ORIGIN).public])
    verification.take_all(made)
    report = verification.finish()
    return report, time.perf_counter() - began, time.process_time() - began_cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entries", type=int, nargs="?", default=200_000)
    options = parser.parse_args()
    made, note = rows(options.entries)
    size = sum(len(row.leaf or b"") for row in made) / len(made)
    report, took_s, cpu_s = verified(made, note)
    assert report.finding is None, report.problems[:3]
    for_a_million = 1_000_000 / len(made)
    print(
        f"{len(made)} entries of {size:.0f} bytes: {took_s * for_a_million:.1f} s for a million, "
        f"of which {cpu_s * for_a_million:.1f} s of the processor"
    )


if __name__ == "__main__":
    main()
