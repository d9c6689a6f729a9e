"""Held answers in a browser: what there is, what would go is seen first, and what went is gone and in the log."""

import re

import pytest

from app.cache.pages import HeldPage
from app.provider.naming import author, record
from app.storage.pages import hold
from tests.web.conftest import House
from tests.web.console.conftest import Browser, Opened, signed_in, text_of

pytestmark = pytest.mark.anyio
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


async def hold_page(house: House, project: str, endpoint: str, number: int, *names: str) -> None:
    """Have a page of 80 records be held, with what these names stand for on it."""
    state = await house.office.state()
    found = state.project(project)
    assert found is not None
    pages = house.installation.pages
    now_us = int(house.installation.clock.now().timestamp() * 1_000_000)
    holding = await pages.seal(
        HeldPage(
            key=number.to_bytes(32, "big"),
            scope=f"project:{found.id}",
            endpoint=endpoint,
            data=b"{}",
            records=80,
            fetched_us=now_us - number * 3_600_000_000,
            expires_us=now_us + 86_400_000_000,
        ),
        names,
    )
    assert holding is not None
    await house.installation.database.write(lambda conn: hold(conn, [holding]))


async def fill(house: House) -> None:
    await hold_page(house, "elections", "video/query", 1, record("7"), author("ann"))
    await hold_page(house, "elections", "video/query", 2, record("8"), author("ben"))
    await hold_page(house, "elections", "user/info", 3, author("ann"))
    await hold_page(house, "health", "video/query", 4, record("7"), author("ann"))


def rows_of(page: str) -> list[list[str]]:
    """The cells of each line of the tables."""
    lines = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = (re.findall(r"<td[^>]*>(.*?)</td>", line, re.DOTALL) for line in lines)
    return [[re.sub(r"<[^>]+>|\s+", " ", cell).strip() for cell in line] for line in cells if line]


async def carry_out(mine: Browser, preview: str) -> str:
    """Press the button of the preview; the words of the page that follows."""
    form = dict(_HIDDEN.findall(preview))
    assert form.pop("step") == "save"
    saved = await mine.send("/held", step="save", **form)
    assert saved.status_code == 303, text_of(saved)
    return text_of(await mine.client.get(saved.headers["location"]))


async def test_what_is_held_is_told_by_project_and_endpoint(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    assert "Nothing is held" in text_of(await it.get("/held"))
    await fill(fresh_house)
    page = await it.get("/held")
    figures = [row[:4] for row in rows_of(page.text)]
    assert figures == [
        ["elections", "user/info", "1", "80"],
        ["elections", "video/query", "2", "160"],
        ["health", "video/query", "1", "80"],
    ]
    oldest, newest = rows_of(page.text)[1][5:7]
    assert oldest != newest
    # 450 bytes for each beside its data, which is next to nothing here.
    told = r"4 pages with 320 records take about [23] kB in the database, of 2,147,484 kB that they may"
    assert re.search(told, text_of(page))


async def test_what_would_go_is_seen_first_and_then_goes(fresh_house: House, browser: Opened) -> None:
    await fill(fresh_house)
    dpo = await signed_in(browser, fresh_house, "dpo")
    looked = await dpo.send("/held", author="Ann")
    assert rows_of(looked.text) == [
        ["project:elections", "held pages", "2 with 160 records", "none"],
        ["project:health", "held pages", "1 with 80 records", "none"],
    ]
    assert len(rows_of((await dpo.get("/held")).text)) == 3
    looked = await dpo.send("/held", author="ann", record="7", project="elections", endpoint="video/query")
    assert [row[2] for row in rows_of(looked.text)] == ["1 with 80 records"]
    assert "Purged: it is held no longer" in await carry_out(dpo, looked.text)
    left = [row[:4] for row in rows_of((await dpo.get("/held")).text)]
    assert left == [
        ["elections", "user/info", "1", "80"],
        ["elections", "video/query", "1", "80"],
        ["health", "video/query", "1", "80"],
    ]
    found = await fresh_house.get("dpo", "/api/v1/audit/entries?type=admin&limit=5")
    entry = next(each["entry"] for each in found.json()["items"] if each["entry"].get("op") == "held.purged")
    assert (entry["by"], entry["pages"]) == (["author", "endpoint", "project", "record"], 1)
    assert (entry["actor"]["kind"], entry["actor"]["roles"]) == ("person", ["compliance"])
    assert "ann" not in str(entry)


async def test_what_names_nothing_or_finds_nothing_deletes_nothing(
    fresh_house: House, browser: Opened
) -> None:
    await fill(fresh_house)
    it = await signed_in(browser, fresh_house, "it")
    nothing = await it.send("/held", project="", endpoint="", record=" ", author="")
    assert (nothing.status_code, "Say what to purge" in text_of(nothing)) == (400, True)
    assert (await it.send("/held", project="nobody's")).status_code == 404
    too_long = await it.send("/held", author="a" * 201, endpoint="user/info")
    assert too_long.status_code == 400
    # What was chosen beside it is still chosen.
    assert "<option selected>user/info</option>" in too_long.text
    looked = await it.send("/held", record="9")
    assert "Nothing is different" in text_of(looked)
    assert "Make it so" not in text_of(looked)
    assert len(rows_of((await it.get("/held")).text)) == 3


async def test_the_form_of_another_session_purges_nothing(fresh_house: House, browser: Opened) -> None:
    await fill(fresh_house)
    it = await signed_in(browser, fresh_house, "it")
    answer = await it.send("/held", project="elections", step="save", form_token="0" * 64)
    assert answer.status_code == 403
    assert len(rows_of((await it.get("/held")).text)) == 3


async def test_a_dry_run_over_the_api_deletes_nothing(fresh_house: House) -> None:
    await fill(fresh_house)
    wanted = {"project": "elections", "dry_run": True}
    for _ in range(2):
        answer = await fresh_house.ask("it", "POST", "/api/v1/cache/purge", json=wanted)
        assert answer.json() == {"pages": 3, "records": 240}
    assert (await fresh_house.ask("grace", "POST", "/api/v1/cache/purge", json=wanted)).status_code == 403
    done = await fresh_house.ask("it", "POST", "/api/v1/cache/purge", json={"project": "elections"})
    assert done.json() == {"pages": 3, "records": 240}
    held = (await fresh_house.get("it", "/api/v1/cache")).json()["items"]
    assert [(each["scope"], each["pages"]) for each in held] == [("project:health", 1)]
    assert held[0]["newest_at"] == held[0]["oldest_at"]
