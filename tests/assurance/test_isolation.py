"""Nothing crosses from one project to another: each answer shows whose call brought it, and so does each held page."""

import asyncio
import json
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from redis.asyncio import Redis

from app import exact_json
from app.clock import SystemClock
from app.sealing import MasterKey
from app.storage.engines import open_database
from app.storage.pages import SqlPages
from app.storage.tables import EntryRow, HeldPageRow, ProjectRow, table
from tests.assurance.crowd import LEFT_SHARE, Crowd, Member, Seen
from tests.journey.questions import HELD, Direct, good_questions
from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET, Installation, Process, call
from tests.servers.redis import PrivateRedis
from tests.servers.stamped import STAMP, WORD

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

APART = ("north", "east", "south", "west")
TOGETHER = ("commons", "meadow")
"""Two projects that share what is held by their credential's agreement: what crosses there must be seen here."""
_IN_FLIGHT = 16
_DESK = "desk@example.edu"
_LIMITS = {"requests/day": 1_000_000, "records/day": 10_000_000, "calls/minute": 1_000_000}
_entry, _held, _project = table(EntryRow), table(HeldPageRow), table(ProjectRow)


def people_of(project: str) -> list[str]:
    return [f"{project}-{number}@example.edu" for number in range(1 if project in TOGETHER else 2)]


def _person(email: str, role: str) -> dict[str, Any]:
    return {"email": email, "name": email.partition("@")[0], "roles": [role]}


def state(base_url: str) -> Mapping[str, Any]:
    """Six projects of ten people, on one credential."""
    credential = {"name": "main", "base_url": base_url, "client_key": CLIENT_KEY}
    projects = [
        {
            "name": name,
            "credential": "main",
            "approval": {"reference": f"R-{name}", "from": "2026-01-01", "until": "2029-06-30"},
            "lead": people_of(name)[0],
            "members": people_of(name),
            "cache_scope": "credential" if name in TOGETHER else "project",
            "limits": _LIMITS,
        }
        for name in chain(APART, TOGETHER)
    ]
    return {
        "credentials": [{**credential, "client_secret_file": "secret", "limits": _LIMITS}],
        "people": [
            _person(_DESK, "admin"),
            *(_person(email, "researcher") for name in chain(APART, TOGETHER) for email in people_of(name)),
        ],
        "projects": projects,
    }


class Marked(Installation):
    """An installation whose platform marks each answer."""

    def start_simulator(self) -> None:
        command = [sys.executable, "-m", "tests.servers.stamped", "--port", str(self.simulator_port)]
        command += ["--client-key", CLIENT_KEY, "--client-secret", CLIENT_SECRET]
        self.simulator = Process(
            command,
            port=self.simulator_port,
            ready="/_sim/stats",
            environ=self.environ,
            log=self.home / "simulator.log",
        )

    def members(self) -> list[Member]:
        """Everybody, once with a key and once with an access token."""
        desk = {
            "Authorization": f"Bearer {self.bursar('token', 'issue', '--person', _DESK)['token']}",
            "Content-Type": "application/json",
        }
        issued = []
        places = [(name, email) for name in chain(APART, TOGETHER) for email in people_of(name)]
        for name, email in places:
            wanted = json.dumps({"project": name, "person": email}).encode()
            status, _, body = call(self.port, "POST", "/api/v1/keys", body=wanted, headers=desk)
            assert status == 201, body
            issued.append((name, json.loads(body)))
        tokens = self.tokens([key for _, key in issued], len(issued))
        keys = [Member(name, key["api_key"]) for name, key in issued]
        return keys + [Member(name, token) for (name, _), token in zip(issued, tokens, strict=True)]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the installation's own records say, once everything has ended."""

    payers: Mapping[int, str]
    """The project whose call brought each answer of the platform, by the answer's stamp."""
    held: Mapping[str, tuple[set[int], set[str]]]
    """Stamps and words in the held pages of each scope."""


def _group(name: str) -> str:
    """Projects of one group may see each other's answers."""
    return "together" if name in TOGETHER else name


async def facts(installation: Installation) -> Facts:
    database = open_database(installation.environ["BURSAR_DATABASE_URL"])
    outcomes = sa.select(_entry.c.leaf).where(_entry.c.type == "outcome")
    try:
        named = await database.read(
            lambda conn: conn.execute(sa.select(_project.c.id, _project.c.name)).all()
        )
        names = {each.id: each.name for each in named}
        leaves = await database.read(lambda conn: conn.execute(outcomes).scalars().all())
        rows = await database.read(lambda conn: conn.execute(sa.select(_held.c.key, _held.c.scope)).all())
        master = MasterKey.installed(installation.home / "data" / "master.key")
        pages = SqlPages(database=database, master=master, clock=SystemClock(), max_memory_bytes=0)
        held: dict[str, tuple[set[int], set[str]]] = {}
        for key, scope in rows:
            page = await pages.look(key, scope)
            assert page is not None
            stamps, words = held.setdefault(_named(scope, names), (set(), set()))
            stamps |= {int(each[1]) for each in STAMP.finditer(page.data)}
            words |= {each[1].decode() for each in WORD.finditer(page.data)}
    finally:
        await database.close()
    return Facts(payers=dict(_paid(leaves, names)), held=held)


def _named(scope: str, names: Mapping[str, str]) -> str:
    kind, _, of = scope.partition(":")
    return names[of] if kind == "project" else TOGETHER[0]


def _paid(leaves: Any, names: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    for leaf in leaves:
        entry: Any = exact_json.loads(leaf)
        stamped = STAMP.fullmatch(str(entry.get("upstream", {}).get("log_id", "")).encode())
        if stamped is not None:
            yield int(stamped[1]), names[entry["actor"]["project"]]


def check(seen: Seen, known: Facts, *, requests: int) -> None:
    """No project was sent, and none holds, what another's call brought or what stands in another's questions."""
    came = {name: (seen.stamps[name], seen.words[name]) for name in chain(APART, TOGETHER)}
    for name, (stamps, words) in chain(came.items(), known.held.items()):
        assert stamps
        payers = {each: known.payers.get(each, "nobody") for each in stamps}
        foreign = {each: payer for each, payer in payers.items() if _group(payer) != _group(name)}
        assert foreign == {}, f"{name} has answers that others' calls brought"
        assert {each for each in words if _group(each) != _group(name)} == set()
    assert {name for name in APART if seen.words[name] == {name}} == set(APART)
    # Where answers may cross they do, and this test sees it.
    crossed = {known.payers[each] for name in TOGETHER for each in seen.stamps[name]}
    assert crossed == set(TOGETHER)
    assert any(known.payers[each] != name for name in TOGETHER for each in seen.stamps[name])
    assert seen.left > requests * LEFT_SHARE * 0.5
    assert sum(seen.statuses.values()) + seen.left == requests
    assert set(seen.statuses) <= {200, 400, 404, 503, 504}
    # A crowded machine misses the log's deadline, and then nothing is answered; the others are what counts.
    assert seen.statuses[200] > requests // 3, (seen.statuses, seen.given_up)
    assert {name for name, count in seen.marked.items() if count} == set(HELD)
    told = " ".join(seen.how)
    assert all(each in told for each in ("fwd=miss; stored", "collapsed", "detail=exact", "detail=slice"))


async def ask(installation: Marked, requests: int) -> None:
    members = await asyncio.to_thread(installation.members)
    shared = await asyncio.to_thread(lambda: good_questions(installation, Direct(installation)))
    questions = {name: shared[name] for name in HELD}
    crowd = Crowd(installation.port, members, questions, random.Random(requests))
    seen = await crowd.ask(requests, in_flight=_IN_FLIGHT)
    await _ended(installation)
    known = await facts(installation)
    print(f"{requests} requests, {seen.left} left; {dict(seen.statuses)}; {len(known.payers)} calls upstream")
    print(dict(seen.how.most_common(12)), dict(seen.given_up))
    print({name: (len(stamps), len(words)) for name, (stamps, words) in known.held.items()})
    check(seen, known, requests=requests)
    assert await asyncio.to_thread(installation.bursar, "audit", "verify")


async def _ended(installation: Installation) -> None:
    """Stop the gateway: calls whose client is gone come to their end before."""
    assert installation.gateway is not None
    assert await asyncio.to_thread(installation.gateway.stop) == 0


async def test_one_process_on_sqlite_gives_no_project_what_anothers_call_brought(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'bursar.db'}"
    with Marked(tmp_path, database_url=url, given=state) as installation:
        installation.start()
        await ask(installation, 300)


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param(400, id="short"),
        pytest.param(100_000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(5_400)]),
    ],
)
async def test_four_processes_on_postgresql_give_no_project_what_anothers_call_brought(
    tmp_path: Path, postgres_url: str, redis_server: PrivateRedis, requests: int
) -> None:
    redis_server.flush()
    with Marked(
        tmp_path,
        database_url=postgres_url,
        redis_url=redis_server.url,
        workers=4,
        given=state,
        # Little enough that most of what is held is looked for where all processes share it.
        settings={"BURSAR_MAX_HELD_MEMORY_BYTES": "300000"},
    ) as installation:
        installation.start()
        await ask(installation, requests)
        async with Redis.from_url(redis_server.url) as client:
            kept = [(key, await client.dump(key) or b"") async for key in client.scan_iter()]
        assert kept
        assert [key for key, content in kept if STAMP.search(content) or WORD.search(content)] == []
