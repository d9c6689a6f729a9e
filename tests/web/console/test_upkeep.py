"""Erasing, pruning and how long content is kept, proposed at the console: seen first, and nothing done by one person."""

import datetime as dt
import re
from collections.abc import Sequence
from html import unescape

import httpx
import pytest
import sqlalchemy as sa

from app.administration.keys import issue_token
from app.administration.state import Proposal
from app.administration.upkeep import months_before
from app.storage.engines import SqliteDatabase
from app.storage.seals import SqlSeals
from app.storage.tables import EntryRow, SealKeyRow, table
from app.web.console.rendering import day
from tests.assurance.upkept import Shifted
from tests.web.conftest import OPERATOR, House
from tests.web.console.conftest import Browser, Opened, signed_in, text_of

pytestmark = pytest.mark.anyio

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
_YEAR_AND_MORE_US = 450 * 86_400_000_000


async def ask_questions(house: House, name: str, days_ago: Sequence[int]) -> list[str]:
    """Have that person have asked something so many days ago; in which months that was."""
    person = (await house.office.state()).person(f"{name}@example.edu")
    assert person is not None
    installation, months = house.installation, []
    for days in days_ago:
        clock = Shifted(days)
        file = installation.seals._file
        await SqlSeals(database=installation.database, file=file, clock=clock).keys_for(person.id)
        months.append(f"{clock.now():%Y-%m}")
    return months


async def months_that_open(house: House) -> list[str]:
    asked = sa.select(table(SealKeyRow).c.month)
    return sorted(await house.installation.database.read(lambda conn: list(conn.execute(asked).scalars())))


async def open_proposals(house: House) -> list[Proposal]:
    return [each for each in (await house.office.state()).proposals if each.outcome == "open"]


async def propose(mine: Browser, seen: httpx.Response) -> httpx.Response:
    """Press the button of the page that shows what would go; the page that follows."""
    assert seen.status_code == 200, text_of(seen)
    form = {name: unescape(value) for name, value in _HIDDEN.findall(seen.text.partition("<main")[2])}
    action = re.search(r'action="/console(/compliance/[^"]+)"', seen.text)
    assert action is not None
    assert form.pop("step") == "save"
    done = await mine.send(action[1], step="save", **form)
    assert (done.status_code, done.headers["location"]) == (303, "/console/compliance?done=proposed")
    return await mine.client.get(done.headers["location"])


async def confirm(mine: Browser, proposal: Proposal) -> httpx.Response:
    return await mine.send(f"/proposals/{proposal.id}/confirmation")


async def test_what_somebody_asked_is_seen_then_proposed_and_erased_by_somebody_else_alone(
    fresh_house: House, browser: Opened
) -> None:
    old, new = await ask_questions(fresh_house, "ada", [70, 5])
    await ask_questions(fresh_house, "bob", [70])
    dpo, it = await signed_in(browser, fresh_house, "dpo"), await signed_in(browser, fresh_house, "it")

    seen = await dpo.send("/compliance/erasures", person=" Ada@example.edu ")
    assert f"what was asked 2 months: {old}, {new} erased for good" in text_of(seen)
    for word in ("cannot be undone", "somebody else who administers or checks the log", "seal.key"):
        assert word in text_of(seen)
    assert await open_proposals(fresh_house) == []

    seen = await dpo.send("/compliance/erasures", person="ada@example.edu", month=old)
    assert f"1 month: {old} erased for good" in text_of(seen)
    told = await propose(dpo, seen)
    assert 'href="/console/quotas#waiting">See where it waits</a>' in told.text
    assert "Nothing happens until somebody else" in text_of(told)
    assert "1 proposal about the log waits for a second person" in text_of(told)
    (proposal,) = await open_proposals(fresh_house)
    assert await months_that_open(fresh_house) == sorted([old, old, new])

    waits = f"The log erase what was asked ada@example.edu, {old} dpo@example.edu"
    mine, theirs = await dpo.get("/quotas"), await it.get("/quotas")
    assert waits in text_of(mine)
    assert waits in text_of(theirs)
    action = f'action="/console/proposals/{proposal.id}/confirmation"'
    assert (action in mine.text, action in theirs.text) == (False, True)
    assert (await confirm(dpo, proposal)).status_code == 403
    assert (await confirm(it, proposal)).status_code == 303
    assert await months_that_open(fresh_house) == sorted([old, new])
    again = await dpo.send("/compliance/erasures", person="ada@example.edu", month=old)
    assert (again.status_code, "it is erased already" in text_of(again)) == (400, True)


async def test_how_many_entries_would_be_pruned_is_seen_and_then_waits(
    fresh_house: House, browser: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = SqliteDatabase.now_us
    monkeypatch.setattr(SqliteDatabase, "now_us", lambda *given: present(*given) + _YEAR_AND_MORE_US)
    state = await fresh_house.office.state()
    assert state.now.date() > dt.datetime.now(dt.UTC).date() + dt.timedelta(days=300)
    latest = months_before(state.now.date(), 12)
    for name in ("it", "dpo"):  # theirs have ended meanwhile
        email = f"{name}@example.edu"
        issued = await issue_token(fresh_house.office, fresh_house.mint, OPERATOR, email=email)
        fresh_house.tokens[name] = issued.token
    it, dpo = await signed_in(browser, fresh_house, "it"), await signed_in(browser, fresh_house, "dpo")
    old = await fresh_house.installation.database.read(
        lambda conn: conn.execute(
            sa.select(sa.func.count()).where(table(EntryRow).c.ts_us < state.now_us - _YEAR_AND_MORE_US // 2)
        ).scalar_one()
    )
    seen = await it.send("/compliance/prunings", before="")
    assert f"content of entries before {day(latest)} {old} entries deleted for good" in text_of(seen)
    assert "Their hashes stay, so the log and every receipt go on to verify" in text_of(seen)
    await propose(it, seen)
    assert f"entries before {latest} it@example.edu" in text_of(await dpo.get("/quotas"))

    # Another day takes the place of the first, which is said before.
    other = f"{latest - dt.timedelta(days=1)}"
    seen = await dpo.send("/compliance/prunings", before=other)
    assert f"It takes the place of what waits already: entries before {latest}." in text_of(seen)
    await propose(dpo, seen)
    (proposal,) = await open_proposals(fresh_house)
    assert proposal.permission == {"before": other}


async def test_how_long_content_is_kept_is_seen_then_proposed_and_set_by_somebody_else(
    fresh_house: House, browser: Opened
) -> None:
    dpo, it = await signed_in(browser, fresh_house, "dpo"), await signed_in(browser, fresh_house, "it")
    seen = await dpo.send("/compliance/retention", months="8")
    assert "how long content is kept 12 months 8 months" in text_of(seen)
    assert "Nothing is pruned by itself" in text_of(seen)
    await propose(dpo, seen)
    longer = await dpo.send("/compliance/retention", months="24")
    assert "It takes the place of what waits already: 8 months." in text_of(longer)
    assert "Nothing is pruned by itself" not in text_of(longer)
    await propose(dpo, longer)
    (proposal,) = await open_proposals(fresh_house)
    assert "kept for 12 months" in text_of(await dpo.get("/compliance"))
    assert (await confirm(it, proposal)).status_code == 303
    told = text_of(await dpo.get("/compliance"))
    assert "kept for 24 months" in told
    assert "waits for a second person" not in told


@pytest.mark.parametrize(
    ("path", "fields", "wrong", "said"),
    [
        ("erasures", {"person": "", "month": "2026-05"}, "person", "Whose questions is missing"),
        ("erasures", {"person": "stranger@x.edu"}, "person", "There is no person 'stranger@x.edu'"),
        ("erasures", {"person": "a" * 321}, "person", "more than 320 characters"),
        (
            "erasures",
            {"person": "ada@example.edu", "month": "2026-13"},
            "month",
            "is no month such as 2026-05",
        ),
        (
            "erasures",
            {"person": "ada@example.edu", "month": "2026-5"},
            "month",
            "is no month such as 2026-05",
        ),
        (
            "erasures",
            {"person": "ada@example.edu", "month": "2020-01"},
            "month",
            "asked in 2020-01 can be erased",
        ),
        ("erasures", {"person": "grace@example.edu"}, "person", "nothing was asked then"),
        ("prunings", {"before": "soon"}, "before", "must be a day such as"),
        ("prunings", {"before": "2035-01-01"}, "before", "two people can change that, under Compliance"),
        (
            "prunings",
            {"before": "2020-01-01"},
            "before",
            "No entry from before 1 Jan 2020 has content any more",
        ),
        ("retention", {"months": "5"}, "months", "6 to 36 months"),
        ("retention", {"months": "37"}, "months", "6 to 36 months"),
        ("retention", {"months": "a year"}, "months", "must be a whole number"),
        ("retention", {"months": "12"}, "months", "kept for 12 months already"),
    ],
)
@pytest.mark.parametrize("step", ["", "save"])
async def test_what_cannot_be_is_told_at_its_field_and_what_was_typed_stays(
    shared_house: House,
    browser: Opened,
    path: str,
    fields: dict[str, str],
    wrong: str,
    said: str,
    step: str,
) -> None:
    dpo = await signed_in(browser, shared_house, "dpo")
    answer = await dpo.send(f"/compliance/{path}", **fields, **({"step": step} if step else {}))
    assert answer.status_code == 400
    assert said in text_of(answer)
    assert "`" not in text_of(answer)
    (opened,) = re.findall(r"<details open>.*?</details>", answer.text, re.DOTALL)
    (field,) = re.findall(
        r'<input id="([^"]+)"[^>]* aria-invalid="true" aria-errormessage="problem"', answer.text
    )
    assert field == wrong
    for name, value in fields.items():
        if value:
            (tag,) = re.findall(rf'<input id="{name}"[^>]*>', opened)
            assert f'value="{value}"' in tag
    assert await open_proposals(shared_house) == []


async def test_the_form_of_another_session_proposes_nothing(fresh_house: House, browser: Opened) -> None:
    await ask_questions(fresh_house, "ada", [5])
    dpo = await signed_in(browser, fresh_house, "dpo")
    answer = await dpo.send(
        "/compliance/erasures", person="ada@example.edu", step="save", form_token="0" * 64
    )
    assert answer.status_code == 403
    assert await open_proposals(fresh_house) == []


async def test_the_forms_are_there_for_officers_and_administrators(
    shared_house: House, browser: Opened
) -> None:
    for name in ("dpo", "it"):
        page = await (await signed_in(browser, shared_house, name)).get("/compliance")
        for path in ("erasures", "prunings", "retention"):
            assert f'action="/console/compliance/{path}"' in page.text
        assert "<details open>" not in page.text
