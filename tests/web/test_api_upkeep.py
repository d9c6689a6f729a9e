"""Looking after the log over the API: one person proposes, another confirms, whatever two-person control says."""

import pytest

from tests.web.conftest import House

pytestmark = pytest.mark.anyio


async def test_to_erase_what_somebody_asked_waits_for_another_person(house: House) -> None:
    wanted = {"person": "ada@example.edu", "month": "2026-05"}
    asked = await house.ask("dpo", "POST", "/api/v1/audit/erasures", json=wanted)
    assert asked.status_code == 201
    proposal = asked.json()
    assert asked.headers["location"] == f"/api/v1/proposals/{proposal['id']}"
    assert (proposal["what"], proposal["outcome"]) == ("audit.erase", "open")
    assert proposal["about"] == "ada@example.edu, 2026-05"
    again = await house.ask("dpo", "POST", "/api/v1/audit/erasures", json=wanted)
    assert again.json()["id"] == proposal["id"]
    path = f"/api/v1/proposals/{proposal['id']}/confirmation"
    alone = await house.ask("dpo", "POST", path)
    assert (alone.status_code, alone.json()["code"]) == (403, "not_permitted")
    # She has asked nothing here; what erasing does is in `tests/assurance/test_erasure.py`.
    by_two = await house.ask("it", "POST", path)
    assert (by_two.status_code, by_two.json()["code"]) == (409, "conflict")


async def test_to_prune_the_log_waits_for_another_person(house: House) -> None:
    asked = await house.ask("it", "POST", "/api/v1/audit/prunings", json={"before": "2020-01-01"})
    assert (asked.status_code, asked.json()["about"]) == (201, "entries before 2020-01-01")
    path = f"/api/v1/proposals/{asked.json()['id']}/confirmation"
    assert (await house.ask("it", "POST", path)).status_code == 403
    by_two = await house.ask("dpo", "POST", path)
    assert (by_two.status_code, by_two.json()["detail"]) == (409, "There is no content of that age any more.")
    usual = await house.ask("it", "POST", "/api/v1/audit/prunings")
    clocks = (await house.get("it", "/api/v1/compliance")).json()
    assert usual.json()["about"] == f"entries before {clocks['prunable_before']}"


async def test_how_long_entries_are_kept_waits_for_another_person(house: House) -> None:
    assert (await house.get("dpo", "/api/v1/audit/retention")).json() == {"months": 12, "waiting": []}
    asked = await house.ask("dpo", "PUT", "/api/v1/audit/retention", json={"months": 24})
    told = asked.json()
    assert (told["months"], [each["after"] for each in told["waiting"]]) == (12, [24])
    path = f"/api/v1/proposals/{told['waiting'][0]['id']}/confirmation"
    assert (await house.ask("it", "POST", path)).status_code == 200
    assert (await house.get("dpo", "/api/v1/audit/retention")).json() == {"months": 24, "waiting": []}
    same = await house.ask("dpo", "PUT", "/api/v1/audit/retention", json={"months": 24})
    assert (same.status_code, same.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "erasures", {"person": "stranger@example.edu"}, 404),
        ("POST", "erasures", {"person": "ada@example.edu", "month": "2026-13"}, 400),
        ("POST", "erasures", {}, 400),
        ("POST", "prunings", {"before": "2999-01-01"}, 400),
        ("POST", "prunings", {"before": "soon"}, 400),
        ("PUT", "retention", {"months": 5}, 400),
        ("PUT", "retention", {"months": 37}, 400),
    ],
)
async def test_what_cannot_be_is_refused_as_a_problem(
    shared_house: House, method: str, path: str, body: dict[str, object], status: int
) -> None:
    answer = await shared_house.ask("dpo", method, f"/api/v1/audit/{path}", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
