"""Sessions: how they begin, what holds them, and everything that ends them."""

import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.administration.changes import Change, Draw, Plan
from app.administration.freezing import Freezable, freeze
from app.administration.passwords import issue_password_code
from app.administration.retiring import retire_person
from app.administration.state import State
from app.identity.sessions import IDLE_S, LONGEST_S
from app.storage.tables import PersonTokenRow, SessionRow, table
from tests.web.conftest import OPERATOR, House
from tests.web.console.conftest import HOME, SAME_ORIGIN, Browser, Opened, signed_in, text_of

pytestmark = pytest.mark.anyio

_PASSWORD = "three small words 42"


async def entries(house: House, count: int = 10) -> list[dict[str, Any]]:
    """The newest entries of the log, as compliance reads them."""
    answer = await house.get("dpo", f"/api/v1/audit/entries?limit={count}")
    return [each["entry"] for each in answer.json()["items"]]


async def change_sessions(house: House, **values: object) -> None:
    statement = sa.update(table(SessionRow)).values(**values)
    await house.installation.database.write(lambda conn: conn.execute(statement).rowcount)


async def test_whoever_pastes_their_token_is_signed_in(fresh_house: House, browser: Opened) -> None:
    mine = browser(fresh_house)
    answer = await mine.sign_in(fresh_house.tokens["bob"], onward="/console/my-keys")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/my-keys")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-bursar=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    page = await mine.get("/me")
    assert page.status_code == 200
    assert "Hello, Bob <b>Noether</b>" in text_of(page)
    assert "<b>Noether" not in page.text
    made = next(each for each in await entries(fresh_house) if each["type"] == "auth")
    assert (made["op"], made["decision"]["verdict"], made["status"]) == (
        "console/sign-in-token",
        "allowed",
        303,
    )
    assert made["actor"]["kind"] == "person"
    seen = next(each for each in await entries(fresh_house) if each["http"]["route"] == "/console/me")
    assert seen["actor"] == made["actor"]


async def test_the_database_holds_no_secret_of_a_session(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "bob")
    secret = mine.client.cookies["__Host-bursar"]
    rows = await fresh_house.installation.database.read(
        lambda conn: conn.execute(sa.select(table(SessionRow))).mappings().all()
    )
    assert len(rows) == 1
    assert secret.encode() not in rows[0]["digest"]
    assert secret not in str(dict(rows[0]))


@pytest.mark.parametrize(
    "onward",
    [
        "https://evil.example",
        "//evil.example",
        "/console//evil.example",
        "/console/\\evil.example",
        "/docs",
        "/console/sign-in",
        "javascript:alert(1)",
        "/console/\nme",
    ],
)
async def test_signing_in_leads_nowhere_else(shared_house: House, browser: Opened, onward: str) -> None:
    answer = await browser(shared_house).sign_in(shared_house.tokens["bob"], onward=onward)
    assert answer.headers["location"] == "/console/"


@pytest.mark.parametrize("shown", ["", "bsr_live_nothing", "x" * 400, "\u2028\u00e9"])
async def test_a_token_that_does_not_hold_is_refused_and_logged(
    fresh_house: House, browser: Opened, shown: str
) -> None:
    answer = await browser(fresh_house).sign_in(shown)
    assert answer.status_code == 401
    assert "This token does not hold" in text_of(answer)
    assert "set-cookie" not in answer.headers
    newest = (await entries(fresh_house))[0]
    assert (newest["type"], newest["op"], newest["actor"]) == (
        "auth",
        "console/sign-in-token",
        {"kind": "unknown"},
    )
    assert newest["decision"]["code"] == "access_token_invalid"


async def test_the_key_of_a_project_is_for_programs(shared_house: House, browser: Opened) -> None:
    answer = await browser(shared_house).sign_in(shared_house.keys["bob"].api_key)
    assert answer.status_code == 401
    assert "key of a project" in text_of(answer)


async def test_without_a_session_one_is_asked_to_sign_in_and_led_on(
    fresh_house: House, browser: Opened
) -> None:
    answer = await browser(fresh_house).get("/my-keys?a=1")
    assert answer.status_code == 401
    assert 'name="onward" value="/console/my-keys?a=1"' in answer.text
    newest = (await entries(fresh_house))[0]
    assert (newest["type"], newest["decision"]["verdict"]) == ("auth", "refused")


async def test_a_link_from_elsewhere_asks_again_so_that_the_cookie_comes(
    shared_house: House, browser: Opened
) -> None:
    answer = await browser(shared_house).get("/my-keys", **{"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0;url=/console/my-keys"' in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "origin": HOME},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "https://bursar.test.evil.example"},
    ],
    ids=str,
)
async def test_forms_of_other_sites_are_refused(
    shared_house: House, browser: Opened, headers: dict[str, str]
) -> None:
    mine = await signed_in(browser, shared_house, "bob")
    page = await mine.get("/my-keys")
    token = re.findall(r'name="form_token" value="(\w+)"', page.text)[0]
    fields = {"form_token": token, "project": "elections"}
    answer = await mine.client.post("/console/my-keys", data=fields, headers=headers)
    assert answer.status_code == 403
    # Neither is it shown again, ready to be sent, where its token is of another session.
    stale = await mine.client.post(
        "/console/my-keys", data={**fields, "form_token": "0" * 64}, headers=headers
    )
    assert (stale.status_code, "elections" in stale.text) == (403, False)
    refused = await browser(shared_house).client.post(
        "/console/sign-in/token", data={"token": shared_house.tokens["bob"]}, headers=headers
    )
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers


async def test_a_form_of_another_session_is_refused(shared_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, shared_house, "bob")
    other = await signed_in(browser, shared_house, "bob")
    theirs = re.findall(r'name="form_token" value="(\w+)"', (await other.get("/my-keys")).text)[0]
    before = (await shared_house.office.state()).revision
    for token in (theirs, "", "0" * 64, "é", theirs.upper(), theirs + "0"):
        answer = await mine.send("/my-keys", form_token=token, project="elections")
        assert answer.status_code == 403, token
        is_shown_again = 'action="/console/my-keys"' in answer.text
        assert is_shown_again is (token in {theirs, "0" * 64}), token
    assert (await shared_house.office.state()).revision == before
    assert (await mine.send("/my-keys", project="elections")).status_code == 200


async def test_a_session_is_not_the_one_that_the_browser_came_with(
    shared_house: House, browser: Opened
) -> None:
    mine = browser(shared_house)
    planted = "A" * 43
    mine.client.cookies.set("__Host-bursar", planted, domain="bursar.test")
    answer = await mine.sign_in(shared_house.tokens["bob"])
    assert answer.status_code == 303
    assert planted not in answer.headers["set-cookie"]
    thief = browser(shared_house)
    thief.client.cookies.set("__Host-bursar", planted, domain="bursar.test")
    assert (await thief.get("/me")).status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "A" * 43, "A" * 5000, "é" * 20, "%00" * 14])
async def test_forged_cookies_open_nothing(shared_house: House, browser: Opened, cookie: str) -> None:
    headers = {"cookie": f"__Host-bursar={cookie}".encode()}
    answer = await browser(shared_house).client.get("/console/me", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401


async def test_signing_out_ends_the_session_everywhere(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "bob")
    copy = browser(fresh_house)
    copy.client.cookies.set("__Host-bursar", mine.client.cookies["__Host-bursar"], domain="bursar.test")
    assert (await copy.get("/me")).status_code == 200
    answer = await mine.send("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?done=signed-out")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await copy.get("/me")).status_code == 401
    out = next(each for each in await entries(fresh_house) if each.get("op") == "console/sign-out")
    assert out["actor"]["kind"] == "person"


async def test_a_session_ends_when_nothing_is_done_and_after_twelve_hours_whatever_is_done(
    house: House, browser: Opened
) -> None:
    mine = await signed_in(browser, house, "bob")
    now_us = (await house.office.state()).now_us
    await change_sessions(house, seen_us=now_us - (IDLE_S - 30) * 1_000_000)
    assert (await mine.get("/me")).status_code == 200
    await change_sessions(house, seen_us=now_us - IDLE_S * 1_000_000)
    ended = await mine.get("/me")
    assert ended.status_code == 401
    assert "Your session has ended" in text_of(ended)
    await change_sessions(house, seen_us=now_us, began_us=now_us - LONGEST_S * 1_000_000)
    assert (await mine.get("/me")).status_code == 401
    await change_sessions(house, began_us=now_us)
    assert (await mine.get("/me")).status_code == 200


async def test_a_request_puts_off_the_end(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "bob")
    now_us = (await fresh_house.office.state()).now_us
    await change_sessions(fresh_house, seen_us=now_us - (IDLE_S - 30) * 1_000_000)
    await mine.get("/me")
    seen = await fresh_house.installation.database.read(
        lambda conn: conn.execute(sa.select(table(SessionRow).c.seen_us)).scalar_one()
    )
    assert seen >= now_us


async def _retire(house: House) -> None:
    def decide(state: State) -> tuple[Plan, None]:
        bob = state.person("bob@example.edu")
        assert bob is not None
        draw = Draw()
        retire_person(draw, state, bob, state.now_us)
        return draw.plan(), None

    await house.office.change(OPERATOR, decide)


async def _freeze(house: House) -> None:
    await freeze(
        house.office,
        house.mint,
        OPERATOR,
        kind=Freezable.PERSON,
        name="bob@example.edu",
        reason="a test",
    )


async def _revoke_tokens(house: House) -> None:
    statement = sa.update(table(PersonTokenRow)).values(revoked_us=1)
    await house.installation.database.write(lambda conn: conn.execute(statement).rowcount)


@pytest.mark.parametrize("end", [_retire, _freeze, _revoke_tokens])
async def test_whoever_is_stopped_is_signed_out_at_once(house: House, browser: Opened, end: Any) -> None:
    mine = await signed_in(browser, house, "bob")
    # It is another process that ends it.
    await end(house)
    assert (await mine.get("/me")).status_code == 401
    assert (await mine.sign_in(house.tokens["bob"])).status_code in {401, 403}


async def test_roles_are_those_of_now(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "bob")
    assert (await mine.get("/my-keys")).status_code == 200

    def decide(state: State) -> tuple[Plan, None]:
        bob = state.person("bob@example.edu")
        assert bob is not None
        change = Change(kind="person", object=bob.email, object_id=bob.id, what="roles")
        return Plan(changes=(change,), puts=(replace(bob, roles=("compliance",)),)), None

    await fresh_house.office.change(OPERATOR, decide)
    assert (await mine.get("/my-keys")).status_code == 403


async def set_password(house: House, mine: Browser, password: str, **more: str) -> Any:
    made = await issue_password_code(house.office, OPERATOR, email="bob@example.edu")
    fields = {"code": made.code, "password": password, "again": password, **more}
    return await mine.client.post("/console/password", data=fields, headers=SAME_ORIGIN)


async def test_a_password_is_set_with_a_code_once_and_opens_a_session(
    fresh_house: House, browser: Opened
) -> None:
    mine = browser(fresh_house)
    made = await issue_password_code(fresh_house.office, OPERATOR, email="bob@example.edu")
    fields = {"code": made.code, "password": _PASSWORD, "again": _PASSWORD}
    answer = await mine.client.post("/console/password", data=fields, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?done=password-set")
    again = await mine.client.post("/console/password", data=fields, headers=SAME_ORIGIN)
    assert again.status_code == 404
    shown = {"email": " BOB@example.edu", "password": _PASSWORD}
    signed = await mine.client.post("/console/sign-in/password", data=shown, headers=SAME_ORIGIN)
    assert signed.status_code == 303
    assert (await mine.get("/me")).status_code == 200
    ops = [each.get("op") for each in await entries(fresh_house, 20)]
    assert {"password.issued", "password.set", "console/password", "console/sign-in-password"} <= set(ops)
    leaves = str(await entries(fresh_house, 20))
    assert _PASSWORD not in leaves
    assert made.code not in leaves
    state = await fresh_house.office.state()
    assert _PASSWORD not in repr(state)
    assert state.passwords[0].hash is not None
    assert state.passwords[0].hash.startswith("$argon2id$")


async def test_a_new_password_ends_the_sessions_before_it(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "bob")
    assert (await set_password(fresh_house, browser(fresh_house), _PASSWORD)).status_code == 303
    assert (await mine.get("/me")).status_code == 401


@pytest.mark.parametrize(
    ("password", "again"),
    [
        ("short", "short"),
        ("aaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaa"),
        ("bursar for all of us", "bursar for all of us"),
        ("x" * 201, "x" * 201),
        (_PASSWORD, _PASSWORD + "!"),
    ],
    ids=["short", "monotonous", "of the service", "long", "two that differ"],
)
async def test_what_is_no_password_is_refused_and_the_code_stays(
    fresh_house: House, browser: Opened, password: str, again: str
) -> None:
    answer = await set_password(fresh_house, browser(fresh_house), password, again=again)
    assert answer.status_code == 400
    assert password not in answer.text
    state = await fresh_house.office.state()
    assert state.passwords[0].hash is None
    assert state.passwords[0].code_digest is not None


async def test_wrong_addresses_and_wrong_passwords_look_the_same(fresh_house: House, browser: Opened) -> None:
    mine = browser(fresh_house)
    await set_password(fresh_house, mine, _PASSWORD)
    texts = set()
    for email in ("bob@example.edu", "ada@example.edu", "nobody-here@example.edu"):
        fields = {"email": email, "password": "not the right one"}
        answer = await mine.client.post("/console/sign-in/password", data=fields, headers=SAME_ORIGIN)
        assert answer.status_code == 401
        texts.add(text_of(answer))
    assert len(texts) == 1


async def test_guessing_is_slowed_down_by_account_and_by_source(fresh_house: House, browser: Opened) -> None:
    mine, fresh = browser(fresh_house), fresh_house.tokens["ada"]
    guess = fresh_house.tokens["bob"][:-1] + "?"
    assert [(await mine.sign_in(guess)).status_code for _ in range(12)] == [401] * 10 + [429] * 2
    answer = await mine.sign_in(fresh)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    newest = (await entries(fresh_house))[0]
    assert (newest["type"], newest["decision"]["code"]) == ("auth", "rate_limit_exceeded")


async def test_over_plain_http_only_this_machine_signs_in(fresh_house: House) -> None:
    transport = httpx.ASGITransport(app=fresh_house.app)
    for base, status in (("http://bursar.test", 403), ("http://127.0.0.1:8080", 303)):
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            answer = await client.post(
                "/console/sign-in/token",
                data={"token": fresh_house.tokens["bob"]},
                headers={"origin": base},
            )
            assert answer.status_code == status
            assert "strict-transport-security" not in answer.headers
            if status == 303:
                assert answer.headers["set-cookie"].startswith("bursar=")
                assert "Secure" not in answer.headers["set-cookie"]
                assert (await client.get("/console/me")).status_code == 200


async def test_every_page_says_what_browsers_shall_hold_it_to(shared_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, shared_house, "bob")
    nonces = set()
    for path in ("/me", "/sign-in", "/my-keys", "/nowhere-else"):
        answer = await mine.get(path)
        if path == "/nowhere-else":
            continue
        policy = answer.headers["content-security-policy"]
        nonce = re.findall(r"script-src 'nonce-([\w-]+)'", policy)[0]
        nonces.add(nonce)
        assert policy.startswith("default-src 'none'; ")
        for each in ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"):
            assert each in policy
        assert "unsafe" not in policy
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["cache-control"] == "no-store"
        assert all(
            nonce in tag for tag in re.findall(r"<script[^>]*>|<link rel=\"stylesheet\"[^>]*>", answer.text)
        )
        assert not re.search(r"\s(style|on\w+)=", answer.text)
        assert "//" not in "\n".join(re.findall(r'(?:src|href)="([^"]*)"', answer.text))
    assert len(nonces) == 3


async def test_what_is_no_form_is_refused(shared_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, shared_house, "bob")
    post = mine.client.post
    json = await post("/console/my-keys", json={"project": "elections"}, headers=SAME_ORIGIN)
    assert json.status_code == 415
    large = await post("/console/my-keys", data={"project": "x" * 300_000}, headers=SAME_ORIGIN)
    assert large.status_code == 413
    many = await post("/console/my-keys", data={f"f{i}": "x" for i in range(500)}, headers=SAME_ORIGIN)
    assert many.status_code == 400
    assert (await mine.send("/my-keys", project="elec\x00tions")).status_code == 400


async def test_the_actor_of_a_form_is_the_person(fresh_house: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_house, "bob")
    assert (await mine.send("/my-keys", project="elections")).status_code == 200
    issued = next(each for each in await entries(fresh_house) if each.get("op") == "key.issued")
    bob = (await fresh_house.office.state()).person("bob@example.edu")
    assert bob is not None
    assert issued["actor"] == {"kind": "person", "principal": bob.id, "roles": ["researcher"]}
