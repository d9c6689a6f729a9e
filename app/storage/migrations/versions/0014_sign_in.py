"""Sessions of people in a browser, and passwords of local accounts.

Revision 0014, after 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_password",
        sa.Column("person_id", sa.String(32), sa.ForeignKey("person.id"), nullable=False, primary_key=True),
        sa.Column("hash", sa.Text(), nullable=True),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("code_until_us", sa.BigInteger(), nullable=True),
        sa.Column("set_us", sa.BigInteger(), nullable=True),
    )
    op.create_table(
        "console_session",
        sa.Column("id", sa.String(32), nullable=False, primary_key=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("person_id", sa.String(32), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("token_id", sa.String(32), sa.ForeignKey("person_token.id"), nullable=True),
        sa.Column("began_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_console_session_person_id", "console_session", ["person_id"])
