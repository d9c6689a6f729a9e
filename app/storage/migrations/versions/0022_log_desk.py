"""Searches of the log that people have saved, and verifications that they have started.

Revision 0022, after 0021.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_search",
        sa.Column("id", sa.String(32), nullable=False, primary_key=True),
        sa.Column("person_id", sa.String(32), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("saved_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_saved_search_person_id", "saved_search", ["person_id"])
    op.create_table(
        "verification",
        sa.Column("id", sa.String(32), nullable=False, primary_key=True),
        sa.Column("started_by", sa.String(32), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("whole", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
    )
    op.create_index("ix_verification_started_us", "verification", ["started_us"])
