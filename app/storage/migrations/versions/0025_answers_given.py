"""How many answers were given, by project, day and how they were come by.

Revision 0025, after 0024.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers_given",
        sa.Column("project_id", sa.String(64), nullable=False, primary_key=True),
        sa.Column("day", sa.Date(), nullable=False, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False, primary_key=True),
        sa.Column("answers", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
    )
