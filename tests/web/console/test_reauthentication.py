"""What gives others a way in, or takes a guard away, asks once more for a proof of who is signed in."""

import re
from html import unescape
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.administration.passwords import issue_password_code
from app.identity.sessions import FRESH_S
from app.storage.tables import SessionRow, table
from app.web.console.doors import Page
from app.web.console.mounting import PAGES
from tests.web.conftest import OPERATOR, House
from tests.web.console.conftest import SAME_ORIGIN, Browser, Opened, signed_in, text_of

pytestmark = pytest.mark.anyio

_PASSWORD = "three small words 42"
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
GUARDED = {
    "/my-keys",
    "/my-keys/{id}/rotation",
    "/keys",
    "/new-keys",
    "/new-person",
    "/new-people",
    "/people/{id}",
    "/people/{id}/code",
    "/people/{id}/link",
    "/proposals/{id}/confirmation",
    "/rules",
    "/terms",
    "/terms/end",
    "/quotas",
    "/raises",
    "/requests/{id}/grant",
    "/new-project",
    "/new-projects",
    "/projects/{id}/form",
    "/freezes/end",
}


def test_what_opens_doors_is_guarded_and_what_closes_them_is_not() -> None:
    assert {each.path for each in PAGES if isinstance(each, Page) and each.guarded} == GUARDED


async def grown_old(house: House, seconds: float) -> None:
    """Every session began so much earlier."""
    row = table(SessionRow)
    older = sa.update(row).values(began_us=row.c.began_us - int(seconds * 1_000_000))
    await house.installation.database.write(lambda conn: conn.execute(older).rowcount)


def form_for(answer: httpx.Response, action: str) -> dict[str, str | list[str]]:
    """The hidden fields of the page's form that goes there."""
    shown = answer.text.partition(f'action="{action}"')[2].partition("</form>")[0]
    assert shown, answer.text
    found: dict[str, str | list[str]] = {}
    for name, value in (map(unescape, pair) for pair in _HIDDEN.findall(shown)):
        before = found.get(name)
        if before is None:
            found[name] = value
        else:
            found[name] = [*(before if isinstance(before, list) else [before]), value]
    return found


async def post(mine: Browser, path: str, fields: dict[str, Any]) -> httpx.Response:
    return await mine.client.post(path, data=fields, headers=SAME_ORIGIN)


async def prove(mine: Browser, asked: httpx.Response, way: str, **shown: str) -> httpx.Response:
    path = f"/console/reauthentication/{way}"
    return await post(mine, path, {**form_for(asked, path), **shown})


async def newest(house: House, route: str) -> dict[str, Any]:
    items = (await house.get("dpo", "/api/v1/audit/entries?limit=20")).json()["items"]
    entry: dict[str, Any] = next(
        each["entry"] for each in items if each["entry"]["http"]["route"] == "/console" + route
    )
    return entry


async def give_password(house: House, name: str) -> None:
    made = await issue_password_code(house.office, OPERATOR, email=f"{name}@example.edu")
    fields = {"code": made.code, "password": _PASSWORD, "again": _PASSWORD}
    answer = await house.client.post("https://bursar.test/console/password", data=fields, headers=SAME_ORIGIN)
    assert answer.status_code == 303, answer.text


@pytest.mark.parametrize("path", sorted(GUARDED))
async def test_a_session_that_is_not_fresh_is_asked_for_a_proof_and_nothing_is_done(
    shared_house: House, browser: Opened, path: str
) -> None:
    name = "bob" if path.startswith("/my-keys") else "it"
    mine = await signed_in(browser, shared_house, name)
    before = (await shared_house.office.state()).revision
    await grown_old(shared_house, FRESH_S)
    answer = await mine.send(path.replace("{id}", "0" * 32), some="thing")
    assert answer.status_code == 401
    assert "Is it still you?" in text_of(answer)
    assert form_for(answer, "/console/reauthentication/password")["kept:some"] == "thing"
    entry = await newest(shared_house, path)
    assert entry["decision"] == {
        "verdict": "refused",
        "rule": "reauthentication/1",
        "code": "access_token_invalid",
    }
    assert (await shared_house.office.state()).revision == before
    # Looking is not guarded, nor is a page that is not theirs told by it.
    assert (await mine.get("/me")).status_code == 200


async def test_a_fresh_session_is_not_asked(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "bob")
    await grown_old(fresh_house, FRESH_S - 30)
    answer = await mine.send("/my-keys", project="elections", ends="2036-01-01")
    assert answer.status_code != 401, text_of(answer)


@pytest.mark.parametrize("way", ["password", "token"])
async def test_with_a_proof_the_form_goes_on_as_it_was_in_a_session_of_its_own(
    fresh_house: House, browser: Opened, way: str
) -> None:
    await give_password(fresh_house, "it")
    mine = await signed_in(browser, fresh_house, "it")
    await grown_old(fresh_house, FRESH_S + 1)
    old = mine.client.cookies["__Host-bursar"]
    fields: dict[str, Any] = {
        "email": "mary@example.edu",
        "name": 'Mary "<b>&amp;" Somerville',
        "roles": ["lead", "compliance"],
    }
    asked = await mine.send("/new-person", **fields)
    assert asked.status_code == 401
    assert "To add a person," in text_of(asked)
    shown = {"password": _PASSWORD} if way == "password" else {"token": fresh_house.tokens["it"]}
    proved = await prove(mine, asked, way, **shown)
    assert proved.status_code == 200, text_of(proved)
    assert _PASSWORD not in proved.text
    entry = await newest(fresh_house, f"/reauthentication/{way}")
    assert (entry["type"], entry["op"], entry["decision"]["verdict"]) == (
        "auth",
        f"console/reauthentication-{way}",
        "allowed",
    )
    assert mine.client.cookies["__Host-bursar"] != old
    thief = browser(fresh_house)
    thief.client.cookies.set("__Host-bursar", old, domain="bursar.test")
    assert (await thief.get("/me")).status_code == 401

    kept = form_for(proved, "/console/new-person")
    assert {name: kept[name] for name in fields} == fields
    seen = await post(mine, "/console/new-person", kept)
    assert seen.status_code == 200, text_of(seen)
    assert "Nothing has been saved yet" in text_of(seen)


async def test_a_wrong_proof_opens_nothing_and_keeps_the_form(fresh_house: House, browser: Opened) -> None:
    await give_password(fresh_house, "bob")
    mine = await signed_in(browser, fresh_house, "bob")
    await grown_old(fresh_house, FRESH_S)
    asked = await mine.send("/my-keys", project="elections")
    for way, shown in (
        ("password", {"password": "wrong"}),
        ("token", {"token": "bsr_live_nothing"}),
        ("token", {"token": fresh_house.keys["bob"].api_key}),
    ):
        answer = await prove(mine, asked, way, **shown)
        assert answer.status_code == 401
        assert form_for(answer, f"/console/reauthentication/{way}")["kept:project"] == "elections"
        assert "set-cookie" not in answer.headers
    assert (await newest(fresh_house, "/reauthentication/password"))["decision"]["verdict"] == "refused"
    # As old as before: it is asked for again.
    assert (await mine.send("/my-keys", project="elections")).status_code == 401


async def test_somebody_elses_proof_is_none(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "bob")
    await grown_old(fresh_house, FRESH_S)
    asked = await mine.send("/my-keys", project="elections")
    answer = await prove(mine, asked, "token", token=fresh_house.tokens["it"])
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "Hello, Bob" in text_of(await mine.get("/me"))


async def test_guessing_is_slowed_down_as_at_the_door(fresh_house: House, browser: Opened) -> None:
    await give_password(fresh_house, "bob")
    mine = await signed_in(browser, fresh_house, "bob")
    await grown_old(fresh_house, FRESH_S)
    asked = await mine.send("/my-keys", project="elections")
    statuses = [
        (await prove(mine, asked, "password", password=f"wrong {guess}")).status_code for guess in range(12)
    ]
    assert statuses[:10] == [401] * 10
    assert statuses[-1] == 429
    assert (await prove(mine, asked, "password", password=_PASSWORD)).status_code == 429


async def test_a_proof_leads_to_no_other_site(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "bob")
    fields = {"kept-path": "https://evil.example/steal", "kept-what": "<script>alert(1)</script>"}
    answer = await mine.send("/reauthentication/token", token=fresh_house.tokens["bob"], **fields)
    assert answer.status_code == 200
    assert 'action="/console/"' in answer.text
    assert "evil.example" not in answer.text
    assert "<script>alert" not in answer.text
