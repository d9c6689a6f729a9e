import asyncio

import pytest

from tests.web.conftest import House

pytestmark = pytest.mark.anyio
ACCEPT = "/api/v1/me/terms/2026-02/acceptance"


async def test_me_shows_roles_projects_keys_terms_and_what_is_left(house: House) -> None:
    answer = await house.get("bob", "/api/v1/me")
    assert answer.status_code == 200
    me = answer.json()
    assert (me["person"]["email"], me["person"]["roles"]) == ("bob@example.edu", ["researcher"])
    assert [(each["name"], each["is_lead"]) for each in me["projects"]] == [("elections", False)]
    assert [each["id"] for each in me["keys"]] == [house.keys["bob"].key_id]
    assert me["terms"] == {
        "in_force": "2026-02",
        "is_accepted": False,
        "may_call": False,
        "accept_at": ACCEPT,
        "accept_by": None,
    }
    assert [(each["scope"], each["left"]) for each in me["usage"]["limits"]] == [
        ("credential:main", 1000),
        ("project:elections", 300),
        ("member:elections/bob@example.edu", 100),
    ]


async def test_a_projects_key_is_answered_as_its_person(house: House) -> None:
    with_key, with_token = await asyncio.gather(
        house.get("key:bob", "/api/v1/me"), house.get("bob", "/api/v1/me")
    )
    assert with_key.status_code == 200
    assert with_key.json() == with_token.json()


async def test_an_access_token_is_answered_as_its_person(house: House) -> None:
    key = house.keys["bob"]
    grant = await house.installation.bearers.exchange(key.client_key, key.client_secret, source="test")
    house.tokens["with access token"] = grant.access_token
    answer = await house.get("with access token", "/api/v1/me")
    assert answer.json()["person"]["email"] == "bob@example.edu"


@pytest.mark.parametrize("who", ["bob", "key:bob"])
async def test_accepting_the_terms_twice_is_accepting_them_once(house: House, who: str) -> None:
    first, second = await house.ask(who, "POST", ACCEPT), await house.ask(who, "POST", ACCEPT)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert first.json()["how"] == "self"
    assert first.json()["is_in_force"]
    assert (await house.get("bob", "/api/v1/me")).json()["terms"]["is_accepted"]
    entries = (await house.get("dpo", "/api/v1/audit/entries?limit=200")).json()["items"]
    accepted = [each["entry"] for each in entries if each["entry"].get("op") == "acceptance.accepted"]
    assert len(accepted) == 1


async def test_an_acceptance_counts_for_the_next_call_of_a_key_that_is_held_in_memory(house: House) -> None:
    directory, key = house.installation.directory, house.keys["bob"].key_id
    before = await directory.by_key(key)  # type: ignore[arg-type]
    await house.ask("bob", "POST", ACCEPT)
    after = await directory.by_key(key)  # type: ignore[arg-type]
    assert before is not None
    assert after is not None
    assert (before.caller.terms.accepted, after.caller.terms.accepted) == (
        frozenset(),
        frozenset({"2026-02"}),
    )


async def test_terms_that_do_not_exist_cannot_be_accepted(house: House) -> None:
    answer = await house.ask("bob", "POST", "/api/v1/me/terms/1999-01/acceptance")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_my_terms_list_every_version_with_what_i_said_to_it(house: House) -> None:
    await house.ask("bob", "POST", ACCEPT)
    items = (await house.get("bob", "/api/v1/me/terms")).json()["items"]
    assert [(each["version"], each["is_in_force"], each["how"]) for each in items] == [
        ("2024-10", False, None),
        ("2026-02", True, "self"),
    ]


async def test_everybody_chooses_what_they_are_told_by_mail(house: House) -> None:
    async def heard(who: str) -> dict[str, bool]:
        said = (await house.get(who, "/api/v1/me/notices")).json()
        assert said["mail_is_sent"] is False
        return {each["event"]: each["by_mail"] for each in said["items"]}

    assert await heard("bob") == {"quota.threshold": True, "request.decided": True}
    assert set(await heard("dpo")) == {
        *("quota.threshold", "request.decided", "access.frozen", "access.unfrozen"),
        *("audit.verification_failed", "audit.checkpoint_of_day"),
    }
    assert "approval.ending" in await heard("ada")
    chosen = await house.ask("bob", "PUT", "/api/v1/me/notices", json={"without": ["quota.threshold"]})
    assert (chosen.status_code, chosen.json()["items"][0]["by_mail"]) == (200, False)
    assert await heard("bob") == {"quota.threshold": False, "request.decided": True}
    assert (await heard("ada"))["quota.threshold"] is True
    for wrong in (["request.made"], ["nothing"]):
        refused = await house.ask("bob", "PUT", "/api/v1/me/notices", json={"without": wrong})
        assert (refused.status_code, "is no event that you are told" in refused.text) == (400, True)
    await house.ask("bob", "PUT", "/api/v1/me/notices", json={"without": []})
    assert await heard("bob") == {"quota.threshold": True, "request.decided": True}
