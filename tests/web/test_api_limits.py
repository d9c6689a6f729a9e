"""Limits over the API, with and without two-person control."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.administration.keys import issue_token
from tests.administration.adding import add_person
from tests.web.conftest import OPERATOR, House, opened_house

pytestmark = pytest.mark.anyio

RAISE = {"scope": "credential:main", "key": "requests/day", "amount": 2_000}


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[House]:
    """A house under two-person control, with a second administrator."""
    async with opened_house(
        tmp_path, f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}", two_person_control=True
    ) as opened:
        email = "second@example.edu"
        await add_person(
            opened.office, opened.mint, OPERATOR, email=email, name="Second", roles=frozenset({"admin"})
        )
        opened.tokens["second"] = (await issue_token(opened.office, opened.mint, OPERATOR, email=email)).token
        yield opened


async def limit(house: House) -> int:
    items = (await house.get("it", "/api/v1/limits")).json()["items"]
    amount: int = next(
        each["amount"]
        for each in items
        if (each["scope"], each["dimension"]) == ("credential:main", "requests")
    )
    return amount


async def test_a_limit_is_set_and_ended(house: House) -> None:
    answer = await house.ask("quota", "PUT", "/api/v1/limits", json={**RAISE, "scope": "project:health"})
    assert (answer.status_code, answer.json()) == (200, {"has_changed": True, "waiting": []})
    assert (await house.ask("it", "PUT", "/api/v1/limits", json=RAISE)).json()["has_changed"]
    assert await limit(house) == 2_000
    ended = await house.ask("it", "PUT", "/api/v1/limits", json={**RAISE, "amount": None})
    assert ended.json() == {"has_changed": True, "waiting": []}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"key": "request/day"}, 400),
        ({"amount": -1}, 400),
        ({"amount": True}, 400),
        ({"amount": "5"}, 400),
        ({"scope": "world:x"}, 400),
        ({"scope": "project:nowhere"}, 404),
    ],
)
async def test_what_is_no_limit_is_refused(
    shared_house: House, change: dict[str, object], status: int
) -> None:
    answer = await shared_house.ask("it", "PUT", "/api/v1/limits", json={**RAISE, **change})
    assert answer.status_code == status, answer.text
    assert not answer.json()["detail"].endswith("..")


@pytest.mark.parametrize("until", [4_102_444_800, "4102444800", 4_102_444_800.0, True])
async def test_a_number_is_no_day(shared_house: House, until: object) -> None:
    wanted = {
        "scope": "project:health",
        "key": "requests/day",
        "amount": 5,
        "until": until,
        "reason": "An election.",
    }
    answer = await shared_house.ask("it", "POST", "/api/v1/raises", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_params")
    assert "a day is written as in 2026-12-31" in answer.json()["detail"]


async def test_under_two_person_control_the_raise_waits_for_another_administrator(guarded: House) -> None:
    answer = (await guarded.ask("it", "PUT", "/api/v1/limits", json=RAISE)).json()
    (waiting,) = answer["waiting"]
    assert (answer["has_changed"], waiting["outcome"], waiting["proposed_by"]) == (
        False,
        "open",
        "it@example.edu",
    )
    assert await limit(guarded) == 1_000
    path = f"/api/v1/proposals/{waiting['id']}/confirmation"
    own = await guarded.ask("it", "POST", path)
    assert (own.status_code, own.json()["code"]) == (403, "not_permitted")
    for who in ("quota", "dpo", "ada"):
        assert (await guarded.ask(who, "POST", path)).status_code == 403
    assert await limit(guarded) == 1_000
    done = await guarded.ask("second", "POST", path)
    assert (done.status_code, done.json()["outcome"], done.json()["decided_by"]) == (
        200,
        "confirmed",
        "second@example.edu",
    )
    assert await limit(guarded) == 2_000
    assert (await guarded.ask("second", "POST", path)).status_code == 409
    shown = (await guarded.get("dpo", "/api/v1/proposals")).json()["items"]
    assert [each["outcome"] for each in shown] == ["confirmed"]


async def test_several_proposals_are_confirmed_at_once_and_each_is_told_apart(guarded: House) -> None:
    records = {**RAISE, "key": "records/day", "amount": 100_000}
    assert (await guarded.ask("it", "PUT", "/api/v1/limits", json=records)).json()["waiting"] == []
    ids = []
    for key in ("requests/day", "records/day"):
        wanted = {**RAISE, "key": key, "amount": 200_000}
        answer = (await guarded.ask("it", "PUT", "/api/v1/limits", json=wanted)).json()
        ids += [each["id"] for each in answer["waiting"]]
    own = await guarded.ask("second", "PUT", "/api/v1/audit/retention", json={"months": 24})
    ids += [each["id"] for each in own.json()["waiting"]]
    done = await guarded.ask("second", "POST", "/api/v1/proposals/confirmation", json={"ids": [*ids, ids[0]]})
    assert done.status_code == 200
    told = done.json()["items"]
    assert [each["id"] for each in told] == ids
    assert [each["proposal"] and each["proposal"]["outcome"] for each in told] == [
        "confirmed",
        "confirmed",
        None,
    ]
    assert [each["problem"] and each["problem"]["code"] for each in told] == [None, None, "not_permitted"]
    assert await limit(guarded) == 200_000
    again = await guarded.ask("second", "POST", "/api/v1/proposals/confirmation", json={"ids": ids[:1]})
    assert [each["problem"]["status"] for each in again.json()["items"]] == [409]
    for wrong in ([], ["x"], ["0" * 20] * 101):
        answer = await guarded.ask("second", "POST", "/api/v1/proposals/confirmation", json={"ids": wrong})
        assert answer.status_code == 400


async def test_a_refused_proposal_changes_nothing(guarded: House) -> None:
    (waiting,) = (await guarded.ask("quota", "PUT", "/api/v1/limits", json=RAISE)).json()["waiting"]
    done = await guarded.ask("it", "POST", f"/api/v1/proposals/{waiting['id']}/refusal")
    assert done.json()["outcome"] == "refused"
    assert await limit(guarded) == 1_000


async def test_what_became_of_a_limit_is_told_newest_first(house: House) -> None:
    wanted = {"scope": "project:health", "key": "requests/month", "amount": 50}
    await house.ask("quota", "PUT", "/api/v1/limits", json=wanted)
    await house.ask("it", "PUT", "/api/v1/limits", json={**wanted, "amount": 60})
    await house.ask("quota", "PUT", "/api/v1/limits", json={**wanted, "amount": None})
    asked = "/api/v1/limits/changes?scope=project:health&key=requests/month"
    items = (await house.get("quota", asked)).json()["items"]
    assert [(each["before"], each["after"]) for each in items] == [(60, None), (50, 60), (None, 50)]
    assert [each["by"].partition("@")[0] for each in items] == ["quota", "it", "quota"]
    told = (await house.get("dpo", f"/api/v1/audit/entries/{items[1]['entry']}")).json()["entry"]
    assert (told["op"], told["what"], told["before"], told["after"]) == (
        "limit.set",
        "requests/month",
        50,
        60,
    )
    every = (await house.get("quota", "/api/v1/limits/changes")).json()["items"]
    assert every[:3] == items
    assert len(every) <= 50
    looks = (await house.get("dpo", "/api/v1/audit/entries?limit=20&type=audit_read")).json()["items"]
    assert "limit.set" in [each["entry"]["reads"].get("op") for each in looks]


@pytest.mark.parametrize("path", ["/limits", "/limits/changes", "/raises"])
@pytest.mark.parametrize(
    ("scope", "status", "says"),
    [
        ("project:nope", 404, "There is no 'project:nope', and there was none."),
        ("x", 400, "'x' is no scope; write one of project:NAME"),
    ],
)
async def test_a_scope_that_never_was_is_refused_instead_of_being_empty(
    shared_house: House, path: str, scope: str, status: int, says: str
) -> None:
    refused = await shared_house.get("it", f"/api/v1{path}", params={"scope": scope})
    assert (refused.status_code, says in refused.json()["detail"]) == (status, True)


async def test_a_limit_out_of_sight_is_refused_like_a_project_out_of_sight(shared_house: House) -> None:
    assert (await shared_house.get("bob", "/api/v1/limits?scope=project:elections")).status_code == 200
    assert (await shared_house.get("bob", "/api/v1/limits?scope=project:health")).status_code == 404


async def test_what_no_limit_is_of_has_no_changes_to_tell(shared_house: House) -> None:
    assert (await shared_house.get("it", "/api/v1/limits/changes?key=hats/day")).status_code == 400


async def test_changes_are_told_in_parts_without_a_gap(house: House) -> None:
    for amount in range(1, 53):
        await house.ask(
            "quota",
            "PUT",
            "/api/v1/limits",
            json={"scope": "project:health", "key": "records/month", "amount": amount},
        )
    items = (await house.get("quota", "/api/v1/limits/changes")).json()["items"]
    assert [each["after"] for each in items] == list(range(52, 2, -1))
    path, told = "/api/v1/limits/changes?scope=project:health&key=records/month&limit=20", []
    while path:
        answer = await house.get("quota", path)
        told += [each["after"] for each in answer.json()["items"]]
        path = answer.links.get("next", {}).get("url", "")
    assert told == list(range(52, 0, -1))
