"""Which fields a credential has been given at an endpoint.

Revision 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "proven_field",
        sa.Column("credential_id", sa.String(32), nullable=False, primary_key=True),
        sa.Column("endpoint", sa.String(64), nullable=False, primary_key=True),
        sa.Column("field", sa.String(64), nullable=False, primary_key=True),
        sa.Column("is_refused", sa.Boolean(), nullable=False),
    )
