"""Credentials, people, projects, memberships, terms and raises over the API, by the use-cases of the command line."""

import base64
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.administration.keys import issue_token
from app.ids import CredentialId
from tests.administration.adding import add_person
from tests.web.conftest import OPERATOR, House, opened_house

pytestmark = pytest.mark.anyio

APPROVAL = {"reference": "R-2026-031", "from": "2026-01-01", "until": "2036-12-31"}
SECRET = "as-the-platform-shows-it-4c7a"
CREDENTIAL = {"name": "second", "client_key": "aw111example", "client_secret": SECRET}
PROJECT = {
    "name": "climate",
    "credential": "second",
    "approval": APPROVAL,
    "lead": "mary@example.edu",
    "members": [{"person": "mary@example.edu"}, {"person": "bob@example.edu", "until": "2036-06-30"}],
    "allow": {"endpoints": ["video/query"], "conditions": {"region_code": ["US"]}},
    "limits": {"requests/day": 200},
    "member_limits": {"requests/day": 100},
}


async def done(house: House, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
    answer = await house.ask("it", method, f"/api/v1{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def logged(house: House, count: int = 20) -> list[str]:
    items = (await house.get("dpo", f"/api/v1/audit/entries?limit={count}&type=admin")).json()["items"]
    return [each["entry"]["op"] for each in items]


async def limits_of(house: House, scope: str) -> dict[str, int]:
    found = (await house.get("it", f"/api/v1/limits?scope={scope}")).json()["items"]
    return {f"{each['dimension']}/{each['window']}": each["amount"] for each in found}


async def set_up(house: House) -> None:
    await done(house, "POST", "/credentials", {**CREDENTIAL, "limits": {"requests/day": 500}}, status=201)
    person = {"email": "Mary@example.edu", "name": "Mary Somerville", "roles": ["researcher", "lead"]}
    await done(house, "POST", "/people", person, status=201)
    await done(house, "POST", "/projects", PROJECT, status=201)


async def test_a_project_is_set_up_from_nothing_and_a_key_of_it_works(house: House) -> None:
    await set_up(house)
    shown = (await house.get("it", "/api/v1/projects/climate")).json()
    assert (shown["credential"], shown["lead"], shown["approval"]) == ("second", "mary@example.edu", APPROVAL)
    assert shown["allow"] == PROJECT["allow"]
    assert shown["members"] == [
        {"person": "bob@example.edu", "from": None, "until": "2036-06-30"},
        {"person": "mary@example.edu", "from": None, "until": None},
    ]
    assert await limits_of(house, "project:climate") == {"requests/day": 200}
    assert await limits_of(house, "each_member:climate") == {"requests/day": 100}
    assert await limits_of(house, "credential:second") == {"requests/day": 500}
    key = await done(house, "POST", "/keys", {"project": "climate", "person": "mary@example.edu"}, status=201)
    headers = {"Authorization": f"Bearer {key['api_key']}"}
    me = (await house.client.get("/api/v1/me", headers=headers)).json()
    assert (me["person"]["email"], [each["name"] for each in me["projects"]]) == (
        "mary@example.edu",
        ["climate"],
    )
    assert {
        "credential.added",
        "person.added",
        "project.added",
        "member.added",
        "limit.set",
        "key.issued",
    } <= set(await logged(house))


async def test_a_secret_goes_in_and_never_comes_out(house: House) -> None:
    await set_up(house)
    answers: list[httpx.Response] = [await house.get("it", "/api/v1/credentials/second")]
    answers.append(await house.ask("it", "POST", "/api/v1/credentials", json=CREDENTIAL))
    assert answers[-1].status_code == 409
    bad = {**CREDENTIAL, "name": "third", "base_url": "http://open.example.org"}
    answers.append(await house.ask("it", "POST", "/api/v1/credentials", json=bad))
    assert answers[-1].status_code == 400
    rotation = "/api/v1/credentials/second/rotation"
    answers.append(await house.ask("it", "POST", rotation, json={"client_secret": SECRET}))
    assert answers[-1].json() == {"has_changed": False}
    answers.append(await house.ask("it", "POST", rotation, json={"client_secret": SECRET + "-new"}))
    assert answers[-1].json() == {"has_changed": True}
    answers.append(await house.ask("it", "POST", rotation, json={"client_secret": [SECRET]}))
    assert answers[-1].status_code == 400
    answers.append(await house.get("dpo", "/api/v1/audit/entries?limit=50"))
    told = "".join(each.text for each in answers)
    assert SECRET not in told
    assert base64.b64encode(SECRET.encode()).decode() not in told


async def test_a_credential_moves_to_another_host_with_its_secret_alone(house: House) -> None:
    await set_up(house)
    rotation, host = "/credentials/second/rotation", "https://open.example.org"
    bad = await house.ask("it", "POST", f"/api/v1{rotation}", json={"base_url": host})
    assert bad.status_code == 400
    moved = await done(house, "POST", rotation, {"client_secret": SECRET, "base_url": f"{host}/"})
    assert moved == {"has_changed": True}
    assert (await done(house, "GET", "/credentials/second"))["base_url"] == host
    assert await done(house, "POST", rotation, {"client_secret": SECRET, "base_url": host}) == {
        "has_changed": False
    }
    assert (await logged(house))[0] == "credential.set"
    (credential,) = [each for each in (await house.office.state()).credentials if each.name == "second"]
    opened = await house.installation.vault.open(CredentialId(credential.id))
    assert (opened.base_url, opened.client_secret) == (host, SECRET)
    wrong = await house.ask(
        "it",
        "POST",
        f"/api/v1{rotation}",
        json={"client_secret": SECRET, "base_url": "http://open.example.org"},
    )
    assert (wrong.status_code, "https" in wrong.json()["detail"]) == (400, True)


async def test_a_token_is_issued_for_somebody_and_opens_what_is_theirs(house: House) -> None:
    issued = await done(
        house, "POST", "/people/bob@example.edu/tokens", {"expires": "2036-01-31"}, status=201
    )
    assert issued["expires_at"] == "2036-02-01T00:00:00Z"
    headers = {"Authorization": f"Bearer {issued['token']}"}
    me = (await house.client.get("/api/v1/me", headers=headers)).json()
    assert me["person"]["email"] == "bob@example.edu"
    assert (await house.client.get("/api/v1/audit/entries", headers=headers)).status_code == 403
    assert (await logged(house))[0] == "token.issued"
    past = {"expires": "2020-01-01"}
    assert (
        await house.ask("it", "POST", "/api/v1/people/bob@example.edu/tokens", json=past)
    ).status_code == 400


async def test_what_a_path_cannot_carry_is_refused_before_it_is_added(house: House) -> None:
    approval = {"reference": "R-1", "from": "2026-01-01", "until": "2036-06-30"}
    project = {"name": "x/y", "credential": "main", "approval": approval}
    refused = await house.ask("it", "POST", "/api/v1/projects", json=project)
    assert (refused.status_code, "other than /" in refused.json()["detail"]) == (400, True)
    for email in ("a/b@example.edu", "a\u202eb@example.edu", "a\u200bb@example.edu"):
        person = {"email": email, "name": "Eve"}
        assert (await house.ask("it", "POST", "/api/v1/people", json=person)).status_code == 400


async def test_a_revoked_token_is_refused_from_the_next_call_on(house: House) -> None:
    await done(house, "POST", "/people/bob@example.edu/tokens", {}, status=201)
    issued = await done(
        house, "POST", "/people/bob@example.edu/tokens", {"expires": "2036-01-31"}, status=201
    )
    leaked = {"Authorization": f"Bearer {issued['token']}"}
    mine = (await house.client.get("/api/v1/me/tokens", headers=leaked)).json()["items"]
    assert len(mine) == 3
    (bad,) = (each for each in mine if each["expires_at"] == "2036-02-01T00:00:00Z")
    assert bad | {"created_at": ""} == {
        "id": bad["id"],
        "person": "bob@example.edu",
        "created_at": "",
        "expires_at": "2036-02-01T00:00:00Z",
        "status": "active",
    }
    assert (await house.get("dpo", "/api/v1/people/bob@example.edu/tokens")).json()["items"] == mine
    path = f"/api/v1/people/bob@example.edu/tokens/{bad['id']}"
    elsewhere = path.replace("bob", "ada")
    assert (await house.ask("it", "DELETE", elsewhere)).status_code == 404
    for _ in range(2):
        assert (await house.ask("it", "DELETE", path)).status_code == 204
    assert (await house.client.get("/api/v1/me", headers=leaked)).status_code == 401
    assert (await logged(house))[0] == "token.revoked"
    shown = (await house.get("it", "/api/v1/people/bob@example.edu/tokens")).json()["items"]
    assert [each["status"] for each in shown if each["id"] == bad["id"]] == ["revoked"]


async def test_everybody_ends_tokens_of_their_own_and_no_others(house: House) -> None:
    (ada,) = (await house.get("ada", "/api/v1/me/tokens")).json()["items"]
    (bob,) = (await house.get("bob", "/api/v1/me/tokens")).json()["items"]
    assert (await house.ask("bob", "DELETE", f"/api/v1/me/tokens/{ada['id']}")).status_code == 404
    assert (await house.ask("bob", "DELETE", f"/api/v1/me/tokens/{bob['id']}")).status_code == 204
    assert (await house.get("bob", "/api/v1/me")).status_code == 401
    assert (await house.get("ada", "/api/v1/me")).status_code == 200


async def test_a_person_is_changed_by_address_or_id_and_keeps_the_rest(house: House) -> None:
    bob = (await house.get("it", "/api/v1/people/BOB@example.edu")).json()
    changed = await done(house, "PATCH", f"/people/{bob['id']}", {"roles": ["lead", "researcher"]})
    assert changed == {**bob, "roles": ["lead", "researcher"]}
    renamed = await done(house, "PATCH", "/people/bob@example.edu", {"name": "Robert"})
    assert renamed == {**changed, "name": "Robert"}
    own = await house.ask("it", "PATCH", "/api/v1/people/it@example.edu", json={"roles": ["compliance"]})
    assert (own.status_code, "your own administration" in own.json()["detail"]) == (409, True)
    there = {"email": "bob@example.edu", "name": "Bob"}
    assert (await house.ask("it", "POST", "/api/v1/people", json=there)).status_code == 409


async def test_whoever_is_retired_is_nobody_and_their_address_is_free_for_somebody_else(house: House) -> None:
    bob = (await house.get("it", "/api/v1/people/bob@example.edu")).json()
    assert (await house.get("key:bob", "/api/v1/me")).status_code == 200
    await done(house, "DELETE", "/people/bob@example.edu", status=204)
    assert (await house.get("bob", "/api/v1/me")).status_code == 401
    assert (await house.get("key:bob", "/api/v1/me")).status_code == 401
    members = (await house.get("it", "/api/v1/projects/elections/members")).json()["items"]
    assert [each["person"] for each in members] == ["ada@example.edu"]
    lead = await house.ask("it", "DELETE", "/api/v1/people/ada@example.edu")
    assert (lead.status_code, "leads elections" in lead.json()["detail"]) == (409, True)
    back = await done(house, "POST", "/people", {"email": "bob@example.edu", "name": "Bob"}, status=201)
    assert (back["id"] == bob["id"], back["roles"]) == (False, [])
    assert (await house.get("bob", "/api/v1/me")).status_code == 401
    assert (await house.get("it", f"/api/v1/people/{bob['id']}")).status_code == 404
    await done(house, "DELETE", "/people/bob@example.edu", status=204)
    wanted = {"email": "bob@example.edu", "name": "Bob", "returning": True}
    again = await done(house, "POST", "/people", wanted, status=201)
    assert (again["id"], again["roles"]) == (back["id"], [])
    never = {"email": "new@example.edu", "name": "New", "returning": True}
    assert (await house.ask("it", "POST", "/api/v1/people", json=never)).status_code == 400


async def test_a_project_keeps_what_a_change_does_not_speak_about(house: House) -> None:
    await set_up(house)
    before = (await house.get("it", "/api/v1/projects/climate")).json()
    changed = await done(house, "PATCH", "/projects/climate", {"allow": {}, "cache_scope": "credential"})
    assert changed == {**before, "allow": {}, "cache_scope": "credential"}
    assert await limits_of(house, "project:climate") == {"requests/day": 200}
    by_id = await done(house, "PATCH", f"/projects/{before['id']}", {"lead": None})
    assert by_id["lead"] is None
    wrongs: tuple[dict[str, Any], ...] = (
        {"lead": "ada@example.edu"},
        {"credential": "nowhere"},
        {"allow": {"endpoints": ["video/everything"]}},
        {"approval": {**APPROVAL, "until": "2025-01-01"}},
        {"approval": None},
        {"members": []},
    )
    for wrong in wrongs:
        answer = await house.ask("it", "PATCH", "/api/v1/projects/climate", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_params"), answer.text
    assert (await house.get("it", "/api/v1/projects/climate")).json() == by_id


async def test_a_member_comes_and_goes_and_their_key_with_them(house: House) -> None:
    path = "/projects/elections/members/bob@example.edu"
    wanted = {"scope": "member:elections/bob@example.edu", "key": "requests/day", "amount": 7}
    await done(house, "PUT", "/limits", wanted)
    assert await done(house, "PUT", path, {"from": "2026-02-01"}) == {
        "person": "bob@example.edu",
        "from": "2026-02-01",
        "until": None,
    }
    assert await limits_of(house, "member:elections/bob@example.edu") == {"requests/day": 7}
    wrong = {"from": "2026-02-01", "until": "2026-01-01"}
    assert (await house.ask("it", "PUT", f"/api/v1{path}", json=wrong)).status_code == 400
    await done(house, "DELETE", path, status=204)
    assert (await house.get("key:bob", "/api/v1/me")).status_code == 401
    assert (await house.ask("it", "DELETE", f"/api/v1{path}")).status_code == 404
    lead = await house.ask("it", "DELETE", "/api/v1/projects/elections/members/ada@example.edu")
    assert lead.status_code == 409
    await done(house, "PUT", path, {}, status=201)
    assert (await house.get("key:bob", "/api/v1/me")).status_code == 401


async def test_a_retired_project_takes_its_keys_along(house: House) -> None:
    await done(house, "DELETE", "/projects/health", status=204)
    assert (await house.get("key:grace", "/api/v1/me")).status_code == 401
    assert (await house.get("it", "/api/v1/projects/health")).status_code == 404


async def test_a_credential_is_retired_once_nobody_uses_it(house: House) -> None:
    await set_up(house)
    used = await house.ask("it", "DELETE", "/api/v1/credentials/second")
    assert (used.status_code, "used by climate" in used.json()["detail"]) == (409, True)
    await done(house, "DELETE", "/projects/climate", status=204)
    await done(house, "DELETE", "/credentials/second", status=204)
    assert (await house.get("it", "/api/v1/credentials/second")).status_code == 404
    assert "credential.retired" in await logged(house)


async def test_a_roster_takes_a_permission_and_room_for_who_is_there(house: House) -> None:
    for wrong in ({"roster_limit": 11}, {"roster_limit": 2}, {"roster_limit": 0}):
        answer = await house.ask("it", "PATCH", "/api/v1/credentials/main", json=wrong)
        assert answer.status_code == 400, answer.text
    permission = {"reference": "Mail of 2026-02-11"}
    changed = await done(house, "PATCH", "/credentials/main", {"roster_limit": 12, "permission": permission})
    assert (changed["credential"]["roster_limit"], changed["credential"]["permission"]) == (12, permission)
    assert (changed["has_changed"], changed["waiting"]) == (True, [])
    kept = await done(house, "PATCH", "/credentials/main", {"roster_limit": 11})
    assert (kept["credential"]["roster_limit"], kept["credential"]["permission"]) == (11, permission)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[House]:
    """A house under two-person control, with a second administrator."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    async with opened_house(tmp_path, url, two_person_control=True) as opened:
        email, roles = "second@example.edu", frozenset({"admin"})
        await add_person(opened.office, opened.mint, OPERATOR, email=email, name="Second", roles=roles)
        opened.tokens["second"] = (await issue_token(opened.office, opened.mint, OPERATOR, email=email)).token
        yield opened


async def test_under_two_person_control_a_larger_roster_waits(guarded: House) -> None:
    wanted = {"roster_limit": 12, "permission": {"reference": "Mail of 2026-02-11"}}
    answer = await done(guarded, "PATCH", "/credentials/main", wanted)
    (waiting,) = answer["waiting"]
    assert (answer["has_changed"], answer["credential"]["roster_limit"]) == (False, 10)
    shown = (await guarded.get("quota", f"/api/v1/proposals/{waiting['id']}")).json()
    assert (shown["what"], shown["before"], shown["after"], shown["outcome"]) == (
        "roster_limit",
        10,
        12,
        "open",
    )
    path = f"/api/v1/proposals/{waiting['id']}/confirmation"
    assert (await guarded.ask("it", "POST", path)).status_code == 403
    assert (await guarded.ask("second", "POST", path)).status_code == 200
    assert (await guarded.get("it", "/api/v1/credentials/main")).json()["roster_limit"] == 12


async def test_under_two_person_control_a_retired_account_comes_back_with_nothing_to_spend(
    guarded: House,
) -> None:
    for path in ("/projects/elections", "/projects/health", "/credentials/main"):
        await done(guarded, "DELETE", path, status=204)
    twin = {**CREDENTIAL, "name": "twin", "client_key": "aw000example", "limits": {"requests/day": 900_000}}
    await done(guarded, "POST", "/credentials", twin, status=201)
    items = (await guarded.get("it", "/api/v1/limits")).json()["items"]
    assert {each["amount"] for each in items if each["scope"] == "credential:twin"} == {0}
    waiting = (await guarded.get("it", "/api/v1/proposals")).json()["items"]
    assert ("twin", "requests/day", 0, 900_000) in {
        (each["credential"], each["what"], each["before"], each["after"]) for each in waiting
    }


async def test_under_two_person_control_nobody_makes_their_own_second_person(guarded: House) -> None:
    wanted = {"email": "puppet@example.edu", "name": "Puppet"}
    tries = [
        ("POST", "/people", {**wanted, "roles": ["admin"]}),
        ("PATCH", "/people/bob@example.edu", {"roles": ["quota_admin"]}),
        ("POST", "/people/second@example.edu/tokens", {}),
        ("POST", "/people/second@example.edu/password-code", {}),
    ]
    for method, path, content in tries:
        answer = await guarded.ask("it", method, f"/api/v1{path}", json=content)
        assert (answer.status_code, "two-person control" in answer.json()["detail"]) == (403, True), path
    await done(guarded, "POST", "/people", wanted, status=201)


async def test_terms_are_added_changed_and_withdrawn_and_an_accepted_text_stays(house: House) -> None:
    wanted = {"version": "2037", "title": "Terms of 2037", "in_force_from": "2037-01-01", "text": "Be good."}
    made = await done(house, "POST", "/terms", wanted, status=201)
    assert (made["text"], made["grace_days"], made["source"]) == ("Be good.\n", 0, None)
    assert (await house.ask("it", "POST", "/api/v1/terms", json=wanted)).status_code == 409
    assert (await done(house, "PATCH", "/terms/2037", {"text": "Be better."}))["text"] == "Be better.\n"
    await done(house, "DELETE", "/terms/2037", status=204)
    assert (await house.get("it", "/api/v1/terms/2037")).status_code == 404

    text = (await house.get("it", "/api/v1/terms/2024-10")).json()["text"]
    evidence = {"evidence_name": "bob.pdf", "evidence_sha256": "ab" * 32}
    signed = await done(
        house,
        "POST",
        "/people/bob@example.edu/acceptances",
        {"version": "2024-10", "on": "2026-02-01", **evidence},
        status=201,
    )
    assert signed == {
        "version": "2024-10",
        "accepted_at": "2026-02-01T00:00:00Z",
        "how": "recorded",
        **evidence,
    }
    shown = (await house.get("bob", "/api/v1/people/bob@example.edu/acceptances")).json()["items"]
    assert shown == [signed]
    refused = await house.ask("it", "PATCH", "/api/v1/terms/2024-10", json={"text": "Another."})
    assert (refused.status_code, "has been accepted" in refused.json()["detail"]) == (400, True)
    assert (await done(house, "PATCH", "/terms/2024-10", {"grace_days": 9}))["text"] == text


async def test_a_code_sets_a_password_once(house: House) -> None:
    made = await done(house, "POST", "/people/bob@example.edu/password-code", status=201)
    assert made["address"].endswith("/console/password")
    assert dt.datetime.fromisoformat(made["until"]) > dt.datetime.now(dt.UTC)
    assert made["code"] not in (await house.get("dpo", "/api/v1/audit/entries?limit=20")).text


async def test_a_limit_is_raised_for_a_while_and_the_raise_ended(house: House) -> None:
    until = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=7)).isoformat()
    wanted = {
        "scope": "project:health",
        "key": "requests/day",
        "amount": 50,
        "until": until,
        "reason": "Once.",
    }
    made = await done(house, "POST", "/raises", wanted, status=201)
    assert (made["scope"], made["amount"], made["ended"]) == ("project:health", 50, None)
    usage = (await house.get("it", "/api/v1/usage?project=health")).json()["limits"]
    assert [each["limit"] for each in usage if each["scope"] == "project:health"] == [250]
    assert (await house.get("it", "/api/v1/raises?scope=project:elections")).json()["items"] == []
    await done(house, "DELETE", f"/raises/{made['id']}", status=204)
    assert (await house.get("it", "/api/v1/raises")).json()["items"] == []
    (over,) = (await house.get("it", "/api/v1/raises?with_ended=true")).json()["items"]
    assert over["ended"] is not None
    assert (await house.get("it", f"/api/v1/raises/{made['id']}")).json() == over


async def test_what_is_created_twice_with_one_key_is_created_once(house: House) -> None:
    body = {"email": "mary@example.edu", "name": "Mary Somerville"}
    headers = {"Authorization": f"Bearer {house.tokens['it']}", "Idempotency-Key": "once"}
    answers = [await house.client.post("/api/v1/people", json=body, headers=headers) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert (await house.ask("it", "POST", "/api/v1/people", json=body)).status_code == 409


FILTERS = {
    "/people?role=lead": ["grace@example.edu"],
    "/people?project=elections": ["ada@example.edu", "bob@example.edu"],
    "/people?project=elections&role=lead": [],
    "/projects?credential=main": ["elections", "health"],
    "/projects?credential=nowhere": [],
    "/projects?person=bob@example.edu": ["elections"],
    "/keys?project=health": ["grace@example.edu"],
    "/keys?person=bob@example.edu&status=active": ["bob@example.edu"],
    "/keys?status=revoked": [],
}


@pytest.mark.parametrize("path", FILTERS)
async def test_a_list_holds_what_its_filters_name(shared_house: House, path: str) -> None:
    items = (await shared_house.get("it", f"/api/v1{path}")).json()["items"]
    assert [each.get("email") or each.get("person") or each["name"] for each in items] == FILTERS[path]


@pytest.mark.parametrize(
    "path", ["/people?project=nowhere", "/projects?person=who@example.edu", "/keys?project=x"]
)
async def test_a_filter_that_names_nothing_is_told(shared_house: House, path: str) -> None:
    assert (await shared_house.get("it", f"/api/v1{path}")).status_code == 404


async def test_a_value_is_stated_and_shown(house: House) -> None:
    path = "/rules/values/refresh_interval_days/2026-03-01"
    shown = await done(house, "PUT", path, {"amount": 10, "source": "Agreement, section 4"})
    assert (shown["amount"], shown["stated"]) == (
        10,
        [{"from": "2026-03-01", "amount": 10, "source": "Agreement, section 4"}],
    )
    wrong = {"amount": 10, "source": "x"}
    assert (
        await house.ask("it", "PUT", "/api/v1/rules/values/nothing/2026-03-01", json=wrong)
    ).status_code == 400


async def test_the_log_is_verified_on_demand(house: House) -> None:
    assert (await house.get("dpo", "/api/v1/audit/verification")).status_code == 404
    begun = await house.ask("dpo", "POST", "/api/v1/audit/verification")
    assert (begun.status_code, begun.json()["state"]) == (202, "under_way")
    await house.installation.verifier.finished()
    seen = (await house.get("it", "/api/v1/audit/verification")).json()
    assert (seen["id"], seen["state"], seen["started_by"]) == (begun.json()["id"], "holds", "dpo@example.edu")
    assert seen["report"]["verified"]
