"""The processes that serve, and when each was last seen.

Revision 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("boot", sa.String(32), nullable=False, primary_key=True),
        sa.Column("replica", sa.String(64), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.Column("beat_us", sa.BigInteger(), nullable=False),
    )
