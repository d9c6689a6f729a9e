"""A running gateway never serves what the terms allow no longer, whatever its own settings say."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.assurance.ledgers import Ledger, read_ledger
from tests.servers.bursar import VIDEO_QUERY, Installation, call, state, video_query

pytestmark = pytest.mark.anyio

_DAY_S = 86_400
MONTH = {"BURSAR_PAGE_TTL_S": str(30 * _DAY_S)}


def ask(installation: Installation, key: str) -> tuple[int, str, dict[str, Any]]:
    status, headers, body = call(
        installation.port, "POST", VIDEO_QUERY, body=video_query(), headers={"Authorization": f"Bearer {key}"}
    )
    answer: dict[str, Any] = json.loads(body)
    return status, headers.get("cache-status", ""), answer


def restart(installation: Installation, *, days: float) -> None:
    assert installation.gateway is not None
    installation.gateway.stop()
    installation.environ["BURSAR_CLOCK_OFFSET_S"] = str(days * _DAY_S)
    installation.start()


async def ledger_of(installation: Installation) -> Ledger:
    url = f"sqlite+aiosqlite:///{installation.home / 'data' / 'bursar.db'}"
    return await read_ledger(url)


async def test_a_page_is_served_for_fifteen_days_and_not_a_minute_longer(tmp_path: Path) -> None:
    with Installation(tmp_path, settings=MONTH) as installation:
        installation.start()
        key = installation.key()["api_key"]
        assert ask(installation, key)[:2] == (200, "bursar; fwd=miss; stored")
        restart(installation, days=14.99)
        assert ask(installation, key)[:2] == (200, "bursar; hit; detail=exact")
        # Stated thirty from a day on, what is fetched under it may be served longer; the page from before is not.
        stated = (
            "rule",
            "value",
            "refresh_interval_days",
            "30",
            "--source",
            "III.3.e",
            "--from",
            "2026-01-22",
        )
        installation.bursar(*stated)
        restart(installation, days=15.01)
        assert ask(installation, key)[1] == "bursar; fwd=miss; stored"
        restart(installation, days=44.9)
        assert ask(installation, key)[1] == "bursar; hit; detail=exact"
        installation.bursar(*stated[:3], "15", *stated[4:])
        assert ask(installation, key)[1] == "bursar; fwd=miss; stored"
        restart(installation, days=60)
        assert ask(installation, key)[1] == "bursar; fwd=miss; stored"
        assert installation.gateway is not None
        installation.gateway.stop()
        ledger = await ledger_of(installation)
        deleted = [each for each in ledger.entries if each.get("op") == "held.deleted"]
        assert {each["decision"]["rule"] for each in deleted} == {"refresh-interval/1"}


async def test_a_project_that_comes_again_goes_on_with_nothing_of_before(tmp_path: Path) -> None:
    with Installation(tmp_path) as installation:
        installation.start()
        first = ask(installation, installation.key()["api_key"])[2]["data"]
        installation.bursar("project", "remove", "elections")
        installation.apply()
        key = installation.key()["api_key"]
        assert "project:elections" not in scopes_held(installation)
        body = video_query(cursor=first["cursor"], search_id=first["search_id"])
        status, _, answer = call(
            installation.port, "POST", VIDEO_QUERY, body=body, headers={"Authorization": f"Bearer {key}"}
        )
        assert (status, json.loads(answer)["error"]["code"]) == (400, "invalid_params")
        assert ask(installation, key)[1] == "bursar; fwd=miss; stored"
        restart(installation, days=0)
        assert scopes_held(installation) == {"project:elections"}
        assert ask(installation, key)[1] == "bursar; hit; detail=exact"


def scopes_held(installation: Installation) -> set[str]:
    return {each["scope"] for each in installation.bursar("cache", "stats")["held"]}


async def test_after_a_project_ends_nothing_held_is_served_and_its_key_is_gone(tmp_path: Path) -> None:
    with Installation(tmp_path) as installation:
        installation.start()
        key = installation.key()["api_key"]
        assert ask(installation, key)[0] == 200
        projects = state(installation.simulator_url, limits={})["projects"]
        projects[0]["approval"]["until"] = "2026-06-30"
        installation.apply(projects=projects)
        status, _, answer = ask(installation, key)
        assert (status, answer["error"]["code"]) == (400, "invalid_params")
        assert answer["error"]["message"].startswith("Refused by rule approval-in-force/1: ")
        # Whoever may go on calling by an administrator's choice gets nothing of what was held.
        installation.bursar("rule", "set", "approval-in-force", "warn")
        assert ask(installation, key)[:2] == (200, "bursar; fwd=miss; stored")
        restart(installation, days=0)
        assert ask(installation, key)[:2] == (200, "bursar; fwd=miss; stored")
        assert ask(installation, key)[:2] == (200, "bursar; fwd=miss; stored")
        found = {each["code"] for each in installation.bursar("doctor", check=False)["findings"]}
        assert "held_after_end" not in found
        assert installation.gateway is not None
        installation.gateway.stop()
        ledger = await ledger_of(installation)
        ops = [each.get("what") for each in ledger.entries if each.get("op") == "project.set"]
        assert "data_key" in ops
        assert ledger.unclosed() == []
