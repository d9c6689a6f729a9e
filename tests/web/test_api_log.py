"""Looking for entries over the API: names become ids, parts follow each other, and each look is logged."""

from typing import Any

import httpx
import pytest

from app.web.factory import Door
from tests.web.conftest import House
from tests.web.console.test_log_pages import refused_call

pytestmark = pytest.mark.anyio


async def found(house: House, query: str, who: str = "dpo") -> list[dict[str, Any]]:
    answer = await house.get(who, f"/api/v1/audit/entries?{query}")
    assert answer.status_code == 200, answer.text
    return [each["entry"] for each in answer.json()["items"]]


async def test_people_and_projects_are_found_by_their_names(shared_house: House) -> None:
    ada = next(
        each["id"]
        for each in (await shared_house.get("it", "/api/v1/people")).json()["items"]
        if each["email"] == "ada@example.edu"
    )
    await shared_house.get("ada", "/api/v1/me")
    by_address = await found(shared_house, "person=ada@example.edu&limit=200")
    assert by_address
    assert {entry["actor"]["principal"] for entry in by_address} == {ada}
    assert [entry["id"] for entry in await found(shared_house, f"person={ada}&limit=200")][-5:] == [
        entry["id"] for entry in by_address
    ][-5:]
    await shared_house.get("key:bob", "/api/v1/me")
    (newest,) = await found(shared_house, "project=elections&limit=1")
    assert newest["actor"]["kind"] == "key"


async def test_filters_hold_together_and_parts_keep_them(shared_house: House) -> None:
    for _ in range(5):
        await shared_house.get("bob", "/api/v1/limits?nonsense=1")
    query = "/api/v1/audit/entries?person=bob@example.edu&verdict=refused&limit=2"
    seen: list[int] = []
    following: str | None = query
    while following is not None:
        answer = await shared_house.get("dpo", following)
        seen += [each["index"] for each in answer.json()["items"]]
        assert {each["entry"]["decision"]["verdict"] for each in answer.json()["items"]} == {"refused"}
        following = answer.links.get("next", {}).get("url")
    assert len(seen) >= 5
    assert seen == sorted(set(seen), reverse=True)


async def test_a_look_with_filters_says_what_was_looked_for(shared_house: House) -> None:
    await found(shared_house, "person=ada@example.edu&since=2026-05-01&least_records=1&rule=quota")
    (look, *_) = await found(shared_house, "type=audit_read&limit=1")
    reads = look["reads"]
    assert len(reads.pop("person")) == 20
    assert reads == {
        "since_us": 1_777_593_600_000_000,
        "least_records": 1,
        "rule": "quota",
        "before": None,
        "limit": 50,
    }


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("person=stranger@example.edu", 404),
        ("project=nothing", 404),
        ("type=nonsense", 400),
        ("verdict=perhaps", 400),
        ("since=yesterday", 400),
        ("least_records=-1", 400),
        ("since=2026-05-02&until=2026-05-01", 400),
        ("since=2026-05-01T12:00:00Z&until=2026-05-01T12:00:00Z", 400),
        ("least_records=3&most_records=2", 400),
        ("person=a@example.edu&person=b@example.edu", 400),
    ],
)
async def test_what_cannot_be_looked_for_is_said(shared_house: House, query: str, status: int) -> None:
    assert (await shared_house.get("dpo", f"/api/v1/audit/entries?{query}")).status_code == status


async def test_a_question_is_found_by_whom_it_names_and_opened_by_compliance_alone(house: House) -> None:
    path, body = "/v2/research/user/info/?fields=bio_description", {"username": "@Some_User"}
    transport = httpx.ASGITransport(app=Door(house.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://bursar.test") as client:
        bearer = {"Authorization": f"Bearer {house.keys['ada'].api_key}"}
        answer = await client.post(path, json=body, headers=bearer)
    entry_id = answer.json()["error"]["log_id"]
    (entry,) = await found(house, "username=some_user")
    assert entry["id"] == entry_id
    assert "some_user" not in str(entry).lower()
    assert await found(house, "username=some_user&verdict=allowed") == []
    assert await found(house, "username=other_user") == []
    opened = await house.get("dpo", f"/api/v1/audit/entries/{entry_id}/question")
    assert opened.json()["question"] == {"username": "@Some_User"}
    for who in ("it", "ada", "grace", "quota", "key:ada"):
        assert (await house.get(who, f"/api/v1/audit/entries/{entry_id}/question")).status_code == 403
    looks = await found(house, "type=audit_read&limit=9")
    assert {"id": entry_id, "question": True} in [look["reads"] for look in looks]
    assert not any("some_user" in str(look).lower() for look in looks)


async def test_searches_are_kept_for_whoever_saved_them_with_what_may_be_kept(house: House) -> None:
    path, query = "/api/v1/audit/searches", "person=bob%40example.edu&verdict=refused"
    made = await house.ask("dpo", "POST", path, json={"name": " Bob ", "query": query})
    assert made.status_code == 201, made.text
    saved = made.json()
    assert saved == {"id": saved["id"], "name": "Bob", "query": query}
    assert (await house.get("dpo", path)).json() == {"items": [saved]}
    await house.officer("rosa")
    assert (await house.get("rosa", path)).json() == {"items": []}
    assert (await house.get("dpo", f"/api/v1/audit/entries?{query}")).status_code == 200
    for wrong in ("named=somebody&verdict=refused", "verdict=", "nothing", "verdict=refused&before=3"):
        answer = await house.ask("dpo", "POST", path, json={"name": "x", "query": wrong})
        assert answer.status_code == 400, wrong
    assert (await house.ask("rosa", "DELETE", f"{path}/{saved['id']}")).status_code == 404
    assert (await house.ask("dpo", "DELETE", f"{path}/{saved['id']}")).status_code == 204
    assert (await house.get("dpo", path)).json() == {"items": []}


async def test_everybody_lists_their_own_calls_and_nobody_elses_in_parts(shared_house: House) -> None:
    made = [await refused_call(shared_house, "bob") for _ in range(3)]
    await refused_call(shared_house, "grace")
    first = await shared_house.get("bob", "/api/v1/me/calls?limit=2")
    listed = [each["entry"]["id"] for each in first.json()["items"]]
    onward = first.links["next"]["url"]
    rest = await shared_house.get("bob", onward)
    listed += [each["entry"]["id"] for each in rest.json()["items"]]
    assert listed[:3] == made[::-1]
    mine = (await shared_house.get("bob", "/api/v1/me")).json()["person"]["id"]
    assert {each["entry"]["actor"]["principal"] for each in rest.json()["items"]} == {mine}
    hers = (await shared_house.get("grace", "/api/v1/me/calls")).json()["items"]
    assert not set(made) & {each["entry"]["id"] for each in hers}


async def test_a_key_is_looked_for_as_its_holder_knows_it(shared_house: House) -> None:
    key = shared_house.keys["bob"]
    found = [
        (await shared_house.get("dpo", "/api/v1/audit/entries", params={"key": said})).json()["items"]
        for said in (key.key_id, key.client_key, key.api_key)
    ]
    assert [each["index"] for each in found[0]] == [each["index"] for each in found[1]]
    assert [each["index"] for each in found[0]] == [each["index"] for each in found[2]]
    newest = (await shared_house.get("dpo", "/api/v1/audit/entries?limit=3&type=audit_read")).json()["items"]
    assert {each["entry"]["reads"].get("key_id") for each in newest} >= {key.key_id}


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("key=AAAAAAAAAAAA", 404, "There is no key 'AAAAAAAAAAAA', and there was none."),
        ("key=nope", 404, "There is no key 'nope'"),
        ("cache=foo", 400, "cache is one of hit, stale, collapsed, not 'foo'."),
    ],
)
async def test_what_no_entry_can_have_is_refused(
    shared_house: House, query: str, status: int, says: str
) -> None:
    refused = await shared_house.get("dpo", f"/api/v1/audit/entries?{query}")
    assert (refused.status_code, says in refused.json()["detail"]) == (status, True)
