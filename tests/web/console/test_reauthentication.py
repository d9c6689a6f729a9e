"""What gives others a way in, or takes a guard away, asks once more for a proof of who is signed in."""

import re
from html import unescape
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.administration.passwords import issue_password_code
from app.identity.sessions import FRESH_S, IDLE_S, LONGEST_S
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
    "/proposals/confirmation",
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
    "/compliance/erasures",
    "/compliance/prunings",
    "/compliance/retention",
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


async def proved(house: House, browser: Opened, name: str) -> tuple[Browser, str]:
    """A browser in which somebody proved who they are, and the token of the forms that other tabs still show."""
    mine = await signed_in(browser, house, name)
    old = form_for(await mine.get("/my-terms"), "/console/sign-out")["form_token"]
    assert isinstance(old, str)
    await grown_old(house, FRESH_S)
    asked = await mine.send("/new-person", email="x@example.edu")
    assert (await prove(mine, asked, "token", token=house.tokens[name])).status_code == 200
    return mine, old


async def test_the_form_of_another_tab_is_shown_again_with_all_that_it_holds_and_does_nothing(
    fresh_house: House, browser: Opened
) -> None:
    mine, old = await proved(fresh_house, browser, "it")
    before = (await fresh_house.office.state()).revision
    fields: dict[str, Any] = {
        "email": "mary@example.edu",
        "name": 'Mary "<b>&amp;" Somerville',
        "role": ["lead", "compliance"],
    }
    answer = await mine.send("/new-person", **fields, step="save", form_token=old)
    assert answer.status_code == 403
    assert "Look at what it holds" in text_of(answer)
    assert "Send it: add a person" in text_of(answer)
    assert "mary@example.edu" in text_of(answer)
    assert "<b>" not in answer.text
    assert (await fresh_house.office.state()).revision == before
    entry = await newest(fresh_house, "/new-person")
    assert (entry["decision"]["verdict"], entry["decision"]["rule"]) == ("refused", "form-token/1")

    again = form_for(answer, "/console/new-person")
    assert {name: again[name] for name in fields} == fields
    assert again["form_token"] != old
    # What it would change is looked at once more, whatever it had come to before.
    looked = await post(mine, "/console/new-person", again)
    assert looked.status_code == 200, text_of(looked)
    assert "Nothing has been saved yet" in text_of(looked)


async def test_a_form_of_another_tab_tells_nothing_to_whom_its_page_is_closed(
    fresh_house: House, browser: Opened
) -> None:
    bob = await signed_in(browser, fresh_house, "bob")
    answer = await bob.send("/new-person", email="mary@example.edu", form_token="0" * 64)
    assert (answer.status_code, "mary@example.edu" in answer.text) == (403, False)


async def test_a_form_of_another_tab_still_wants_a_proof(fresh_house: House, browser: Opened) -> None:
    mine, old = await proved(fresh_house, browser, "it")
    await grown_old(fresh_house, FRESH_S)
    shown = await mine.send("/new-person", email="mary@example.edu", name="Mary", form_token=old)
    asked = await post(mine, "/console/new-person", form_for(shown, "/console/new-person"))
    assert asked.status_code == 401
    assert form_for(asked, "/console/reauthentication/token")["kept:email"] == "mary@example.edu"


@pytest.mark.parametrize("way", ["password", "token", "institution"])
async def test_a_proof_from_another_tab_is_asked_for_again_and_keeps_the_form(
    fresh_house: House, browser: Opened, way: str
) -> None:
    mine = await signed_in(browser, fresh_house, "it")
    await grown_old(fresh_house, FRESH_S)
    asked = await mine.send("/new-person", email="mary@example.edu")
    other = await mine.send("/rules", rule="scope", mode="warn")
    assert (await prove(mine, asked, "token", token=fresh_house.tokens["it"])).status_code == 200
    secret = mine.client.cookies["__Host-bursar"]
    carried = form_for(other, "/console/reauthentication/token")
    shown = {"token": fresh_house.tokens["it"], "password": _PASSWORD}
    again = await post(mine, f"/console/reauthentication/{way}", {**carried, **shown})
    assert again.status_code == 401
    assert mine.client.cookies["__Host-bursar"] == secret
    assert form_for(again, "/console/reauthentication/token")["kept:rule"] == "scope"
    assert _PASSWORD not in again.text
    assert fresh_house.tokens["it"] not in again.text
    proof = await prove(mine, again, "token", token=fresh_house.tokens["it"])
    assert form_for(proof, "/console/rules")["mode"] == "warn"


@pytest.mark.parametrize("way", ["password", "token", "institution"])
async def test_where_a_proof_is_sent_to_leads_on_when_it_is_opened(
    shared_house: House, browser: Opened, way: str
) -> None:
    mine = await signed_in(browser, shared_house, "it")
    answer = await mine.get(f"/reauthentication/{way}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


async def test_a_form_that_meets_an_ended_session_is_told_the_truth_and_goes_on_from_the_browser(
    fresh_house: House, browser: Opened
) -> None:
    mine = await signed_in(browser, fresh_house, "it")
    old = form_for(await mine.get("/my-terms"), "/console/sign-out")["form_token"]
    row = table(SessionRow)
    await fresh_house.installation.database.write(lambda conn: conn.execute(sa.delete(row)).rowcount)
    fields = {"email": "mary@example.edu", "name": "Mary", "form_token": old}
    ended = await post(mine, "/console/new-person", fields)
    assert ended.status_code == 401
    assert "it is not kept here" in text_of(ended)
    assert "go on where you were" not in text_of(ended)
    assert "go on where you were" in text_of(await mine.get("/people"))
    # Signed in again, the browser sends the same once more.
    assert (await mine.sign_in(fresh_house.tokens["it"])).status_code == 303
    again = await post(mine, "/console/new-person", fields)
    assert form_for(again, "/console/new-person")["email"] == "mary@example.edu"


async def idled(house: House) -> None:
    """No session had a request for so long."""
    row = table(SessionRow)
    older = sa.update(row).values(seen_us=row.c.seen_us - IDLE_S * 1_000_000)
    await house.installation.database.write(lambda conn: conn.execute(older).rowcount)


MARY = {"email": "mary@example.edu", "name": 'Mary "<b>&amp;" Somerville', "roles": ["lead", "compliance"]}


@pytest.mark.parametrize("way", ["password", "token"])
async def test_a_form_of_a_session_that_idled_waits_for_whoever_signs_in_again(
    fresh_house: House, browser: Opened, way: str
) -> None:
    await give_password(fresh_house, "it")
    mine = await signed_in(browser, fresh_house, "it")
    old = form_for(await mine.get("/my-terms"), "/console/sign-out")["form_token"]
    await idled(fresh_house)
    ended = await post(mine, "/console/new-person", {**MARY, "form_token": old})
    assert ended.status_code == 401
    assert "It waits" in text_of(ended)
    # Others sign in meanwhile, which drops sessions that are over.
    await signed_in(browser, fresh_house, "bob")
    carried = form_for(ended, f"/console/sign-in/{way}")
    wrong = await post(
        mine, f"/console/sign-in/{way}", {**carried, "email": "it@example.edu", "password": "no"}
    )
    assert wrong.status_code == 401
    carried = form_for(wrong, f"/console/sign-in/{way}")
    shown = {
        "password": {"email": "it@example.edu", "password": _PASSWORD},
        "token": {"token": fresh_house.tokens["it"]},
    }[way]
    back = await post(mine, f"/console/sign-in/{way}", {**carried, **shown})
    assert (back.status_code, "Send it once more?" in text_of(back)) == (200, True)
    assert (await fresh_house.office.state()).person("mary@example.edu") is None
    kept = form_for(back, "/console/new-person")
    assert {name: kept[name] for name in MARY} == MARY
    looked = await post(mine, "/console/new-person", kept)
    assert looked.status_code == 200, text_of(looked)
    # It waits once: the session that idled is gone now.
    late = await post(mine, f"/console/sign-in/{way}", {**carried, **shown})
    assert late.status_code == 303


@pytest.mark.parametrize(
    "what", ["somebody else", "another browser", "no form of it", "a day later", "a dead token"]
)
async def test_a_form_that_waits_is_shown_to_nobody_else(
    fresh_house: House, browser: Opened, what: str
) -> None:
    mine = await signed_in(browser, fresh_house, "it")
    old = form_for(await mine.get("/my-terms"), "/console/sign-out")["form_token"]
    await idled(fresh_house)
    if what == "a day later":
        await grown_old(fresh_house, LONGEST_S)
    if what == "a dead token":
        listed = (await fresh_house.get("it", "/api/v1/me/tokens")).json()["items"]
        for each in listed:
            await fresh_house.ask("it", "DELETE", f"/api/v1/me/tokens/{each['id']}")
    token = "0" * 64 if what == "no form of it" else str(old)
    ended = await post(mine, "/console/new-person", {**MARY, "form_token": token})
    assert ended.status_code == 401
    if what in {"no form of it", "a dead token"}:
        assert "it is not kept here" in text_of(ended)
        assert "mary@example.edu" not in ended.text
        return
    carried = form_for(ended, "/console/sign-in/token")
    sender, who = (browser(fresh_house), "it") if what == "another browser" else (mine, "bob")
    if what == "a day later":
        await signed_in(browser, fresh_house, "bob")
        who = "it"
    fields = {**carried, "token": fresh_house.tokens[who]}
    answer = await post(sender, "/console/sign-in/token", fields)
    assert answer.status_code == 303
    assert "mary@example.edu" not in answer.text


async def test_signing_out_and_proofs_do_not_wait(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "it")
    old = form_for(await mine.get("/my-terms"), "/console/sign-out")["form_token"]
    await idled(fresh_house)
    for path in ("/console/sign-out", "/console/reauthentication/password"):
        answer = await post(mine, path, {"password": _PASSWORD, "form_token": old})
        assert answer.status_code == 401
        assert _PASSWORD not in answer.text
        assert "kept-path" not in answer.text


async def test_of_many_limits_those_that_were_changed_are_shown(shared_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, shared_house, "it")
    fields = {
        "was project:health requests/day": "200",
        "limit project:health requests/day": "200",
        "was project:elections requests/day": "300",
        "limit project:elections requests/day": "301",
    }
    answer = await mine.send("/quotas", **fields, form_token="0" * 64)
    shown = text_of(answer)
    assert "limit project:elections requests/day 301" in shown
    assert "project:health" not in shown
    kept = form_for(answer, "/console/quotas")
    assert {name: kept[name] for name in fields} == fields
