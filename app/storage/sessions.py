"""Sessions over SQL. Whatever a session rests on is read anew for each request: the person, their roles,
whether they are frozen, and the token that they signed in with."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.errors import AccessTokenInvalid
from app.identity.callers import Operator
from app.identity.sessions import (
    FRESH_S,
    LONGEST_S,
    Ended,
    Session,
    is_over,
    new_session_secret,
    session_digest,
)
from app.ids import KeyId, PersonId, new_object_id
from app.storage.directory import find_freeze
from app.storage.engines import Database
from app.storage.tables import HeadRow, PasswordRow, PersonRow, PersonTokenRow, SessionRow, table

_session, _person, _token = table(SessionRow), table(PersonRow), table(PersonTokenRow)
_password, _head = table(PasswordRow), table(HeadRow)
_SEEN_AGAIN_AFTER_S: Final = 60
"""How often a session's last request is written down; a session may end by so much too early."""
_BY_DIGEST: Final = (
    sa.select(
        _session,
        _person.c.name,
        _person.c.email,
        _person.c.roles,
        _token.c.expires_us.label("token_expires_us"),
        _token.c.revoked_us.label("token_revoked_us"),
    )
    .join(_person, _person.c.id == _session.c.person_id)
    .outerjoin(_token, _token.c.id == _session.c.token_id)
    .where(_session.c.digest == sa.bindparam("digest"), _person.c.retired_us.is_(None))
)
_ACCOUNT: Final = (
    sa.select(_person.c.id, _person.c.name, _person.c.email, _person.c.roles, _password.c.hash)
    .outerjoin(_password, _password.c.person_id == _person.c.id)
    .where(_person.c.email == sa.bindparam("email"), _person.c.retired_us.is_(None))
)


class SqlSessions:
    """Who is signed in. Raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, person: PersonId, *, token: KeyId | None = None) -> tuple[str, Session]:
        """A fresh session of that person and its secret; it ends with the token that it was opened with.

        Sessions that nobody can have wanted to go on with are dropped. Raises AccessTokenInvalid where the person or the token has just ended.
        """
        secret = new_session_secret()
        digest = session_digest(secret)

        def work(conn: Connection) -> Session:
            now_us = self._database.now_us(conn)
            # Those that idled stay meanwhile, so that a form of theirs can wait for its owner (`ended`).
            is_past = _session.c.began_us < now_us - LONGEST_S * 1_000_000
            conn.execute(sa.delete(_session).where(is_past))
            row = {"id": new_object_id(), "digest": digest, "person_id": person, "token_id": token}
            conn.execute(sa.insert(_session).values(**row, began_us=now_us, seen_us=now_us))
            found = _find(conn, digest, now_us)
            if found is None:
                raise AccessTokenInvalid("This has just ended. Ask an administrator.")
            return found

        return secret, await self._database.write(work)

    async def find(self, secret: str) -> Session | None:
        """The session of that secret if it still holds, and then its last request is now."""
        digest = session_digest(secret)
        if digest is None:
            return None

        def look(conn: Connection) -> tuple[Session | None, int]:
            now_us = self._database.now_us(conn)
            return _find(conn, digest, now_us), now_us

        found, now_us = await self._database.read(look)
        if found is not None and now_us - found.seen_us > _SEEN_AGAIN_AFTER_S * 1_000_000:
            seen = sa.update(_session).where(_session.c.id == found.id).values(seen_us=now_us)
            await self._database.write(lambda conn: conn.execute(seen).rowcount)
        return found

    async def ended(self, secret: str) -> Ended | None:
        """The session of that secret that has ended by idling, if nothing else has ended it."""
        digest = session_digest(secret)

        def look(conn: Connection) -> Ended | None:
            now_us = self._database.now_us(conn)
            row = conn.execute(_BY_DIGEST, {"digest": digest}).mappings().one_or_none()
            if row is None or not is_over(began_us=row["began_us"], seen_us=row["seen_us"], now_us=now_us):
                return None
            return (
                Ended(id=row["id"], person=PersonId(row["person_id"]))
                if _has_its_token(row, now_us)
                else None
            )

        return None if digest is None else await self._database.read(look)

    async def end(self, session_id: str) -> None:
        """End that session at once, everywhere."""
        gone = sa.delete(_session).where(_session.c.id == session_id)
        await self._database.write(lambda conn: conn.execute(gone).rowcount)

    async def account(self, email: str) -> tuple[Operator, str | None] | None:
        """Whoever has that address, and the hash of their password; None where nobody has it."""
        wanted = {"email": email.strip().lower()}

        def look(conn: Connection) -> tuple[Operator, str | None] | None:
            row = conn.execute(_ACCOUNT, wanted).mappings().one_or_none()
            return None if row is None else (_operator(conn, row, person=row["id"], session=""), row["hash"])

        return await self._database.read(look)


def _find(conn: Connection, digest: bytes | None, now_us: int) -> Session | None:
    row = conn.execute(_BY_DIGEST, {"digest": digest}).mappings().one_or_none()
    if row is None or is_over(began_us=row["began_us"], seen_us=row["seen_us"], now_us=now_us):
        return None
    if not _has_its_token(row, now_us):
        return None
    return Session(
        id=row["id"],
        operator=_operator(conn, row, person=row["person_id"], session=row["id"]),
        began_us=row["began_us"],
        seen_us=row["seen_us"],
        is_fresh=now_us - row["began_us"] < FRESH_S * 1_000_000,
    )


def _has_its_token(row: sa.RowMapping, now_us: int) -> bool:
    """Whether the token that the session was opened with holds, if it was opened with one."""
    ends_us = row["token_expires_us"]
    return row["token_revoked_us"] is None and (ends_us is None or ends_us > now_us)


def _operator(conn: Connection, row: sa.RowMapping, *, person: str, session: str) -> Operator:
    """The person as entries of the log name them; in the place of a token stands the session."""
    return Operator(
        person=PersonId(person),
        name=row["name"],
        email=row["email"],
        roles=frozenset(row["roles"]),
        token=KeyId(session),
        expires_us=None,
        revision=conn.execute(sa.select(_head.c.revision)).scalar_one(),
        freeze=find_freeze(conn, ("person", person, "")),
    )
