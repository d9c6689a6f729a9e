"""Modes of rules, stated values, and of terms their source and grace period.

Revision 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rule_mode",
        sa.Column("rule", sa.String(64), nullable=False, primary_key=True),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("set_us", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "stated_value",
        sa.Column("name", sa.String(64), nullable=False, primary_key=True),
        sa.Column("from_day", sa.Date(), nullable=False, primary_key=True),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("stated_us", sa.BigInteger(), nullable=False),
    )
    # The defaults are for the rows that are there already; every row that is written since says it itself.
    op.add_column("terms", sa.Column("source", sa.Text(), nullable=False, server_default=""))
    op.add_column("terms", sa.Column("grace_days", sa.Integer(), nullable=False, server_default="0"))
