import pytest

from app.administration.changes import Change, Plan
from app.administration.keys import revoke_key, rotate_key
from app.administration.state import Person, State
from tests.web.conftest import OPERATOR, House

pytestmark = pytest.mark.anyio


async def works(house: House, bearer: str) -> bool:
    house.tokens["tried"] = bearer
    answer = await house.get("tried", "/api/v1/me")
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def test_an_issued_key_works_at_once_and_its_secret_is_told_once(house: House) -> None:
    answer = await house.ask("bob", "POST", "/api/v1/keys", json={"project": "elections"})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    key = answer.json()
    assert await works(house, key["api_key"])
    assert key["client_key"] == f"bsr_live_{key['id']}"
    told = [await house.get("dpo", path) for path in ("/api/v1/keys", "/api/v1/audit/entries?limit=200")]
    for each in told:
        assert key["id"] in each.text
        assert key["api_key"] not in each.text
        assert key["client_secret"] not in each.text


async def test_a_key_expires_after_the_day_that_was_asked_for(house: House) -> None:
    wanted = {"project": "elections", "person": "bob@example.edu", "expires": "2036-01-31"}
    answer = await house.ask("it", "POST", "/api/v1/keys", json=wanted)
    assert answer.json()["expires_at"] == "2036-02-01T00:00:00Z"
    past = await house.ask("it", "POST", "/api/v1/keys", json={**wanted, "expires": "2020-01-01"})
    assert (past.status_code, past.json()["code"]) == (400, "invalid_params")


async def test_nobody_issues_a_key_for_a_place_that_they_do_not_have(house: House) -> None:
    for wanted in (
        {"project": "health"},
        {"project": "nowhere"},
        {"project": "elections", "person": "ada@example.edu"},
    ):
        answer = await house.ask("bob", "POST", "/api/v1/keys", json=wanted)
        assert answer.status_code == 404, wanted
    lead = await house.ask(
        "ada", "POST", "/api/v1/keys", json={"project": "elections", "person": "bob@example.edu"}
    )
    assert lead.status_code == 403


async def test_after_a_rotation_the_old_secret_works_only_for_the_overlap_asked_for(house: House) -> None:
    old = house.keys["bob"]
    path = f"/api/v1/keys/{old.key_id}/rotation"
    assert await works(house, old.api_key)
    first = (await house.ask("bob", "POST", path, json={"overlap_s": 3600})).json()
    assert await works(house, first["api_key"])
    assert await works(house, old.api_key)
    second = (await house.ask("bob", "POST", path)).json()
    assert second["old_until"] is None
    assert await works(house, second["api_key"])
    assert not await works(house, first["api_key"])
    assert not await works(house, old.api_key)


async def test_a_revoked_key_stays_revoked(house: House) -> None:
    key = house.keys["bob"]
    assert await works(house, key.api_key)
    path = f"/api/v1/keys/{key.key_id}"
    for _ in range(2):
        answer = await house.ask("bob", "DELETE", path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert not await works(house, key.api_key)
    assert (await house.ask("bob", "POST", path + "/rotation")).status_code == 409
    shown = (await house.get("bob", "/api/v1/keys")).json()["items"]
    assert [each["status"] for each in shown] == ["revoked"]


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_another_persons_key_looks_like_none_at_all(house: House, method: str) -> None:
    suffix = "/rotation" if method == "POST" else ""
    theirs, none = house.keys["grace"].key_id, "0" * 12
    answers = [await house.ask("bob", method, f"/api/v1/keys/{each}{suffix}") for each in (theirs, none)]
    first, second = ({**each.json(), "entry": ""} for each in answers)
    assert first == second
    assert first["status"] == 404
    assert await works(house, house.keys["grace"].api_key)


async def test_what_another_process_revokes_is_refused_from_the_next_request_on(house: House) -> None:
    key = house.keys["bob"]
    assert await works(house, key.api_key)
    await revoke_key(house.office, OPERATOR, key=key.key_id)
    assert not await works(house, key.api_key)


async def test_what_another_process_rotates_works_from_the_next_request_on(house: House) -> None:
    key = house.keys["bob"]
    assert await works(house, key.api_key)
    new = await rotate_key(house.office, house.mint, OPERATOR, key=key.key_id)
    assert await works(house, new.api_key)
    assert not await works(house, key.api_key)


async def test_a_role_that_another_process_takes_away_is_gone_with_the_next_request(house: House) -> None:
    assert (await house.get("dpo", "/api/v1/audit/entries")).status_code == 200

    def demote(state: State) -> tuple[Plan, None]:
        person = state.person("dpo@example.edu")
        assert person is not None
        researcher = Person(
            id=person.id,
            email=person.email,
            name=person.name,
            roles=("researcher",),
            created_us=person.created_us,
        )
        change = Change(kind="person", object=person.email, object_id=person.id, what="roles")
        return Plan(changes=(change,), puts=(researcher,)), None

    await house.office.change(OPERATOR, demote)
    assert (await house.get("dpo", "/api/v1/audit/entries")).status_code == 403
