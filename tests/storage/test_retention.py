"""What the sweep deletes, on both databases: held data too old, and whatever belongs to what has ended."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from app.administration.doctor import examine
from app.administration.ending import retire
from app.administration.purging import shown_figures
from app.administration.registry import LogSize
from app.administration.ruling import set_mode, state_value
from app.cache.pages import SearchState
from app.ids import new_search_id
from app.storage.log import check_log
from app.storage.purging import SqlHeld
from app.storage.retention import Retention
from app.storage.tables import (
    DeliveryRow,
    HeldPageRow,
    NoticeRow,
    PageTagsRow,
    SearchRow,
    TallyRow,
    table,
)
from tests.storage.keeping import ACTOR, DAY, Store

pytestmark = pytest.mark.anyio


async def sweep(store: Store) -> int:
    return await Retention(database=store.database, boot=store.boot).sweep()


async def test_held_data_older_than_the_interval_is_deleted_and_the_log_says_so(store: Store) -> None:
    scope = await store.scope()
    await store.hold("old", scope=scope, age=15 * DAY)
    await store.hold("older", scope=scope, age=20 * DAY)
    await store.hold("young", scope=scope, age=15 * DAY - dt.timedelta(minutes=5))
    assert await sweep(store) == 2
    assert await store.held() == ["young"]
    assert [
        {name: each[name] for name in ("actor", "object", "decision", "pages", "records")}
        for each in await store.deletions()
    ] == [
        {
            "actor": {"kind": "job", "principal": "retention", "roles": []},
            "object": {"kind": "held", "id": scope},
            "decision": {"verdict": "allowed", "rule": "refresh-interval/1"},
            "pages": 2,
            "records": 6,
        }
    ]
    await store.database.read(check_log)


async def test_a_sweep_that_finds_nothing_writes_nothing(store: Store) -> None:
    await store.hold("young", scope=await store.scope(), age=DAY)
    before = await store.registry.log_size()
    assert await sweep(store) == 0
    assert await store.registry.log_size() == before


async def test_the_interval_is_the_one_that_was_stated(store: Store) -> None:
    scope = await store.scope()
    await store.hold("month", scope=scope, age=29 * DAY)
    await state_value(
        store.registry,
        ACTOR,
        name="refresh_interval_days",
        amount=30,
        from_day=dt.date(2026, 1, 22),
        source="III.3.e",
    )
    assert await sweep(store) == 0
    await store.hold("more", scope=scope, age=30 * DAY)
    assert await sweep(store) == 1
    assert await store.held() == ["month"]


@pytest.mark.parametrize("mode", ["warn", "shadow"])
async def test_a_rule_that_is_not_enforced_deletes_nothing(store: Store, mode: str) -> None:
    await store.hold("old", scope=await store.scope(), age=99 * DAY)
    for rule in ("refresh-interval", "nothing-after-end"):
        await set_mode(store.registry, ACTOR, rule=rule, mode=mode)
    await store.end_project(dt.date(2026, 6, 30))
    assert await sweep(store) == 0
    assert await store.held() == ["old"]
    assert (await store.registry.state()).projects[0].wrapped_data_key


async def test_after_a_project_ends_its_key_is_destroyed_and_what_is_held_goes(store: Store) -> None:
    page = await store.hold("mine", scope=await store.scope(), age=DAY)
    await store.end_project(dt.date(2026, 6, 30))
    found = examine(await store.registry.state(), LogSize(0, 0))
    assert "held_after_end" in {each.code for each in found}
    assert await sweep(store) == 1
    assert (await store.registry.state()).projects[0].wrapped_data_key == b""
    # This process still has the page in memory; once it learns that the directory changed, it has no key.
    store.pages.forget()
    assert await store.pages.find(page.key, page.scope) is None
    assert await store.pages.seal(page) is None
    found = examine(await store.registry.state(), LogSize(0, 0))
    assert "held_after_end" not in {each.code for each in found}
    assert (await store.deletions())[0]["decision"]["rule"] == "nothing-after-end/1"


async def test_a_project_on_its_last_day_keeps_what_it_holds(store: Store) -> None:
    await store.hold("mine", scope=await store.scope(), age=DAY)
    await store.end_project(dt.datetime.now(dt.UTC).date())
    assert await sweep(store) == 0
    assert (await store.registry.state()).projects[0].wrapped_data_key


async def test_a_renewed_project_begins_with_a_fresh_key(store: Store) -> None:
    before = (await store.registry.state()).projects[0].wrapped_data_key
    await store.end_project(dt.date(2026, 6, 30))
    await sweep(store)
    await store.end_project(dt.date(2027, 6, 30))
    after = (await store.registry.state()).projects[0].wrapped_data_key
    assert after not in {b"", before}
    await store.hold("new", scope=await store.scope(), age=DAY)
    assert await sweep(store) == 0


async def end_by_date(store: Store) -> None:
    await store.end_project(dt.date(2026, 6, 30))


async def end_by_date_and_sweep(store: Store) -> None:
    await end_by_date(store)
    await sweep(store)


async def retire_it(store: Store) -> None:
    project = (await store.registry.state()).projects[0]
    await retire(store.registry, ACTOR, kind="project", object_id=project.id)


ENDS = [end_by_date, end_by_date_and_sweep, retire_it]


async def come_again(store: Store) -> None:
    old = (await store.registry.state()).projects[0].approved_until
    if old < dt.date(2027, 6, 30):
        await store.end_project(dt.date(2027, 6, 30))
    else:
        await store.apply()


async def names_of_held(store: Store) -> set[str]:
    held = SqlHeld(database=store.database, boot=store.boot, pages=store.pages)
    figures = shown_figures(await store.registry.state(), await held.figures())
    return {str(each["scope"]) for each in figures}


async def count(store: Store, row: type[SQLModel]) -> int:
    counting = sa.select(sa.func.count()).select_from(table(row))
    return int(await store.database.read(lambda conn: conn.execute(counting).scalar_one()))


def searched(scope: str) -> SearchState:
    now_us = int(dt.datetime.now(dt.UTC).timestamp() * 1_000_000)
    return SearchState(
        id=new_search_id(),
        scope=scope,
        credential="main",
        question_digest=b"",
        upstream_id="7",
        began_us=now_us,
        expires_us=now_us + 86_400_000_000,
    )


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("shares", [False, True])
async def test_whoever_comes_again_has_nothing_of_what_was_held_before(
    store: Store, end: Callable[[Store], Awaitable[None]], *, shares: bool
) -> None:
    if shares:
        store.scene.edit("cache_scope: project", "cache_scope: credential")
        await store.apply()
    kind = "credential:main" if shares else "project:elections"
    before = await store.scope_of_caller()
    page, search, other = (
        await store.hold("old", scope=before, age=DAY),
        searched(before),
        store.fresh_pages(),
    )
    assert await store.pages.keep([(page, ["name"])], search, made_of=[])
    assert await other.find(page.key, before) == page
    key = (await store.registry.state()).projects[0].wrapped_data_key
    await end(store)
    await come_again(store)
    scope = await store.scope_of_caller()
    for pages in (store.pages, other, store.fresh_pages()):
        assert await pages.find(page.key, scope) is None
        assert await pages.search(search.id, scope) is None
    assert kind not in await names_of_held(store)
    # What was on its way at the end lands where it was begun.
    await store.hold("late", scope=before, age=DAY)
    await store.hold("new", scope=scope, age=DAY)
    assert await names_of_held(store) == {kind, f"{kind} (ended)"}
    await sweep(store)
    assert await store.held() == ["new"]
    assert await names_of_held(store) == {kind}
    assert [await count(store, row) for row in (SearchRow, PageTagsRow)] == [0, 0]
    assert {each["object"]["id"] for each in await store.deletions()} == {before.partition(".")[0]}
    assert (await store.registry.state()).projects[0].wrapped_data_key not in {b"", key}
    await store.database.read(check_log)


async def test_a_project_that_ended_is_told_to_have_lost_its_key_when_it_comes_again_before_the_sweep(
    store: Store,
) -> None:
    await end_by_date(store)
    await come_again(store)
    told = [each for each in await store.entries() if each.get("what") == "data_key"]
    assert [(each["after"], each["rule"]) for each in told] == [("destroyed", "nothing-after-end/1")]


async def test_a_project_goes_on_with_what_it_holds_where_its_end_is_not_enforced(store: Store) -> None:
    await set_mode(store.registry, ACTOR, rule="nothing-after-end", mode="warn")
    page = await store.hold("mine", scope=await store.scope(), age=DAY)
    await end_by_date(store)
    await come_again(store)
    assert await store.fresh_pages().find(page.key, await store.scope()) == page


async def test_data_shared_by_a_credential_goes_with_the_last_project_that_shares_it(store: Store) -> None:
    store.scene.edit("cache_scope: project", "cache_scope: credential")
    await store.apply()
    credential = (await store.registry.state()).credentials[0].id
    scope = await store.scope_of_caller()
    assert scope.startswith(f"credential:{credential}")
    page = await store.hold("shared", scope=scope, age=DAY)
    assert await sweep(store) == 0
    await store.end_project(dt.date(2026, 6, 30))
    assert await sweep(store) == 1
    assert await store.fresh_pages().find(page.key, page.scope) is None


async def test_a_thousand_pages_go_in_several_transactions(store: Store) -> None:
    page = await store.hold("first", scope=await store.scope(), age=16 * DAY)
    holding = await store.pages.seal(page)
    assert holding is not None
    rows = [
        {
            "key": number.to_bytes(32, "big"),
            "scope": page.scope,
            "endpoint": page.endpoint,
            "sealed": holding.sealed,
            "records": 1,
            "fetched_us": page.fetched_us,
            "expires_us": page.expires_us,
        }
        for number in range(1_000)
    ]
    await store.database.write(lambda conn: conn.execute(sa.insert(table(HeldPageRow)), rows).rowcount)
    assert await sweep(store) == 1_001
    assert await store.held() == []
    assert sum(each["pages"] for each in await store.deletions()) == 1_001
    await store.database.read(check_log)


async def test_a_page_in_memory_is_found_again_after_the_directory_changed(store: Store) -> None:
    page = await store.hold("mine", scope=await store.scope(), age=DAY)
    assert await store.pages.find(page.key, page.scope) == page
    store.pages.forget()
    assert await store.pages.find(page.key, page.scope) == page
    assert await store.pages.find(page.key, "project:another") is None


async def test_counts_go_with_their_project_and_when_they_are_a_year_old(store: Store) -> None:
    now_us = int(dt.datetime.now(dt.UTC).timestamp() * 1_000_000)
    year_us, scope = 366 * 86_400_000_000, f"project:{(await store.registry.state()).projects[0].id}"
    numbers = ("calls", "answers", "pages", "positions", "records", "whole_pages", "whole_positions")
    columns: dict[str, Any] = dict.fromkeys((*numbers, "whole_records", "whole_at_us"), 1)

    def row(name: str, age_us: int) -> dict[str, Any]:
        texts = {"question": name, "conditions": name, "scope": scope, "endpoint": "video/query"}
        return {**columns, **texts, "fields": "", "whole_fields": "", "at_us": now_us - age_us}

    rows = [row("new", 0), row("of last year", year_us), row("old", 2 * year_us)]
    tallies = table(TallyRow)
    await store.database.write(lambda conn: conn.execute(sa.insert(tallies), rows))

    async def left() -> set[str]:
        return set(
            await store.database.read(
                lambda conn: conn.execute(sa.select(tallies.c.question)).scalars().all()
            )
        )

    retention = Retention(database=store.database, boot=store.boot)
    await retention.sweep()
    assert await left() == {"new", "of last year"}
    await store.end_project(dt.datetime.now(dt.UTC).date() - DAY)
    await retention.sweep()
    assert await left() == set()


async def test_search_ids_go_when_nothing_can_be_held_of_them_and_notices_when_nobody_can_need_them(
    store: Store,
) -> None:
    now_us = int(dt.datetime.now(dt.UTC).timestamp() * 1_000_000)
    day_us, search, notice, delivery = 86_400_000_000, table(SearchRow), table(NoticeRow), table(DeliveryRow)
    texts = {"scope": "project:x", "credential_id": "c", "question_digest": b"q", "upstream_id": "7"}
    searches = [
        {"id": str(each), **texts, "created_us": 0, "expires_us": now_us + ends}
        for each, ends in ((1, -17 * day_us), (2, day_us), (3, -15 * day_us))
    ]
    kinds = (("new", day_us, now_us), ("old", 900 * day_us, 1), ("old and waiting", 900 * day_us, None))
    notices: list[dict[str, Any]] = [
        {"id": name, "kind": "k", "created_us": now_us - age, "about": {}, "taken_up_us": taken}
        for name, age, taken in kinds
    ]
    deliveries = [
        {"notice_id": name, "channel": "log", "target": "", "tries": 1, "next_us": 0} for name, _, _ in kinds
    ]
    for rows_of, rows in ((search, searches), (notice, notices), (delivery, deliveries)):
        await store.database.write(lambda conn, t=rows_of, r=rows: conn.execute(sa.insert(t), r))  # type: ignore[misc]
    await sweep(store)

    async def ids(column: sa.Column[Any]) -> set[str]:
        return set(await store.database.read(lambda conn: conn.execute(sa.select(column)).scalars().all()))

    assert await ids(search.c.id) == {"2", "3"}
    assert await ids(notice.c.id) == {"new", "old and waiting"}
    assert await ids(delivery.c.notice_id) == {"new", "old and waiting"}
