"""The console in Chromium: journeys by hand, and what every page must be in either theme and at any width."""

import contextlib
import csv
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from app.audit.offline import Vkey, verify_export
from app.identity.sessions import FRESH_S
from app.web.console.mounting import PAGES
from tests.conftest import require
from tests.journey.chromium import CHROMIUM, Visitor, opened_chromium
from tests.servers.bursar import call
from tests.servers.demonstration import Demonstration

_WIDTHS = (360, 768, 1024, 1280, 1920)
_STICKING_OUT = """() => [
  document.documentElement.scrollWidth - innerWidth,
  ...[...document.querySelectorAll(".card")].map(each => each.scrollWidth - each.clientWidth)
].filter(over => over > 0)"""
"""By how much the page, or a card of it that would have to be scrolled sideways, is too wide."""
_CUT_OFF = """() => [...document.querySelectorAll("h1, h2, h3, td, dt, dd, summary, label, legend, button, .names > span")]
  .filter(each => !each.closest(".out-of-sight") && each.getClientRects().length === 1)
  .filter(each => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline")
  .map(each => each.tagName + " " + each.textContent.trim().slice(0, 40))"""
"""What does not fit into the room that it has, so that it is cut off or lies over its neighbour."""
_NARROW = """() => [...document.querySelectorAll("td > input:not([type=checkbox], [type=hidden])")]
  .map(each => each.clientWidth).filter(each => each < 90)"""
"""Fields of tables that are too narrow to read what they hold."""
_OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"
_PAGES = {
    None: ("/sign-in", "/password"),
    "ada": ("LED",),
    "ben": ("/me", "/calls", "/my-keys", "/more", "/my-terms"),
    "it": (
        *(
            "/today",
            "/projects",
            "/people",
            "/keys",
            "/quotas",
            "/quotas/history",
            "/requests",
            "/rules",
            "/held",
            "/audit/verification",
        ),
        *("/new-project", "/new-person", "PROJECT", "PROJECT/form", "PERSON"),
    ),
    "dpo": (
        *("/today", "/audit", "/audit?verdict=refused&kind=username", "/audit/verification", "/held"),
        "ENTRY",
        "/compliance",
        "/compliance/report?since=2026-01-01&until=2027-01-01",
    ),
}
"""Whose pages are looked at; what is in capitals is an address of the demonstration."""
_TEMPLATES = {
    "PROJECT": "/projects/{id}",
    "LED": "/my-projects/{id}",
    "PERSON": "/people/{id}",
    "ENTRY": "/entries/{id}",
}
_NO_PAGES = {
    "/": "leads on",
    "/{rest:path}": "has no page",
    "/sign-in/token": "leads on",
    "/sign-in/password": "leads on",
    "/sign-in/institution": "leads on",
    "/reauthentication/password": "leads on",
    "/reauthentication/token": "leads on",
    "/reauthentication/institution": "leads on",
    "/sign-in/institution/answer": "leads on",
    "/entries/{id}/receipt": "is a file",
    "/audit/checkpoint": "is a file",
    "/audit/exports/{id}/file": "is a file",
    "/audit/exports/{id}": "is looked at by the officer who exports",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A demonstration that runs, and what it says of itself."""
    require(bool(CHROMIUM), "Chromium")
    demonstration = Demonstration(tmp_path_factory.mktemp("console"), "--json")
    assert demonstration.process.stdout is not None
    yield {**json.loads(demonstration.process.stdout.readline()), "home": demonstration.home}
    demonstration.end()


@pytest.fixture(scope="module")
def chromium(said: dict[str, Any]) -> Iterator[Browser]:
    with opened_chromium() as browser:
        yield browser


def person(said: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in said["people"] if each["email"].startswith(name))
    return found


def port_of(said: dict[str, Any]) -> int:
    return int(said["gateway"].rpartition(":")[2])


def test_a_researcher_signs_in_accepts_the_terms_and_makes_a_key_that_works(
    said: dict[str, Any], chromium: Browser
) -> None:
    cleo = Visitor(said["gateway"], chromium.new_context(viewport={"width": 360, "height": 800}))
    ben = person(said, "ben")
    cleo.sign_in(ben["token"])
    page = cleo.page
    page.get_by_role("link", name=re.compile("Read and accept version")).click()
    page.get_by_label("I have read these terms and accept them.").check()
    page.get_by_role("button", name="Accept version practice").click()
    page.get_by_text("your acceptance is recorded").wait_for()
    page.get_by_role("link", name="My keys").click()
    page.get_by_role("button", name="Make a key").click()
    api_key = page.locator("#api-key").inner_text()
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    path, body = "/v2/research/user/info/?fields=display_name", b'{"username":"sim_user_1"}'
    status, _, answer = call(port_of(said), "POST", path, body=body, headers=headers)
    assert status == 200, answer
    page.get_by_role("link", name="I have copied it").click()
    assert api_key not in page.content()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()
    assert cleo.complaints == []
    cleo.context.close()


def test_an_administrator_adds_a_person_and_sets_a_limit_with_the_keyboard_alone(
    said: dict[str, Any], chromium: Browser
) -> None:
    it = Visitor(said["gateway"], chromium.new_context(viewport={"width": 1920, "height": 1080}))
    it.sign_in(person(said, "it")["token"])
    page = it.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    it.go("/new-person")
    page.get_by_label("E-mail address").focus()
    page.keyboard.type("eve@example.edu")
    page.keyboard.press("Tab")
    page.keyboard.type("Eve Moss")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing has been saved yet").wait_for()
    page.get_by_role("button", name="Make it so").press("Enter")
    page.get_by_role("link", name="eve@example.edu").wait_for()
    it.go("/quotas")
    page.get_by_label("Project climate: requests a day").fill("250")
    page.get_by_role("button", name="See what would change").click()
    assert page.locator("tbody tr").count() == 1
    page.get_by_role("button", name="Make it so").click()
    page.get_by_text("Saved.").wait_for()
    assert page.get_by_label("Project climate: requests a day").input_value() == "250"
    assert it.complaints == []
    it.context.close()


def test_an_officer_exports_the_log_and_sees_how_much_of_it_was_sent(
    said: dict[str, Any], chromium: Browser, tmp_path: Path
) -> None:
    size: Any = {"width": 1920, "height": 1080}
    dpo = Visitor(said["gateway"], chromium.new_context(viewport=size, reduced_motion="reduce"))
    dpo.sign_in(person(said, "dpo")["token"])
    page, place = dpo.page, tmp_path / "log.jsonl"
    dpo.go("/audit?type=decision")
    with page.expect_download() as begun:
        page.get_by_role("button", name="As signed lines").click()
    begun.value.save_as(place)
    page.get_by_text("The file is with your browser.").wait_for()
    told = re.fullmatch(r"([\d,]+) of ([\d,]+) entries", page.locator("p[role=status]").inner_text())
    assert told is not None
    lines = place.read_bytes().splitlines()
    assert told[1] == told[2] == f"{len(lines) - 1:,}" != "0"
    assert page.locator("dd code").inner_text() == hashlib.sha256(place.read_bytes()).hexdigest()
    status, _, key = call(
        port_of(said),
        "GET",
        "/api/v1/audit/key",
        headers={"Authorization": f"Bearer {person(said, 'dpo')['token']}"},
    )
    assert status == 200
    report = verify_export(place, keys=[Vkey.parse(json.loads(key)["vkey"])])
    assert (report.problems, report.finding) == ([], None)
    fits_and_keeps_nobody_out(page, Axe(), "export")
    assert dpo.complaints == []
    dpo.context.close()


@pytest.mark.parametrize("name", _PAGES, ids=str)
def test_pages_fit_and_keep_nobody_out(said: dict[str, Any], chromium: Browser, name: str | None) -> None:
    # Without motion, so that no colour is looked at on its way from one theme to the other.
    size: Any = {"width": 1920, "height": 900}
    visitor = Visitor(said["gateway"], chromium.new_context(viewport=size, reduced_motion="reduce"))
    if name is not None:
        visitor.sign_in(person(said, name)["token"])
    page, axe = visitor.page, Axe()
    for path in _PAGES[name]:
        visitor.go(_address(visitor, path))
        fits_and_keeps_nobody_out(page, axe, path)
    assert visitor.complaints == []
    visitor.context.close()


def test_the_documentation_fits_at_every_width(said: dict[str, Any], chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(f"{said['gateway']}/docs")
    for width in _WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(_STICKING_OUT) == [], width
    page.close()


def test_every_page_of_the_console_is_looked_at() -> None:
    looked_at = {path.partition("?")[0] for paths in _PAGES.values() for path in paths}
    for name, template in _TEMPLATES.items():
        looked_at = {
            f"{template}{each.removeprefix(name)}" if each.startswith(name) else each for each in looked_at
        }
    assert looked_at | set(_NO_PAGES) == {each.path for each in PAGES if each.method == "GET"}


def test_an_administrator_purges_what_is_held_after_a_look_at_it(
    said: dict[str, Any], chromium: Browser
) -> None:
    size: Any = {"width": 1920, "height": 1080}
    it = Visitor(said["gateway"], chromium.new_context(viewport=size, reduced_motion="reduce"))
    it.sign_in(person(said, "it")["token"])
    it.go("/held")
    page = it.page
    held = page.get_by_role("row").filter(has_text="elections")
    count = held.count()
    assert count > 0
    page.get_by_label("Of the project").select_option("elections")
    page.get_by_role("button", name="See what would go").click()
    page.get_by_text("Nothing has been saved yet").wait_for()
    assert "elections" in page.get_by_role("region", name="Changes").inner_text()
    fits_and_keeps_nobody_out(page, Axe(), "purge")
    page.get_by_role("link", name="Leave it as it is").click()
    assert held.count() == count
    page.get_by_label("Of the project").select_option("elections")
    page.get_by_role("button", name="See what would go").click()
    page.get_by_role("button", name="Make it so").click()
    page.get_by_text("Purged: it is held no longer").wait_for()
    assert held.count() == 0
    assert it.complaints == []
    it.context.close()


def test_an_officer_proposes_to_erase_what_somebody_asked_and_sees_where_it_waits(
    said: dict[str, Any], chromium: Browser
) -> None:
    size: Any = {"width": 1920, "height": 1080}
    dpo = Visitor(said["gateway"], chromium.new_context(viewport=size, reduced_motion="reduce"))
    dpo.sign_in(person(said, "dpo")["token"])
    page, axe = dpo.page, Axe()
    dpo.go("/compliance")
    page.get_by_text("Propose to erase what somebody asked").click()
    page.get_by_label("Whose questions").fill("nobody@nowhere.example")
    page.get_by_role("button", name="See what would be erased").click()
    page.get_by_text("There is no person").wait_for()
    assert page.get_by_label("Whose questions").input_value() == "nobody@nowhere.example"
    fits_and_keeps_nobody_out(page, axe, "erasure refused")
    page.get_by_label("Whose questions").fill(person(said, "ada")["email"])
    page.get_by_role("button", name="See what would be erased").click()
    page.get_by_text("erased for good").wait_for()
    fits_and_keeps_nobody_out(page, axe, "erasure")
    page.get_by_role("button", name="Propose it").click()
    page.get_by_role("link", name="See where it waits").click()
    waiting = page.get_by_role("region", name="Waits for a second person")
    assert person(said, "ada")["email"] in waiting.inner_text()
    assert waiting.get_by_role("button", name="Confirm").count() == 0
    fits_and_keeps_nobody_out(page, axe, "proposal")
    waiting.get_by_role("button", name="Refuse").click()
    waiting.wait_for(state="detached")
    # The address of nobody was refused, as the browser says too.
    assert [each for each in dpo.complaints if "400" not in each] == []
    dpo.context.close()


def test_lists_are_looked_at_before_they_are_saved_and_keys_are_taken_as_a_file(
    said: dict[str, Any], chromium: Browser, tmp_path: Path
) -> None:
    size: Any = {"width": 1920, "height": 1080}
    it = Visitor(said["gateway"], chromium.new_context(viewport=size, reduced_motion="reduce"))
    it.sign_in(person(said, "it")["token"])
    page, axe = it.page, Axe()
    approval = "R-2026-077,2026-01-01,2036-12-31"
    lists = {
        "/new-person": "mary@example.edu,Mary Somerville,researcher",
        "/new-project": f"rivers,practice,{approval},,mary@example.edu,all",
        "/keys": "rivers,mary@example.edu,2036-06-30",
    }
    for path, line in lists.items():
        it.go(path)
        page.evaluate(_OPEN_ALL)
        page.get_by_label("A line each").fill(line)
        form = page.locator("form").filter(has=page.get_by_label("A line each"))
        form.get_by_role("button", name="See what would change").click()
        page.get_by_text("Nothing has been saved yet").wait_for()
        fits_and_keeps_nobody_out(page, axe, f"list at {path}")
        page.get_by_role("button", name="Make it so").click()
        page.get_by_role("button", name="Make it so").wait_for(state="detached")
    page.get_by_role("heading", name="The keys are ready").wait_for()
    fits_and_keeps_nobody_out(page, axe, "fresh keys")
    place = tmp_path / "keys.csv"
    with page.expect_download() as taken:
        page.get_by_role("link", name="Take them as a file").click()
    taken.value.save_as(place)
    with place.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["project"], row["person"]) == ("rivers", "mary@example.edu")
    headers = {"Authorization": f"Bearer {row['api_key']}"}
    status, _, me = call(port_of(said), "GET", "/api/v1/me", headers=headers)
    assert (status, json.loads(me)["person"]["email"]) == (200, "mary@example.edu")
    assert it.complaints == []
    it.context.close()


def test_who_comes_back_to_an_old_session_proves_who_they_are_and_loses_nothing(
    said: dict[str, Any], chromium: Browser
) -> None:
    size: Any = {"width": 1920, "height": 900}
    it = Visitor(said["gateway"], chromium.new_context(viewport=size, reduced_motion="reduce"))
    it.sign_in(person(said, "it")["token"])
    page, axe = it.page, Axe()
    it.go("/new-person")
    page.get_by_label("E-mail address").fill("joan@example.edu")
    page.get_by_label("Name", exact=True).fill("Joan Clarke")
    with contextlib.closing(sqlite3.connect(said["home"] / "bursar.db")) as database, database:
        database.execute("UPDATE console_session SET began_us = began_us - ?", (FRESH_S * 1_000_000,))
    one = page.get_by_role("region", name="One person")
    one.get_by_role("button", name="See what would change").click()
    page.get_by_role("heading", name="Is it still you?").wait_for()
    fits_and_keeps_nobody_out(page, axe, "reauthenticate")
    page.get_by_label("Your token").fill(person(said, "it")["token"])
    page.get_by_role("button", name="Go on with the token").click()
    page.get_by_role("heading", name="Thank you").wait_for()
    fits_and_keeps_nobody_out(page, axe, "reauthenticated")
    page.get_by_role("button", name="Go on: add a person").click()
    page.get_by_text("Nothing has been saved yet").wait_for()
    page.get_by_role("button", name="Make it so").click()
    page.get_by_role("link", name="joan@example.edu").wait_for()
    # The page that asked for the proof was a refusal, as the browser says too.
    assert [each for each in it.complaints if "401" not in each] == []
    it.context.close()


def test_two_administrators_at_one_form_are_shown_where_they_differ(
    said: dict[str, Any], chromium: Browser
) -> None:
    size: Any = {"width": 1920, "height": 900}
    mine, theirs = [
        Visitor(said["gateway"], chromium.new_context(viewport=size, reduced_motion="reduce"))
        for _ in range(2)
    ]
    for each in (mine, theirs):
        each.sign_in(person(said, "it")["token"])
    path = _address(mine, "PERSON")
    for each in (mine, theirs):
        each.go(path)
    theirs.page.get_by_label("Name", exact=True).fill("Their Name")
    theirs.page.get_by_role("button", name="See what would change").click()
    theirs.page.get_by_role("button", name="Make it so").click()
    theirs.page.get_by_text("Saved.").wait_for()

    page = mine.page
    page.get_by_label("Name", exact=True).fill("My Name")
    page.get_by_role("button", name="See what would change").click()
    page.get_by_role("heading", name="Somebody changed this meanwhile").wait_for()
    row = page.get_by_role("row").filter(has_text="My Name")
    assert "Their Name" in row.inner_text()
    fits_and_keeps_nobody_out(page, Axe(), "changed")
    page.get_by_role("button", name="Put mine in its place, after another look").click()
    page.get_by_text("Nothing has been saved yet").wait_for()
    page.get_by_role("button", name="Make it so").click()
    page.get_by_role("heading", name="My Name").wait_for()
    for each in (mine, theirs):
        each.context.close()


def fits_and_keeps_nobody_out(page: Page, axe: Axe, name: str) -> None:
    """At no width anything sticks out, and in both themes axe finds nothing serious, with all that folds unfolded."""
    page.evaluate(_OPEN_ALL)
    for width in _WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(_STICKING_OUT) == [], (name, width)
    assert serious(axe.run(page).response) == [], name
    # What differs in the other theme is its colours.
    page.emulate_media(color_scheme="dark")
    assert serious(axe.run(page, options={"runOnly": ["color-contrast"]}).response) == [], name
    page.emulate_media(color_scheme="light")


def serious(found: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """What keeps people out of a page, and where."""
    return [
        (each["id"], [node["target"] for node in each["nodes"]])
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


def test_a_long_name_without_blanks_spoils_no_page(said: dict[str, Any], chromium: Browser) -> None:
    name, limits = "m" * 100, {"requests/day": 100, "records/day": 10_000}
    project = {
        "name": name,
        "credential": "practice",
        "approval": {"reference": "R" * 100, "from": "2026-01-01", "until": "2036-12-31"},
        "lead": "ada@example.edu",
        "members": [{"person": "ada@example.edu"}, {"person": "cleo@example.edu"}],
        "limits": limits,
        "member_limits": limits,
    }
    made = _posted(said, "/api/v1/projects", project)
    _posted(said, "/api/v1/keys", {"project": name, "person": "ada@example.edu"})
    page_of = f"/projects/{made['id']}"
    looked_at = {
        "it": (
            "/today",
            "/projects",
            "/people",
            "/keys",
            "/quotas",
            "/quotas/history",
            page_of,
            f"{page_of}/form",
        ),
        "ada": ("/me", f"/my-projects/{made['id']}", "/my-keys", "/more"),
    }
    for who, paths in looked_at.items():
        visitor = Visitor(said["gateway"], chromium.new_context(reduced_motion="reduce"))
        visitor.sign_in(person(said, who)["token"])
        page = visitor.page
        for path in paths:
            visitor.go(path)
            page.evaluate(_OPEN_ALL)
            for width in _WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                for look in (_STICKING_OUT, _CUT_OFF, _NARROW):
                    assert page.evaluate(look) == [], (path, width)
        visitor.context.close()


def _posted(said: dict[str, Any], path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {
        "Authorization": f"Bearer {person(said, 'it')['token']}",
        "Content-Type": "application/json",
    }
    status, _, answer = call(port_of(said), "POST", path, body=json.dumps(body).encode(), headers=headers)
    assert status == 201, answer
    made: dict[str, Any] = json.loads(answer)
    return made


def _address(visitor: Visitor, path: str) -> str:
    """The path itself, or that of something which the demonstration has."""
    kind, slash, rest = path.partition("/")
    listed = {"PROJECT": ("/projects", "/projects/"), "PERSON": ("/people", "/people/")}
    listed["LED"] = ("/me", "/my-projects/")
    listed["ENTRY"] = ("/audit?verdict=refused&project=elections", "/entries/")
    if kind not in listed:
        return path
    start, prefix = listed[kind]
    visitor.go(start)
    link = visitor.page.locator(f'main a[href^="/console{prefix}"]').first
    found = (link.get_attribute("href") or "").removeprefix("/console")
    return f"{found}{slash}{rest}"
