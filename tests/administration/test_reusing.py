"""When held answers of a project may be used: chosen in the state file or by itself, logged, seen by callers."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from app.administration.changes import Actor
from app.administration.reusing import reuse_of, set_reuse
from app.administration.shown import shown_projects
from app.errors import InvalidParams, NotFound, NotPermitted
from app.identity.callers import ReuseChoices
from app.storage.directory import SqlDirectory
from tests.administration.conftest import Office

pytestmark = pytest.mark.anyio

USUAL = {
    "cache_control": "honour",
    "stale": False,
    "lifetimes": {},
    "recent_lifetimes": {},
    "without": [],
}
CHOSEN = {
    "cache_control": "ignore",
    "stale": True,
    "lifetimes": {"default": "7d", "user/info": "90m"},
    "recent_lifetimes": {"video/query": "0s"},
    "without": ["containment", "records"],
}


async def choices(office: Office) -> ReuseChoices:
    """What a caller of the project is judged on."""
    state = await office.registry.state()
    project = state.project("elections")
    assert project is not None
    caller = await SqlDirectory(office.database).caller_in(project.id, None)
    assert caller is not None
    return caller.reuse


async def last_entry(office: Office) -> dict[str, Any]:
    newest = sa.text("SELECT leaf FROM entry ORDER BY ix DESC LIMIT 1")
    leaf = await office.database.read(lambda conn: conn.execute(newest).scalar_one())
    entry: dict[str, Any] = json.loads(bytes(leaf))
    return entry


async def test_the_state_file_chooses_and_saying_it_again_changes_nothing(office: Office) -> None:
    await office.apply()
    assert await choices(office) == ReuseChoices()
    office.scene.edit(
        "    cache_scope: project\n",
        "    cache_scope: project\n    reuse: {cache_control: ignore, stale: true, "
        "lifetimes: {user/info: 90 m, default: 604800}, recent_lifetimes: {video/query: 0}, "
        "without: [records, containment, records]}\n",
    )
    (change,) = (await office.apply()).plan.changes
    assert (change.kind, change.what, change.before, change.after) == ("project", "reuse", {}, CHOSEN)
    assert not (await office.apply()).plan.changes
    assert reuse_of(await office.registry.state(), "elections") == CHOSEN
    assert await choices(office) == ReuseChoices(
        obeys_cache_control=False,
        serves_stale=True,
        lifetimes={"default": 604_800, "user/info": 5_400},
        recent_lifetimes={"video/query": 0},
        without=frozenset({"containment", "records"}),
    )


async def test_it_is_chosen_by_itself_and_logged(office: Office) -> None:
    await office.apply()
    before = shown_projects(await office.registry.state())
    assert before[0]["reuse"] == USUAL
    assert await set_reuse(office.registry, office.actor, project="elections", reuse=CHOSEN)
    entry = await last_entry(office)
    assert (entry["type"], entry["op"], entry["what"]) == ("admin", "project.set", "reuse")
    assert (entry["before"], entry["after"]) == ({}, CHOSEN)
    (shown,) = shown_projects(await office.registry.state())
    assert shown == {**before[0], "reuse": CHOSEN}
    assert not await set_reuse(office.registry, office.actor, project="elections", reuse=CHOSEN)
    assert await set_reuse(office.registry, office.actor, project="elections", reuse={})
    assert await choices(office) == ReuseChoices()


@pytest.mark.parametrize(
    ("reuse", "said"),
    [
        ({"cache_control": "sometimes"}, "cache_control: input should be 'honour' or 'ignore'"),
        ({"stale": "often"}, "stale: input should be a valid boolean"),
        ({"lifetimes": {"user/inf": "1h"}}, "lifetimes: user/inf is no endpoint; known are ad"),
        ({"lifetimes": {"user/info": "soon"}}, "lifetimes: 'soon' is no time; write 90m, 6h or 7d"),
        ({"lifetimes": {"user/info": "1.5h"}}, "'1.5h' is no time"),
        ({"lifetimes": {"user/info": -1}}, "'-1' is no time"),
        ({"lifetimes": {"user/info": "59s"}}, "user/info must be 0, for never, or from 1m to 30d"),
        ({"recent_lifetimes": {"default": "31d"}}, "default must be 0, for never, or from 1m to 30d"),
        ({"lifetimes": ["1h"]}, "lifetimes: times are written"),
        ({"without": ["half-pages"]}, "without[0]: input should be 'full-pages', 'wide-fields'"),
        ({"fresh": True}, "fresh: this key is not known"),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_with_its_place(
    office: Office, reuse: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidParams) as refused:
        await set_reuse(office.registry, office.actor, project="elections", reuse=reuse)
    assert said in refused.value.message


async def test_only_an_administrator_chooses_and_only_for_what_there_is(office: Office) -> None:
    await office.apply()
    with pytest.raises(NotFound):
        await set_reuse(office.registry, office.actor, project="nowhere", reuse={})
    for role in ("researcher", "lead", "quota_admin", "compliance"):
        actor = Actor(kind="person", principal="1", roles=frozenset({role}))
        with pytest.raises(NotPermitted):
            await set_reuse(office.registry, actor, project="elections", reuse=CHOSEN)
    assert await choices(office) == ReuseChoices()
