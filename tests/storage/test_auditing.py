"""The stored log before the verifier, on both databases, changed by whoever owns the tables."""

import hashlib
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.changes import Actor, local_operator
from app.audit.entries import Draft, KeptQuestion
from app.audit.offline import Evidence, Report, Vkey
from app.audit.questions import digest_of
from app.errors import NotPermitted
from app.storage import auditing
from app.storage.auditing import Kept, verify_log, verify_stored
from app.storage.engines import Database, open_database
from app.storage.log import append, name_log
from tests.signing import SIGNER, boot

pytestmark = pytest.mark.anyio

ORIGIN = "example.edu/bursar/1"
KEY = Vkey(ORIGIN, SIGNER.verifier(ORIGIN).public)
TAGS = ("x", "y")
NONCE, CIPHERTEXT = b"n" * 12, b"ciphertext"
SIZE = 600


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_url)
    await opened.write(lambda conn: name_log(conn, ORIGIN))
    drafts = [
        Draft(
            type="decision",
            fields={
                "actor": {"kind": "key", "principal": f"p{number}", "project": "j"},
                "op": "user/info",
                "sealed": {"kid": "k", "sha256": hashlib.sha256(NONCE + CIPHERTEXT).hexdigest()},
                "about": ["t1", "t2"],
                "about_more": {"count": 2, "sha256": digest_of(TAGS)},
                "quota": {"charged": {}},
            },
            kept=KeptQuestion(nonce=NONCE, ct=CIPHERTEXT, tags=TAGS),
        )
        for number in range(SIZE)
    ]
    await append(opened, boot(), drafts)
    yield opened
    await opened.close()


async def verified(database: Database) -> Report:
    return await database.read(lambda conn: verify_stored(conn, [KEY], Evidence(), Report(), lease_s=300))


def disarmed(conn: Connection) -> None:
    if conn.dialect.name == "sqlite":
        for (name,) in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='trigger'").all():
            conn.exec_driver_sql(f"DROP TRIGGER {name}")
    else:
        for name in ("entry", "entry_fact", "entry_about", "entry_about_more", "sealed_question"):
            conn.exec_driver_sql(f"ALTER TABLE {name} DISABLE TRIGGER USER")


CHANGES = [
    ("UPDATE entry SET id = 'x' WHERE ix = 300", {("columns", 300)}),
    ("UPDATE entry SET type = 'auth' WHERE ix = 300", {("columns", 300)}),
    ("UPDATE entry SET ts_us = ts_us + 1 WHERE ix = 300", {("columns", 300)}),
    ("UPDATE entry SET leaf = :bytes WHERE ix = 300", {("leaf", 300)}),
    ("UPDATE entry SET leaf_hash = :bytes WHERE ix = 300", {("leaf", 300)}),
    ("UPDATE entry SET leaf = :nothing WHERE ix = 300", {("pruned", 300)}),
    ("DELETE FROM entry WHERE ix = 300", {("order", 300), ("columns", 300)}),
    ("DELETE FROM entry WHERE ix = 599", {("order", 599), ("columns", 599)}),
    ("UPDATE entry SET ix = 700 WHERE ix = 300", {("order", 300), ("order", 700), ("columns", 300)}),
    ("UPDATE entry_fact SET person = 'x' WHERE ix = 300", {("columns", 300)}),
    ("UPDATE entry_fact SET requests = NULL WHERE ix = 300", {("columns", 300)}),
    ("UPDATE entry_fact SET ix = 700 WHERE ix = 300", {("columns", 300), ("columns", 700)}),
    ("UPDATE entry_fact SET ix = -1 WHERE ix = 300", {("columns", 300), ("columns", -1)}),
    ("DELETE FROM entry_fact WHERE ix = 300", {("columns", 300)}),
    ("DELETE FROM entry_about WHERE ix = 300 AND tag = 't1'", {("columns", 300)}),
    ("UPDATE entry_about SET tag = 't3' WHERE ix = 300 AND tag = 't1'", {("columns", 300)}),
    ("DELETE FROM entry_about_more WHERE ix = 300", {("columns", 300)}),
    ("UPDATE entry_about_more SET tag = 'z' WHERE ix = 300 AND tag = 'x'", {("columns", 300)}),
    ("UPDATE entry_about_more SET ix = 700 WHERE ix = 300", {("columns", 300), ("columns", 700)}),
    ("DELETE FROM sealed_question WHERE ix = 300", {("columns", 300)}),
    ("UPDATE sealed_question SET nonce = :bytes WHERE ix = 300", {("columns", 300)}),
    ("UPDATE sealed_question SET ct = :nothing WHERE ix = 300", {("columns", 300)}),
    ("UPDATE sealed_question SET ix = 700 WHERE ix = 300", {("columns", 300), ("columns", 700)}),
    ("UPDATE tree_node SET hash = :bytes WHERE ix = 1", {("tree", None)}),
    ("DELETE FROM tree_node WHERE ix = 1", {("tree", None)}),
    ("UPDATE head SET min_index = 5", {("pruned", None)}),
    ("UPDATE head SET checkpoint = :bytes", {("signature", None)}),
]


class Undone(Exception):
    pass


async def test_a_change_in_the_database_is_named(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "_AT_ONCE", 100)
    report = await verified(database)
    assert (report.problems, report.size, report.entries["decision"]) == ([], SIZE, SIZE)
    for change, found in CHANGES:
        reports: list[Report] = []

        def work(conn: Connection, change: str = change, reports: list[Report] = reports) -> None:
            disarmed(conn)
            values = {"bytes": b"x" * 32, "nothing": b""}
            conn.execute(sa.text(change), {name: values[name] for name in values if f":{name}" in change})
            reports.append(verify_stored(conn, [KEY], Evidence(), Report(), lease_s=300))
            raise Undone

        with pytest.raises(Undone):
            await database.write(work)
        (report,) = reports
        assert {(each.check, each.ix) for each in report.problems} == found, (change, report.problems)
    assert (await verified(database)).problems == []


async def test_a_verification_is_logged_before_it_begins_and_is_for_those_who_may(database: Database) -> None:
    run = boot(run="f" * 16)
    report = await verify_log(
        database, run, local_operator(0), Kept(), lease_s=300, progress=lambda done, total: None
    )
    assert (report.finding, report.size, report.entries["audit_read"]) == (None, SIZE + 1, 1)
    researcher = Actor(kind="person", principal="p", roles=frozenset({"researcher"}))
    with pytest.raises(NotPermitted):
        await verify_log(database, run, researcher, Kept(), lease_s=300, progress=lambda done, total: None)


async def test_a_log_that_cannot_be_written_any_more_is_verified_all_the_same(database: Database) -> None:
    def work(conn: Connection) -> None:
        conn.execute(sa.text("UPDATE head SET frontier = :bytes"), {"bytes": b"x" * 80})

    await database.write(work)
    run = boot(run="f" * 16)
    report = await verify_log(
        database, run, local_operator(0), Kept(), lease_s=300, progress=lambda done, total: None
    )
    assert (report.finding, report.size) == (None, SIZE)
    assert "could not be logged" in report.notes[0]
