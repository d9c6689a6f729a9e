"""Administration in a browser: what is looked at first, what is saved then, and what may not be."""

import datetime as dt
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.administration.keys import issue_token
from app.administration.state import State
from app.storage.tables import CounterRow, table
from app.web.console.forms import FieldRefused, Form
from tests.administration.adding import add_person
from tests.web.conftest import OPERATOR, House, opened_house
from tests.web.console.conftest import Browser, Opened, signed_in, text_of

pytestmark = pytest.mark.anyio


def person_id(state: State, name: str) -> str:
    found = state.person(f"{name}@example.edu")
    assert found is not None
    return found.id


def project_id(state: State, name: str) -> str:
    found = state.project(name)
    assert found is not None
    return found.id


async def look_then_save(mine: Browser, path: str, **fields: str | list[str]) -> str:
    """The words of the preview, once what it shows has been saved."""
    before = await mine.client.get("/console/people")
    looked = await mine.send(path, **fields)
    assert looked.status_code == 200, text_of(looked)
    assert "Nothing has been saved yet" in text_of(looked)
    assert (await mine.client.get("/console/people")).text.count("<tr>") == before.text.count("<tr>")
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', looked.text)
    again: dict[str, str | list[str]] = {}
    for name, escaped in hidden:
        kept, value = again.get(name), unescape(escaped)
        again[name] = value if kept is None else [*([kept] if isinstance(kept, str) else kept), value]
    assert again["step"] == "save"
    saved = await mine.client.post(f"/console{path}", data=again, headers={"sec-fetch-site": "same-origin"})
    assert saved.status_code == 303, text_of(saved)
    return text_of(looked)


async def test_from_nothing_to_a_working_key(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    await look_then_save(
        it, "/new-person", email="Eve@example.edu", name="Eve Moss", role=["researcher", "lead"]
    )
    told = await look_then_save(
        it,
        "/new-project",
        name="migration",
        credential="main",
        reference="R-2026-077",
        **{"from": "2026-01-01", "until": "2036-01-01"},
        members="eve@example.edu\r\nbob@example.edu",
        lead="eve@example.edu",
        cache_scope="project",
        endpoint=["video/query", "user/info"],
    )
    assert "migration" in told
    assert "R-2026-077" in told
    state = await fresh_house.office.state()
    project = state.project("migration")
    assert project is not None
    assert project.allow == {"endpoints": ["user/info", "video/query"]}
    await look_then_save(
        it,
        "/quotas",
        new_scope="project:migration",
        new_dimension="requests",
        new_window="day",
        new_amount="150",
    )
    limits = (await fresh_house.get("it", "/api/v1/limits?limit=200")).json()["items"]
    mine = next(each for each in limits if each["scope"] == "project:migration")
    assert (mine["dimension"], mine["window"], mine["amount"]) == ("requests", "day", 150)
    page = await it.send("/keys", member="migration eve@example.edu")
    assert page.status_code == 200
    (api_key,) = re.findall(r'<code id="api-key"[^>]*>(bsr_live_\w+)</code>', page.text)
    me = await fresh_house.client.get("/api/v1/me", headers={"authorization": f"Bearer {api_key}"})
    assert me.status_code == 200
    assert api_key not in (await it.get("/keys")).text
    code = await it.send(f"/people/{person_id(await fresh_house.office.state(), 'eve')}/code")
    assert "console/password#" in code.text


@pytest.mark.parametrize(
    "ticked", [{}, {"all_endpoints": "yes", "endpoint": ["user/info"]}], ids=["nothing", "all and one"]
)
async def test_a_project_is_never_given_more_endpoints_than_somebody_chose(
    fresh_house: House, browser: Opened, ticked: dict[str, Any]
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    form = (await it.get("/new-project")).text
    assert re.search(r'name="all_endpoints"[^>]* checked', form) is None
    refused = await it.send(
        "/new-project",
        name="migration",
        credential="main",
        reference="R-2026-077",
        **{"from": "2026-01-01", "until": "2036-01-01"},
        members="bob@example.edu",
        cache_scope="project",
        **ticked,
    )
    assert refused.status_code == 400
    assert "Tick the endpoints that the approval covers, or all of them." in refused.text
    assert (await fresh_house.office.state()).project("migration") is None


async def test_changing_a_project_keeps_its_limits_and_days(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    state = await fresh_house.office.state()
    told = await look_then_save(
        it,
        f"/projects/{project_id(state, 'elections')}/form",
        credential="main",
        reference="R-2026-014",
        **{"from": "2026-01-01", "until": "2030-01-01"},
        members="ada@example.edu",
        lead="ada@example.edu",
        cache_scope="project",
        all_endpoints="yes",
    )
    assert "2036-06-30" in told
    assert "2030-01-01" in told
    after = await fresh_house.office.state()
    assert after.limits == state.limits
    assert {each.membership_id for each in after.keys if each.revoked_us is None} < {
        each.membership_id for each in state.keys
    }


BOUNDS = {
    "allow_fields": "user/info: display_name, follower_count",
    "allow_conditions": 'keyword: "floods, storms", drought\nregion_code: CA, US',
    "dates_from": "2025-01-01",
    "dates_until": "2025-12-31",
    "max_span_days": "7",
}


async def test_a_form_bounds_what_an_approval_covers_and_the_page_shows_all_of_it(
    fresh_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    path = f"/projects/{project_id(await fresh_house.office.state(), 'elections')}"
    fields: dict[str, str | list[str]] = {
        "credential": "main",
        "reference": "R-2026-014",
        "from": "2026-01-01",
        "until": "2036-06-30",
        "members": "ada@example.edu\r\nbob@example.edu",
        "lead": "ada@example.edu",
        "cache_scope": "project",
        "endpoint": ["user/info", "video/query"],
    }
    wrong = await it.send(f"{path}/form", **{**fields, **BOUNDS, "allow_fields": "user/info"})
    assert wrong.status_code == 400
    assert "has no colon" in text_of(wrong)
    await look_then_save(it, f"{path}/form", **fields, **BOUNDS)
    project = (await fresh_house.office.state()).project("elections")
    assert project is not None
    assert project.allow == {
        "endpoints": ["user/info", "video/query"],
        "fields": {"user/info": ["display_name", "follower_count"]},
        "conditions": {"keyword": ["drought", "floods, storms"], "region_code": ["CA", "US"]},
        "dates": {"from": "2025-01-01", "until": "2025-12-31"},
        "max_span_days": 7,
    }
    page = text_of(await it.get(path))
    assert "Days asked for from 1 Jan 2025 until 31 Dec 2025" in page
    assert "Days in one question the last at most 7 days after the first" in page
    form = unescape((await it.get(f"{path}/form")).text)
    assert 'keyword: drought, "floods, storms"\nregion_code: CA, US</textarea>' in form
    assert re.search(r'name="max_span_days"[^>]* value="7"', form)
    await look_then_save(it, f"{path}/form", **fields, **dict.fromkeys(BOUNDS, ""))
    project = (await fresh_house.office.state()).project("elections")
    assert project is not None
    assert project.allow == {"endpoints": ["user/info", "video/query"]}


async def test_a_project_without_any_endpoint_says_so(fresh_house: House, browser: Opened) -> None:
    changed = await fresh_house.ask(
        "it", "PATCH", "/api/v1/projects/elections", json={"allow": {"endpoints": []}}
    )
    assert changed.status_code == 200, changed.text
    dpo = await signed_in(browser, fresh_house, "dpo")
    page = await dpo.get(f"/projects/{project_id(await fresh_house.office.state(), 'elections')}")
    assert "Endpoints none: every call is refused" in text_of(page)


async def test_a_form_chooses_when_held_answers_may_be_used(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    path = f"/projects/{project_id(await fresh_house.office.state(), 'elections')}"
    fields = {
        "credential": "main",
        "reference": "R-2026-014",
        "from": "2026-01-01",
        "until": "2036-06-30",
        "members": "ada@example.edu\r\nbob@example.edu",
        "lead": "ada@example.edu",
        "cache_scope": "project",
        "all_endpoints": "yes",
        "cache_control": "ignore",
        "stale": "yes",
        "lifetimes": "user/info  2h\r\n\r\ndefault 7d\r\n",
        "recent_lifetimes": "video/query 1h",
        "without": "containment",
    }
    refused = await it.send(f"{path}/form", **{**fields, "lifetimes": "user/info soon"})
    assert refused.status_code == 400
    assert "is no time" in text_of(refused)
    assert "user/info soon" in refused.text
    told = await look_then_save(it, f"{path}/form", **fields)
    assert "7d" in told
    chosen = (await fresh_house.get("it", "/api/v1/projects/elections")).json()["reuse"]
    assert chosen == {
        "cache_control": "ignore",
        "stale": True,
        "lifetimes": {"default": "7d", "user/info": "2h"},
        "recent_lifetimes": {"video/query": "1h"},
        "without": ["containment"],
    }
    form = (await it.get(f"{path}/form")).text
    assert "user/info 2h" in form
    assert re.search(r'name="stale" value="yes" checked', form)
    assert re.findall(r'name="without" value="([a-z-]+)" checked', form) == ["containment"]
    page = text_of(await it.get(path))
    assert "past their time too while nothing can be fetched" in page
    assert "ignored" in page


async def test_a_list_of_people_is_looked_at_and_then_saved(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    lines = "email,name,roles\r\nzoe@example.edu,Zoe Q,researcher lead\nbob@example.edu,Bob Renamed\n"
    assert "Add or change 1 person?" in text_of(await it.send("/new-people", csv="zoe@example.edu,Zoe Q"))
    told = await look_then_save(it, "/new-people", csv=lines)
    assert "zoe@example.edu" in told
    assert "Bob Renamed" in told
    state = await fresh_house.office.state()
    zoe, bob = state.person("zoe@example.edu"), state.person("bob@example.edu")
    assert zoe is not None
    assert bob is not None
    assert (zoe.roles, bob.name) == (("lead", "researcher"), "Bob Renamed")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("zoe@example.edu", "Line 1 needs an address and a name"),
        ("a@example.edu,A\nb@example.edu,", "Line 2"),
        ("nobody,No Address", "Line 1: email: 'nobody' is not an e-mail address"),
        ("a@example.edu,A\nb@example.edu,B,king", "Line 2: roles: input should be"),
        ("a@example.edu,A\n\nA@example.edu,B", "Line 3 names a@example.edu, and so does line 1"),
        ("a@example.edu;A\nb/c@example.edu;B", "Line 2: people: 'b/c@example.edu' could not stand"),
        ("   ", "missing"),
    ],
)
async def test_a_list_that_is_wrong_says_where(
    shared_house: House, browser: Opened, lines: str, says: str
) -> None:
    it = await signed_in(browser, shared_house, "it")
    answer = await it.send("/new-people", csv=lines)
    assert answer.status_code == 400
    assert says in text_of(answer)
    if lines.strip():
        assert re.split("[,;]", lines, maxsplit=1)[0] in text_of(answer)


async def test_every_line_that_is_wrong_is_told_at_once(shared_house: House, browser: Opened) -> None:
    it = await signed_in(browser, shared_house, "it")
    answer = await it.send(
        "/new-people", csv="a@example.edu\nb/c@example.edu,B\nd@example.edu,D,king\ne@example.edu,E"
    )
    assert answer.status_code == 400
    told = re.findall(r"<li>(Line \d)", answer.text)
    assert told == ["Line 1", "Line 2", "Line 3"]
    lines = (
        "health,main,R-1,2026-01-01,2036-12-31,,ada@example.edu,all",
        "seas,nowhere,R-1,2026-01-01,2036-12-31,,ada@example.edu,all",
        "seas2,main,R-1,2026-01-01,2036-12-31,,who@example.edu,all",
        "seas3,main,R-1,2026-01-01,2036-12-31,,ada@example.edu,all",
        "seas4,main,R-1,2026-01-01",
    )
    answer = await it.send("/new-projects", csv="\n".join(lines))
    assert answer.status_code == 400
    assert re.findall(r"<li>(Line \d)", answer.text) == ["Line 1", "Line 2", "Line 3", "Line 5"]
    assert (await shared_house.get("it", "/api/v1/projects/seas3")).status_code == 404


PROJECTS = """name,credential,reference,from,until,lead,members,endpoints
climate,main,R-2026-031,2026-01-01,2036-12-31,Grace@example.edu,bob@example.edu,video/query user/info
"rivers, lakes",main,"=R-2026-032",2026-01-01,2036-12-31,,ada@example.edu bob@example.edu,all
"""


async def test_a_list_of_projects_is_looked_at_and_then_saved_whole(
    fresh_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    told = await look_then_save(it, "/new-projects", csv=PROJECTS)
    assert "Add 2 projects?" in told
    assert "project climate added" in told
    assert "member rivers, lakes/ada@example.edu added" in told
    found = (await fresh_house.get("it", "/api/v1/projects/climate")).json()
    assert (found["lead"], found["allow"]) == (
        "grace@example.edu",
        {"endpoints": ["user/info", "video/query"]},
    )
    assert [each["person"] for each in found["members"]] == ["bob@example.edu", "grace@example.edu"]
    found = (await fresh_house.get("it", "/api/v1/projects/rivers, lakes")).json()
    assert (found["lead"], found["allow"], found["approval"]["reference"]) == (None, {}, "=R-2026-032")

    again = await it.send("/new-projects", csv=PROJECTS.replace("climate", "seas"))
    assert (again.status_code, "There is a project rivers, lakes already" in text_of(again)) == (409, True)
    assert "Line 3: There is a project rivers" in text_of(again)
    assert (await fresh_house.get("it", "/api/v1/projects/seas")).status_code == 404


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("seas,main,R-1,2026-01-01,2036-12-31,,ada@example.edu,", "Line 1 needs name, credential"),
        ("seas,main,R-1,2026-01-01,2036-12-31", "Line 1 needs name, credential"),
        ("seas,main,R-1,1 May,2036-12-31,,ada@example.edu,all", "Line 1: a day is written"),
        ('seas,"main', "Line 1 is no CSV"),
        (
            "seas,nowhere,R-1,2026-01-01,2036-12-31,,ada@example.edu,all",
            "Line 1: projects (seas).credential: there is no credential nowhere",
        ),
        ("seas,main,R-1,2026-01-01,2036-12-31,,who@example.edu,all", "who@example.edu is not known; add"),
        (
            "seas,main,R-1,2026-01-01,2036-12-31,,ada@example.edu,video/all",
            "Line 1: allow.endpoints: video/all is no endpoint",
        ),
        ("health,main,R-1,2026-01-01,2036-12-31,,ada@example.edu,all", "There is a project health already"),
    ],
)
async def test_a_list_of_projects_that_is_wrong_says_where(
    shared_house: House, browser: Opened, line: str, says: str
) -> None:
    it = await signed_in(browser, shared_house, "it")
    answer = await it.send("/new-projects", csv=line)
    assert answer.status_code in {400, 409}
    assert says in text_of(answer)
    assert line.partition(",")[0] in text_of(answer)
    assert 'action="/console/new-project"' in answer.text  # the form for one is not sent as a list


async def test_a_limit_below_what_is_used_or_without_bound_is_warned_of(
    shared_house: House, browser: Opened
) -> None:
    quota = await signed_in(browser, shared_house, "quota")
    fields = {"limit project:elections requests/day": "0", "limit project:health requests/day": ""}
    told = text_of(await quota.send("/quotas", **fields))
    assert "Project elections requests a day 300 0" in told
    assert "so calls are refused at once" in told
    assert "is not limited at all any more" in told
    state = await shared_house.office.state()
    assert {each.amount for each in state.limits if each.scope_kind == "project"} >= {300, 200}


async def test_a_limit_has_a_history_with_who_changed_it(fresh_house: House, browser: Opened) -> None:
    quota, it = await signed_in(browser, fresh_house, "quota"), await signed_in(browser, fresh_house, "it")
    field = "limit project:health requests/day"
    assert (await quota.send("/quotas", **{field: "250", "step": "save"})).status_code == 303
    assert (await it.send("/quotas", **{field: "", "step": "save"})).status_code == 303
    assert (
        'href="/console/quotas/history?scope=project%3Aelections&amp;key=requests/day"'
        in (await quota.get("/quotas")).text
    )
    one = await quota.get("/quotas/history?scope=project:health&key=requests/day")
    told = text_of(one)
    assert "Project health: requests a day" in told
    assert "Project health requests a day 250 no limit it@example.edu" in told
    assert "Project health requests a day 200 250 quota@example.edu" in told
    assert told.index("250 no limit") < told.index("200 250")
    assert "/console/entries/" not in one.text  # whoever sets limits does not read the log
    dpo = await signed_in(browser, fresh_house, "dpo")
    assert "/console/entries/" in (await dpo.get("/quotas/history?q=HEALTH")).text
    shown = await it.get("/quotas/history?q=HEALTH")
    assert "/console/entries/" not in shown.text
    assert "Project elections" not in text_of(shown)
    assert "Project elections" in text_of(await it.get("/quotas/history"))
    assert "No change like that" in text_of(await it.get("/quotas/history?q=nowhere"))


async def test_the_history_of_limits_goes_on_to_older_changes(fresh_house: House, browser: Opened) -> None:
    for amount in range(1, 53):
        wanted = {"scope": "project:health", "key": "records/month", "amount": amount}
        await fresh_house.ask("quota", "PUT", "/api/v1/limits", json=wanted)
    quota = await signed_in(browser, fresh_house, "quota")
    first = await quota.get("/quotas/history?scope=project:health&key=records/month")
    (onward,) = re.findall(r'href="(/console/quotas/history[^"]*before=\d+[^"]*)" rel="next"', first.text)
    second = await quota.client.get(unescape(onward))
    shown = [re.findall(r'data-label="To" class="num">(\d+)<', each.text) for each in (first, second)]
    assert [*map(int, shown[0]), *map(int, shown[1])] == list(range(52, 0, -1))
    assert 'rel="next"' not in second.text
    nowhere = await quota.get("/quotas/history?scope=project:nope")
    assert (nowhere.status_code, "There is no 'project:nope'" in text_of(nowhere)) == (404, True)


async def test_whoever_asks_for_more_is_granted_it(fresh_house: House, browser: Opened) -> None:
    bob = await signed_in(browser, fresh_house, "bob")
    limits = await bob.get("/more")
    assert "member:elections requests/day" in limits.text
    asked = await bob.send(
        "/more",
        limit="member:elections requests/day",
        amount="50",
        until=_in_a_week(),
        reason="a crawl of <b>one</b> week\r\n" + "line\r\n" * 180,
    )
    assert asked.status_code == 303, text_of(asked)
    quota = await signed_in(browser, fresh_house, "quota")
    page = await quota.get("/requests")
    assert "a crawl of <b>one</b> week line" in text_of(page)
    assert "asks for 50 more requests a day" in text_of(page)
    assert "You in elections requests a day" in text_of(await bob.get("/more"))
    assert "<b>one</b>" not in page.text
    (request,) = re.findall(r"/console/requests/(\w{20})/grant", page.text)
    granted = await quota.send(f"/requests/{request}/grant", amount="40", until=_in_a_week())
    assert granted.status_code == 303, text_of(granted)
    assert "of 140" in text_of(await bob.get("/me"))
    for page in (await quota.get("/requests"), await bob.get("/more")):
        assert re.search(r'data-label="Granted" class="num"><span>40<br>', page.text)
        assert re.search(r'data-label="(Asked|More)" class="num">50<', page.text)
    assert "My own in elections: requests a day (now 140)" in text_of(await bob.get("/more"))


async def test_freezing_stops_at_once_and_nobody_stops_themselves(
    fresh_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    done = await it.send(
        "/freezes", kind="project", name="elections", reason="a leak", back="/console/projects"
    )
    assert done.headers["location"] == "/console/projects?done=frozen"
    state = await fresh_house.office.state()
    assert state.freeze_of(project_id(state, "elections")) is not None
    own = await it.send("/freezes", kind="person", name="it@example.edu", reason="a test")
    assert own.status_code == 409
    away = await it.send("/freezes/end", kind="project", name="elections", back="//evil.example")
    assert away.headers["location"] == "/console/today?done=unfrozen"


async def test_the_last_administrator_stays_and_nobody_retires_themselves(
    fresh_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    state = await fresh_house.office.state()
    assert (await it.send(f"/people/{person_id(state, 'it')}/end")).status_code == 409
    fields = {"name": "Service desk", "role": ["compliance"]}
    assert (await it.send(f"/people/{person_id(state, 'it')}", **fields)).status_code == 409  # type: ignore[arg-type]
    leads = await it.send(f"/people/{person_id(state, 'ada')}/end")
    assert leads.status_code == 409
    assert "leads elections" in text_of(leads)
    assert (await it.send(f"/people/{person_id(state, 'bob')}/end")).status_code == 303
    assert (await fresh_house.office.state()).person("bob@example.edu") is None
    fields = {"email": "bob@example.edu", "name": "Roberta", "role": ["researcher"]}
    asked = text_of(await it.send("/new-person", **fields))  # type: ignore[arg-type]
    assert "Bob <b>Noether</b> had this address until" in asked
    assert "Whoever is added now is somebody else" in asked
    told = await look_then_save(it, "/new-person", **fields, returning="yes")  # type: ignore[arg-type]
    assert "They come back as Bob <b>Noether</b>" in told
    assert person_id(await fresh_house.office.state(), "bob") == person_id(state, "bob")


async def test_terms_are_added_and_then_asked_for(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    text = "# New terms\r\n\r\n<script>alert(1)</script> Be kind."
    await look_then_save(
        it, "/terms", version="2026-11", title="Terms of autumn", in_force_from="2026-11-01", text=text
    )
    bob = await signed_in(browser, fresh_house, "bob")
    page = await bob.get("/my-terms")
    assert "<script>alert" not in page.text
    assert "Be kind." in text_of(page)
    (digest,) = re.findall(r'name="text_sha256" value="(\w{64})"', page.text)
    untold = await bob.send("/my-terms", version="2026-11", text_sha256="0" * 64, agrees="yes")
    assert untold.status_code == 404
    silent = await bob.send("/my-terms", version="2026-11", text_sha256=digest)
    assert silent.status_code == 400
    done = await bob.send("/my-terms", version="2026-11", text_sha256=digest, agrees="yes")
    assert done.status_code == 303
    state = await fresh_house.office.state()
    assert state.has_accepted(person_id(state, "bob"), "2026-11")


async def test_a_rule_is_set_to_warn(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    looked = await it.send("/rules", rule="date-span/1", mode="warn")
    assert "is not refused any more: date-span/1 lets it go on, and says so." in text_of(looked)
    assert "date-span/1" not in (await fresh_house.office.state()).policy.modes
    told = await look_then_save(it, "/rules", rule="date-span/1", mode="warn")
    assert "rule date-span/1 mode enforce warn" in told
    assert (await fresh_house.office.state()).policy.modes["date-span/1"] == "warn"
    back = await look_then_save(it, "/rules", rule="date-span/1", mode="enforce")
    assert "any more" not in back
    same = await it.send("/rules", rule="date-span/1", mode="enforce")
    assert "Nothing is different" in text_of(same)
    for rule, mode in (("no-such-rule", "warn"), ("date-span/1", "never"), ("not-frozen/1", "warn")):
        assert (await it.send("/rules", rule=rule, mode=mode)).status_code == 400


async def test_a_raise_is_ended_after_a_look_at_what_that_takes_away(
    fresh_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    until = (await fresh_house.office.state()).now.date() + dt.timedelta(days=3)
    made = await it.send(
        "/raises", limit="project:elections requests/day", amount="40", until=f"{until}", reason="a deadline"
    )
    assert made.status_code == 303, text_of(made)
    (raised,) = (await fresh_house.office.state()).raises
    assert "Project elections requests a day 40 " in text_of(await it.get("/quotas"))
    told = await look_then_save(it, f"/raises/{raised.id}/end")
    assert "40 more until" in told
    assert "calls may be refused at once" in told
    (ended,) = (await fresh_house.office.state()).raises
    assert (raised.retired_us, ended.retired_us is None) == (None, False)


@pytest.mark.parametrize("path", ["/projects", "/people", "/keys", "/quotas", "/calls", "/audit"])
async def test_whatever_is_looked_for_is_shown_as_text(
    shared_house: House, browser: Opened, path: str
) -> None:
    mine = await signed_in(browser, shared_house, "bob" if path == "/calls" else "dpo")
    words = "\"><script>alert('x')</script>{{ 7 * 7 }}"
    field = {"/calls": "entry", "/audit": "person"}.get(path, "q")
    answer = await mine.client.get(f"/console{path}", params={field: words})
    assert answer.status_code in {200, 404}
    assert "<script>alert" not in answer.text


def _in_a_week() -> str:
    return (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=7)).isoformat()


@pytest.mark.parametrize("step", ["look", "save"])
async def test_a_list_does_not_take_the_administration_of_whoever_brings_it(
    shared_house: House, browser: Opened, step: str
) -> None:
    it = await signed_in(browser, shared_house, "it")
    before = (await shared_house.office.state()).people
    lines = "ida@example.edu,Ida Rhodes,researcher\nit@example.edu,Service desk,researcher"
    answer = await it.send("/new-people", csv=lines, step=step)
    assert answer.status_code == 409
    assert "your own administration" in text_of(answer)
    assert "ida@example.edu" in answer.text  # the list is still in its field
    assert (await shared_house.office.state()).people == before


def token_ids(page: str) -> list[str]:
    return re.findall(r"/tokens/([0-9A-Za-z]{12})/end", page)


async def test_an_administrator_ends_a_token_of_somebody_and_their_session_with_it(
    fresh_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    bob = await signed_in(browser, fresh_house, "bob")
    bobs = f"/people/{person_id(await fresh_house.office.state(), 'bob')}"
    shown = await it.get(bobs)
    (token,) = token_ids(shown.text)
    assert fresh_house.tokens["bob"] not in shown.text
    quota = await signed_in(browser, fresh_house, "quota")
    looked = await quota.get(bobs)
    assert (token in looked.text, token_ids(looked.text)) == (True, [])
    assert (await it.send(f"{bobs}/tokens/{token}/end")).status_code == 303
    assert (await bob.get("/me")).status_code == 401
    assert "No token works" in text_of(await it.get(bobs))


async def test_one_ends_a_token_of_ones_own_and_the_session_opened_with_it(
    fresh_house: House, browser: Opened
) -> None:
    bob = await signed_in(browser, fresh_house, "bob")
    page = await bob.get("/me")
    (token,) = token_ids(page.text)
    last = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=90)
    assert f"{last.day} {last:%b} {last.year}" in text_of(page)
    it = await signed_in(browser, fresh_house, "it")
    assert (await it.send(f"/me/tokens/{token}/end")).status_code == 404
    assert (await bob.send(f"/me/tokens/{token}/end")).status_code == 303
    assert (await bob.get("/me")).status_code == 401


async def test_a_person_chooses_their_mail_on_their_page(fresh_house: House, browser: Opened) -> None:
    bob = await signed_in(browser, fresh_house, "bob")
    page = await bob.get("/me")
    assert "your choice counts once it does" in text_of(page)
    assert 'value="threshold" checked' in page.text
    assert "request_made" not in page.text
    assert (await bob.send("/me/notices", notice=["request_decided"])).status_code == 303
    page = await bob.get("/me")
    assert 'value="threshold" checked' not in page.text
    assert 'value="request_decided" checked' in page.text
    # What is no kind of theirs is passed over.
    assert (await bob.send("/me/notices", notice=["threshold", "request_made", "x"])).status_code == 303
    page = await bob.get("/me")
    assert 'value="threshold" checked' in page.text
    assert 'value="request_decided" checked' not in page.text


async def test_several_proposals_are_looked_at_and_confirmed_at_once(
    tmp_path: Path, migrated_sqlite_url: str, browser: Opened
) -> None:
    async with opened_house(tmp_path, migrated_sqlite_url, two_person_control=True) as house:
        email = "second@example.edu"
        await add_person(
            house.office, house.mint, OPERATOR, email=email, name="Second", roles=frozenset({"admin"})
        )
        house.tokens["second"] = (await issue_token(house.office, house.mint, OPERATOR, email=email)).token
        it, second = await signed_in(browser, house, "it"), await signed_in(browser, house, "second")
        records = {"scope": "credential:main", "key": "records/day", "amount": 100_000}
        await house.ask("it", "PUT", "/api/v1/limits", json=records)
        for key in ("requests/day", "records/day"):
            wanted = {"scope": "credential:main", "key": key, "amount": 200_000}
            await house.ask("it", "PUT", "/api/v1/limits", json=wanted)
        await house.ask("second", "PUT", "/api/v1/audit/retention", json={"months": 24})
        page = await second.get("/quotas")
        ticks = re.findall(
            r'type="checkbox" form="several" name="proposal" value="([0-9a-f]{20})"', page.text
        )
        assert len(ticks) == 2
        assert "Everybody on credential main requests a day 1,000 200,000" in text_of(page)
        assert "The log months for which content is kept 12 24" in text_of(page)
        # Nobody ticks what they proposed themselves.
        assert 'form="several"' not in (await it.get("/quotas")).text
        told = await look_then_save(second, "/proposals/confirmation", proposal=ticks)
        assert "requests a day 1,000 200,000" in told
        assert "records a day" in told
        own = [each.id for each in (await house.office.state()).proposals if each.outcome == "open"]
        mixed = await second.send("/proposals/confirmation", proposal=[*own, ticks[0]], step="save")
        assert mixed.status_code == 403
        words = text_of(mixed)
        assert "Confirmed: 0 of 2." in words
        assert "The log, months for which content is kept: You proposed this yourself." in words
        assert "a day: This proposal is confirmed already." in words
        weaker = {"rule": "refresh-interval/1", "mode": "shadow", "step": "save"}
        answer = await it.send("/rules", **weaker)
        assert (answer.status_code, "waiting" in answer.headers["location"]) == (303, True)
        assert (await house.office.state()).policy.modes == {}
        assert "The terms refresh-interval/1 enforce shadow" in text_of(await second.get("/quotas"))
        none = await second.send("/proposals/confirmation")
        assert (none.status_code, "Tick what you want to confirm" in text_of(none)) == (400, True)


async def test_whoever_leads_a_project_sees_its_people_and_what_each_spends(
    fresh_house: House, browser: Opened
) -> None:
    state = await fresh_house.office.state()
    project, bob = state.project("elections"), state.person("bob@example.edu")
    assert project is not None
    assert bob is not None
    place = state.membership(project, bob)
    assert place is not None
    today = state.now.date()
    rows = [
        {"dimension": dimension, "day": day, "used": used}
        for dimension, day, used in (
            ("requests", today, 31),
            ("follower_calls", today, 4),
            ("records", today, 1_700),
            ("requests", today.replace(day=1) - dt.timedelta(days=1), 5_000),
        )
    ]
    shared = {"scope_kind": "member", "scope_id": place.id, "reserved": 0}
    await fresh_house.installation.database.write(
        lambda conn: (
            conn.execute(sa.insert(table(CounterRow)), [{**each, **shared} for each in rows]).rowcount
        )
    )
    ada = await signed_in(browser, fresh_house, "ada")
    me = await ada.get("/me")
    assert f'href="/console/my-projects/{project.id}"' in me.text
    page = await ada.get(f"/my-projects/{project.id}")
    assert page.status_code == 200
    assert "30 Jun 2036" in text_of(page)
    (row,) = re.findall(r"<tr>(?:(?!</tr>).)*bob@example\.edu.*?</tr>", page.text, re.DOTALL)
    assert re.findall(r'class="num">([^<]*)<', row) == ["35", "1,700", "35", "1,700"]
    for name in ("bob", "grace", "it"):
        other = await signed_in(browser, fresh_house, name)
        assert (await other.get(f"/my-projects/{project.id}")).status_code == 404
        assert "/my-projects/" + project.id not in (await other.get("/me")).text


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1500", 1500),
        ("1,500", 1500),
        ("1 500", 1500),
        ("1\u202f234\u202f567", 1_234_567),
        (" 7 ", 7),
        ("0", 0),
    ],
)
def test_a_number_is_read_as_people_write_it(written: str, number: int) -> None:
    assert Form({"amount": (written,)}).number("amount", "How much more") == number


@pytest.mark.parametrize(
    "written", ["1,5", "1.5", "1,50", "1 5", "1,5000", "12,34,567", "1_5", "-5", "\u0663", "1,500 000"]
)
def test_what_would_be_another_number_is_refused_with_its_field(written: str) -> None:
    with pytest.raises(FieldRefused, match="How much more must be a whole number") as refused:
        Form({"amount": (written,)}).number("amount", "How much more")
    assert refused.value.field == "amount"


async def test_a_number_that_does_not_hold_is_pointed_at_in_its_field(
    fresh_house: House, browser: Opened
) -> None:
    ada = await signed_in(browser, fresh_house, "ada")
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=3)).date().isoformat()
    reason = "The count was moved."
    await ada.send("/more", limit="project:elections requests/day", amount="40", until=until, reason=reason)
    quota = await signed_in(browser, fresh_house, "quota")
    (request,) = (await fresh_house.office.state()).requests
    refused = await quota.send(f"/requests/{request.id}/grant", amount="1,5", until=until)
    assert refused.status_code == 400
    assert re.search(
        r'name="amount" aria-invalid="true" aria-errormessage="problem"[^>]* value="1,5"', refused.text
    )
    assert refused.text.count("aria-invalid") == 1
    assert (await fresh_house.office.state()).raises == ()

    limit = "limit project:elections requests/day"
    table = await quota.send("/quotas", **{limit: "1,5"})
    assert "Project elections: requests a day must be a whole number" in text_of(table)
    assert re.search(rf'name="{limit}" aria-invalid="true"[^>]* value="1,5"', table.text)
