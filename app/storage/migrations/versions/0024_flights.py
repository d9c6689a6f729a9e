"""Which calls to the platform are under way, for all processes.

Revision 0024, after 0023.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flight",
        sa.Column("key", sa.String(64), nullable=False, primary_key=True),
        sa.Column("reservation", sa.String(32), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("landed_ix", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_flight_reservation", "flight", ["reservation"])
