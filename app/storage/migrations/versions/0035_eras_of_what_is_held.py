"""How often what is held for a project, or for all projects of a credential, has begun anew.

Revision 0035, after 0034.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("project", "credential"):
        op.add_column(table, sa.Column("held_era", sa.Integer(), nullable=False, server_default="0"))
