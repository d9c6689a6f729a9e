"""Repeating a request that creates something: once carried out, answered alike, and nothing kept in the clear."""

import asyncio
import datetime as dt
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.storage.repeats import KEPT_S
from app.storage.tables import RepeatRow, table
from tests.web.conftest import House

pytestmark = pytest.mark.anyio

WANTED = {"project": "elections"}


async def issue(house: House, key: str, who: str = "bob", wanted: Any = WANTED) -> httpx.Response:
    headers = {"Authorization": f"Bearer {house.tokens[who]}", "Idempotency-Key": key}
    return await house.client.post("/api/v1/keys", json=wanted, headers=headers)


async def keys_of(house: House) -> int:
    return len((await house.get("it", "/api/v1/keys?limit=100")).json()["items"])


async def test_the_same_request_again_creates_nothing_and_is_answered_alike(house: House) -> None:
    before = await keys_of(house)
    first = await issue(house, "one")
    assert (first.status_code, "idempotency-replayed" in first.headers) == (201, False)
    again = await issue(house, "one")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == first.json()
    assert again.headers["cache-control"] == "no-store"
    assert await keys_of(house) == before + 1
    rows = await house.installation.database.read(
        lambda conn: [dict(row) for row in conn.execute(sa.select(table(RepeatRow))).mappings()]
    )
    assert first.json()["client_secret"].encode() not in b"".join(bytes(row["sealed"]) for row in rows)
    assert (await issue(house, "two")).json()["client_key"] != first.json()["client_key"]


async def test_a_key_is_its_senders_and_stands_for_one_request(house: House) -> None:
    first = await issue(house, "mine")
    other = await issue(house, "mine", "ada")
    assert other.json()["client_key"] != first.json()["client_key"]
    changed = await issue(house, "mine", wanted={**WANTED, "expires": "2031-01-01"})
    assert changed.status_code == 409


async def test_of_requests_at_once_one_is_carried_out(house: House) -> None:
    before = await keys_of(house)
    answers = await asyncio.gather(*(issue(house, "at once") for _ in range(6)))
    assert {each.status_code for each in answers} <= {201, 409}
    assert len({each.json()["client_key"] for each in answers if each.status_code == 201}) == 1
    assert await keys_of(house) == before + 1


async def test_what_was_refused_may_be_asked_again(house: House) -> None:
    assert (await issue(house, "later", wanted={"project": "nowhere"})).status_code == 404
    assert (await issue(house, "later", wanted={"project": 3})).status_code == 400
    assert (await issue(house, "later")).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
async def test_what_is_no_key_is_refused(house: House, key: str) -> None:
    assert (await issue(house, key)).status_code == 400


async def test_after_a_day_the_key_is_free(house: House) -> None:
    first = await issue(house, "day")
    column = table(RepeatRow).c.began_us
    old = sa.update(table(RepeatRow)).values(began_us=column - KEPT_S * 1_000_000)
    await house.installation.database.write(lambda conn: conn.execute(old).rowcount)
    assert (await issue(house, "day")).json()["client_key"] != first.json()["client_key"]


async def test_a_claim_without_an_answer_is_told_and_not_repeated(house: House) -> None:
    assert (await issue(house, "crashed")).status_code == 201
    lost = sa.update(table(RepeatRow)).values(sealed=None, status=None)
    await house.installation.database.write(lambda conn: conn.execute(lost).rowcount)
    before = await keys_of(house)
    answer = await issue(house, "crashed")
    assert answer.status_code == 409
    assert "Look whether" in answer.json()["detail"]
    assert await keys_of(house) == before


CREATED: dict[str, dict[str, Any]] = {
    "/people": {"email": "eve+two@example.edu", "name": "Eve Moss", "roles": ["researcher"]},
    "/projects": {
        "name": "tides",
        "credential": "main",
        "approval": {"reference": "R-9", "from": "2026-01-01", "until": "2036-12-31"},
    },
    "/terms": {
        "version": "2027-01",
        "title": "Terms of 2027",
        "in_force_from": "2037-01-01",
        "text": "Be kind.",
    },
    "/keys": WANTED,
    "/raises": {
        "scope": "project:health",
        "key": "requests/day",
        "amount": 5,
        "until": (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=9)).isoformat(),
        "reason": "A deadline.",
    },
}


@pytest.mark.parametrize("path", CREATED)
async def test_what_was_created_is_said_where_and_with_its_tag_however_often_it_is_asked(
    house: House, path: str
) -> None:
    who = "bob" if path == "/keys" else "it"
    headers = {"Authorization": f"Bearer {house.tokens[who]}", "Idempotency-Key": "once"}
    first = await house.client.post(f"/api/v1{path}", json=CREATED[path], headers=headers)
    again = await house.client.post(f"/api/v1{path}", json=CREATED[path], headers=headers)
    assert first.status_code == again.status_code == 201, first.text
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.headers.get("etag") == first.headers.get("etag")
    assert first.headers["location"].startswith(f"/api/v1{path}/")
    shown = await house.get(who, first.headers["location"])
    assert shown.status_code == 200
    # Secrets are shown once, so what was answered is not what is shown of a key.
    assert path == "/keys" or shown.headers.get("etag") == first.headers.get("etag")
    assert ("etag" in first.headers) == (path in {"/people", "/projects", "/terms", "/raises"})


async def test_whoever_granted_a_raise_is_told_by_their_address(house: House) -> None:
    made = await house.ask("it", "POST", "/api/v1/raises", json=CREATED["/raises"])
    assert made.json()["granted_by"] == "it@example.edu"
