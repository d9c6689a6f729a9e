"""Keys made from a list: looked at, made all or none, and told once."""

import base64
import csv
import io
import re
from html import unescape

import pytest

from tests.web.conftest import House
from tests.web.console.conftest import SAME_ORIGIN, Opened, signed_in, text_of

pytestmark = pytest.mark.anyio

LINES = "project,person,expires\r\nelections,Ada@example.edu,2036-01-31\nhealth,grace@example.edu\n"


async def test_a_list_of_keys_is_looked_at_and_then_made_once(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    before = len((await fresh_house.office.state()).keys)
    looked = await it.send("/new-keys", csv=LINES)
    told = text_of(looked)
    assert "Make 2 keys?" in told
    assert "ada@example.edu in elections key through 2036-01-31" in told
    assert "grace@example.edu in health key as long as they are a member" in told
    assert "These have a key that works already" in told
    assert len((await fresh_house.office.state()).keys) == before

    again = {
        name: unescape(value)
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', looked.text)
    }
    made = await it.client.post("/console/new-keys", data=again, headers=SAME_ORIGIN)
    assert made.status_code == 200, text_of(made)
    (address,) = re.findall(
        r'href="data:text/csv;base64,([^"]+)" download="bursar-keys.csv"', unescape(made.text)
    )
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(address).decode(), newline="")))
    assert [(row["project"], row["person"], row["expires"]) for row in rows] == [
        ("elections", "ada@example.edu", "2036-01-31"),
        ("health", "grace@example.edu", ""),
    ]
    for row in rows:
        assert row["api_key"] in unescape(made.text)
        headers = {"authorization": f"Bearer {row['api_key']}"}
        mine = (await fresh_house.client.get("/api/v1/me", headers=headers)).json()
        assert mine["person"]["email"] == row["person"]
        assert row["api_key"] not in (await it.get("/keys")).text

    twice = await it.client.post("/console/new-keys", data=again, headers=SAME_ORIGIN)
    assert twice.status_code == 412
    assert "none was made" in text_of(twice)
    assert len((await fresh_house.office.state()).keys) == before + 2


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("elections", "Line 1 needs project, person, expires"),
        ("elections,ada@example.edu,1 May", "Line 1: a day is written"),
        ("elections,ada@example.edu,2020-01-01", "Line 1: 2020-01-01 is over"),
        ("elections,ada@example.edu\nelections,ADA@example.edu", "Line 2 asks for a second key"),
        ("nowhere,ada@example.edu", "Line 1: There is no project nowhere"),
        (
            "health,grace@example.edu\nhealth,ada@example.edu",
            "Line 2: ada@example.edu is no member of project health",
        ),
        ('elections,"ada', "Line 1 is no CSV"),
        ("project,person,expires", "Give 1 to 1000 lines"),
    ],
)
async def test_a_list_of_keys_that_is_wrong_says_where(
    shared_house: House, browser: Opened, lines: str, says: str
) -> None:
    it = await signed_in(browser, shared_house, "it")
    before = len((await shared_house.office.state()).keys)
    answer = await it.send("/new-keys", csv=lines)
    assert answer.status_code in {400, 404}
    assert says in text_of(answer)
    assert lines.partition("\n")[0] in unescape(answer.text)
    assert len((await shared_house.office.state()).keys) == before


async def test_every_line_that_is_wrong_is_told_at_once(shared_house: House, browser: Opened) -> None:
    it = await signed_in(browser, shared_house, "it")
    lines = (
        "elections",
        "nowhere,ada@example.edu",
        "health,grace@example.edu",
        "elections,ada@example.edu,2020-01-01",
    )
    answer = await it.send("/new-keys", csv="\n".join(lines))
    assert answer.status_code == 400
    assert re.findall(r"<li>(Line \d)", answer.text) == ["Line 1", "Line 2", "Line 4"]


@pytest.mark.parametrize("name", ["it", "ada"])
async def test_a_form_for_one_key_that_is_sent_twice_makes_one(
    fresh_house: House, browser: Opened, name: str
) -> None:
    mine = await signed_in(browser, fresh_house, name)
    path = "/keys" if name == "it" else "/my-keys"
    who = {"member": "elections ada@example.edu"} if name == "it" else {}
    page = await mine.get(path)
    (opened,) = re.findall(r'name="opened" value="(\d+)"', page.text)
    if name == "ada":
        state = await fresh_house.office.state()
        project = state.project("elections")
        assert project is not None
        who = {"project": project.id}
    before = len((await fresh_house.office.state()).keys)
    made = await mine.send(path, opened=opened, **who)
    assert made.status_code == 200, text_of(made)
    again = await mine.send(path, opened=opened, **who)
    assert again.status_code == 412
    assert "was made after this form was opened" in text_of(again)
    assert len((await fresh_house.office.state()).keys) == before + 1
    # The page that told the first key, and the one that refused, have a form that is open since then.
    (later,) = re.findall(r'name="opened" value="(\d+)"', again.text)
    assert (await mine.send(path, opened=later, **who)).status_code == 200
    assert len((await fresh_house.office.state()).keys) == before + 2
