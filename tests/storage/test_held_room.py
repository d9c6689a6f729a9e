"""The room that held pages take in the database, on both of them: what goes when they take too much, and in which order."""

import datetime as dt
from dataclasses import replace

import pytest
import sqlalchemy as sa

from app.cache.lifetimes import UsualLifetimes
from app.storage.held_room import HeldRoom, stored_bytes
from app.storage.log import check_log
from app.storage.pages import hold, page_row
from app.storage.tables import HeldPageRow, table
from tests.storage.keeping import DAY, Store

pytestmark = pytest.mark.anyio

HOUR, SIZE = dt.timedelta(hours=1), 10_000


def room(store: Store, most_bytes: int, *, settled: dt.timedelta = DAY) -> HeldRoom:
    return HeldRoom(
        database=store.database,
        boot=store.boot,
        most_bytes=most_bytes,
        usual=UsualLifetimes(settled_s=int(settled.total_seconds()), moving_s=6 * 3_600),
        sealed=lambda: store.pages.sealed_bytes,
    )


async def taken(store: Store) -> int:
    return await store.database.read(stored_bytes)


async def hold_all(store: Store, **ages: dt.timedelta) -> None:
    for name, age in ages.items():
        await store.hold(name, scope=await store.scope(), age=age, size=SIZE)


async def test_what_has_room_stays_and_nothing_is_written(store: Store) -> None:
    await hold_all(store, old=9 * DAY, new=HOUR)
    before = await store.registry.log_size()
    for most in (await taken(store), 0):
        its = room(store, most)
        assert await its.sweep() == 0
        assert its.stored_bytes == await taken(store)
    assert await store.registry.log_size() == before
    assert await store.held() == ["new", "old"]


async def test_the_oldest_goes_until_there_is_room_and_the_log_says_so(store: Store) -> None:
    await hold_all(store, three=3 * HOUR, five=5 * HOUR, two=2 * HOUR, four=4 * HOUR)
    its = room(store, await taken(store) - SIZE * 3 // 2)
    assert await its.sweep() == 2
    assert await store.held() == ["three", "two"]
    assert its.evicted == {"over": 0, "fresh": 2}
    (entry,) = await store.deletions()
    assert entry["object"] == {"kind": "held", "id": await store.scope()}
    assert entry["decision"] == {"verdict": "allowed", "rule": "held-room/1"}
    assert (entry["pages"], entry["records"]) == (2, 6)
    assert entry["actor"] == {"kind": "job", "principal": "retention", "roles": []}
    await store.database.read(check_log)


async def test_what_is_past_its_time_goes_before_what_is_older_and_still_served(store: Store) -> None:
    scope = await store.scope()
    await store.hold("search", scope=scope, age=20 * HOUR, size=SIZE)
    await store.hold("profile", scope=scope, age=7 * HOUR, size=SIZE, endpoint="user/info")
    await store.hold("young", scope=scope, age=5 * HOUR, size=SIZE, endpoint="user/info")
    its = room(store, await taken(store) - 1)
    assert await its.sweep() == 1
    assert await store.held() == ["search", "young"]
    assert its.evicted == {"over": 1, "fresh": 0}
    assert await room(store, await taken(store) - 1).sweep() == 1
    assert await store.held() == ["young"]


async def test_a_project_that_has_answers_last_longer_keeps_them_longer(store: Store) -> None:
    store.scene.edit("cache_scope: project", "cache_scope: project\n    reuse: {lifetimes: {default: 9d}}")
    await store.apply()
    await hold_all(store, old=8 * DAY)
    # What nobody shares any more.
    shared = f"credential:{(await store.registry.state()).credentials[0].id}"
    await store.hold("other", scope=shared, age=2 * DAY, size=SIZE)
    assert await room(store, await taken(store) - 1).sweep() == 1
    assert await store.held() == ["old"]


async def test_what_a_credential_shares_is_past_its_time_for_the_last_of_its_projects(store: Store) -> None:
    store.scene.edit("cache_scope: project", "cache_scope: credential\n    reuse: {lifetimes: {default: 9d}}")
    await store.apply()
    await store.hold("shared", scope=await store.scope_of_caller(), age=8 * DAY, size=SIZE)
    await store.hold("other", scope=await store.scope(), age=2 * DAY, size=SIZE)
    assert await room(store, await taken(store) - 1).sweep() == 1
    assert await store.held() == ["shared"]


async def test_what_was_fetched_within_the_hour_stays_however_much_it_is(store: Store) -> None:
    await hold_all(store, old=61 * dt.timedelta(minutes=1), new=59 * dt.timedelta(minutes=1))
    assert await room(store, 1).sweep() == 1
    assert await store.held() == ["new"]
    assert await room(store, 1, settled=dt.timedelta(minutes=30)).sweep() == 1


async def test_a_page_that_was_fetched_anew_after_it_was_chosen_stays(store: Store) -> None:
    await hold_all(store, first=3 * HOUR, second=2 * HOUR)
    its = room(store, 1)
    chosen = await store.database.read(lambda conn: its._victims(conn, 1))
    await hold_all(store, first=dt.timedelta())
    _, count = await store.database.write(
        lambda conn: its._delete(conn, chosen), committed=lambda done: done[0].committed()
    )
    assert count == 0
    assert await store.held() == ["first", "second"]
    assert await store.deletions() == []


async def test_thousands_go_in_parts_and_two_processes_do_not_make_it_more(store: Store) -> None:
    scope = await store.scope()
    page = await store.hold("last", scope=scope, age=HOUR)
    holding = await store.pages.seal(page)
    assert holding is not None
    row = page_row(replace(holding, records=0))
    rows = [{**row, "key": str(number).encode().ljust(32), "fetched_us": number} for number in range(1_300)]
    await store.database.write(lambda conn: conn.execute(sa.insert(table(HeldPageRow)), rows).rowcount)
    most = await taken(store) * 100 // 1_301
    assert await room(store, most).sweep() == 1_201
    assert await room(store, most).sweep() == 0
    entries = await store.deletions()
    assert [each["pages"] for each in entries] == [500, 500, 201]
    assert "last" in await store.held()
    await store.database.read(check_log)


async def test_it_is_measured_again_once_much_was_held(store: Store) -> None:
    its = room(store, 20 * SIZE)
    await its._look()
    assert its.stored_bytes == 0
    await hold_all(store, **{f"n{number}": 2 * HOUR for number in range(30)})
    await its._look()
    assert its.stored_bytes is not None
    assert its.stored_bytes <= 20 * SIZE
    # Little was held since, and it was looked a moment ago.
    page = await store.hold("more", scope=await store.scope(), age=HOUR, size=200)
    holding = await store.pages.seal(page)
    assert holding is not None
    measured = its.stored_bytes
    await store.database.write(lambda conn: hold(conn, [holding]))
    await its._look()
    assert its.stored_bytes == measured
