"""Master key, seal key and a researcher's key, renewed while calls go on: nobody is turned away, and the old open nothing."""

import asyncio
import itertools
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.administration.changes import local_operator
from app.administration.credentials import data_key_aad
from app.bootstrap import diagnose
from app.sealing import MasterKey, SealBroken, unwrap
from app.settings import load_settings
from app.storage.rotating import rotate_master_key, rotate_seal_key
from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import VIDEO_QUERY, Installation, call, video_query
from tests.servers.load import Told, ask_all, lookups

pytestmark = pytest.mark.anyio

_OPERATOR = local_operator(0)
_OF_PLATFORM = re.compile(rb"User \w+ is private|API cannot return this user's information")


class Questions:
    """Different ones, and then the same again, until told to stop."""

    def __init__(self) -> None:
        self.is_over = False

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for question in itertools.cycle(lookups(1, 501)):
            if self.is_over:
                return
            yield question


def ask(installation: Installation, token: str, **changes: Any) -> tuple[int, str, str]:
    """Status, reuse and entry of one query."""
    status, headers, body = call(
        installation.port,
        "POST",
        VIDEO_QUERY,
        body=video_query(max_count=20, **changes),
        headers={"Authorization": f"Bearer {token}"},
    )
    return status, headers.get("cache-status", ""), json.loads(body)["error"]["log_id"]


def is_hit(installation: Installation, token: str) -> bool:
    """Whether the first question is answered from what was held of it."""
    status, reuse, _ = ask(installation, token)
    return (status, reuse.split("; detail")[0]) == (200, "bursar; hit")


async def renewed_under_load(installation: Installation, keys: list[str]) -> list[Told]:
    """Every answer while all keys are renewed, by the commands and once more."""
    questions = Questions()
    load = asyncio.create_task(ask_all(installation.base_url, keys, questions, in_flight=8, per_second=40))
    for kind in ("master-key", "seal-key"):
        done = await asyncio.to_thread(installation.bursar, kind, "rotate")
        assert done["from"] != done["to"]
        assert done["keys"] > 0
    settings = load_settings(installation.environ)
    assert (await rotate_master_key(settings, _OPERATOR, overlap_s=600)).wrapped > 0
    assert (await rotate_seal_key(settings, _OPERATOR)).wrapped > 0
    questions.is_over = True
    return await load


def wrapped(home: Path) -> list[tuple[str, str, bytes]]:
    """Every data key as the database holds it."""
    with closing(sqlite3.connect(home / "data/bursar.db")) as database:
        rows = [("project", *row) for row in database.execute("SELECT id, wrapped_data_key FROM project")]
        return rows + [
            ("credential", *row) for row in database.execute("SELECT id, wrapped_key FROM credential")
        ]


@pytest.mark.timeout(600)
async def test_all_keys_are_renewed_while_calls_go_on_and_what_was_sealed_before_still_opens(
    tmp_path: Path,
) -> None:
    many = {"requests/day": 1_000_000, "records/day": 1_000_000}
    simulator = ("--requests-per-day", "1000000", "--records-per-day", "1000000")
    with Installation(tmp_path, simulator=simulator, limits=many) as installation:
        gateway = installation.start()
        master = tmp_path / "data/master.key"
        first = MasterKey.from_file(master)
        issued = installation.key()
        (token,) = installation.tokens([issued], 1)
        status, _, before = ask(installation, token)
        assert status == 200

        answers = await renewed_under_load(installation, [issued["api_key"], token])
        assert len(answers) > 50
        # 400 with these words is the platform's own on users who are private.
        failed = [each.body for each in answers if each.status != 200 and not _OF_PLATFORM.search(each.body)]
        assert failed == []

        # What was held is served, by the process that saw it all and by one that knows the newest key alone.
        rotated = installation.bursar("key", "rotate", issued["client_key"], "--overlap-s", "600")
        fresh = installation.tokens([rotated], 1)[0]
        assert gateway.stop() == 0, gateway.output
        gateway = installation.start()
        for shown in (token, fresh, issued["api_key"], rotated["api_key"]):
            assert is_hit(installation, shown)
        assert installation.tokens([issued], 1), "the old secret counts until its overlap ends"
        assert installation.bursar("audit", "show", before, "--open")
        assert ask(installation, token, end_date="20261019")[0] == 200, "the upstream secret opens"

        # Stopped between database and file, it works, and ends when it is asked again.
        old = master.read_bytes()
        settings = load_settings(installation.environ)
        await rotate_master_key(settings, _OPERATOR, overlap_s=600)
        shutil.copy2(master, tmp_path / "data/master.key.next")
        master.chmod(0o600)
        master.write_bytes(old)
        assert gateway.stop() == 0, gateway.output
        gateway = installation.start()
        assert is_hit(installation, token)
        assert "master_key_next" in {each.code for each in (await diagnose(settings)).findings}
        assert (await rotate_master_key(settings, _OPERATOR, overlap_s=600)).wrapped == 0
        assert is_hit(installation, token)
        assert gateway.stop() == 0, gateway.output

        # The first key opens nothing any more, and no key opens what lies in another's place.
        newest, rows = MasterKey.from_file(master), wrapped(tmp_path)
        for kind, object_id, value in rows:
            with pytest.raises(SealBroken):
                unwrap(first, value, data_key_aad(kind, object_id))
            with pytest.raises(SealBroken):
                unwrap(newest, value, data_key_aad(kind, object_id + "x"))
            assert len(unwrap(newest, value, data_key_aad(kind, object_id))) == 32
        assert sorted(each.name for each in (tmp_path / "data").glob("*.key*")) == [
            "log.key",
            "master.key",
            "seal.key",
            "seal.keys",
        ]
        ledger = await read_ledger(settings.database_url)
    renewals = [entry["op"] for entry in ledger.entries if entry["type"] == "key"]
    assert renewals == ["master_key.rotated", "seal_key.rotated"] * 2 + ["master_key.rotated"]
