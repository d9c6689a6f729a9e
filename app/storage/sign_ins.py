"""Sign-ins that are under way at the institution's identity provider, over SQL."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.identity.institution import LIFE_S, UnderWay, key_of
from app.identity.sessions import new_session_secret, session_digest
from app.sealing import aad, open_sealed, seal
from app.storage.engines import Database
from app.storage.tables import SignInRow, table

_sign_in = table(SignInRow)
_AAD: Final = aad("console_sign_in", "kept")
_PAST: Final = sa.delete(_sign_in).where(_sign_in.c.began_us <= sa.bindparam("before_us"))


class SqlSignIns:
    """Where each browser wants to go once it comes back, and what waits for it. Raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, onward: str, *, kept: bytes | None = None) -> str:
        """The secret of a sign-in that leads to `onward`; those of which nothing was heard are dropped.

        `kept` is given back with its answer; whoever has the database but not the secret cannot read it.
        """
        secret = new_session_secret()
        sealed = None if kept is None else seal(key_of(secret), kept, _AAD)
        row = {"digest": session_digest(secret), "onward": onward, "kept": sealed}

        def work(conn: Connection) -> None:
            now_us = self._database.now_us(conn)
            conn.execute(_PAST, {"before_us": now_us - LIFE_S * 1_000_000})
            conn.execute(sa.insert(_sign_in).values(**row, began_us=now_us))

        await self._database.write(work)
        return secret

    async def take(self, secret: str) -> UnderWay | None:
        """That sign-in, once: a second time, or after ten minutes, there is none."""
        digest = session_digest(secret)
        if digest is None:
            return None

        def work(conn: Connection) -> UnderWay | None:
            since_us = self._database.now_us(conn) - LIFE_S * 1_000_000
            where = _sign_in.c.digest == digest
            row = conn.execute(sa.select(_sign_in).where(where, _sign_in.c.began_us > since_us)).one_or_none()
            # Of two that ask at once, only one deletes it.
            has_taken = conn.execute(sa.delete(_sign_in).where(where)).rowcount == 1
            if row is None or not has_taken:
                return None
            kept = None if row.kept is None else open_sealed(key_of(secret), row.kept, _AAD)
            return UnderWay(onward=row.onward, began_us=row.began_us, kept=kept)

        return await self._database.write(work)
