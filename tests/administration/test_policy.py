import datetime as dt
import hashlib

import pytest

from app.administration.acts import record_acceptance
from app.administration.changes import Actor
from app.administration.doctor import examine
from app.administration.keys import issue_key
from app.administration.policy import shown_values
from app.administration.registry import LogSize
from app.administration.ruling import set_mode, state_value
from app.administration.shown import shown_terms
from app.errors import InvalidParams, NotPermitted
from app.storage.directory import SqlDirectory
from tests.administration.conftest import Office
from tests.administration.test_apply import entries, said

pytestmark = pytest.mark.anyio

POLICY = """
rules: {date-span: warn, fields-approved/1: shadow}
values:
  refresh_interval_days:
    - {from: 2026-01-22, value: 30, source: "Terms of 2026-01-22, III.3.e"}
"""


async def findings(office: Office) -> dict[str, str]:
    return {each.code: each.what for each in examine(await office.registry.state(), LogSize(0, 0))}


async def test_a_state_file_sets_modes_and_states_values_once(office: Office) -> None:
    office.scene.path.write_text(office.scene.path.read_text() + POLICY)
    found = said(await office.apply())
    assert found[-3:] == [
        ("rule", "fields-approved/1", "mode"),
        ("rule", "date-span/1", "mode"),
        ("value", "refresh_interval_days", "from 2026-01-22"),
    ]
    assert (await office.apply()).plan.changes == ()
    state = await office.registry.state()
    assert state.policy.modes == {"date-span/1": "warn", "fields-approved/1": "shadow"}
    assert state.policy.amounts == {"refresh_interval_days": ((dt.date(2026, 1, 22), 30),)}
    relaxed = [each.what for each in examine(state, LogSize(0, 0)) if each.code == "rule_not_enforced"]
    assert len(relaxed) == 2
    last = (await entries(office))[-1]
    assert (last["op"], last["after"], last["source"]) == ("value.set", 30, "Terms of 2026-01-22, III.3.e")


async def test_what_the_sections_do_not_name_is_left_and_prune_enforces_it(office: Office) -> None:
    office.scene.path.write_text(POLICY)
    await office.apply()
    office.scene.path.write_text("rules: {}\nvalues: {}\n")
    left = await office.apply()
    assert set(left.left) == {
        ("rule", "date-span/1"),
        ("rule", "fields-approved/1"),
        ("value", "refresh_interval_days from 2026-01-22"),
    }
    pruned = await office.apply(prune=True)
    assert {(kind, what) for kind, _, what in said(pruned)} == {
        ("rule", "mode"),
        ("value", "from 2026-01-22"),
    }
    state = await office.registry.state()
    assert set(state.policy.modes.values()) == {"enforce"}
    assert state.stated_values == ()
    assert (await office.apply(prune=True)).plan.changes == ()


async def test_the_rule_behind_the_switch_has_no_weaker_mode(office: Office) -> None:
    await office.apply()
    for mode in ("warn", "shadow"):
        with pytest.raises(InvalidParams, match="bursar unfreeze"):
            await set_mode(office.registry, office.actor, rule="not-frozen", mode=mode)
    assert not await set_mode(office.registry, office.actor, rule="not-frozen", mode="enforce")


async def test_modes_and_values_are_for_administrators(office: Office) -> None:
    for role in ("quota_admin", "compliance", "lead", "researcher"):
        actor = Actor(kind="person", principal="p", roles=frozenset({role}))
        with pytest.raises(NotPermitted):
            await set_mode(office.registry, actor, rule="date-span", mode="warn")
        with pytest.raises(NotPermitted):
            await state_value(
                office.registry,
                actor,
                name="refresh_interval_days",
                amount=30,
                from_day=dt.date(2026, 1, 22),
                source="x",
            )
    admin = Actor(kind="person", principal="p", roles=frozenset({"admin"}))
    assert await set_mode(office.registry, admin, rule="date-span", mode="warn")
    assert not await set_mode(office.registry, admin, rule="date-span/1", mode="warn")


@pytest.mark.parametrize(("name", "amount"), [("roster_people", 20), ("pi", 3), ("refresh_interval_days", 0)])
async def test_what_cannot_be_stated_is_refused(office: Office, name: str, amount: int) -> None:
    with pytest.raises(InvalidParams):
        await state_value(
            office.registry,
            office.actor,
            name=name,
            amount=amount,
            from_day=dt.date(2026, 1, 1),
            source="x",
        )


async def test_a_stated_value_is_shown_beside_what_the_sources_say(office: Office) -> None:
    stated = {
        "name": "refresh_interval_days",
        "amount": 30,
        "from_day": dt.date(2026, 1, 22),
        "source": "III.3.e",
    }
    assert await state_value(office.registry, office.actor, **stated)  # type: ignore[arg-type]
    assert not await state_value(office.registry, office.actor, **stated)  # type: ignore[arg-type]
    shown = next(
        each
        for each in shown_values(await office.registry.state())
        if each["name"] == "refresh_interval_days"
    )
    assert (shown["amount"], shown["default"]) == (30, 15)
    assert shown["stated"] == [{"from": "2026-01-22", "amount": 30, "source": "III.3.e"}]
    assert {each["amount"] for each in shown["sources"]} == {15, 30}


async def test_an_approval_longer_than_the_form_allows_is_warned_of(office: Office) -> None:
    office.scene.edit("until: 2027-06-30", "until: 2028-01-01")
    await office.apply()
    assert "approval_too_long" not in await findings(office)
    office.scene.edit("until: 2028-01-01", "until: 2028-01-02")
    await office.apply()
    assert "more than 2 years" in (await findings(office))["approval_too_long"]


async def test_the_terms_say_their_source_hash_grace_and_who_has_not_accepted(office: Office) -> None:
    await office.apply()
    today = dt.datetime.now(dt.UTC).date()
    (office.scene.directory / "next.md").write_text("# Next\n")
    office.scene.edit(
        "terms:\n",
        f'terms:\n  - {{version: next, title: Next, text_file: next.md, source: "https://terms.example", '
        f"in_force_from: {today}, grace_days: 30}}\n",
    )
    await office.apply()
    shown = shown_terms(await office.registry.state())[-1]
    accept_by = today + dt.timedelta(days=29)
    assert shown["in_force"]
    assert (shown["source"], shown["accept_by"]) == ("https://terms.example", accept_by.isoformat())
    assert shown["text_sha256"] == hashlib.sha256(b"# Next\n").hexdigest()
    assert shown["waiting"] == ["ada@example.edu"]
    assert f"and may call until {accept_by}" in (await findings(office))["terms_not_accepted"]
    await record_acceptance(
        office.registry,
        office.actor,
        email="ada@example.edu",
        version="next",
        evidence_name="ada.pdf",
        evidence=b"signed",
    )
    logged = (await entries(office))[-1]
    after = logged["after"]
    assert isinstance(after, dict)
    assert (logged["op"], after["text_sha256"]) == ("acceptance.recorded", shown["text_sha256"])
    assert shown_terms(await office.registry.state())[-1]["waiting"] == []


async def test_a_text_changed_behind_the_programs_back_is_found_by_the_doctor(office: Office) -> None:
    await office.apply()
    assert "terms_text_changed" not in await findings(office)
    await office.database.write(
        lambda conn: conn.exec_driver_sql("UPDATE terms SET text = 'Do as you like.'").rowcount
    )
    assert "2024-10" in (await findings(office))["terms_text_changed"]


async def test_a_caller_carries_the_roster_of_all_projects_of_the_credential(office: Office) -> None:
    office.scene.add_people(3)
    office.scene.edit("  - person0@example.edu\n", "  - {email: person0@example.edu, until: 2026-03-01}\n")
    await office.apply()
    issued = await issue_key(
        office.registry, office.mint, office.actor, project="elections", email="ada@example.edu"
    )
    directory = SqlDirectory(office.database)
    record = await directory.by_key(issued.key_id)  # type: ignore[arg-type]
    assert record is not None
    roster = record.caller.roster
    assert roster is not None
    assert (roster.limit, roster.people_on(dt.date(2026, 3, 1)), roster.people_on(dt.date(2026, 3, 2))) == (
        10,
        4,
        3,
    )
