"""What reuse saves, as `usage` tells it: added up with the entries, and the same as the log adds up to."""

import datetime as dt
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from app.administration.savings import Given, Savings, answer_of
from app.administration.usage import usage
from app.calls import Delivered
from app.storage.registry import SqlRegistry
from tests.servers.library import Library, Platform, opened_library

pytestmark = pytest.mark.anyio
QUESTION = {
    "query": {"and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE"]}]},
    "start_date": "20261001",
    "end_date": "20261007",
}


async def ask(library: Library, who: str = "ada", **changes: Any) -> dict[str, Any]:
    answer = await library.ask(who, "video/query", ["id", "username"], {**QUESTION, **changes})
    assert isinstance(answer, Delivered), answer
    data: dict[str, Any] = json.loads(answer.data)
    return data


async def shown(library: Library, **asked: Any) -> dict[str, dict[str, Any]]:
    registry = SqlRegistry(database=library.installation.database, boot=library.installation.boot)
    found = (await usage(registry, **asked)).shown()
    return {each["project"]: each for each in found["reuse"]}


async def test_usage_says_what_reuse_saved_and_the_log_adds_up_to_the_same(
    tmp_path: Path, database_url: str
) -> None:
    people = {"elections": ["ada", "ben"], "climate": ["cleo"]}
    async with opened_library(
        tmp_path, projects=people, platform=Platform(videos=40_000), database_url=database_url
    ) as library:
        data = await ask(library)
        for place in (20, 40, 60, 80):
            await ask(library, "ben", cursor=place, search_id=data["search_id"])
        await ask(library, "ben")
        await ask(library, "cleo", max_count=70)
        # A refusal is no answer.
        await library.ask("ada", "video/query", ["id"], {**QUESTION, "end_date": "20270101"})
        found = await shown(library)
        assert found["elections"] == {
            "project": "elections",
            "answers": 6,
            "by_kind": {"exact": 1, "miss": 1, "slice": 4},
            "records": 120,
            "requests": library.platform.requests() - 1,
            "saved_requests": 5,
            "records_per_request": 120.0,
        }
        assert (found["climate"]["answers"], found["climate"]["records_per_request"]) == (1, 70.0)
        assert list(await shown(library, email="cleo@example.edu")) == ["climate"]
        tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
        assert (await shown(library, day=tomorrow))["elections"]["answers"] == 0
        counted = defaultdict[str, int](int)
        for entry in await library.entries():
            told = answer_of(entry)
            if told is not None:
                counted[told[1]] += 1
        assert counted == {"exact": 1, "miss": 2, "slice": 4}


def test_a_project_without_requests_has_no_records_a_request() -> None:
    nothing = Savings(project="p")
    assert (nothing.saved, nothing.records_per_request) == (0, None)
    refused = Savings(project="p", given={"exact": Given(2, 40)}, requests=5)
    assert (refused.saved, refused.records_per_request) == (-3, 8.0)
