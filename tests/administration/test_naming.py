"""What may be added under which name, and what was added before that was asked."""

import dataclasses
import datetime as dt
from typing import Any

import pytest

from app.administration.acts import add_credential, apply_state
from app.administration.changes import Change, Plan
from app.administration.drafting import wanted_of
from app.administration.state import State
from app.administration.wishes import changed_person
from app.errors import InvalidParams
from tests.administration.adding import add_person
from tests.administration.conftest import Office

pytestmark = pytest.mark.anyio

UNSEEN = ["a\u202eb", "a\u2066b", "a\u200bb", "a\ufeffb"]
UNREACHABLE = ["x/y", "x\\y", "x?y", "x#y", "x%y", "x%2Fy"]
WHOLE = [".", ".."]


def project(name: str, **changes: Any) -> dict[str, Any]:
    approval = {"reference": "R-1", "from": dt.date(2026, 1, 1), "until": dt.date(2036, 1, 1)}
    return {"name": name, "credential": "main", "approval": approval, **changes}


async def test_no_project_is_added_under_a_name_that_cannot_be_reached(office: Office) -> None:
    await office.apply()
    for name in [*UNREACHABLE, *WHOLE, *UNSEEN]:
        with pytest.raises(InvalidParams):
            await apply_state(
                office.registry, office.mint, office.actor, wanted_of({"projects": [project(name)]})
            )
        assert (await office.registry.state()).project(name) is None


async def test_nobody_is_added_under_an_address_that_cannot_be_reached(office: Office) -> None:
    await office.apply()
    for name in [*UNREACHABLE, *UNSEEN]:
        email = f"{name}@example.edu"
        with pytest.raises(InvalidParams):
            await add_person(
                office.registry, office.mint, office.actor, email=email, name="Eve", roles=frozenset()
            )
        wanted = wanted_of({"people": [{"email": email, "name": "Eve"}]})
        with pytest.raises(InvalidParams):
            await apply_state(office.registry, office.mint, office.actor, wanted)
        assert (await office.registry.state()).person(email) is None


UNSOUND = [
    "a,b@example.edu",
    "<script>@example.edu",
    "a@example.edu.",
    "a.@example.edu",
    ".a@example.edu",
    "a..b@example.edu",
    "a@-example.edu",
    "a@example..edu",
    '"a"@example.edu',
    "a;b@example.edu",
    "a@exam,ple.edu",
]


async def test_nobody_is_added_under_what_is_no_address(office: Office) -> None:
    await office.apply()
    for email in UNSOUND:
        with pytest.raises(InvalidParams, match="is not an e-mail address"):
            await add_person(
                office.registry, office.mint, office.actor, email=email, name="Eve", roles=frozenset()
            )
        wanted = wanted_of({"people": [{"email": email, "name": "Eve"}]})
        with pytest.raises(InvalidParams, match="is not an e-mail address"):
            await apply_state(office.registry, office.mint, office.actor, wanted)
    for email in ("eve+x@example.edu", "o'neill@example.edu", "admin@localhost", "\u00f6sten@example.edu"):
        wanted = wanted_of({"people": [{"email": email, "name": "Eve"}]})
        await apply_state(office.registry, office.mint, office.actor, wanted)
        assert (await office.registry.state()).person(email) is not None


async def test_no_credential_is_added_under_a_name_that_cannot_be_reached(office: Office) -> None:
    await office.apply()
    for name in [*UNREACHABLE, *WHOLE, *UNSEEN]:
        with pytest.raises(InvalidParams):
            await add_credential(
                office.registry,
                office.mint,
                office.actor,
                name=name,
                base_url="http://127.0.0.1:8081",
                client_key="another",
                client_secret="another",
            )


async def test_the_reference_of_an_approval_is_seen_whole(office: Office) -> None:
    await office.apply()
    for name in UNSEEN:
        approval = {**project("x")["approval"], "reference": name}
        with pytest.raises(InvalidParams, match=r"projects \(seen\).approval.reference"):
            await apply_state(
                office.registry,
                office.mint,
                office.actor,
                wanted_of({"projects": [project("seen", approval=approval)]}),
            )


async def test_names_of_every_language_are_taken(office: Office) -> None:
    await office.apply()
    for name in ["elections 2026", "Wahl-Ökologie_2 (neu)", "été&co", "...", "日本"]:
        await apply_state(
            office.registry, office.mint, office.actor, wanted_of({"projects": [project(name)]})
        )
        assert (await office.registry.state()).project(name) is not None


async def test_what_is_there_already_is_changed_under_its_name(office: Office) -> None:
    await office.apply()

    def rename(state: State) -> tuple[Plan, None]:
        old, ada = state.project("elections"), state.person("ada@example.edu")
        assert old is not None
        assert ada is not None
        change = Change(kind="project", object=old.name, object_id=old.id, what="name")
        renamed = dataclasses.replace(old, name="x/y", approval_reference="R\u200b1")
        return Plan(
            changes=(change,), puts=(renamed, dataclasses.replace(ada, email="a/b@example.edu"))
        ), None

    await office.registry.change(office.actor, rename)
    approval = {**project("x/y")["approval"], "reference": "R\u200b1"}
    kept = project("x/y", approval=approval, cache_scope="credential", members=["a/b@example.edu"])
    await apply_state(office.registry, office.mint, office.actor, wanted_of({"projects": [kept]}))
    state = await office.registry.state()
    found, ada = state.project("x/y"), state.person("a/b@example.edu")
    assert found is not None
    assert ada is not None
    assert found.cache_scope == "credential"
    wish = changed_person(ada.id, {"name": "Ada"})
    await apply_state(office.registry, office.mint, office.actor, wish)
