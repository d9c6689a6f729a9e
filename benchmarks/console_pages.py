"""How long pages of the console take over a log of so many entries, all of them of today, on SQLite.

Run it with `./dev python -m benchmarks.console_pages --entries 1000000`. Entries are appended as the program appends
them, and each page is asked for through the whole application in this process, its own entry written before it is
answered. One in fifty is a call that cost something (of a million that is a credential's whole day of follower requests),
two in three were answered from what was held, one in twenty was refused, and the rest are looks at Bursar's own API.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from app.administration.state import State
from app.audit.entries import Draft, Value
from app.storage.engines import open_database
from app.storage.log import Boot, append
from tests.web.conftest import House, opened_house

_AT_ONCE = 1_000
_LOOKS = 60
_HOME = "https://bursar.test"
_SAME = {"sec-fetch-site": "same-origin"}


def drafts(state: State, count: int) -> Iterator[Draft]:
    """Entries as a busy day makes them."""
    rng = random.Random(7)
    people = {each.email.partition("@")[0]: each.id for each in state.people}
    projects = {each.name: each for each in state.projects}
    places = (("ada", "elections"), ("bob", "elections"), ("grace", "health"))
    rule: Value = {"verdict": "allowed", "rule": "endpoint-approved/1"}
    refused: Value = {"verdict": "refused", "rule": "date-span/1", "code": "invalid_params"}
    for _ in range(count):
        name, project = rng.choice(places)
        found = projects[project]
        actor: Value = {
            "kind": "key",
            "principal": people[name],
            "project": found.id,
            "credential": found.credential_id,
            "key_id": f"key{name}",
            "roles": ["researcher"],
        }
        fields: dict[str, Value] = {
            "actor": actor,
            "http": {"method": "POST", "route": "/v2/research/video/query/", "req_bytes": 170},
            "src": {"ip_tag": "0" * 16, "ua_class": "python-requests"},
            "op": rng.choice(("video/query", "user/info", "video/comment/list")),
            "approval": found.approval_reference,
            "decision": rule,
        }
        share = rng.random()
        if share < 0.02:
            charged: Value = {
                "charged": {"requests": 1, "records": rng.randrange(101)},
                "days": ["2026-11-29"],
            }
            yield Draft(type="outcome", fields={**fields, "quota": charged})
        elif share < 0.7:
            yield Draft(type="decision", fields={**fields, "cache": {"state": "hit", "age_s": 60}})
        elif share < 0.75:
            yield Draft(type="decision", fields={**fields, "decision": refused})
        else:
            del fields["op"]
            yield Draft(type="decision", fields=fields)


async def fill(house: House, database_url: str, count: int) -> None:
    """Append so many entries, as a process beside the application would."""
    database = open_database(database_url)
    boot = Boot("benchmark", "f" * 16, house.installation.signer)
    batch: list[Draft] = []
    for draft in drafts(await house.office.state(), count):
        batch.append(draft)
        if len(batch) == _AT_ONCE:
            await append(database, boot, batch)
            batch = []
    if batch:
        await append(database, boot, batch)
    await database.close()


async def measure(client: httpx.AsyncClient, path: str) -> None:
    """Ask for a page again and again, and print its median and 95th percentile in milliseconds."""
    times_ms = []
    for _ in range(_LOOKS):
        began = time.perf_counter()
        answer = await client.get(f"/console{path}")
        times_ms.append((time.perf_counter() - began) * 1_000)
        answer.raise_for_status()
    times_ms.sort()
    p95 = times_ms[int(0.95 * len(times_ms))]
    print(f"{path} | {statistics.median(times_ms):.1f} | {p95:.1f} | {len(answer.content) / 1_000:.0f}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="console-") as home:
        url = f"sqlite+aiosqlite:///{Path(home) / 'bursar.db'}"
        async with opened_house(Path(home), url) as house:
            began = time.perf_counter()
            await fill(house, url, options.entries)
            print(f"{options.entries} entries, appended in {time.perf_counter() - began:.0f} s")
            print("page | median, ms | 95th of 100, ms | kB")
            newest = (await house.get("dpo", "/api/v1/audit/entries?limit=1")).json()["items"][0]["entry"][
                "id"
            ]
            looks = {
                "dpo": (
                    *("/today", "/audit", "/audit?verdict=refused", "/audit?person=bob@example.edu"),
                    *("/audit?project=health&verdict=refused&type=decision", f"/entries/{newest}", "/people"),
                ),
                "it": ("/quotas", "/rules"),
                "bob": ("/me", "/calls", "/my-keys"),
            }
            transport = httpx.ASGITransport(app=house.app)
            for name, paths in looks.items():
                async with httpx.AsyncClient(transport=transport, base_url=_HOME) as client:
                    fields = {"token": house.tokens[name]}
                    await client.post("/console/sign-in/token", data=fields, headers=_SAME)
                    for path in paths:
                        await measure(client, path)


if __name__ == "__main__":
    asyncio.run(main())
