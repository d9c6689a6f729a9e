"""Two administrators at one form: nobody overwrites what they have not seen, and is shown what differs."""

import asyncio
import re
from html import unescape

import httpx
import pytest

from tests.web.conftest import House
from tests.web.console.conftest import Browser, Opened, signed_in, text_of
from tests.web.console.test_administration import person_id, project_id

pytestmark = pytest.mark.anyio

Fields = dict[str, str | list[str]]
PROJECT: Fields = {
    "credential": "main",
    "reference": "R-2026-015",
    "from": "2026-01-01",
    "until": "2037-06-30",
    "members": "grace@example.edu",
    "lead": "grace@example.edu",
    "cache_scope": "project",
    "all_endpoints": "yes",
}


def version_in(answer: httpx.Response) -> str:
    found = re.search(r'name="version" value="([0-9a-f]{32})"', answer.text)
    assert found is not None
    return found.group(1)


def hidden_in(answer: httpx.Response) -> Fields:
    """The fields of the form that a page offers to send again."""
    found: Fields = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.text):
        kept = found.get(name)
        text = unescape(value)
        found[name] = text if kept is None else [*([kept] if isinstance(kept, str) else kept), text]
    found.pop("form_token", None)
    return found


async def looked_at(mine: Browser, path: str, fields: Fields) -> Fields:
    """The form as it is sent again to be saved, once its preview was seen."""
    looked = await mine.send(path, **fields)
    assert looked.status_code == 200, text_of(looked)
    assert "Nothing has been saved yet" in text_of(looked)
    return hidden_in(looked)


async def name_of(house: House, who: str) -> str:
    found = (await house.office.state()).person(f"{who}@example.edu")
    assert found is not None
    return found.name


async def renamed(house: House, who: str, name: str) -> None:
    answer = await house.ask("it", "PATCH", f"/api/v1/people/{who}@example.edu", json={"name": name})
    assert answer.status_code == 200, answer.text


async def test_what_a_colleague_changed_while_the_form_was_open_is_shown_and_kept(
    fresh_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    path = f"/people/{person_id(await fresh_house.office.state(), 'grace')}"
    fields: Fields = {"name": "Mine", "role": ["lead"], "version": version_in(await it.get(path))}
    await renamed(fresh_house, "grace", "Theirs")

    answer = await it.send(path, **fields)
    assert answer.status_code == 412
    told = text_of(answer)
    assert "Somebody changed this meanwhile" in told
    assert "person grace@example.edu name Theirs Mine" in told
    assert await name_of(fresh_house, "grace") == "Theirs"

    again = await looked_at(it, path, hidden_in(answer))
    assert (await it.send(path, **again)).status_code == 303
    assert await name_of(fresh_house, "grace") == "Mine"


async def test_a_change_between_the_look_and_the_saving_is_noticed(
    fresh_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    path = f"/people/{person_id(await fresh_house.office.state(), 'grace')}"
    fields: Fields = {"name": "Mine", "role": ["lead"], "version": version_in(await it.get(path))}
    again = await looked_at(it, path, fields)
    await renamed(fresh_house, "grace", "Theirs")
    assert (await it.send(path, **again)).status_code == 412
    assert await name_of(fresh_house, "grace") == "Theirs"


async def test_of_two_who_save_at_once_one_does(fresh_house: House, browser: Opened) -> None:
    path = f"/people/{person_id(await fresh_house.office.state(), 'grace')}"
    mine, yours = [await signed_in(browser, fresh_house, "it") for _ in range(2)]
    forms = [
        await looked_at(
            each, path, {"name": name, "role": ["lead"], "version": version_in(await each.get(path))}
        )
        for each, name in ((mine, "Mine"), (yours, "Yours"))
    ]
    answers = await asyncio.gather(mine.send(path, **forms[0]), yours.send(path, **forms[1]))
    assert sorted(each.status_code for each in answers) == [303, 412]
    winner = "Mine" if answers[0].status_code == 303 else "Yours"
    assert await name_of(fresh_house, "grace") == winner


async def test_a_member_whom_a_colleague_added_is_not_lost_and_a_limit_is_no_matter(
    fresh_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, fresh_house, "it")
    path = f"/projects/{project_id(await fresh_house.office.state(), 'health')}/form"
    fields: Fields = {**PROJECT, "version": version_in(await it.get(path))}
    limit = {"scope": "project:health", "key": "requests/day", "amount": 150}
    assert (await fresh_house.ask("it", "PUT", "/api/v1/limits", json=limit)).status_code == 200
    await looked_at(it, path, fields)

    member = "/api/v1/projects/health/members/bob@example.edu"
    assert (await fresh_house.ask("it", "PUT", member, json={})).status_code == 201
    answer = await it.send(path, **fields)
    assert answer.status_code == 412
    assert "member health/bob@example.edu retired" in text_of(answer)
    assert (await fresh_house.get("it", member)).status_code == 200

    fresh = {**fields, "members": "grace@example.edu bob@example.edu".replace(" ", "\r\n")}
    fresh["version"] = version_in(await it.get(path))
    assert (await it.send(path, **await looked_at(it, path, fresh))).status_code == 303
    assert (await fresh_house.get("it", member)).status_code == 200
    found = (await fresh_house.get("it", "/api/v1/projects/health")).json()
    assert found["approval"]["until"] == "2037-06-30"


async def test_in_the_table_of_limits_what_was_not_touched_stays_a_colleagues(
    fresh_house: House, browser: Opened
) -> None:
    quota = await signed_in(browser, fresh_house, "quota")
    page = await quota.get("/quotas")
    fields: Fields = {
        name: unescape(value)
        for name, value in re.findall(
            r'name="((?:was|limit) [^"]+)"(?: aria-label="[^"]*" inputmode="numeric" maxlength="20")? value="([^"]*)"',
            page.text,
        )
    }
    elections, health = "limit project:elections requests/day", "limit project:health requests/day"
    assert (fields[elections], fields[health]) == ("300", "200")
    theirs = {"scope": "project:elections", "key": "requests/day", "amount": 250}
    assert (await fresh_house.ask("it", "PUT", "/api/v1/limits", json=theirs)).status_code == 200

    again = await looked_at(quota, "/quotas", {**fields, health: "190"})
    assert (await quota.send("/quotas", **again)).status_code == 303
    state = await fresh_house.office.state()
    amounts = {each.amount for each in state.limits if each.scope_kind == "project" and each.window == "day"}
    assert amounts == {250, 190}

    late = await quota.send("/quotas", **{**fields, elections: "280"})
    assert late.status_code == 412
    assert "requests/day of project:elections is 250 by now, not 300" in text_of(late)
    shown = dict(re.findall(r'<input name="(limit [^"]+)"[^>]* value="([^"]*)"', late.text))
    # Mine to be sent again, and beside it what the colleague made of the other.
    assert (shown[elections], shown[health]) == ("280", "190")
    assert f'name="was{elections[5:]}" value="250"' in late.text


async def test_a_mode_that_a_colleague_set_meanwhile_is_kept(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    shown = (await it.get("/rules")).text.partition('name="rule" value="date-span/1"')[2]
    was = re.match(r'><input type="hidden" name="was" value="(\w+)">', shown)
    assert was is not None
    fields: Fields = {"rule": "date-span/1", "mode": "shadow", "was": was.group(1)}
    saving = await looked_at(it, "/rules", fields)

    async def mode() -> str:
        found: str = (await fresh_house.get("it", "/api/v1/rules/date-span/1")).json()["mode"]
        return found

    set_meanwhile = await fresh_house.ask("it", "PUT", "/api/v1/rules/date-span/1", json={"mode": "warn"})
    assert set_meanwhile.status_code == 200
    # Refused while it is looked at, and once more where it is saved.
    for sent in (fields, saving):
        answer = await it.send("/rules", **sent)
        assert answer.status_code == 412
        assert "date-span/1 is set to warn by now, not to enforce as you have seen it" in text_of(answer)
        assert await mode() == "warn"
    again = await looked_at(it, "/rules", {**fields, "was": "warn"})
    assert (await it.send("/rules", **again)).status_code == 303
    assert await mode() == "shadow"
