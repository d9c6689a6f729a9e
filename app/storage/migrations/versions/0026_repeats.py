"""Answers to requests that carry an idempotency key.

Revision 0026, after 0025.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_repeat",
        sa.Column("id", sa.LargeBinary(), nullable=False, primary_key=True),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("began_us", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
    )
    op.create_index("ix_api_repeat_began_us", "api_repeat", ["began_us"])
