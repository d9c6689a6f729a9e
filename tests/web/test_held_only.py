"""`Cache-Control` over HTTP: who wants what is held alone is told so, in the platform's shape, and nothing is spent."""

import httpx
import pytest

from app.web.factory import Door
from tests.web.conftest import House

pytestmark = pytest.mark.anyio
ELECTIONS = "/api/v1/projects/elections/reuse"


async def look_up(house: House, who: str, *lines: str) -> httpx.Response:
    await house.ask(who, "POST", "/api/v1/me/terms/2026-02/acceptance")
    headers = [("Authorization", f"Bearer {house.keys[who].api_key}")]
    headers += [("Cache-Control", line) for line in lines]
    path = "/v2/research/user/info/?fields=display_name"
    transport = httpx.ASGITransport(app=Door(house.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://bursar.test") as client:
        return await client.post(path, headers=headers, json={"username": "nobody.knows"})


async def test_nothing_held_is_504_in_the_platforms_envelope(shared_house: House) -> None:
    answer = await look_up(shared_house, "grace", "only-if-cached")
    said = answer.json()
    assert (answer.status_code, said["data"], said["error"]["code"]) == (504, {}, "internal_error")
    assert "Nothing was spent" in said["error"]["message"]
    assert "only-if-cached/1" in said["error"]["message"]
    assert answer.headers["bursar-cost"] == "requests=0, records=0"
    assert "retry-after" not in answer.headers
    entry = (await shared_house.get("dpo", f"/api/v1/audit/entries/{said['error']['log_id']}")).json()[
        "entry"
    ]
    assert (entry["decision"]["code"], entry["cache_control"]) == ("not_held", ["only-if-cached"])


async def test_every_line_of_the_header_counts(shared_house: House) -> None:
    assert (await look_up(shared_house, "grace", "no-transform", "Only-If-Cached")).status_code == 504
    # Nobody listens at the platform's address here.
    assert (await look_up(shared_house, "grace", "no-transform")).status_code == 503


async def test_the_switch_of_a_project_counts_from_the_next_call_on(shared_house: House) -> None:
    assert (await look_up(shared_house, "bob", "only-if-cached")).status_code == 504
    chosen = await shared_house.ask("it", "PUT", ELECTIONS, json={"cache_control": "ignore"})
    assert (chosen.status_code, chosen.json()["cache_control"]) == (200, "ignore")
    assert (await look_up(shared_house, "bob", "only-if-cached")).status_code == 503
    assert (await shared_house.ask("it", "PUT", ELECTIONS, json={})).json()["cache_control"] == "honour"
    assert (await look_up(shared_house, "bob", "only-if-cached")).status_code == 504


@pytest.mark.parametrize(
    "body", [{"cache_control": "no"}, {"lifetimes": {"user/info": "soon"}}, {"fresh": 1}], ids=str
)
async def test_a_choice_that_makes_no_sense_is_a_problem(
    shared_house: House, body: dict[str, object]
) -> None:
    answer = await shared_house.ask("it", "PUT", ELECTIONS, json=body)
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
