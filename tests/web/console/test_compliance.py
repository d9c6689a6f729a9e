"""The page of compliance and its reports: every figure is one that somebody put there."""

import datetime as dt
import re
from base64 import b64decode
from collections.abc import Sequence

import httpx
import pytest
import sqlalchemy as sa

from app.administration.acts import record_acceptance
from app.administration.freezing import Freezable, freeze
from app.audit.entries import Draft, Value
from app.storage.engines import open_database
from app.storage.log import Boot, append
from app.storage.reporting import happened, held_by_age
from app.storage.tables import HeldPageRow, table
from tests.web.conftest import OPERATOR, House
from tests.web.console.conftest import Opened, signed_in, text_of

pytestmark = pytest.mark.anyio

DAY_US = 86_400_000_000


async def hold(house: House, scope: str, *pages: tuple[int, int]) -> None:
    """Held pages, each by its age in days and its records."""
    now_us = (await house.office.state()).now_us
    rows = [
        {
            "key": f"{scope} {number}".encode(),
            "scope": scope,
            "endpoint": "video/query",
            "sealed": b"x" * 20_000,
            "records": records,
            "fetched_us": now_us - days * DAY_US - 1_000_000,
            "expires_us": now_us + DAY_US,
        }
        for number, (days, records) in enumerate(pages)
    ]
    insert = sa.insert(table(HeldPageRow))
    await house.installation.database.write(lambda conn: conn.execute(insert, rows).rowcount)


async def write(house: House, drafts: Sequence[Draft]) -> None:
    """Entries, as a process beside the application writes them."""
    database = open_database(house.installation.settings.database_url)
    await append(database, Boot("beside", "f" * 16, house.installation.signer), list(drafts))
    await database.close()


def call(house_ids: tuple[str, str], **more: Value) -> Draft:
    person, project = house_ids
    actor: Value = {"kind": "key", "principal": person, "project": project, "key_id": "k", "roles": []}
    return Draft(type="decision", fields={"actor": actor, "op": "video/query", **more})


def row_of(page: httpx.Response, name: str) -> str:
    """The words of the row that begins with that name, in the last table that has one."""
    rows = [
        " ".join(re.sub(r"<[^>]+>", " ", each).split())
        for each in re.findall(r"<tr>.*?</tr>", page.text, re.DOTALL)
    ]
    return next(each for each in rows if each.startswith(f"{name} "))


async def test_held_data_is_told_by_project_and_age_with_the_moment_when_it_is_gone(
    house: House, browser: Opened
) -> None:
    state = await house.office.state()
    elections, health = state.project("elections"), state.project("health")
    assert elections is not None
    assert health is not None
    await hold(house, f"project:{elections.id}", (0, 100), (2, 50), (9, 7), (14, 3))
    await hold(house, f"credential:{state.credentials[0].id}", (4, 11))
    page = await (await signed_in(browser, house, "dpo")).get("/compliance")
    assert page.status_code == 200
    assert row_of(page, "elections").startswith("elections 1 1 0 2 0 4 160 ")
    assert row_of(page, "all projects on main").startswith("all projects on main 0 0 1 0 0 1 11 ")
    gone = state.now - dt.timedelta(days=14) + dt.timedelta(days=15)
    assert f"{gone.day} {gone:%b} {gone.year}" in row_of(page, "elections")
    assert "deleted or fetched again before it is 15 days old" in text_of(page)
    assert "kept for 12 months" in text_of(page)


async def test_the_ages_are_read_from_an_index_alone(fresh_house: House) -> None:
    """A held page may be a megabyte, and there may be a hundred thousand."""
    seen: list[str] = []

    def look(conn: sa.Connection) -> None:
        sa.event.listen(conn, "before_cursor_execute", lambda *said: seen.append(said[2]))
        held_by_age(conn, now_us=1_000_000)
        plan = conn.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT scope, (9 - fetched_us) / 7 AS days, count(*), sum(records), min(fetched_us) "
            "FROM held_page GROUP BY scope, days"
        ).all()
        assert "COVERING INDEX ix_held_page_age" in str(plan)

    await fresh_house.installation.database.read(look)
    assert "sealed" not in seen[0]


async def test_acceptances_that_are_outstanding_are_listed_until_they_are_not(
    fresh_house: House, browser: Opened
) -> None:
    dpo = await signed_in(browser, fresh_house, "dpo")
    listed = text_of(await dpo.get("/compliance"))
    assert "ada@example.edu elections 2026-02" in listed
    for name in ("ada", "bob", "grace"):
        await record_acceptance(
            fresh_house.office,
            OPERATOR,
            email=f"{name}@example.edu",
            version="2026-02",
            evidence_name="signed.pdf",
            evidence=b"by hand",
        )
    assert "Everybody in a project has accepted version 2026-02" in text_of(await dpo.get("/compliance"))


async def test_a_report_counts_what_happened_in_its_days_and_nothing_else(
    house: House, browser: Opened
) -> None:
    state = await house.office.state()
    ada, elections = state.person("ada@example.edu"), state.project("elections")
    assert ada is not None
    assert elections is not None
    mine = ada.id, elections.id
    refused: Value = {"verdict": "refused", "rule": "date-span/1", "code": "invalid_params"}
    allowed: Value = {"verdict": "allowed", "rule": "endpoint-approved/1"}
    calls = [call(mine, decision=allowed) for _ in range(5)] + [
        call(mine, decision=refused) for _ in range(3)
    ]
    await write(house, calls)
    await freeze(
        house.office, house.mint, OPERATOR, kind=Freezable.PROJECT, name="health", reason="an inquiry"
    )
    dpo = await signed_in(browser, house, "dpo")
    today = (await house.office.state()).now.date()
    tomorrow, yesterday = today + dt.timedelta(days=1), today - dt.timedelta(days=1)
    page = await dpo.get(f"/compliance/report?since={today}&until={tomorrow}")
    assert page.status_code == 200
    words = text_of(page)
    assert row_of(page, "video/query") == "video/query 8"
    assert "3 date-span/1 invalid_params" in words
    assert "project health an inquiry" in words
    assert "ada@example.edu bob@example.edu" in row_of(page, "elections")
    assert row_of(page, "elections").endswith(" 0 0 8")
    assert "project.frozen 1" in words
    note = (await dpo.get("/audit/checkpoint")).text
    both = re.search(r"Root (\S{44}) in hexadecimal ([0-9a-f]{64})", words)
    assert both is not None
    assert b64decode(both[1]).hex() == both[2]
    assert note.splitlines()[0] in words
    empty = text_of(await dpo.get(f"/compliance/report?since={yesterday}&until={today}"))
    assert "Entries of the period 0" in empty
    assert "Nobody called the research API." in empty
    assert "Nothing was refused." in empty
    entries = (await house.get("dpo", "/api/v1/audit/entries?limit=9&type=audit_read")).json()["items"]
    assert f"{yesterday}/{today}" in str(entries)


@pytest.mark.parametrize(
    "asked",
    [
        "since=x",
        "since=2026-02-01&until=2026-02-01",
        "since=2020-01-01&until=2026-01-01",
        "since=0001-01-01",
        "since=2090-01-01&until=2090-02-01",
    ],
)
async def test_a_report_of_no_period_is_refused(shared_house: House, browser: Opened, asked: str) -> None:
    dpo = await signed_in(browser, shared_house, "dpo")
    answer = await dpo.get(f"/compliance/report?{asked}")
    assert answer.status_code == 400
    assert "That did not work." in text_of(answer)


async def test_counts_of_a_span_are_those_of_its_entries(house: House) -> None:
    state = await house.office.state()
    ada, health = state.person("ada@example.edu"), state.project("health")
    assert ada is not None
    assert health is not None
    await write(house, [call((ada.id, health.id)) for _ in range(4)])
    now_us = (await house.office.state()).now_us + 1
    seen = await house.installation.database.read(lambda conn: happened(conn, since_us=0, until_us=now_us))
    assert sum(seen.by_type.values()) == seen.end - seen.first == seen.end
    assert seen.by_act["video/query"] == 4
    assert seen.by_project == {health.id: 4}


async def test_the_api_tells_the_numbers_of_the_page(house: House, browser: Opened) -> None:
    state = await house.office.state()
    ada, elections = state.person("ada@example.edu"), state.project("elections")
    assert ada is not None
    assert elections is not None
    refused: Value = {"verdict": "refused", "rule": "date-span/1", "code": "invalid_params"}
    allowed: Value = {"verdict": "allowed", "rule": "endpoint-approved/1"}
    mine = ada.id, elections.id
    await write(house, [call(mine, decision=each) for each in (allowed, allowed, refused)])
    await freeze(
        house.office, house.mint, OPERATOR, kind=Freezable.PROJECT, name="health", reason="an inquiry"
    )
    await hold(house, f"project:{elections.id}", (0, 100), (9, 7))
    today = (await house.office.state()).now.date()
    days = f"since={today}&until={today + dt.timedelta(days=1)}"
    page = await (await signed_in(browser, house, "dpo")).get(f"/compliance/report?{days}")
    words = text_of(page)
    told = (await house.get("dpo", f"/api/v1/compliance/report?{days}")).json()
    assert told["endpoints"] == {"video/query": 3}
    assert row_of(page, "video/query") == "video/query 3"
    assert told["refused"] == [{"rule": "date-span/1", "code": "invalid_params", "count": 1}]
    project = next(each for each in told["projects"] if each["name"] == "elections")
    counted = f" {project['requests']} {project['records']} {project['entries']}"
    assert f"{project['members'][-1]}{counted}" in words
    assert (project["lead"], project["approval"]["reference"]) == ("ada@example.edu", "R-2026-014")
    assert told["changes"]["project.frozen"] == 1
    assert [(each["kind"], each["name"], each["until"]) for each in told["freezes"]] == [
        ("project", "health", None)
    ]
    assert [(each["name"], each["pages"], each["records"]) for each in told["held"]] == [
        ("elections", 2, 107)
    ]
    assert [each["person"] for each in told["outstanding"]] == re.findall(r"(\S+) \(version", words)
    assert told["log"]["end"] - told["log"]["first"] == sum(told["entries"].values())
    assert told["log"]["vkey"] in words
    entries = (await house.get("dpo", "/api/v1/audit/entries?limit=3&type=audit_read")).json()["items"]
    assert f"{today}/{today + dt.timedelta(days=1)}" in str(entries)


async def test_the_api_tells_the_clocks(house: House, browser: Opened) -> None:
    state = await house.office.state()
    elections = state.project("elections")
    assert elections is not None
    await hold(house, f"project:{elections.id}", (0, 100), (9, 7))
    told = (await house.get("dpo", "/api/v1/compliance")).json()
    page = text_of(await (await signed_in(browser, house, "dpo")).get("/compliance"))
    assert (told["refresh_days"], told["retention_months"], told["pruned_entries"]) == (15, 12, 0)
    assert told["held"][0]["ages"] == {"within a day": 1, "8 to 14 days": 1}
    assert [each["person"] for each in told["outstanding"]] == re.findall(
        r"(\S+@\S+) [a-z, ]+ \d{4}-\d\d since", page
    )


@pytest.mark.parametrize(
    "asked",
    [
        "since=x",
        "since=2026-02-01&until=2026-02-01",
        "since=0001-01-01",
        "since=2090-01-01&until=2090-02-01",
    ],
)
async def test_the_api_refuses_a_report_of_no_period(shared_house: House, asked: str) -> None:
    answer = await shared_house.get("dpo", f"/api/v1/compliance/report?{asked}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
