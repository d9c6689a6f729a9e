"""Signing in at the institution: against a provider in a process of its own, which tells the truth or lies on demand."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa

from app.administration.changes import Change, Plan
from app.administration.freezing import Freezable, freeze
from app.administration.joining import link_identity, unlink_identities
from app.administration.state import State
from app.errors import Conflict
from app.identity.institution import LIFE_S
from app.identity.sessions import FRESH_S
from app.storage.tables import SignInRow, table
from tests.servers.provider import CLIENT_ID, CLIENT_SECRET, LIES, PEOPLE, RunningProvider
from tests.web.conftest import OPERATOR, House, opened_house
from tests.web.console.conftest import HOME, Browser, Opened, signed_in, text_of
from tests.web.console.test_reauthentication import form_for, grown_old, idled, post, prove

pytestmark = pytest.mark.anyio

TICKET = "__Host-bursar-sign-in"
_HIDDEN = re.compile(r'name="(\w+)" value="([^"]*)"')


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    with RunningProvider() as running:
        yield running


@pytest.fixture(autouse=True)
def honest(provider: RunningProvider) -> None:
    provider.tell(lie="")


def settings_for(provider: RunningProvider, directory: Path) -> dict[str, Any]:
    directory.mkdir(exist_ok=True)
    secret = directory / "client-secret"
    secret.write_text(CLIENT_SECRET + "\n")
    secret.chmod(0o400)
    return {
        "public_url": HOME,
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret_file": secret,
    }


@pytest.fixture(scope="module")
async def campus(
    provider: RunningProvider, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[House]:
    """For tests that link nobody but ada, and leave her so."""
    directory = tmp_path_factory.mktemp("campus")
    url = f"sqlite+aiosqlite:///{directory / 'bursar.db'}"
    async with opened_house(directory, url, **settings_for(provider, directory)) as opened:
        yield opened


@pytest.fixture
async def fresh_campus(provider: RunningProvider, tmp_path: Path) -> AsyncIterator[House]:
    more = {"oidc_roles_claim": "groups", "oidc_roles": "bursar-officers=compliance, staff = lead"}
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    async with opened_house(tmp_path, url, **settings_for(provider, tmp_path), **more) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nobody_has_to_wait(request: pytest.FixtureRequest) -> None:
    if "campus" in request.fixturenames:
        desk = getattr(request.getfixturevalue("campus").app.state, "desk", None)
        if desk is not None:
            desk.throttle._failures.clear()


async def begun(mine: Browser, onward: str = "") -> str:
    """Where Bursar sends the browser."""
    answer = await mine.get(f"/sign-in/institution?onward={onward}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def answered(address: str, name: str = "ada", **instead: str) -> str:
    """Where the provider sends the browser back to, once `name` has signed in there."""
    async with httpx.AsyncClient() as elsewhere:
        page = await elsewhere.get(address)
        assert page.status_code == 200, page.text
        form = dict(_HIDDEN.findall(page.text.replace("&amp;", "&")))
        back = await elsewhere.post(
            urlsplit(address)._replace(path="/signed-in", query="").geturl(),
            data={**form, "name": name, **instead},
        )
    return str(back.headers["location"])


async def come_back(mine: Browser, address: str) -> httpx.Response:
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}" == HOME
    return await mine.client.get(f"{parts.path}?{parts.query}", headers={"sec-fetch-site": "cross-site"})


async def sign_in(mine: Browser, name: str = "ada", onward: str = "") -> httpx.Response:
    return await come_back(mine, await answered(await begun(mine, onward), name))


async def newest_sign_in(house: House) -> dict[str, Any]:
    answer = await house.get("dpo", "/api/v1/audit/entries?limit=10")
    entries: list[dict[str, Any]] = [each["entry"] for each in answer.json()["items"]]
    return next(each for each in entries if each["type"] == "auth")


def is_signed_in(answer: httpx.Response) -> bool:
    return any(each.startswith("__Host-bursar=") for each in answer.headers.get_list("set-cookie"))


async def test_somebody_signs_in_and_gets_where_they_wanted_to_go(campus: House, browser: Opened) -> None:
    mine = browser(campus)
    page = await mine.get("/my-keys")
    assert page.status_code == 401
    assert 'href="/console/sign-in/institution?onward=/console/my-keys"' in page.text
    sent = await mine.get("/sign-in/institution?onward=/console/my-keys")
    ticket = sent.headers["set-cookie"]
    assert ticket.startswith(f"{TICKET}=")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/", f"Max-Age={LIFE_S}"} <= set(ticket.split("; "))
    asked = {name: values[0] for name, values in parse_qs(urlsplit(sent.headers["location"]).query).items()}
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == (
        "code",
        CLIENT_ID,
        "S256",
    )
    assert asked["redirect_uri"] == f"{HOME}/console/sign-in/institution/answer"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"], mine.client.cookies[TICKET]}) == 4
    answer = await come_back(mine, await answered(sent.headers["location"]))
    assert answer.status_code == 200, text_of(answer)
    # A redirect from a page of the provider's would go without the new, strict cookie.
    assert 'http-equiv="refresh" content="0;url=/console/my-keys"' in answer.text
    assert TICKET not in mine.client.cookies
    shown = await mine.get("/me")
    assert "Hello, Ada Byron" in text_of(shown)
    entry = await newest_sign_in(campus)
    assert (entry["op"], entry["decision"]["verdict"]) == ("console/sign-in-institution", "allowed")
    ada = (await campus.office.state()).person("ada@example.edu")
    assert ada is not None
    assert entry["actor"]["principal"] == ada.id


async def test_the_database_holds_no_secret_of_a_sign_in(campus: House, browser: Opened) -> None:
    mine = browser(campus)
    asked = parse_qs(urlsplit(await begun(mine)).query)
    rows = await campus.installation.database.read(
        lambda conn: conn.execute(sa.select(table(SignInRow))).mappings().all()
    )
    for secret in (mine.client.cookies[TICKET], asked["state"][0], asked["nonce"][0]):
        assert secret not in str([dict(row) for row in rows])


@pytest.mark.parametrize("onward", ["https://evil.example", "//evil.example", "/docs", "/console/sign-in"])
async def test_it_leads_nowhere_else(campus: House, browser: Opened, onward: str) -> None:
    answer = await sign_in(browser(campus), onward=onward)
    assert 'content="0;url=/console/"' in answer.text


_RULES = {
    "alg none": "signature",
    "alg none with a signature": "signature",
    "a secret for a key": "signature",
    "changed afterwards": "signature",
    "another key": "signature",
    "another key that it brings": "signature",
    "another key by address": "signature",
    "a key that nobody knows": "signature",
    "critical": "signature",
    "two parts": "signature",
    "another issuer": "issuer",
    "another audience": "audience",
    "several audiences": "audience",
    "another party": "audience",
    "no audience": "audience",
    "another nonce": "nonce",
    "no nonce": "nonce",
    "expired": "expired",
    "expired just now": "expired",
    "an old one": "expired",
    "from the future": "expired",
    "not yet": "expired",
    "no end": "claims",
    "no subject": "claims",
    "an empty subject": "claims",
    "a subject of another kind": "claims",
    "a wrong hash": "claims",
    "no token": "signature",
    "no JSON": "claims",
    "ten megabytes": None,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_token_that_does_not_hold_opens_nothing_and_is_logged(
    campus: House, browser: Opened, provider: RunningProvider, lie: str
) -> None:
    mine = browser(campus)
    back = await answered(await begun(mine))
    provider.tell(lie=lie)
    answer = await come_back(mine, back)
    rule = _RULES[lie]
    assert answer.status_code == (503 if rule is None else 401), text_of(answer)
    assert not is_signed_in(answer)
    assert (await mine.get("/me")).status_code == 401
    provider.tell(lie="")
    entries = (await campus.get("dpo", "/api/v1/audit/entries?limit=6")).json()["items"]
    entry = next(
        each["entry"] for each in entries if each["entry"]["http"]["route"].endswith("/institution/answer")
    )
    assert (entry["type"], entry["actor"]) == ("auth", {"kind": "unknown"})
    assert entry["decision"]["verdict"] == "refused"
    if rule is not None:
        assert entry["decision"] == {
            "verdict": "refused",
            "rule": f"oidc-{rule}/1",
            "code": "sign_in_refused",
        }
    token = str(provider.tell(lie="")["last_token"])
    shown = answer.text + str(entries)
    assert all(part not in shown for part in token.split(".") if len(part) > 20)


async def test_an_answer_counts_once(campus: House, browser: Opened) -> None:
    mine = browser(campus)
    secret = ""
    address = await begun(mine)
    secret = mine.client.cookies[TICKET]
    back = await answered(address)
    assert is_signed_in(await come_back(mine, back))
    for _ in range(2):
        mine.client.cookies.clear()
        mine.client.cookies.set(TICKET, secret, domain="bursar.test")
        again = await come_back(mine, back)
        assert again.status_code == 401
        assert not is_signed_in(again)
        assert (await newest_sign_in(campus))["decision"]["rule"] == "oidc-state/1"


async def test_a_code_of_another_sign_in_is_refused(campus: House, browser: Opened) -> None:
    """What a thief catches of somebody's answer is bound to that browser's verifier, and the other way round."""
    mine, thief = browser(campus), browser(campus)
    caught = parse_qs(urlsplit(await answered(await begun(mine))).query)
    own = parse_qs(urlsplit(await answered(await begun(thief), "bob")).query)
    for code, state, rule in (
        (caught["code"][0], caught["state"][0], "oidc-state/1"),
        (caught["code"][0], own["state"][0], "oidc-code/1"),
    ):
        path = f"/sign-in/institution/answer?code={code}&state={state}"
        answer = await thief.get(path)
        assert answer.status_code == 401
        assert not is_signed_in(answer)
        assert (await newest_sign_in(campus))["decision"]["rule"] == rule
    # Nor can the thief have somebody sign in as the thief.
    victim = browser(campus)
    foreign = await answered(await begun(browser(campus)), "ada")
    assert (await come_back(victim, foreign)).status_code == 401


async def test_a_redeemed_code_is_refused_by_the_provider_and_told(campus: House, browser: Opened) -> None:
    first, second = browser(campus), browser(campus)
    used = parse_qs(urlsplit(await answered(await begun(first))).query)["code"][0]
    await first.get(f"/sign-in/institution/answer?code={used}&state=x")
    own = parse_qs(urlsplit(await answered(await begun(second))).query)
    assert is_signed_in(
        await come_back(
            second,
            f"{HOME}/console/sign-in/institution/answer?"
            + "&".join(f"{name}={own[name][0]}" for name in ("code", "state")),
        )
    )
    third = browser(campus)
    state = parse_qs(urlsplit(await begun(third)).query)["state"][0]
    answer = await third.get(f"/sign-in/institution/answer?code={own['code'][0]}&state={state}")
    assert answer.status_code == 401
    assert (await newest_sign_in(campus))["decision"]["rule"] == "oidc-code/1"


@pytest.mark.parametrize("cookie", ["", "x", "A" * 43, "A" * 5000])
async def test_without_the_ticket_no_answer_counts(campus: House, browser: Opened, cookie: str) -> None:
    mine = browser(campus)
    back = await answered(await begun(mine))
    mine.client.cookies.clear()
    mine.client.cookies.set(TICKET, cookie, domain="bursar.test")
    assert (await come_back(mine, back)).status_code == 401


async def test_a_sign_in_that_takes_too_long_is_over(campus: House, browser: Opened) -> None:
    mine = browser(campus)
    back = await answered(await begun(mine))
    late = sa.update(table(SignInRow)).values(began_us=table(SignInRow).c.began_us - LIFE_S * 1_000_000)
    await campus.installation.database.write(lambda conn: conn.execute(late).rowcount)
    assert (await come_back(mine, back)).status_code == 401
    await begun(browser(campus))
    kept = await campus.installation.database.read(
        lambda conn: conn.execute(sa.select(sa.func.count()).select_from(table(SignInRow))).scalar_one()
    )
    assert kept == 1


async def test_an_answer_of_another_provider_is_not_redeemed(campus: House, browser: Opened) -> None:
    mine = browser(campus)
    back = re.sub("iss=[^&]*", "iss=https%3A%2F%2Fevil.example", await answered(await begun(mine)))
    assert (await come_back(mine, back)).status_code == 401
    assert (await newest_sign_in(campus))["decision"]["rule"] == "oidc-issuer/1"


async def test_who_gives_up_at_the_provider_is_told_so(campus: House, browser: Opened) -> None:
    mine = browser(campus)
    answer = await come_back(mine, await answered(await begun(mine), "nobody at all"))
    assert answer.status_code == 401
    assert "did not sign you in (access_denied)" in text_of(answer)


async def test_a_session_is_not_the_one_that_the_browser_came_with(campus: House, browser: Opened) -> None:
    mine = browser(campus)
    planted = await signed_in(browser, campus, "bob")
    secret = planted.client.cookies["__Host-bursar"]
    mine.client.cookies.set("__Host-bursar", secret, domain="bursar.test")
    answer = await sign_in(mine)
    assert secret not in str(answer.headers)
    assert "Hello, Bob" in text_of(await planted.get("/me"))
    assert await _session_cookie(answer) != secret


async def _session_cookie(answer: httpx.Response) -> str:
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("__Host-bursar="))
    return cookie.partition("=")[2].partition(";")[0]


@pytest.mark.parametrize("name", ["mallory", "bob"])
async def test_somebody_unknown_is_told_what_to_do(campus: House, browser: Opened, name: str) -> None:
    """Bob is here, under an address that the provider has not verified."""
    mine = browser(campus)
    answer = await sign_in(mine, name)
    assert answer.status_code == 401
    assert f"give them this name of your account: {PEOPLE[name]['sub']}." in text_of(answer)
    assert (await newest_sign_in(campus))["decision"]["rule"] == "oidc-unknown/1"
    assert (await mine.get("/me")).status_code == 401


async def test_an_address_that_has_gone_to_somebody_else_opens_nothing(
    campus: House, browser: Opened
) -> None:
    assert is_signed_in(await sign_in(browser(campus), "ada"))
    answer = await sign_in(browser(campus), "newada")
    assert answer.status_code == 401
    assert "Another account of your institution" in text_of(answer)


async def test_the_provider_changes_its_key(
    campus: House, browser: Opened, provider: RunningProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_signed_in(await sign_in(browser(campus)))
    provider.tell(new_key=True)
    found = campus.installation.identity_provider
    assert found is not None
    monkeypatch.setattr(found, "_keys_since_s", -1e9)
    assert is_signed_in(await sign_in(browser(campus)))


async def test_people_are_who_they_are_by_subject_and_not_by_address(
    fresh_campus: House, browser: Opened
) -> None:
    office = fresh_campus.office
    assert is_signed_in(await sign_in(browser(fresh_campus), "ada"))

    def rename(state: State) -> tuple[Plan, None]:
        ada = state.person("ada@example.edu")
        assert ada is not None
        change = Change(kind="person", object=ada.email, object_id=ada.id, what="name")
        return Plan(changes=(change,), puts=(replace(ada, email="a.byron@example.edu"),)), None

    await office.change(OPERATOR, rename)
    mine = browser(fresh_campus)
    assert is_signed_in(await sign_in(mine, "ada"))
    assert "Ada Byron" in text_of(await mine.get("/me"))
    linked = (await office.state()).identities
    assert [(each.subject, each.person_id) for each in linked] == [
        (PEOPLE["ada"]["sub"], (await office.state()).person("a.byron@example.edu").id)  # type: ignore[union-attr]
    ]
    entries = (await fresh_campus.get("dpo", "/api/v1/audit/entries?limit=40")).json()["items"]
    added = next(each["entry"] for each in entries if each["entry"].get("op") == "identity.added")
    assert added["actor"] == {"kind": "provider", "principal": "oidc", "roles": []}
    assert PEOPLE["ada"]["sub"] not in str(entries)


async def test_groups_give_and_take_the_roles_that_they_stand_for(
    fresh_campus: House, browser: Opened
) -> None:
    mine = browser(fresh_campus)
    assert is_signed_in(await sign_in(mine, "ada"))
    ada = (await fresh_campus.office.state()).person("ada@example.edu")
    assert ada is not None
    # Of her own: researcher. Of the group staff: lead.
    assert ada.roles == ("lead", "researcher")

    def promote(state: State) -> tuple[Plan, None]:
        change = Change(kind="person", object=ada.email, object_id=ada.id, what="roles")
        return Plan(changes=(change,), puts=(replace(ada, roles=("compliance", "researcher")),)), None

    await fresh_campus.office.change(OPERATOR, promote)
    assert is_signed_in(await sign_in(browser(fresh_campus), "ada"))
    after = (await fresh_campus.office.state()).person("ada@example.edu")
    assert after is not None
    assert after.roles == ("lead", "researcher")
    entries = (await fresh_campus.get("dpo", "/api/v1/audit/entries?limit=40")).json()["items"]
    given = next(each["entry"] for each in entries if each["entry"].get("op") == "person.set")
    assert given["decision"]["rule"] == "identity-provider/1"


async def test_under_two_person_control_a_group_that_proposes_ends_what_its_member_signed_in_with_before(
    provider: RunningProvider, tmp_path: Path, browser: Opened
) -> None:
    more = {"oidc_roles_claim": "groups", "oidc_roles": "staff = quota_admin", "two_person_control": True}
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    async with opened_house(tmp_path, url, **settings_for(provider, tmp_path), **more) as house:
        before, mine = browser(house), browser(house)
        assert is_signed_in(await before.sign_in(house.tokens["ada"]))
        assert is_signed_in(await sign_in(mine, "ada"))
        # Who holds the token of before may be whoever issued it, and does not hold the new role.
        assert (await house.get("ada", "/api/v1/me")).status_code == 401
        assert (await before.get("/me")).status_code == 401
        assert (await mine.get("/quotas")).status_code == 200
        assert is_signed_in(await sign_in(browser(house), "ada"))


async def test_an_administrator_links_and_unlinks_an_account(fresh_campus: House, browser: Opened) -> None:
    it, theirs = await signed_in(browser, fresh_campus, "it"), browser(fresh_campus)
    assert (await sign_in(theirs, "mallory")).status_code == 401
    bob = (await fresh_campus.office.state()).person("bob@example.edu")
    assert bob is not None
    linked = await it.send(f"/people/{bob.id}/link", subject=PEOPLE["mallory"]["sub"])
    assert linked.status_code == 303
    assert PEOPLE["mallory"]["sub"] in text_of(await it.get(f"/people/{bob.id}"))
    assert is_signed_in(await sign_in(theirs, "mallory"))
    assert "Hello, Bob" in text_of(await theirs.get("/me"))
    with pytest.raises(Conflict):
        await link_identity(
            fresh_campus.office,
            OPERATOR,
            email="ada@example.edu",
            issuer=(await fresh_campus.office.state()).identities[0].issuer,
            subject=PEOPLE["mallory"]["sub"],
        )
    assert (await it.send(f"/people/{bob.id}/unlink")).status_code == 303
    assert (await theirs.get("/me")).status_code == 401
    assert (await sign_in(theirs, "mallory")).status_code == 401


async def test_who_is_frozen_or_retired_does_not_come_in(fresh_campus: House, browser: Opened) -> None:
    office, subject = fresh_campus.office, PEOPLE["mallory"]["sub"]
    issuer = fresh_campus.installation.settings.oidc_issuer or ""
    await link_identity(office, OPERATOR, email="bob@example.edu", issuer=issuer, subject=subject)
    assert is_signed_in(await sign_in(browser(fresh_campus), "mallory"))
    await freeze(
        office, fresh_campus.mint, OPERATOR, kind=Freezable.PERSON, name="bob@example.edu", reason="a test"
    )
    frozen = await sign_in(browser(fresh_campus), "mallory")
    assert (frozen.status_code, is_signed_in(frozen)) == (403, False)
    it = await signed_in(browser, fresh_campus, "it")
    bob = (await office.state()).person("bob@example.edu")
    assert bob is not None
    assert (await it.send(f"/people/{bob.id}/end")).status_code == 303
    gone = await sign_in(browser(fresh_campus), "mallory")
    assert (gone.status_code, is_signed_in(gone)) == (401, False)
    assert (await office.state()).identities == ()


async def test_joining_by_address_can_be_turned_off(
    provider: RunningProvider, tmp_path: Path, browser: Opened
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    options = {**settings_for(provider, tmp_path), "oidc_join_by_email": False}
    async with opened_house(tmp_path, url, **options) as house:
        assert (await sign_in(browser(house), "ada")).status_code == 401
        await link_identity(
            house.office,
            OPERATOR,
            email="ada@example.edu",
            issuer=provider.issuer,
            subject=PEOPLE["ada"]["sub"],
        )
        assert is_signed_in(await sign_in(browser(house), "ada"))
        assert await unlink_identities(house.office, OPERATOR, email="ada@example.edu") == 1
        assert await unlink_identities(house.office, OPERATOR, email="ada@example.edu") == 0


async def test_a_provider_that_is_away_or_calls_itself_otherwise_is_no_way_in(
    provider: RunningProvider, tmp_path: Path, browser: Opened
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bursar.db'}"
    async with opened_house(tmp_path, url, **settings_for(provider, tmp_path)) as house:
        provider.tell(lie="another name")
        answer = await browser(house).get("/sign-in/institution")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        provider.tell(lie="")
        assert (await browser(house).get("/sign-in/institution")).status_code == 303
    gone = tmp_path / "gone"
    gone.mkdir()
    options = {**settings_for(provider, gone), "oidc_issuer": "http://127.0.0.1:9"}
    async with opened_house(gone, f"sqlite+aiosqlite:///{gone / 'bursar.db'}", **options) as house:
        assert (await browser(house).get("/sign-in/institution")).status_code == 503
        page = await browser(house).get("/sign-in")
        assert "With your address and password" in text_of(page)


async def asked_for_a_proof(house: House, mine: Browser) -> str:
    """Where the provider is to be asked for a proof, while a form waits that makes a key."""
    await grown_old(house, FRESH_S)
    project = (await house.office.state()).project("elections")
    assert project is not None
    asked = await mine.send("/my-keys", project=project.id)
    assert asked.status_code == 401
    answer = await prove(mine, asked, "institution")
    found = re.search(r'content="0;url=([^"]+)"', answer.text)
    assert answer.status_code == 200, text_of(answer)
    assert found is not None, answer.text
    return unescape(found.group(1))


async def test_a_form_waits_while_its_sender_proves_at_the_institution_who_they_are(
    fresh_campus: House, browser: Opened
) -> None:
    mine = browser(fresh_campus)
    assert is_signed_in(await sign_in(mine))
    old = mine.client.cookies["__Host-bursar"]
    address = await asked_for_a_proof(fresh_campus, mine)
    asked = parse_qs(urlsplit(address).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    rows = await fresh_campus.installation.database.read(
        lambda conn: conn.execute(sa.select(table(SignInRow))).mappings().all()
    )
    assert rows[0]["kept"]
    assert b"project" not in rows[0]["kept"]
    answer = await come_back(mine, await answered(address))
    assert answer.status_code == 200, text_of(answer)
    assert mine.client.cookies["__Host-bursar"] != old
    kept = form_for(answer, "/console/my-keys")
    made = await post(mine, "/console/my-keys", kept)
    assert made.status_code == 200, text_of(made)
    assert 'id="api-key"' in made.text
    thief = browser(fresh_campus)
    thief.client.cookies.set("__Host-bursar", old, domain="bursar.test")
    assert (await thief.get("/me")).status_code == 401


@pytest.mark.parametrize(
    ("lie", "rule"), [("an earlier sign-in", "oidc-auth-time/1"), ("no word of the sign-in", "oidc-claims/1")]
)
async def test_a_sign_in_from_before_is_no_proof(
    fresh_campus: House, browser: Opened, provider: RunningProvider, lie: str, rule: str
) -> None:
    mine = browser(fresh_campus)
    assert is_signed_in(await sign_in(mine))
    address = await asked_for_a_proof(fresh_campus, mine)
    back = await answered(address)
    provider.tell(lie=lie)
    answer = await come_back(mine, back)
    assert answer.status_code == 401
    assert not is_signed_in(answer)
    assert (await newest_sign_in(fresh_campus))["decision"]["rule"] == rule


@pytest.mark.parametrize("who", ["ada", "bob"])
async def test_a_form_of_a_session_that_idled_waits_for_its_sender_at_the_institution(
    fresh_campus: House, browser: Opened, who: str
) -> None:
    mine = await signed_in(browser, fresh_campus, who)
    old = form_for(await mine.get("/my-terms"), "/console/sign-out")["form_token"]
    await idled(fresh_campus)
    ended = await post(mine, "/console/my-keys", {"project": "elections", "form_token": old})
    assert ended.status_code == 401
    carried = form_for(ended, "/console/sign-in/institution")
    answer = await post(mine, "/console/sign-in/institution", carried)
    found = re.search(r'content="0;url=([^"]+)"', answer.text)
    assert found is not None, answer.text
    address = unescape(found.group(1))
    assert "prompt" not in parse_qs(urlsplit(address).query)
    back = await come_back(mine, await answered(address))  # as ada, whoever sent the form
    assert is_signed_in(back)
    assert ("Send it once more?" in text_of(back)) == (who == "ada")
    if who == "ada":
        assert form_for(back, "/console/my-keys")["project"] == "elections"


async def test_somebody_else_at_the_institution_is_no_proof(fresh_campus: House, browser: Opened) -> None:
    mine = await signed_in(browser, fresh_campus, "bob")
    address = await asked_for_a_proof(fresh_campus, mine)
    answer = await come_back(mine, await answered(address, "ada"))
    assert answer.status_code == 403
    assert not is_signed_in(answer)


async def test_an_account_is_linked_listed_and_unlinked_by_programs(
    fresh_campus: House, browser: Opened
) -> None:
    path, subject = "/api/v1/people/bob@example.edu/identities", PEOPLE["mallory"]["sub"]
    assert (await fresh_campus.get("it", path)).json() == {"items": []}
    made = await fresh_campus.ask("it", "POST", path, json={"subject": subject})
    assert made.status_code == 201
    (listed,) = (await fresh_campus.get("it", path)).json()["items"]
    assert listed == made.json()
    assert (await fresh_campus.ask("it", "POST", path, json={"subject": subject})).status_code == 201
    taken = await fresh_campus.ask("it", "POST", path.replace("bob", "grace"), json={"subject": subject})
    assert taken.status_code == 409
    mine = browser(fresh_campus)
    assert is_signed_in(await sign_in(mine, "mallory"))
    assert "Hello, Bob" in text_of(await mine.get("/me"))
    assert (await fresh_campus.ask("it", "DELETE", path)).status_code == 204
    assert (await mine.get("/me")).status_code == 401
    assert (await fresh_campus.get("it", path)).json() == {"items": []}
