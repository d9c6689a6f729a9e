"""Which notices a person does not want by mail.

Revision 0033, after 0029.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "muted_notice",
        sa.Column("person_id", sa.String(32), sa.ForeignKey("person.id"), nullable=False, primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False, primary_key=True),
    )
