"""Who asks, found anew for every request.

Identities come from the directory's memory, which another process may have made stale. So each request
first reads the directory's revision from the database, and memory of another revision is forgotten: a
token that was revoked anywhere is refused from the next request on, and a new one works at once.
"""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.requests import Request

from app.administration.changes import Actor
from app.bootstrap import Installation
from app.errors import AccessTokenInvalid, StoreUnavailable
from app.identity.callers import Caller, Operator
from app.identity.roles import Act, Role, may
from app.storage.tables import HeadRow, table
from app.web.problems import visit_of

_REVISION: Final = sa.select(table(HeadRow).c.revision)
_TRIES: Final = 5
HOW_TO_SAY_WHO: Final = (
    "Send `Authorization: Bearer` with your own token (an administrator gives one with `bursar token issue`); "
    "the api_key of a project opens /api/v1/me, /api/v1/estimate and receipts alone."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks, as the use-cases want to know it."""

    person: str
    roles: frozenset[str]
    with_key: bool
    project_name: str | None = None
    """Of the key that was used."""

    @property
    def actor(self) -> Actor:
        """The person as whoever acts."""
        return Actor(kind="person", principal=self.person, roles=self.roles)

    def may(self, *acts: Act) -> bool:
        """Whether their roles cover any of the acts."""
        return any(may(self.roles, act) for act in acts)


class Identification:
    """Who shows a bearer token, as of the directory's newest revision."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._revision = -1

    async def __call__(self, authorization: str | None, *, source: str) -> Operator | Caller:
        """A person with their token, or a caller with a project's key.

        Raises AccessTokenInvalid, and RateLimited after too many failures from `source`, a network address.
        """
        directory = self._installation.directory
        for _ in range(_TRIES):
            revision = await self._installation.prompt.read(_read_revision)
            if revision != self._revision:
                directory.forget()
                self._revision = revision
            who = await self._holder(authorization, source)
            if who.revision == revision:
                return who
            directory.forget()
        raise StoreUnavailable("People and keys are being changed at this moment. Please try again.")

    async def _holder(self, authorization: str | None, source: str) -> Operator | Caller:
        try:
            return await self._installation.bearers.holder(authorization, source=source)
        except AccessTokenInvalid as refusal:
            raise AccessTokenInvalid(HOW_TO_SAY_WHO, rule="identify") from refusal


def visitor(request: Request) -> Visitor:
    """Whom the guard let in; for routes behind it alone."""
    match visit_of(request).who:
        case Operator() as operator:
            return Visitor(person=operator.person, roles=operator.roles, with_key=False)
        case Caller() as caller:
            return Visitor(
                person=caller.person,
                roles=roles_with_key(caller),
                with_key=True,
                project_name=caller.project_name,
            )
        case None:
            raise AccessTokenInvalid(HOW_TO_SAY_WHO, rule="identify")


def roles_with_key(caller: Caller) -> frozenset[str]:
    """Whoever holds a project's key does research in it, whatever else they are."""
    return caller.roles | {Role.RESEARCHER}


def _read_revision(conn: Connection) -> int:
    return int(conn.execute(_REVISION).scalar_one())
