"""Deliveries of notices, and leases of duties.

Revision 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_notice_done_us", "notice")
    op.alter_column("notice", "done_us", new_column_name="taken_up_us")
    op.create_index("ix_notice_taken_up_us", "notice", ["taken_up_us"])
    op.create_table(
        "notice_delivery",
        sa.Column("notice_id", sa.String(200), nullable=False, primary_key=True),
        sa.Column("channel", sa.String(16), nullable=False, primary_key=True),
        sa.Column("target", sa.String(32), nullable=False, primary_key=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_us", sa.BigInteger(), nullable=False),
        sa.Column("done_us", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(200), nullable=True),
    )
    op.create_index("ix_notice_delivery_next_us", "notice_delivery", ["next_us"])
    op.create_table(
        "duty_lease",
        sa.Column("duty", sa.String(32), nullable=False, primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
    )
