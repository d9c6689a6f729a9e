"""Whom the institution's identity provider knows people as, and sign-ins that are under way there.

Revision 0019, after 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_identity",
        sa.Column("issuer", sa.String(400), nullable=False, primary_key=True),
        sa.Column("subject", sa.String(255), nullable=False, primary_key=True),
        sa.Column("person_id", sa.String(32), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("linked_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_person_identity_person_id", "person_identity", ["person_id"])
    op.create_table(
        "console_sign_in",
        sa.Column("digest", sa.LargeBinary(), nullable=False, primary_key=True),
        sa.Column("onward", sa.Text(), nullable=False),
        sa.Column("began_us", sa.BigInteger(), nullable=False),
    )
