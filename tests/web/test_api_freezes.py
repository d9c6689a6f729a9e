import json

import pytest

from tests.web.conftest import House

pytestmark = pytest.mark.anyio
REASON = {"reason": "Key found in a public repository."}


async def token(house: House, name: str) -> tuple[int, dict[str, str]]:
    key = house.keys[name]
    form = {
        "client_key": key.client_key,
        "client_secret": key.client_secret,
        "grant_type": "client_credentials",
    }
    # The research paths stand beside the application that this client reaches.
    research = house.app.state.research
    sent: list[dict[str, object]] = []
    body = "&".join(f"{name}={value}" for name, value in form.items()).encode()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v2/oauth/token/",
        "raw_path": b"/v2/oauth/token/",
        "query_string": b"",
        "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
        "client": ("127.0.0.1", 1),
    }
    await research(scope, receive, send)
    content = b"".join(bytes(each.get("body", b"")) for each in sent[1:])  # type: ignore[call-overload]
    return int(str(sent[0]["status"])), json.loads(content)


async def newest(house: House) -> dict[str, object]:
    items = (await house.get("dpo", "/api/v1/audit/entries?limit=1")).json()["items"]
    entry: dict[str, object] = items[0]["entry"]
    return entry


async def test_freezing_shows_what_was_stopped_and_unfreezing_ends_it(house: House) -> None:
    answer = await house.ask("it", "PUT", "/api/v1/freezes/project/elections", json=REASON)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["kind"], shown["name"], shown["frozen_by"]) == ("project", "elections", "it@example.edu")
    assert (shown["reason"], shown["until"]) == (REASON["reason"], None)
    again = await house.ask("it", "PUT", "/api/v1/freezes/project/elections", json={"reason": "other"})
    assert again.json() == shown
    assert (await house.get("dpo", "/api/v1/freezes")).json() == {"items": [shown]}
    assert (await house.ask("it", "DELETE", "/api/v1/freezes/project/elections")).status_code == 204
    assert (await house.ask("it", "DELETE", "/api/v1/freezes/project/elections")).status_code == 204
    assert (await house.get("dpo", "/api/v1/freezes")).json() == {"items": []}
    history = (await house.get("dpo", "/api/v1/freezes?with_lifted=true")).json()["items"]
    assert [(each["id"], each["lifted_by"]) for each in history] == [(shown["id"], "it@example.edu")]


async def test_a_frozen_person_is_stopped_at_the_api_and_at_the_token_endpoint(house: House) -> None:
    assert (await token(house, "bob"))[0] == 200
    answer = await house.ask("it", "PUT", "/api/v1/freezes/person/BOB@example.edu", json=REASON)
    assert answer.json()["name"] == "bob@example.edu"
    for who in ("bob", "key:bob"):
        refused = await house.get(who, "/api/v1/me")
        assert refused.status_code == 403
        assert "not-frozen/1" in refused.json()["detail"]
        assert "it@example.edu" in refused.json()["detail"]
    status, said = await token(house, "bob")
    assert (status, said["error"]) == (401, "invalid_client")
    assert "not-frozen/1" in said["error_description"]
    entry = await newest(house)
    assert entry["decision"] == {"verdict": "refused", "rule": "not-frozen/1", "code": "invalid_client"}
    assert entry["actor"]["key_id"] == house.keys["bob"].key_id  # type: ignore[index]
    assert (await token(house, "ada"))[0] == 200
    await house.ask("it", "DELETE", "/api/v1/freezes/person/bob@example.edu")
    assert (await token(house, "bob"))[0] == 200
    assert (await house.get("bob", "/api/v1/me")).status_code == 200


async def test_people_of_a_frozen_project_still_see_where_they_stand(house: House) -> None:
    before = (await house.get("bob", "/api/v1/me")).json()["projects"]
    frozen = await house.ask("it", "PUT", "/api/v1/freezes/project/elections", json=REASON)
    seen = await house.get("key:bob", "/api/v1/me")
    assert seen.status_code == 200
    assert [each["frozen_since"] for each in before] == [None]
    assert [each["frozen_since"] for each in seen.json()["projects"]] == [frozen.json()["since"]]
    assert (await token(house, "bob"))[0] == 200


async def test_the_log_says_who_froze_what_and_keeps_the_reason_out(house: House) -> None:
    shown = (await house.ask("it", "PUT", "/api/v1/freezes/person/bob@example.edu", json=REASON)).json()
    items = (await house.get("dpo", "/api/v1/audit/entries?limit=3")).json()["items"]
    entry = next(each["entry"] for each in items if each["entry"]["type"] == "admin")
    assert (entry["op"], entry["freeze"]) == ("person.frozen", shown["id"])
    assert entry["actor"]["kind"] == "person"
    assert REASON["reason"] not in json.dumps(items)
    assert "bob@example.edu" not in json.dumps(items)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/project/nowhere", REASON, 404),
        ("/person/nobody@nowhere", REASON, 404),
        ("/person/it@example.edu", REASON, 409),
        ("/planet/earth", REASON, 400),
        ("/project/elections", {}, 400),
        ("/project/elections", {"reason": " "}, 400),
        ("/project/elections", {"reason": "why", "until": "tomorrow"}, 400),
    ],
)
async def test_what_cannot_be_frozen_is_refused(
    shared_house: House, path: str, body: dict[str, str], status: int
) -> None:
    answer = await shared_house.ask("it", "PUT", f"/api/v1/freezes{path}", json=body)
    assert answer.status_code == status, answer.text
    assert (await shared_house.get("it", "/api/v1/freezes")).json() == {"items": []}
