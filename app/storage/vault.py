"""Opens credentials for the adapter to the platform, and for nobody else."""

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.credentials import SealedCredential, open_credential
from app.errors import NotFound
from app.ids import CredentialId
from app.sealing import MasterKey
from app.storage.engines import Database
from app.storage.tables import CredentialRow, table

_credential = table(CredentialRow)
_FIND = sa.select(_credential).where(
    _credential.c.id == sa.bindparam("id"), _credential.c.retired_us.is_(None)
)
_ALL = sa.select(_credential).where(_credential.c.retired_us.is_(None)).order_by(_credential.c.name)


@dataclass(frozen=True, slots=True)
class ClearCredential:
    """A credential in the clear, with the one host that it may be sent to; `repr` shows neither value."""

    base_url: str
    client_key: str = field(repr=False)
    client_secret: str = field(repr=False)


class SqlVault:
    """The vault over SQL. A secret is in the clear only in what `open` returns."""

    def __init__(self, *, database: Database, master: MasterKey) -> None:
        self._database = database
        self._master = master

    async def open(self, credential: CredentialId) -> ClearCredential:
        """The credential in the clear; raises NotFound, SealBroken or StoreUnavailable."""
        return self._opened(await self._database.read(lambda conn: _find(conn, credential)))

    async def base_urls(self) -> tuple[str, ...]:
        """The hosts of every credential in use; raises StoreUnavailable."""
        rows = await self._database.read(lambda conn: conn.execute(_ALL).mappings().all())
        return tuple(str(row["base_url"]) for row in rows)

    async def base_url(self, credential: CredentialId) -> str:
        """The host of one credential; raises NotFound and StoreUnavailable."""
        return str((await self._database.read(lambda conn: _find(conn, credential)))["base_url"])

    def _opened(self, row: sa.RowMapping) -> ClearCredential:
        sealed = SealedCredential(
            wrapped_key=row["wrapped_key"],
            sealed_client_key=row["sealed_client_key"],
            sealed_client_secret=row["sealed_client_secret"],
            secret_digest=row["secret_digest"],
        )
        base_url = str(row["base_url"])
        client_key, client_secret = open_credential(
            self._master, sealed, credential=str(row["id"]), base_url=base_url
        )
        return ClearCredential(base_url, client_key, client_secret)


def _find(conn: Connection, credential: str) -> sa.RowMapping:
    row = conn.execute(_FIND, {"id": credential}).mappings().one_or_none()
    if row is None:
        raise NotFound("This credential does not exist or was retired.")
    return row
