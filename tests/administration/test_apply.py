import dataclasses
import datetime as dt
import json

import pytest
import sqlalchemy as sa

from app.administration.acts import accept_terms, add_credential, rotate_credential, set_limits
from app.administration.changes import Actor
from app.administration.difference import Difference
from app.administration.ending import retire
from app.administration.keys import issue_key, issue_token
from app.administration.looking import Sought, filter_of
from app.administration.raising import grant_raise
from app.audit.tree import Frontier, leaf_hash
from app.errors import InvalidParams, NotPermitted
from app.ids import CredentialId
from app.quota.arithmetic import Dimension, Window, parse_limit_key
from app.sealing import SealBroken
from app.storage.tables import CredentialRow, EntryRow, HeadRow, table
from app.storage.vault import SqlVault
from tests.administration.conftest import Office
from tests.administration.scene import CANARY

pytestmark = pytest.mark.anyio


def said(found: Difference) -> list[tuple[str, str, str]]:
    return [(change.kind, change.object, change.what) for change in found.plan.changes]


async def entries(office: Office) -> list[dict[str, object]]:
    entry = table(EntryRow)
    leaves = await office.database.read(
        lambda conn: conn.execute(sa.select(entry.c.leaf).order_by(entry.c.ix)).scalars().all()
    )
    return [json.loads(leaf) for leaf in leaves]


async def test_the_contracts_own_example_becomes_the_directory(office: Office) -> None:
    found = await office.apply()
    assert said(found)[:2] == [("credential", "main", "added"), ("limit", "credential:main", "requests/day")]
    state = await office.registry.state()
    project = state.project("elections")
    ada = state.person("Ada@example.edu")
    assert project is not None
    assert ada is not None
    assert (project.approval_reference, project.approved_until) == ("R-2026-014", dt.date(2027, 6, 30))
    assert project.lead_id == ada.id
    assert project.allow["conditions"] == {"region_code": ["CA", "US"]}
    assert state.membership(project, ada) is not None
    assert state.has_accepted(ada.id, "2024-10")
    amounts = {(one.scope_kind, one.dimension, one.window): one.amount for one in state.limits}
    assert amounts["credential", Dimension.FOLLOWER_RECORDS, Window.DAY] == 2_000_000
    assert amounts["project", Dimension.CALLS, Window.MINUTE] == 60
    assert amounts["each_member", Dimension.REQUESTS, Window.DAY] == 100


async def test_applying_again_changes_nothing_and_logs_nothing(office: Office) -> None:
    await office.apply()
    before, logged = await office.registry.state(), len(await entries(office))
    again = await office.apply()
    after = await office.registry.state()
    assert (list(again.plan.changes), list(again.left)) == ([], [])
    assert dataclasses.replace(after, now_us=0) == dataclasses.replace(before, now_us=0)
    assert len(await entries(office)) == logged


async def test_a_dry_run_says_the_same_and_changes_nothing(office: Office) -> None:
    dry = await office.apply(is_dry_run=True)
    assert (await office.registry.state()).people == ()
    assert await entries(office) == []
    assert said(dry) == said(await office.apply())


async def test_each_change_is_one_entry_under_the_root_and_a_new_revision(office: Office) -> None:
    found = await office.apply()
    logged = await entries(office)
    assert len(logged) == len(found.plan.changes)
    assert {one["type"] for one in logged} == {"admin"}
    assert logged[0]["op"] == "credential.added"
    assert logged[0]["actor"] == {"kind": "cli", "principal": "os:1000", "roles": []}
    head, entry = table(HeadRow), table(EntryRow)

    def read(conn: sa.Connection) -> tuple[sa.Row[tuple[object, ...]], list[bytes]]:
        leaves = conn.execute(sa.select(entry.c.leaf).order_by(entry.c.ix)).scalars().all()
        return conn.execute(sa.select(head)).one(), list(leaves)

    row, leaves = await office.database.read(read)
    assert row.revision == 2
    frontier = Frontier().extend(leaf_hash(leaf) for leaf in leaves)
    assert Frontier.from_bytes(row.frontier) == frontier


async def test_no_secret_and_no_personal_data_reaches_the_log(office: Office) -> None:
    await office.apply()
    await issue_key(office.registry, office.mint, office.actor, project="elections", email="ada@example.edu")
    await issue_token(office.registry, office.mint, office.actor, email="it@example.edu")
    office.scene.edit("roles: [researcher]", "roles: [researcher, lead]")
    office.scene.edit("name: Ada Byron", "name: Ada Lovelace")
    await office.apply(prune=True)
    text = json.dumps(await entries(office))
    for secret in (
        CANARY,
        "aw000example",
        "bsr_live",
        "ada@",
        "ada.pdf",
        "Byron",
        "Lovelace",
        "example.edu",
        "Service desk",
    ):
        assert secret not in text, secret


async def test_an_edited_attribute_is_one_change_with_before_and_after(office: Office) -> None:
    await office.apply()
    office.scene.edit("until: 2027-06-30", "until: 2027-12-31")
    office.scene.edit("limits: {requests/day: 300", "limits: {requests/day: 200")
    found = await office.apply()
    assert [change.shown() for change in found.plan.changes] == [
        {
            "kind": "project",
            "object": "elections",
            "what": "approval.until",
            "before": "2027-06-30",
            "after": "2027-12-31",
        },
        {
            "kind": "limit",
            "object": "project:elections",
            "what": "requests/day",
            "before": 300,
            "after": 200,
        },
    ]
    assert (await office.apply()).plan.changes == ()


async def test_a_changed_secret_file_is_noticed_and_only_said_to_have_changed(office: Office) -> None:
    await office.apply()
    office.scene.write_secret("another-secret-7d1c")
    found = await office.apply()
    assert [change.shown() for change in found.plan.changes] == [
        {
            "kind": "credential",
            "object": "main",
            "what": "client_secret",
            "before": None,
            "after": "changed",
        }
    ]
    vault = SqlVault(database=office.database, master=office.mint.master)
    credential = (await office.registry.state()).credentials[0]
    opened = await vault.open(CredentialId(credential.id))
    assert (opened.client_key, opened.client_secret) == ("aw000example", "another-secret-7d1c")
    assert "7d1c" not in repr(opened)
    assert (await office.apply()).plan.changes == ()


async def test_a_secret_may_come_from_a_variable(office: Office) -> None:
    office.scene.edit("client_secret_file: secrets/tiktok", "client_secret_env: TIKTOK_SECRET")
    await office.apply()
    vault = SqlVault(database=office.database, master=office.mint.master)
    credential = (await office.registry.state()).credentials[0]
    assert (await vault.open(CredentialId(credential.id))).client_secret == "from-a-variable-9f3b"


async def test_a_host_edited_in_the_database_makes_the_secret_unopenable(office: Office) -> None:
    await office.apply()
    row = table(CredentialRow)
    await office.database.write(
        lambda conn: conn.execute(sa.update(row).values(base_url="https://evil.example")).rowcount
    )
    vault = SqlVault(database=office.database, master=office.mint.master)
    credential = (await office.registry.state()).credentials[0]
    with pytest.raises(SealBroken):
        await vault.open(CredentialId(credential.id))


async def test_a_host_edited_in_the_file_seals_the_secret_anew(office: Office) -> None:
    await office.apply()
    office.scene.edit("https://open.tiktokapis.com", "http://127.0.0.1:8081")
    found = await office.apply()
    assert said(found) == [("credential", "main", "base_url")]
    vault = SqlVault(database=office.database, master=office.mint.master)
    credential = (await office.registry.state()).credentials[0]
    opened = await vault.open(CredentialId(credential.id))
    assert (opened.base_url, opened.client_secret) == ("http://127.0.0.1:8081", CANARY)
    assert await vault.base_urls() == ("http://127.0.0.1:8081",)


async def test_what_the_file_does_not_name_is_left_and_listed(office: Office) -> None:
    await office.apply()
    office.scene.edit("  - {email: dpo@example.edu, name: Data protection, roles: [compliance]}\n", "")
    office.scene.edit(", calls/minute: 60", "")
    found = await office.apply()
    assert found.plan.changes == ()
    assert set(found.left) == {("person", "dpo@example.edu"), ("limit", "project:elections calls/minute")}
    assert (await office.registry.state()).person("dpo@example.edu") is not None


async def test_prune_retires_what_the_file_does_not_name(office: Office) -> None:
    await office.apply()
    office.scene.edit("  - {email: dpo@example.edu, name: Data protection, roles: [compliance]}\n", "")
    office.scene.edit(", calls/minute: 60", "")
    found = await office.apply(prune=True)
    assert said(found) == [
        ("limit", "project:elections", "calls/minute"),
        ("person", "dpo@example.edu", "retired"),
    ]
    state = await office.registry.state()
    assert state.person("dpo@example.edu") is None
    assert not any(one.window is Window.MINUTE for one in state.limits)
    assert (await office.apply(prune=True)).plan.changes == ()


async def test_a_section_that_is_absent_is_not_spoken_about(office: Office) -> None:
    await office.apply()
    office.scene.path.write_text("terms: []\n")
    found = await office.apply(prune=True)
    assert said(found) == [("terms", "2024-10", "retired")]


async def test_whoever_is_retired_loses_keys_and_tokens_and_gets_none_back(office: Office) -> None:
    await office.apply()
    office.scene.add_people(1)
    await office.apply()
    who = "person0@example.edu"
    await issue_key(office.registry, office.mint, office.actor, project="elections", email=who)
    await issue_token(office.registry, office.mint, office.actor, email=who)
    whole = office.scene.path.read_text()
    content = whole.replace("  - person0@example.edu\n", "")
    start = content.index("- email: person0@example.edu")
    end = content.index("projects:")
    office.scene.path.write_text(content[:start] + content[end:])
    found = await office.apply(prune=True)
    assert [one[0] for one in said(found)] == ["member", "key", "person", "token"]
    office.scene.path.write_text(whole.replace(f"- email: {who}\n", f"- email: {who}\n  returning: true\n"))
    back = await office.apply()
    assert {(one.kind, one.what) for one in back.plan.changes} == {
        ("person", "restored"),
        ("member", "restored"),
    }
    state = await office.registry.state()
    assert all(key.revoked_us is not None for key in state.keys)
    assert all(token.revoked_us is not None for token in state.tokens)


async def test_an_address_that_goes_to_another_person_brings_nothing_of_the_first(office: Office) -> None:
    await office.apply()
    dpo = (await office.registry.state()).person("dpo@example.edu")
    assert dpo is not None
    await accept_terms(office.registry, office.actor, person_id=dpo.id, version="2024-10")
    await retire(office.registry, office.actor, kind="person", object_id=dpo.id)
    found = await office.apply()
    assert said(found) == [("person", "dpo@example.edu", "added")]
    state = await office.registry.state()
    new, old = state.person("dpo@example.edu"), next(each for each in state.people if each.id == dpo.id)
    assert new is not None
    assert (new.id == dpo.id, state.has_accepted(new.id, "2024-10")) == (False, False)
    assert (old.email, old.retired_us is None) == (
        f"dpo@example.edu (until {state.now.date()}, {dpo.id})",
        False,
    )
    assert state.has_accepted(dpo.id, "2024-10")
    assert (await office.apply()).plan.changes == ()
    assert filter_of(state, Sought(person="dpo@example.edu")).person == new.id
    assert filter_of(state, Sought(person=old.email)).person == filter_of(state, Sought(person=old.id)).person
    # Whoever has the address now is the one who can come back to it.
    await retire(office.registry, office.actor, kind="person", object_id=new.id)
    office.scene.edit("roles: [compliance]}", "roles: [compliance], returning: true}")
    assert said(await office.apply()) == [("person", "dpo@example.edu", "restored")]
    state = await office.registry.state()
    assert [each.id for each in state.people if each.email == "dpo@example.edu"] == [new.id]


async def test_nobody_comes_back_who_never_was(office: Office) -> None:
    office.scene.edit("roles: [compliance]}", "roles: [compliance], returning: true}")
    with pytest.raises(InvalidParams, match=r"people \(dpo@example.edu\).returning"):
        await office.apply()


async def test_a_project_that_comes_back_has_the_limits_that_are_asked_for_and_no_others(
    office: Office,
) -> None:
    await office.apply()
    project = (await office.registry.state()).project("elections")
    assert project is not None
    until = (await office.registry.state()).now + dt.timedelta(days=3)
    for scope in ("project:elections", "member:elections/ada@example.edu"):
        key = parse_limit_key("requests/month")
        await set_limits(office.registry, office.actor, scope=scope, amounts={key: 9})
        await grant_raise(
            office.registry,
            office.mint,
            office.actor,
            scope=scope,
            key=key,
            amount=1,
            until=until,
            reason="x",
        )
    await retire(office.registry, office.actor, kind="project", object_id=project.id)
    await office.apply()
    state = await office.registry.state()
    assert state.project("elections") == dataclasses.replace(
        project, wrapped_data_key=state.projects[0].wrapped_data_key, held_era=project.held_era + 1
    )
    assert {each.window for each in state.limits if each.scope_kind != "credential"} == {
        Window.DAY,
        Window.MINUTE,
    }
    assert all(each.retired_us is not None for each in state.raises)


async def test_a_retired_project_loses_its_data_key_and_gets_another_when_it_comes_back(
    office: Office,
) -> None:
    await office.apply()
    old = (await office.registry.state()).project("elections")
    whole = office.scene.path.read_text()
    office.scene.path.write_text("projects: []\n")
    await office.apply(prune=True)
    state = await office.registry.state()
    assert [project.wrapped_data_key for project in state.projects] == [b""]
    assert all(member.retired_us is not None for member in state.memberships)
    office.scene.path.write_text(whole)
    await office.apply()
    new = (await office.registry.state()).project("elections")
    assert old is not None
    assert new is not None
    assert new.id == old.id
    assert new.wrapped_data_key not in {b"", old.wrapped_data_key}


async def test_a_retired_credential_forgets_its_secret_and_takes_it_again_from_the_file(
    office: Office,
) -> None:
    await office.apply()
    whole = office.scene.path.read_text()
    office.scene.path.write_text("projects: []\ncredentials: []\n")
    await office.apply(prune=True)
    gone = (await office.registry.state()).credentials[0]
    assert (gone.sealed_client_secret, gone.wrapped_key, gone.secret_digest) == (b"", b"", b"")
    office.scene.path.write_text(whole)
    await office.apply()
    vault = SqlVault(database=office.database, master=office.mint.master)
    assert (await vault.open(CredentialId(gone.id))).client_secret == CANARY


async def add(office: Office, name: str, client_key: str, host: str = "https://open.tiktokapis.com") -> None:
    await add_credential(
        office.registry,
        office.mint,
        office.actor,
        name=name,
        base_url=host,
        client_key=client_key,
        client_secret="secret-2b9e",
    )


@pytest.mark.parametrize("host", ["https://open.tiktokapis.com", "https://Open.TikTokAPIs.com:443/"])
async def test_one_account_of_the_platform_is_one_credential(office: Office, host: str) -> None:
    await office.apply()
    with pytest.raises(InvalidParams, match="this client key is that of credential main already") as refused:
        await add(office, "twin", "aw000example", host)
    assert refused.value.rule == "one-account"
    await add(office, "twin", "aw111example", host)
    rotation = {"client_key": "aw000example", "client_secret": "secret-5d0f"}
    with pytest.raises(InvalidParams, match="that of credential main already"):
        await rotate_credential(office.registry, office.mint, office.actor, name="twin", **rotation)
    assert len((await office.registry.state()).credentials) == 2


async def test_a_credential_that_does_not_open_keeps_nobody_from_giving_another_its_secret(
    office: Office,
) -> None:
    await office.apply()
    await add(office, "second", "aw111example")
    credential = table(CredentialRow)
    broken = sa.update(credential).where(credential.c.name == "main").values(sealed_client_key=b"no seal")
    await office.database.write(lambda conn: conn.execute(broken))
    rotation = {"client_key": "aw222example", "client_secret": "secret-5d0f"}
    assert await rotate_credential(office.registry, office.mint, office.actor, name="second", **rotation)


async def test_a_credential_in_use_is_not_retired(office: Office) -> None:
    await office.apply()
    office.scene.path.write_text("credentials: []\n")
    with pytest.raises(InvalidParams, match="main is used by project elections"):
        await office.apply(prune=True)


async def test_ten_people_may_share_a_credential_and_eleven_may_not(office: Office) -> None:
    office.scene.add_people(9)
    await office.apply()
    office.scene.add_people(0)
    office.scene.edit("- person8@example.edu\n", "- person8@example.edu\n  - it@example.edu\n")
    with pytest.raises(InvalidParams, match=r"credentials \(main\).roster_limit: 11 people"):
        await office.apply()
    assert len((await office.registry.state()).memberships) == 10


async def test_with_the_platforms_permission_more_people_may_share(office: Office) -> None:
    office.scene.add_people(10)
    with pytest.raises(InvalidParams, match="roster_limit"):
        await office.apply()
    office.scene.edit("roster_limit: 10", "roster_limit: 20")
    with pytest.raises(InvalidParams, match="needs permission"):
        await office.apply()
    office.scene.edit(
        "roster_limit: 20", "roster_limit: 20\n  permission: {reference: P-7, file: ../ada.pdf}"
    )
    with pytest.raises(InvalidParams, match=r"credentials \(main\).permission.file"):
        await office.apply()
    office.scene.edit("../ada.pdf", "ada.pdf")
    await office.apply()
    assert (await office.registry.state()).credentials[0].permission["reference"] == "P-7"


async def test_a_member_whose_time_is_over_counts_no_more(office: Office) -> None:
    office.scene.add_people(10)
    office.scene.edit("  - person9@example.edu\n", "  - {email: person9@example.edu, until: 2026-03-01}\n")
    await office.apply()
    assert len((await office.registry.state()).memberships) == 11


async def test_a_text_that_somebody_accepted_is_not_replaced(office: Office) -> None:
    await office.apply()
    (office.scene.directory / "terms-2024-10.md").write_text("# Other terms\n")
    with pytest.raises(InvalidParams, match=r"terms \(2024-10\): .*new version"):
        await office.apply()


async def test_only_administrators_may_apply(office: Office) -> None:
    office.actor = Actor(kind="person", principal="p", roles=frozenset({"quota_admin", "compliance", "lead"}))
    with pytest.raises(NotPermitted):
        await office.apply()
    office.actor = Actor(kind="person", principal="p", roles=frozenset({"admin"}))
    await office.apply()
    assert (await entries(office))[0]["actor"] == {"kind": "person", "principal": "p", "roles": ["admin"]}
