"""The log in a browser: one's own calls, entries in words, filters and receipts."""

import hashlib
import json
import re

import httpx
import pytest
import sqlalchemy as sa

from app.administration.looking import Sought, filter_with_tags
from app.storage import tables
from app.web.api.exports import exported
from app.web.api.visitors import Visitor
from tests.web.conftest import House
from tests.web.console.conftest import Browser, Opened, signed_in, text_of

pytestmark = pytest.mark.anyio

VIDEO = "/v2/research/video/query/?fields=id"
BEYOND = {
    "query": {"and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]},
    "start_date": "20260101",
    "end_date": "20260930",
}


async def refused_call(house: House, name: str) -> str:
    """The id of the entry of a call that was refused."""
    headers = {"authorization": f"Bearer {house.keys[name].api_key}"}
    research = house.app.state.research
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=research), base_url="http://bursar.test"
    ) as client:
        answer = await client.post(VIDEO, json=BEYOND, headers=headers)
    assert answer.status_code == 400
    found: str = answer.json()["error"]["log_id"]
    return found


async def test_a_refused_call_is_explained_to_its_owner_and_to_nobody_else(
    shared_house: House, browser: Opened
) -> None:
    entry = await refused_call(shared_house, "bob")
    bob = await signed_in(browser, shared_house, "bob")
    listed = await bob.get("/calls")
    assert f"/console/entries/{entry}" in listed.text
    looked_up = await bob.get(f"/calls?entry={entry.upper()}")
    assert looked_up.headers["location"] == f"/console/entries/{entry}"
    page = await bob.get(f"/entries/{entry}")
    told = text_of(page)
    assert "Refused." in told
    assert "Nothing was spent." in told
    assert "elections" in told
    receipt = await bob.get(f"/entries/{entry}/receipt")
    assert receipt.text.startswith("c2sp.org/tlog-proof@v1\n")
    assert "attachment" in receipt.headers["content-disposition"]
    ada = await signed_in(browser, shared_house, "ada")
    assert (await ada.get(f"/entries/{entry}")).status_code == 404
    assert (await ada.get(f"/entries/{entry}/receipt")).status_code == 404
    assert entry not in (await ada.get("/calls")).text


async def test_compliance_finds_entries_and_opens_one(shared_house: House, browser: Opened) -> None:
    entry = await refused_call(shared_house, "bob")
    dpo = await signed_in(browser, shared_house, "dpo")
    found = await dpo.get("/audit?person=bob@example.edu&verdict=refused&project=elections")
    assert f"/console/entries/{entry}" in found.text
    none = await dpo.get("/audit?person=bob@example.edu&verdict=refused&project=elections&type=outcome")
    assert "Nothing meets all of that" in text_of(none)
    wrong = await dpo.get("/audit?person=never@example.edu")
    assert wrong.status_code == 404
    assert "There is no person" in text_of(wrong)
    page = await dpo.get(f"/entries/{entry}")
    assert "bob@example.edu" in text_of(page)
    checkpoint = await dpo.get("/audit/checkpoint")
    assert checkpoint.text.count("\n") >= 4


async def test_rules_tell_how_often_they_refused_today(fresh_house: House, browser: Opened) -> None:
    headers = {"authorization": f"Bearer {fresh_house.keys['bob'].api_key}"}
    transport = httpx.ASGITransport(app=fresh_house.app.state.research)
    async with httpx.AsyncClient(transport=transport, base_url="http://bursar.test") as client:
        for _ in range(2):
            answer = await client.post(VIDEO, json={**BEYOND, "end_date": "20260110"}, headers=headers)
            assert "terms-accepted" in answer.text
    page = await (await signed_in(browser, fresh_house, "quota")).get("/rules")
    counts = dict(
        re.findall(r"<code>([a-z-]+/\d+)</code><br><span class=\"hint\">refused today: (\d+)<", page.text)
    )
    assert {rule: count for rule, count in counts.items() if count != "0"} == {"terms-accepted/2": "2"}


async def test_pages_of_the_log_follow_each_other_without_a_gap(shared_house: House, browser: Opened) -> None:
    dpo = await signed_in(browser, shared_house, "dpo")
    for _ in range(60):
        await shared_house.get("bob", "/api/v1/me")
    first = await dpo.get("/audit?person=bob@example.edu")
    onward = re.findall(r'href="(/console/audit\?[^"]*before=\d+[^"]*)" rel="next"', first.text)
    assert len(onward) == 1
    second = await dpo.client.get(onward[0].replace("&amp;", "&"))
    shown = [
        [int(each) for each in re.findall(r'data-label="Entry" class="num">(\d+)<', page.text)]
        for page in (first, second)
    ]
    assert len(shown[0]) == 50
    assert shown[0] == sorted(shown[0], reverse=True)
    assert max(shown[1]) < min(shown[0])


@pytest.mark.parametrize(
    ("path", "query", "status", "reason"),
    [
        ("/audit", "before=x", 400, "This page begins nowhere"),
        ("/audit", "before=-1", 400, "This page begins nowhere"),
        ("/audit", "before=" + "9" * 30, 400, "This page begins nowhere"),
        ("/audit", "entry=zz", 404, "An entry's id has 32 characters"),
        ("/audit", "kind=x&named=y", 400, "Choose what it is that the question names"),
        ("/audit", "kind=x", 400, "Choose what it is that the question names"),
        ("/audit", "since=x", 400, "is no day"),
        ("/audit", "verdict=maybe", 400, "verdict is one of allowed, refused"),
        ("/audit", "type=x", 400, "type is one of"),
        ("/audit", "cost=much", 400, "cost is yes or left out"),
        ("/audit", "project=never", 404, "There is no project"),
        ("/audit", "code=" + "x" * 321, 400, "at most 320 characters"),
        ("/audit", "least_requests=abc", 400, "This page knows no 'least_requests'. It can be asked by"),
        ("/audit", "type=auth&type=admin", 400, "type is there more than once"),
        ("/audit", "since=2026-05-02&until=2026-05-01", 400, "until has to be later than since"),
        ("/audit", "since=2026-05-01&until=2026-05-01", 400, "until has to be later than since"),
        ("/calls", "before=x", 400, "This page begins nowhere"),
        ("/calls", "project=elections", 400, "This page knows no 'project'"),
        ("/keys", "all=maybe", 400, "all is yes or left out"),
        ("/people", "name=bob", 400, "This page knows no 'name'. It can be asked by q."),
        ("/me", "q=x", 400, "This page knows no 'q'. It is asked by nothing."),
        ("/compliance", "form=x", 400, "This page knows no 'form'"),
        ("/compliance/report", "since=2026-05-02&until=2026-05-01", 400, "A report is of one day or more"),
    ],
)
async def test_what_a_page_cannot_be_asked_is_refused_with_the_reason(
    shared_house: House, browser: Opened, path: str, query: str, status: int, reason: str
) -> None:
    visitor = await signed_in(browser, shared_house, "bob" if path == "/calls" else "dpo")
    answer = await visitor.get(f"{path}?{query}")
    assert answer.status_code == status
    told = text_of(answer)
    assert reason in told
    assert "Nothing meets all of that" not in told
    assert "No calls yet" not in told
    if path == "/audit":
        assert "Find entries" in told
        assert 'data-label="Entry"' not in answer.text


async def test_what_is_told_after_a_form_is_no_question(shared_house: House, browser: Opened) -> None:
    dpo = await signed_in(browser, shared_house, "dpo")
    assert (await dpo.get("/me?done=saved")).status_code == 200
    assert (await dpo.get("/audit?type=auth&done=search-saved")).status_code == 200


async def test_an_export_is_not_begun_by_what_cannot_be_read(shared_house: House, browser: Opened) -> None:
    dpo = await signed_in(browser, shared_house, "dpo")
    for query in ("least_requests=1", "since=2026-05-02&until=2026-05-01"):
        assert (await dpo.send(f"/audit/exports?{query}", format="csv")).status_code == 400


async def test_what_was_found_is_taken_away_as_a_table_or_as_signed_lines(
    shared_house: House, browser: Opened
) -> None:
    entry = await refused_call(shared_house, "bob")
    dpo = await signed_in(browser, shared_house, "dpo")
    search = "person=bob@example.edu&verdict=refused&project=elections"
    table, lines = [await taken(dpo, search, form) for form in ("csv", "jsonl")]
    assert table.headers["content-type"].startswith("text/csv")
    assert entry in table.text
    assert "attachment" in table.headers["content-disposition"]
    told = [json.loads(each) for each in lines.text.splitlines()]
    assert entry in {each["entry"]["id"] for each in told[:-1]}
    assert all(each["entry"]["decision"]["verdict"] == "refused" for each in told[:-1])
    assert set(told[-1]) == {"checkpoint", "manifest", "note"}
    assert (await dpo.send("/audit/exports", format="pdf")).status_code == 400


async def taken(mine: Browser, search: str, form: str) -> httpx.Response:
    """The file of an export that is begun from that search, and looked at before and after."""
    begun = await mine.send(f"/audit/exports?{search}", format=form)
    assert begun.status_code == 303, begun.text
    here, _, begin = begun.headers["location"].removeprefix("/console").partition("?")
    first = await mine.get(f"{here}?{begin}")
    assert f'content="2;url=/console{here}"' in first.text
    assert first.text.count("data-begin") == 1
    assert "data-begin" not in (await mine.get(here)).text
    answer = await mine.get(f"{here}/file")
    after = await mine.get(f"{here}?{begin}")
    assert "The file is with your browser." in text_of(after)
    assert "refresh" not in after.text
    assert "data-begin" not in after.text
    assert 'class="bar"' in after.text  # all of it is no warning
    assert hashlib.sha256(answer.content).hexdigest() in after.text
    return answer


async def test_an_export_is_told_of_while_it_is_sent_and_to_whoever_began_it_alone(
    fresh_house: House, browser: Opened
) -> None:
    dpo = await signed_in(browser, fresh_house, "dpo")
    begun = await dpo.send("/audit/exports?type=admin", format="csv")
    here = begun.headers["location"].removeprefix("/console").partition("?")[0]
    export = here.rpartition("/")[2]
    desk = fresh_house.app.state.desk
    person, other = [
        (await fresh_house.office.state()).person(f"{each}@example.edu") for each in ("dpo", "it")
    ]
    assert person is not None
    assert other is not None
    assert await desk.exports.find(other.id, export) is None
    asked = Sought(type="admin")
    wanted = await filter_with_tags(await fresh_house.office.state(), asked, fresh_house.installation.seals)
    visitor = Visitor(person=person.id, roles=frozenset(person.roles), with_key=False)
    parts = (await exported(desk, visitor, wanted, "csv", export=export)).body_iterator.__aiter__()
    await parts.__anext__()
    page = await dpo.get(here)
    assert re.search(r"Under way 0 of \d+ entries", text_of(page))
    assert len([each async for each in parts]) == 1
    # Of one that is heard of no more it is said so, and the page rests.
    row = tables.table(tables.ExportRow)
    await fresh_house.installation.database.write(
        lambda conn: (
            conn.execute(
                sa.update(row).values(seen_us=row.c.seen_us - 61_000_000, ended_us=None, sha256=None)
            ).rowcount
        )
    )
    page = await dpo.get(here)
    assert "Nothing was taken for a minute." in text_of(page)
    assert "refresh" not in page.text


async def test_looking_at_the_log_is_in_the_log(fresh_house: House, browser: Opened) -> None:
    dpo = await signed_in(browser, fresh_house, "dpo")
    await dpo.get("/audit?verdict=refused")
    items = (await fresh_house.get("dpo", "/api/v1/audit/entries?type=audit_read&limit=5")).json()["items"]
    reads = [each["entry"]["reads"] for each in items if each["entry"]["http"]["route"] == "/console/audit"]
    assert reads[0]["verdict"] == "refused"


async def test_today_shows_budgets_refusals_and_health(shared_house: House, browser: Opened) -> None:
    await refused_call(shared_house, "bob")
    it = await signed_in(browser, shared_house, "it")
    told = text_of(await it.get("/today"))
    for part in (
        "Requests left on credential main",
        "1,000",
        "elections",
        "Refused today",
        "Audit log",
        "signed",
    ):
        assert part in told
