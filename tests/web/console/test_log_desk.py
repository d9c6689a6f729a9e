"""Searches that are kept, and the log verified from a page, by a process of its own."""

import pytest
import sqlalchemy as sa

from app.storage.saved_searches import MOST
from app.storage.tables import EntryRow, NoticeRow, SavedSearchRow, VerificationRow, table
from tests.web.conftest import House
from tests.web.console.conftest import Browser, Opened, signed_in, text_of

pytestmark = pytest.mark.anyio

QUERY = "person=bob%40example.edu&verdict=refused&before=17&kind=username&named=somebody&evil=1"


async def saved_by(mine: Browser, name: str, query: str = QUERY) -> int:
    return (await mine.send("/audit/searches", name=name, query=query)).status_code


async def test_a_search_is_kept_under_a_name_for_whoever_saved_it(
    fresh_house: House, browser: Opened
) -> None:
    await fresh_house.officer("rosa")
    dpo, rosa = await signed_in(browser, fresh_house, "dpo"), await signed_in(browser, fresh_house, "rosa")
    page = await dpo.get(f"/audit?{QUERY.removesuffix('&evil=1')}")
    assert "Save this search" in text_of(page)
    assert await saved_by(dpo, "Bob's <refusals>") == 303
    shown = await dpo.get("/audit")
    assert (
        'href="/console/audit?person=bob%40example.edu&amp;verdict=refused">Bob&#39;s &lt;refusals&gt;</a>'
        in shown.text
    )
    # Neither what a question names nor what is no filter is kept.
    rows = await fresh_house.installation.database.read(
        lambda conn: conn.execute(sa.select(table(SavedSearchRow))).mappings().all()
    )
    assert [row["query"] for row in rows] == ["person=bob%40example.edu&verdict=refused"]
    assert "Bob's" not in text_of(await rosa.get("/audit"))
    assert (await rosa.send(f"/audit/searches/{rows[0]['id']}/end")).status_code == 404
    # The same name again is the same search, changed.
    assert await saved_by(dpo, "Bob's <refusals>", "project=health") == 303
    assert "audit?project=health" in (await dpo.get("/audit")).text
    rows = await fresh_house.installation.database.read(
        lambda conn: conn.execute(sa.select(table(SavedSearchRow))).mappings().all()
    )
    assert (await dpo.send(f"/audit/searches/{rows[0]['id']}/end")).status_code == 303
    assert "Your searches" not in text_of(await dpo.get("/audit"))


async def test_what_cannot_be_kept_is_refused(fresh_house: House, browser: Opened) -> None:
    dpo = await signed_in(browser, fresh_house, "dpo")
    assert await saved_by(dpo, "nothing", "named=somebody&before=3") == 400
    assert await saved_by(dpo, "") == 400
    searches = fresh_house.app.state.desk.searches
    person = (await fresh_house.office.state()).person("dpo@example.edu")
    assert person is not None
    for number in range(MOST):
        await searches.save(person.id, name=f"{number}", query="type=admin")
    assert await saved_by(dpo, "one more") == 409
    assert await saved_by(dpo, "0") == 303


async def test_the_log_is_verified_now_and_the_page_says_what_came_of_it(
    house: House, browser: Opened
) -> None:
    dpo, it = await signed_in(browser, house, "dpo"), await signed_in(browser, house, "it")
    assert "Not verified yet" in text_of(await dpo.get("/audit/verification"))
    begun = await dpo.send("/audit/verification")
    assert (begun.status_code, begun.headers["location"]) == (303, "/console/audit/verification")
    under_way = await dpo.get("/audit/verification")
    assert 'http-equiv="refresh" content="2;url=/console/audit/verification"' in under_way.text
    assert (await it.send("/audit/verification")).status_code == 409
    await house.installation.verifier.finished()
    shown = await it.get("/audit/verification")
    assert 'href="/console/audit/verification"' in shown.text
    assert 'href="/console/audit"' not in shown.text
    assert "The log holds." in text_of(shown)
    assert "by dpo@example.edu" in text_of(shown)
    assert "refresh" not in shown.text
    entries = (await house.get("dpo", "/api/v1/audit/entries?limit=20&type=audit_read")).json()["items"]
    assert "audit.verify" in [each["entry"].get("op") for each in entries]


async def test_a_log_that_was_changed_does_not_hold_and_the_page_names_the_entry(
    fresh_house: House, browser: Opened
) -> None:
    dpo = await signed_in(browser, fresh_house, "dpo")
    database = fresh_house.installation.database

    def change(conn: sa.Connection) -> int:
        conn.exec_driver_sql("DROP TRIGGER IF EXISTS entry_stays")
        for (name,) in conn.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'entry'"
        ).all():
            conn.exec_driver_sql(f"DROP TRIGGER {name}")
        entry = table(EntryRow)
        leaf = conn.execute(sa.select(entry.c.leaf).where(entry.c.ix == 3)).scalar_one()
        changed = bytes(leaf).replace(b'"allowed"', b'"refused"')
        assert changed != leaf
        return conn.execute(sa.update(entry).where(entry.c.ix == 3).values(leaf=changed)).rowcount

    await database.write(change)
    assert (await dpo.send("/audit/verification")).status_code == 303
    await fresh_house.installation.verifier.finished()
    words = text_of(await dpo.get("/audit/verification"))
    assert "The log does not hold: something was changed." in words
    newest = await fresh_house.installation.verifier.newest()
    assert newest is not None
    assert newest.report is not None
    assert 3 in {each["index"] for each in newest.report["problems"]}
    kinds = await database.read(lambda conn: conn.execute(sa.select(table(NoticeRow).c.kind)).scalars().all())
    assert "verification_failed" in kinds


async def test_a_verification_of_which_nothing_is_heard_counts_as_broken_off(
    fresh_house: House, browser: Opened
) -> None:
    dpo = await signed_in(browser, fresh_house, "dpo")
    now_us = (await fresh_house.office.state()).now_us
    row = {"id": "0" * 32, "started_by": "somebody", "started_us": now_us - 90_000_000, "done": 5, "whole": 9}
    insert = sa.insert(table(VerificationRow)).values(**row, seen_us=now_us - 61_000_000)
    await fresh_house.installation.database.write(lambda conn: conn.execute(insert).rowcount)
    assert "Broken off." in text_of(await dpo.get("/audit/verification"))
    assert (await dpo.send("/audit/verification")).status_code == 303
    await fresh_house.installation.verifier.finished()
    assert "The log holds." in text_of(await dpo.get("/audit/verification"))


async def test_a_pasted_receipt_is_checked_and_leads_to_its_entry(house: House, browser: Opened) -> None:
    dpo, bob = await signed_in(browser, house, "dpo"), await signed_in(browser, house, "bob")
    assert "Paste a receipt to check" in text_of(await dpo.get("/audit/verification"))
    did = (await house.get("bob", "/api/v1/me")).headers["audit-entry"]
    index = int(did.split("index=")[1].split(";")[0])
    (item,) = (await house.get("dpo", f"/api/v1/audit/entries?before={index + 1}&limit=1")).json()["items"]
    entry = item["entry"]["id"]
    receipt = (await bob.get(f"/entries/{entry}/receipt")).text
    shown = await dpo.send("/audit/receipts", receipt=receipt)
    assert shown.status_code == 200
    assert "The receipt holds." in text_of(shown)
    assert f'href="/console/entries/{entry}"' in shown.text
    # As a browser sends what was pasted.
    again = await dpo.send("/audit/receipts", receipt=receipt.replace("\n", "\r\n"))
    assert "The receipt holds." in text_of(again)
    altered = receipt.replace(f"index {index}\n", f"index {index - 1}\n")
    assert "The receipt was altered." in text_of(await dpo.send("/audit/receipts", receipt=altered))
    origin = receipt.split("\n\n")[1].split("\n")[0]
    foreign = receipt.replace(f"\n{origin}\n", "\nelsewhere.example/0\n")
    assert "Not of this log." in text_of(await dpo.send("/audit/receipts", receipt=foreign))
    refused = await dpo.send("/audit/receipts", receipt="<b>nothing</b>")
    assert "Not a receipt." in text_of(refused)
    assert "&lt;b&gt;nothing" in refused.text
    looks = (await house.get("dpo", "/api/v1/audit/entries?limit=20&type=audit_read")).json()["items"]
    assert {"presented": "holds", "index": index} in [each["entry"].get("reads") for each in looks]
