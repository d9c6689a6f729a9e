"""Answers to requests that carry an idempotency key, so that repeating one creates nothing twice.

The key is claimed before anything is done, and the answer sealed beside it afterwards, since it may hold a secret that is
shown once. A process that ended in between leaves a claim without an answer: whoever repeats is told to look first.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.errors import Conflict
from app.sealing import MasterKey, SealBroken, aad, derive, open_sealed, seal
from app.storage.engines import Database
from app.storage.tables import RepeatRow, table

_repeat = table(RepeatRow)
KEPT_S: Final = 86_400
"""For how long a request can be repeated (a day)."""
RULE: Final = "idempotency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request under a key of its sender's choosing; `request` is the digest of what it asks for."""

    person: str
    key: str
    request: bytes

    @property
    def id(self) -> bytes:
        """By which it is kept; nobody else's attempt has it."""
        return hashlib.sha256(f"{self.person} {self.key}".encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The answer that was given; `repr` does not show its body."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"Kept(status={self.status})"


class Repeats:
    """Keeps answers for a day. Raises StoreUnavailable."""

    def __init__(self, *, database: Database, master: MasterKey) -> None:
        self._database = database
        self._key = derive(master, "answers that may be asked for again")

    async def claim(self, attempt: Attempt) -> Kept | None:
        """None where this is the first attempt, which may go on now; otherwise the answer to the first.

        Raises Conflict where the key stands for something else, or the first attempt has no answer (yet).
        """

        def work(conn: Connection) -> sa.RowMapping | None:
            now_us = self._database.now_us(conn)
            conn.execute(sa.delete(_repeat).where(_repeat.c.began_us <= now_us - KEPT_S * 1_000_000))
            found = (
                conn.execute(sa.select(_repeat).where(_repeat.c.id == attempt.id)).mappings().one_or_none()
            )
            if found is None:
                row = {"id": attempt.id, "request": attempt.request, "began_us": now_us}
                conn.execute(sa.insert(_repeat).values(**row))
            return found

        try:
            found = await self._database.write(work)
        except sa.exc.IntegrityError as error:
            raise _under_way() from error
        if found is None:
            return None
        if bytes(found["request"]) != attempt.request:
            raise Conflict("That Idempotency-Key stood for another request. Choose a new one.", rule=RULE)
        if found["sealed"] is None:
            raise _under_way()
        try:
            body = open_sealed(self._key, bytes(found["sealed"]), _aad(attempt))
        except SealBroken as error:
            raise Conflict(
                "That was done before, and its answer is not at hand any more.", rule=RULE
            ) from error
        return Kept(status=found["status"], body=body)

    async def keep(self, attempt: Attempt, *, status: int, body: bytes) -> None:
        """Have the answer given again to whoever repeats."""
        sealed = seal(self._key, body, _aad(attempt))
        change = sa.update(_repeat).where(_repeat.c.id == attempt.id).values(status=status, sealed=sealed)
        await self._database.write(lambda conn: conn.execute(change).rowcount)

    async def give_up(self, attempt: Attempt) -> None:
        """Nothing was done, so the key is free again."""
        gone = sa.delete(_repeat).where(_repeat.c.id == attempt.id)
        await self._database.write(lambda conn: conn.execute(gone).rowcount)


def _aad(attempt: Attempt) -> bytes:
    return aad("repeat", attempt.id.hex(), attempt.request.hex())


def _under_way() -> Conflict:
    return Conflict(
        "The first request with that Idempotency-Key is under way, or ended without an answer. Look whether what it "
        "asked for is there before you ask with another key.",
        rule=RULE,
    )
