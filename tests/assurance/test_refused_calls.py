"""A hundred refused requests in a row, of every kind, leave every limit and the platform untouched."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.engines import open_database
from app.storage.tables import CounterRow, ReservationRow, table
from tests.servers.bursar import VIDEO_QUERY, Installation, call, state, video_query
from tests.servers.load import USER_INFO, ask_all, lookups

pytestmark = [pytest.mark.anyio, pytest.mark.serial]

_IN_A_ROW = 100
_LIMITS = {"requests/day": 1_000, "records/day": 100_000}
_OF_ADA = {
    "requests/day": 3,
    "calls/day": 1_000,
    "delivered/month": 5_000,
    "calls/minute": 500,
    "concurrent": 1,
}
_OF_CLEO = {"requests/month": 500, "records/project": 9_000, "calls/minute": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way to be refused, and how it is said."""

    path: str
    body: bytes
    status: int
    code: str
    who: str = "ada"


KINDS = {
    "by a used-up limit": Kind(
        path=USER_INFO, body=lookups(90, 91)[0][1], status=429, code="daily_quota_limit_exceeded"
    ),
    "by a rule": Kind(
        path="/v2/research/user/followers/",
        body=b'{"username":"sim_user_1"}',
        status=400,
        code="invalid_params",
    ),
    "by a rule on fields": Kind(
        path="/v2/research/user/info/?fields=avatar_url",
        body=b'{"username":"sim_user_1"}',
        status=400,
        code="invalid_params",
    ),
    "as malformed": Kind(path=VIDEO_QUERY, body=b'{"query":', status=400, code="invalid_params"),
    "as against the form": Kind(
        path=VIDEO_QUERY, body=video_query(max_count=101), status=400, code="invalid_params"
    ),
    "with an unknown search id": Kind(
        path=VIDEO_QUERY,
        body=video_query(search_id="7201388525814961198", cursor=100),
        status=400,
        code="invalid_params",
    ),
    "as too fast": Kind(
        path=USER_INFO, body=lookups(91, 92)[0][1], status=429, code="rate_limit_exceeded", who="cleo"
    ),
    "without a key that is known": Kind(
        path=USER_INFO, body=lookups(92, 93)[0][1], status=401, code="access_token_invalid", who="nobody"
    ),
}


def given(base_url: str) -> dict[str, Any]:
    wanted = state(base_url, limits=_LIMITS)
    elections, climate = wanted["projects"]
    elections["limits"] = _OF_ADA
    elections["allow"] = {
        "endpoints": ["user/info", "video/query"],
        "fields": {"user/info": ["display_name", "follower_count"]},
    }
    elections["member_limits"] = {"records/day": 700, "calls/project": 2_000}
    climate["limits"] = _OF_CLEO
    return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A running installation, and who asks."""

    installation: Installation
    keys: dict[str, str]

    async def touched(self) -> tuple[Any, ...]:
        """All that a refusal must leave as it is."""
        stats = self.installation.upstream()
        return await counted(self.installation), stats["requests"], stats["records"], stats["refused"]


async def counted(installation: Installation) -> tuple[list[tuple[Any, ...]], int]:
    """Every counter, and how many reservations are open."""

    def work(conn: Connection) -> tuple[list[tuple[Any, ...]], int]:
        rows = sorted(tuple(row) for row in conn.execute(sa.select(table(CounterRow))))
        waiting = sa.select(sa.func.count()).select_from(table(ReservationRow))
        return rows, conn.execute(waiting).scalar_one()

    database = open_database(installation.environ["BURSAR_DATABASE_URL"])
    try:
        return await database.read(work)
    finally:
        await database.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    home = tmp_path_factory.mktemp("refused")
    url = f"sqlite+aiosqlite:///{home / 'bursar.db'}"
    with Installation(home, database_url=url, given=given) as installation:
        keys = {
            "ada": installation.key("ada@example.edu")["api_key"],
            "cleo": installation.key("cleo@example.edu", "climate")["api_key"],
        }
        keys["nobody"] = keys["ada"][:-1] + ("a" if keys["ada"][-1] != "a" else "b")
        installation.start()
        yield Scene(installation=installation, keys=keys)


def ask(scene: Scene, who: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {scene.keys[who]}", "Content-Type": "application/json"}
    return call(scene.installation.port, "POST", path, body=body, headers=headers)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_hundred_refused_in_a_row_leave_every_limit_untouched(scene: Scene, kind: Kind) -> None:
    for path, body in lookups(1, 4):
        ask(scene, "ada", path, body)
    for _ in range(2 if kind.code == "rate_limit_exceeded" else 0):
        ask(scene, "cleo", *lookups(5, 6)[0])
    before = await scene.touched()
    assert before[0][1] == 0
    assert before[1] > 0
    answers = await ask_all(
        scene.installation.base_url, scene.keys[kind.who], [(kind.path, kind.body)] * _IN_A_ROW, in_flight=1
    )
    assert [(each.status, each.code) for each in answers] == [(kind.status, kind.code)] * _IN_A_ROW
    assert await scene.touched() == before


async def test_a_hundred_of_all_kinds_at_once_keep_no_place_and_no_turn(scene: Scene) -> None:
    path, body = lookups(1, 2)[0]
    status, headers, _ = ask(scene, "ada", path, body)
    assert status == 200
    before = await scene.touched()
    asked = [(kind.path, kind.body) for kind in KINDS.values() if kind.who == "ada"] * 20
    answers = await ask_all(scene.installation.base_url, scene.keys["ada"], asked, in_flight=16)
    assert len(answers) == len(asked) >= _IN_A_ROW
    assert {each.status for each in answers} <= {400, 429}
    assert await scene.touched() == before
    # The one place there is, is free; and of the minute's calls this one alone is gone, or fewer by now.
    status, after, _ = ask(scene, "ada", path, body)
    assert status == 200
    assert left(after, "project-concurrent") == left(headers, "project-concurrent")
    assert left(after, "project-calls-minute") >= left(headers, "project-calls-minute") - 1


def left(headers: dict[str, str], name: str) -> int:
    """What `RateLimit` says of one limit."""
    items = dict(item.split(";", 1) for item in headers["ratelimit"].split(", "))
    return int(items[json.dumps(name)].split(";")[0].removeprefix("r="))
