import datetime as dt

import pytest

from app.audit.entries import Draft, Value
from app.storage.engines import open_database
from app.storage.log import append
from app.storage.spending import Days, find_calls
from tests.signing import boot

pytestmark = pytest.mark.anyio


def call(kind: str, person: str, **more: Value) -> Draft:
    actor: Value = {"kind": "key", "principal": person, "project": "p", "credential": "c"}
    decided: Value = {"verdict": "allowed", "rule": "endpoint-approved/1"}
    return Draft(type=kind, fields={"actor": actor, "op": "video/query", "decision": decided, **more})


CHARGED: Value = {"charged": {"requests": 1, "records": 20}}
REFUSED: Value = {"verdict": "refused", "rule": "date-span/1", "code": "invalid_params"}


async def test_a_day_tells_spend_refusals_and_what_cost_nothing(migrated_url: str) -> None:
    database = open_database(migrated_url)
    try:
        await append(
            database,
            boot("r", "b"),
            [
                call("intent", "ada", quota={"reserved": {"requests": 1, "records": 100}}),
                call("outcome", "ada", quota={"charged": {"requests": 1, "records": 20}}),
                call("outcome", "ada", quota={"charged": {"requests": 1, "records": 5}}),
                call("decision", "ada", cache={"state": "hit"}),
                call("decision", "ada", cache={"state": "hit"}),
                call("decision", "bob", decision=REFUSED),
                Draft(type="decision", fields={"actor": {"kind": "person", "principal": "ada"}}),
            ],
        )
        day = await database.read(lambda conn: Days().read(conn, since_us=0))
        assert sum(each.requests for each in day.spent) == 2
        assert sum(each.records for each in day.spent) == 25
        assert {(each.credential, each.project) for each in day.spent} == {("c", "p")}
        assert day.refused == {("date-span/1", "invalid_params"): 1}
        assert day.reused == {"p": 2}
        assert not day.is_capped
        tomorrow = int(dt.datetime.now(dt.UTC).timestamp() + 86_400) * 1_000_000
        later = await database.read(lambda conn: Days().read(conn, since_us=tomorrow))
        assert (later.spent, later.refused, later.reused) == ((), {}, {})

        mine = await database.read(lambda conn: find_calls(conn, "ada", before=None, limit=10))
        assert [each.index for each in mine] == [4, 3, 2, 1]
        rest = await database.read(lambda conn: find_calls(conn, "ada", before=3, limit=1))
        assert [each.index for each in rest] == [2]
        theirs = await database.read(lambda conn: find_calls(conn, "bob", before=None, limit=10))
        assert [each.index for each in theirs] == [5]
    finally:
        await database.close()


async def test_a_day_that_was_read_before_is_read_on(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told is what one look at the whole day tells, however the looks and the entries follow each other."""
    database, days = open_database(migrated_url), Days()
    times_us = iter(range(1_795_000_000_000_000, 1_796_000_000_000_000, 400_000_000))
    monkeypatch.setattr(type(database), "now_us", lambda self, conn: next(times_us))

    async def seen(reader: Days) -> tuple[object, ...]:
        day = await database.read(lambda conn: reader.read(conn, since_us=0))
        slots: dict[tuple[int, str], list[int]] = {}
        for each in day.spent:
            found = slots.setdefault((each.slot, each.project), [0, 0])
            found[0] += each.requests
            found[1] += each.records
        return slots, dict(day.refused), dict(day.reused)

    try:
        for number in range(9):
            batch = [call("outcome", "ada", quota=CHARGED), call("decision", "bob", decision=REFUSED)]
            batch += [call("decision", "ada", cache={"state": "hit"})] * (number % 3)
            for draft in batch:
                await append(
                    database, boot("r", f"{number:016}"), [Draft(type=draft.type, fields=draft.fields)]
                )
            told = await seen(days)
            assert told == await seen(Days())
        slots, refused, reused = told
        assert isinstance(slots, dict)
        assert sum(each[0] for each in slots.values()) == 9
        assert len(slots) > 5
        assert (refused, reused) == ({("date-span/1", "invalid_params"): 9}, {"p": 9})
    finally:
        await database.close()
