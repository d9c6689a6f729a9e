import datetime as dt
from typing import Any

import pytest

from tests.administration.adding import add_person
from tests.web.conftest import OPERATOR, House

pytestmark = pytest.mark.anyio
SOON = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=7)).isoformat()
MORE = {"limit": "requests/day", "amount": 50, "until": SOON, "reason": "the election is moved forward"}


async def asked(house: House, who: str = "key:bob", **changes: object) -> dict[str, Any]:
    answer = await house.ask(who, "POST", "/api/v1/me/requests", json={**MORE, **changes})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_request_goes_from_a_researcher_to_the_quota_desk_and_back(house: House) -> None:
    made = await asked(house)
    assert (made["state"], made["scope"]) == ("open", "member:elections/bob@example.edu")
    assert (made["asked_by"], made["until"], made["raise"]) == ("bob@example.edu", SOON, None)
    assert (await house.get("bob", "/api/v1/me/requests")).json() == {"items": [made]}
    assert (await house.get("quota", "/api/v1/requests?state=open")).json() == {"items": [made]}
    granted = await house.ask("quota", "POST", f"/api/v1/requests/{made['id']}/grant", json={"amount": 30})
    assert granted.status_code == 200, granted.text
    assert (granted.json()["state"], granted.json()["decided_by"]) == ("granted", "quota@example.edu")
    assert granted.json()["raise"]
    told = ("amount", "until", "granted_amount", "granted_until")
    assert [made[each] for each in told] == [50, SOON, None, None]
    assert [granted.json()[each] for each in told] == [50, SOON, 30, SOON]
    limits = (await house.get("bob", "/api/v1/me")).json()["usage"]["limits"]
    assert {each["scope"]: each["limit"] for each in limits if each["scope"].startswith("member:")} == {
        "member:elections/bob@example.edu": 130
    }
    again = await house.ask("quota", "POST", f"/api/v1/requests/{made['id']}/refusal", json={"reason": "no"})
    assert again.status_code == 409


async def test_a_request_is_granted_as_asked_where_nothing_else_is_said(house: House) -> None:
    made = await asked(house, "ada", **{"for": "project"})
    assert made["scope"] == "project:elections"
    assert (await house.ask("it", "POST", f"/api/v1/requests/{made['id']}/grant")).status_code == 200
    limits = (await house.get("ada", "/api/v1/usage?project=elections")).json()["limits"]
    assert 350 in [each["limit"] for each in limits if each["scope"] == "project:elections"]


async def test_a_refusal_and_a_withdrawal_are_told_to_whoever_asked(house: House) -> None:
    refused, withdrawn = await asked(house), await asked(house, "bob")
    path = f"/api/v1/requests/{refused['id']}/refusal"
    assert (await house.ask("quota", "POST", path, json={})).status_code == 400
    assert (await house.ask("quota", "POST", path, json={"reason": "nothing is left"})).status_code == 200
    assert (await house.ask("ada", "DELETE", f"/api/v1/me/requests/{withdrawn['id']}")).status_code == 404
    assert (await house.ask("key:bob", "DELETE", f"/api/v1/me/requests/{withdrawn['id']}")).status_code == 204
    mine = (await house.get("bob", "/api/v1/me/requests")).json()["items"]
    assert [(each["state"], each["decision_reason"]) for each in mine] == [
        ("refused", "nothing is left"),
        ("withdrawn", None),
    ]
    assert (await house.get("ada", "/api/v1/me/requests")).json() == {"items": []}


async def test_lists_of_requests_go_on_where_they_stopped(house: House) -> None:
    made = [(await asked(house))["id"] for _ in range(3)] + [
        (await asked(house, "grace", **{"for": "project"}))["id"]
    ]
    seen, path = list[str](), "/api/v1/requests?limit=2"
    while path:
        answer = await house.get("dpo", path)
        seen += [each["id"] for each in answer.json()["items"]]
        path = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert seen == made
    for query, wanted in (
        ("project=health", made[3:]),
        ("person=bob@example.edu", made[:3]),
        ("state=granted", []),
    ):
        found = (await house.get("quota", f"/api/v1/requests?{query}")).json()["items"]
        assert [each["id"] for each in found] == wanted
    assert (await house.get("quota", "/api/v1/requests?state=lost")).status_code == 400
    assert (await house.get("quota", "/api/v1/requests?project=nowhere")).status_code == 404


@pytest.mark.parametrize(
    ("who", "changes", "status"),
    [
        ("key:bob", {"project": "health"}, 400),
        ("bob", {"project": "health"}, 404),
        ("bob", {"for": "project"}, 403),
        ("bob", {"for": "credential"}, 400),
        ("bob", {"limit": "requests"}, 400),
        ("bob", {"limit": "records/month"}, 400),
        ("bob", {"amount": 0}, 400),
        ("bob", {"amount": "50"}, 400),
        ("bob", {"until": "2020-01-01"}, 400),
        ("bob", {"until": "9999-12-31"}, 400),
        ("bob", {"reason": ""}, 400),
        ("bob", {"surprise": 1}, 400),
        ("quota", {}, 403),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    shared_house: House, who: str, changes: dict[str, object], status: int
) -> None:
    answer = await shared_house.ask(who, "POST", "/api/v1/me/requests", json={**MORE, **changes})
    assert answer.status_code == status, answer.text


async def test_nobody_grants_their_own_through_the_api(house: House) -> None:
    roles = frozenset({"researcher", "quota_admin"})
    await add_person(house.office, house.mint, OPERATOR, email="bob@example.edu", name="Bob", roles=roles)
    made = await asked(house, "bob")
    refused = await house.ask("bob", "POST", f"/api/v1/requests/{made['id']}/grant")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    assert "own request" in refused.json()["detail"]


async def test_what_one_asked_for_is_found_where_the_answer_says(shared_house: House) -> None:
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=5)).date().isoformat()
    wanted = {"limit": "requests/day", "amount": 5, "until": until, "reason": "a test"}
    made = await shared_house.ask("bob", "POST", "/api/v1/me/requests", json=wanted)
    place = made.headers["location"]
    assert place == f"/api/v1/me/requests/{made.json()['id']}"
    assert (await shared_house.get("bob", place)).json() == made.json()
    assert (await shared_house.get("ada", place)).status_code == 404
