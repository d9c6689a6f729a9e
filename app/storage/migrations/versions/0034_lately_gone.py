"""What the platform lately said that it has no longer.

Revision 0034, after 0033.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lately_gone",
        sa.Column("id", sa.String(32), nullable=False, primary_key=True),
        sa.Column("scope", sa.String(64), nullable=False),
        sa.Column("tags", sa.LargeBinary(), nullable=False),
        sa.Column("told_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_lately_gone_told_us", "lately_gone", ["told_us"])
