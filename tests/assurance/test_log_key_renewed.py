"""The log's key renewed while calls go on: nobody is turned away, and whoever knows the old key alone finds the new one."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.administration.changes import local_operator
from app.administration.key_files import read_log_key
from app.audit.notes import Kept, Signer
from app.audit.offline import Vkey, verify_export
from app.bootstrap import diagnose
from app.errors import Conflict
from app.settings import load_settings
from app.storage.rotating import retire_log_key, rotate_log_key
from tests.assurance.ledgers import read_ledger
from tests.servers.bursar import Installation
from tests.servers.commands import run_command
from tests.servers.load import Told, ask_all, lookups

pytestmark = pytest.mark.anyio

_OPERATOR = local_operator(0)
_MANY = {"requests/day": 1_000_000, "records/day": 1_000_000}
_GENEROUS = ("--requests-per-day", "1000000", "--records-per-day", "1000000")


def vkey_of(installation: Installation, export: Path) -> str:
    """The key in force, as whoever verifies was given it."""
    origin = (export / "checkpoint").read_text().split("\n")[0]
    return read_log_key(installation.home / "data/log.key").verifier(origin).vkey


def exported(installation: Installation, name: str) -> Path:
    """A directory with the log."""
    to = installation.home / name
    installation.bursar("audit", "export", "--format", "jsonl", "--to", str(to))
    return to


def finding(export: Path, *vkeys: str) -> tuple[str | None, list[str]]:
    """What an officer finds who was given these keys, and what else they are told."""
    report = verify_export(export, keys=[Vkey.parse(each) for each in vkeys])
    return report.finding, report.notes


async def renewed_under_load(installation: Installation, key: str) -> list[Told]:
    """Every answer while the key is renewed and the former one retired, by the commands."""
    is_over = asyncio.Event()

    async def keep_asking() -> list[Told]:
        answers: list[Told] = []
        first = 0
        while not is_over.is_set():
            questions = lookups(first, first + 20)
            answers += await ask_all(installation.base_url, key, questions, in_flight=4, per_second=40)
            first += 20
        return answers

    load = asyncio.create_task(keep_asking())
    await asyncio.sleep(1)
    both = await asyncio.to_thread(installation.bursar, "log-key", "rotate")
    # So that processes have seen the file, and processes and commands append in turn under both keys.
    await asyncio.sleep(3)
    one = await asyncio.to_thread(installation.bursar, "log-key", "retire")
    await asyncio.sleep(3)
    is_over.set()
    assert [len(both["signing"]), len(one["signing"]), len(one["former"])] == [2, 1, 1]
    assert one["signing"] == both["signing"][:1]
    assert one["former"] == both["signing"][1:]
    return await load


@pytest.mark.timeout(600)
async def test_the_logs_key_is_renewed_while_calls_go_on_and_the_old_one_vouches_for_the_new(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    with Installation(
        tmp_path,
        database_url=postgres_url,
        redis_url=redis_url,
        workers=2,
        simulator=_GENEROUS,
        limits=_MANY,
    ) as installation:
        gateway = installation.start()
        before = exported(installation, "before")
        first = vkey_of(installation, before)
        answers = await renewed_under_load(installation, installation.key()["api_key"])
        assert len(answers) > 50
        assert {each.status for each in answers} <= {200, 400}, answers
        after = exported(installation, "after")
        second = vkey_of(installation, after)
        assert first != second

        # Who was given the first key alone is told of the second; who was given another key is not.
        stranger = Signer.generate().verifier(Vkey.parse(first).name).vkey
        assert finding(before, first) == (None, [])
        found, notes = finding(after, first)
        assert found is None
        assert any(second in note for note in notes)
        assert finding(after, second) == (None, [])
        assert finding(after, stranger)[0] == "tamper"
        assert installation.bursar("audit", "verify", "--anchors", str(before / "checkpoint"))["verified"]

        # What the first key signed before is still known here; what it signs now is not.
        check = installation.bursar("audit", "consistency", "--checkpoint", str(before / "checkpoint"))
        assert check["consistent"] is True
        assert gateway.stop() == 0, gateway.output
        installation.start()
        settings = load_settings(installation.environ)
        ledger = await read_ledger(settings.database_url)
    told = [entry for entry in ledger.entries if entry["type"] == "key"]
    assert [entry["op"] for entry in told] == ["log_key.renewed", "log_key.retired"]
    assert told[0]["renewed"]["to"] == second
    assert told[1]["renewed"]["retired"] == [first]


async def test_a_renewal_that_was_broken_off_is_ended_by_running_it_again(tmp_path: Path) -> None:
    with Installation(tmp_path) as installation:
        settings = load_settings(installation.environ)
        file = tmp_path / "data/log.key"
        with pytest.raises(Conflict, match="No former key signs"):
            await retire_log_key(settings, _OPERATOR)
        old = file.read_bytes()
        both = await rotate_log_key(settings, _OPERATOR)
        with pytest.raises(Conflict, match="is being renewed"):
            await rotate_log_key(settings, _OPERATOR)

        # The entry was written, and the file had not taken the other's place.
        put_back(file, old)
        assert "log_key_next" in {each.code for each in (await diagnose(settings)).findings}
        assert (await rotate_log_key(settings, _OPERATOR)).signing == both.signing

        overlapping = file.read_bytes()
        one = await retire_log_key(settings, _OPERATOR)
        put_back(file, overlapping)
        with pytest.raises(Conflict, match="is being renewed"):
            await rotate_log_key(settings, _OPERATOR)
        assert await retire_log_key(settings, _OPERATOR) == one
        assert [each.name for each in (tmp_path / "data").glob("log.key*")] == ["log.key"]
        assert old not in file.read_bytes()
        assert installation.bursar("audit", "verify")["verified"] is True


def put_back(file: Path, pem: bytes) -> None:
    """As if the command had been killed before its last step."""
    file.rename(file.with_name(file.name + ".next"))
    file.write_bytes(pem)
    file.chmod(0o400)


async def test_a_head_that_a_retired_key_signed_is_refused_and_named(tmp_path: Path) -> None:
    with Installation(tmp_path) as installation:
        settings = load_settings(installation.environ)
        file = tmp_path / "data/log.key"
        stolen = read_log_key(file)
        await rotate_log_key(settings, _OPERATOR)
        await retire_log_key(settings, _OPERATOR)
        with closing(sqlite3.connect(tmp_path / "data/bursar.db")) as database:
            (note,) = database.execute("SELECT checkpoint FROM head").fetchone()
            kept = Kept.parse(note)
            forged = stolen.sign(kept.checkpoint.text, kept.checkpoint.origin)
            database.execute("UPDATE head SET checkpoint = ?", (forged,))
            database.commit()
        done = run_command(["audit", "verify", "--json"], environ=installation.environ, cwd=tmp_path)
        assert done.code == 1
        assert "signed by a former key alone" in done.out
        assert (await diagnose(settings)).findings
