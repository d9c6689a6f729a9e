"""When the held answers of a project may be used.

Revision 0021, after 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default is for projects that are there already, and for programs of the release before.
    op.add_column("project", sa.Column("reuse", sa.JSON(), nullable=False, server_default="{}"))
