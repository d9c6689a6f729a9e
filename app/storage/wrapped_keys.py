"""The data keys of credentials and projects, each wrapped by the master key in its own row."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.credentials import data_key_aad
from app.errors import BadSetting
from app.sealing import MasterKey, SealBroken, unwrap
from app.storage.engines import Database
from app.storage.tables import CredentialRow, ProjectRow, table

_project, _credential = table(ProjectRow), table(CredentialRow)
HOLDERS: Final = (
    ("credential", _credential.c.id, _credential.c.wrapped_key),
    ("project", _project.c.id, _project.c.wrapped_data_key),
)
"""Kind, id and wrapped key of the rows that have one; those that are retired have an empty one."""

_MOST_TRIED: Final = 16
"""Of each kind. Each that does not open costs three looks at key files, and `/readyz` asks."""
_SOME: Final = tuple(
    (kind, sa.select(ids, wrapped).where(wrapped != b"").order_by(ids).limit(_MOST_TRIED))
    for kind, ids, wrapped in HOLDERS
)


def opens(master: MasterKey, kind: str, object_id: str, wrapped: bytes) -> bool:
    """Whether the row's data key is wrapped by this master key, or by one that takes its place."""
    try:
        unwrap(master, wrapped, data_key_aad(kind, object_id))
    except SealBroken:
        return False
    return True


def objection(conn: Connection, master: MasterKey) -> str | None:
    """Why a process with this master key would refuse everybody; None: it is the one, or nothing is wrapped yet.

    One data key that opens is enough: others may be of a master key that was lost, which the doctor tells of each.
    """
    are_any = False
    for kind, some in _SOME:
        for object_id, wrapped in conn.execute(some):
            if opens(master, kind, object_id, bytes(wrapped)):
                return None
            are_any = True
    return "the master key opens nothing that is sealed in the database" if are_any else None


async def require_opens(database: Database, master: MasterKey, file: Path) -> None:
    """Return if `master`, which stands in `file`, is the database's. Raises BadSetting and StoreUnavailable."""
    if await database.read(lambda conn: objection(conn, master)) is not None:
        raise BadSetting(
            f"The master key in {file} opens nothing that is sealed in the database: it is another installation's, or "
            "not the newest. Put the one there that every other process has, or restore it."
        )
