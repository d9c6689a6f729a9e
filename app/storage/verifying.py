"""Verifying the whole log on demand, in a process of its own, so that whoever is served meanwhile does not wait for it.

How far it is, and what it came to, is a row that every replica can tell of. The child is given the database's address and
the log's public key on its standard input, and ends with whoever started it.
"""

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from app.administration.notices import Notice, verification_failed
from app.audit.notes import Signer
from app.audit.offline import Evidence, Report, Vkey
from app.errors import BursarError, Conflict, NotReady
from app.ids import new_object_id
from app.storage.auditing import verify_stored
from app.storage.engines import Database, open_database
from app.storage.notices import tell
from app.storage.tables import HeadRow, VerificationRow, table

_row, _head = table(VerificationRow), table(HeadRow)
_log = structlog.get_logger()
_QUIET_US: Final = 60_000_000
"""After so long without a word one that is under way counts as broken off."""
_TELL_EVERY: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One verification: under way while `report` is None and it has not broken off."""

    id: str
    started_by: str
    started_us: int
    done: int
    whole: int
    ended_us: int | None
    report: Mapping[str, Any] | None
    has_broken_off: bool

    @property
    def is_under_way(self) -> bool:
        """Whether it will say more."""
        return self.ended_us is None and not self.has_broken_off


class Verifier:
    """Starts verifications, one at a time in the whole deployment, and tells of the newest. Raises StoreUnavailable."""

    def __init__(self, *, database: Database, url: str, signer: Signer, lease_s: int) -> None:
        self._database = database
        self._url = url
        self._signer = signer
        self._lease_s = lease_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def newest(self) -> Seen | None:
        """The one that was started last."""
        return await self._database.read(lambda conn: _newest(conn, self._database.now_us(conn)))

    async def start(self, person: str) -> None:
        """Begin one. Raises Conflict while another is under way, NotReady without a log."""
        verification = new_object_id()

        def work(conn: Connection) -> str:
            origin = conn.execute(sa.select(_head.c.origin)).scalar_one_or_none()
            if origin is None:
                raise NotReady("The database has no log yet: run `bursar init`.")
            now_us = self._database.now_us(conn)
            newest = _newest(conn, now_us)
            if newest is not None and newest.is_under_way:
                raise Conflict("The log is being verified at this moment.")
            whole = conn.execute(sa.select(_head.c.size)).scalar_one()
            row = {"id": verification, "started_by": person, "started_us": now_us, "seen_us": now_us}
            conn.execute(sa.insert(_row).values(**row, done=0, whole=whole))
            return str(origin)

        origin = await self._database.write(work)
        told = {
            "database_url": self._url,
            "origin": origin,
            "signing": len(self._signer.verifiers(origin)),
            "known": [each.public.hex() for each in self._signer.known(origin)],
            "lease_s": self._lease_s,
        }
        task = asyncio.create_task(self._follow(verification, told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finished(self) -> None:
        """Return once none of this process's is under way."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Break off what this process has started."""
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _follow(self, verification: str, told: Mapping[str, Any]) -> None:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.storage.verifying"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("a child without the pipes that it was given")
        report: dict[str, Any] | None = None
        try:
            child.stdin.write(json.dumps(told).encode() + b"\n")
            await child.stdin.drain()
            async for line in child.stdout:
                said = json.loads(line)
                if "report" in said:
                    report = said["report"]
                else:
                    await self._set(verification, done=said["done"], whole=said["whole"])
            await child.wait()
        except (OSError, ValueError, BursarError):
            _log.exception("the log could not be verified")
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
            child.stdin.close()
        text = None if report is None else json.dumps(report)
        failed = (
            [] if report is None or report.get("verified") else [verification_failed(verification, report)]
        )
        with contextlib.suppress(BursarError):
            await self._set(verification, report=text, has_ended=True, notices=failed)

    async def _set(
        self,
        verification: str,
        *,
        has_ended: bool = False,
        notices: Sequence[Notice] = (),
        **values: object,
    ) -> None:
        def work(conn: Connection) -> int:
            now_us = self._database.now_us(conn)
            ended = {"ended_us": now_us} if has_ended else {}
            change = sa.update(_row).where(_row.c.id == verification)
            tell(conn, self._database.dialect, notices, now_us=now_us)
            return conn.execute(change.values(seen_us=now_us, **values, **ended)).rowcount

        await self._database.write(work)


def _newest(conn: Connection, now_us: int) -> Seen | None:
    row = conn.execute(sa.select(_row).order_by(_row.c.started_us.desc(), _row.c.id).limit(1)).one_or_none()
    if row is None:
        return None
    is_silent = row.ended_us is None and now_us - row.seen_us > _QUIET_US
    return Seen(
        id=row.id,
        started_by=row.started_by,
        started_us=row.started_us,
        done=row.done,
        whole=row.whole,
        ended_us=row.ended_us,
        report=None if row.report is None else json.loads(row.report),
        has_broken_off=is_silent or (row.ended_us is not None and row.report is None),
    )


async def _verify(told: Mapping[str, Any]) -> Report:
    """What the stored log comes to; how far it is goes to standard output."""
    database = open_database(told["database_url"])
    known = [Vkey(told["origin"], bytes.fromhex(each)) for each in told["known"]]
    signing = told["signing"]
    last = 0

    def tell(done: int, whole: int) -> None:
        nonlocal last
        if done - last >= _TELL_EVERY:
            last = done
            _say({"done": done, "whole": whole})

    try:
        return await database.read(
            lambda conn: verify_stored(
                conn,
                known[:signing],
                Evidence(),
                Report(),
                former=known[signing:],
                lease_s=told["lease_s"],
                progress=tell,
            )
        )
    finally:
        await database.close()


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(3)


def main() -> None:
    """Verify the log that the first line of standard input names."""
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    _say({"report": asyncio.run(_verify(told)).shown()})
    os._exit(0)  # a thread that waits for the parent must not be waited for


if __name__ == "__main__":
    main()
