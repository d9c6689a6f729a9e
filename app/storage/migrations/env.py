"""How alembic runs here: on a connection and in a transaction that `app.storage.schema` hands over."""

from alembic import context
from sqlmodel import SQLModel

import app.storage.tables  # noqa: F401 - fills the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
