"""Failed attempts at Bursar's own API: turned down unseen after ten, for those who made them alone."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.storage.tables import EntryRow, table
from tests.web.conftest import opened_house

pytestmark = pytest.mark.anyio

_entry = table(EntryRow)


async def test_after_ten_failures_the_next_is_turned_down_unseen_and_others_are_not(
    tmp_path: Path, migrated_url: str
) -> None:
    async with opened_house(
        tmp_path, migrated_url, failed_sign_ins_per_minute=10, rejects_per_second=5
    ) as house:

        async def ask(token: str) -> tuple[int, str, str]:
            told = await house.client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
            return told.status_code, told.json().get("entry", ""), told.headers.get("retry-after", "")

        name = next(iter(house.tokens))
        good = house.tokens[name]
        wrong = house.keys[next(iter(house.keys))].api_key[:-3] + "abc"
        answers = [await ask(wrong) for _ in range(12)]
        assert [status for status, *_ in answers] == [401] * 10 + [429] * 2
        assert int(answers[-1][2]) >= 1
        assert (await ask(good))[0] == 200
        asked = sa.select(_entry.c.id, _entry.c.leaf)
        rows = await house.installation.database.read(lambda conn: conn.execute(asked).all())
        entries = {row.id: json.loads(row.leaf) for row in rows}
        assert [entry for _, entry, _ in answers if entry not in entries] == []
        assert "reject_batch" in {entries[entry]["type"] for _, entry, _ in answers}
